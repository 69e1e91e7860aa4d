/* test_sink.c - file sinks: bytes, names, full disks and readers that go away; the store in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "run_world.h"
#include "sink/file.h"
#include "sink/memory.h"
#include "store/memory.h"

static int open_sink(const char *path, enum qn_sink_format format, const char *run, struct qn_sink **out,
                     struct qn_err *err)
{
    struct qn_file_sink_options options = {.path = path, .format = format, .run = run};
    if (format == QN_SINK_CSV) {
        options.header = "a,b\r\n";
        options.header_size = 5;
    }
    return qn_file_sink_open(&options, out, err);
}

static int put_leaf(struct qn_sink *sink, uint64_t leaf, const char *const *rows, struct qn_err *err)
{
    int rc = sink->class->leaf_begin(sink, leaf, err);
    for (size_t i = 0; rc == 0 && rows[i]; i++) rc = sink->class->rows(sink, rows[i], strlen(rows[i]), 1, err);
    if (rc == 0) rc = sink->class->leaf_end(sink, err);
    return rc == 0 ? sink->class->commit(sink, err) : rc;
}

static const char *const csv_rows[] = {"1,2\r\n", "3,\"4\"\r\n", NULL};
static const char *const json_rows[] = {"{\"a\":1},\n", "{\"a\":2},\n", NULL};
static const char *const line_rows[] = {"{\"a\":1}\n", "{\"a\":2}\n", NULL};
static const char *const no_rows[] = {NULL};

static void check_bytes(struct world *world, enum qn_sink_format format, const char *const *rows, const char *expected)
{
    char path[128];
    struct qn_sink *sink;
    struct qn_err err;
    world_path(world, "out", path);
    assert_int_equal(open_sink(path, format, "r1", &sink, &err), 0);
    assert_int_equal(put_leaf(sink, 1, rows, &err), 0);
    assert_int_equal(put_leaf(sink, 2, rows, &err), 0);
    assert_int_equal(access(path, F_OK), -1); /* nothing under its name yet */
    assert_int_equal(access(sink->class->partial_path(sink), F_OK), 0);
    assert_int_equal(sink->class->publish(sink, &err), 0);
    assert_int_equal(sink->bytes_written, strlen(expected));
    assert_string_equal(sink->class->partial_path(sink), "");
    sink->class->free(sink);
    expect_file(path, expected);
}

static void test_formats(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    check_bytes(&world, QN_SINK_CSV, csv_rows, "a,b\r\n1,2\r\n3,\"4\"\r\n1,2\r\n3,\"4\"\r\n");
    check_bytes(&world, QN_SINK_CSV, no_rows, "a,b\r\n");
    check_bytes(&world, QN_SINK_NDJSON, line_rows, "{\"a\":1}\n{\"a\":2}\n{\"a\":1}\n{\"a\":2}\n");
    check_bytes(&world, QN_SINK_NDJSON, no_rows, "");
    check_bytes(&world, QN_SINK_JSON, json_rows, "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":1},\n{\"a\":2}\n]\n");
    check_bytes(&world, QN_SINK_JSON, no_rows, "[\n]\n");
    world_close(&world);
}

/* A leaf that is taken back leaves no trace, whether its rows are in a buffer, in the file or in both; nor does one
 * that is under way when the file is kept. */
static void check_undo(struct world *world, enum qn_sink_format format, const char *row, const char *expected)
{
    char path[128], partial[256];
    struct qn_sink *sink;
    struct qn_err err;
    world_path(world, "out", path);
    assert_int_equal(open_sink(path, format, "r1", &sink, &err), 0);
    assert_true(sink->can_undo);
    for (size_t count = 1; count < 200000; count *= 7) {
        uint64_t bytes = sink->bytes_written;
        assert_int_equal(sink->class->leaf_begin(sink, 1, &err), 0);
        for (size_t i = 0; i < count; i++) assert_int_equal(sink->class->rows(sink, row, strlen(row), 1, &err), 0);
        if (count == 7) assert_int_equal(sink->class->commit(sink, &err), 0);
        assert_int_equal(sink->class->leaf_undo(sink, &err), 0);
        assert_int_equal(sink->rows_written, count == 1 ? 0 : 2);
        assert_int_equal(sink->bytes_written, bytes);
        if (count > 1) continue;
        assert_int_equal(put_leaf(sink, 1, (const char *const[]){row, row, NULL}, &err), 0);
    }
    assert_int_equal(sink->class->leaf_begin(sink, 2, &err), 0);
    for (size_t i = 0; i < 100000; i++) assert_int_equal(sink->class->rows(sink, row, strlen(row), 1, &err), 0);
    strcpy(partial, sink->class->partial_path(sink));
    sink->class->keep(sink);
    sink->class->free(sink);
    expect_file(partial, expected);
}

