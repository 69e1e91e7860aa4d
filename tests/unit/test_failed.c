/* test_failed.c - records that no column can convert: left out of their page, told, and kept in a quarantine whose rows
 * are those of committed leaves, in plan order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "rows/convert.h"
#include "run/sequencer.h"
#include "run_world.h"
#include "sink/file.h"
#include "sink/memory.h"
#include "store/memory.h"

#define HOUR INT64_C(3600000)

/* ---- pages: lists of records {"k": key, "t": owner, "n": integer} ---- */

static struct qn_plan *plan_of(enum qn_on_error on_error, bool transform)
{
    static const char *const records[] = {"$[*]"};
    static const struct qn_column_spec columns[] = {
        {.name = "k", .path = "$.k", .round = -1},
        {.name = "n", .path = "$.n", .as = QN_AS_INTEGER, .round = -1},
    };
    struct qn_plan_spec spec = {.records = records,
                                .record_levels = 1,
                                .columns = columns,
                                .column_count = 2,
                                .key = "$.k",
                                .owner = "$.t",
                                .has_transform = transform,
                                .on_error = on_error};
    struct qn_err err = {0};
    struct qn_plan *plan = NULL;
    if (qn_plan_new(&spec, &plan, &err) < 0) fail_msg("%s", err.text);
    return plan;
}

static int convert(struct qn_plan *plan, const char *text, const struct qn_transform *transform, uint64_t page,
                   struct qn_batch **batch, struct qn_err *err)
{
    struct qn_rows_context context = {.transform = transform, .where = "here", .leaf = "leaf \"1\"", .page = page};
    struct qn_page *made = NULL;
    *batch = NULL;
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    if (!bytes) return qn_fail(err, QN_ENOMEM, "out of memory");
    int rc = qn_convert_index(plan, bytes, &context, &made, err);
    qn_bytes_unref(bytes);
    if (rc == 0) rc = qn_convert_rows(made, &context, batch, err);
    qn_page_free(made);
    return rc;
}

static struct qn_batch *batch_of(struct qn_plan *plan, const char *text, const struct qn_transform *transform,
                                 uint64_t page)
{
    struct qn_err err = {0};
    struct qn_batch *batch;
    if (convert(plan, text, transform, page, &batch, &err) < 0) fail_msg("%s", err.text);
    return batch;
}

static void assert_bytes(const struct qn_bytes *bytes, const char *wanted)
{
    if (qn_bytes_size(bytes) == strlen(wanted) && memcmp(qn_bytes_data(bytes), wanted, strlen(wanted)) == 0) return;
    fail_msg("got %.*s, wanted %s", (int)qn_bytes_size(bytes), qn_bytes_data(bytes), wanted);
}

/* ---- a page ---- */

#define LEAF   "{\"leaf\":\"leaf \\\"1\\\"\",\"page\":7,\"record\":"
#define LEAF_1 "{\"leaf\":\"leaf \\\"1\\\"\",\"page\":1"
#define REASON "\"reason\":\"column 'n': \\\"x\\\" is not an integer\""

