/* JSON text out: strings, numbers, minified copies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "json/number.h"
#include "json/utf8.h"
#include "json/write.h"

static struct qn_buf out;

static const char *take(int rc)
{
    static char text[256];
    assert_int_equal(rc, 0);
    assert_true(out.size < sizeof text);
    memcpy(text, out.data, out.size);
    text[out.size] = '\0';
    qn_buf_clear(&out);
    return text;
}

static void strings(void **state)
{
    (void)state;
    assert_string_equal(take(qn_json_string(&out, "", 0)), "\"\"");
    assert_string_equal(take(qn_json_string(&out, "a\"\\/\b\f\n\r\t\x01\x1f\x7f\0é€😀", 22)),
                        "\"a\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\\u0000é€😀\"");
    assert_string_equal(take(qn_json_string(&out, "a\xff\xe2\x82z", 5)), "\"a\uFFFD\uFFFD\uFFFDz\"");
    assert_string_equal(take(qn_json_string(&out, "\xed\xa0\x80", 3)), "\"\uFFFD\uFFFD\uFFFD\"");
}

static void numbers(void **state)
{
    static const struct {
        double value;
        const char *json, *plain;
    } cases[] = {
        {0, "0.0", "0"},
        {-0.0, "-0.0", "-0"},
        {1, "1.0", "1"},
        {-1.5, "-1.5", "-1.5"},
        {0.1, "0.1", "0.1"},
        {100, "100.0", "100"},
        {1e20, "100000000000000000000.0", "100000000000000000000"},
        {1e21, "1e+21", "1e+21"},
        {1.5e300, "1.5e+300", "1.5e+300"},
        {1e-6, "0.000001", "0.000001"},
        {1.25e-7, "1.25e-7", "1.25e-7"},
        {5e-324, "5e-324", "5e-324"},
        {0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"},
        {123456.789, "123456.789", "123456.789"},
        {9007199254740993.0, "9007199254740992.0", "9007199254740992"},
        {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"},
        {-1e-300, "-1e-300", "-1e-300"},
        {0.000123, "0.000123", "0.000123"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_string_equal(take(qn_json_double(&out, cases[i].value)), cases[i].json);
        assert_string_equal(take(qn_decimal_double(&out, cases[i].value)), cases[i].plain);
    }
    assert_int_equal(qn_json_double(&out, NAN), QN_ERANGE);
    assert_int_equal(qn_json_double(&out, INFINITY), QN_ERANGE);
    assert_int_equal(qn_decimal_double(&out, -INFINITY), QN_ERANGE);
    assert_string_equal(take(qn_json_integer(&out, INT64_MIN)), "-9223372036854775808");
    assert_string_equal(take(qn_json_integer(&out, INT64_MAX)), "9223372036854775807");
}

static void round_trip(void **state)
{
    struct qn_rng rng;
    (void)state;
    qn_rng_seed(&rng, 7);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = qn_rng_next(&rng);
        char text[QN_NUMBER_TEXT_SIZE];
        double value, back;
        bool exact;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        size_t size = qn_number_format(value, i % 2, text);
        assert_true(size < sizeof text);
        assert_ptr_equal(qn_number_end(text, text + size), text + size);
        back = qn_number_double(text, size, &exact);
        assert_memory_equal(&back, &value, sizeof value);
        assert_true(exact);
    }
}

/* The short ways to read a number come to what strtod says, and leave to others what they cannot tell. */
static void short_readings(void **state)
{
    (void)state;
    static const char *const texts[] = {"0",
                                        "-0",
                                        "0.0",
                                        "-0.0",
                                        "1.5",
                                        "-2.479",
                                        "100.0",
                                        "0.000000000000001",
                                        "0.1",
                                        "123456789012.345",
                                        "999999999999999",
                                        "0.30000000000000004",
                                        "1e3",
                                        "1.5E-3",
                                        "9007199254740993",
                                        "123456789012345678",
                                        "-123456789012345678",
                                        "1234567890123456789",
                                        "12345678901234.56"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t integer = 77;
        bool exact;
        size_t size = strlen(texts[i]);
        double wanted = strtod(texts[i], NULL), value = qn_number_double(texts[i], size, &exact);
        assert_memory_equal(&value, &wanted, sizeof value);
        char shortest[QN_NUMBER_TEXT_SIZE];
        size_t shortest_size = qn_number_format(value, false, shortest);
        assert_int_equal(exact, qn_number_compare(texts[i], size, shortest, shortest_size) == 0);
        bool is_short = strspn(texts[i], "-0123456789") == size && size - (texts[i][0] == '-') <= 18;
        assert_int_equal(qn_number_short(texts[i], size, &integer), is_short);
        assert_int_equal(integer, is_short ? strtoll(texts[i], NULL, 10) : 77);
    }
    assert_false(qn_number_short("", 0, &(int64_t){0}));
    assert_false(qn_number_short("-", 1, &(int64_t){0}));
}

