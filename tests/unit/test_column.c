/* test_column.c - one record, one column, one value; and what a column refuses, in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "rows/column.h"
#include "rows/ndjson.h"

struct sample {
    const char *record;
    struct qn_column_spec spec;
    const char *value; /* as NDJSON writes it; "-" for missing */
    const char *error; /* instead */
};

#define COLUMN(...)                                                                                                    \
    {                                                                                                                  \
        .name = "c", .round = -1, __VA_ARGS__                                                                          \
    }
#define ROUNDED(places, ...)                                                                                           \
    {                                                                                                                  \
        .name = "c", .round = places, __VA_ARGS__                                                                      \
    }

static struct qn_doc *parse(const char *text)
{
    struct qn_err err;
    struct qn_doc *doc = NULL;
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    if (qn_doc_parse(bytes, &doc, &err) < 0) fail_msg("%s: %s", text, err.text);
    qn_bytes_unref(bytes);
    return doc;
}

static void check(const struct sample *sample)
{
    struct qn_err err = {0};
    struct qn_column column;
    struct qn_scratch scratch;
    struct qn_value value;
    struct qn_buf text;
    struct qn_doc *doc = parse(sample->record);
    if (qn_column_init(&column, &sample->spec, 1, &err) < 0) fail_msg("%s: %s", sample->spec.path, err.text);
    qn_scratch_init(&scratch);
    qn_buf_init(&text, QN_BUF_NO_CAP);
    int rc = qn_column_read(&column, doc, QN_ROOT, &scratch, &value, &err);
    if (sample->error) {
        assert_true(rc < 0);
        assert_string_equal(err.text, sample->error);
    } else {
        if (rc < 0) fail_msg("%s of %s: %s", sample->spec.path, sample->record, err.text);
        assert_int_equal(qn_ndjson_value(&text, &value), 0);
        assert_string_equal(value.kind == QN_VALUE_MISSING ? "-" : qn_buf_cstr(&text), sample->value);
    }
    qn_buf_free(&text);
    qn_scratch_free(&scratch);
    qn_column_done(&column);
    qn_doc_unref(doc);
}

static void check_all(const struct sample *samples, size_t count)
{
    size_t blocks = qn_mem_blocks();
    for (size_t i = 0; i < count; i++) check(&samples[i]);
    assert_int_equal(qn_mem_blocks(), blocks);
}
#define CHECK(samples) check_all(samples, sizeof(samples) / sizeof *(samples))

static void test_any(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"{\"a\":\"x\"}", COLUMN(.path = "$.a"), "\"x\"", NULL},
        {"{\"a\":\"x\\u00e9\\n\"}", COLUMN(.path = "$.a"), "\"x\xc3\xa9\\n\"", NULL},
        {"{\"a\":170000000000012345678}", COLUMN(.path = "$.a"), "170000000000012345678", NULL},
        {"{\"a\":1.50e+3}", COLUMN(.path = "$.a"), "1.50e+3", NULL},
        {"{\"a\":true}", COLUMN(.path = "$.a"), "true", NULL},
        {"{\"a\":null}", COLUMN(.path = "$.a"), "null", NULL},
        {"{\"a\":{ \"b\" : [ 1, 2 ] }}", COLUMN(.path = "$.a"), "{\"b\":[1,2]}", NULL},
        {"{\"a\":[]}", COLUMN(.path = "$.a"), "[]", NULL},
        {"{}", COLUMN(.path = "$.a"), "-", NULL},
        {"{}", COLUMN(.path = "$.a", .default_json = "\"none\""), "\"none\"", NULL},
        {"{}", COLUMN(.path = "$.a", .default_json = " 0 "), "0", NULL},
        {"{}", COLUMN(.path = "$.a", .default_json = "{ \"x\": 1 }"), "{\"x\":1}", NULL},
        {"{\"a\":null}", COLUMN(.path = "$.a", .default_json = "0"), "null", NULL},
        {"{\"a\":{\"b\":[{\"c\":7}]}}", COLUMN(.path = "$.a.b[0].c"), "7", NULL},
        {"{}", COLUMN(.path = NULL), "-", NULL},
    };
    CHECK(samples);
}