static void test_a_record_that_fails_is_an_empty_row(void **state)
{
    (void)state;
    static const char page[] =
        "[{\"k\":1,\"n\":1},{ \"k\" : 2,\"n\":\"x\"},{\"k\":3,\n\"n\":\"x\",\"n\":\"x\"},{\"k\":4,\"n\":4}]";
    size_t blocks = qn_mem_blocks();
    struct qn_plan *plan = plan_of(QN_ON_ERROR_QUARANTINE, false);
    struct qn_batch *batch = batch_of(plan, page, NULL, 7);
    assert_bytes(batch->bytes, "1,1\r\n4,4\r\n");
    assert_int_equal(batch->row_count, 4);
    assert_int_equal(batch->encoded_count, 2);
    assert_int_equal(batch->record_count, 4);
    assert_int_equal(batch->rows[1].size, 0);
    assert_int_equal(batch->rows[1].record, 1);
    assert_int_equal(batch->rows[1].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY | QN_ROW_FAILED);
    assert_int_equal(batch->rows[3].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY);
    assert_int_equal(batch->failure_count, 2);
    assert_bytes(batch->failed, LEAF "2," REASON ",\"value\":{ \"k\" : 2,\"n\":\"x\"}}\n" LEAF "3," REASON
                                     ",\"value\":{\"k\":3,\"n\":\"x\",\"n\":\"x\"}}\n");
    assert_int_equal(batch->failures[0].head, strlen(LEAF "2," REASON));
    assert_int_equal(batch->failures[1].offset, batch->failures[0].size);
    assert_true(qn_batch_memory(batch) > qn_bytes_size(batch->failed) + qn_bytes_size(batch->bytes));
    qn_batch_unref(batch);
    qn_plan_unref(plan);
    plan = plan_of(QN_ON_ERROR_SKIP, false);
    batch = batch_of(plan, page, NULL, 7);
    assert_bytes(batch->bytes, "1,1\r\n4,4\r\n");
    assert_bytes(batch->failed, LEAF "2," REASON "}\n" LEAF "3," REASON "}\n");
    qn_batch_unref(batch);
    batch = batch_of(plan, "[{\"k\":1,\"n\":1}]", NULL, 7);
    assert_null(batch->failed);
    assert_int_equal(batch->failure_count, 0);
    qn_batch_unref(batch);
    qn_plan_unref(plan);
    struct qn_err err = {0};
    plan = plan_of(QN_ON_ERROR_STOP, false);
    assert_int_equal(convert(plan, page, NULL, 7, &batch, &err), QN_EINVAL);
    assert_string_equal(err.text, "here, record 2: column 'n': \"x\" is not an integer");
    qn_plan_unref(plan);
    assert_int_equal(qn_mem_blocks(), blocks);
}

/* Two rows a record; then 8: a script's error, 9: no memory. */
static int twice(void *self, const struct qn_record *record, const struct qn_value *row, struct qn_emit *emit,
                 struct qn_err *err)
{
    (void)self;
    (void)record;
    for (int i = 0; i < 2; i++) {
        int rc = qn_emit_row(emit, row, err);
        if (rc < 0) return rc;
    }
    if (row[1].integer == 8) return qn_fail(err, QN_ESCRIPT, "eight");
    return row[1].integer == 9 ? qn_fail(err, QN_ELIMIT, "no room for nine") : 0;
}

static void test_rows_that_a_failed_record_has_made_are_taken_back(void **state)
{
    (void)state;
    struct qn_transform transform = {NULL, twice};
    struct qn_plan *plan = plan_of(QN_ON_ERROR_SKIP, true);
    struct qn_batch *batch =
        batch_of(plan, "[{\"k\":1,\"n\":1},{\"k\":2,\"n\":8},{\"k\":3,\"n\":\"x\"},{\"k\":4,\"n\":4}]", &transform, 7);
    assert_bytes(batch->bytes, "1,1\r\n1,1\r\n4,4\r\n4,4\r\n");
    assert_int_equal(batch->row_count, 6);
    assert_int_equal(batch->encoded_count, 4);
    assert_int_equal(batch->rows[2].flags, QN_ROW_FIRST | QN_ROW_HAS_KEY | QN_ROW_FAILED);
    assert_int_equal(batch->rows[4].offset, 10);
    assert_bytes(batch->failed, LEAF "2,\"reason\":\"eight\"}\n" LEAF "3," REASON "}\n");
    qn_batch_unref(batch);
    struct qn_err err = {0};
    assert_int_equal(convert(plan, "[{\"k\":1,\"n\":9}]", &transform, 7, &batch, &err), QN_ELIMIT);
    assert_string_equal(err.text, "here, record 1: no room for nine");
    qn_plan_unref(plan);
}