/* A decimal of up to 15 digits is written as it was read, without the zeros that say nothing. */
static void few_decimals(void **state)
{
    struct qn_rng rng;
    (void)state;
    qn_rng_seed(&rng, 11);
    for (int i = 0; i < 50000; i++) {
        char wanted[48], text[QN_NUMBER_TEXT_SIZE];
        int decimals = (int)(qn_rng_next(&rng) % 9);
        uint64_t limit = 1;
        for (uint64_t digits = qn_rng_next(&rng) % 15 + 1; digits > 0; digits--) limit *= 10;
        uint64_t whole = qn_rng_next(&rng) % limit, power = 1;
        for (int k = 0; k < decimals; k++) power *= 10;
        snprintf(wanted, sizeof wanted, "%llu.%0*llu", (unsigned long long)(whole / power), decimals,
                 (unsigned long long)(whole % power));
        if (decimals == 0) *strchr(wanted, '.') = 0;
        for (size_t end = strlen(wanted); decimals > 0 && (wanted[end - 1] == '0' || wanted[end - 1] == '.'); end--) {
            bool point = wanted[end - 1] == '.';
            wanted[end - 1] = 0;
            if (point) break;
        }
        double value = strtod(wanted, NULL);
        if (value != 0 && value < 1e-5) continue; /* written with an exponent */
        qn_number_format(value, false, text);
        assert_string_equal(text, wanted);
    }
}

static int compare(const char *a, const char *b)
{
    int order = qn_number_compare(a, strlen(a), b, strlen(b));
    assert_int_equal(qn_number_compare(b, strlen(b), a, strlen(a)), -order);
    return order;
}

static void comparison(void **state)
{
    (void)state;
    assert_int_equal(compare("1", "1.0"), 0);
    assert_int_equal(compare("100", "1e2"), 0);
    assert_int_equal(compare("0.00120", "12E-4"), 0);
    assert_int_equal(compare("-0", "0.000e5"), 0);
    assert_int_equal(compare("-1", "1"), -1);
    assert_int_equal(compare("-2", "-1"), -1);
    assert_int_equal(compare("9", "10"), -1);
    assert_int_equal(compare("1.5", "1.45"), 1);
    assert_int_equal(compare("0", "-0.1"), 1);
    assert_int_equal(compare("0", "0.1"), -1);
    assert_int_equal(compare("9007199254740993", "9007199254740992"), 1);
    assert_int_equal(compare("123456789012345678901234567890", "123456789012345678901234567891"), -1);
    assert_int_equal(compare("1e400", "1e401"), -1);
    assert_int_equal(compare("1e-400", "0"), 1);
    assert_int_equal(compare("1e99999999999999999999", "1"), 1);
    assert_int_equal(compare("10.01", "1001e-2"), 0);
    assert_int_equal(compare("1.001", "1.0010001"), -1);
}

static void minify(void **state)
{
    static const char text[] = " { \"a b\" : [ 1 ,\n 2.50 , \"x \\\" y\" ] ,\t\"c\" : { } } ";
    struct qn_bytes *bytes = qn_bytes_new(text, sizeof text - 1);
    struct qn_doc *doc;
    qn_node node;
    (void)state;
    assert_string_equal(take(qn_json_minify(&out, text, sizeof text - 1)), "{\"a b\":[1,2.50,\"x \\\" y\"],\"c\":{}}");
    assert_int_equal(qn_doc_parse(bytes, &doc, NULL), 0);
    assert_true(qn_doc_find(doc, QN_ROOT, "a b", 3, &node));
    assert_string_equal(take(qn_json_minified(&out, doc, node)), "[1,2.50,\"x \\\" y\"]");
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
}

static void caps(void **state)
{
    struct qn_buf small;
    (void)state;
    qn_buf_init(&small, 4);
    assert_int_equal(qn_json_string(&small, "abcd", 4), QN_ELIMIT);
    assert_int_equal(small.size, 0);
    assert_int_equal(qn_json_minify(&small, "[1, 2]", 6), QN_ELIMIT);
    qn_buf_free(&small);
}

static void locales(void **state)
{
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8")) setlocale(LC_ALL, "C.UTF-8");
    assert_string_equal(take(qn_json_double(&out, 1.5)), "1.5");
    assert_true(qn_number_double("1.5", 3, NULL) == 1.5);
    setlocale(LC_ALL, "C");
}

static void cutting(void **state)
{
    (void)state;
    assert_int_equal(qn_utf8_cut("a€b", 5), 5);
    assert_int_equal(qn_utf8_cut("a€b", 4), 4);
    assert_int_equal(qn_utf8_cut("a€b", 3), 1);
    assert_int_equal(qn_utf8_cut("a€b", 2), 1);
    assert_int_equal(qn_utf8_cut("", 0), 0);
}

static int nothing_left(void **state)
{
    (void)state;
    qn_buf_free(&out);
    return qn_mem_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings),      cmocka_unit_test(numbers),        cmocka_unit_test(round_trip),
        cmocka_unit_test(few_decimals), cmocka_unit_test(short_readings), cmocka_unit_test(comparison),
        cmocka_unit_test(minify),       cmocka_unit_test(caps),           cmocka_unit_test(locales),
        cmocka_unit_test(cutting),
    };
    qn_buf_init(&out, QN_BUF_NO_CAP);
    return cmocka_run_group_tests(tests, NULL, nothing_left);
}
