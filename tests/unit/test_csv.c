/* test_csv.c - rows written by csv.c, read back by an independent reader of RFC 4180; and NDJSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/rng.h"
#include "rows/csv.h"
#include "rows/ndjson.h"

/* The reader: cells of one record into `cells`, each with whether it was quoted. Returns bytes read, 0 on a fault. */
struct cell {
    char text[64];
    size_t size;
    bool quoted;
};

static size_t read_record(const char *text, size_t size, struct cell *cells, size_t *count)
{
    size_t at = 0;
    *count = 0;
    for (;;) {
        struct cell *cell = &cells[(*count)++];
        cell->size = 0;
        cell->quoted = at < size && text[at] == '"';
        if (cell->quoted) {
            for (at++;; at++) {
                if (at >= size) return 0;
                if (text[at] == '"' && at + 1 < size && text[at + 1] == '"')
                    at++;
                else if (text[at] == '"')
                    break;
                cell->text[cell->size++] = text[at];
            }
            at++;
        } else {
            while (at < size && text[at] != ',' && text[at] != '\r') {
                if (text[at] == '"' || text[at] == '\n') return 0;
                cell->text[cell->size++] = text[at++];
            }
        }
        if (at + 1 < size && text[at] == '\r' && text[at + 1] == '\n') return at + 2;
        if (at >= size || text[at] != ',') return 0;
        at++;
    }
}

static struct qn_value text_value(const char *text, size_t size)
{
    return (struct qn_value){.kind = QN_VALUE_TEXT, .text = {text, size}};
}

static void test_random_rows_read_back(void **state)
{
    (void)state;
    static const char alphabet[] = "ab,\"\r\n \t;'\xc3\xa9";
    struct qn_rng rng;
    struct qn_buf out;
    qn_rng_seed(&rng, 4180);
    qn_buf_init(&out, QN_BUF_NO_CAP);
    for (int round = 0; round < 2000; round++) {
        char texts[4][16];
        struct qn_value values[4];
        struct cell cells[64];
        size_t count = 1 + qn_rng_below(&rng, 4), read;
        for (size_t i = 0; i < count; i++) {
            size_t size = qn_rng_below(&rng, 12);
            for (size_t k = 0; k < size; k++) texts[i][k] = alphabet[qn_rng_below(&rng, sizeof alphabet - 3)];
            if (size > 2 && qn_rng_below(&rng, 2)) memcpy(texts[i] + size - 2, "\xc3\xa9", 2);
            values[i] = text_value(texts[i], size);
            if (qn_rng_below(&rng, 5) == 0) values[i].kind = QN_VALUE_MISSING;
        }
        qn_buf_clear(&out);
        assert_int_equal(qn_csv_row(&out, values, count, false), 0);
        assert_int_equal(read_record(out.data, out.size, cells, &read), out.size);
        assert_int_equal(read, count);
        for (size_t i = 0; i < count; i++) {
            bool missing = values[i].kind == QN_VALUE_MISSING;
            assert_int_equal(cells[i].size, missing ? 0 : values[i].text.size);
            if (!missing) assert_memory_equal(cells[i].text, texts[i], cells[i].size);
            if (cells[i].size == 0) assert_true(cells[i].quoted == (!missing || count == 1));
        }
    }
    qn_buf_free(&out);
}

