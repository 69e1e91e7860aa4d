/* Bytes packed as gzip members and zstd frames: unpacked again by the libraries' own readers. */
#include "base_world.h"

#include "packed.h"

#define MOST ((size_t)3 << 20)

static char text[MOST];

/* Rows of a kind, or noise that cannot be packed. */
static void fill(bool noise)
{
    uint32_t seed = 1;
    for (size_t i = 0; i < MOST; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = noise ? (char)(seed >> 24) : "0123456789,abc\r\n"[(seed >> 28) & 15];
    }
}

static void check(enum qn_compression compression, const size_t *sizes, size_t count)
{
    struct qn_compressor *compressor;
    struct qn_buf packed, again;
    size_t size = 0;
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    qn_buf_init(&again, QN_BUF_NO_CAP);
    for (int round = 0; round < 2; round++) { /* a fresh compressor writes the same bytes as a used one */
        assert_int_equal(qn_compressor_new(compression, &compressor, NULL), 0);
        if (round == 1) assert_int_equal(qn_compressor_run(compressor, text, 1000, &again, NULL), 0);
        qn_buf_clear(&again);
        size = 0;
        for (size_t i = 0; i < count; i++) {
            struct qn_buf *out = round == 0 ? &packed : &again;
            assert_int_equal(qn_compressor_run(compressor, text + size, sizes[i], out, NULL), 0);
            size += sizes[i];
        }
        qn_compressor_free(compressor);
    }
    assert_int_equal(packed.size, again.size);
    assert_memory_equal(packed.data, again.data, packed.size);
    struct unpacked found = unpack(compression, packed.data, packed.size, MOST);
    assert_int_equal(found.members, count);
    assert_int_equal(found.size, size);
    if (size > 0) assert_memory_equal(found.text, text, size);
    free(found.text);
    qn_buf_free(&packed);
    qn_buf_free(&again);
}

static void test_members(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, (size_t)1 << 20, 0, 70000, 262144};
    static const size_t none[] = {0}, large[] = {MOST};
    for (int noise = 0; noise < 2; noise++) {
        fill(noise);
        for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
            check(one, sizes, count_of(sizes));
            check(one, none, 1);
            check(one, large, 1);
        }
    }
}

/* No time, no name: RFC 1952, 2.3.1. A checksum: RFC 8878, 3.1.1.1.1.5. */
static void test_headers(void **state)
{
    (void)state;
    struct qn_compressor *compressor;
    struct qn_buf packed;
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    assert_int_equal(qn_compressor_new(QN_COMPRESSION_GZIP, &compressor, NULL), 0);
    assert_int_equal(qn_compressor_run(compressor, "abc", 3, &packed, NULL), 0);
    assert_memory_equal(packed.data, "\x1f\x8b\x08\0\0\0\0\0", 8);
    qn_compressor_free(compressor);
    qn_buf_clear(&packed);
    assert_int_equal(qn_compressor_new(QN_COMPRESSION_ZSTD, &compressor, NULL), 0);
    assert_int_equal(qn_compressor_run(compressor, "abc", 3, &packed, NULL), 0);
    assert_memory_equal(packed.data, "\x28\xb5\x2f\xfd", 4);
    assert_true(packed.data[4] & 4);
    qn_compressor_free(compressor);
    qn_buf_free(&packed);
}

static enum qn_compression tortured;

static int attempt(void)
{
    struct qn_compressor *compressor;
    struct qn_buf packed;
    struct qn_err err;
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    int rc = qn_compressor_new(tortured, &compressor, &err);
    if (rc < 0) return rc;
    rc = qn_compressor_run(compressor, text, 100000, &packed, &err);
    if (rc < 0) assert_int_equal(packed.size, 0);
    qn_compressor_free(compressor);
    qn_buf_free(&packed);
    return rc;
}

static void test_refusals(void **state)
{
    (void)state;
    struct qn_compressor *compressor;
    struct qn_buf small;
    struct qn_err err;
    assert_int_equal(qn_compressor_new(QN_COMPRESSION_NONE, &compressor, &err), QN_EINVAL);
    qn_compressor_free(NULL);
    for (tortured = QN_COMPRESSION_GZIP; tortured <= QN_COMPRESSION_ZSTD; tortured++) {
        assert_true(torture(attempt) >= 2);
        qn_buf_init(&small, 100);
        assert_int_equal(qn_compressor_new(tortured, &compressor, &err), 0);
        assert_int_equal(qn_compressor_run(compressor, text, 1000, &small, &err), QN_ELIMIT);
        assert_int_equal(small.size, 0);
        qn_compressor_free(compressor);
        qn_buf_free(&small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
