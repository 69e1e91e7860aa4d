/* test_sequencer.c - pages in any order, one output: key, owner, order, refetch, splits, spill, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "engine/op.h"
#include "rows/emit.h"
#include "run/sequencer.h"
#include "run_world.h"
#include "sink/memory.h"
#include "store/memory.h"

#define HOUR INT64_C(3600000)

/* ---- batches by hand: records named by a number, "~" for no key, "?" for no owner ---- */

struct record {
    uint64_t key;     /* 0: none */
    int64_t owner_ms; /* -1: none */
    int rows;         /* 0, 1, 2 ... */
    size_t padding;   /* bytes more in each row, at most 100 */
};

static struct qn_batch *batch_of(const struct record *records, size_t count)
{
    static char dots[100];
    memset(dots, '.', sizeof dots);
    struct qn_batch *batch = qn_batch_new();
    struct qn_buf bytes;
    qn_buf_init(&bytes, QN_BUF_NO_CAP);
    size_t capacity = 0;
    for (size_t i = 0; i < count; i++) capacity += records[i].rows > 1 ? (size_t)records[i].rows : 1;
    batch->rows = qn_malloc((capacity > 0 ? capacity : 1) * sizeof *batch->rows);
    for (size_t i = 0; i < count; i++) {
        const struct record *record = &records[i];
        for (int r = 0; r < record->rows || r == 0; r++) {
            struct qn_row row = {.offset = bytes.size, .record = (uint32_t)i, .owner_ms = record->owner_ms};
            if (record->rows > 0) {
                qn_buf_add_fmt(&bytes, "%llu.%d@%lld", (unsigned long long)record->key, r, (long long)record->owner_ms);
                qn_buf_add(&bytes, dots, record->padding);
                qn_buf_add_byte(&bytes, '\n');
            }
            row.size = (uint32_t)(bytes.size - row.offset);
            if (record->key) row.key = qn_hash_bytes(&record->key, sizeof record->key);
            row.flags = (record->key ? QN_ROW_HAS_KEY : 0) | (record->owner_ms >= 0 ? QN_ROW_HAS_OWNER : 0) |
                        (r == 0 ? QN_ROW_FIRST : 0);
            batch->rows[batch->row_count++] = row;
        }
    }
    batch->record_count = count;
    batch->bytes = qn_bytes_take(&bytes);
    qn_buf_free(&bytes);
    return batch;
}

/* ---- a run over hours ---- */

struct bench {
    struct world world;
    struct qn_tree *tree;
    struct qn_memory_sink memory;
    struct qn_store *store;
    struct qn_sequencer *sequencer;
    char dir[128];
};

static void open_bench(struct bench *bench, int hours, struct qn_sequencer_options options)
{
    world_open(&bench->world);
    struct qn_tree_spec spec = {.by_time = true,
                                .from_ms = 0,
                                .to_ms = hours * HOUR,
                                .has_size = true,
                                .size = {.ms = HOUR},
                                .floor_ms = 1000,
                                .grain_ms = 1000,
                                .may_split = true};
    struct qn_err err;
    assert_int_equal(qn_tree_new(&spec, &bench->tree, &err), 0);
    qn_memory_sink_init(&bench->memory);
    bench->memory.note_calls = hours < 10;
    bench->store = qn_memory_store_new();
    options.tree = bench->tree;
    if (!options.sink) options.sink = &bench->memory.sink;
    options.store = bench->store;
    options.run = "r1";
    options.spool_dir = world_path(&bench->world, "spool", bench->dir);
    assert_int_equal(qn_sequencer_new(&options, &bench->sequencer, &err), 0);
}

static void close_bench(struct bench *bench)
{
    qn_sequencer_free(bench->sequencer);
    bench->store->class->free(bench->store);
    bench->memory.sink.class->free(&bench->memory.sink);
    qn_tree_free(bench->tree);
    world_close(&bench->world);
}

static void add(struct bench *bench, uint32_t leaf, uint32_t page, const struct record *records, size_t count)
{
    struct qn_err err;
    struct qn_batch *batch = batch_of(records, count);
    assert_int_equal(qn_sequencer_add(bench->sequencer, leaf, page, batch, &err), 0);
    qn_batch_unref(batch);
}

static void begin(struct bench *bench, uint32_t leaf)
{
    struct qn_err err;
    assert_int_equal(qn_tree_take(bench->tree), leaf);
    assert_int_equal(qn_sequencer_begin(bench->sequencer, leaf, &err), 0);
}

static void finish(struct bench *bench, uint32_t leaf, uint32_t pages)
{
    struct qn_err err;
    assert_int_equal(qn_sequencer_finish(bench->sequencer, leaf, pages, NULL, &err), 0);
}

/* One page, begun before. */
static void whole(struct bench *bench, uint32_t leaf, const struct record *records, size_t count)
{
    add(bench, leaf, 1, records, count);
    finish(bench, leaf, 1);
}

