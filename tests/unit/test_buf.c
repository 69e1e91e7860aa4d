/* Growable bytes with a cap, and shared immutable bytes. */
#include "base_world.h"

#include <pthread.h>

#include "base/buf.h"

static void expect(struct qn_buf *buf, const char *text)
{
    assert_int_equal(buf->size, strlen(text));
    assert_string_equal(qn_buf_cstr(buf), text);
}

static void test_add(void **state)
{
    (void)state;
    struct qn_buf buf;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    assert_null(buf.data);
    expect(&buf, "");
    assert_int_equal(qn_buf_add(&buf, NULL, 0), 0);
    assert_int_equal(qn_buf_add(&buf, "ab", 2), 0);
    assert_int_equal(qn_buf_add_str(&buf, "cd"), 0);
    assert_int_equal(qn_buf_add_byte(&buf, 'e'), 0);
    assert_int_equal(qn_buf_add_fmt(&buf, "%d-%s", 7, "x"), 0);
    assert_int_equal(qn_buf_add_fmt(&buf, "%s", ""), 0);
    expect(&buf, "abcde7-x");
    size_t capacity = buf.capacity;
    qn_buf_clear(&buf);
    assert_int_equal(buf.capacity, capacity);
    expect(&buf, "");
    for (int i = 0; i < 10000; i++) assert_int_equal(qn_buf_add_byte(&buf, (char)i), 0);
    for (int i = 0; i < 10000; i++) assert_int_equal(buf.data[i], (char)i);
    qn_buf_free(&buf);
    assert_true(!buf.data && !buf.size && !buf.capacity);
    assert_int_equal(qn_buf_add_str(&buf, "again"), 0); /* empty and usable */
    expect(&buf, "again");
    qn_buf_free(&buf);
}

static void test_cap(void **state)
{
    (void)state;
    struct qn_buf buf;
    qn_buf_init(&buf, 100);
    for (int i = 0; i < 10; i++) assert_int_equal(qn_buf_add(&buf, "0123456789", 10), 0);
    assert_int_equal(buf.size, 100);
    assert_int_equal(qn_buf_add_byte(&buf, 'x'), QN_ELIMIT);
    assert_int_equal(qn_buf_add_fmt(&buf, "%d", 1), QN_ELIMIT);
    assert_int_equal(qn_buf_reserve(&buf, 1), QN_ELIMIT);
    assert_int_equal(qn_buf_reserve(&buf, SIZE_MAX), QN_ELIMIT);
    assert_int_equal(qn_buf_reserve(&buf, 0), 0);
    assert_int_equal(buf.size, 100);
    assert_non_null(qn_buf_cstr(&buf)); /* the NUL is not counted */
    assert_int_equal(strlen(buf.data), 100);
    assert_true(buf.capacity <= 101);
    struct qn_bytes *bytes = qn_bytes_take(&buf); /* nor is the padding */
    assert_int_equal(qn_bytes_size(bytes), 100);
    qn_bytes_unref(bytes);

    qn_buf_init(&buf, 3);
    assert_int_equal(qn_buf_add_fmt(&buf, "%s", "abc"), 0);
    assert_int_equal(qn_buf_add_fmt(&buf, "%s", ""), 0);
    expect(&buf, "abc");
    qn_buf_free(&buf);
    qn_buf_init(&buf, 0);
    assert_int_equal(qn_buf_add_byte(&buf, 'x'), QN_ELIMIT);
    assert_int_equal(qn_buf_add(&buf, "", 0), 0);
    qn_buf_free(&buf);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct qn_buf buf;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    assert_int_equal(qn_buf_add_str(&buf, "kept"), 0);
    qn_mem_fail_after(1);
    assert_int_equal(qn_buf_reserve(&buf, 1000), QN_ENOMEM);
    assert_int_equal(qn_buf_add_fmt(&buf, "%1000d", 1), QN_ENOMEM);
    assert_null(qn_bytes_take(&buf));
    qn_mem_fail_after(0);
    expect(&buf, "kept");
    qn_buf_free(&buf);
}

