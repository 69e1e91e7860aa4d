#include "rows/text.h"

#include <string.h>

#include "base/lowest.h"

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

/* Most texts hold no byte below a space. */
bool qn_text_one_line(const char *text, size_t size)
{
    return qn_lowest_byte(text, size) >= ' ' || (!memchr(text, '\n', size) && !memchr(text, '\r', size));
}