static void test_undo(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    check_undo(&world, QN_SINK_CSV, "1,2\r\n", "a,b\r\n1,2\r\n1,2\r\n");
    check_undo(&world, QN_SINK_NDJSON, "{\"a\":1}\n", "{\"a\":1}\n{\"a\":1}\n");
    check_undo(&world, QN_SINK_JSON, "{\"a\":1},\n", "[\n{\"a\":1},\n{\"a\":1}");
    world_close(&world);
}

static void test_keep_and_discard(void **state)
{
    (void)state;
    struct world world;
    char path[128], partial[256];
    struct qn_sink *sink;
    struct qn_err err;
    world_open(&world);
    world_path(&world, "out.json", path);

    assert_int_equal(open_sink(path, QN_SINK_JSON, "r1", &sink, &err), 0);
    assert_int_equal(put_leaf(sink, 1, json_rows, &err), 0);
    sink->class->keep(sink);
    snprintf(partial, sizeof partial, "%s/.out.json.r1.partial", world.dir);
    assert_string_equal(sink->class->partial_path(sink), partial);
    sink->class->free(sink);
    assert_int_equal(access(path, F_OK), -1);
    expect_file(partial, "[\n{\"a\":1},\n{\"a\":2}"); /* no closing bracket */

    assert_int_equal(open_sink(path, QN_SINK_JSON, "r1", &sink, &err), 0);
    sink->class->discard(sink);
    assert_int_equal(count_entries(world.dir), 0);
    assert_int_equal(put_leaf(sink, 1, json_rows, &err), QN_ESTATE);
    assert_int_equal(sink->class->publish(sink, &err), QN_ESTATE);
    sink->class->free(sink);

    assert_int_equal(open_sink(path, QN_SINK_JSON, "r1", &sink, &err), 0);
    sink->class->free(sink); /* without an end: discards */
    world_close(&world);
}

static void test_an_old_file_stays_until_publish(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    struct qn_sink *sink, *other;
    struct qn_err err;
    struct stat st;
    world_open(&world);
    world_path(&world, "out.csv", path);
    FILE *old = fopen(path, "w");
    fputs("old", old);
    fclose(old);
    chmod(path, 0640);

    assert_int_equal(open_sink(path, QN_SINK_CSV, "r1", &sink, &err), 0);
    assert_int_equal(open_sink(path, QN_SINK_CSV, "r1", &other, &err), QN_EEXIST); /* the same run twice */
    assert_non_null(strstr(err.text, ".out.csv.r1.partial"));
    assert_int_equal(open_sink(path, QN_SINK_CSV, "r2", &other, &err), 0); /* another run may; the last one wins */
    assert_int_equal(put_leaf(sink, 1, csv_rows, &err), 0);
    char *text = slurp(path);
    assert_string_equal(text, "old");
    free(text);
    assert_int_equal(sink->class->publish(sink, &err), 0);
    sink->class->free(sink);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(other->class->publish(other, &err), 0);
    other->class->free(other);
    expect_file(path, "a,b\r\n");
    world_close(&world);
}

static void test_links_are_written_through(void **state)
{
    (void)state;
    struct world world;
    char real[128], folder[128], link[128];
    struct qn_sink *sink;
    struct qn_err err;
    struct stat st;
    world_open(&world);
    world_path(&world, "sub", folder);
    world_path(&world, "sub/real.csv", real);
    world_path(&world, "link.csv", link);
    assert_int_equal(mkdir(folder, 0755), 0);
    assert_int_equal(symlink("sub/real.csv", link), 0); /* relative, and dangling at first */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(open_sink(link, QN_SINK_CSV, "r1", &sink, &err), 0);
        assert_non_null(strstr(sink->class->partial_path(sink), "/sub/.real.csv.r1.partial"));
        assert_int_equal(sink->class->publish(sink, &err), 0);
        sink->class->free(sink);
        assert_int_equal(lstat(link, &st), 0);
        assert_true(S_ISLNK(st.st_mode));
    }
    expect_file(real, "a,b\r\n");
    unlink(link);
    assert_int_equal(symlink("link.csv", link), 0); /* in a circle */
    assert_int_equal(open_sink(link, QN_SINK_CSV, "r1", &sink, &err), QN_EIO);
    unlink(link);
    rmdir(folder);
    world_close(&world);
}