static void expect_padding(const struct qn_bytes *bytes)
{
    const char *end = qn_bytes_data(bytes) + qn_bytes_size(bytes);
    for (int i = 0; i < QN_BYTES_PADDING; i++) assert_int_equal(end[i], 0);
}

static void test_take(void **state)
{
    (void)state;
    struct qn_buf buf;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    assert_int_equal(qn_buf_reserve(&buf, 1000), 0);
    memset(buf.data, 'x', 1000);
    assert_int_equal(qn_buf_add_str(&buf, "body"), 0);
    const char *memory = buf.data;
    struct qn_bytes *bytes = qn_bytes_take(&buf);
    assert_ptr_equal(qn_bytes_data(bytes), memory); /* no copy */
    assert_true(!buf.data && !buf.size && !buf.capacity);
    assert_memory_equal(qn_bytes_data(bytes), "body", 4);
    expect_padding(bytes);
    assert_int_equal(qn_buf_add_str(&buf, "next"), 0); /* usable again */
    assert_memory_equal(qn_bytes_data(bytes), "body", 4);
    qn_bytes_unref(bytes);
    qn_buf_free(&buf);

    bytes = qn_bytes_take(&buf); /* of nothing */
    assert_int_equal(qn_bytes_size(bytes), 0);
    expect_padding(bytes);
    qn_bytes_unref(bytes);

    for (size_t size = 0; size < 200; size++) {
        for (size_t i = 0; i < size; i++) assert_int_equal(qn_buf_add_byte(&buf, 'y'), 0);
        bytes = qn_bytes_take(&buf);
        assert_int_equal(qn_bytes_size(bytes), size);
        expect_padding(bytes);
        qn_bytes_unref(bytes);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    char text[] = "abc";
    struct qn_bytes *bytes = qn_bytes_new(text, 3), *empty = qn_bytes_new(NULL, 0);
    text[0] = 'x';
    assert_memory_equal(qn_bytes_data(bytes), "abc", 3);
    expect_padding(bytes);
    assert_int_equal(qn_bytes_size(empty), 0);
    expect_padding(empty);
    assert_ptr_equal(qn_bytes_ref(bytes), bytes);
    qn_bytes_unref(bytes);
    assert_memory_equal(qn_bytes_data(bytes), "abc", 3);
    qn_bytes_unref(bytes);
    qn_bytes_unref(empty);
    qn_bytes_unref(NULL);
}

static void *share(void *argument)
{
    struct qn_bytes *bytes = argument;
    size_t seen = 0;
    for (int i = 0; i < 5000; i++) {
        struct qn_bytes *mine = qn_bytes_ref(bytes);
        seen += qn_bytes_size(mine);
        qn_bytes_unref(mine);
    }
    qn_bytes_unref(bytes); /* the reference it was given: the last of all frees */
    return seen == 5000 * 5 ? NULL : argument;
}

static void test_bytes_threads(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_bytes *bytes = qn_bytes_new("hello", 5);
    pthread_t threads[3];
    for (size_t i = 0; i < count_of(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, share, qn_bytes_ref(bytes)), 0);
    }
    qn_bytes_unref(bytes);
    for (size_t i = 0; i < count_of(threads); i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    assert_int_equal(qn_mem_blocks(), blocks);
}

static int use_buf(void)
{
    struct qn_buf buf;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) rc = qn_buf_add_fmt(&buf, "line %d\n", i);
    if (rc == 0 && !qn_buf_cstr(&buf)) rc = QN_ENOMEM;
    struct qn_bytes *bytes = rc == 0 ? qn_bytes_take(&buf) : NULL;
    if (!bytes) rc = QN_ENOMEM;
    qn_bytes_unref(bytes);
    qn_buf_free(&buf);
    return rc;
}

static int use_bytes(void)
{
    struct qn_bytes *bytes = qn_bytes_new("abc", 3);
    qn_bytes_unref(bytes);
    return bytes ? 0 : QN_ENOMEM;
}

static void test_torture(void **state)
{
    (void)state;
    assert_true(torture(use_buf) >= 5);
    assert_int_equal(torture(use_bytes), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),     cmocka_unit_test(test_cap),   cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_take),    cmocka_unit_test(test_bytes), cmocka_unit_test(test_bytes_threads),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
