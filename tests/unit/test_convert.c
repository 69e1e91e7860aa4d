/* test_convert.c - index and rows: levels, presence, keys, owners, raw rows, transforms, and memory that runs out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json/write.h"
#include "rows/convert.h"
#include "rows/plan.h"
#include "rows/text.h"

#define CSV_COLUMN(n, p)                                                                                               \
    {                                                                                                                  \
        .name = n, .path = p, .round = -1                                                                              \
    }

static const char *const items[] = {"$.items[*]"};

static struct qn_plan *plan_of(const struct qn_plan_spec *spec)
{
    struct qn_err err = {0};
    struct qn_plan *plan = NULL;
    if (qn_plan_new(spec, &plan, &err) < 0) fail_msg("%s", err.text);
    return plan;
}

static int index_text(struct qn_plan *plan, const char *text, struct qn_page **page, struct qn_err *err)
{
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    if (!bytes) return qn_fail(err, QN_ENOMEM, "out of memory");
    int rc = qn_convert_index(plan, bytes, &(struct qn_rows_context){0}, page, err);
    qn_bytes_unref(bytes);
    return rc;
}

static struct qn_batch *rows_of(struct qn_plan *plan, const char *text, const struct qn_transform *transform)
{
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    struct qn_batch *batch = NULL;
    struct qn_rows_context context = {.transform = transform};
    if (index_text(plan, text, &page, &err) < 0) fail_msg("%s", err.text);
    if (qn_convert_rows(page, &context, &batch, &err) < 0) fail_msg("%s", err.text);
    assert_int_equal(batch->record_count, qn_page_facts(page)->record_count);
    qn_page_free(page);
    return batch;
}

static void assert_bytes(const struct qn_batch *batch, const char *wanted)
{
    char text[1024];
    size_t size = 0;
    for (size_t i = 0; i < batch->row_count; i++) {
        memcpy(text + size, qn_bytes_data(batch->bytes) + batch->rows[i].offset, batch->rows[i].size);
        size += batch->rows[i].size;
    }
    assert_int_equal(size, qn_batch_encoded_size(batch));
    if (size != strlen(wanted) || memcmp(text, wanted, size) != 0)
        fail_msg("got %.*s, wanted %s", (int)size, text, wanted);
}

static void test_index_says_what_a_body_is(void **state)
{
    (void)state;
    static const struct {
        const char *body, *error;
    } samples[] = {
        {"", "the body is empty"},
        {" \r\n\t", "the body is empty"},
        {"<!DOCTYPE html>\n<html>", "the body is HTML, not JSON (starts '<!DOCTYPE html>...')"},
        {"\xef\xbb\xbf <html><body>Bad gateway</body></html>",
         "the body is HTML, not JSON (starts '<html><body>Bad gateway</body></html>')"},
        {"<?xml version=\"1.0\"?>", "the body is XML, not JSON (starts '<?xml version=\"1.0\"?>')"},
    };
    struct qn_column_spec columns[] = {CSV_COLUMN("a", "$.a")};
    struct qn_plan *plan =
        plan_of(&(struct qn_plan_spec){.records = items, .record_levels = 1, .columns = columns, .column_count = 1});
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        assert_int_equal(index_text(plan, samples[i].body, &page, &err), QN_ESYNTAX);
        assert_string_equal(err.text, samples[i].error);
    }
    assert_int_equal(index_text(plan, "{\"items\":[1,2", &page, &err), QN_ESYNTAX);
    assert_ptr_equal(strstr(err.text, "the body is not JSON: "), err.text);
    assert_non_null(strstr(err.text, " at byte "));
    qn_plan_unref(plan);
}

static void test_presence_and_counts(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body;
        bool present;
        size_t count;
    } samples[] = {
        {"$.items[*]", "{\"items\":[]}", true, 0},
        {"$.items[*]", "{\"items\":[1,2]}", true, 2},
        {"$.items[*]", "{}", false, 0},
        {"$.items[*]", "{\"items\":5}", false, 0},
        {"$.items[*]", "{\"items\":\"see the log\"}", false, 0},
        {"$.items[*]", "{\"items\":null}", true, 0},
        {"$.items[*]", "{\"items\":{\"a\":1,\"b\":2,\"c\":3}}", true, 3},
        {"$.items.*", "{\"items\":[7]}", true, 1},
        {"$['items'] [ * ]", "{\"items\":[]}", true, 0},
        {"$[*]", "[]", true, 0},
        {"$[*]", "[{}]", true, 1},
        {"$", "{}", true, 1},
        {"$.items", "{\"items\":{}}", true, 1},
        {"$.items", "{}", false, 0},
        {"$..id", "{\"a\":{\"id\":1},\"id\":2}", true, 2},
        {"$..*", "[]", false, 0},
        {"$..[*]", "[1]", true, 1},
        {"$.items[0:2]", "{\"items\":[1,2,3]}", true, 2},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct qn_err err = {0};
        struct qn_page *page = NULL;
        struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
            .records = &samples[i].path, .record_levels = 1, .raw = true, .format = QN_FORMAT_NDJSON});
        assert_int_equal(index_text(plan, samples[i].body, &page, &err), 0);
        const struct qn_facts *facts = qn_page_facts(page);
        if (facts->records_present != samples[i].present || facts->record_count != samples[i].count) {
            fail_msg("%s of %s: present %d, count %zu", samples[i].path, samples[i].body, facts->records_present,
                     facts->record_count);
        }
        qn_page_free(page);
        qn_plan_unref(plan);
    }
}

static void test_facts(void **state)
{
    (void)state;
    struct qn_fact_spec wanted[] = {{"total", "$.totalHits"}, {"next", "$.nextUri"}};
    struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
        .records = items, .record_levels = 1, .facts = wanted, .fact_count = 2, .raw = true, .format = QN_FORMAT_JSON});
    struct qn_page *a = NULL, *b = NULL;
    struct qn_err err = {0};
    int64_t total;
    assert_int_equal(index_text(plan, "{\"totalHits\":12,\"items\":[]}", &a, &err), 0);
    assert_int_equal(index_text(plan, "{\"totalHits\":13,\"items\":[]}", &b, &err), 0);
    const struct qn_facts *first = qn_page_facts(a), *second = qn_page_facts(b);
    assert_int_equal(first->fact_count, 2);
    assert_int_equal(qn_doc_integer(qn_page_doc(a), first->facts[0], &total), QN_INTEGER_EXACT);
    assert_int_equal(total, 12);
    assert_true(first->facts[1] == QN_NONE);
    assert_true(first->digest.hi != second->digest.hi || first->digest.lo != second->digest.lo);
    qn_page_free(a);
    qn_page_free(b);
    qn_plan_unref(plan);
}

/* An API counts its pages by the outermost records, whatever is in them. */
static void test_items(void **state)
{
    static const char *const levels[] = {"$.results[*]", "$.data[*]"};
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    (void)state;
    struct qn_plan *plan =
        plan_of(&(struct qn_plan_spec){.records = levels, .record_levels = 2, .raw = true, .format = QN_FORMAT_NDJSON});
    assert_int_equal(index_text(plan, "{\"results\":[{\"data\":[1,2]},{\"data\":[]},{}]}", &page, &err), 0);
    assert_int_equal(qn_page_facts(page)->record_count, 2);
    assert_int_equal(qn_page_facts(page)->item_count, 3);
    qn_page_free(page);
    qn_plan_unref(plan);
}