static void test_outputs_that_cannot_be_written(void **state)
{
    (void)state;
    struct world world;
    char path[512];
    struct qn_sink *sink;
    struct qn_err err;
    world_open(&world);
    assert_int_equal(open_sink(world_path(&world, "missing/out.csv", path), QN_SINK_CSV, "r", &sink, &err), QN_EIO);
    assert_non_null(strstr(err.text, "missing/out.csv"));
    assert_non_null(strstr(err.text, "create the directory"));
    assert_int_equal(open_sink(world.dir, QN_SINK_CSV, "r", &sink, &err), QN_EIO);
    assert_non_null(strstr(err.text, "name a file in it"));
    assert_true(open_sink(world_path(&world, "new/", path), QN_SINK_CSV, "r", &sink, &err) < 0);
    sprintf(path, "%s/%0250d", world.dir, 1);
    assert_int_equal(open_sink(path, QN_SINK_CSV, "r", &sink, &err), QN_EIO);
    assert_non_null(strstr(err.text, "shorter name"));
    assert_int_equal(open_sink("/proc/out.csv", QN_SINK_CSV, "r", &sink, &err), QN_EIO);
    assert_int_equal(open_sink(world_path(&world, "x", path), QN_SINK_CSV, "a/b", &sink, &err), QN_EINVAL);
    assert_int_equal(open_sink(world_path(&world, "x", path), QN_SINK_CSV, "", &sink, &err), QN_EINVAL);
    world_close(&world);
}

/* Runs fn in a child with its own limits and signals; its exit status. */
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
    static char row[1000];
    memset(row, 'x', sizeof row);
    if (open_sink(path, QN_SINK_NDJSON, "r1", &sink, &err) < 0) return 1;
    if (setrlimit(RLIMIT_FSIZE, &limit) < 0) return 2;
    int rc = sink->class->leaf_begin(sink, 1, &err);
    for (int i = 0; rc == 0 && i < 3000; i++) rc = sink->class->rows(sink, row, sizeof row, 1, &err);
    if (rc != QN_EIO) return 3;
    if (!strstr(err.text, ".out.r1.partial") || !strstr(err.text, "1048576 bytes")) return 4;
    if (!strstr(err.text, strerror(EFBIG))) return 5;
    sink->class->discard(sink);
    sink->class->free(sink);
    return 0;
}

static void test_full_disk(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    world_open(&world);
    assert_int_equal(in_child(fill_limited_file, world_path(&world, "out", path)), 0);
    assert_int_equal(count_entries(world.dir), 0);
    world_close(&world);
}

static int write_to_closed_pipe(const char *path)
{
    (void)path;
    int ends[2];
    struct qn_sink *sink;
    struct qn_err err;
    signal(SIGPIPE, SIG_DFL);
    if (pipe(ends) < 0 || dup2(ends[1], STDOUT_FILENO) < 0) return 1;
    close(ends[0]);
    close(ends[1]);
    if (open_sink("-", QN_SINK_CSV, "r1", &sink, &err) < 0) return 2;
    if (put_leaf(sink, 1, csv_rows, &err) != QN_EPIPE) return 3;
    if (*sink->class->partial_path(sink)) return 4;
    sink->class->free(sink);
    return strstr(err.text, "standard output") ? 0 : 5;
}

static void test_closed_pipe(void **state)
{
    (void)state;
    assert_int_equal(in_child(write_to_closed_pipe, NULL), 0);
}

/* A slow reader of a non-blocking pipe: short writes and EAGAIN on the way. */
struct reader {
    int fd;
    size_t size;
    bool in_order;
};

static void *read_slowly(void *context)
{
    struct reader *reader = context;
    char buffer[7777];
    for (ssize_t n; (n = read(reader->fd, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] != (char)('a' + (reader->size + (size_t)i) % 23)) reader->in_order = false;
        }
        reader->size += (size_t)n;
    }
    return NULL;
}

