/* File sinks that compress: what is published, kept and dropped, full disks, readers that go, terminals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "engine/loop.h"
#include "packed.h"
#include "run_world.h"
#include "sink/file.h"

#define MOST ((size_t)8 << 20)

static struct qn_loop *new_loop(void)
{
    struct qn_loop *loop = qn_loop_new(qn_clock_virtual(0));
    if (!loop) abort();
    return loop;
}

static int open_sink(const char *path, struct qn_loop *loop, enum qn_compression compression, struct qn_sink **out,
                     struct qn_err *err)
{
    const struct qn_file_sink_options options = {.path = path,
                                                 .format = QN_SINK_CSV,
                                                 .header = "a,b\r\n",
                                                 .header_size = 5,
                                                 .run = "r1",
                                                 .compression = compression,
                                                 .loop = loop,
                                                 .threads = 2};
    return qn_file_sink_open(&options, out, err);
}

/* count rows of about 100 bytes that cannot be packed well. */
static int put_rows(struct qn_sink *sink, unsigned count, struct qn_err *err)
{
    static uint32_t seed = 5;
    char row[128];
    int rc = sink->class->leaf_begin(sink, 1, err);
    for (unsigned i = 0; rc == 0 && i < count; i++) {
        size_t size = 0;
        while (size < 98) {
            seed = seed * 1664525 + 1013904223;
            row[size++] = (char)('!' + (seed >> 26));
        }
        row[size++] = '\r';
        row[size++] = '\n';
        rc = sink->class->rows(sink, row, size, 1, err);
    }
    return rc;
}

static int put_leaf(struct qn_sink *sink, unsigned count, struct qn_err *err)
{
    int rc = put_rows(sink, count, err);
    if (rc == 0) rc = sink->class->leaf_end(sink, err);
    return rc == 0 ? sink->class->commit(sink, err) : rc;
}

/* How many bytes a compressed file holds; they begin with the header. *size: of the file itself. */
static size_t look(const char *path, enum qn_compression compression, uint64_t *size)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    char *data = slurp(path);
    assert_non_null(data);
    struct unpacked found = unpack(compression, data, (size_t)st.st_size, MOST);
    assert_true(found.size >= 5);
    assert_memory_equal(found.text, "a,b\r\n", 5);
    *size = (uint64_t)st.st_size;
    free(found.text);
    free(data);
    return found.size;
}

static void check_ends(struct world *world, struct qn_loop *loop, enum qn_compression compression, unsigned rows)
{
    struct qn_sink *sink;
    struct qn_err err;
    char path[128], partial[256];
    uint64_t size;
    world_path(world, "out", path);
    assert_int_equal(open_sink(path, loop, compression, &sink, &err), 0);
    assert_false(sink->can_undo);
    assert_int_equal(put_leaf(sink, rows, &err), 0);
    assert_int_equal(put_leaf(sink, 7, &err), 0);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(sink->class->seal(sink, &err), 0); /* all of it is there before its name is */
    assert_int_equal(look(sink->class->partial_path(sink), compression, &size), 5 + (rows + 7) * 100);
    assert_int_equal(sink->class->publish(sink, &err), 0);
    assert_int_equal(look(path, compression, &size), 5 + (rows + 7) * 100);
    assert_int_equal(sink->bytes_written, 5 + (rows + 7) * 100);
    assert_int_equal(sink->output_bytes, size);
    sink->class->free(sink);
    unlink(path);

    assert_int_equal(open_sink(path, loop, compression, &sink, &err), 0);
    assert_int_equal(put_leaf(sink, rows, &err), 0);
    sink->class->keep(sink);
    snprintf(partial, sizeof partial, "%s", sink->class->partial_path(sink));
    assert_int_equal(look(partial, compression, &size), 5 + rows * 100); /* whole members */
    assert_int_equal(sink->output_bytes, size);
    assert_int_equal(put_leaf(sink, 1, &err), QN_ESTATE);
    sink->class->free(sink);
    unlink(partial);

    assert_int_equal(open_sink(path, loop, compression, &sink, &err), 0);
    assert_int_equal(put_rows(sink, rows, &err), 0);
    sink->class->discard(sink);
    assert_int_equal(sink->output_bytes, 0);
    assert_int_equal(sink->class->rows(sink, "x", 1, 1, &err), QN_ESTATE);
    assert_int_equal(sink->class->publish(sink, &err), QN_ESTATE);
    sink->class->free(sink);
    assert_int_equal(open_sink(path, loop, compression, &sink, &err), 0);
    assert_int_equal(put_rows(sink, rows, &err), 0);
    sink->class->free(sink); /* without an end: discards */
    assert_int_equal(count_entries(world->dir), 0);
}