/* How many leaves an advance commits; the leaf it asks for once more. */
static size_t advance(struct bench *bench, uint32_t *refetch)
{
    struct qn_err err;
    struct qn_advance done;
    assert_int_equal(qn_sequencer_advance(bench->sequencer, &done, &err), 0);
    size_t count = done.count;
    if (refetch)
        *refetch = done.refetch;
    else
        assert_int_equal(done.refetch, 0);
    qn_advance_free(&done);
    return count;
}

static void expect_rows(struct bench *bench, const char *text)
{
    assert_string_equal(qn_buf_cstr(&bench->memory.bytes), text);
}

static struct qn_leaf_facts facts_of(struct bench *bench)
{
    struct qn_sequencer_facts facts;
    qn_sequencer_facts(bench->sequencer, &facts);
    return facts.leaves;
}

static const char *hole(struct bench *bench, size_t number, size_t expected)
{
    size_t count;
    const struct qn_hole *holes = qn_sequencer_holes(bench->sequencer, &count);
    assert_int_equal(count, expected);
    return expected > 0 ? holes[number].reason : NULL;
}

static void publish(struct bench *bench)
{
    struct qn_err err;
    assert_int_equal(qn_sequencer_close(bench->sequencer, QN_END_PUBLISH, &err), 0);
    assert_int_equal(bench->memory.end, QN_MEMORY_PUBLISHED);
}

#define RULES                                                                                                          \
    (struct qn_sequencer_options)                                                                                      \
    {                                                                                                                  \
        .key = true, .owner = true                                                                                     \
    }

/* ---- cases ---- */

static void test_plan_order(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 3, RULES);
    begin(&b, 1);
    begin(&b, 2);
    begin(&b, 3);
    whole(&b, 3, (struct record[]){{3, 2 * HOUR, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 0);
    whole(&b, 1, (struct record[]){{1, 0, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 0); /* its successor is not whole yet */
    whole(&b, 2, (struct record[]){{2, HOUR, 2, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 3);
    expect_rows(&b, "1.0@0\n2.0@3600000\n2.1@3600000\n3.0@7200000\n");
    assert_string_equal(qn_buf_cstr(&b.memory.calls), "begin 1\nrows 1\nend 0\nbegin 2\nrows 2\nend 0\n"
                                                      "begin 3\nrows 1\nend 0\ncommit 0\n");
    struct qn_stored_run run;
    assert_int_equal(b.store->class->find(b.store, "r1", &run, NULL), 0);
    assert_int_equal(run.leaves, 3);
    assert_int_equal(run.rows, 4);
    publish(&b);
    assert_int_equal(b.store->class->find(b.store, "r1", &run, NULL), 0);
    assert_int_equal(run.end, QN_RUN_COMPLETE);
    close_bench(&b);
}

#define KEY_ONLY                                                                                                       \
    (struct qn_sequencer_options)                                                                                      \
    {                                                                                                                  \
        .key = true                                                                                                    \
    }

/* Without owners nobody can ask for more of a whole leaf: it does not wait for its successor. */
static void test_no_wait_for_successor(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2, KEY_ONLY);
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 1, (struct record[]){{1, 0, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 1);
    expect_rows(&b, "1.0@0\n");
    whole(&b, 2, (struct record[]){{2, 0, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 1);
    publish(&b);
    close_bench(&b);
}

/* A commit stops where the sink is full, and goes on when it is asked again; a leaf is begun and ended once. */
static void test_full_sink(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    struct qn_advance done;
    struct qn_op room;
    qn_op_init(&room, NULL);
    open_bench(&b, 2, (struct qn_sequencer_options){.key = true, .leaf_memory = 1, .memory = 1}); /* pages stay apart */
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 2, (struct record[]){{20, 0, 1, 0}}, 1);
    whole(&b, 1, (struct record[]){{1, 0, 2, 0}}, 1);
    b.memory.full = &room;
    for (int i = 0; i < 3; i++) { /* full from the start */
        assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), 0);
        assert_true(done.full && done.count == 0);
        qn_advance_free(&done);
        expect_rows(&b, "");
    }
    assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_PUBLISH, &err), QN_ESTATE);
    close_bench(&b);

    open_bench(&b, 2, KEY_ONLY);
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 1, (struct record[]){{1, 0, 2, 0}}, 1);
    whole(&b, 2, (struct record[]){{20, 0, 1, 0}}, 1);
    b.memory.full = &room;
    b.memory.full_at_rows = 1;
    assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), 0);
    assert_true(done.full && done.count == 1); /* the first leaf fitted */
    qn_advance_free(&done);
    expect_rows(&b, "1.0@0\n1.1@0\n");
    b.memory.full = NULL;
    assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), 0);
    assert_true(!done.full && done.count == 1);
    qn_advance_free(&done);
    expect_rows(&b, "1.0@0\n1.1@0\n20.0@0\n");
    assert_string_equal(qn_buf_cstr(&b.memory.calls),
                        "begin 1\nrows 2\nend 0\nbegin 2\ncommit 0\nrows 1\nend 0\ncommit 0\n");
    publish(&b);
    close_bench(&b);
}