static void test_levels(void **state)
{
    (void)state;
    static const char *const levels[] = {"$.results[*]", "$.data[*]"};
    struct qn_column_spec columns[] = {
        {.name = "group", .path = "$.group.id", .round = -1, .level = 1},
        CSV_COLUMN("v", "$.v"),
        CSV_COLUMN("a,b", "$.none"),
    };
    struct qn_plan *plan =
        plan_of(&(struct qn_plan_spec){.records = levels, .record_levels = 2, .columns = columns, .column_count = 3});
    struct qn_batch *batch =
        rows_of(plan,
                "{\"results\":[{\"group\":{\"id\":\"q1\"},\"data\":[{\"v\":1},{\"v\":2}]},"
                "{\"group\":{\"id\":\"q2\"}},{\"group\":{\"id\":\"q3\"},\"data\":[{\"v\":\"x,y\"}]}]}",
                NULL);
    assert_bytes(batch, "q1,1,\r\nq1,2,\r\nq3,\"x,y\",\r\n");
    assert_int_equal(batch->row_count, 3);
    assert_int_equal(batch->rows[1].offset, 7);
    assert_int_equal(batch->rows[1].size, 7);
    assert_int_equal(batch->rows[2].record, 2);
    assert_int_equal(batch->rows[2].flags, QN_ROW_FIRST);
    struct qn_buf header;
    qn_buf_init(&header, 100);
    assert_int_equal(qn_plan_header(plan, &header), 0);
    assert_string_equal(qn_buf_cstr(&header), "group,v,\"a,b\"\r\n");
    qn_buf_free(&header);
    qn_batch_unref(qn_batch_ref(batch));
    assert_true(qn_batch_memory(batch) > 3 * sizeof(struct qn_row));
    qn_batch_unref(batch);
    qn_plan_unref(plan);
}

