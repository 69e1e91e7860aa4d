/* Instants, durations, HTTP dates: what is taken, what is refused, what comes out. */
#include "base_world.h"

#include "base/time.h"

#define NOW     INT64_C(1709294400000) /* 2024-03-01T12:00:00Z, a Friday */
#define DAY     INT64_C(86400000)
#define FIRST   INT64_C(-62135596800000)
#define LAST    INT64_C(253402300799999)
#define REFUSED INT64_MIN

static int64_t parsed(const char *text)
{
    int64_t ms = 7;
    struct qn_err err;
    bool is_date;
    int rc = qn_time_parse(text, strlen(text), &ms, &is_date, &err);
    assert_int_equal(qn_time_parse(text, strlen(text), &ms, NULL, NULL), rc);
    if (rc == 0) return ms;
    assert_int_equal(err.code, rc);
    assert_int_equal(ms, 7);
    assert_true(err.offset <= strlen(text) && err.text[0]);
    return REFUSED;
}

static const char *shown(int64_t ms)
{
    static char text[QN_TIME_TEXT_SIZE];
    if (ms == REFUSED) return "refused";
    qn_time_format(ms, 3, text);
    return text;
}

static void test_parse_taken(void **state)
{
    static const struct {
        const char *text, *instant;
    } rows[] = {
        {"2024-01-01", "2024-01-01T00:00:00.000Z"},
        {"0001-01-01", "0001-01-01T00:00:00.000Z"},
        {"9999-12-31", "9999-12-31T00:00:00.000Z"},
        {"2024-02-29", "2024-02-29T00:00:00.000Z"},
        {"2000-02-29", "2000-02-29T00:00:00.000Z"},
        {"1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"},
        {"2024-01-01T10:00:00z", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01t10:00:00Z", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01 10:00:00Z", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01T10:00Z", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01T10:00:00.5Z", "2024-01-01T10:00:00.500Z"},
        {"2024-01-01T10:00:00,05Z", "2024-01-01T10:00:00.050Z"},
        {"2024-01-01T10:00:00.0009Z", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01T10:00:00.999999999999999999999999999Z", "2024-01-01T10:00:00.999Z"},
        {"1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"},
        {"2024-01-01T10:00:00+02:00", "2024-01-01T08:00:00.000Z"},
        {"2024-01-01T10:00:00-05:30", "2024-01-01T15:30:00.000Z"},
        {"2024-01-01T10:00:00.25+0200", "2024-01-01T08:00:00.250Z"},
        {"2024-01-01T00:30:00+01", "2023-12-31T23:30:00.000Z"},
        {"2024-01-01T10:00:00-00:00", "2024-01-01T10:00:00.000Z"},
        {"2024-01-01T00:00:00+23:59", "2023-12-31T00:01:00.000Z"},
        {"2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"},
        {"2016-12-31T23:59:60.7Z", "2016-12-31T23:59:59.999Z"},
        {"2017-01-01T00:59:60+01:00", "2016-12-31T23:59:59.999Z"},
        {"0001-01-01T00:00:00-00:01", "0001-01-01T00:01:00.000Z"},
        {"9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"},
        {"9999-12-31T23:59:59.9999+00:01", "9999-12-31T23:58:59.999Z"},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) assert_string_equal(shown(parsed(rows[i].text)), rows[i].instant);
    assert_int_equal(parsed("0001-01-01"), FIRST);
    assert_int_equal(parsed("9999-12-31T23:59:59.999Z"), LAST);
    assert_int_equal(parsed("2024-03-01T12:00:00Z"), NOW);

    int64_t ms;
    bool is_date;
    assert_int_equal(qn_time_parse("2024-01-01xyz", 10, &ms, &is_date, NULL), 0); /* the size counts, not a NUL */
    assert_true(is_date);
    assert_int_equal(qn_time_parse("2024-01-01T00:00:00Z", 20, &ms, &is_date, NULL), 0);
    assert_false(is_date);
}

static void test_parse_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {"", QN_ESYNTAX},
        {"2024", QN_ESYNTAX},
        {"2024-01", QN_ESYNTAX},
        {"2024-1-1", QN_ESYNTAX},
        {"20240101", QN_ESYNTAX},
        {"24-01-01", QN_ESYNTAX},
        {"+2024-01-01", QN_ESYNTAX},
        {"-2024-01-01", QN_ESYNTAX},
        {"12024-01-01", QN_ESYNTAX},
        {" 2024-01-01", QN_ESYNTAX},
        {"2024-01-01 ", QN_ESYNTAX},
        {"2024-01-01Z", QN_ESYNTAX},
        {"2024-01-01T", QN_ESYNTAX},
        {"2024-01-01T10", QN_ESYNTAX},
        {"2024-01-01T10Z", QN_ESYNTAX},
        {"2024-01-01T10:00:00", QN_ESYNTAX}, /* no zone */
        {"2024-01-01T10:00", QN_ESYNTAX},
        {"2024-01-01T10:00:00.Z", QN_ESYNTAX},
        {"2024-01-01T10:00.5Z", QN_ESYNTAX},
        {"2024-01-01T1:00:00Z", QN_ESYNTAX},
        {"2024-01-01T10:00:00ZZ", QN_ESYNTAX},
        {"2024-01-01T10:00:00Z ", QN_ESYNTAX},
        {"2024-01-01T10:00:00+", QN_ESYNTAX},
        {"2024-01-01T10:00:00+2", QN_ESYNTAX},
        {"2024-01-01T10:00:00+02:", QN_ESYNTAX},
        {"2024-01-01T10:00:00+02:0", QN_ESYNTAX},
        {"2024-01-01T10:00:00+020", QN_ESYNTAX},
        {"2024-01-01T10:00:00+02:00Z", QN_ESYNTAX},
        {"2024-01-01T10:00:00+24:00", QN_ESYNTAX},
        {"2024-01-01T10:00:00+02:60", QN_ESYNTAX},
        {"2024-01-01T10:00:00 UTC", QN_ESYNTAX},
        {"2024-01-01T10:00:00[Europe/Paris]", QN_ESYNTAX},
        {"0000-01-01", QN_ERANGE},
        {"2024-00-01", QN_ERANGE},
        {"2024-13-01", QN_ERANGE},
        {"2024-01-00", QN_ERANGE},
        {"2024-01-32", QN_ERANGE},
        {"2024-04-31", QN_ERANGE},
        {"2023-02-29", QN_ERANGE},
        {"1900-02-29", QN_ERANGE},
        {"2024-01-01T24:00:00Z", QN_ERANGE},
        {"2024-01-01T10:60:00Z", QN_ERANGE},
        {"2024-01-01T10:00:61Z", QN_ERANGE},
        {"0001-01-01T00:00:00+00:01", QN_ERANGE},
        {"9999-12-31T23:59:59-00:01", QN_ERANGE},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        struct qn_err err;
        int64_t ms;
        if (qn_time_parse(rows[i].text, strlen(rows[i].text), &ms, NULL, &err) != rows[i].code) {
            fail_msg("'%s' should be refused with %s", rows[i].text, qn_err_name(rows[i].code));
        }
        assert_int_equal(parsed(rows[i].text), REFUSED);
    }
    struct qn_err err;
    int64_t ms;
    qn_time_parse("2024-01-01T10:00:00", 19, &ms, NULL, &err);
    assert_non_null(strstr(err.text, "zone"));
    qn_time_parse("2024-01-0x", 10, &ms, NULL, &err);
    assert_int_equal(err.offset, 9);
    assert_int_equal(qn_time_parse("2024-01-01\0", 11, &ms, NULL, &err), QN_ESYNTAX);
    char wide[2000];
    memset(wide, '9', sizeof wide);
    assert_int_equal(qn_time_parse(wide, sizeof wide, &ms, NULL, &err), QN_ESYNTAX);
}