enum { MIXED = 3000000 };

/* Bytes that read_slowly expects: small and large pieces, some of them out of a file that is gone at once. */
static int put_mixed(struct qn_sink *sink)
{
    static char data[MIXED];
    struct qn_err err;
    for (size_t i = 0; i < MIXED; i++) data[i] = (char)('a' + i % 23);
    if (!sink->takes_files || sink->class->leaf_begin(sink, 1, &err) < 0) return 10;
    for (size_t at = 0, n = 1; at < MIXED; at += n, n = n * 3 + 1) {
        if (n > MIXED - at) n = MIXED - at;
        if (n % 2 == 0) {
            if (sink->class->rows(sink, data + at, n, 1, &err) < 0) return 11;
            continue;
        }
        FILE *file = tmpfile();
        if (!file || fwrite(data, 1, MIXED, file) != MIXED || fflush(file) != 0) return 12;
        int rc = sink->class->rows_of_file(sink, fileno(file), at, n, 1, &err);
        fclose(file);
        if (rc < 0) return 13;
    }
    if (sink->class->leaf_end(sink, &err) < 0 || sink->bytes_written != MIXED) return 14;
    return sink->class->publish(sink, &err) < 0 ? 15 : 0;
}

static int append_mixed(const char *path)
{
    struct qn_sink *sink;
    struct qn_err err;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600); /* as `>>` does: nothing can be sent to it */
    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || open_sink("-", QN_SINK_NDJSON, "r1", &sink, &err) < 0) return 1;
    close(fd);
    int rc = put_mixed(sink);
    sink->class->free(sink);
    return rc;
}

static void expect_mixed(const char *path)
{
    struct reader reader = {open(path, O_RDONLY | O_CLOEXEC), 0, true};
    read_slowly(&reader);
    close(reader.fd);
    assert_int_equal(reader.size, MIXED);
    assert_true(reader.in_order);
    assert_int_equal(unlink(path), 0);
}

static void test_rows_of_files(void **state)
{
    (void)state;
    struct world world;
    char path[128];
    int ends[2];
    struct qn_sink *sink;
    struct qn_err err;
    pthread_t thread;
    world_open(&world);
    assert_int_equal(in_child(append_mixed, world_path(&world, "appended", path)), 0);
    expect_mixed(path);
    world_path(&world, "out.ndjson", path);
    assert_int_equal(open_sink(path, QN_SINK_NDJSON, "r1", &sink, &err), 0);
    assert_int_equal(put_mixed(sink), 0);
    sink->class->free(sink);
    expect_mixed(path);
    assert_int_equal(pipe(ends), 0);
    sprintf(path, "/proc/self/fd/%d", ends[1]);
    assert_int_equal(open_sink(path, QN_SINK_NDJSON, "r1", &sink, &err), 0);
    close(ends[1]);
    struct reader reader = {ends[0], 0, true};
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    assert_int_equal(put_mixed(sink), 0);
    sink->class->free(sink);
    pthread_join(thread, NULL);
    close(ends[0]);
    assert_int_equal(reader.size, MIXED);
    assert_true(reader.in_order);
    world_close(&world);
}

static void test_nonblocking_pipe(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    int ends[2];
    char path[64];
    pthread_t thread;
    assert_int_equal(pipe(ends), 0);
    sprintf(path, "/proc/self/fd/%d", ends[1]);
    struct qn_sink *sink;
    struct qn_err err;
    assert_int_equal(open_sink(path, QN_SINK_NDJSON, "r1", &sink, &err), 0);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, 0);
    DIR *d = opendir("/proc/self/fd"); /* the sink's own descriptor of the pipe: make it non-blocking */
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        int fd = atoi(entry->d_name), flags = fcntl(fd, F_GETFL);
        struct stat st;
        if (fd > 2 && fd != ends[0] && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && (flags & O_ACCMODE) == O_WRONLY) {
            fcntl(fd, F_SETFL, flags | O_NONBLOCK);
        }
    }
    closedir(d);
    struct reader reader = {ends[0], 0, true};
    assert_int_equal(pthread_create(&thread, NULL, read_slowly, &reader), 0);
    size_t size = 0;
    char row[1009];
    assert_int_equal(sink->class->leaf_begin(sink, 1, &err), 0);
    for (int i = 0; i < 2000; i++) {
        for (size_t k = 0; k < sizeof row; k++) row[k] = (char)('a' + (size + k) % 23);
        assert_int_equal(sink->class->rows(sink, row, sizeof row, 1, &err), 0);
        size += sizeof row;
    }
    assert_int_equal(sink->class->leaf_end(sink, &err), 0);
    assert_int_equal(sink->class->publish(sink, &err), 0);
    sink->class->free(sink);
    pthread_join(thread, NULL);
    assert_int_equal(reader.size, size);
    assert_true(reader.in_order);
    close(ends[0]);
    world_close(&world);
}