static void test_ends(void **state)
{
    (void)state;
    for (enum qn_compression one = QN_COMPRESSION_GZIP; one <= QN_COMPRESSION_ZSTD; one++) {
        struct world world;
        world_open(&world);
        struct qn_loop *loop = new_loop();
        check_ends(&world, loop, one, 0);
        check_ends(&world, loop, one, 30000);
        assert_int_equal(qn_loop_free(loop), 0);
        world_close(&world);
    }
}

/* Runs fn in a child with its own limits and descriptors; its exit status. */
static int in_child(int (*fn)(const char *path), const char *path)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(fn(path));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status)); /* not killed by SIGXFSZ or SIGPIPE */
    return WEXITSTATUS(status);
}

static int fill_limited_file(const char *path)
{
    struct rlimit limit = {1 << 20, 1 << 20};
    struct qn_sink *sink;
    struct qn_err err;
    struct qn_loop *loop = new_loop();
    if (open_sink(path, loop, QN_COMPRESSION_GZIP, &sink, &err) < 0) return 1;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0) return 2;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) rc = put_leaf(sink, 1000, &err);
    if (rc == 0) rc = sink->class->publish(sink, &err);
    if (rc != QN_EIO) return 3;
    if (!strstr(err.text, ".out.r1.partial") || !strstr(err.text, "1048576 bytes")) return 4;
    sink->class->discard(sink);
    sink->class->free(sink);
    return qn_loop_free(loop);
}

/* The last block does not fit: nothing gets the name. */
static int fill_at_the_end(const char *path)
{
    struct rlimit limit = {100, 100};
    struct qn_sink *sink;
    struct qn_err err;
    struct qn_loop *loop = new_loop();
    if (open_sink(path, loop, QN_COMPRESSION_ZSTD, &sink, &err) < 0) return 1;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0) return 2;
    if (put_leaf(sink, 100, &err) < 0) return 3;
    if (sink->class->publish(sink, &err) != QN_EIO) return 4;
    if (access(path, F_OK) == 0) return 5;
    sink->class->free(sink);
    return qn_loop_free(loop);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_open(&world);
    assert_int_equal(in_child(fill_limited_file, world_path(&world, "out", path)), 0);
    assert_int_equal(in_child(fill_at_the_end, path), 0);
    assert_int_equal(count_entries(world.dir), 0);
    world_close(&world);
}

static int write_to_closed_pipe(const char *path)
{
    (void)path;
    int ends[2];
    struct qn_sink *sink;
    struct qn_err err;
    struct qn_loop *loop = new_loop();
    signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) < 0 || dup2(ends[1], STDOUT_FILENO) < 0) return 1;
    close(ends[0]);
    close(ends[1]);
    if (open_sink("-", loop, QN_COMPRESSION_GZIP, &sink, &err) < 0) return 2;
    int rc = 0;
    for (int i = 0; rc == 0 && i < 100; i++) rc = put_leaf(sink, 5000, &err);
    if (rc != QN_EPIPE) return 3;
    sink->class->free(sink);
    return strstr(err.text, "standard output") ? 0 : 4;
}

static void test_streams(void **state)
{
    (void)state;
    assert_int_equal(in_child(write_to_closed_pipe, NULL), 0);
    struct world world;
    struct qn_sink *sink;
    struct qn_err err;
    world_open(&world);
    struct qn_loop *loop = new_loop();
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal) | unlockpt(terminal), 0);
    assert_int_equal(open_sink(ptsname(terminal), loop, QN_COMPRESSION_GZIP, &sink, &err), QN_EINVAL);
    assert_non_null(strstr(err.text, "not for a terminal"));
    close(terminal);
    assert_int_equal(qn_loop_free(loop), 0);
    world_close(&world);
}

static void test_without_memory(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    struct qn_err err;
    world_open(&world);
    world_path(&world, "out.csv", path);
    int rc = QN_ENOMEM;
    uint64_t n = 0;
    while (rc == QN_ENOMEM && n < 1000) {
        struct qn_sink *sink = NULL;
        struct qn_loop *loop = new_loop();
        qn_mem_fail_after(++n);
        rc = open_sink(path, loop, QN_COMPRESSION_GZIP, &sink, &err);
        if (rc == 0) rc = put_leaf(sink, 20000, &err);
        if (rc == 0) rc = sink->class->publish(sink, &err);
        qn_mem_fail_after(0);
        if (sink) sink->class->free(sink);
        assert_int_equal(qn_loop_free(loop), 0);
        if (rc < 0) assert_int_equal(count_entries(world.dir), 0);
    }
    assert_int_equal(rc, 0);
    assert_true(n > 10);
    unlink(path);
    world_close(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_without_memory),
    };
    qn_loop_free(new_loop()); /* libuv keeps two descriptors from its first loop on */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
