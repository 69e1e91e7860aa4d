/* test_chunk.c - the chunk tree: cuts, splits, states and the proof of tiling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "run/chunk.h"

#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

static int64_t at(const char *text)
{
    int64_t ms;
    assert_int_equal(qn_time_parse(text, strlen(text), &ms, NULL, NULL), 0);
    return ms;
}

static struct qn_tree_spec range(const char *from, const char *to, const char *size)
{
    struct qn_tree_spec spec = {
        .by_time = true, .from_ms = at(from), .to_ms = at(to), .floor_ms = HOUR, .grain_ms = 1000, .may_split = true};
    if (size) {
        spec.has_size = true;
        assert_int_equal(qn_duration_parse(size, strlen(size), &spec.size, NULL), 0);
    }
    return spec;
}

static struct qn_tree *plant(struct qn_tree_spec spec)
{
    struct qn_tree *tree;
    struct qn_err err;
    assert_int_equal(qn_tree_new(&spec, &tree, &err), 0);
    assert_true(qn_tree_tiled(tree));
    return tree;
}

static void test_first_cut(void **state)
{
    (void)state;
    static const char *const edges[] = {"2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30", "2024-05-15"};
    struct qn_tree *tree = plant(range("2024-01-31", "2024-05-15", "P1M"));
    uint32_t leaf = qn_tree_first(tree);
    for (int i = 0; i < 4; i++, leaf = qn_tree_next(tree, leaf)) {
        int64_t from, to;
        qn_tree_range(tree, leaf, &from, &to);
        assert_int_equal(from, at(edges[i]));
        assert_int_equal(to, at(edges[i + 1]));
        assert_int_equal(qn_tree_index(tree, leaf), i);
        assert_int_equal(qn_tree_at(tree, from), leaf);
        assert_int_equal(qn_tree_at(tree, to - 1), leaf);
    }
    assert_int_equal(leaf, 0);
    assert_int_equal(qn_tree_at(tree, at("2024-05-15")), 0);
    assert_int_equal(qn_tree_at(tree, at("2024-01-31") - 1), 0);
    qn_tree_free(tree);

    tree = plant(range("2024-01-01", "2024-03-31", "P30D")); /* an exact multiple leaves no empty chunk */
    assert_int_equal(qn_tree_count(tree, QN_LEAF_OPEN), 3);
    qn_tree_free(tree);
    tree = plant(range("2024-01-01", "2024-03-31", NULL));
    assert_int_equal(qn_tree_count(tree, QN_LEAF_OPEN), 1);
    qn_tree_free(tree);
    tree = plant((struct qn_tree_spec){.count = 3});
    assert_int_equal(qn_tree_take(tree), 1);
    assert_int_equal(qn_tree_split(tree, 1, &(uint32_t){0}, &(uint32_t){0}, NULL), QN_EDENIED);
    assert_int_equal(qn_tree_at(tree, 0), 0);
    qn_tree_free(tree);
}

static void test_refusals(void **state)
{
    (void)state;
    struct qn_tree *tree;
    struct qn_err err;
    struct qn_tree_spec spec = range("2024-01-02", "2024-01-02", NULL);
    assert_int_equal(qn_tree_new(&spec, &tree, &err), QN_EINVAL);
    spec = range("2024-01-01T00:00:00.5Z", "2024-01-02", NULL);
    assert_int_equal(qn_tree_new(&spec, &tree, &err), QN_EINVAL);
    assert_non_null(strstr(err.text, "grain"));
    spec = range("1990-01-01", "2024-01-02", "PT1S");
    assert_int_equal(qn_tree_new(&spec, &tree, &err), QN_ELIMIT);
    assert_non_null(strstr(err.text, "1000000 leaves"));
    spec = range("1990-01-01", "2024-01-02", "P1D");
    spec.size = (struct qn_duration){.ms = 1};
    spec.grain_ms = DAY;
    assert_true(qn_tree_new(&spec, &tree, &err) < 0); /* ends, and soon */
    spec = (struct qn_tree_spec){.count = 0};
    assert_int_equal(qn_tree_new(&spec, &tree, &err), QN_EINVAL);
    spec.count = QN_TREE_MAX_LEAVES + 1;
    assert_int_equal(qn_tree_new(&spec, &tree, &err), QN_ELIMIT);
}