/* A run that fails before its first leaf leaves standard output empty. */
static void test_stream_is_lazy(void **state)
{
    (void)state;
    int ends[2];
    char path[64], buffer[64];
    assert_int_equal(pipe(ends), 0);
    sprintf(path, "/dev/fd/%d", ends[1]);
    struct qn_sink *sink;
    struct qn_err err;
    assert_int_equal(open_sink(path, QN_SINK_JSON, "r1", &sink, &err), 0);
    sink->class->discard(sink);
    sink->class->free(sink);
    assert_int_equal(open_sink(path, QN_SINK_JSON, "r1", &sink, &err), 0);
    assert_int_equal(put_leaf(sink, 1, json_rows, &err), 0);
    assert_int_equal(read(ends[0], buffer, sizeof buffer), 18); /* the leaf is out before publish */
    assert_memory_equal(buffer, "[\n{\"a\":1},\n{\"a\":2}", 18);
    assert_int_equal(sink->class->publish(sink, &err), 0);
    sink->class->free(sink);
    close(ends[1]);
    assert_int_equal(read(ends[0], buffer, sizeof buffer), 3);
    close(ends[0]);
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
    for (uint64_t n = 1; rc == QN_ENOMEM && n < 20; n++) {
        struct qn_sink *sink = NULL;
        qn_mem_fail_after(n);
        rc = open_sink(path, QN_SINK_CSV, "r1", &sink, &err);
        qn_mem_fail_after(0);
        if (rc == 0) sink->class->free(sink);
        assert_int_equal(count_entries(world.dir), 0);
    }
    assert_int_equal(rc, 0);
    world_close(&world);
}

static int count_leaf(void *context, const struct qn_stored_leaf *leaf)
{
    *(uint64_t *)context += leaf->rows;
    return 0;
}

static void test_store(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_store *store = qn_memory_store_new();
    struct qn_err err;
    struct qn_stored_run run = {.id = "r1", .by_time = true, .from_ms = 0, .to_ms = 1000};
    assert_int_equal(store->class->run_begin(store, &run, &err), 0);
    assert_int_equal(store->class->run_begin(store, &run, &err), QN_EEXIST);
    for (uint64_t i = 1; i <= 100; i++) {
        struct qn_stored_leaf leaf = {.leaf = i, .rows = i};
        assert_int_equal(store->class->leaf_committed(store, "r1", &leaf, &err), 0);
    }
    struct qn_stored_leaf bad = {.leaf = 101};
    assert_int_equal(store->class->leaf_failed(store, "r1", &bad, "refused", &err), 0);
    assert_int_equal(store->class->leaf_failed(store, "r2", &bad, "refused", &err), QN_ENOENT);
    assert_int_equal(store->class->run_end(store, "r1", QN_RUN_INCOMPLETE, &err), 0);
    assert_int_equal(store->class->find(store, "r1", &run, &err), 0);
    assert_int_equal(run.leaves, 100);
    assert_int_equal(run.rows, 5050);
    assert_int_equal(run.holes, 1);
    assert_int_equal(run.end, QN_RUN_INCOMPLETE);
    uint64_t rows = 0;
    assert_int_equal(store->class->leaves(store, "r1", count_leaf, &rows, &err), 0);
    assert_int_equal(rows, 5050);
    store->class->free(store);
    assert_int_equal(qn_mem_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_undo),
        cmocka_unit_test(test_keep_and_discard),
        cmocka_unit_test(test_an_old_file_stays_until_publish),
        cmocka_unit_test(test_links_are_written_through),
        cmocka_unit_test(test_outputs_that_cannot_be_written),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_closed_pipe),
        cmocka_unit_test(test_rows_of_files),
        cmocka_unit_test(test_nonblocking_pipe),
        cmocka_unit_test(test_stream_is_lazy),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
