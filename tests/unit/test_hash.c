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

static void test_pieces(void **state)
{
    (void)state;
    static char text[70000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 31);
    for (size_t piece = 1; piece < sizeof text; piece = piece * 3 + 1) {
        struct qn_hasher *hasher = qn_hasher_new();
        assert_non_null(hasher);
        assert_true(equal(qn_hasher_hash(hasher), qn_hash_bytes(text, 0)));
        for (size_t at = 0; at < sizeof text; at += piece) {
            qn_hasher_add(hasher, text + at, sizeof text - at < piece ? sizeof text - at : piece);
        }
        assert_true(equal(qn_hasher_hash(hasher), qn_hash_bytes(text, sizeof text)));
        qn_hasher_free(hasher);
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
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_rng),
        cmocka_unit_test(test_rng_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
