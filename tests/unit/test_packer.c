/* The stage that compresses an output: order, cuts, back-pressure, and what fails on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "engine/loop.h"
#include "engine/op.h"
#include "packed.h"
#include "sink/output.h"
#include "sink/packer.h"

#define MOST ((size_t)12 << 20)
#define KB   ((size_t)1 << 10)

static char text[MOST];

struct world {
    struct qn_loop *loop;
    struct qn_output output;
    struct qn_packer *packer;
    size_t blocks;
};

static void fill(void)
{
    uint32_t seed = 7;
    for (size_t i = 0; i < MOST; i++) {
        seed = seed * 1664525 + 1013904223;
        text[i] = "0123456789,ab\"\r\n"[seed >> 28];
    }
}

static int open_world(struct world *world, enum qn_compression compression, unsigned threads, int fd)
{
    struct qn_err err;
    memset(world, 0, sizeof *world);
    world->blocks = qn_mem_blocks();
    struct qn_clock *clock = qn_clock_virtual(0);
    world->loop = clock ? qn_loop_new(clock) : NULL;
    if (!world->loop) {
        qn_clock_free(clock);
        return QN_ENOMEM;
    }
    int rc = qn_output_init(&world->output, fd, "the test", &err);
    const struct qn_packer_options options = {
        .loop = world->loop, .output = &world->output, .compression = compression, .threads = threads};
    return rc == 0 ? qn_packer_new(&options, &world->packer, &err) : rc;
}

static void close_world(struct world *world)
{
    qn_packer_free(world->packer);
    qn_output_free(&world->output);
    if (world->loop) assert_int_equal(qn_loop_free(world->loop), 0);
    assert_int_equal(qn_mem_blocks(), world->blocks);
}

static int file_without_name(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* What the file holds; its size in *size. */
static char *content(int fd, size_t *size)
{
    *size = (size_t)lseek(fd, 0, SEEK_END);
    char *data = malloc(*size + 1);
    assert_int_equal(pread(fd, data, *size, 0), *size);
    return data;
}

/* Leaves of these sizes, in pieces; what was written, for the caller to free. */
static char *write_leaves(enum qn_compression compression, unsigned threads, const size_t *leaves, size_t piece,
                          bool turn, size_t *size)
{
    struct world world;
    int fd = file_without_name();
    size_t at = 0;
    assert_int_equal(open_world(&world, compression, threads, fd), 0);
    for (; *leaves; leaves++) {
        for (size_t end = at + *leaves; at < end;) {
            size_t part = end - at < piece ? end - at : piece;
            assert_int_equal(qn_packer_add(world.packer, text + at, part, NULL), 0);
            if (turn) qn_loop_turn(world.loop, false);
            at += part;
        }
        assert_int_equal(qn_packer_leaf_end(world.packer, NULL), 0);
    }
    assert_int_equal(qn_packer_finish(world.packer, NULL), 0);
    char *data = content(fd, size);
    assert_int_equal(world.output.written, *size);
    close_world(&world);
    close(fd);
    return data;
}

/* Blocks end where they are full, at a leaf's end once there is enough, and at the end. */
static void test_cuts(void **state)
{
    (void)state;
    const size_t leaves[] = {2500 * KB, 100 * KB, 100 * KB, 3 * KB, 1000 * KB, 10 * KB, 300 * KB, 24 * KB, 0};
    const size_t ends[] = {1024 * KB, 2048 * KB, 2500 * KB, 3524 * KB, 4013 * KB}; /* and the end */
    for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
        size_t size;
        char *data = write_leaves(one, 2, leaves, 7777, true, &size);
        struct unpacked found = unpack(one, data, size, MOST);
        assert_int_equal(found.size, 4037 * KB);
        assert_memory_equal(found.text, text, found.size);
        if (one == QN_COMPRESSION_GZIP) assert_int_equal(found.cuts, sizeof ends / sizeof *ends);
        for (size_t i = 0; i < found.cuts; i++) assert_int_equal(found.ends[i], ends[i]);
        free(found.text);
        free(data);
    }
}

/* Whatever the threads, the pieces and the turns of the loop. */
static void test_equal_bytes(void **state)
{
    (void)state;
    const size_t leaves[] = {5 << 20, 700 * KB, 1, 6 << 20, 0};
    for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
        size_t size, other;
        char *data = write_leaves(one, 1, leaves, 3 << 20, false, &size);
        for (unsigned threads = 1; threads <= 8; threads += 3) {
            char *again = write_leaves(one, threads, leaves, 1000 * threads, threads > 1, &other);
            assert_int_equal(size, other);
            assert_memory_equal(data, again, size);
            free(again);
        }
        struct unpacked found = unpack(one, data, size, MOST);
        assert_memory_equal(found.text, text, found.size);
        free(found.text);
        free(data);
    }
}

static void test_empty(void **state)
{
    (void)state;
    const size_t none[] = {0};
    for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
        size_t size;
        char *data = write_leaves(one, 1, none, 1, false, &size);
        struct unpacked found = unpack(one, data, size, MOST);
        assert_true(size > 0 && found.size == 0);
        free(found.text);
        free(data);
    }
}