/* Far more than fits in memory, with a sink that is full before every piece of it. */
static void test_full_sink_again_and_again(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    struct qn_advance done;
    struct qn_op room;
    unsigned stops = 0;
    enum { PAGES = 20, RECORDS = 1000 };
    static struct record records[RECORDS];
    struct qn_buf expected;
    qn_buf_init(&expected, QN_BUF_NO_CAP);
    qn_op_init(&room, NULL);
    open_bench(&b, 1, (struct qn_sequencer_options){.leaf_memory = 64 << 10, .memory = 64 << 10});
    begin(&b, 1);
    for (uint32_t page = 1; page <= PAGES; page++) {
        for (size_t i = 0; i < RECORDS; i++) records[i] = (struct record){page * RECORDS + i, 0, 1, 90};
        struct qn_batch *batch = batch_of(records, RECORDS);
        qn_buf_add(&expected, qn_bytes_data(batch->bytes), qn_bytes_size(batch->bytes));
        assert_int_equal(qn_sequencer_add(b.sequencer, 1, page, batch, &err), 0);
        qn_batch_unref(batch);
    }
    finish(&b, 1, PAGES);
    for (b.memory.full = &room;; stops++) {
        b.memory.full_at_rows = b.memory.rows_calls + 1;
        assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), 0);
        assert_int_equal(done.count, done.full ? 0 : 1);
        bool full = done.full;
        qn_advance_free(&done);
        if (!full) break;
    }
    assert_true(stops > 5);
    assert_int_equal(b.memory.sink.rows_written, PAGES * RECORDS);
    assert_int_equal(b.memory.bytes.size, expected.size);
    assert_memory_equal(b.memory.bytes.data, expected.data, expected.size);
    qn_buf_free(&expected);
    publish(&b);
    close_bench(&b);
}

/* Rows of the first leaf go to the sink as they come, and out of it again when the walk was in vain. */
static void test_head_goes_straight(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    uint32_t first, second;
    open_bench(&b, 3, KEY_ONLY);
    b.memory.sink.can_undo = true;
    begin(&b, 1);
    begin(&b, 2);
    add(&b, 2, 1, (struct record[]){{20, 0, 1, 0}}, 1);
    expect_rows(&b, "");
    add(&b, 1, 1, (struct record[]){{1, 0, 1, 0}, {1, 0, 1, 0}}, 2);
    expect_rows(&b, "1.0@0\n");
    qn_sequencer_discard(b.sequencer, 1); /* begins again */
    expect_rows(&b, "");
    assert_int_equal(qn_sequencer_begin(b.sequencer, 1, &err), 0);
    add(&b, 1, 2, (struct record[]){{2, 0, 1, 0}}, 1);
    expect_rows(&b, "");
    add(&b, 1, 1, (struct record[]){{1, 0, 1, 0}}, 1);
    expect_rows(&b, "1.0@0\n2.0@0\n");
    finish(&b, 1, 2);
    assert_int_equal(advance(&b, NULL), 1);
    expect_rows(&b, "1.0@0\n2.0@0\n20.0@0\n"); /* leaf 2 is the first now */
    add(&b, 2, 2, (struct record[]){{21, 0, 1, 0}}, 1);
    expect_rows(&b, "1.0@0\n2.0@0\n20.0@0\n21.0@0\n");
    qn_sequencer_discard(b.sequencer, 2);
    assert_int_equal(qn_tree_split(b.tree, 2, &first, &second, &err), 0);
    expect_rows(&b, "1.0@0\n2.0@0\n");
    begin(&b, first);
    add(&b, first, 1, (struct record[]){{22, 0, 1, 0}}, 1);
    expect_rows(&b, "1.0@0\n2.0@0\n22.0@0\n");
    begin(&b, second);
    add(&b, second, 1, (struct record[]){{23, 0, 1, 0}}, 1);
    begin(&b, 3);
    whole(&b, 3, (struct record[]){{30, 0, 1, 0}}, 1);
    assert_int_equal(qn_sequencer_fail(b.sequencer, first, "gone", &err), 0);
    expect_rows(&b, "1.0@0\n2.0@0\n");
    assert_int_equal(advance(&b, NULL), 0);
    expect_rows(&b, "1.0@0\n2.0@0\n23.0@0\n");
    finish(&b, second, 1);
    assert_int_equal(advance(&b, NULL), 2);
    expect_rows(&b, "1.0@0\n2.0@0\n23.0@0\n30.0@0\n");
    assert_int_equal(b.memory.sink.rows_written, 4);
    publish(&b);
    close_bench(&b);
}

