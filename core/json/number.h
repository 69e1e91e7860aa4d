/* number.h - the text of JSON numbers: grammar, exact comparison, doubles read and written. Pure; any thread.
 * The locale of the process plays no part. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QN_NUMBER_TEXT_SIZE 40

/* The end of the number that begins at text (the longest that RFC 8259 allows), NULL if none does. */
const char *qn_number_end(const char *text, const char *limit);
/* An integer of at most 18 digits; false for any other number. */
bool qn_number_short(const char *text, size_t size, int64_t *out);
/* Compares the decimal values of two JSON numbers, exactly: -1, 0, 1. */
int qn_number_compare(const char *a, size_t a_size, const char *b, size_t b_size);
/* Nearest double. The byte behind the number must be readable and no part of one. exact: see qn_doc_double. */
double qn_number_double(const char *text, size_t size, bool *exact);
/* Shortest decimal of a finite double as ECMAScript writes it; keep_kind adds ".0" to integral ones.
 * out has QN_NUMBER_TEXT_SIZE bytes; the length. */
size_t qn_number_format(double value, bool keep_kind, char *out);