static bool same_key(const struct qn_batch *batch, size_t a, size_t b)
{
    return batch->rows[a].key.hi == batch->rows[b].key.hi && batch->rows[a].key.lo == batch->rows[b].key.lo;
}

static void test_keys_and_owners(void **state)
{
    (void)state;
    struct qn_column_spec columns[] = {CSV_COLUMN("k", "$.k")};
    struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
        .records = items, .record_levels = 1, .columns = columns, .column_count = 1, .key = "$.k", .owner = "$.t"});
    struct qn_batch *batch = rows_of(plan,
                                     "{\"items\":[{\"k\":1,\"t\":\"2024-01-01T00:00:00Z\"},{\"k\":\"1\",\"t\":"
                                     "1704067200001},{\"k\":1.0,\"t\":\"soon\"},"
                                     "{\"k\":\"\\u0031\"},{\"k\":null,\"t\":null},{\"t\":\"2024-01-01\"},"
                                     "{\"k\":1234567890123456789012345678901234567890},{\"k\":"
                                     "1234567890123456789012345678901234567891},{\"k\":[ 1 ]},{\"k\":[1]}]}",
                                     NULL);
    assert_int_equal(batch->row_count, 10);
    assert_int_equal(batch->no_key, 2);
    assert_int_equal(batch->no_owner, 7);
    assert_false(same_key(batch, 0, 1));
    assert_true(same_key(batch, 0, 2));
    assert_true(same_key(batch, 1, 3));
    assert_false(same_key(batch, 6, 7));
    assert_true(same_key(batch, 8, 9));
    assert_int_equal(batch->rows[4].flags, QN_ROW_FIRST);
    assert_int_equal(batch->rows[0].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY | QN_ROW_HAS_OWNER);
    assert_true(batch->rows[0].owner_ms == 1704067200000);
    assert_true(batch->rows[1].owner_ms == 1704067200001);
    assert_true(batch->rows[5].owner_ms == 1704067200000);
    qn_batch_unref(batch);
    qn_plan_unref(plan);
}

static void test_raw(void **state)
{
    (void)state;
    const char *body = "{\"items\":[ {\"a\": 1.50, \"b\":\"\\ud800\"} ,{\n\"c\" : [1, 2]\r\n}, \"x\"]}";
    struct qn_plan *ndjson =
        plan_of(&(struct qn_plan_spec){.records = items, .record_levels = 1, .raw = true, .format = QN_FORMAT_NDJSON});
    struct qn_plan *json =
        plan_of(&(struct qn_plan_spec){.records = items, .record_levels = 1, .raw = true, .format = QN_FORMAT_JSON});
    struct qn_batch *batch = rows_of(ndjson, body, NULL);
    assert_bytes(batch, "{\"a\": 1.50, \"b\":\"\\ud800\"}\n{\"c\":[1,2]}\n\"x\"\n");
    assert_int_equal(batch->encoded_count, 3);
    qn_batch_unref(batch);
    batch = rows_of(json, body, NULL);
    assert_bytes(batch, "{\"a\": 1.50, \"b\":\"\\ud800\"},\n{\"c\":[1,2]},\n\"x\",\n");
    qn_batch_unref(batch);
    qn_plan_unref(ndjson);
    qn_plan_unref(json);
}

/* One row of `path` of the body; nobody else holds the page, or somebody does. Are the rows pieces of the page? */
static bool raw_lines(const char *path, const char *body, bool shared, const char *wanted)
{
    const char *const paths[] = {path};
    struct qn_plan *plan =
        plan_of(&(struct qn_plan_spec){.records = paths, .record_levels = 1, .raw = true, .format = QN_FORMAT_NDJSON});
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    struct qn_batch *batch = NULL;
    struct qn_rows_context context = {0};
    assert_int_equal(index_text(plan, body, &page, &err), 0);
    struct qn_doc *doc = qn_page_doc(page);
    const char *text = qn_bytes_data(qn_doc_bytes(doc));
    if (shared) qn_doc_ref(doc);
    if (qn_convert_rows(page, &context, &batch, &err) < 0) fail_msg("%s", err.text);
    assert_bytes(batch, wanted);
    bool in_place = qn_bytes_data(batch->bytes) == text;
    if (shared) assert_string_equal(text, body); /* whoever holds it sees the page as it came */
    if (shared) qn_doc_unref(doc);
    qn_page_free(page);
    qn_batch_unref(batch);
    qn_plan_unref(plan);
    return in_place;
}