static void test_key_and_owner(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 2, RULES);
    begin(&b, 1);
    begin(&b, 2);
    struct record first[] = {
        {1, 10, 1, 0},       {2, 20, 2, 0}, {1, 10, 1, 0}, /* a repeat */
        {0, 30, 1, 0},       {0, 30, 1, 0},                /* no key: both stay */
        {4, -1, 1, 0},                                     /* no owner: stays */
        {5, HOUR, 3, 0},                                   /* the other leaf's */
        {0, HOUR + 5, 1, 0},                               /* the other leaf's, but nothing could tell its loss */
        {6, 2 * HOUR, 1, 0},                               /* outside */
        {7, 40, 0, 0},       {7, 40, 1, 0},                /* the first made no row; the second is a repeat */
    };
    add(&b, 1, 1, first, 11);
    add(&b, 1, 2, (struct record[]){{2, 20, 1, 0}, {8, 50, 1, 0}}, 2); /* a repeat across pages */
    finish(&b, 1, 2);
    whole(&b, 2, (struct record[]){{5, HOUR, 1, 0}, {1, 10, 1, 0}}, 2);
    assert_int_equal(advance(&b, NULL), 2);
    expect_rows(&b, "1.0@10\n2.0@20\n2.1@20\n0.0@30\n0.0@30\n4.0@-1\n0.0@3600005\n8.0@50\n5.0@3600000\n");
    struct qn_leaf_facts facts = facts_of(&b);
    assert_int_equal(facts.records, 15);
    assert_int_equal(facts.rows, 9);
    assert_int_equal(facts.duplicates, 3);
    assert_int_equal(facts.disowned, 2);
    assert_int_equal(facts.outside, 1);
    assert_int_equal(facts.no_key, 3);
    assert_int_equal(facts.no_owner, 1);
    hole(&b, 0, 0);
    publish(&b);
    close_bench(&b);
}

/* A record that a neighbour saw and its owner did not deliver: asked for once, then a hole. */
static void test_refetch(void **state)
{
    (void)state;
    for (int delivered = 0; delivered < 2; delivered++) {
        struct bench b;
        open_bench(&b, 3, RULES);
        begin(&b, 1);
        begin(&b, 2);
        begin(&b, 3);
        whole(&b, 1, (struct record[]){{1, 10, 1, 0}}, 1);
        whole(&b, 2, (struct record[]){{9, 20, 1, 0}, {2, HOUR, 1, 0}}, 2); /* 9 belongs to leaf 1 */
        uint32_t refetch;
        assert_int_equal(advance(&b, &refetch), 0);
        assert_int_equal(refetch, 1);
        assert_int_equal(qn_tree_state(b.tree, 1), QN_LEAF_OPEN);
        whole(&b, 3, NULL, 0);
        assert_int_equal(advance(&b, NULL), 0); /* the head is not whole */
        begin(&b, 1);
        if (delivered)
            whole(&b, 1, (struct record[]){{1, 10, 1, 0}, {9, 20, 1, 0}}, 2);
        else
            whole(&b, 1, (struct record[]){{1, 10, 1, 0}}, 1);
        assert_int_equal(advance(&b, NULL), 3);
        expect_rows(&b, delivered ? "1.0@10\n9.0@20\n2.0@3600000\n" : "1.0@10\n2.0@3600000\n");
        const char *reason = hole(&b, 0, delivered ? 0 : 1);
        if (reason) assert_non_null(strstr(reason, "1 record seen by a neighbour but not delivered by its owner"));
        if (reason) assert_non_null(strstr(reason, "time 1970-01-01T00:00:00.020Z"));
        publish(&b);
        close_bench(&b);
    }
}

