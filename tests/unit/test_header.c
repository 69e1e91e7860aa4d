/* Retry-After, media types, links, looking headers up. */
#include <stdio.h>

#include "net_world.h"

#include "net/header.h"
#include "net/link.h"

/* 2024-03-01T12:00:00Z, a Friday */
#define NOW INT64_C(1709294400000)

static int64_t wait_of(const char *value)
{
    int64_t ms = -2;
    return qn_header_retry_after(value, NOW, &ms) ? ms : -1;
}

static void test_retry_after_seconds(void **state)
{
    (void)state;
    assert_int_equal(wait_of("0"), 0);
    assert_int_equal(wait_of("12"), 12000);
    assert_int_equal(wait_of(" 12\t"), 12000);
    assert_int_equal(wait_of("99999999999999999999999999"), QN_RETRY_AFTER_MAX_MS);
    assert_int_equal(wait_of("9223372036854775807"), QN_RETRY_AFTER_MAX_MS);
}

static void test_retry_after_dates(void **state)
{
    (void)state;
    assert_int_equal(wait_of("Fri, 01 Mar 2024 12:00:30 GMT"), 30000);
    assert_int_equal(wait_of("Friday, 01-Mar-24 12:00:30 GMT"), 30000);
    assert_int_equal(wait_of("Fri Mar  1 12:00:30 2024"), 30000);
    assert_int_equal(wait_of("Fri, 31 Dec 9999 23:59:59 GMT"), QN_RETRY_AFTER_MAX_MS);
    assert_int_equal(wait_of("Fri, 01 Mar 2024 12:00:00 GMT"), -1);
    assert_int_equal(wait_of("Fri, 01 Mar 2024 11:00:00 GMT"), -1);
}

static void test_retry_after_nonsense(void **state)
{
    static const char *const rows[] = {"",    " ",  "-1",   "+1",   "1.5",         "1 2",
                                       "1,2", "1s", "soon", "0x10", "Fri, 01 Mar", "NaN"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) assert_int_equal(wait_of(rows[i]), -1);
}

/* The target, "-" for no such link, "!" and where it is no list of links. */
static const char *link_of(const char *value, const char *rel)
{
    static char text[200];
    struct qn_err err = {0};
    const char *target;
    size_t size;
    int rc = qn_link_find(value, strlen(value), rel, &target, &size, &err);
    if (rc == 0) return "-";
    if (rc < 0) {
        assert_int_equal(rc, QN_ESYNTAX);
        snprintf(text, sizeof text, "!%zu", err.offset);
    } else {
        snprintf(text, sizeof text, "%.*s", (int)size, target);
    }
    return text;
}

static void test_link(void **state)
{
    static const char *const rows[][2] = {
        {"<https://h/x?page=2>; rel=\"next\"", "https://h/x?page=2"},
        {"</x?a=1,2;b>; rel=next", "/x?a=1,2;b"},
        {"<p1>; rel=\"prev\", <p3>; rel=\"next\", <p9>; rel=\"last\"", "p3"},
        {"<p1>;rel=prev,<p3>;rel=next", "p3"},
        {" , <p3> ; title=\"a, <b>; rel=\\\"next\\\"\" ; REL = NeXt ,", "p3"},
        {"<p1>; title=\"rel=next\"", "-"},
        {"<p3>; rel=\"last next\"", "p3"},
        {"<p3>; rel=\"\tnext  archives\"", "p3"},
        {"<p3>; rel=\"n\\ext\"", "p3"},
        {"<p3>; rel=\"nextpage\"", "-"},
        {"<p3>; rel=\"nex\"", "-"},
        {"<p3>; rel=\"prev\"; rel=\"next\"", "-"},
        {"<p3>; rel=\"next\"; rel=\"prev\"", "p3"},
        {"<p3>; rel=next; anchor=\"#part\", <p4>; rel=next", "p4"},
        {"<p3>; rel=next; title*=UTF-8''a%20b;; crossorigin; x", "p3"},
        {"<>; rel=next", ""},
        {"<p3>; rel=https://h/rels/next", "-"},
        {"<p3>", "-"},
        {"", "-"},
        {" \t,, ", "-"},
        {"p3; rel=next", "!0"},
        {"<p3; rel=next", "!1"},
        {"<p1>; rel=prev <p3>; rel=next", "!15"},
        {"<p1>; rel=\"prev\" <p3>; rel=next", "!17"},
        {"<p1>; rel=\"next", "!15"},
        {"<p1>; rel=\"next\\", "!16"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = link_of(rows[i][0], "next");
        if (strcmp(got, rows[i][1]) != 0) fail_msg("%s: got %s, wanted %s", rows[i][0], got, rows[i][1]);
    }
    assert_string_equal(link_of("<p>; rel=\"HTTPS://h/Rel\"", "https://h/rel"), "p");
}

static void test_find(void **state)
{
    const struct qn_header headers[] = {{"Retry-After", "1", NULL}, {"retry-after", "2", NULL}, {"X", "3", NULL}};
    (void)state;
    assert_string_equal(qn_header_find(headers, 3, "RETRY-AFTER"), "1");
    assert_string_equal(qn_header_find(headers, 3, "x"), "3");
    assert_null(qn_header_find(headers, 3, "y"));
    assert_null(qn_header_find(NULL, 0, "y"));
}

static void test_media(void **state)
{
    (void)state;
    assert_true(qn_header_media_is(" Text/HTML ; charset=utf-8", "text/html"));
    assert_false(qn_header_media_is("text/html5", "text/html"));
    assert_false(qn_header_media_is(NULL, "text/html"));
    assert_true(qn_header_media_is_json("application/json;charset=utf-8"));
    assert_true(qn_header_media_is_json("application/problem+JSON"));
    assert_false(qn_header_media_is_json("+json"));
    assert_false(qn_header_media_is_json("application/x-ndjson"));
    assert_false(qn_header_media_is_json("text/html; a=application/json"));
    assert_false(qn_header_media_is_json(NULL));
}

static void test_valid(void **state)
{
    (void)state;
    assert_true(qn_header_name_valid("X-A_1", 5));
    assert_false(qn_header_name_valid("", 0));
    assert_false(qn_header_name_valid("a:b", 3));
    assert_false(qn_header_name_valid("a\0b", 3));
    assert_true(qn_header_value_valid("a \t\xc3\xa9", 5));
    assert_false(qn_header_value_valid("a\r\nb: c", 7));
    assert_false(qn_header_value_valid("a\0", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry_after_seconds),
        cmocka_unit_test(test_retry_after_dates),
        cmocka_unit_test(test_retry_after_nonsense),
        cmocka_unit_test(test_link),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_media),
        cmocka_unit_test(test_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