static void test_a_query_that_cannot_be_right_is_no_record_that_fails(void **state)
{
    (void)state;
    static const char *const whole[] = {"$.items"};
    struct qn_column_spec columns[] = {{.name = "n", .path = "$.n", .round = -1}};
    struct qn_err err = {0};
    struct qn_plan *plan = NULL;
    struct qn_batch *batch;
    struct qn_plan_spec spec = {
        .records = whole, .record_levels = 1, .columns = columns, .column_count = 1, .on_error = QN_ON_ERROR_SKIP};
    assert_int_equal(qn_plan_new(&spec, &plan, &err), 0);
    assert_int_equal(convert(plan, "{\"items\":[1]}", NULL, 1, &batch, &err), QN_EINVAL);
    assert_non_null(strstr(err.text, "the path selects the array itself"));
    qn_plan_unref(plan);
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    struct qn_transform transform = {NULL, twice};
    size_t blocks = qn_mem_blocks();
    int rc = QN_ENOMEM;
    for (uint64_t n = 1; rc != 0; n++) {
        struct qn_err err = {0};
        struct qn_batch *batch = NULL;
        struct qn_plan *plan = plan_of(QN_ON_ERROR_QUARANTINE, true);
        qn_mem_fail_after(n);
        rc = convert(
            plan, "[{\"k\":1,\"n\":8},{\"k\":\"\\u0041\",\n\"n\":\"\\u0042\"},{\"k\":\"\\u0041\",\"n\":\"\\u0031\"}]",
            &transform, 1, &batch, &err);
        qn_mem_fail_after(0);
        if (rc != 0 && rc != QN_ENOMEM) fail_msg("allocation %lu: %s", (unsigned long)n, err.text);
        if (rc == 0) assert_int_equal(batch->failure_count, 2); /* what failed, failed by itself */
        qn_batch_unref(batch);
        qn_plan_unref(plan);
        if (qn_mem_blocks() != blocks) fail_msg("allocation %lu: something is left", (unsigned long)n);
        assert_true(n < 1000);
    }
}

/* ---- a run over hours ---- */

struct bench {
    struct world world;
    struct qn_plan *plan;
    struct qn_tree *tree;
    struct qn_memory_sink rows, aside;
    struct qn_store *store;
    struct qn_sequencer *sequencer;
    char dir[128];
};

static void open_bench(struct bench *b, int hours, struct qn_sequencer_options options)
{
    struct qn_tree_spec spec = {.by_time = true, .to_ms = hours * HOUR, .has_size = true, .size = {.ms = HOUR}};
    struct qn_err err;
    world_open(&b->world);
    spec.floor_ms = spec.grain_ms = 1000;
    spec.may_split = true;
    b->plan = plan_of(QN_ON_ERROR_QUARANTINE, false);
    assert_int_equal(qn_tree_new(&spec, &b->tree, &err), 0);
    qn_memory_sink_init(&b->rows);
    qn_memory_sink_init(&b->aside);
    b->store = qn_memory_store_new();
    options.tree = b->tree;
    if (!options.sink) options.sink = &b->rows.sink;
    if (!options.quarantine) options.quarantine = &b->aside.sink;
    options.store = b->store;
    options.run = "r1";
    options.key = options.owner = true;
    options.spool_dir = world_path(&b->world, "spool", b->dir);
    assert_int_equal(qn_sequencer_new(&options, &b->sequencer, &err), 0);
}

static void close_bench(struct bench *b)
{
    qn_sequencer_free(b->sequencer);
    b->store->class->free(b->store);
    b->rows.sink.class->free(&b->rows.sink);
    b->aside.sink.class->free(&b->aside.sink);
    qn_tree_free(b->tree);
    qn_plan_unref(b->plan);
    world_close(&b->world);
}

static void begin(struct bench *b, uint32_t leaf)
{
    struct qn_err err;
    assert_int_equal(qn_tree_take(b->tree), leaf);
    assert_int_equal(qn_sequencer_begin(b->sequencer, leaf, &err), 0);
}

static void add(struct bench *b, uint32_t leaf, uint32_t page, const char *text)
{
    struct qn_err err;
    struct qn_batch *batch = batch_of(b->plan, text, NULL, page);
    assert_int_equal(qn_sequencer_add(b->sequencer, leaf, page, batch, &err), 0);
    qn_batch_unref(batch);
}

static void finish(struct bench *b, uint32_t leaf, uint32_t pages)
{
    struct qn_err err;
    assert_int_equal(qn_sequencer_finish(b->sequencer, leaf, pages, NULL, &err), 0);
}