/* The owner has committed already, and the one who saw the record is further away than its neighbour. */
static void test_late_witness(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 5, RULES);
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 1, (struct record[]){{1, 10, 1, 0}}, 1);
    whole(&b, 2, (struct record[]){{2, HOUR, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 1);
    begin(&b, 3);
    begin(&b, 4);
    begin(&b, 5);
    whole(&b, 3, NULL, 0);
    struct record seen[] = {{1, 10, 1, 0}, {8, 20, 1, 0}, {2, HOUR, 1, 0}, {9, HOUR + 1, 1, 0}, {7, 30, 1, 0}};
    whole(&b, 5, seen, 5);
    uint32_t refetch;
    assert_int_equal(advance(&b, &refetch), 0); /* leaf 2 is not committed: it is asked for 9 */
    assert_int_equal(refetch, 2);
    begin(&b, 2);
    whole(&b, 2, (struct record[]){{2, HOUR, 1, 0}, {9, HOUR + 1, 1, 0}}, 2);
    whole(&b, 4, (struct record[]){{8, 20, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 4);
    assert_non_null(strstr(hole(&b, 0, 1), "not delivered by its owner")); /* leaf 1, once */
    expect_rows(&b, "1.0@10\n2.0@3600000\n9.0@3600001\n");
    publish(&b);
    close_bench(&b);
}

/* Records that an early leaf saw of leaves to come are looked for when those commit. */
static void test_forward_witness(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b, 4, RULES);
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 1, (struct record[]){{1, 10, 1, 0}, {40, 3 * HOUR, 1, 0}, {41, 3 * HOUR + 1, 1, 0}}, 3);
    whole(&b, 2, NULL, 0);
    assert_int_equal(advance(&b, NULL), 1);
    begin(&b, 3);
    begin(&b, 4);
    whole(&b, 3, NULL, 0);
    whole(&b, 4, (struct record[]){{40, 3 * HOUR, 1, 0}}, 1);
    uint32_t refetch;
    assert_int_equal(advance(&b, &refetch), 2);
    assert_int_equal(refetch, 4);
    begin(&b, 4);
    whole(&b, 4, (struct record[]){{40, 3 * HOUR, 1, 0}, {41, 3 * HOUR + 1, 1, 0}}, 2);
    assert_int_equal(advance(&b, NULL), 1);
    hole(&b, 0, 0);
    publish(&b);
    close_bench(&b);
}

/* A leaf that is split in the middle of its walk; its halves stand where it stood, and may be split again. */
static void test_split(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    uint32_t first, second;
    open_bench(&b, 2, RULES);
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 2, (struct record[]){{9, HOUR, 1, 0}, {5, HOUR / 2, 1, 0}}, 2);
    add(&b, 1, 1, (struct record[]){{1, 10, 1, 0}}, 1);
    qn_sequencer_discard(b.sequencer, 1);
    assert_int_equal(qn_tree_split(b.tree, 1, &first, &second, &err), 0);
    assert_int_equal(qn_sequencer_begin(b.sequencer, 1, &err), QN_ESTATE);
    assert_int_equal(advance(&b, NULL), 0);
    begin(&b, first);
    begin(&b, second);
    whole(&b, second, (struct record[]){{5, HOUR / 2, 1, 0}, {1, 10, 1, 0}}, 2);
    whole(&b, first, (struct record[]){{1, 10, 1, 0}}, 1);
    assert_int_equal(advance(&b, NULL), 3);
    expect_rows(&b, "1.0@10\n5.0@1800000\n9.0@3600000\n");
    hole(&b, 0, 0);
    publish(&b);
    close_bench(&b);
}

static void test_failed_leaf(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    open_bench(&b, 3, RULES);
    for (uint32_t leaf = 1; leaf <= 3; leaf++) begin(&b, leaf);
    whole(&b, 1, (struct record[]){{1, 10, 1, 0}}, 1);
    add(&b, 2, 1, (struct record[]){{2, HOUR, 1, 0}}, 1);
    assert_int_equal(qn_sequencer_fail(b.sequencer, 2, "413 below the floor", &err), 0);
    assert_int_equal(qn_sequencer_fail(b.sequencer, 2, "again", &err), QN_ESTATE);
    whole(&b, 3, (struct record[]){{2, HOUR, 1, 0}, {3, 2 * HOUR, 1, 0}}, 2); /* what a hole owns is in its hole */
    assert_int_equal(advance(&b, NULL), 2);
    expect_rows(&b, "1.0@10\n3.0@7200000\n");
    assert_string_equal(hole(&b, 0, 1), "413 below the floor");
    assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_KEEP, &err), 0);
    assert_int_equal(b.memory.end, QN_MEMORY_KEPT);
    assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_KEEP, &err), QN_ESTATE);
    close_bench(&b);
}

static void test_order(void **state)
{
    (void)state;
    struct bench b;
    struct qn_sequencer_options options = RULES;
    options.order = true;
    open_bench(&b, 2, options);
    begin(&b, 1);
    begin(&b, 2);
    add(&b, 1, 1, (struct record[]){{1, 10, 1, 0}, {2, 30, 1, 0}, {3, 30, 1, 0}}, 3);
    add(&b, 1, 2, (struct record[]){{4, -1, 1, 0}, {5, 20, 1, 0}}, 2);
    finish(&b, 1, 2);
    whole(&b, 2, NULL, 0);
    assert_int_equal(advance(&b, NULL), 2);
    assert_non_null(
        strstr(hole(&b, 0, 1), "1970-01-01T00:00:00.020Z comes after 1970-01-01T00:00:00.030Z (page 2, record 2)"));
    publish(&b);
    close_bench(&b);
}

static void test_wrong_calls(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    struct qn_advance done;
    open_bench(&b, 2, RULES);
    struct qn_batch *batch = batch_of((struct record[]){{1, 10, 1, 0}}, 1);
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 1, batch, &err), QN_ESTATE);
    assert_int_equal(qn_sequencer_finish(b.sequencer, 1, 0, NULL, &err), QN_ESTATE);
    begin(&b, 1);
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 0, batch, &err), QN_EINVAL);
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 2, batch, &err), 0);
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 2, batch, &err), QN_EEXIST);
    assert_int_equal(qn_sequencer_finish(b.sequencer, 1, 2, NULL, &err), QN_ESTATE); /* page 1 is missing */
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 1, batch, &err), 0);
    assert_int_equal(qn_sequencer_add(b.sequencer, 1, 1, batch, &err), QN_EEXIST);
    assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_PUBLISH, &err), QN_ESTATE); /* leaves are missing */
    assert_int_equal(b.memory.end, QN_MEMORY_DISCARDED);
    assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), QN_ESTATE);
    qn_batch_unref(batch);
    close_bench(&b);
}