static void test_kinds(void **state)
{
    (void)state;
    struct qn_value values[] = {
        {.kind = QN_VALUE_MISSING},
        {.kind = QN_VALUE_NULL},
        {.kind = QN_VALUE_BOOL, .boolean = true},
        {.kind = QN_VALUE_INTEGER, .integer = INT64_MIN},
        {.kind = QN_VALUE_DOUBLE, .number = 3.0},
        {.kind = QN_VALUE_NUMBER, .text = {"1.50e3", 6}},
        text_value("", 0),
        {.kind = QN_VALUE_JSON, .text = {"{\"a\":1}", 7}},
        text_value("plain text", 10),
    };
    char *names[] = {"\"a\":", "\"b\":", "\"c\":", "\"d\":", "\"e\":", "\"f\":", "\"g\":", "\"h\":", "\"i\":"};
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_int_equal(qn_csv_row(&out, values, 9, false), 0);
    assert_string_equal(qn_buf_cstr(&out),
                        ",,true,-9223372036854775808,3,1.50e3,\"\",\"{\"\"a\"\":1}\",plain text\r\n");
    qn_buf_clear(&out);
    assert_int_equal(qn_ndjson_row(&out, names, values, 9), 0);
    assert_string_equal(qn_buf_cstr(&out), "{\"a\":null,\"b\":null,\"c\":true,\"d\":-9223372036854775808,\"e\":3.0,"
                                           "\"f\":1.50e3,\"g\":\"\",\"h\":{\"a\":1},\"i\":\"plain text\"}");
    qn_buf_free(&out);
}

static void test_what_is_not_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } samples[] = {
        {"a\xff"
         "b",
         "a\xef\xbf\xbd"
         "b"},
        {"\xc3", "\xef\xbf\xbd"},
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xe2\x82\xac\"", "\"\xe2\x82\xac\"\"\""},
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        qn_buf_clear(&out);
        assert_int_equal(qn_csv_text(&out, samples[i].in, strlen(samples[i].in), false), 0);
        assert_string_equal(qn_buf_cstr(&out), samples[i].out);
    }
    qn_buf_free(&out);
}

static void test_formulas_are_guarded(void **state)
{
    (void)state;
    static const struct {
        const char *in, *safe;
    } samples[] = {
        {"=1+1", "'=1+1"},
        {"+1", "'+1"},
        {"-1", "'-1"},
        {"@SUM(A1)", "'@SUM(A1)"},
        {"\t=1", "'\t=1"},
        {"\r=1", "\"'\r=1\""},
        {"=\"a\",1", "\"'=\"\"a\"\",1\""},
        {"a=1", "a=1"},
        {" =1", " =1"},
        {"'=1", "'=1"},
        {"\n=1", "\"\n=1\""},
        {"", "\"\""},
        {"1-2", "1-2"},
    };
    struct qn_value others[] = {
        {.kind = QN_VALUE_INTEGER, .integer = -5},       {.kind = QN_VALUE_DOUBLE, .number = -0.5},
        {.kind = QN_VALUE_NUMBER, .text = {"-1.50", 5}}, {.kind = QN_VALUE_JSON, .text = {"-7", 2}},
        {.kind = QN_VALUE_TEXT, .text = {"-5", 2}},      {.kind = QN_VALUE_MISSING},
    };
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        qn_buf_clear(&out);
        assert_int_equal(qn_csv_text(&out, samples[i].in, strlen(samples[i].in), true), 0);
        assert_string_equal(qn_buf_cstr(&out), samples[i].safe);
    }
    qn_buf_clear(&out);
    assert_int_equal(qn_csv_text(&out, "\0=1", 3, true), 0);
    assert_memory_equal(out.data, "\0=1", 3);
    qn_buf_clear(&out);
    assert_int_equal(qn_csv_row(&out, others, 6, true), 0);
    assert_string_equal(qn_buf_cstr(&out), "-5,-0.5,-1.50,-7,'-5,\r\n");
    qn_buf_clear(&out);
    assert_int_equal(qn_csv_row(&out, others, 6, false), 0);
    assert_string_equal(qn_buf_cstr(&out), "-5,-0.5,-1.50,-7,-5,\r\n");
    qn_buf_free(&out);
}

static void test_cap(void **state)
{
    (void)state;
    struct qn_value value = text_value("0123456789", 10);
    struct qn_buf out;
    qn_buf_init(&out, 8);
    assert_int_equal(qn_csv_row(&out, &value, 1, false), QN_ELIMIT);
    qn_buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_rows_read_back),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_what_is_not_utf8),
        cmocka_unit_test(test_formulas_are_guarded),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
