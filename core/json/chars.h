/* chars.h - the content of a JSON string, decoded byte by byte where it lies. Pure; any thread.
 * The string was checked before: its escapes are well-formed and it is UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qn_chars {
    const char *at, *end; /* what is still to be read, between the quotes */
    char pending[4];      /* bytes of the character read last */
    uint8_t next, size;
    uint32_t replaced; /* lone surrogates that became U+FFFD */
};

/* content: without quotes. */
void qn_chars_init(struct qn_chars *chars, const char *content, size_t size);
int qn_chars_next(struct qn_chars *chars); /* the next byte of the decoded text, -1 at the end */
/* The value of the escape whose backslash is at *at: a scalar value, with a surrogate pair joined;
 * 0xD800..0xDFFF for a lone surrogate. Moves *at behind it. */
uint32_t qn_chars_escape(const char **at, const char *end);