static void test_every_day(void **state)
{
    (void)state;
    for (int64_t ms = FIRST; ms <= LAST; ms += 13 * DAY + 3599987) { /* what is written reads back */
        assert_int_equal(parsed(shown(ms)), ms);
        char text[QN_TIME_TEXT_SIZE];
        qn_time_format(ms, 0, text);
        assert_int_equal(parsed(text), qn_time_floor(ms, 1000));
    }
}

static void test_format(void **state)
{
    char text[QN_TIME_TEXT_SIZE];
    (void)state;
    qn_time_format(NOW + 999, 0, text);
    assert_string_equal(text, "2024-03-01T12:00:00Z");
    qn_time_format(-1, 0, text);
    assert_string_equal(text, "1969-12-31T23:59:59Z");
    qn_time_format(-1, 3, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    qn_time_format(FIRST, 3, text);
    assert_string_equal(text, "0001-01-01T00:00:00.000Z");
    qn_time_format(INT64_MAX, 3, text); /* beyond the calendar: a text that does not read back, and no more */
    assert_int_equal(parsed(text), REFUSED);
    qn_time_format(INT64_MIN, 3, text);
    assert_int_equal(parsed(text), REFUSED);
    assert_string_equal(text, "-292275055-05-16T16:47:04.192Z");
}

static void test_floor(void **state)
{
    (void)state;
    assert_int_equal(qn_time_floor(1999, 1000), 1000);
    assert_int_equal(qn_time_floor(2000, 1000), 2000);
    assert_int_equal(qn_time_floor(0, 1000), 0);
    assert_int_equal(qn_time_floor(-1, 1000), -1000);
    assert_int_equal(qn_time_floor(-1000, 1000), -1000);
    assert_int_equal(qn_time_floor(-1001, 1000), -2000);
    assert_int_equal(qn_time_floor(-1, DAY), -DAY);
    assert_int_equal(qn_time_floor(NOW, DAY), NOW - DAY / 2);
    assert_int_equal(qn_time_floor(-7, 1), -7);
    /* no multiple lies below: the lowest there is */
    assert_int_equal(qn_time_floor(INT64_MIN, 1000) % 1000, 0);
    assert_int_equal(qn_time_floor(INT64_MIN + 1, DAY) % DAY, 0);
}

static int64_t resolved(const char *text, bool *given)
{
    int64_t ms = 7;
    struct qn_err err;
    int rc = qn_time_resolve(text, strlen(text), NOW, &ms, given, &err);
    if (rc == 0) return ms;
    assert_true((rc == QN_ESYNTAX || rc == QN_ERANGE) && err.code == rc && err.text[0]);
    return REFUSED;
}

static void test_resolve(void **state)
{
    static const struct {
        const char *text, *instant;
    } rows[] = {
        {"now", "2024-03-01T12:00:00.000Z"},
        {"today", "2024-03-01T00:00:00.000Z"},
        {"-7d", "2024-02-23T12:00:00.000Z"},
        {"+12h", "2024-03-02T00:00:00.000Z"},
        {"-90s", "2024-03-01T11:58:30.000Z"},
        {"+5m", "2024-03-01T12:05:00.000Z"},
        {"-2w", "2024-02-16T12:00:00.000Z"},
        {"-1M", "2024-02-01T12:00:00.000Z"},
        {"+13M", "2025-04-01T12:00:00.000Z"},
        {"-1y", "2023-03-01T12:00:00.000Z"},
        {"-0d", "2024-03-01T12:00:00.000Z"},
        {"-1d", "2024-02-29T12:00:00.000Z"},
        {"-2023y", "0001-03-01T12:00:00.000Z"},
        {"+7975y", "9999-03-01T12:00:00.000Z"},
        {"-2024y", "refused"},
        {"+7976y", "refused"},
        {"+100000000d", "refused"},
        {"+100000000y", "refused"},
        {"+100000001s", "refused"},
        {"+999999999999999999999d", "refused"},
        {"", "refused"},
        {"-", "refused"},
        {"-d", "refused"},
        {"-7", "refused"},
        {"7d", "refused"},
        {"-7x", "refused"},
        {"-7dd", "refused"},
        {"-7d ", "refused"},
        {" -7d", "refused"},
        {"--7d", "refused"},
        {"- 7d", "refused"},
        {"-7.5d", "refused"},
        {"-7D", "refused"},
        {"Now", "refused"},
        {"nowx", "refused"},
        {"tomorrow", "refused"},
        {"P7D", "refused"},
    };
    bool given = true;
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        const char *found = shown(resolved(rows[i].text, NULL));
        if (strcmp(found, rows[i].instant) != 0) fail_msg("'%s' is %s", rows[i].text, found);
    }
    resolved("-7d", &given);
    assert_false(given);
    assert_int_equal(resolved("2024-03-01", &given), NOW - DAY / 2);
    assert_true(given);
    resolved("now", &given);
    assert_false(given);
}

