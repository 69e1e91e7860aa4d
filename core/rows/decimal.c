#include "rows/decimal.h"

#include <stdlib.h>
#include <string.h>

enum { EXPONENT_LIMIT = 100000, POWER_LIMIT = 38, PLAIN_DIGITS = 21, PLAIN_ZEROS = 6 };

static qn_int128 power(int n) /* 10^n, n at most POWER_LIMIT */
{
    qn_int128 result = 1;
    while (n-- > 0) result *= 10;
    return result;
}

static qn_int128 magnitude(qn_int128 value)
{
    return value < 0 ? -value : value;
}

static int length(qn_int128 value)
{
    int count = 1;
    for (value = magnitude(value); value >= 10; value /= 10) count++;
    return count;
}

/* value / 10^n, half away from zero */
static qn_int128 shift_down(qn_int128 value, int n)
{
    if (n <= 0) return value;
    if (n > POWER_LIMIT) return 0;
    qn_int128 divisor = power(n), quotient = value / divisor, rest = magnitude(value % divisor);
    if (rest >= divisor - rest) quotient += value < 0 ? -1 : 1;
    return quotient;
}

static struct qn_decimal normal(qn_int128 digits, int32_t exponent)
{
    int excess = length(digits) - QN_DECIMAL_DIGITS;
    if (excess > 0) {
        digits = shift_down(digits, excess);
        exponent += excess;
    }
    while (digits != 0 && digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    return (struct qn_decimal){digits, digits == 0 ? 0 : exponent};
}

struct qn_decimal qn_decimal_from(int64_t value)
{
    return normal(value, 0);
}

struct scan {
    const char *at, *end;
    qn_int128 digits;
    int32_t exponent;
    int kept; /* significant digits taken: one more than a value holds, so that the last can round */
};

/* Digits beyond those kept only move the exponent. False without a single digit, or with absurdly many. */
static bool scan_digits(struct scan *scan, bool fraction)
{
    const char *begin = scan->at;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++) {
        bool kept = scan->kept <= QN_DECIMAL_DIGITS;
        if (kept) scan->digits = scan->digits * 10 + (*scan->at - '0');
        if (kept && scan->digits != 0) scan->kept++;
        if (fraction && kept) scan->exponent--;
        if (!fraction && !kept) scan->exponent++;
        if (scan->exponent > EXPONENT_LIMIT || scan->exponent < -EXPONENT_LIMIT) return false;
    }
    return scan->at > begin;
}

static bool scan_exponent(struct scan *scan)
{
    bool minus = scan->at < scan->end && *scan->at == '-';
    if (scan->at < scan->end && (*scan->at == '-' || *scan->at == '+')) scan->at++;
    const char *begin = scan->at;
    int32_t value = 0;
    for (; scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9'; scan->at++) {
        if (value <= EXPONENT_LIMIT) value = value * 10 + (*scan->at - '0');
    }
    if (scan->at == begin || value > EXPONENT_LIMIT) return false;
    scan->exponent += minus ? -value : value;
    return true;
}

bool qn_decimal_parse(const char *text, size_t size, struct qn_decimal *out)
{
    struct scan scan = {text, text + size, 0, 0, 0};
    bool minus = size > 0 && *text == '-';
    if (minus) scan.at++;
    const char *begin = scan.at;
    if (!scan_digits(&scan, false)) return false;
    if (*begin == '0' && scan.at - begin > 1) return false;
    if (scan.at < scan.end && *scan.at == '.') {
        scan.at++;
        if (!scan_digits(&scan, true)) return false;
    }
    if (scan.at < scan.end && (*scan.at == 'e' || *scan.at == 'E')) {
        scan.at++;
        if (!scan_exponent(&scan)) return false;
    }
    if (scan.at != scan.end) return false;
    *out = normal(minus ? -scan.digits : scan.digits, scan.exponent);
    return true;
}

struct qn_decimal qn_decimal_add(struct qn_decimal a, struct qn_decimal b)
{
    if (a.digits == 0) return b;
    if (b.digits == 0) return a;
    if (a.exponent < b.exponent) {
        struct qn_decimal swap = a;
        a = b;
        b = swap;
    }
    int distance = a.exponent - b.exponent, room = POWER_LIMIT - 1 - length(a.digits);
    int up = distance < room ? distance : room;
    return normal(a.digits * power(up) + shift_down(b.digits, distance - up), a.exponent - up);
}

struct qn_decimal qn_decimal_multiply(struct qn_decimal a, struct qn_decimal b)
{
    int length_a = length(a.digits), length_b = length(b.digits), excess = length_a + length_b - POWER_LIMIT;
    if (excess > 0) {
        struct qn_decimal *longer = length_a >= length_b ? &a : &b;
        longer->digits = shift_down(longer->digits, excess + 1); /* one more: rounding may carry into a new digit */
        longer->exponent += excess + 1;
    }
    return normal(a.digits * b.digits, a.exponent + b.exponent);
}