static void test_raw_in_place(void **state)
{
    (void)state;
    const char *body = "{\"items\":[{\"a\":1},{\"a\":[2, 3]} , \"x\",null]}\n";
    const char *lines = "{\"a\":1}\n{\"a\":[2, 3]}\n\"x\"\nnull\n";
    assert_true(raw_lines("$.items[*]", body, false, lines));
    assert_false(raw_lines("$.items[*]", body, true, lines));
    assert_true(raw_lines("$.items[?@.a]", body, false, "{\"a\":1}\n{\"a\":[2, 3]}\n"));
    assert_true(raw_lines("$.items[*]", "\xef\xbb\xbf{\"items\":[1,2]}", false, "1\n2\n"));
    assert_true(raw_lines("$.items[*]", "{\"items\":[]}", false, ""));
    assert_true(raw_lines("$.items[*]", "{\n\"items\":\n[{\"a\":\t1},\n2]}", false, "{\"a\":\t1}\n2\n"));
    /* what no line end can be written behind, or into, is copied */
    assert_false(raw_lines("$.items[*]", "{\"items\":[1,[2,\n3],4]}", false, "1\n[2,3]\n4\n"));
    assert_false(raw_lines("$.items[*]", "{\"items\":[1,[2,\r3],4]}", false, "1\n[2,3]\n4\n"));
    assert_false(raw_lines("$.items[::-1]", "{\"items\":[1,2,3]}", false, "3\n2\n1\n"));
    assert_false(raw_lines("$.items[0,0]", "{\"items\":[1,2,3]}", false, "1\n1\n"));
    assert_false(raw_lines("$..a", "{\"a\":[{\"a\":7},8]}", false, "[{\"a\":7},8]\n7\n"));
    assert_false(raw_lines("$", "12", false, "12\n"));
}

static void test_one_line(void **state)
{
    (void)state;
    char text[700];
    memset(text, 'x', sizeof text);
    text[300] = '\t';
    for (size_t size = 0; size <= sizeof text; size += 50) assert_true(qn_text_one_line(text, size));
    for (size_t at = 0; at < sizeof text; at += 37) {
        text[at] = at % 2 ? '\n' : '\r';
        assert_true(qn_text_one_line(text, at));
        assert_false(qn_text_one_line(text, at + 1));
        assert_false(qn_text_one_line(text, sizeof text));
        text[at] = 'x';
    }
}

static void test_json_rows(void **state)
{
    (void)state;
    struct qn_column_spec columns[] = {CSV_COLUMN("z\"", "$.z"), CSV_COLUMN("a", "$.a")};
    struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
        .records = items, .record_levels = 1, .columns = columns, .column_count = 2, .format = QN_FORMAT_NDJSON});
    struct qn_batch *batch = rows_of(
        plan, "{\"items\":[{\"a\":\"\\ud83d\\ude00\",\"z\":{\"b\": [true, null]}},{},{\"a\":\"\\ud800\"}]}", NULL);
    assert_bytes(batch, "{\"z\\\"\":{\"b\":[true,null]},\"a\":\"\xf0\x9f\x98\x80\"}\n{\"z\\\"\":null,\"a\":null}\n"
                        "{\"z\\\"\":null,\"a\":\"\xef\xbf\xbd\"}\n");
    assert_int_equal(batch->replaced, 1);
    qn_batch_unref(batch);
    qn_plan_unref(plan);
}

/* A transform in C: as many rows as the record's member n says, the second column counting them; n = 9 fails. */
static int repeat(void *self, const struct qn_record *record, const struct qn_value *row, struct qn_emit *emit,
                  struct qn_err *err)
{
    int *calls = self;
    qn_node node;
    int64_t n = 0;
    ++*calls;
    if (qn_doc_find(record->doc, record->node, "n", 1, &node)) qn_doc_integer(record->doc, node, &n);
    if (n == 9) return qn_fail(err, QN_ESCRIPT, "transform failed at x.lua:3: nine");
    for (int64_t i = 0; i < n; i++) {
        struct qn_value values[2] = {row[0], {.kind = QN_VALUE_INTEGER, .integer = i}};
        int rc = qn_emit_row(emit, values, err);
        if (rc < 0) return rc;
    }
    return 0;
}