/* How many records it told. */
static size_t advance(struct bench *b, const char *first)
{
    struct qn_err err;
    struct qn_advance done;
    if (qn_sequencer_advance(b->sequencer, &done, &err) < 0) fail_msg("%s", err.text);
    size_t count = done.failed_count;
    if (first) assert_string_equal(done.failed[0], first);
    qn_advance_free(&done);
    return count;
}

static uint64_t failed(struct bench *b)
{
    struct qn_sequencer_facts facts;
    qn_sequencer_facts(b->sequencer, &facts);
    return facts.leaves.failed;
}

/* The values that the quarantine holds, one a line. */
static const char *kept(struct bench *b)
{
    static char out[4096];
    char *to = out;
    const char *text = qn_buf_cstr(&b->aside.bytes), *value;
    while ((value = strstr(text, "\"value\":")) != NULL) {
        size_t size = strcspn(value += 8, "\n");
        memcpy(to, value, size);
        to[size - 1] = '\n'; /* the brace of the line */
        to += size;
        text = value + size;
    }
    *to = 0;
    return out;
}

static void test_plan_order_and_one_copy(void **state)
{
    (void)state;
    for (int narrow = 0; narrow < 2; narrow++) {
        struct bench b;
        open_bench(&b, 2, (struct qn_sequencer_options){.leaf_memory = narrow ? 1 : 0}); /* 1: all goes to disk */
        begin(&b, 1);
        begin(&b, 2);
        add(&b, 2, 1, "[{\"k\":9,\"t\":3600001,\"n\":\"x\"}]");
        finish(&b, 2, 1);
        add(&b, 1, 3, "[{\"k\":4,\"t\":1,\"n\":\"x\"},{\"k\":1,\"t\":1,\"n\":\"x\"}]"); /* early; 1 is a repeat */
        add(&b, 1, 2, "[{\"k\":3,\"t\":1,\"n\":3},{\"k\":2,\"t\":1,\"n\":2}]");         /* 2 is a repeat */
        assert_int_equal(advance(&b, NULL), 0);
        add(&b, 1, 1,
            "[{\"k\":1,\"t\":1,\"n\":\"x\"},{\"k\":2,\"t\":1,\"n\":\"x\"},"
            "{\"k\":9,\"t\":3600001,\"n\":\"x\"}," /* the other leaf's, which has it, though it failed there too */
            "{\"k\":8,\"t\":7200001,\"n\":\"x\"}," /* outside */
            "{\"n\":\"x\"}]");                     /* neither key nor owner: kept */
        finish(&b, 1, 3);
        assert_int_equal(advance(&b, LEAF_1 ",\"record\":1," REASON "}"), 5);
        assert_int_equal(failed(&b), 5);
        assert_string_equal(qn_buf_cstr(&b.rows.bytes), "3,3\r\n");
        assert_string_equal(kept(&b), "{\"k\":1,\"t\":1,\"n\":\"x\"}\n{\"k\":2,\"t\":1,\"n\":\"x\"}\n{\"n\":\"x\"}\n"
                                      "{\"k\":4,\"t\":1,\"n\":\"x\"}\n{\"k\":9,\"t\":3600001,\"n\":\"x\"}\n");
        struct qn_err err;
        size_t holes;
        qn_sequencer_holes(b.sequencer, &holes);
        assert_int_equal(holes, 0);
        assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_PUBLISH, &err), 0);
        assert_int_equal(b.rows.end, QN_MEMORY_PUBLISHED);
        assert_int_equal(b.aside.end, QN_MEMORY_PUBLISHED);
        close_bench(&b);
    }
}

