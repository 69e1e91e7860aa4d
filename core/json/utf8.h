/* utf8.h - well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QN_UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* Bytes of the well-formed character at text (1 to 4), 0 if there is none. size > 0. */
size_t qn_utf8_step(const char *text, size_t size);
/* False, and the offset of the first byte that breaks it in *bad (may be NULL). */
bool qn_utf8_valid(const char *text, size_t size, size_t *bad);
/* Writes code (a scalar value) to out, 1 to 4 bytes; the number of bytes. */
size_t qn_utf8_put(uint32_t code, char out[4]);
/* The largest length <= size that does not cut a character of well-formed text in two. */
size_t qn_utf8_cut(const char *text, size_t size);