static struct qn_plan *repeat_plan(void)
{
    struct qn_column_spec columns[] = {CSV_COLUMN("id", "$.id"), CSV_COLUMN("i", NULL)};
    return plan_of(&(struct qn_plan_spec){.records = items,
                                          .record_levels = 1,
                                          .columns = columns,
                                          .column_count = 2,
                                          .key = "$.id",
                                          .has_transform = true});
}

static void test_transform(void **state)
{
    (void)state;
    int calls = 0;
    struct qn_transform transform = {&calls, repeat};
    struct qn_plan *plan = repeat_plan();
    struct qn_batch *batch =
        rows_of(plan, "{\"items\":[{\"id\":\"a\",\"n\":2},{\"id\":\"b\",\"n\":0},{\"id\":\"c\",\"n\":1}]}", &transform);
    assert_bytes(batch, "a,0\r\na,1\r\nc,0\r\n");
    assert_int_equal(calls, 3);
    assert_int_equal(batch->row_count, 4);
    assert_int_equal(batch->encoded_count, 3);
    assert_int_equal(batch->record_count, 3);
    assert_int_equal(batch->rows[0].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY);
    assert_int_equal(batch->rows[1].flags, QN_ROW_HAS_KEY);
    assert_int_equal(batch->rows[2].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY);
    assert_int_equal(batch->rows[2].size, 0);
    assert_int_equal(batch->rows[2].record, 1);
    assert_true(same_key(batch, 0, 1));
    qn_batch_unref(batch);
    qn_plan_unref(plan);
}

static void expect_rows_error(struct qn_plan *plan, const char *body, const struct qn_rows_context *context, int code,
                              const char *text)
{
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    struct qn_batch *batch = NULL;
    assert_int_equal(index_text(plan, body, &page, &err), 0);
    assert_int_equal(qn_convert_rows(page, context, &batch, &err), code);
    assert_null(batch);
    assert_string_equal(err.text, text);
    qn_page_free(page);
}

static void test_errors_name_record_and_column(void **state)
{
    (void)state;
    int calls = 0;
    size_t blocks = qn_mem_blocks();
    struct qn_transform transform = {&calls, repeat};
    struct qn_column_spec columns[] = {{.name = "talk_ms", .path = "$.t", .as = QN_AS_INTEGER, .round = -1}};
    struct qn_plan *plan =
        plan_of(&(struct qn_plan_spec){.records = items, .record_levels = 1, .columns = columns, .column_count = 1});
    expect_rows_error(plan, "{\"items\":[{\"t\":1},{\"t\":\"abc\"}]}",
                      &(struct qn_rows_context){.where = "leaf 3 page 2"}, QN_EINVAL,
                      "leaf 3 page 2, record 2: column 'talk_ms': \"abc\" is not an integer");
    expect_rows_error(plan,
                      "{\"items\":[{\"t\":{\"x\":\"0123456789012345678901234567890123456789012345678901234567890\"}}]}",
                      &(struct qn_rows_context){.where = NULL}, QN_EINVAL,
                      "record 1: column 'talk_ms': {\"x\":\"012345678901234567890123456789012345678901234567890123... "
                      "is not an integer");
    qn_plan_unref(plan);
    plan = repeat_plan();
    expect_rows_error(plan, "{\"items\":[{\"n\":1},{\"n\":9}]}",
                      &(struct qn_rows_context){.transform = &transform, .where = "leaf 1 page 1"}, QN_ESCRIPT,
                      "leaf 1 page 1, record 2: transform failed at x.lua:3: nine");
    expect_rows_error(plan, "{\"items\":[]}", &(struct qn_rows_context){.transform = NULL}, QN_EINVAL,
                      "the plan has a transform, the context has none");
    qn_plan_unref(plan);
    const char *const whole[] = {"$.items"};
    plan = plan_of(&(struct qn_plan_spec){.records = whole, .record_levels = 1, .columns = columns, .column_count = 1});
    expect_rows_error(plan, "{\"items\":[{\"t\":1}]}", &(struct qn_rows_context){.where = NULL}, QN_EINVAL,
                      "record 1: records: the path selects the array itself; end it in [*] for its elements");
    qn_plan_unref(plan);
    assert_int_equal(qn_mem_blocks(), blocks);
}