static struct qn_duration duration(const char *text)
{
    struct qn_duration d = {-1, -1, -1};
    struct qn_err err;
    int rc = qn_duration_parse(text, strlen(text), &d, &err);
    if (rc == 0) return d;
    assert_true((rc == QN_ESYNTAX || rc == QN_ERANGE) && err.code == rc && err.offset <= strlen(text) && err.text[0]);
    assert_int_equal(d.months, -1);
    return (struct qn_duration){0};
}

static void test_duration_taken(void **state)
{
    static const struct {
        const char *text;
        struct qn_duration d;
        const char *back;
    } rows[] = {
        {"P30D", {0, 30, 0}, "P30D"},
        {"PT15M", {0, 0, 900000}, "PT15M"},
        {"P1M", {1, 0, 0}, "P1M"},
        {"P2W", {0, 14, 0}, "P14D"},
        {"P1Y", {12, 0, 0}, "P1Y"},
        {"P14M", {14, 0, 0}, "P1Y2M"},
        {"P1Y2M3DT4H5M6.5S", {14, 3, 14706500}, "P1Y2M3DT4H5M6.5S"},
        {"PT0.001S", {0, 0, 1}, "PT0.001S"},
        {"PT1,25S", {0, 0, 1250}, "PT1.25S"},
        {"PT1.0009S", {0, 0, 1000}, "PT1S"},
        {"PT36H", {0, 0, 129600000}, "PT36H"},
        {"PT90M", {0, 0, 5400000}, "PT1H30M"},
        {"P0Y1D", {0, 1, 0}, "P1D"},
        {"P1DT0S", {0, 1, 0}, "P1D"},
        {"P007D", {0, 7, 0}, "P7D"},
        {"P10000Y", {120000, 0, 0}, "P10000Y"},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        struct qn_duration d = duration(rows[i].text);
        assert_int_equal(d.months, rows[i].d.months);
        assert_int_equal(d.days, rows[i].d.days);
        assert_int_equal(d.ms, rows[i].d.ms);
        char text[QN_TIME_TEXT_SIZE];
        qn_duration_format(&d, text);
        assert_string_equal(text, rows[i].back);
    }
}

