/* test_hold.c - rows that wait: same content in memory and on disk, no copies of large pieces, bounded memory, nothing
 * left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "run/hold.h"
#include "run_world.h"
#include "sink/memory.h"

enum { BATCH = 200000 };

static struct qn_bytes *new_batch(struct qn_rng *rng, size_t size)
{
    static char data[BATCH];
    for (size_t i = 0; i < size; i++) data[i] = (char)('a' + qn_rng_below(rng, 26));
    struct qn_bytes *bytes = qn_bytes_new(data, size);
    assert_non_null(bytes);
    return bytes;
}

/* Stretches of a batch, in their order, with gaps; all of them are noted in `expected`. */
static void add_batch(struct qn_hold *hold, struct qn_rng *rng, struct qn_buf *expected, uint64_t *rows)
{
    struct qn_err err;
    size_t size = 1 + (size_t)qn_rng_below(rng, qn_rng_below(rng, 3) ? BATCH : 300), at = 0;
    struct qn_bytes *bytes = new_batch(rng, size);
    while (at < size) {
        size_t n = 1 + (size_t)qn_rng_below(rng, size - at);
        if (qn_rng_below(rng, 4)) {
            assert_int_equal(qn_hold_add(hold, bytes, at, n, 2, &err), 0);
            assert_int_equal(qn_buf_add(expected, qn_bytes_data(bytes) + at, n), 0);
            *rows += 2;
        }
        at += n;
    }
    qn_bytes_unref(bytes);
}

static void check(struct qn_hold *hold, const struct qn_buf *expected, uint64_t rows)
{
    struct qn_memory_sink memory;
    struct qn_err err;
    int rc;
    qn_memory_sink_init(&memory);
    while ((rc = qn_hold_deliver(hold, &memory.sink, &err)) > 0) {}
    assert_int_equal(rc, 0);
    assert_int_equal(hold->size, expected->size);
    assert_int_equal(memory.bytes.size, expected->size);
    if (expected->size > 0) assert_memory_equal(memory.bytes.data, expected->data, expected->size);
    assert_int_equal(memory.sink.rows_written, rows);
    memory.sink.class->free(&memory.sink);
}

static void run(size_t limit, size_t memory, bool spills)
{
    struct world world;
    char dir[128];
    struct qn_rng rng;
    struct qn_err err;
    world_open(&world);
    qn_rng_seed(&rng, limit + memory);
    struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), memory);
    struct qn_hold holds[3];
    for (int i = 0; i < 3; i++) qn_hold_init(&holds[i], pool, limit);
    for (int round = 0; round < 4; round++) {
        struct qn_buf expected[3];
        uint64_t rows[3] = {0, 0, 0};
        for (int i = 0; i < 3; i++) qn_buf_init(&expected[i], QN_BUF_NO_CAP);
        for (int n = 0; n < 60; n++) {
            int i = (int)qn_rng_below(&rng, 3);
            add_batch(&holds[i], &rng, &expected[i], &rows[i]);
            assert_true(qn_spool_pool_memory(pool) <= memory + 3 * 2 * BATCH); /* a block each */
        }
        for (int i = 0; i < 3; i++) {
            if (round % 2) assert_int_equal(qn_hold_seal(&holds[i], &err), 0);
            check(&holds[i], &expected[i], rows[i]);
            qn_hold_clear(&holds[i]);
            qn_buf_free(&expected[i]);
        }
        assert_int_equal(qn_spool_pool_memory(pool), 0);
    }
    assert_int_equal(qn_spool_pool_written(pool) > 0, spills);
    qn_spool_pool_free(pool);
    world_close(&world);
}

static void test_random(void **state)
{
    (void)state;
    run(1, 1, true);
    run(300000, 64 << 20, true);
    run(64 << 20, 500000, true);
    run(64 << 20, 64 << 20, false);
}