/* Without a word there would be no records. */
static void test_an_outer_path_that_stops_at_an_array(void **state)
{
    (void)state;
    static const char *const short_of[] = {"$.results", "$.data[*]"}, *const deeper[] = {"$.results", "$[*].data[*]"},
                             *const middle[] = {"$.results[*]", "$.groups", "$.data[*]"};
    struct qn_column_spec columns[] = {CSV_COLUMN("v", "$.v")};
    struct qn_plan_spec spec = {.records = short_of, .record_levels = 2, .columns = columns, .column_count = 1};
    const char *page = "{\"results\":[{\"data\":[{\"v\":1}]}]}";
    struct qn_plan *plan = plan_of(&spec);
    expect_rows_error(plan, page, &(struct qn_rows_context){.where = "leaf 3 page 2"}, QN_EINVAL,
                      "leaf 3 page 2, record 1: records[1]: the path selects the array itself; end it in [*] for its "
                      "elements");
    struct qn_batch *batch = rows_of(plan, "{\"results\":{\"data\":[{\"v\":1}]}}", NULL);
    assert_bytes(batch, "1\r\n");
    qn_batch_unref(batch);
    batch = rows_of(plan, "{\"results\":[]}", NULL); /* for some APIs an empty object */
    assert_int_equal(batch->row_count, 0);
    qn_batch_unref(batch);
    qn_plan_unref(plan);
    spec.records = deeper;
    plan = plan_of(&spec);
    batch = rows_of(plan, page, NULL);
    assert_bytes(batch, "1\r\n");
    qn_batch_unref(batch);
    qn_plan_unref(plan);
    spec.records = middle;
    spec.record_levels = 3;
    plan = plan_of(&spec);
    expect_rows_error(plan, "{\"results\":[{\"groups\":{\"data\":[{\"v\":1}]}},{\"groups\":[{\"data\":[1]}]}]}",
                      &(struct qn_rows_context){.where = NULL}, QN_EINVAL,
                      "record 2: records[2]: the path selects the array itself; end it in [*] for its elements");
    qn_plan_unref(plan);
}

static void test_plans_refused(void **state)
{
    (void)state;
    static const char *const bad_records[] = {"$.a[*]", "$.b["};
    struct qn_column_spec twice[] = {CSV_COLUMN("a", "$.a"), CSV_COLUMN("a", "$.b")},
                          broken[] = {CSV_COLUMN("a", "$.a"), CSV_COLUMN("b", "$.b[")};
    struct qn_column_spec unset[] = {CSV_COLUMN("a", NULL)}, unnamed[] = {CSV_COLUMN("", "$.a")};
    struct qn_fact_spec fact[] = {{"total", "$.t[*]"}};
    static const char *const starts[] = {
        "columns: a row needs columns",
        "columns[2] 'a': columns[1] has this name already",
        "columns[2] 'b': column ",
        "columns[1] 'a': a column without a path needs a transform",
        "columns[1]: a column needs a name",
        "key: the path $..id may select several nodes",
        "owner: column ",
        "facts 'total': the path $.t[*] may select several nodes",
        "records[2]: column ",
        "raw: a raw row is the record itself",
        "raw: raw rows are JSON",
        "records: at least one path",
    };
    struct qn_plan_spec specs[] = {
        {.records = items, .record_levels = 1},
        {.records = items, .record_levels = 1, .columns = twice, .column_count = 2},
        {.records = items, .record_levels = 1, .columns = broken, .column_count = 2},
        {.records = items, .record_levels = 1, .columns = unset, .column_count = 1},
        {.records = items, .record_levels = 1, .columns = unnamed, .column_count = 1},
        {.records = items, .record_levels = 1, .columns = twice, .column_count = 1, .key = "$..id"},
        {.records = items, .record_levels = 1, .columns = twice, .column_count = 1, .owner = "t"},
        {.records = items, .record_levels = 1, .columns = twice, .column_count = 1, .facts = fact, .fact_count = 1},
        {.records = bad_records, .record_levels = 2, .columns = twice, .column_count = 1},
        {.records = items,
         .record_levels = 1,
         .columns = twice,
         .column_count = 1,
         .raw = true,
         .format = QN_FORMAT_JSON},
        {.records = items, .record_levels = 1, .raw = true, .format = QN_FORMAT_CSV},
        {.records = items, .record_levels = 0, .raw = true, .format = QN_FORMAT_JSON},
    };
    size_t blocks = qn_mem_blocks();
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        struct qn_err err = {0};
        struct qn_plan *plan = NULL;
        assert_true(qn_plan_new(&specs[i], &plan, &err) < 0);
        assert_null(plan);
        if (strncmp(err.text, starts[i], strlen(starts[i])) != 0) fail_msg("got %s, wanted %s...", err.text, starts[i]);
    }
    assert_int_equal(qn_mem_blocks(), blocks);
}