static void test_split_down_to_the_floor(void **state)
{
    (void)state;
    struct qn_tree *tree = plant(range("2024-01-01T00:00:00Z", "2024-01-01T03:00:01Z", NULL));
    struct qn_err err;
    uint32_t first, second, again, last;
    uint32_t leaf = qn_tree_take(tree);
    assert_int_equal(qn_tree_take(tree), 0);
    assert_int_equal(qn_tree_split(tree, leaf, &first, &second, &err), 0);
    int64_t from, to;
    qn_tree_range(tree, first, &from, &to);
    assert_int_equal(to, at("2024-01-01T01:30:00Z"));                             /* 1:30:00.5 floored to the grain */
    assert_int_equal(qn_tree_split(tree, first, &again, &last, &err), QN_ESTATE); /* not running */
    assert_int_equal(qn_tree_take(tree), first);
    assert_int_equal(qn_tree_split(tree, first, &again, &last, &err), QN_ERANGE); /* 45 minutes */
    assert_int_equal(qn_tree_state(tree, first), QN_LEAF_RUNNING);
    assert_int_equal(qn_tree_state(tree, leaf), QN_LEAF_SPLIT);
    assert_int_equal(qn_tree_front(tree, leaf), first);
    assert_int_equal(qn_tree_take(tree), second);
    assert_true(qn_tree_tiled(tree));
    qn_tree_free(tree);

    struct qn_tree_spec spec = range("2024-01-01", "2024-01-02", NULL);
    spec.may_split = false;
    tree = plant(spec);
    assert_int_equal(qn_tree_split(tree, qn_tree_take(tree), &first, &second, &err), QN_EDENIED);
    qn_tree_free(tree);
    spec = range("2024-01-01T00:00:00Z", "2024-01-01T00:00:01Z", NULL);
    spec.floor_ms = 0; /* the grain is the floor then */
    tree = plant(spec);
    assert_int_equal(qn_tree_split(tree, qn_tree_take(tree), &first, &second, &err), QN_ERANGE);
    qn_tree_free(tree);
}

static void test_states(void **state)
{
    (void)state;
    struct qn_tree *tree = plant(range("2024-01-01", "2024-01-04", "P1D"));
    struct qn_err err;
    assert_int_equal(qn_tree_take(tree), 1);
    assert_int_equal(qn_tree_take(tree), 2);
    assert_int_equal(qn_tree_move(tree, 3, QN_LEAF_WHOLE, &err), QN_ESTATE);
    assert_int_equal(qn_tree_move(tree, 1, QN_LEAF_COMMITTED, &err), QN_ESTATE);
    assert_int_equal(qn_tree_move(tree, 1, QN_LEAF_SPLIT, &err), QN_ESTATE);
    assert_int_equal(qn_tree_move(tree, 1, QN_LEAF_WHOLE, &err), 0);
    assert_int_equal(qn_tree_move(tree, 1, QN_LEAF_OPEN, &err), 0); /* fetched once more */
    assert_int_equal(qn_tree_take(tree), 1);                        /* and before those behind it */
    assert_int_equal(qn_tree_take(tree), 3);
    assert_int_equal(qn_tree_take(tree), 0);
    assert_int_equal(qn_tree_move(tree, 2, QN_LEAF_HOLE, &err), 0);
    assert_int_equal(qn_tree_move(tree, 2, QN_LEAF_OPEN, &err), QN_ESTATE);
    assert_int_equal(qn_tree_count(tree, QN_LEAF_RUNNING), 2);
    assert_int_equal(qn_tree_count(tree, QN_LEAF_HOLE), 1);
    qn_tree_mark_refetched(tree, 1);
    uint32_t first, second;
    assert_int_equal(qn_tree_split(tree, 1, &first, &second, &err), 0);
    assert_true(qn_tree_refetched(tree, first) && qn_tree_refetched(tree, second) && !qn_tree_refetched(tree, 3));
    qn_tree_free(tree);
}

