/* test_keyset.c - keys of a leaf: set in memory, set in a mapped file, sorted lists; disowned records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "run/disowned.h"
#include "run/keyset.h"
#include "run_world.h"

static struct qn_hash key_of(uint64_t n)
{
    return n == 0 ? (struct qn_hash){0, 0} : qn_hash_bytes(&n, sizeof n);
}

static void fill(struct qn_keyset *set, uint64_t from, uint64_t to)
{
    struct qn_err err;
    for (uint64_t n = from; n < to; n++) {
        bool added;
        assert_int_equal(qn_keyset_add(set, key_of(n), &added, &err), 0);
        assert_true(added);
        if (n % 7 == 0) {
            assert_int_equal(qn_keyset_add(set, key_of(n), &added, &err), 0);
            assert_false(added);
        }
    }
}

static void check_size(uint64_t count, bool mapped)
{
    struct world world;
    char dir[128];
    world_open(&world);
    struct qn_spool_pool *pool = qn_spool_pool_new(world_path(&world, "spool", dir), 1 << 20);
    struct qn_keyset set;
    struct qn_spool spool;
    struct qn_keylist other, list, copy;
    struct qn_err err;
    qn_spool_init(&spool, pool, QN_SPOOL_BLOCK);
    qn_keyset_init(&set, pool);
    fill(&set, 1000000, 1000100);
    assert_int_equal(qn_keyset_store(&set, &spool, &other, &err), 0); /* the list under test is not the first */
    fill(&set, 0, count);
    assert_int_equal(set.count, count);
    assert_int_equal(set.mapped, mapped);
    for (uint64_t n = 0; n < count; n += 13) assert_true(qn_keyset_has(&set, key_of(n)));
    for (uint64_t n = count; n < count + 100; n++) assert_false(qn_keyset_has(&set, key_of(n)));
    assert_int_equal(qn_keyset_store(&set, &spool, &list, &err), 0);
    assert_int_equal(set.count, 0);
    assert_int_equal(list.count, count);
    assert_int_equal(qn_keylist_copy(&list, &spool, &spool, &copy, &err), 0);
    uint64_t step = count / 500 + 1;
    for (uint64_t n = 0; n < count + 100; n += n < count ? step : 1) {
        bool found, again;
        assert_int_equal(qn_keylist_has(&list, &spool, key_of(n), &found, &err), 0);
        assert_int_equal(qn_keylist_has(&copy, &spool, key_of(n), &again, &err), 0);
        assert_int_equal(found, n < count);
        assert_int_equal(again, found);
    }
    qn_spool_clear(&spool);
    qn_keyset_free(&set);
    qn_spool_pool_free(pool);
    world_close(&world);
}

static void test_sizes(void **state)
{
    (void)state;
    check_size(0, false);
    check_size(1, false);
    check_size(127, false);
    check_size(129, false);
    check_size(5000, false);
    check_size(200000, true);
}

/* A large set takes no more memory than a small one. */
static void test_memory_is_flat(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct qn_spool_pool *pool = qn_spool_pool_new(world.dir, 1 << 20);
    struct qn_keyset set;
    size_t peaks[2];
    for (int i = 0; i < 2; i++) {
        qn_mem_reset_peak();
        qn_keyset_init(&set, pool);
        fill(&set, 1, i == 0 ? 50000 : 500000);
        peaks[i] = qn_mem_peak();
        qn_keyset_free(&set);
    }
    assert_true(peaks[1] * 10 <= peaks[0] * 11);
    qn_spool_pool_free(pool);
    world_close(&world);
}

struct seen {
    int64_t last, from, to;
    uint64_t count;
};

static int see(void *context, const struct qn_disowned_entry *entry, struct qn_err *err)
{
    (void)err;
    struct seen *seen = context;
    assert_true(entry->owner_ms >= seen->from && entry->owner_ms < seen->to);
    assert_int_equal(entry->key.lo, key_of((uint64_t)entry->owner_ms).lo);
    seen->count++;
    return 0;
}

static void test_disowned(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    struct qn_spool_pool *pool = qn_spool_pool_new(world.dir, 1 << 20);
    struct qn_rng rng;
    struct qn_err err;
    qn_rng_seed(&rng, 7);
    static const size_t sizes[] = {1, 100, QN_DISOWNED_RUN, QN_DISOWNED_RUN + 1, 5 * QN_DISOWNED_RUN + 17};
    for (size_t s = 0; s < 5; s++) {
        struct qn_disowned *list = qn_disowned_new(pool);
        assert_true(qn_disowned_empty(list));
        uint64_t below[4] = {0};
        for (size_t i = 0; i < sizes[s]; i++) {
            int64_t ms = (int64_t)qn_rng_below(&rng, 1000);
            for (int q = 0; q < 4; q++) below[q] += ms < 250 * (q + 1);
            assert_int_equal(qn_disowned_add(list, (struct qn_disowned_entry){ms, key_of((uint64_t)ms)}, &err), 0);
        }
        qn_disowned_seal(list);
        assert_false(qn_disowned_empty(list));
        for (int q = 0; q < 4; q++) {
            struct seen seen = {0, 250 * q, 250 * (q + 1), 0};
            assert_int_equal(qn_disowned_each(list, seen.from, seen.to, see, &seen, &err), 0);
            assert_int_equal(seen.count, below[q] - (q > 0 ? below[q - 1] : 0));
        }
        qn_disowned_free(list);
    }
    assert_true(qn_spool_pool_written(pool) > 0);
    qn_spool_pool_free(pool);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_memory_is_flat),
        cmocka_unit_test(test_disowned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
