/* Texts packed part by part as one gzip member or one zstd frame: unpacked again by the libraries' own readers. */
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

static void add_part(struct qn_frame *frame, const struct qn_part *part, struct qn_buf *out)
{
    char before[QN_FRAME_EDGE], behind[QN_FRAME_EDGE];
    size_t before_size, behind_size;
    qn_frame_add(frame, part, before, &before_size, behind, &behind_size);
    qn_buf_add(out, before, before_size);
    qn_buf_add(out, part->packed.data, part->packed.size);
    qn_buf_add(out, behind, behind_size);
}

/* Two compressors take turns where that is possible. */
static void pack_parts(struct qn_compressor **compressors, enum qn_compression compression, const size_t *sizes,
                       size_t count, struct qn_buf *out)
{
    struct qn_frame frame;
    struct qn_part part = {.size = 0};
    size_t at = 0;
    qn_buf_init(&part.packed, QN_BUF_NO_CAP);
    qn_frame_init(&frame, compression);
    for (size_t i = 0; i < count; i++) {
        struct qn_compressor *compressor = compressors[qn_compression_splits(compression) ? i % 2 : 0];
        assert_int_equal(qn_compressor_run(compressor, text + at, sizes[i], i == count - 1, &part, NULL), 0);
        add_part(&frame, &part, out);
        at += sizes[i];
    }
    qn_buf_free(&part.packed);
}

static void check(enum qn_compression compression, const size_t *sizes, size_t count)
{
    struct qn_compressor *compressors[2];
    struct qn_buf packed, again;
    size_t size = 0;
    for (size_t i = 0; i < count; i++) size += sizes[i];
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    qn_buf_init(&again, QN_BUF_NO_CAP);
    for (int i = 0; i < 2; i++) assert_int_equal(qn_compressor_new(compression, &compressors[i], NULL), 0);
    pack_parts(compressors, compression, sizes, count, &packed);
    pack_parts(compressors, compression, sizes, count, &again); /* a compressor that was used writes the same */
    assert_int_equal(packed.size, again.size);
    assert_memory_equal(packed.data, again.data, packed.size);
    struct unpacked found = unpack(compression, packed.data, packed.size, MOST);
    assert_int_equal(found.size, size);
    assert_memory_equal(found.text, text, size);
    free(found.text);
    for (int i = 0; i < 2; i++) qn_compressor_free(compressors[i]);
    qn_buf_free(&packed);
    qn_buf_free(&again);
}

static void test_parts(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, (size_t)1 << 20, 0, 0, 70000, 262144, 0}, last[] = {100000, (size_t)1 << 20};
    static const size_t none[] = {0}, large[] = {MOST}, nothing[] = {0, 0, 0};
    for (int noise = 0; noise < 2; noise++) {
        fill(noise);
        for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
            check(one, sizes, count_of(sizes));
            check(one, last, count_of(last));
            check(one, nothing, count_of(nothing));
            check(one, none, 1);
            check(one, large, 1);
        }
    }
}

/* No time, no name: RFC 1952, 2.3.1. A size, where it is known: RFC 8878, 3.1.1.1.4. */
static void test_headers(void **state)
{
    (void)state;
    struct qn_buf packed;
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    assert_int_equal(qn_compress(QN_COMPRESSION_GZIP, "abc", 3, &packed, NULL), 0);
    assert_memory_equal(packed.data, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
    qn_buf_clear(&packed);
    assert_int_equal(qn_compress(QN_COMPRESSION_ZSTD, "abc", 3, &packed, NULL), 0);
    assert_memory_equal(packed.data, "\x28\xb5\x2f\xfd", 4);
    assert_true(packed.data[4] & 4);
    assert_int_equal(ZSTD_getFrameContentSize(packed.data, packed.size), 3);
    qn_buf_free(&packed);
}

/* The size in a trailer is modulo 2^32, and so long a text has the right checksum, too. */
static void test_more_than_four_gigabytes(void **state)
{
    (void)state;
    struct qn_frame frame;
    struct qn_part part = {.size = (size_t)3 << 30, .crc = 0x01020304};
    char before[QN_FRAME_EDGE], behind[QN_FRAME_EDGE];
    size_t before_size, behind_size;
    qn_frame_init(&frame, QN_COMPRESSION_GZIP);
    qn_frame_add(&frame, &part, before, &before_size, behind, &behind_size);
    assert_true(before_size == 10 && behind_size == 0);
    part.last = true;
    qn_frame_add(&frame, &part, before, &before_size, behind, &behind_size);
    assert_true(before_size == 0 && behind_size == 8);
    uint32_t crc = (uint32_t)crc32_combine64(0x01020304, 0x01020304, (int64_t)3 << 30);
    uint32_t size = (uint32_t)((uint64_t)6 << 30);
    for (int i = 0; i < 4; i++) {
        assert_int_equal((unsigned char)behind[i], crc >> (8 * i) & 255);
        assert_int_equal((unsigned char)behind[4 + i], size >> (8 * i) & 255);
    }
}

static enum qn_compression tortured;

static int attempt(void)
{
    struct qn_buf packed;
    struct qn_err err;
    qn_buf_init(&packed, QN_BUF_NO_CAP);
    int rc = qn_compress(tortured, text, 100000, &packed, &err);
    if (rc < 0) assert_int_equal(packed.size, 0);
    qn_buf_free(&packed);
    return rc;
}

static void test_refusals(void **state)
{
    (void)state;
    struct qn_compressor *compressor;
    struct qn_part part = {.size = 0};
    struct qn_err err;
    assert_int_equal(qn_compressor_new(QN_COMPRESSION_NONE, &compressor, &err), QN_EINVAL);
    qn_compressor_free(NULL);
    for (tortured = QN_COMPRESSION_GZIP; tortured <= QN_COMPRESSION_ZSTD; tortured++) {
        assert_true(torture(attempt) >= 2);
        qn_buf_init(&part.packed, 100);
        assert_int_equal(qn_compressor_new(tortured, &compressor, &err), 0);
        assert_int_equal(qn_compressor_run(compressor, text, 1000, true, &part, &err), QN_ELIMIT);
        qn_compressor_free(compressor);
        qn_buf_free(&part.packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_more_than_four_gigabytes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
