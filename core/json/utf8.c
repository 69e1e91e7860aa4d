#include "json/utf8.h"

static bool continues(const unsigned char *p, size_t count)
{
    for (size_t i = 1; i <= count; i++)
        if ((p[i] & 0xC0) != 0x80) return false;
    return true;
}

size_t qn_utf8_step(const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80) return 1;
    if (p[0] < 0xC2) return 0; /* a continuation byte, or overlong */
    if (p[0] < 0xE0) return size >= 2 && continues(p, 1) ? 2 : 0;
    if (p[0] < 0xF0) {
        if (size < 3 || !continues(p, 2)) return 0;
        if (p[0] == 0xE0 && p[1] < 0xA0) return 0; /* overlong */
        if (p[0] == 0xED && p[1] > 0x9F) return 0; /* surrogates */
        return 3;
    }
    if (p[0] > 0xF4 || size < 4 || !continues(p, 3)) return 0;
    if (p[0] == 0xF0 && p[1] < 0x90) return 0; /* overlong */
    if (p[0] == 0xF4 && p[1] > 0x8F) return 0; /* above U+10FFFF */
    return 4;
}

bool qn_utf8_valid(const char *text, size_t size, size_t *bad)
{
    for (size_t i = 0; i < size;) {
        size_t step = qn_utf8_step(text + i, size - i);
        if (step == 0) {
            if (bad) *bad = i;
            return false;
        }
        i += step;
    }
    return true;
}

size_t qn_utf8_put(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3F));
        code >>= 6;
    }
    static const unsigned char lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[size] | code);
    return size;
}

size_t qn_utf8_cut(const char *text, size_t size)
{
    size_t start = size;
    while (start > 0 && size - start < 3 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
    if (start == 0) return size;
    return qn_utf8_step(text + start - 1, size - (start - 1)) ? size : start - 1;
}