/* Random splits, holes and reopenings: the leaves always tile, take follows plan order, and look-ups find their leaf.
 */
static void test_random_trees(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct qn_rng rng;
        qn_rng_seed(&rng, seed);
        struct qn_tree_spec spec = range("2024-01-01", "2024-06-30", seed % 3 ? "P30D" : "P1M");
        spec.from_ms += (int64_t)qn_rng_below(&rng, 86400) * 1000;
        spec.to_ms -= (int64_t)qn_rng_below(&rng, 86400) * 1000;
        spec.floor_ms = (int64_t)(1 + qn_rng_below(&rng, 20)) * HOUR;
        spec.grain_ms = seed % 2 ? 1000 : 1;
        struct qn_tree *tree = plant(spec);
        for (int step = 0; step < 2000; step++) {
            uint32_t leaf = qn_tree_take(tree), first, second;
            if (!leaf) break;
            for (uint32_t l = qn_tree_first(tree); l != leaf; l = qn_tree_next(tree, l)) {
                assert_int_not_equal(l, 0);
                assert_int_not_equal(qn_tree_state(tree, l), QN_LEAF_OPEN);
            }
            switch (qn_rng_below(&rng, 4)) {
            case 0: qn_tree_move(tree, leaf, QN_LEAF_WHOLE, NULL); break;
            case 1: qn_tree_move(tree, leaf, qn_rng_below(&rng, 2) ? QN_LEAF_OPEN : QN_LEAF_HOLE, NULL); break;
            default:
                if (qn_tree_split(tree, leaf, &first, &second, NULL) < 0)
                    qn_tree_move(tree, leaf, QN_LEAF_WHOLE, NULL);
                else
                    assert_int_equal(qn_tree_front(tree, leaf), first);
            }
            if (step % 16 == 0) assert_true(qn_tree_tiled(tree));
        }
        assert_true(qn_tree_tiled(tree));
        for (uint32_t leaf = qn_tree_first(tree); leaf; leaf = qn_tree_next(tree, leaf)) {
            int64_t from, to;
            qn_tree_range(tree, leaf, &from, &to);
            assert_int_equal(qn_tree_at(tree, from), leaf);
            assert_int_equal(qn_tree_at(tree, to - 1), leaf);
            assert_int_equal(qn_tree_at(tree, from + (int64_t)qn_rng_below(&rng, (uint64_t)(to - from))), leaf);
        }
        qn_tree_free(tree);
    }
}

static void test_bound_of_leaves(void **state)
{
    (void)state;
    struct qn_tree_spec spec = range("2024-01-01", "2035-01-01", "PT6M");
    spec.to_ms = spec.from_ms + (int64_t)(QN_TREE_MAX_LEAVES - 1) * 360000;
    spec.floor_ms = 1000;
    struct qn_tree *tree = plant(spec);
    struct qn_err err;
    uint32_t first, second;
    assert_int_equal(qn_tree_split(tree, qn_tree_take(tree), &first, &second, &err), 0);
    assert_int_equal(qn_tree_split(tree, qn_tree_take(tree), &first, &second, &err), QN_ELIMIT);
    assert_non_null(strstr(err.text, "1000000 leaves"));
    assert_true(qn_tree_tiled(tree));
    uint64_t taken = 1;
    while (qn_tree_take(tree)) taken++;
    assert_int_equal(taken, QN_TREE_MAX_LEAVES);
    qn_tree_free(tree);
}

static int check_memory(void **state)
{
    (void)state;
    return qn_mem_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_first_cut, check_memory),
        cmocka_unit_test_teardown(test_refusals, check_memory),
        cmocka_unit_test_teardown(test_split_down_to_the_floor, check_memory),
        cmocka_unit_test_teardown(test_states, check_memory),
        cmocka_unit_test_teardown(test_random_trees, check_memory),
        cmocka_unit_test_teardown(test_bound_of_leaves, check_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