static void test_sink_failure(void **state)
{
    (void)state;
    struct bench b;
    struct qn_err err;
    struct qn_advance done;
    open_bench(&b, 2, RULES);
    b.memory.fail_at_rows = 2;
    b.memory.fail_code = QN_EPIPE;
    begin(&b, 1);
    begin(&b, 2);
    whole(&b, 1, (struct record[]){{1, 10, 1, 0}}, 1);
    whole(&b, 2, (struct record[]){{2, HOUR, 1, 0}}, 1);
    assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), QN_EPIPE);
    assert_int_equal(qn_sequencer_advance(b.sequencer, &done, &err), QN_ESTATE);
    assert_int_equal(qn_sequencer_close(b.sequencer, QN_END_PUBLISH, &err), QN_ESTATE);
    assert_int_equal(b.memory.end, QN_MEMORY_DISCARDED);
    close_bench(&b);
}

/* A count of items: key within a leaf, no owners; owners are data there. */
static void test_items(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct qn_tree *tree;
    struct qn_sequencer *sequencer;
    struct qn_memory_sink memory;
    struct qn_err err;
    struct qn_advance done;
    qn_memory_sink_init(&memory);
    assert_int_equal(qn_tree_new(&(struct qn_tree_spec){.count = 2}, &tree, &err), 0);
    struct qn_sequencer_options options = {
        .tree = tree, .sink = &memory.sink, .key = true, .owner = true, .spool_dir = world.dir};
    assert_int_equal(qn_sequencer_new(&options, &sequencer, &err), 0);
    for (int i = 0; i < 2; i++) {
        uint32_t leaf = qn_tree_take(tree);
        struct qn_batch *batch = batch_of((struct record[]){{1, 10, 1, 0}, {1, 10, 1, 0}, {2, -1, 1, 0}}, 3);
        assert_int_equal(qn_sequencer_begin(sequencer, leaf, &err), 0);
        assert_int_equal(qn_sequencer_add(sequencer, leaf, 1, batch, &err), 0);
        assert_int_equal(qn_sequencer_finish(sequencer, leaf, 1, NULL, &err), 0);
        qn_batch_unref(batch);
    }
    assert_int_equal(qn_sequencer_advance(sequencer, &done, &err), 0);
    assert_int_equal(done.count, 2);
    qn_advance_free(&done);
    assert_string_equal(qn_buf_cstr(&memory.bytes), "1.0@10\n2.0@-1\n1.0@10\n2.0@-1\n");
    assert_int_equal(qn_sequencer_close(sequencer, QN_END_PUBLISH, &err), 0);
    qn_sequencer_free(sequencer);
    memory.sink.class->free(&memory.sink);
    qn_tree_free(tree);
    world_close(&world);
}

/* ---- a random world: what an API holds, asked for in leaves that overlap ---- */

enum { HOURS = 6, RECORDS = 400, PAGE = 9, GHOST = 1000000 };

/* Ghosts (keys beyond GHOST) are delivered by neighbours only, never by the leaf that owns them. */
static bool delivers(const struct record *record, int64_t from, int64_t to)
{
    bool own = record->owner_ms >= from && record->owner_ms < to;
    int64_t slack = record->key % 5 == 0 ? HOUR / 3 : 0; /* these are delivered by both neighbours */
    bool near = record->owner_ms >= from - slack && record->owner_ms < to + slack;
    return record->key > GHOST ? near && !own : near;
}

static size_t page_of(const struct record *all, int64_t from, int64_t to, struct record *out, size_t capacity)
{
    size_t count = 0;
    for (size_t i = 0; i < RECORDS && count < capacity; i++) {
        if (delivers(&all[i], from, to)) {
            out[count++] = all[i];
            if (all[i].key % 11 == 0) out[count++] = all[i]; /* and these twice */
        }
    }
    return count;
}

/* Adds a leaf's pages in random order; now and then the walk is thrown away half-way and begins anew. */
static void walk(struct bench *b, struct qn_rng *rng, const struct record *all, uint32_t leaf)
{
    struct record got[3 * RECORDS];
    int64_t from, to;
    struct qn_err err;
    qn_tree_range(b->tree, leaf, &from, &to);
    size_t count = page_of(all, from, to, got, 2 * RECORDS);
    uint32_t pages = (uint32_t)((count + PAGE - 1) / PAGE), order[RECORDS];
    for (uint32_t i = 0; i < pages; i++) order[i] = i;
    for (uint32_t i = pages; i > 1; i--) {
        uint32_t other = (uint32_t)qn_rng_below(rng, i), t = order[i - 1];
        order[i - 1] = order[other];
        order[other] = t;
    }
    assert_int_equal(qn_sequencer_begin(b->sequencer, leaf, &err), 0);
    for (uint32_t i = 0; i < pages; i++) {
        size_t at = (size_t)order[i] * PAGE;
        add(b, leaf, order[i] + 1, got + at, count - at < PAGE ? count - at : PAGE);
        if (i == pages / 2 && qn_rng_below(rng, 3) == 0) {
            qn_sequencer_discard(b->sequencer, leaf);
            walk(b, rng, all, leaf);
            return;
        }
    }
    finish(b, leaf, pages);
}