struct qn_decimal qn_decimal_round(struct qn_decimal value, int places)
{
    int drop = -value.exponent - places;
    if (drop <= 0) return value;
    return normal(shift_down(value.digits, drop), -places);
}

bool qn_decimal_divide(struct qn_decimal value, uint64_t count, int places, struct qn_decimal *out)
{
    qn_int128 numerator = value.digits, denominator = count;
    int up = value.exponent + places;
    if (up >= 0) {
        if (length(numerator) + up > POWER_LIMIT - 1) return false;
        numerator *= power(up);
    } else if (length(denominator) - up > POWER_LIMIT - 1) {
        numerator = 0; /* the denominator is more than ten times larger than any numerator */
    } else {
        denominator *= power(-up);
    }
    qn_int128 quotient = numerator / denominator, rest = magnitude(numerator % denominator);
    if (rest >= denominator - rest) quotient += numerator < 0 ? -1 : 1;
    *out = normal(quotient, -places);
    return true;
}

int qn_decimal_compare(struct qn_decimal a, struct qn_decimal b)
{
    int sign_a = (a.digits > 0) - (a.digits < 0), sign_b = (b.digits > 0) - (b.digits < 0);
    if (sign_a != sign_b) return sign_a < sign_b ? -1 : 1;
    if (sign_a == 0) return 0;
    int length_a = length(a.digits), length_b = length(b.digits);
    int top_a = length_a + a.exponent, top_b = length_b + b.exponent;
    if (top_a != top_b) return (top_a < top_b) == (sign_a > 0) ? -1 : 1;
    if (length_a < length_b)
        a.digits *= power(length_b - length_a);
    else
        b.digits *= power(length_a - length_b);
    return (a.digits > b.digits) - (a.digits < b.digits);
}

bool qn_decimal_integral(struct qn_decimal value)
{
    return value.exponent >= 0; /* normal form has no trailing zeros */
}

bool qn_decimal_integer(struct qn_decimal value, int64_t *out)
{
    if (value.exponent < 0 || value.exponent > 18) return false;
    if (length(value.digits) + value.exponent > 19) return false;
    qn_int128 whole = value.digits * power(value.exponent);
    if (whole > INT64_MAX || whole < INT64_MIN) return false;
    *out = (int64_t)whole;
    return true;
}

int qn_decimal_length(struct qn_decimal value)
{
    return length(value.digits);
}

static size_t write_integer(char *out, int value)
{
    char reversed[12];
    size_t count = 0, size = 0;
    unsigned rest = value < 0 ? 0u - (unsigned)value : (unsigned)value;
    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) out[size++] = '-';
    while (count > 0) out[size++] = reversed[--count];
    return size;
}

double qn_decimal_to_double(struct qn_decimal value)
{
    char text[QN_DECIMAL_TEXT_SIZE]; /* digits and an exponent: no point, so no locale can matter */
    size_t size = 0;
    qn_int128 rest = magnitude(value.digits);
    int count = length(rest);
    if (value.digits < 0) text[size++] = '-';
    for (int i = count - 1; i >= 0; i--, rest /= 10) text[size + (size_t)i] = (char)('0' + (int)(rest % 10));
    size += (size_t)count;
    text[size++] = 'e';
    size += write_integer(text + size, value.exponent);
    text[size] = '\0';
    return strtod(text, NULL);
}

/* d.ddde-7 */
static size_t format_exponent(const char *digits, int count, int top, char *out)
{
    size_t size = 0;
    out[size++] = digits[0];
    if (count > 1) {
        out[size++] = '.';
        memcpy(out + size, digits + 1, (size_t)count - 1);
        size += (size_t)count - 1;
    }
    out[size++] = 'e';
    if (top - 1 >= 0) out[size++] = '+';
    return size + write_integer(out + size, top - 1);
}

static size_t format_plain(const char *digits, int count, int top, char *out)
{
    size_t size = 0;
    for (int i = 0; i < top; i++) out[size++] = i < count ? digits[i] : '0';
    if (top <= 0) out[size++] = '0';
    if (top >= count) return size;
    out[size++] = '.';
    for (int i = top; i < 0; i++) out[size++] = '0';
    for (int i = top > 0 ? top : 0; i < count; i++) out[size++] = digits[i];
    return size;
}

size_t qn_decimal_format(struct qn_decimal value, char *out)
{
    char digits[48] = "";
    qn_int128 rest = magnitude(value.digits);
    int count = length(rest), top = count + value.exponent; /* digits before the point */
    for (int i = count - 1; i >= 0; i--, rest /= 10) digits[i] = (char)('0' + (int)(rest % 10));
    size_t sign = 0;
    if (value.digits < 0) out[sign++] = '-';
    bool plain = top <= PLAIN_DIGITS && top > -PLAIN_ZEROS;
    size_t size = sign + (plain ? format_plain : format_exponent)(digits, count, top, out + sign);
    out[size] = '\0';
    return size;
}
