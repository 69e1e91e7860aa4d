/* write.h - JSON text out (RFC 8259): strings, numbers, minified copies. Appends to a buffer. Any thread. */
#pragma once

#include "json/doc.h"

int qn_json_string(struct qn_buf *out, const char *text,
                   size_t size); /* quotes and escapes; invalid UTF-8 becomes U+FFFD */
int qn_json_integer(struct qn_buf *out, int64_t value);
/* Shortest decimal that reads back as the same double; "-0.0" keeps its sign; QN_ERANGE for NaN and infinity.
 * An integral double is written with ".0" so that readers keep its kind. */
int qn_json_double(struct qn_buf *out, double value);
/* The same without ".0": the plain shortest decimal, for CSV and numbers whose kind does not matter. */
int qn_decimal_double(struct qn_buf *out, double value);
/* The source text of node; whitespace between tokens is removed. */
int qn_json_minified(struct qn_buf *out, const struct qn_doc *doc, qn_node node);
/* The same for a text known to be valid JSON. */
int qn_json_minify(struct qn_buf *out, const char *text, size_t size);