static size_t gaps_found;

/* A leaf is a hole exactly if it owns a ghost that another leaf of the final tree delivers. */
static void check_holes(struct bench *b, const struct record *all)
{
    size_t expected = 0, count;
    const struct qn_hole *holes = qn_sequencer_holes(b->sequencer, &count);
    for (uint32_t owner = qn_tree_first(b->tree); owner; owner = qn_tree_next(b->tree, owner)) {
        int64_t from, to;
        bool missing = false, noted = false;
        for (size_t i = 0; i < RECORDS; i++) {
            if (all[i].key <= GHOST || qn_tree_at(b->tree, all[i].owner_ms) != owner) continue;
            for (uint32_t leaf = qn_tree_first(b->tree); leaf; leaf = qn_tree_next(b->tree, leaf)) {
                qn_tree_range(b->tree, leaf, &from, &to);
                if (delivers(&all[i], from, to)) missing = true;
            }
        }
        for (size_t i = 0; i < count; i++) noted = noted || holes[i].leaf == owner;
        assert_int_equal(noted, missing);
        expected += missing;
    }
    assert_int_equal(count, expected); /* one hole a leaf */
    gaps_found += count;
}

static char *random_run(uint64_t seed, const struct record *all, struct qn_sequencer_options options, uint64_t *spooled)
{
    struct bench b;
    struct qn_rng rng;
    uint32_t running[16];
    size_t count = 0;
    qn_rng_seed(&rng, seed);
    open_bench(&b, HOURS, options);
    b.memory.note_calls = false;
    b.memory.sink.can_undo = seed % 3 != 0;
    for (;;) {
        uint32_t leaf = count < 4 ? qn_tree_take(b.tree) : 0;
        if (leaf)
            running[count++] = leaf;
        else if (count == 0)
            break;
        if (leaf && count < 4) continue;
        size_t pick = (size_t)qn_rng_below(&rng, count);
        uint32_t first, second;
        leaf = running[pick];
        running[pick] = running[--count];
        if (qn_rng_below(&rng, 4) == 0 && qn_tree_split(b.tree, leaf, &first, &second, NULL) == 0) continue;
        walk(&b, &rng, all, leaf);
        uint32_t refetch;
        if (qn_rng_below(&rng, 2)) advance(&b, &refetch);
        if (count == 0) advance(&b, &refetch);
    }
    advance(&b, NULL);
    assert_true(qn_tree_tiled(b.tree));
    check_holes(&b, all);
    publish(&b);
    struct qn_sequencer_facts facts;
    qn_sequencer_facts(b.sequencer, &facts);
    *spooled = facts.spooled_bytes;
    assert_int_equal(facts.leaves.rows, b.memory.sink.rows_written);
    char *text = strdup(qn_buf_cstr(&b.memory.bytes));
    close_bench(&b);
    return text;
}

static void test_random_orders(void **state)
{
    (void)state;
    struct record all[RECORDS];
    struct qn_rng rng;
    qn_rng_seed(&rng, 42);
    for (size_t i = 0; i < RECORDS; i++) {
        int64_t gap = HOURS * HOUR / RECORDS;
        all[i] = (struct record){i + 1, (int64_t)i * gap + (int64_t)qn_rng_below(&rng, (uint64_t)gap),
                                 (int)(i % 4 != 3), i % 50};
        if (i % 13 == 0) all[i].rows = 3;
    }
    struct qn_sequencer_options roomy = RULES, narrow = RULES;
    narrow.leaf_memory = 1; /* every block goes to disk, early pages too */
    narrow.memory = 1;
    char *expected = NULL;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t spooled;
        char *text = random_run(seed, all, seed % 2 ? roomy : narrow, &spooled);
        if (seed % 2 == 0) assert_true(spooled > 0);
        if (expected) assert_string_equal(text, expected);
        free(expected);
        expected = text;
    }
    free(expected);
}

/* Whatever the order in which leaves become whole, every gap that a neighbour could see has its name. */
static void test_random_gaps(void **state)
{
    (void)state;
    struct record all[RECORDS];
    struct qn_rng rng;
    qn_rng_seed(&rng, 7);
    int64_t gap = HOURS * HOUR / RECORDS;
    for (size_t i = 0; i < RECORDS; i++) {
        all[i] = (struct record){i + 1, (int64_t)i * gap + (int64_t)qn_rng_below(&rng, (uint64_t)gap), 1, 0};
        if (i % 23 == 0) all[i].key = GHOST + 5 * (i + 1);
    }
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uint64_t spooled;
        free(random_run(seed, all, RULES, &spooled));
    }
    assert_true(gaps_found > 60);
}