static void test_a_walk_that_is_void_leaves_nothing(void **state)
{
    (void)state;
    struct bench b;
    uint32_t first, second;
    struct qn_err err;
    open_bench(&b, 1, (struct qn_sequencer_options){0});
    begin(&b, 1);
    add(&b, 1, 1, "[{\"k\":1,\"t\":1,\"n\":\"x\"}]");
    qn_sequencer_discard(b.sequencer, 1);
    assert_int_equal(qn_sequencer_begin(b.sequencer, 1, &err), 0);
    add(&b, 1, 1, "[{\"k\":1,\"t\":1,\"n\":\"x\"},{\"k\":2,\"t\":3000000,\"n\":\"x\"}]");
    qn_sequencer_discard(b.sequencer, 1);
    assert_int_equal(qn_tree_split(b.tree, 1, &first, &second, &err), 0);
    begin(&b, first);
    begin(&b, second);
    add(&b, first, 1, "[{\"k\":1,\"t\":1,\"n\":\"x\"}]");
    add(&b, second, 1, "[{\"k\":2,\"t\":3000000,\"n\":\"x\"}]");
    finish(&b, first, 1);
    finish(&b, second, 1);
    assert_int_equal(advance(&b, NULL), 2);
    assert_string_equal(kept(&b), "{\"k\":1,\"t\":1,\"n\":\"x\"}\n{\"k\":2,\"t\":3000000,\"n\":\"x\"}\n");
    assert_int_equal(failed(&b), 2);
    close_bench(&b);
}

static void test_the_first_are_told(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2, (struct qn_sequencer_options){0});
    for (uint32_t leaf = 1; leaf <= 2; leaf++) {
        begin(&b, leaf);
        for (uint32_t page = 1; page <= 15; page++) add(&b, leaf, page, "[{\"n\":\"x\"}]");
        finish(&b, leaf, 15);
        assert_int_equal(advance(&b, NULL), leaf == 1 ? 0 : QN_FAILED_TOLD);
    }
    assert_int_equal(failed(&b), 30);
    assert_int_equal(b.aside.sink.rows_written, 30);
    close_bench(&b);
}

/* ---- files ---- */

static struct qn_sink *open_file(const struct bench *b, const char *name, bool optional)
{
    char path[128];
    struct qn_sink *sink = NULL;
    struct qn_err err;
    struct qn_file_sink_options options = {
        .path = world_path(&b->world, name, path), .format = QN_SINK_NDJSON, .run = "r1", .optional = optional};
    if (qn_file_sink_open(&options, &sink, &err) < 0) fail_msg("%s", err.text);
    return sink;
}

/* A run with one leaf, to files `out` and `aside`. */
static int run_to_files(struct bench *b, const char *page, enum qn_sequencer_end end, const char *spoil,
                        struct qn_err *err)
{
    char path[128];
    struct qn_sink *out = open_file(b, "out", false), *aside = open_file(b, "aside", true);
    qn_sequencer_free(b->sequencer);
    qn_tree_free(b->tree);
    struct qn_tree_spec spec = {.by_time = true, .to_ms = HOUR, .floor_ms = 1000, .grain_ms = 1000};
    assert_int_equal(qn_tree_new(&spec, &b->tree, err), 0);
    struct qn_sequencer_options options = {
        .tree = b->tree, .sink = out, .quarantine = aside, .key = true, .spool_dir = b->dir};
    assert_int_equal(qn_sequencer_new(&options, &b->sequencer, err), 0);
    begin(b, 1);
    add(b, 1, 1, page);
    finish(b, 1, 1);
    advance(b, NULL);
    if (spoil) {
        assert_int_equal(mkdir(world_path(&b->world, spoil, path), 0700), 0);
        assert_int_equal(mkdir(strcat(path, "/x"), 0700), 0);
    }
    int rc = qn_sequencer_close(b->sequencer, end, err);
    out->class->free(out);
    aside->class->free(aside);
    if (spoil) {
        assert_int_equal(rmdir(path), 0);
        *strrchr(path, '/') = 0;
        assert_int_equal(rmdir(path), 0);
    }
    return rc;
}

#define GOOD "{\"k\":1,\"n\":1}"
#define BAD  "{\"k\":2,\"n\":\"x\"}"

static void write_old(const struct bench *b, const char *name)
{
    char path[128];
    FILE *old = fopen(world_path(&b->world, name, path), "w");
    fputs("old", old);
    fclose(old);
}

