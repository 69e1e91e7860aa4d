#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/number.h"

/* The value is 0.DDD * 10^exponent, where DDD are `count` digits from first on (a '.' between them is skipped),
 * neither the first nor the last of them zero. Zero has count 0. */
struct digits {
    const char *first;
    size_t count;
    int64_t exponent;
    bool negative;
};

#define EXPONENT_LIMIT INT64_C(1000000000000000) /* far beyond what 4 GB of digits can move */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

const char *qn_number_end(const char *p, const char *limit)
{
    if (p < limit && *p == '-') p++;
    if (p == limit || !is_digit(*p)) return NULL;
    if (*p == '0') {
        p++;
    } else {
        while (p < limit && is_digit(*p)) p++;
    }
    if (p < limit && *p == '.') {
        if (++p == limit || !is_digit(*p)) return NULL;
        while (p < limit && is_digit(*p)) p++;
    }
    if (p < limit && (*p == 'e' || *p == 'E')) {
        if (++p < limit && (*p == '+' || *p == '-')) p++;
        if (p == limit || !is_digit(*p)) return NULL;
        while (p < limit && is_digit(*p)) p++;
    }
    return p;
}

static int64_t read_exponent(const char *p, const char *limit)
{
    bool negative = p < limit && *p == '-';
    int64_t value = 0;
    if (p < limit && (*p == '-' || *p == '+')) p++;
    for (; p < limit && value < EXPONENT_LIMIT; p++) value = value * 10 + (*p - '0');
    if (value > EXPONENT_LIMIT) value = EXPONENT_LIMIT;
    return negative ? -value : value;
}

static struct digits analyse(const char *text, size_t size)
{
    const char *limit = text + size, *p = text;
    struct digits d = {.negative = size > 0 && *text == '-'};
    int64_t seen = 0, whole = -1, lead = 0, last = 0; /* counts of digits */
    if (d.negative) p++;
    for (; p < limit && *p != 'e' && *p != 'E'; p++) {
        if (*p == '.') {
            whole = seen;
            continue;
        }
        seen++;
        if (*p == '0') continue;
        if (!d.first) {
            d.first = p;
            lead = seen - 1;
        }
        last = seen;
    }
    if (!d.first) return d;
    d.count = (size_t)(last - lead);
    d.exponent = (whole < 0 ? seen : whole) - lead + (p < limit ? read_exponent(p + 1, limit) : 0);
    return d;
}

bool qn_number_short(const char *text, size_t size, int64_t *out)
{
    enum { SAFE_DIGITS = 18 }; /* so many never overflow */
    size_t at = size > 0 && text[0] == '-';
    int64_t value = 0;
    if (size == at || size - at > SAFE_DIGITS) return false;
    for (size_t i = at; i < size; i++) {
        unsigned digit = (unsigned char)text[i] - (unsigned)'0';
        if (digit > 9) return false;
        value = value * 10 + digit;
    }
    *out = at ? -value : value;
    return true;
}

static int compare_magnitude(struct digits a, struct digits b)
{
    if (a.count == 0 || b.count == 0) return (a.count > 0) - (b.count > 0);
    if (a.exponent != b.exponent) return a.exponent < b.exponent ? -1 : 1;
    const char *p = a.first, *q = b.first;
    for (size_t i = 0; i < a.count && i < b.count; i++, p++, q++) {
        if (*p == '.') p++;
        if (*q == '.') q++;
        if (*p != *q) return *p < *q ? -1 : 1;
    }
    return (a.count > b.count) - (a.count < b.count);
}

int qn_number_compare(const char *a, size_t a_size, const char *b, size_t b_size)
{
    struct digits x = analyse(a, a_size), y = analyse(b, b_size);
    bool x_negative = x.negative && x.count > 0, y_negative = y.negative && y.count > 0; /* -0 is 0 */
    if (x_negative != y_negative) return x_negative ? -1 : 1;
    int order = compare_magnitude(x, y);
    return x_negative ? -order : order;
}

/* strtod and printf follow the locale of the process, which is not ours to set. */
static locale_t c_locale;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static locale_t plain_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_locale);
    return c_locale;
}

static double read_double(const char *text)
{
    locale_t locale = plain_locale();
    return locale ? strtod_l(text, NULL, locale) : strtod(text, NULL);
}

/* Most numbers of an API have few decimals: digits / 10^k is then the double nearest to that decimal, as both are
 * exact, and there is no other decimal of 15 digits so near. 0: not so. */
