#include "json/chars.h"
#include "json/utf8.h"

void qn_chars_init(struct qn_chars *chars, const char *content, size_t size)
{
    *chars = (struct qn_chars){.at = content, .end = content + size};
}

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return value;
}

uint32_t qn_chars_escape(const char **at, const char *end)
{
    const char *p = *at + 1;
    char c = *p++;
    *at = p;
    switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'u': break;
    default: return (unsigned char)c;
    }
    uint32_t code = hex4(p);
    *at = p += 4;
    if ((code & 0xFC00) == 0xD800 && end - p >= 6 && p[0] == '\\' && p[1] == 'u') {
        uint32_t low = hex4(p + 2);
        if ((low & 0xFC00) == 0xDC00) {
            *at = p + 6;
            return 0x10000 + ((code & 0x3FF) << 10 | (low & 0x3FF));
        }
    }
    return code;
}

int qn_chars_next(struct qn_chars *chars)
{
    if (chars->next < chars->size) return (unsigned char)chars->pending[chars->next++];
    if (chars->at == chars->end) return -1;
    if (*chars->at != '\\') return (unsigned char)*chars->at++;
    uint32_t code = qn_chars_escape(&chars->at, chars->end);
    if (code >= 0xD800 && code <= 0xDFFF) { /* a half of a pair by itself */
        code = 0xFFFD;
        chars->replaced++;
    }
    chars->size = (uint8_t)qn_utf8_put(code, chars->pending);
    chars->next = 1;
    return (unsigned char)chars->pending[0];
}