static void test_conversions(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"{\"a\":1.50}", COLUMN(.path = "$.a", .as = QN_AS_TEXT), "\"1.50\"", NULL},
        {"{\"a\":false}", COLUMN(.path = "$.a", .as = QN_AS_TEXT), "\"false\"", NULL},
        {"{\"a\":[1, 2]}", COLUMN(.path = "$.a", .as = QN_AS_TEXT), "\"[1,2]\"", NULL},
        {"{\"a\":\"x\"}", COLUMN(.path = "$.a", .as = QN_AS_JSON), "\"x\"", NULL},
        {"{\"a\":\"42\"}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), "42", NULL},
        {"{\"a\":5e3}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), "5000", NULL},
        {"{\"a\":5.0}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), "5", NULL},
        {"{\"a\":-9223372036854775808}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), "-9223372036854775808", NULL},
        {"{\"a\":\"abc\"}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), NULL, "column 'c': \"abc\" is not an integer"},
        {"{\"a\":1.5}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), NULL, "column 'c': 1.5 is not an integer"},
        {"{\"a\":[1]}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), NULL, "column 'c': [1] is not an integer"},
        {"{\"a\":9223372036854775808}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER), NULL,
         "column 'c': 9223372036854775808 does not fit into 64 bits"},
        {"{\"a\":\"1.50\"}", COLUMN(.path = "$.a", .as = QN_AS_NUMBER), "1.50", NULL},
        {"{\"a\":\" 1\"}", COLUMN(.path = "$.a", .as = QN_AS_NUMBER), NULL, "column 'c': \" 1\" is not a number"},
        {"{\"a\":true}", COLUMN(.path = "$.a", .as = QN_AS_NUMBER), NULL, "column 'c': true is not a number"},
        {"{\"a\":\"true\"}", COLUMN(.path = "$.a", .as = QN_AS_BOOL), "true", NULL},
        {"{\"a\":0}", COLUMN(.path = "$.a", .as = QN_AS_BOOL), "false", NULL},
        {"{\"a\":2}", COLUMN(.path = "$.a", .as = QN_AS_BOOL), NULL, "column 'c': 2 is neither true nor false"},
        {"{\"a\":\"2024-01-01T02:00:00+02:00\"}", COLUMN(.path = "$.a", .as = QN_AS_TIME),
         "\"2024-01-01T00:00:00.000Z\"", NULL},
        {"{\"a\":\"2024-01-01T00:00:00.1239Z\"}", COLUMN(.path = "$.a", .as = QN_AS_TIME),
         "\"2024-01-01T00:00:00.123Z\"", NULL},
        {"{\"a\":1704067200001}", COLUMN(.path = "$.a", .as = QN_AS_TIME), "\"2024-01-01T00:00:00.001Z\"", NULL},
        {"{\"a\":\"soon\"}", COLUMN(.path = "$.a", .as = QN_AS_TIME), NULL,
         "column 'c': \"soon\" is not an instant (ISO 8601 with a zone, or milliseconds since 1970)"},
        {"{\"a\":9223372036854775807}", COLUMN(.path = "$.a", .as = QN_AS_TIME), NULL,
         "column 'c': 9223372036854775807 is not an instant (ISO 8601 with a zone, or milliseconds since 1970)"},
        {"{\"a\":null}", COLUMN(.path = "$.a", .as = QN_AS_TIME), "null", NULL},
    };
    CHECK(samples);
}

static void test_scale_and_round(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"{\"a\":1005}", ROUNDED(2, .path = "$.a", .scale = 0.001), "1.01", NULL},
        {"{\"a\":1500}", COLUMN(.path = "$.a", .scale = 0.001), "1.5", NULL},
        {"{\"a\":2000}", COLUMN(.path = "$.a", .scale = 0.001), "2", NULL},
        {"{\"a\":2.5}", ROUNDED(0, .path = "$.a"), "3", NULL},
        {"{\"a\":-2.5}", ROUNDED(0, .path = "$.a"), "-3", NULL},
        {"{\"a\":3600000}", COLUMN(.path = "$.a", .scale = 1.0 / 60000), "60", NULL},
        {"{\"a\":1}", ROUNDED(3, .path = "$.a", .scale = 1.0 / 3), "0.333", NULL},
        {"{\"a\":1499}", ROUNDED(0, .path = "$.a", .as = QN_AS_INTEGER, .scale = 0.001), "1", NULL},
        {"{\"a\":\"1499\"}", ROUNDED(1, .path = "$.a", .as = QN_AS_NUMBER, .scale = 0.001), "1.5", NULL},
        {"{\"a\":1499}", COLUMN(.path = "$.a", .as = QN_AS_INTEGER, .scale = 0.001), NULL,
         "column 'c': 1.499 is not an integer"},
        {"{\"a\":\"x\"}", ROUNDED(1, .path = "$.a"), NULL, "column 'c': \"x\" is not a number"},
        {"{\"a\":null}", ROUNDED(1, .path = "$.a"), "null", NULL},
        {"{\"a\":1e300}", COLUMN(.path = "$.a", .scale = 1e300), "1e+600", NULL},
        {"{\"a\":1e300}", COLUMN(.path = "$.a", .scale = 1e300 / 3), NULL,
         "column 'c': 1e+300 times 3.33333e+299 is out of range"},
    };
    CHECK(samples);
}

#define LIST                                                                                                           \
    "{\"l\":[{\"v\":3},{\"v\":0.1},{\"v\":null},{\"v\":0.2}],\"s\":[\"b\",null,\"a\",\"c\"],"                          \
    "\"t\":[\"2024-01-01T02:00:00+02:00\",\"2024-01-01T01:00:00Z\"],\"big\":[9223372036854775807,1],\"m\":[1,\"a\"],"  \
    "\"none\":[]}"

static void test_reduce(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_FIRST), "3", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_LAST), "0.2", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_COUNT), "4", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_SUM), "3.3", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_MIN), "0.1", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_MAX), "3", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_AVG), "1.1", NULL},
        {LIST, ROUNDED(0, .path = "$.l[*].v", .reduce = QN_REDUCE_AVG), "1", NULL},
        {LIST, ROUNDED(0, .path = "$.l[*].v", .reduce = QN_REDUCE_AVG, .scale = 1000), "1100", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_SUM, .as = QN_AS_TEXT), "\"3.3\"", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_JOIN), "\"3,0.1,0.2\"", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_JOIN, .separator = "", .scale = 10), "\"3012\"", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_LIST), "[3,0.1,null,0.2]", NULL},
        {LIST, COLUMN(.path = "$.l[*].v", .reduce = QN_REDUCE_LIST, .as = QN_AS_TEXT), "[\"3\",\"0.1\",null,\"0.2\"]",
         NULL},
        {LIST, COLUMN(.path = "$.s[*]", .reduce = QN_REDUCE_MIN), "\"a\"", NULL},
        {LIST, COLUMN(.path = "$.s[*]", .reduce = QN_REDUCE_MAX), "\"c\"", NULL},
        {LIST, COLUMN(.path = "$.s[*]", .reduce = QN_REDUCE_JOIN, .separator = "; "), "\"b; a; c\"", NULL},
        {LIST, COLUMN(.path = "$.t[*]", .reduce = QN_REDUCE_MIN, .as = QN_AS_TIME), "\"2024-01-01T00:00:00.000Z\"",
         NULL},
        {LIST, COLUMN(.path = "$.t[*]", .reduce = QN_REDUCE_MAX, .as = QN_AS_TIME), "\"2024-01-01T01:00:00.000Z\"",
         NULL},
        {LIST, COLUMN(.path = "$.big[*]", .reduce = QN_REDUCE_SUM), "9223372036854775808", NULL},
        {LIST, COLUMN(.path = "$.big[*]", .reduce = QN_REDUCE_SUM, .as = QN_AS_INTEGER), NULL,
         "column 'c': 9223372036854775808 does not fit into 64 bits"},
        {LIST, COLUMN(.path = "$.none[*]", .reduce = QN_REDUCE_SUM), "-", NULL},
        {LIST, COLUMN(.path = "$.none[*]", .reduce = QN_REDUCE_SUM, .default_json = "0"), "0", NULL},
        {LIST, COLUMN(.path = "$.none[*]", .reduce = QN_REDUCE_LIST, .as = QN_AS_INTEGER, .default_json = "[]"), "[]",
         NULL},
        {LIST, COLUMN(.path = "$.none[*]", .reduce = QN_REDUCE_COUNT), "0", NULL},
        {LIST, COLUMN(.path = "$.none[*]", .reduce = QN_REDUCE_MIN), "-", NULL},
        {LIST, COLUMN(.path = "$.m[*]", .reduce = QN_REDUCE_MAX), NULL,
         "column 'c': \"a\" cannot be compared: the nodes mix numbers and texts"},
        {LIST, COLUMN(.path = "$.s[*]", .reduce = QN_REDUCE_SUM), NULL, "column 'c': \"b\" is not a number"},
    };
    CHECK(samples);
}