static void test_duration_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "P",
        "T",
        "PT",
        "P1",
        "1D",
        "P1DT",
        "-P1D",
        "P-1D",
        "+P1D",
        "P1D1M",
        "P1M1Y",
        "P1D1D",
        "PT1M1H",
        "PT1S1M",
        "PT1D",
        "P1H",
        "PTT1S",
        "PT1ST1S",
        "P1.5D",
        "PT1.5M",
        "PT1.5H",
        "PT.5S",
        "PT1.S",
        "P 1D",
        " P1D",
        "P1D ",
        "P1d",
        "p1D",
        "Pt1S",
        "P1h",
        "P1m",
        "P1s",
        "PT1h",
        "PT1m",
        "PT1s",
        "P1D2h",
        "PD",
        "PTS",
        "P1X",
        "P0D",
        "PT0S",
        "P0Y0M",
        "PT0.0001S",
        "P1W1",
        "P10001Y",
        "P9999999999999999999D",
        "P1000000001D",
        "P1Y2M3DT4H5M6S7",
        "2024-01-01",
        "P1DT1",
        "PT1.5S1M",
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        struct qn_duration d = duration(rows[i]);
        if (d.months || d.days || d.ms) fail_msg("'%s' should be refused", rows[i]);
    }
    struct qn_duration d;
    assert_int_equal(qn_duration_parse("P0D", 3, &d, NULL), QN_ERANGE);
    assert_int_equal(qn_duration_parse("P1D\0", 4, &d, NULL), QN_ESYNTAX);
    assert_int_equal(qn_duration_parse("P1DT", 3, &d, NULL), 0); /* the size counts */
}

