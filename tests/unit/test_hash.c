/* Hashes of keys, and the seeded generator. */
#include "base_world.h"

#include "base/hash.h"
#include "base/rng.h"

static bool equal(struct qn_hash a, struct qn_hash b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static void test_hash(void **state)
{
    (void)state;
    const struct qn_hash empty = qn_hash_bytes("", 0);
    assert_true(empty.hi == UINT64_C(0x99aa06d3014798d8) && empty.lo == UINT64_C(0x6001c324468d497f)); /* XXH3-128 */
    char text[300];
    memset(text, 'k', sizeof text);
    for (size_t size = 1; size < 256; size++) { /* length matters, place does not */
        assert_true(equal(qn_hash_bytes(text, size), qn_hash_bytes(text + 3, size)));
        assert_false(equal(qn_hash_bytes(text, size), qn_hash_bytes(text, size - 1)));
    }
    for (size_t at = 0; at < sizeof text; at++) { /* each byte matters */
        const struct qn_hash before = qn_hash_bytes(text, sizeof text);
        text[at] ^= 1;
        assert_false(equal(qn_hash_bytes(text, sizeof text), before));
        text[at] ^= 1;
    }
    assert_false(equal(qn_hash_bytes("a\0b", 3), qn_hash_bytes("a\0c", 3)));
}

static void test_control(void **state)
{
    (void)state;
    static char text[70000];
    bool control;
    memset(text, ' ', sizeof text);
    static const size_t sizes[] = {0, 1, 240, 241, 1000, 16383, 16384, 16385, 32768, 70000};
    for (size_t i = 0; i < count_of(sizes); i++) {
        size_t size = sizes[i];
        assert_true(equal(qn_hash_control(text, size, &control), qn_hash_bytes(text, size)));
        assert_false(control);
        for (size_t end = size > 3 ? size - 3 : size; end < size; end++) text[end] = '\n';
        assert_true(equal(qn_hash_control(text, size, &control), qn_hash_bytes(text, size)));
        assert_false(control); /* only at the end */
        if (size > 0) text[size - 1] = ' ';
        qn_hash_control(text, size, &control);
        assert_int_equal(control, size > 3);
        memset(text, ' ', sizeof text);
        for (size_t at = 0; size > 1 && at < size - 1; at += 1 + size / 7) {
            text[at] = '\t';
            qn_hash_control(text, size, &control);
            assert_true(control);
            text[at] = ' ';
        }
    }
}

static void test_rng(void **state)
{
    (void)state;
    struct qn_rng a, b;
    qn_rng_seed(&a, 0);
    assert_true(a.s[0] == UINT64_C(0xe220a8397b1dcdaf) && a.s[1] == UINT64_C(0x6e789e6aa1b965f4)); /* splitmix64 */
    a = (struct qn_rng){{1, 2, 3, 4}};
    static const uint64_t first[] = {11520, 0, 1509978240, UINT64_C(1215971899390074240)}; /* the authors' own */
    for (size_t i = 0; i < count_of(first); i++) assert_true(qn_rng_next(&a) == first[i]);
    qn_rng_seed(&a, 42);
    qn_rng_seed(&b, 42);
    for (int i = 0; i < 100; i++) assert_true(qn_rng_next(&a) == qn_rng_next(&b));
    qn_rng_seed(&b, 43);
    assert_true(qn_rng_next(&a) != qn_rng_next(&b));
}

static void test_rng_ranges(void **state)
{
    (void)state;
    struct qn_rng rng;
    unsigned seen[7] = {0};
    double sum = 0;
    qn_rng_seed(&rng, 7);
    for (int i = 0; i < 70000; i++) {
        double unit = qn_rng_unit(&rng);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
        uint64_t below = qn_rng_below(&rng, 7);
        assert_true(below < 7);
        seen[below]++;
    }
    assert_true(sum > 34500 && sum < 35500);
    for (size_t i = 0; i < count_of(seen); i++) assert_true(seen[i] > 9500 && seen[i] < 10500);
    assert_true(qn_rng_below(&rng, 1) == 0);
    for (int i = 0; i < 100; i++) assert_true(qn_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
    for (int i = 0; i < 100; i++) assert_true(qn_rng_below(&rng, (UINT64_C(1) << 63) + 1) <= UINT64_C(1) << 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_control),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_rng_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