static void test_files(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    char path[128];
    open_bench(&b, 1, (struct qn_sequencer_options){0});
    assert_int_equal(run_to_files(&b, "[" GOOD "," BAD "]", QN_END_PUBLISH, NULL, &err), 0);
    expect_file(world_path(&b.world, "out", path), "1,1\r\n");
    expect_file(world_path(&b.world, "aside", path), LEAF_1 ",\"record\":2," REASON ",\"value\":" BAD "}\n");
    assert_int_equal(run_to_files(&b, "[" GOOD "]", QN_END_PUBLISH, NULL, &err), 0); /* nothing failed: no file */
    assert_int_equal(count_entries(b.world.dir), 1);
    write_old(&b, "aside"); /* that of an earlier run is not this one's */
    assert_int_equal(run_to_files(&b, "[" GOOD "]", QN_END_PUBLISH, NULL, &err), 0);
    assert_int_equal(count_entries(b.world.dir), 1);
    expect_file(world_path(&b.world, "out", path), "1,1\r\n");
    assert_int_equal(run_to_files(&b, "[" GOOD "," BAD "]", QN_END_DISCARD, NULL, &err), 0);
    assert_int_equal(count_entries(b.world.dir), 0);
    write_old(&b, "aside");
    assert_int_equal(run_to_files(&b, "[" GOOD "," BAD "]", QN_END_KEEP, NULL, &err), 0);
    expect_file(world_path(&b.world, ".out.r1.partial", path), "1,1\r\n");
    expect_file(world_path(&b.world, ".aside.r1.partial", path),
                LEAF_1 ",\"record\":2," REASON ",\"value\":" BAD "}\n");
    assert_int_equal(run_to_files(&b, "[" GOOD "]", QN_END_KEEP, NULL, &err), 0);
    expect_file(world_path(&b.world, ".out.r1.partial", path), "1,1\r\n");
    expect_file(world_path(&b.world, "aside", path), "old"); /* only a whole run replaces it */
    close_bench(&b);
}

static void test_both_names_or_none(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    open_bench(&b, 1, (struct qn_sequencer_options){0});
    assert_int_equal(run_to_files(&b, "[" GOOD "," BAD "]", QN_END_PUBLISH, "aside", &err), QN_EIO);
    assert_non_null(strstr(err.text, "aside"));
    assert_int_equal(count_entries(b.world.dir), 0);
    assert_int_equal(run_to_files(&b, "[" GOOD "," BAD "]", QN_END_PUBLISH, "out", &err), QN_EIO);
    assert_non_null(strstr(err.text, "out"));
    assert_int_equal(count_entries(b.world.dir), 0);
    close_bench(&b);
}

static void test_a_quarantine_that_cannot_be_written_ends_the_run(void **state)
{
    (void)state;
    for (int code = QN_EIO; code != 0; code = code == QN_EIO ? QN_EPIPE : 0) {
        struct bench b;
        struct qn_err err;
        struct qn_advance done;
        open_bench(&b, 1, (struct qn_sequencer_options){0});
        b.aside.fail_at_rows = 2;
        b.aside.fail_code = code;
        begin(&b, 1);
        add(&b, 1, 1, "[" GOOD "," BAD ",{\"n\":\"x\"}]");
        finish(&b, 1, 1);
        assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err),
                         QN_EIO); /* its reader is not that of the rows */
        assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_PUBLISH, &err), QN_ESTATE);
        assert_int_equal(b.rows.end, QN_MEMORY_DISCARDED);
        assert_int_equal(b.aside.end, QN_MEMORY_DISCARDED);
        close_bench(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_that_fails_is_an_empty_row),
        cmocka_unit_test(test_rows_that_a_failed_record_has_made_are_taken_back),
        cmocka_unit_test(test_a_query_that_cannot_be_right_is_no_record_that_fails),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_plan_order_and_one_copy),
        cmocka_unit_test(test_a_walk_that_is_void_leaves_nothing),
        cmocka_unit_test(test_the_first_are_told),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_both_names_or_none),
        cmocka_unit_test(test_a_quarantine_that_cannot_be_written_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