static void test_refused_specs(void **state)
{
    (void)state;
    static const struct {
        struct qn_column_spec spec;
        const char *error;
    } samples[] = {
        {COLUMN(.path = "$.a[*]"), "the path $.a[*] may select several nodes: give reduce (first, last, count, sum, "
                                   "min, max, avg, join or list)"},
        {COLUMN(.path = "$.a", .level = 1), "level 1: the records have 1 level (level 0 is the record itself)"},
        {{.name = "c", .path = "$.a", .round = 16}, "round takes 0 to 15 decimals, not 16"},
        {COLUMN(.path = "$.a", .as = QN_AS_TEXT, .scale = 2),
         "scale and round are for numbers: as must be \"integer\", \"number\" or absent"},
        {COLUMN(.path = "$.a", .scale = 1.0 / 0.0), "scale is not a finite number"},
        {COLUMN(.path = "$.a", .separator = ";"), "separator goes with reduce = \"join\" only"},
        {COLUMN(.path = NULL, .as = QN_AS_TEXT), "without a path there is nothing to convert or reduce"},
        {COLUMN(.path = "$.a", .as = QN_AS_INTEGER, .default_json = "\"x\""), "default: \"x\" is not an integer"},
        {COLUMN(.path = "$.a[*]", .as = QN_AS_TIME, .reduce = QN_REDUCE_SUM),
         "a sum, avg or count is a number: it cannot be a bool or a time"},
    };
    size_t blocks = qn_mem_blocks();
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct qn_err err = {0};
        struct qn_column column;
        assert_int_equal(qn_column_init(&column, &samples[i].spec, 1, &err), QN_EINVAL);
        assert_string_equal(err.text, samples[i].error);
    }
    assert_int_equal(qn_mem_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any),    cmocka_unit_test(test_conversions),   cmocka_unit_test(test_scale_and_round),
        cmocka_unit_test(test_reduce), cmocka_unit_test(test_refused_specs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
