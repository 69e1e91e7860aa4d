#include "net/url_text.h"

#include <string.h>

#include "net/url.h"

bool qn_url_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

/* May stand in a path or query as it is (RFC 3986 pchar, "/", "?", and "[]" which many servers send bare). */
static bool is_url_char(unsigned char c)
{
    return qn_url_plain(c) || (c && strchr("!$&'()*+,;=:@/?[]", c));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

int qn_url_percent(const char *text, const char *end)
{
    if (end - text < 3 || text[0] != '%') return -1;
    int high = hex_value(text[1]), low = hex_value(text[2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static int add_percent(struct qn_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789ABCDEF";
    const char text[3] = {'%', digits[c >> 4], digits[c & 15]};
    return qn_buf_add(out, text, sizeof text);
}

int qn_url_add_clean(struct qn_buf *out, const char *text, size_t size, bool unescape)
{
    const char *end = text + size;
    int rc = 0;
    while (text < end && rc == 0) {
        int value = qn_url_percent(text, end);
        if (value >= 0) {
            rc = unescape && qn_url_plain((unsigned char)value) ? qn_buf_add_byte(out, (char)value)
                                                                : add_percent(out, (unsigned char)value);
            text += 3;
        } else {
            unsigned char c = (unsigned char)*text++;
            rc = is_url_char(c) ? qn_buf_add_byte(out, (char)c) : add_percent(out, c);
        }
    }
    return rc;
}

int qn_url_add_escaped(struct qn_buf *out, const char *text, size_t size)
{
    int rc = 0;
    for (size_t i = 0; i < size && rc == 0; i++)
        rc = qn_url_plain((unsigned char)text[i]) ? qn_buf_add_byte(out, text[i])
                                                  : add_percent(out, (unsigned char)text[i]);
    return rc;
}

int qn_url_encode(const char *text, size_t size, struct qn_buf *out)
{
    size_t start = out->size;
    int rc = 0;
    for (size_t i = 0; i < size && rc == 0; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == ' ')
            rc = qn_buf_add_byte(out, '+');
        else if ((qn_url_plain(c) && c != '~') || c == '*')
            rc = qn_buf_add_byte(out, (char)c);
        else
            rc = add_percent(out, c);
    }
    if (rc < 0) out->size = start;
    return rc;
}
