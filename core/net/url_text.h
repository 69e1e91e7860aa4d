/* url_text.h - the characters of URLs: which are plain, percent forms, and copying with both made uniform.
 * Internal to core/net. Pure, any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Letters, digits and "-._~": never need an escape. */
bool qn_url_plain(unsigned char c);
/* The byte written as "%xx" at text, or -1. */
int qn_url_percent(const char *text, const char *end);
/* Copies a path or query so that equal texts look equal: escapes in upper case, plain characters without escape (if
 * `unescape`), what may not stand in a URL escaped. */
int qn_url_add_clean(struct qn_buf *out, const char *text, size_t size, bool unescape);
/* Everything but plain characters escaped. */
int qn_url_add_escaped(struct qn_buf *out, const char *text, size_t size);
