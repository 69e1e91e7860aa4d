/* Local times: changes of clocks, ends of months, zones without summer time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/zone.h"

static int64_t at(const char *text)
{
    int64_t ms;
    assert_int_equal(qn_time_parse(text, strlen(text), &ms, NULL, NULL), 0);
    return ms;
}

static struct qn_zone *open_zone(const char *name)
{
    struct qn_zone *zone;
    struct qn_err err = {0};
    if (qn_zone_open(name, &zone, &err) < 0) fail_msg("%s: %s", name, err.text);
    return zone;
}

static void check_format(const char *name, const char *utc, const char *local)
{
    char text[QN_TIME_TEXT_SIZE];
    struct qn_zone *zone = open_zone(name);
    qn_zone_format(zone, at(utc), 0, text);
    assert_string_equal(text, local);
    qn_zone_close(zone);
}

static void formats(void **state)
{
    (void)state;
    check_format("Europe/Berlin", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+01:00");
    check_format("Europe/Berlin", "2024-07-01T00:00:00Z", "2024-07-01T02:00:00+02:00");
    check_format("America/New_York", "2024-01-01T00:00:00Z", "2023-12-31T19:00:00-05:00");
    check_format("Asia/Kolkata", "2024-01-01T00:00:00Z", "2024-01-01T05:30:00+05:30");
    check_format("Australia/Sydney", "2024-01-01T00:00:00Z", "2024-01-01T11:00:00+11:00");
    check_format("UTC", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59+00:00");
}

/* local: what a clock on the wall shows, written as if it were UTC. */
static void check_instant(const char *name, const char *local, const char *utc)
{
    struct qn_zone *zone = open_zone(name);
    if (qn_zone_instant(zone, at(local)) != at(utc)) fail_msg("%s in %s is not %s", local, name, utc);
    qn_zone_close(zone);
}

static void instants(void **state)
{
    (void)state;
    check_instant("Europe/Berlin", "2024-01-01T00:00:00Z", "2023-12-31T23:00:00Z");
    check_instant("Europe/Berlin", "2024-03-31T01:59:59Z", "2024-03-31T00:59:59Z");
    check_instant("Europe/Berlin", "2024-03-31T02:30:00Z", "2024-03-31T01:30:00Z"); /* skipped: is 03:30 */
    check_instant("Europe/Berlin", "2024-03-31T03:00:00Z", "2024-03-31T01:00:00Z");
    check_instant("Europe/Berlin", "2024-10-27T02:30:00Z", "2024-10-27T00:30:00Z"); /* comes twice: the first */
    check_instant("Europe/Berlin", "2024-10-27T03:00:00Z", "2024-10-27T02:00:00Z");
    check_instant("America/New_York", "2024-11-03T01:30:00Z", "2024-11-03T05:30:00Z");
    check_instant("Australia/Lord_Howe", "2024-04-07T01:45:00Z", "2024-04-06T14:45:00Z"); /* half an hour comes twice */
    check_instant("America/Sao_Paulo", "2018-11-04T00:00:00Z", "2018-11-04T03:00:00Z"); /* midnight is skipped: 01:00 */
    check_instant("Asia/Kolkata", "2024-06-01T00:00:00Z", "2024-05-31T18:30:00Z");
}

static void check_add(const char *name, const char *utc, const char *duration, int64_t times, const char *sum)
{
    struct qn_zone *zone = open_zone(name);
    struct qn_duration parsed;
    int64_t got;
    assert_int_equal(qn_duration_parse(duration, strlen(duration), &parsed, NULL), 0);
    assert_int_equal(qn_zone_add(zone, at(utc), &parsed, times, &got), 0);
    if (got != at(sum)) fail_msg("%s + %s in %s is not %s", utc, duration, name, sum);
    qn_zone_close(zone);
}

static void additions(void **state)
{
    (void)state;
    check_add("Europe/Berlin", "2024-03-30T23:00:00Z", "P1D", 1, "2024-03-31T22:00:00Z"); /* 23 hours */
    check_add("Europe/Berlin", "2024-10-26T22:00:00Z", "P1D", 1, "2024-10-27T23:00:00Z"); /* 25 hours */
    check_add("Europe/Berlin", "2024-03-30T23:00:00Z", "PT24H", 1, "2024-03-31T23:00:00Z");
    check_add("Europe/Berlin", "2024-02-29T23:00:00Z", "P1M", 1, "2024-03-31T22:00:00Z"); /* March to April */
    check_add("Europe/Berlin", "2024-01-30T23:00:00Z", "P1M", 1, "2024-02-28T23:00:00Z"); /* 31 January: clamped */
    check_add("Europe/Berlin", "2024-03-31T22:00:00Z", "P1D", -1, "2024-03-30T23:00:00Z");
    check_add("UTC", "2024-03-30T23:00:00Z", "P1DT1H", 2, "2024-04-02T01:00:00Z");
}

static void unknown(void **state)
{
    static const char *const names[] = {"",        "Europe/Berlln", "/etc/passwd", "../../etc/passwd", "Europe//Berlin",
                                        "Europe/", "a b",           ":UTC"};
    struct qn_zone *zone;
    struct qn_err err;
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(qn_zone_open(names[i], &zone, &err), QN_EINVAL);
        assert_null(zone);
        assert_non_null(strstr(err.text, "tzdata"));
    }
    qn_zone_close(NULL);
}

static void *use(void *failed)
{
    static const char *const names[] = {"Europe/Berlin", "Asia/Kolkata", "America/New_York"};
    for (int i = 0; i < 300; i++) {
        struct qn_zone *zone;
        if (qn_zone_open(names[i % 3], &zone, NULL) < 0) return failed;
        if (qn_zone_offset(zone, 1704067200000) % 1800000 != 0) *(int *)failed = 1;
        qn_zone_close(zone);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t thread[4];
    int failed[4] = {0};
    void *result;
    (void)state;
    for (int i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, use, &failed[i]), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(thread[i], &result), 0);
        assert_null(result);
        assert_int_equal(failed[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(instants),
                                       cmocka_unit_test(additions), cmocka_unit_test(unknown),
                                       cmocka_unit_test(threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