static size_t few_decimals(double value, char *out, int64_t *exponent)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};
    const double magnitude = fabs(value);
    for (size_t k = 0; k < sizeof powers / sizeof *powers && magnitude * powers[k] < 1e15; k++) {
        uint64_t whole = (uint64_t)(magnitude * powers[k] + 0.5);
        if ((double)whole / powers[k] != magnitude) continue;
        size_t count = 1;
        for (uint64_t rest = whole; rest >= 10; rest /= 10) count++;
        for (size_t i = count; i > 0; i--, whole /= 10) out[i - 1] = (char)('0' + whole % 10);
        *exponent = (int64_t)count - (int64_t)k;
        while (count > 1 && out[count - 1] == '0') count--;
        return count;
    }
    return 0;
}

/* The shortest digits that read back as value (finite, not 0), in out (18 bytes), and their exponent. */
static size_t shortest(double value, char *out, int64_t *exponent)
{
    char text[QN_NUMBER_TEXT_SIZE];
    size_t few = few_decimals(value, out, exponent);
    if (few > 0) return few;
    locale_t locale = plain_locale(), before = (locale_t)0;
    if (locale) before = uselocale(locale);
    /* 15 digits survive the way through a normal double, so there is nothing shorter that differs from them
     * in more than trailing zeros; subnormals have fewer. */
    for (int precision = fabs(value) < DBL_MIN ? 1 : DBL_DIG; precision <= DBL_DECIMAL_DIG; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        if (strtod(text, NULL) == value) break;
    }
    if (locale) uselocale(before);
    struct digits d = analyse(text, strlen(text));
    const char *p = d.first;
    for (size_t i = 0; i < d.count; i++, p++) {
        if (*p == '.') p++;
        out[i] = *p;
    }
    *exponent = d.exponent;
    return d.count;
}

/* digits / 10^k, both exact as doubles: one division gives the nearest. False: more digits than that, or an exponent.
 */
static bool read_few_decimals(const char *text, size_t size, double *out)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *p = text, *end = text + size, *point = NULL;
    bool negative = p < end && *p == '-';
    uint64_t digits = 0;
    size_t count = 0;
    for (p += negative; p < end; p++) {
        if (*p == '.' && !point) {
            point = p;
            continue;
        }
        if (*p < '0' || *p > '9' || ++count > DBL_DIG) return false;
        digits = digits * 10 + (uint64_t)(*p - '0');
    }
    if (count == 0) return false;
    double value = (double)digits / powers[point ? end - point - 1 : 0];
    *out = negative ? -value : value;
    return true;
}

double qn_number_double(const char *text, size_t size, bool *exact)
{
    double few;
    if (read_few_decimals(text, size, &few)) {
        if (exact) *exact = true; /* no two decimals of 15 digits share a double */
        return few;
    }
    double value = read_double(text);
    if (!exact) return value;
    struct digits d = analyse(text, size);
    if (d.count == 0) {
        *exact = true;
    } else if (!isfinite(value) || value == 0 || d.count > DBL_DECIMAL_DIG) {
        *exact = false;
    } else if (d.count <= DBL_DIG && fabs(value) >= DBL_MIN) {
        *exact = true;
    } else {
        char out[DBL_DECIMAL_DIG + 1];
        struct digits mine = {.first = out, .negative = d.negative};
        mine.count = shortest(value, out, &mine.exponent);
        *exact = compare_magnitude(d, mine) == 0;
    }
    return value;
}

static char *put_zeros(char *p, int64_t count)
{
    while (count-- > 0) *p++ = '0';
    return p;
}

static char *put(char *p, const char *text, size_t size)
{
    memcpy(p, text, size);
    return p + size;
}

size_t qn_number_format(double value, bool keep_kind, char *out)
{
    char digits[DBL_DECIMAL_DIG + 1] = "0";
    char *p = out;
    int64_t exponent = 1;
    size_t count = 1;
    if (signbit(value)) *p++ = '-';
    if (value != 0) count = shortest(value, digits, &exponent);
    if (exponent >= (int64_t)count && exponent <= 21) { /* 1200 */
        p = put(p, digits, count);
        p = put_zeros(p, exponent - (int64_t)count);
        if (keep_kind) p = put(p, ".0", 2);
    } else if (exponent > 0 && exponent <= 21) { /* 12.34 */
        p = put(p, digits, (size_t)exponent);
        *p++ = '.';
        p = put(p, digits + exponent, count - (size_t)exponent);
    } else if (exponent > -6 && exponent <= 0) { /* 0.0012 */
        p = put(p, "0.", 2);
        p = put_zeros(p, -exponent);
        p = put(p, digits, count);
    } else { /* 1.2e-9 */
        *p++ = digits[0];
        if (count > 1) *p++ = '.';
        p = put(p, digits + 1, count - 1);
        p += snprintf(p, 8, "e%+d", (int)exponent - 1);
    }
    *p = '\0';
    return (size_t)(p - out);
}