/* Full, then room again as the loop turns; memory stays within the window. */
static void test_room(void **state)
{
    (void)state;
    struct world world;
    struct qn_sched sched;
    struct qn_waiter waiter;
    int fd = file_without_name();
    unsigned waits = 0;
    size_t size, before = qn_mem_current();
    assert_int_equal(open_world(&world, QN_COMPRESSION_GZIP, 2, fd), 0);
    qn_sched_init(&sched);
    qn_waiter_init(&waiter, &sched);
    qn_mem_reset_peak();
    for (size_t at = 0; at < MOST; at += 64 * KB) {
        struct qn_op *room = qn_packer_room(world.packer);
        if (room) {
            waits++;
            assert_ptr_equal(room, qn_packer_room(world.packer)); /* asking again changes nothing */
            qn_op_wait(room, &waiter);
            while (!qn_sched_has_ready(&sched)) qn_loop_turn(world.loop, true);
            assert_ptr_equal(qn_sched_next(&sched), &waiter);
            assert_null(qn_packer_room(world.packer));
        }
        assert_int_equal(qn_packer_add(world.packer, text + at, 64 * KB, NULL), 0);
    }
    assert_true(waits > 0);
    assert_true(qn_mem_peak() - before < 4 * 2 * QN_PACKER_BLOCK + (2 << 20)); /* the window and one, in and out */
    assert_int_equal(qn_packer_finish(world.packer, NULL), 0);
    char *data = content(fd, &size);
    struct unpacked found = unpack(QN_COMPRESSION_GZIP, data, size, MOST);
    assert_int_equal(found.size, MOST);
    free(found.text);
    free(data);
    close_world(&world);
    close(fd);
}

/* A waiter that is cancelled, and a packer that goes, while blocks are on their way. */
static void test_gone_in_flight(void **state)
{
    (void)state;
    struct world world;
    struct qn_sched sched;
    struct qn_waiter waiter;
    int fd = file_without_name();
    for (int cancel = 0; cancel < 2; cancel++) {
        assert_int_equal(open_world(&world, QN_COMPRESSION_GZIP, 1, fd), 0);
        qn_sched_init(&sched);
        qn_waiter_init(&waiter, &sched);
        for (size_t at = 0; !qn_packer_room(world.packer); at += KB) qn_packer_add(world.packer, text + at, KB, NULL);
        struct qn_op *room = qn_packer_room(world.packer);
        qn_op_wait(room, &waiter);
        if (cancel) {
            qn_op_cancel(room);
            assert_null(waiter.op);
            room = qn_packer_room(world.packer);
            if (room) qn_op_wait(room, &waiter);
            assert_int_equal(qn_packer_add(world.packer, text, 3 * KB, NULL), 0);
        }
        close_world(&world); /* detaches the waiter */
        assert_null(waiter.op);
    }
    close(fd);
}

static void expect_failure(int fd, int code, const char *words)
{
    struct world world;
    struct qn_err err = {0};
    assert_int_equal(open_world(&world, QN_COMPRESSION_ZSTD, 2, fd), 0);
    int rc = 0;
    size_t at = 0;
    for (; rc == 0 && at < MOST; at += 256 * KB) {
        rc = qn_packer_add(world.packer, text + at, 256 * KB, &err);
        qn_loop_turn(world.loop, false);
    }
    assert_int_equal(rc, code);
    assert_non_null(strstr(err.text, words));
    assert_null(qn_packer_room(world.packer)); /* nobody waits for a packer that has failed */
    assert_int_equal(qn_packer_leaf_end(world.packer, NULL), code);
    assert_int_equal(qn_packer_check(world.packer, NULL), code);
    assert_int_equal(qn_packer_finish(world.packer, NULL), code);
    close_world(&world);
}

static void test_failing_writes(void **state)
{
    (void)state;
    int ends[2], full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    expect_failure(full, QN_EIO, "free space");
    close(full);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    expect_failure(ends[1], QN_EPIPE, "went away");
    close(ends[1]);
    full = open("/dev/full", O_WRONLY); /* met by the very last block */
    struct world world;
    assert_int_equal(open_world(&world, QN_COMPRESSION_GZIP, 1, full), 0);
    assert_int_equal(qn_packer_add(world.packer, text, 10, NULL), 0);
    assert_int_equal(qn_packer_finish(world.packer, NULL), QN_EIO);
    close_world(&world);
    close(full);
}

static int attempt(void)
{
    struct world world;
    int fd = file_without_name();
    int rc = open_world(&world, QN_COMPRESSION_GZIP, 2, fd);
    if (rc == 0) rc = qn_packer_add(world.packer, text, 5 << 20, NULL);
    if (rc == 0) rc = qn_packer_leaf_end(world.packer, NULL);
    if (rc == 0) rc = qn_packer_finish(world.packer, NULL);
    close_world(&world);
    close(fd);
    return rc;
}

/* Each allocation fails in turn, those of the threads, too. */
static void test_without_memory(void **state)
{
    (void)state;
    int rc = QN_ENOMEM;
    uint64_t n = 0;
    while (rc == QN_ENOMEM && n < 1000) {
        qn_mem_fail_after(++n);
        rc = attempt();
        qn_mem_fail_after(0);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),           cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_empty),          cmocka_unit_test(test_room),
        cmocka_unit_test(test_gone_in_flight), cmocka_unit_test(test_failing_writes),
        cmocka_unit_test(test_without_memory),
    };
    fill();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