/* Records whose nodes, forgotten once they were rows, have the numbers of others: each level is read anew. */
static void test_rows_made_early(void **state)
{
    static const char *const levels[] = {"$.r[*]", "$.d[*]"};
    static const char *const bodies[] = {
        "{\"r\":[{\"g\":1,\"d\":[{\"k\":1}]},{\"d\":[{\"x\":7,\"k\":2}]},{\"d\":[]},{\"g\":3,\"d\":[{\"k\":3},{\"k\":4}"
        "]}]}",
        "{\"r\":[{\"g\":9,\"d\":[{\"k\":9}]}],\"r\":[{\"g\":1,\"d\":[{\"k\":1}]},{\"d\":[{\"x\":7,\"k\":2}]},"
        "{\"g\":3,\"d\":[{\"k\":3},{\"k\":4}]}]}",
        "{\"r\":[],\"r\":[{\"g\":1,\"d\":[{\"k\":1}]},{\"d\":[{\"x\":7,\"k\":2}]},{\"g\":3,\"d\":[{\"k\":3},{\"k\":4}]}"
        "]}",
        /* no array to be watched, but records all the same */
        "{\"r\":{\"x\":{\"g\":1,\"d\":[{\"k\":1}]},\"y\":{\"d\":[{\"x\":7,\"k\":2}]},\"z\":{\"g\":3,\"d\":[{\"k\":3},"
        "{\"k\":4}]}}}",
    };
    struct qn_column_spec columns[] = {
        {.name = "g", .path = "$.g", .round = -1, .level = 1},
        {.name = "k", .path = "$.k", .round = -1},
    };
    struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
        .records = levels, .record_levels = 2, .columns = columns, .column_count = 2, .key = "$.k"});
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct qn_batch *batch = rows_of(plan, bodies[i], NULL);
        assert_bytes(batch, "1,1\r\n,2\r\n3,3\r\n3,4\r\n");
        for (size_t row = 1; row < batch->row_count; row++) assert_false(same_key(batch, 0, row));
        qn_batch_unref(batch);
    }
    qn_plan_unref(plan);
}

/* A body that ends too soon is refused, whatever its first records are; a record that fails is told of later, when the
 * page's facts have been heard. */
static void test_which_error_comes_first(void **state)
{
    struct qn_column_spec columns[] = {{.name = "n", .path = "$.n", .as = QN_AS_INTEGER, .round = -1}};
    struct qn_fact_spec total[] = {{"total", "$.total"}};
    struct qn_plan *plan = plan_of(&(struct qn_plan_spec){
        .records = items, .record_levels = 1, .columns = columns, .column_count = 1, .facts = total, .fact_count = 1});
    struct qn_page *page = NULL;
    struct qn_batch *batch = NULL;
    struct qn_err err = {0};
    (void)state;
    assert_int_equal(index_text(plan, "{\"items\":[{\"n\":\"x\"},{\"n\":1}", &page, &err), QN_ESYNTAX);
    assert_non_null(strstr(err.text, "the body is not JSON"));
    assert_int_equal(index_text(plan, "{\"items\":[{\"n\":1},{\"n\":\"x\"},{\"n\":2}],\"total\":3}", &page, &err), 0);
    const struct qn_facts *facts = qn_page_facts(page);
    assert_int_equal(facts->record_count, 3);
    assert_int_equal(facts->item_count, 3);
    assert_true(facts->facts[0] != QN_NONE);
    assert_int_equal(qn_convert_rows(page, &(struct qn_rows_context){.where = "here"}, &batch, &err), QN_EINVAL);
    assert_null(batch);
    assert_ptr_equal(strstr(err.text, "here, record 2: column 'n'"), err.text);
    qn_page_free(page);
    qn_plan_unref(plan);
}

