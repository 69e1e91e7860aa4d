/* test_decimal.c - decimal arithmetic against values worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "rows/decimal.h"

static struct qn_decimal of(const char *text)
{
    struct qn_decimal value = {0};
    if (!qn_decimal_parse(text, strlen(text), &value)) fail_msg("%s is not a number", text);
    return value;
}

static void expect(struct qn_decimal value, const char *wanted)
{
    char text[QN_DECIMAL_TEXT_SIZE];
    size_t size = qn_decimal_format(value, text);
    assert_string_equal(text, wanted);
    assert_int_equal(size, strlen(wanted));
}

static void test_parse(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "-",  "+1", "01",  "1.",  ".5",       "1e", "1e+",
                                      "abc", "1 ", " 1", "0x1", "NaN", "1e100001", "--1"};
    struct qn_decimal value;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (qn_decimal_parse(bad[i], strlen(bad[i]), &value)) fail_msg("'%s' was taken", bad[i]);
    }
    expect(of("0"), "0");
    expect(of("-0"), "0");
    expect(of("0.000"), "0");
    expect(of("1.50"), "1.5");
    expect(of("-12.5e1"), "-125");
    expect(of("9223372036854775808"), "9223372036854775808");
    expect(of("1e21"), "1e+21");
    expect(of("1e20"), "100000000000000000000");
    expect(of("0.000001"), "0.000001");
    expect(of("0.0000001"), "1e-7");
    expect(of("1.5e-9"), "1.5e-9");
    expect(of("123456789012345678901234567890123456"), "1.23456789012345678901234567890123456e+35");
    expect(of("1234567890123456789012345678901234565"), "1.23456789012345678901234567890123457e+36");
    expect(of("0.1234567890123456789012345678901234564"), "0.123456789012345678901234567890123456");
    expect(of("0.00000000000000000000000000000000000000000000000000001"), "1e-53");
}

static void test_add(void **state)
{
    (void)state;
    expect(qn_decimal_add(of("0.1"), of("0.2")), "0.3");
    expect(qn_decimal_add(of("9223372036854775807"), of("1")), "9223372036854775808");
    expect(qn_decimal_add(of("1e30"), of("-1e30")), "0");
    expect(qn_decimal_add(of("5"), of("0")), "5");
    expect(qn_decimal_add(of("0"), of("5")), "5");
    expect(qn_decimal_add(of("1e300"), of("1")), "1e+300");
    expect(qn_decimal_add(of("1"), of("1e-300")), "1");
    expect(qn_decimal_add(of("99.5"), of("0.5")), "100");
}

static void test_multiply_and_round(void **state)
{
    (void)state;
    expect(qn_decimal_round(qn_decimal_multiply(of("1005"), of("0.001")), 2), "1.01");
    expect(qn_decimal_round(of("2.5"), 0), "3");
    expect(qn_decimal_round(of("-2.5"), 0), "-3");
    expect(qn_decimal_round(of("2.4999"), 0), "2");
    expect(qn_decimal_round(of("0.05"), 1), "0.1");
    expect(qn_decimal_round(of("0.04"), 1), "0");
    expect(qn_decimal_round(of("1e-300"), 3), "0");
    expect(qn_decimal_round(of("123"), 2), "123");
    expect(qn_decimal_round(of("9.999"), 2), "10");
    expect(qn_decimal_multiply(of("123456789012345678901234567890123456"), of("0.001")),
           "1.23456789012345678901234567890123456e+32");
    expect(qn_decimal_multiply(of("999999999999999999999999999999999999"), of("999999999999999")),
           "9.99999999999999e+50");
}

static void test_divide(void **state)
{
    (void)state;
    struct qn_decimal value;
    assert_true(qn_decimal_divide(of("10"), 3, 2, &value));
    expect(value, "3.33");
    assert_true(qn_decimal_divide(of("20"), 3, 0, &value));
    expect(value, "7");
    assert_true(qn_decimal_divide(of("-5"), 2, 0, &value));
    expect(value, "-3");
    assert_true(qn_decimal_divide(of("1e-300"), 2, 3, &value));
    expect(value, "0");
    assert_true(qn_decimal_divide(of("0.005"), 1, 2, &value));
    expect(value, "0.01");
    assert_false(qn_decimal_divide(of("1e60"), 7, 2, &value));
}

static void test_compare_and_convert(void **state)
{
    (void)state;
    int64_t integer = 0;
    assert_int_equal(qn_decimal_compare(of("1.0"), of("1")), 0);
    assert_int_equal(qn_decimal_compare(of("-2"), of("1")), -1);
    assert_int_equal(qn_decimal_compare(of("-2"), of("-10")), 1);
    assert_int_equal(qn_decimal_compare(of("1e5"), of("99999")), 1);
    assert_int_equal(qn_decimal_compare(of("0.15"), of("0.2")), -1);
    assert_int_equal(qn_decimal_compare(of("0"), of("-0")), 0);
    assert_true(qn_decimal_integer(of("-9223372036854775808"), &integer));
    assert_true(integer == INT64_MIN);
    assert_true(qn_decimal_integer(of("5e3"), &integer));
    assert_int_equal(integer, 5000);
    assert_false(qn_decimal_integer(of("9223372036854775808"), &integer));
    assert_false(qn_decimal_integer(of("1.5"), &integer));
    assert_false(qn_decimal_integer(of("1e19"), &integer));
    assert_true(qn_decimal_to_double(of("0.1")) == 0.1);
    assert_true(qn_decimal_to_double(of("-1.5e300")) == -1.5e300);
    assert_int_equal(qn_decimal_length(of("0.016666666666666666")), 17);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_multiply_and_round),
        cmocka_unit_test(test_divide),
        cmocka_unit_test(test_compare_and_convert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