/* ---- memory ---- */

static size_t peak_of(int leaves, int pages, bool one_leaf, struct qn_sequencer_facts *facts)
{
    struct bench b;
    struct qn_sequencer_options options = RULES;
    options.leaf_memory = 256 << 10;
    options.memory = 1 << 20;
    open_bench(&b, one_leaf ? 1 : leaves, options);
    b.memory.drop = true;
    b.memory.note_calls = false;
    qn_mem_reset_peak();
    uint64_t key = 0;
    static struct record records[200];
    int ahead = 0;
    for (int l = 0; l < (one_leaf ? 1 : leaves); l++) {
        uint32_t leaf = (uint32_t)l + 1;
        begin(&b, leaf);
        uint32_t page = 0;
        for (int p = 0; p < pages * (one_leaf ? leaves : 1); p++) {
            for (size_t i = 0; i < 200; i++) {
                records[i] = (struct record){++key, l * HOUR + (int64_t)i, 1, 100};
                if (i >= 150 && leaf > 1) records[i].owner_ms -= HOUR; /* seen before, and delivered there */
                if (i >= 150 && leaf > 1) records[i].key -= (uint64_t)pages * 200 + 50;
            }
            add(&b, leaf, ++page, records, 200);
        }
        finish(&b, leaf, page);
        if (++ahead % 5 == 0 || l + 1 == leaves) {
            uint32_t refetch;
            advance(&b, &refetch);
            assert_int_equal(refetch, 0);
        }
    }
    uint32_t refetch;
    advance(&b, &refetch);
    size_t peak = qn_mem_peak();
    qn_sequencer_facts(b.sequencer, facts);
    publish(&b);
    close_bench(&b);
    return peak;
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct qn_sequencer_facts small, large;
    size_t one = peak_of(20, 12, false, &small), ten = peak_of(200, 12, false, &large);
    assert_true(small.spooled_bytes > 0);
    assert_true(small.leaves.disowned > 0);
    assert_int_equal(large.leaves.records, 10 * small.leaves.records);
    print_message("many leaves: peak %zu, ten times as much data: %zu\n", one, ten);
    assert_true(ten * 10 <= one * 11);
    one = peak_of(10, 20, true, &small);
    ten = peak_of(100, 20, true, &large);
    print_message("one leaf: peak %zu, ten times as much data: %zu\n", one, ten);
    assert_int_equal(large.leaves.rows, 10 * small.leaves.rows);
    assert_true(ten * 10 <= one * 11);
}

/* Allocation n fails, for n = 1, 2, 3 ...: an error each time, and nothing left. */
static void test_without_memory(void **state)
{
    (void)state;
    bool passed = false;
    for (uint64_t n = 1; !passed && n < 500; n++) {
        struct bench b;
        struct qn_err err;
        open_bench(&b, 2, RULES);
        struct qn_batch *first = batch_of((struct record[]){{1, 10, 1, 0}, {2, HOUR, 1, 0}}, 2);
        struct qn_batch *second = batch_of((struct record[]){{2, HOUR, 1, 0}}, 1);
        struct qn_advance done = {0};
        qn_tree_take(b.tree);
        qn_tree_take(b.tree);
        qn_mem_fail_after(n);
        int rc = qn_sequencer_begin(b.sequencer, 1, &err);
        if (rc == 0) rc = qn_sequencer_begin(b.sequencer, 2, &err);
        if (rc == 0) rc = qn_sequencer_add(b.sequencer, 1, 2, second, &err);
        if (rc == 0) rc = qn_sequencer_add(b.sequencer, 1, 1, first, &err);
        if (rc == 0) rc = qn_sequencer_add(b.sequencer, 2, 1, second, &err);
        if (rc == 0) rc = qn_sequencer_finish(b.sequencer, 1, 2, NULL, &err);
        if (rc == 0) rc = qn_sequencer_finish(b.sequencer, 2, 1, NULL, &err);
        if (rc == 0) rc = qn_sequencer_advance(b.sequencer, &done, &err);
        qn_mem_fail_after(0);
        assert_true(rc == 0 || rc == QN_ENOMEM);
        passed = rc == 0;
        qn_advance_free(&done);
        qn_batch_unref(first);
        qn_batch_unref(second);
        close_bench(&b);
    }
    assert_true(passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_wait_for_successor),
        cmocka_unit_test(test_head_goes_straight),
        cmocka_unit_test(test_plan_order),
        cmocka_unit_test(test_key_and_owner),
        cmocka_unit_test(test_refetch),
        cmocka_unit_test(test_late_witness),
        cmocka_unit_test(test_forward_witness),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_failed_leaf),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_sink_failure),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_random_orders),
        cmocka_unit_test(test_random_gaps),
        cmocka_unit_test(test_full_sink),
        cmocka_unit_test(test_full_sink_again_and_again),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