static void test_duration_widest(void **state)
{
    /* memory after the text must stay as it was, whatever the numbers */
    struct {
        char text[QN_TIME_TEXT_SIZE], after[64];
    } out;
    static const struct qn_duration rows[] = {
        {119999, 8000000000, INT64_C(3661000000000) * 1000 - 1},
        {INT32_MAX, INT64_MAX, INT64_MAX},
        {INT32_MIN, INT64_MIN, INT64_MIN},
        {0, 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        memset(&out, '~', sizeof out);
        qn_duration_format(&rows[i], out.text);
        assert_non_null(memchr(out.text, 0, sizeof out.text));
        for (size_t k = 0; k < sizeof out.after; k++) assert_int_equal(out.after[k], '~');
    }
    const char *widest = "P9999Y11M1000000000W1000000000DT1000000000H1000000000M1000000000.999S";
    struct qn_duration d = duration(widest), again;
    memset(&out, '~', sizeof out);
    qn_duration_format(&d, out.text);
    assert_string_equal(out.text, "P9999Y11M8000000000DT1016944444H26M40.999S");
    assert_int_equal(out.after[0], '~');
    again = (struct qn_duration){0};
    qn_duration_format(&again, out.text);
    assert_string_equal(out.text, "PT0S");
}

static const char *added(const char *from, const char *step, int64_t times)
{
    struct qn_duration d = duration(step);
    int64_t ms = parsed(from), out;
    return shown(qn_time_add(ms, &d, times, &out) == 0 ? out : REFUSED);
}

static void test_add(void **state)
{
    static const struct {
        const char *from, *step;
        int64_t times;
        const char *instant;
    } rows[] = {
        {"2024-01-31", "P1M", 1, "2024-02-29T00:00:00.000Z"},
        {"2023-01-31", "P1M", 1, "2023-02-28T00:00:00.000Z"},
        {"2024-01-31", "P1M", 2, "2024-03-31T00:00:00.000Z"}, /* counted from the start, not from the clamp */
        {"2024-01-31", "P1M", 3, "2024-04-30T00:00:00.000Z"},
        {"2024-03-31", "P1M", -1, "2024-02-29T00:00:00.000Z"},
        {"2024-02-29", "P1Y", 1, "2025-02-28T00:00:00.000Z"},
        {"2024-02-29", "P1Y", 4, "2028-02-29T00:00:00.000Z"},
        {"2024-12-31", "P2M", 1, "2025-02-28T00:00:00.000Z"},
        {"2024-01-15", "P1M", -1, "2023-12-15T00:00:00.000Z"},
        {"1969-12-31T23:59:59.999Z", "P1M", 1, "1970-01-31T23:59:59.999Z"},
        {"1960-02-29T12:00:00Z", "P1Y", -1, "1959-02-28T12:00:00.000Z"},
        {"2024-01-30T10:00:00Z", "P1M1DT1H", 1, "2024-03-01T11:00:00.000Z"}, /* months, then days, then the rest */
        {"2024-01-01", "PT1S", -1, "2023-12-31T23:59:59.000Z"},
        {"2024-01-01", "P30D", 0, "2024-01-01T00:00:00.000Z"},
        {"0001-01-01", "P1M", -1, "refused"},
        {"0001-01-01", "PT0.001S", -1, "refused"},
        {"9999-12-31T23:59:59.999Z", "PT0.001S", 1, "refused"},
        {"9999-12-01", "P1M", 1, "refused"},
        {"0001-01-01", "P9998Y", 1, "9999-01-01T00:00:00.000Z"},
        {"0001-01-01", "P10000Y", 1, "refused"},
        {"2024-01-01", "P1M", INT64_MAX, "refused"},
        {"2024-01-01", "P1Y", INT64_MIN, "refused"},
        {"2024-01-01", "P1D", INT64_MAX, "refused"},
        {"2024-01-01", "PT1S", INT64_MAX, "refused"},
        {"2024-01-01", "PT0.001S", INT64_MAX, "refused"},
        {"2024-01-01", "PT0.001S", INT64_MIN, "refused"},
        {"2024-01-01", "P1DT1S", INT64_MAX / 86400000, "refused"},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        assert_string_equal(added(rows[i].from, rows[i].step, rows[i].times), rows[i].instant);
    }
    const struct qn_duration month = {1, 0, 0};
    int64_t out = 7;
    assert_int_equal(qn_time_add(INT64_MIN, &month, 1, &out), QN_ERANGE); /* no instant to begin with */
    assert_int_equal(qn_time_add(INT64_MAX, &month, 1, &out), QN_ERANGE);
    assert_int_equal(out, 7);
}

static const char *http_at(const char *text, int64_t now)
{
    int64_t ms;
    return shown(qn_time_parse_http(text, strlen(text), now, &ms) == 0 ? ms : REFUSED);
}

static void test_http(void **state)
{
    static const struct {
        const char *text, *instant;
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
        {"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
        {"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37.000Z"},
        {"Wed Nov 16 08:49:37 1994", "1994-11-16T08:49:37.000Z"},
        {"Thu, 29 Feb 2024 00:00:00 GMT", "2024-02-29T00:00:00.000Z"},
        {"Sat, 31 Dec 2016 23:59:60 GMT", "2016-12-31T23:59:59.999Z"},
        {"Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59.000Z"},
        {"Thu, 29 Feb 2023 00:00:00 GMT", "refused"},
        {"Sun, 00 Nov 1994 08:49:37 GMT", "refused"},
        {"Sat, 01 Jan 0000 00:00:00 GMT", "refused"},
        {"Sun, 06 Nov 1994 24:00:00 GMT", "refused"},
        {"Sun, 6 Nov 1994 08:49:37 GMT", "refused"},
        {"Sun, 06 Nov 94 08:49:37 GMT", "refused"},
        {"Sun, 06 nov 1994 08:49:37 GMT", "refused"},
        {"sun, 06 Nov 1994 08:49:37 GMT", "refused"},
        {"Son, 06 Nov 1994 08:49:37 GMT", "refused"},
        {"Sun, 06 Nov 1994 08:49:37 UTC", "refused"},
        {"Sun, 06 Nov 1994 08:49:37 +0000", "refused"},
        {"Sun, 06 Nov 1994 08:49:37", "refused"},
        {"Sun, 06 Nov 1994 08:49:37 GMT ", "refused"},
        {"Sun,  06 Nov 1994 08:49:37 GMT", "refused"},
        {"Sun, 06-Nov-94 08:49:37 GMT", "refused"},
        {"Sunday, 06 Nov 1994 08:49:37 GMT", "refused"},
        {"Sun Nov 6 08:49:37 1994", "refused"},
        {"Sun Nov  6 08:49:37 1994 GMT", "refused"},
        {"06 Nov 1994 08:49:37 GMT", "refused"},
        {"", "refused"},
        {"Sun", "refused"},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        const char *found = http_at(rows[i].text, NOW);
        if (strcmp(found, rows[i].instant) != 0) fail_msg("'%s' is %s", rows[i].text, found);
    }
}

/* What appears to be more than 50 years in the future is the most recent such year of the past. */
static void test_http_century(void **state)
{
    static const struct {
        const char *now, *text, *instant;
    } rows[] = {
        {"2024-03-01T12:00:00Z", "Friday, 01-Mar-24 12:00:30 GMT", "2024-03-01T12:00:30.000Z"},
        {"2024-03-01T12:00:00Z", "Tuesday, 01-Mar-94 12:00:00 GMT", "1994-03-01T12:00:00.000Z"},
        {"2024-03-01T12:00:00Z", "Thursday, 01-Mar-73 12:00:00 GMT", "2073-03-01T12:00:00.000Z"},
        {"2024-03-01T12:00:00Z", "Thursday, 01-Mar-74 12:00:00 GMT", "2074-03-01T12:00:00.000Z"},
        {"2024-03-01T12:00:00Z", "Friday, 01-Mar-74 12:00:01 GMT", "1974-03-01T12:00:01.000Z"},
        {"2024-03-01T12:00:00Z", "Monday, 31-Dec-74 00:00:00 GMT", "1974-12-31T00:00:00.000Z"},
        {"2024-03-01T12:00:00Z", "Friday, 01-Jan-75 00:00:00 GMT", "1975-01-01T00:00:00.000Z"},
        {"1999-06-01T00:00:00Z", "Saturday, 01-Jan-05 00:00:00 GMT", "2005-01-01T00:00:00.000Z"},
        {"1999-06-01T00:00:00Z", "Friday, 01-Jan-99 00:00:00 GMT", "1999-01-01T00:00:00.000Z"},
        {"2060-01-01T00:00:00Z", "Friday, 01-Jan-00 00:00:00 GMT", "2100-01-01T00:00:00.000Z"},
        {"2049-12-31T00:00:00Z", "Friday, 01-Jan-00 00:00:00 GMT", "2000-01-01T00:00:00.000Z"},
        {"9990-01-01T00:00:00Z", "Friday, 01-Jan-05 00:00:00 GMT", "9905-01-01T00:00:00.000Z"},
    };
    (void)state;
    for (size_t i = 0; i < count_of(rows); i++) {
        const char *found = http_at(rows[i].text, parsed(rows[i].now));
        if (strcmp(found, rows[i].instant) != 0) fail_msg("'%s' at %s is %s", rows[i].text, rows[i].now, found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_taken),
        cmocka_unit_test(test_parse_refused),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_duration_taken),
        cmocka_unit_test(test_duration_refused),
        cmocka_unit_test(test_duration_widest),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_http_century),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
