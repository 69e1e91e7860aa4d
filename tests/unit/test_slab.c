/* Small blocks: aligned, apart from each other, kept through growth and shrinking, and all given back. */
#include "base_world.h"

#include "base/slab.h"

static void test_blocks(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    static unsigned char *blocks[COUNT];
    static size_t sizes[COUNT];
    size_t before = qn_mem_blocks();
    struct qn_slab slab;
    unsigned seed = 1;
    qn_slab_init(&slab);
    for (int round = 0; round < 20000; round++) {
        seed = seed * 1103515245 + 12345;
        size_t i = (seed >> 8) % COUNT, size = (seed >> 3) % 7 == 0 ? 0 : (seed >> 5) % 700;
        unsigned char *moved = qn_slab_realloc(&slab, blocks[i], sizes[i], size);
        assert_true((moved == NULL) == (size == 0));
        assert_int_equal((uintptr_t)moved % 16, 0);
        for (size_t k = 0; k < size && k < sizes[i]; k++) assert_int_equal(moved[k], (unsigned char)(i * 31));
        if (size > 0) memset(moved, (int)(i * 31), size);
        blocks[i] = moved;
        sizes[i] = size;
    }
    for (size_t i = 0; i < COUNT; i++) qn_slab_realloc(&slab, blocks[i], sizes[i], 0);
    qn_slab_free(&slab);
    assert_int_equal(qn_mem_blocks(), before);
}

static void test_reuse(void **state)
{
    (void)state;
    struct qn_slab slab;
    qn_slab_init(&slab);
    size_t before = qn_mem_current();
    for (int i = 0; i < 100000; i++) {
        void *block = qn_slab_realloc(&slab, NULL, 0, 100);
        assert_non_null(block);
        qn_slab_realloc(&slab, block, 100, 0);
    }
    assert_true(qn_mem_current() - before < (256 << 10));
    qn_slab_free(&slab);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct qn_slab slab;
    qn_slab_init(&slab);
    char *block = qn_slab_realloc(&slab, NULL, 0, 8);
    strcpy(block, "before");
    qn_mem_fail_after(1);
    assert_null(qn_slab_realloc(&slab, block, 8, 4000));
    qn_mem_fail_after(0);
    assert_string_equal(block, "before");
    qn_slab_realloc(&slab, block, 8, 0);
    qn_slab_free(&slab);
    qn_mem_fail_after(1);
    assert_null(qn_slab_realloc(&slab, NULL, 0, 8));
    qn_mem_fail_after(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