/* Pages that stay whole are not copied, and are let go of when the hold is. */
static void test_references(void **state)
{
    (void)state;
    struct world world;
    char dir[128];
    struct qn_rng rng;
    struct qn_err err;
    world_open(&world);
    qn_rng_seed(&rng, 1);
    struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), 1 << 20);
    struct qn_hold hold;
    qn_hold_init(&hold, pool, 1 << 20);
    struct qn_bytes *bytes = new_batch(&rng, BATCH);
    assert_int_equal(qn_hold_add(&hold, bytes, 5, 120000, 1, &err), 0);
    assert_null(qn_bytes_own(bytes));
    assert_int_equal(qn_spool_pool_memory(pool), BATCH + QN_BYTES_PADDING);
    assert_int_equal(qn_hold_add(&hold, bytes, 130000, 40000, 1, &err), 0); /* a fifth of the page: a copy */
    assert_int_equal(hold.size, 160000);
    qn_hold_clear(&hold);
    assert_non_null(qn_bytes_own(bytes));
    assert_int_equal(qn_hold_add(&hold, bytes, 0, 1000, 1, &err), 0); /* a small part of a large page is copied */
    assert_non_null(qn_bytes_own(bytes));
    assert_true(qn_spool_pool_memory(pool) < 2000);
    qn_hold_clear(&hold);
    qn_bytes_unref(bytes);
    qn_spool_pool_free(pool);
    world_close(&world);
}

/* A disk that is full names the folder, and what was held can still be dropped. */
static void test_full_disk(void **state)
{
    (void)state;
    struct world world;
    char dir[128];
    struct qn_rng rng;
    struct qn_err err = {0};
    struct rlimit before, small = {100000, 100000};
    world_open(&world);
    qn_rng_seed(&rng, 2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small.rlim_max = before.rlim_max;
    void (*old)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), 1);
    struct qn_hold hold;
    qn_hold_init(&hold, pool, 1);
    struct qn_bytes *bytes = new_batch(&rng, BATCH);
    assert_int_equal(qn_hold_add(&hold, bytes, 0, BATCH, 1, &err), QN_EIO);
    assert_non_null(strstr(err.text, "cannot spool beyond 100000 bytes in"));
    qn_hold_clear(&hold);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, old);
    qn_bytes_unref(bytes);
    qn_spool_pool_free(pool);
    world_close(&world);
}

static void test_without_memory(void **state)
{
    (void)state;
    bool passed = false;
    for (uint64_t n = 1; !passed && n < 100; n++) {
        struct world world;
        char dir[128];
        struct qn_rng rng;
        struct qn_err err;
        struct qn_memory_sink memory;
        world_open(&world);
        qn_rng_seed(&rng, 3);
        struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), 150000);
        struct qn_hold hold;
        qn_hold_init(&hold, pool, 1 << 20);
        qn_memory_sink_init(&memory);
        struct qn_bytes *bytes = new_batch(&rng, 100000);
        qn_mem_fail_after(n);
        int rc = qn_hold_add(&hold, bytes, 0, 20000, 1, &err);
        if (rc == 0) rc = qn_hold_add(&hold, bytes, 30000, 60000, 1, &err);
        if (rc == 0) rc = qn_hold_add(&hold, bytes, 90001, 999, 1, &err);
        if (rc == 0) rc = qn_hold_add(&hold, bytes, 0, 100000, 1, &err);
        if (rc == 0) rc = qn_hold_seal(&hold, &err);
        if (rc == 0) {
            do rc = qn_hold_deliver(&hold, &memory.sink, &err);
            while (rc > 0);
        }
        qn_mem_fail_after(0);
        assert_true(rc == 0 || rc == QN_ENOMEM || rc == QN_EIO); /* QN_EIO: no memory for a name */
        passed = rc == 0;
        if (passed) assert_int_equal(memory.bytes.size, 180999);
        qn_hold_clear(&hold);
        memory.sink.class->free(&memory.sink);
        qn_bytes_unref(bytes);
        qn_spool_pool_free(pool);
        world_close(&world);
    }
    assert_true(passed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
