/* text.h - excerpts of foreign bytes for messages: short, whole characters, nothing that moves a cursor. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define QN_EXCERPT_SIZE 80

/* The first bytes of text, at most 60 and up to a line break; control characters become '.', a cut is marked "...".
 * out has QN_EXCERPT_SIZE bytes. Returns out. */
const char *qn_text_excerpt(const char *text, size_t size, char *out);

/* No line feed and no carriage return in it? */
bool qn_text_one_line(const char *text, size_t size);
