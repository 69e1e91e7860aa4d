/* test_spool.c - bytes in memory, then on disk: same content, bounded memory, nothing left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/rng.h"
#include "run/spool.h"
#include "run_world.h"

/* A byte that depends on where it stands. */
static char byte_at(uint64_t seed, uint64_t offset)
{
    return (char)((offset * 31 + (offset >> 8) * 7 + seed) & 0xff);
}

static void append(struct qn_spool *spool, uint64_t seed, size_t size)
{
    static char data[300000];
    struct qn_err err;
    assert_true(size <= sizeof data);
    for (size_t i = 0; i < size; i++) data[i] = byte_at(seed, spool->size + i);
    assert_int_equal(qn_spool_add(spool, data, size, &err), 0);
}

static void check(const struct qn_spool *spool, uint64_t seed, struct qn_rng *rng)
{
    static char data[300000];
    struct qn_err err;
    struct qn_spool_reader reader;
    const char *piece;
    qn_spool_reader_init(&reader, spool);
    for (uint64_t offset = 0; offset < spool->size;) {
        size_t left = spool->size - offset < 3000 ? (size_t)(spool->size - offset) : 3000;
        size_t n = 1 + (size_t)qn_rng_below(rng, left);
        assert_int_equal(qn_spool_reader_next(&reader, n, &piece, &err), 0);
        for (size_t i = 0; i < n; i += 17) assert_int_equal(piece[i], byte_at(seed, offset + i));
        assert_int_equal(piece[n - 1], byte_at(seed, offset + n - 1));
        offset += n;
    }
    assert_int_equal(qn_spool_reader_next(&reader, 1, &piece, &err), QN_ERANGE);
    qn_spool_reader_free(&reader);
    for (int i = 0; i < 20 && spool->size > 0; i++) {
        uint64_t offset = qn_rng_below(rng, spool->size), left = spool->size - offset;
        size_t n = left < sizeof data ? (size_t)left : sizeof data;
        assert_int_equal(qn_spool_read(spool, offset, data, n, &err), 0);
        for (size_t k = 0; k < n; k += 101) assert_int_equal(data[k], byte_at(seed, offset + k));
    }
    assert_int_equal(qn_spool_read(spool, spool->size, data, 1, &err), QN_ERANGE);
}

/* Many spools at once, with limits from "nothing in memory" to "all of it". */
static void test_random(void **state)
{
    (void)state;
    static const size_t limits[] = {0, QN_SPOOL_BLOCK, 200000, 64 << 20};
    struct world world;
    char dir[128];
    world_open(&world);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct qn_rng rng;
        qn_rng_seed(&rng, seed);
        struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), limits[seed % 4] * 2);
        struct qn_spool spools[5];
        for (int i = 0; i < 5; i++) qn_spool_init(&spools[i], pool, limits[seed % 4]);
        for (int step = 0; step < 150; step++) {
            struct qn_spool *spool = &spools[qn_rng_below(&rng, 5)];
            uint64_t size = qn_rng_below(&rng, 10) == 0 ? qn_rng_below(&rng, 290000) : qn_rng_below(&rng, 3000);
            append(spool, (uint64_t)(spool - spools), (size_t)size);
            if (qn_rng_below(&rng, 40) == 0) qn_spool_clear(spool);
        }
        struct qn_err err;
        for (int i = 0; i < 5; i++) {
            check(&spools[i], (uint64_t)i, &rng);
            assert_int_equal(qn_spool_seal(&spools[i], &err), 0);
            check(&spools[i], (uint64_t)i, &rng);
        }
        if (limits[seed % 4] == 0) {
            assert_true(qn_spool_pool_written(pool) > 0);
            assert_int_equal(qn_spool_pool_memory(pool), 0);
        }
        if (limits[seed % 4] == 64 << 20) assert_int_equal(qn_spool_pool_written(pool), 0);
        assert_int_equal(count_entries(world.dir), 0); /* no name, even while it is used */
        for (int i = 0; i < 5; i++) qn_spool_clear(&spools[i]);
        assert_int_equal(qn_spool_pool_memory(pool), 0);
        qn_spool_pool_free(pool);
    }
    world_close(&world);
}

static void test_memory_and_disk_are_bounded(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct qn_spool_pool *pool = qn_spool_pool_new(world.dir, 1 << 20);
    struct qn_spool spool;
    qn_spool_init(&spool, pool, 512 << 10);
    qn_mem_reset_peak();
    size_t before = qn_mem_current();
    for (int i = 0; i < 200; i++) append(&spool, 1, 100000);
    assert_true(qn_mem_peak() - before < (600 << 10));
    uint64_t extents = 0;
    for (size_t i = 0; i < spool.count; i++) {
        if (!spool.blocks[i].memory && spool.blocks[i].extent >= extents) extents = spool.blocks[i].extent + 1;
    }
    qn_spool_clear(&spool);
    for (int i = 0; i < 200; i++) append(&spool, 1, 100000); /* the same blocks of the file again */
    for (size_t i = 0; i < spool.count; i++) assert_true(spool.blocks[i].memory || spool.blocks[i].extent < extents);
    qn_spool_clear(&spool);
    qn_spool_pool_free(pool);
    world_close(&world);
}

static int fill_limited_disk(const char *dir)
{
    static char data[100000];
    struct rlimit limit = {1 << 20, 1 << 20};
    struct qn_err err;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &limit);
    struct qn_spool_pool *pool = qn_spool_pool_new(dir, 1 << 18);
    struct qn_spool spool;
    qn_spool_init(&spool, pool, 1 << 18);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) rc = qn_spool_add(&spool, data, sizeof data, &err);
    if (rc != QN_EIO || !strstr(err.text, dir) || !strstr(err.text, "1048576 bytes")) return 1;
    qn_spool_clear(&spool);
    qn_spool_pool_free(pool);
    return qn_mem_blocks() == 0 ? 0 : 2;
}

static void test_full_disk(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    pid_t child = fork();
    if (child == 0) _exit(fill_limited_disk(world.dir));
    int status;
    waitpid(child, &status, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    world_close(&world);
}

static void test_no_directory(void **state)
{
    (void)state;
    struct world world;
    char dir[128];
    struct qn_err err;
    world_open(&world);
    struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "missing/spool", dir), 0);
    struct qn_spool spool;
    qn_spool_init(&spool, pool, 0);
    static char data[QN_SPOOL_BLOCK + 1];
    assert_int_equal(qn_spool_add(&spool, data, sizeof data, &err), QN_EIO);
    assert_non_null(strstr(err.text, dir));
    qn_spool_clear(&spool);
    qn_spool_pool_free(pool);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_memory_and_disk_are_bounded),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_no_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
