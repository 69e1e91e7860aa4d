/* decimal.h - decimal arithmetic for columns: 0.1 + 0.2 is 0.3, and 1.005 to two places is 1.01.
 *
 * A value is digits * 10^exponent with at most QN_DECIMAL_DIGITS significant digits. Whatever needs more is
 * rounded to that many, half away from zero; below that everything is exact. Pure; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QN_DECIMAL_DIGITS    36
#define QN_DECIMAL_TEXT_SIZE 64

__extension__ typedef __int128 qn_int128;

struct qn_decimal {
    qn_int128 digits; /* no trailing zeros; 0 is 0 * 10^0 */
    int32_t exponent;
};

/* A number as JSON writes it, and nothing else. False: it is not one, or its exponent is beyond +-100,000. */
bool qn_decimal_parse(const char *text, size_t size, struct qn_decimal *out);
struct qn_decimal qn_decimal_from(int64_t value);
struct qn_decimal qn_decimal_add(struct qn_decimal a, struct qn_decimal b);
struct qn_decimal qn_decimal_multiply(struct qn_decimal a, struct qn_decimal b);
/* To that many decimals (0 or more), half away from zero. */
struct qn_decimal qn_decimal_round(struct qn_decimal value, int places);
/* The quotient by a positive count, to that many decimals, half away from zero. False if it needs too many digits. */
bool qn_decimal_divide(struct qn_decimal value, uint64_t count, int places, struct qn_decimal *out);
int qn_decimal_compare(struct qn_decimal a, struct qn_decimal b); /* -1, 0, 1 */
bool qn_decimal_integer(struct qn_decimal value, int64_t *out);   /* false: has a fraction, or is beyond 64 bits */
bool qn_decimal_integral(struct qn_decimal value);
double qn_decimal_to_double(struct qn_decimal value);
int qn_decimal_length(struct qn_decimal value); /* significant digits; 1 for zero */
/* A JSON number: plain up to 21 digits, else with an exponent. out has QN_DECIMAL_TEXT_SIZE bytes; the length. */
size_t qn_decimal_format(struct qn_decimal value, char *out);
