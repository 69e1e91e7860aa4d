#include "rows/text.h"

#include <string.h>

enum { EXCERPT_BYTES = 60 };

const char *qn_text_excerpt(const char *text, size_t size, char *out)
{
    size_t used = 0, limit = size < EXCERPT_BYTES ? size : EXCERPT_BYTES;
    while (used < limit && text[used] != '\n' && text[used] != '\r') {
        unsigned char byte = (unsigned char)text[used];
        out[used] = byte < 0x20 || byte == 0x7f ? '.' : text[used];
        used++;
    }
    if (used < size) {
        /* not in the middle of a character */
        while (used > 0 && ((unsigned char)text[used] & 0xc0) == 0x80) used--;
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used] = '\0';
    return out;
}

enum { STRIDE = 256 };

static unsigned char lowest(const char *text, size_t size)
{
    unsigned char low = 0xff;
    for (size_t i = 0; i < size; i++) low = (unsigned char)text[i] < low ? (unsigned char)text[i] : low;
    return low;
}

/* Most texts hold no byte below a space, which is found out in strides without a way out, so that compilers look at
 * many bytes at a time. */
bool qn_text_one_line(const char *text, size_t size)
{
    unsigned char low = size < STRIDE ? lowest(text, size) : lowest(text + size - STRIDE, STRIDE);
    for (size_t at = 0; at + STRIDE <= size && low >= ' '; at += STRIDE) low = lowest(text + at, STRIDE);
    return low >= ' ' || (!memchr(text, '\n', size) && !memchr(text, '\r', size));
}