/* A fact may stand in a record, which is kept whole then, and in any other place. */
static void test_facts_in_records(void **state)
{
    static const char *const paths[] = {"$.items[-1].id", "$.items", "$", "$.items[0]", "$.other.items[0].id"};
    static const char *const wanted[] = {"2", "[{\"id\":1},{\"id\":2}]", NULL, "{\"id\":1}", "3"};
    static const char body[] = "{\"items\":[{\"id\":1},{\"id\":2}],\"other\":{\"items\":[{\"id\":3}]}}";
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        struct qn_column_spec columns[] = {CSV_COLUMN("id", "$.id")};
        struct qn_fact_spec fact[] = {{"fact", paths[i]}};
        struct qn_plan *plan = plan_of(&(struct qn_plan_spec){.records = items,
                                                              .record_levels = 1,
                                                              .columns = columns,
                                                              .column_count = 1,
                                                              .facts = fact,
                                                              .fact_count = 1});
        struct qn_page *page = NULL;
        struct qn_buf text;
        qn_buf_init(&text, QN_BUF_NO_CAP);
        assert_int_equal(index_text(plan, body, &page, NULL), 0);
        assert_true(qn_page_ready(page));
        assert_int_equal(qn_json_minified(&text, qn_page_doc(page), qn_page_facts(page)->facts[0]), 0);
        assert_string_equal(qn_buf_cstr(&text), wanted[i] ? wanted[i] : body);
        qn_page_read(page);
        assert_null(qn_page_doc(page));
        qn_buf_free(&text);
        qn_page_free(page);
        qn_plan_unref(plan);
    }
}

/* The whole way from plan to batch; 0 or the first failure. */
static int whole_way(bool with_transform)
{
    static const char *const levels[] = {"$.r[*]", "$.d[*]"};
    static const char body[] = "{\"n\":1,\"r\":[{\"g\":\"\\u0041\",\"d\":[{\"k\":\"\\u0042\",\"t\":\"2024-01-01T00:00:"
                               "00Z\",\"l\":[1,2.5]},{\"k\":2}]}],\"r\":[{\"d\":[{\"k\":3}]}]}";
    struct qn_column_spec columns[] = {
        {.name = "g", .path = "$.g", .round = -1, .level = 1, .default_json = "\"none\""},
        {.name = "sum", .path = "$.l[*]", .reduce = QN_REDUCE_SUM, .scale = 0.5, .round = 1},
        {.name = "all", .path = "$..l[*]", .reduce = QN_REDUCE_LIST, .round = -1},
        {.name = "n", .path = "$.n", .round = -1},
    };
    struct qn_fact_spec facts_wanted[] = {{"n", "$.n"}};
    struct qn_plan_spec spec = {.records = levels,
                                .record_levels = 2,
                                .columns = columns,
                                .column_count = 4,
                                .key = "$.k",
                                .owner = "$.t",
                                .facts = facts_wanted,
                                .fact_count = 1,
                                .has_transform = with_transform,
                                .format = QN_FORMAT_NDJSON};
    struct qn_err err = {0};
    struct qn_plan *plan = NULL;
    struct qn_page *page = NULL;
    struct qn_batch *batch = NULL;
    int calls = 0;
    struct qn_transform transform = {&calls, repeat};
    int rc = qn_plan_new(&spec, &plan, &err);
    if (rc < 0) return rc;
    rc = index_text(plan, body, &page, &err);
    if (rc == 0) {
        rc = qn_convert_rows(page, &(struct qn_rows_context){.transform = &transform}, &batch, &err);
        qn_page_free(page);
        qn_batch_unref(batch);
    }
    qn_plan_unref(plan);
    return rc;
}

static void run_out_of_memory(bool with_transform)
{
    size_t blocks = qn_mem_blocks(), bytes = qn_mem_current();
    int rc = QN_ENOMEM;
    uint64_t n = 0;
    while (rc != 0) {
        qn_mem_fail_after(++n);
        rc = whole_way(with_transform);
        qn_mem_fail_after(0);
        if (rc != 0 && rc != QN_ENOMEM) fail_msg("allocation %lu: %s", (unsigned long)n, qn_err_name(rc));
        if (qn_mem_blocks() != blocks || qn_mem_current() != bytes)
            fail_msg("allocation %lu: something is left", (unsigned long)n);
        assert_true(n < 10000);
    }
    assert_true(n > 20);
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    run_out_of_memory(true);
    run_out_of_memory(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_says_what_a_body_is),
        cmocka_unit_test(test_presence_and_counts),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_keys_and_owners),
        cmocka_unit_test(test_raw),
        cmocka_unit_test(test_rows_made_early),
        cmocka_unit_test(test_which_error_comes_first),
        cmocka_unit_test(test_facts_in_records),
        cmocka_unit_test(test_raw_in_place),
        cmocka_unit_test(test_one_line),
        cmocka_unit_test(test_json_rows),
        cmocka_unit_test(test_transform),
        cmocka_unit_test(test_errors_name_record_and_column),
        cmocka_unit_test(test_an_outer_path_that_stops_at_an_array),
        cmocka_unit_test(test_plans_refused),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
