/* csv.h - RFC 4180 out: CRLF, commas, quotes where a cell needs them. Appends to a buffer. Any thread.
 *
 * Missing and null are an empty cell, the empty text is "" in quotes, so that a reader can tell them apart. One
 * exception: a row of a single missing cell is written "" too, because most readers skip an empty line. Texts that
 * are not UTF-8 get U+FFFD in place of what is wrong.
 *
 * `safe` is for spreadsheets, which run a cell that begins like a formula: a text that begins with = + - @, a tab or a
 * carriage return gets an apostrophe in front. Numbers, booleans and JSON never do: they cannot be formulas. */
#pragma once

#include "base/buf.h"
#include "rows/row.h"

/* A row with its CRLF. QN_ERANGE for NaN and infinity, QN_ENOMEM, QN_ELIMIT; then out may hold a part of the row. */
int qn_csv_row(struct qn_buf *out, const struct qn_value *values, size_t count, bool safe);
/* One text cell, quoted if needed. */
int qn_csv_text(struct qn_buf *out, const char *text, size_t size, bool safe);
