/* The HTTP server, spoken to over a plain socket from the same thread. */
#include "net_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/header.h"
#include "net/server.h"

struct fixture {
    struct world world;
    struct qn_server *server;
};

static void open_fixture(struct fixture *f)
{
    world_open(&f->world, qn_clock_real);
    assert_int_equal(qn_server_listen(f->world.loop, "127.0.0.1", 0, &f->server, NULL), 0);
    assert_true(qn_server_port(f->server) > 0);
}

static void close_fixture(struct fixture *f)
{
    qn_server_free(f->server);
    world_close(&f->world);
}

/* ---- a client of a few lines ---- */

static int dial(const struct fixture *f)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)qn_server_port(f->server))};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static void push(struct fixture *f, int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = send(fd, data, size, MSG_NOSIGNAL);
        if (n > 0)
            data += n, size -= (size_t)n;
        else
            assert_int_equal(errno, EAGAIN);
        qn_loop_turn(f->world.loop, false);
    }
}

static void say(struct fixture *f, int fd, const char *text)
{
    push(f, fd, text, strlen(text));
}

/* Reads until `until` was seen, or to the end (NULL). Returns errno of the end: 0 for a plain close. */
static int hear(struct fixture *f, int fd, const char *until, char *out, size_t room)
{
    size_t used = 0;
    for (int i = 0; i < 1000000; i++) {
        ssize_t n = recv(fd, out + used, room - used - 1, 0);
        if (n == 0) return 0;
        if (n < 0 && errno != EAGAIN) return errno;
        if (n > 0) used += (size_t)n;
        out[used] = 0;
        if (n > 0 && until && strstr(out, until)) return 0;
        qn_loop_turn(f->world.loop, false);
    }
    fail_msg("nothing heard");
    return -1;
}

static struct qn_served *accept_one(struct fixture *f)
{
    struct qn_op *op = qn_server_accept_op(f->server);
    assert_non_null(op);
    world_wait(&f->world, op);
    struct qn_served *served = qn_server_next(f->server);
    assert_non_null(served);
    return served;
}

static int answer_text(struct qn_served *served, int status, const char *text, enum qn_fault fault, size_t cut)
{
    struct qn_bytes *body = qn_bytes_new(text, strlen(text));
    struct qn_served_answer answer = {.status = status, .body = body, .fault = fault, .cut = cut};
    int rc = qn_served_respond(served, &answer, NULL);
    qn_bytes_unref(body);
    return rc;
}

#define GET "GET /x HTTP/1.1\r\nHost: h\r\n\r\n"

/* ---- tests ---- */

static void test_request_and_answer(void **state)
{
    struct fixture f;
    char text[4096];
    size_t count, size;
    (void)state;
    open_fixture(&f);
    int fd = dial(&f);
    say(&f, fd, "POST /a%20b/c?x=%41&y HTTP/1.1\r\nHost: h\r\nX-Thing: One\r\nContent-Length: 5\r\n\r\nhe");
    say(&f, fd, "llo");
    struct qn_served *served = accept_one(&f);
    assert_string_equal(qn_served_method(served), "POST");
    assert_string_equal(qn_served_path(served), "/a%20b/c");
    assert_string_equal(qn_served_query(served), "x=%41&y");
    const struct qn_header *headers = qn_served_headers(served, &count);
    assert_string_equal(qn_header_find(headers, count, "x-thing"), "One");
    assert_string_equal(headers[1].name, "x-thing");
    const char *body = qn_served_body(served, &size);
    assert_int_equal(size, 5);
    assert_memory_equal(body, "hello", 5);
    const struct qn_header bad = {"X", "a\r\nb", NULL}, good = {"X-Back", "two", NULL};
    struct qn_err err;
    struct qn_bytes *bytes = qn_bytes_new("done", 4);
    struct qn_served_answer answer = {.status = 201, .headers = &bad, .header_count = 1, .body = bytes};
    assert_int_equal(qn_served_respond(served, &answer, &err), QN_EINVAL);
    answer.headers = &good;
    assert_int_equal(qn_served_respond(served, &answer, &err), 0);
    assert_int_equal(qn_served_respond(served, &answer, &err), QN_ESTATE);
    qn_bytes_unref(bytes);
    qn_served_free(served);
    hear(&f, fd, "done", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 201 "));
    assert_non_null(strstr(text, "X-Back: two\r\n"));
    assert_non_null(strstr(text, "Content-Length: 4\r\n"));
    /* the connection is kept */
    say(&f, fd, GET);
    served = accept_one(&f);
    assert_string_equal(qn_served_query(served), "");
    assert_int_equal(answer_text(served, 200, "again", QN_FAULT_NONE, 0), 0);
    qn_served_free(served);
    hear(&f, fd, "again", text, sizeof text);
    close(fd);
    close_fixture(&f);
}

static void test_any_order(void **state)
{
    struct fixture f;
    char text[4096];
    int fd[3];
    struct qn_served *served[3];
    (void)state;
    open_fixture(&f);
    for (int i = 0; i < 3; i++) {
        fd[i] = dial(&f);
        say(&f, fd[i], GET);
        served[i] = accept_one(&f);
    }
    for (int i = 2; i >= 0; i--) {
        answer_text(served[i], 200, "x", QN_FAULT_CLOSE, 0);
        qn_served_free(served[i]);
        assert_int_equal(hear(&f, fd[i], NULL, text, sizeof text), 0);
        assert_non_null(strstr(text, "Connection: close"));
        close(fd[i]);
    }
    close_fixture(&f);
}

static void test_faults(void **state)
{
    struct fixture f;
    char text[4096];
    (void)state;
    open_fixture(&f);
    int fd = dial(&f);
    say(&f, fd, GET);
    struct qn_served *served = accept_one(&f);
    assert_int_equal(answer_text(served, 200, "x", QN_FAULT_RESET, 0), 0);
    qn_served_free(served);
    assert_int_equal(hear(&f, fd, NULL, text, sizeof text), ECONNRESET);
    close(fd);

    const size_t cuts[] = {0, 3, 100};
    for (int i = 0; i < 3; i++) {
        fd = dial(&f);
        say(&f, fd, GET);
        served = accept_one(&f);
        assert_int_equal(answer_text(served, 200, "abcdef", QN_FAULT_TRUNCATE, cuts[i]), 0);
        qn_served_free(served);
        assert_int_equal(hear(&f, fd, NULL, text, sizeof text), 0);
        assert_non_null(strstr(text, "Content-Length: 6\r\n"));
        assert_string_equal(strstr(text, "\r\n\r\n") + 4, i == 0 ? "" : i == 1 ? "abc" : "abcde");
        close(fd);
    }

    fd = dial(&f);
    say(&f, fd, GET);
    served = accept_one(&f);
    assert_int_equal(answer_text(served, 200, "x", QN_FAULT_HANG, 0), 0);
    for (int i = 0; i < 100; i++) qn_loop_turn(f.world.loop, false);
    assert_true(recv(fd, text, sizeof text, 0) < 0 && errno == EAGAIN);
    assert_false(qn_served_gone(served));
    close(fd);
    for (int i = 0; i < 1000 && !qn_served_gone(served); i++) qn_loop_turn(f.world.loop, false);
    assert_true(qn_served_gone(served));
    qn_served_free(served);
    close_fixture(&f);
}

/* Packed and chunked bodies, and a request that does not want the first. */
static void test_encodings(void **state)
{
    static const struct {
        const char *accept;
        bool gzip, chunked, packed;
    } cases[] = {{"gzip", true, false, true},       {"br, GZIP ; q=0.5", true, false, true},
                 {"gzip;q=0", true, false, false},  {"deflate", true, false, false},
                 {"gzip", false, false, false},     {"gzip", false, true, false},
                 {"deflate,gzip", true, true, true}};
    struct fixture f;
    char text[8192], repeated[4001];
    (void)state;
    memset(repeated, 'z', 4000);
    repeated[4000] = 0;
    open_fixture(&f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int fd = dial(&f);
        snprintf(text, sizeof text, "GET /x HTTP/1.1\r\nHost: h\r\nAccept-Encoding: %s\r\n\r\n", cases[i].accept);
        say(&f, fd, text);
        struct qn_served *served = accept_one(&f);
        struct qn_bytes *body = qn_bytes_new(repeated, 4000);
        struct qn_served_answer answer = {
            .status = 200, .body = body, .gzip = cases[i].gzip, .chunked = cases[i].chunked, .fault = QN_FAULT_CLOSE};
        assert_int_equal(qn_served_respond(served, &answer, NULL), 0);
        qn_bytes_unref(body);
        qn_served_free(served);
        assert_int_equal(hear(&f, fd, NULL, text, sizeof text), 0);
        assert_int_equal(strstr(text, "Content-Encoding: gzip\r\n") != NULL, cases[i].packed);
        assert_int_equal(strstr(text, "Content-Length: ") == NULL, cases[i].chunked);
        const char *sent = strstr(text, "\r\n\r\n") + 4;
        if (cases[i].chunked) sent = strstr(sent, "\r\n") + 2;
        assert_memory_equal(sent, cases[i].packed ? "\x1f\x8b\x08" : "zzz", 3);
        close(fd);
    }
    close_fixture(&f);
}

/* Heads well above the daemon's own 32 KB. */
static void test_large_head(void **state)
{
    enum { COUNT = 60, SIZE = 1000 };
    static char values[COUNT][SIZE + 1], text[COUNT * (SIZE + 50)];
    struct qn_header headers[COUNT];
    char names[COUNT][24];
    struct fixture f;
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        memset(values[i], 'h', SIZE);
        snprintf(names[i], sizeof names[i], "X-Large-%d", i);
        headers[i] = (struct qn_header){.name = names[i], .value = values[i]};
    }
    open_fixture(&f);
    int fd = dial(&f);
    say(&f, fd, GET);
    struct qn_served *served = accept_one(&f);
    struct qn_served_answer answer = {
        .status = 200, .headers = headers, .header_count = COUNT, .fault = QN_FAULT_CLOSE};
    assert_int_equal(qn_served_respond(served, &answer, NULL), 0);
    qn_served_free(served);
    assert_int_equal(hear(&f, fd, NULL, text, sizeof text), 0);
    assert_non_null(strstr(text, "X-Large-59: h"));
    assert_non_null(strstr(text, "\r\n\r\n"));
    close(fd);
    close_fixture(&f);
}

static void test_unanswered(void **state)
{
    struct fixture f;
    char text[4096];
    (void)state;
    open_fixture(&f);
    int fd = dial(&f);
    say(&f, fd, GET);
    qn_served_free(accept_one(&f));
    hear(&f, fd, "\r\n\r\n", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 500 "));
    close(fd);
    close_fixture(&f);
}

static void test_client_leaves(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    /* while it waits in the queue */
    int fd = dial(&f);
    say(&f, fd, GET);
    struct qn_op *op = qn_server_accept_op(f.server);
    assert_null(qn_server_accept_op(f.server));
    world_wait(&f.world, op);
    close(fd);
    for (int i = 0; i < 200; i++) qn_loop_turn(f.world.loop, false);
    assert_null(qn_server_next(f.server));
    /* while it is in hand */
    fd = dial(&f);
    say(&f, fd, GET);
    struct qn_served *served = accept_one(&f);
    close(fd);
    for (int i = 0; i < 1000 && !qn_served_gone(served); i++) qn_loop_turn(f.world.loop, false);
    assert_int_equal(answer_text(served, 200, "late", QN_FAULT_NONE, 0), QN_EPIPE);
    assert_string_equal(qn_served_path(served), "/x");
    qn_served_free(served);
    /* in the middle of its request */
    fd = dial(&f);
    say(&f, fd, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
    close(fd);
    for (int i = 0; i < 200; i++) qn_loop_turn(f.world.loop, false);
    close_fixture(&f);
}

static void test_close_with_requests(void **state)
{
    struct fixture f;
    char text[4096];
    int fd[3];
    (void)state;
    open_fixture(&f);
    fd[0] = dial(&f);
    say(&f, fd[0], GET);
    struct qn_served *in_hand = accept_one(&f);
    fd[1] = dial(&f);
    say(&f, fd[1], GET); /* queued */
    fd[2] = dial(&f);
    say(&f, fd[2], "GET /half HTTP/1.1\r\n");
    for (int i = 0; i < 100; i++) qn_loop_turn(f.world.loop, false);
    qn_server_close(f.server);
    qn_server_close(f.server);
    assert_true(qn_server_closed(f.server));
    assert_true(qn_served_gone(in_hand));
    assert_int_equal(answer_text(in_hand, 200, "x", QN_FAULT_NONE, 0), QN_EPIPE);
    qn_served_free(in_hand);
    struct qn_op *op = qn_server_accept_op(f.server);
    assert_int_equal(op->state, QN_OP_DONE);
    assert_null(qn_server_next(f.server));
    for (int i = 0; i < 3; i++) {
        hear(&f, fd[i], NULL, text, sizeof text);
        close(fd[i]);
    }
    close_fixture(&f);
}

static void test_close_wakes_accept(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    struct qn_op *op = qn_server_accept_op(f.server);
    assert_int_equal(op->state, QN_OP_PENDING);
    qn_server_close(f.server);
    assert_int_equal(op->state, QN_OP_DONE);
    close_fixture(&f);
    open_fixture(&f);
    qn_server_accept_op(f.server);
    close_fixture(&f); /* freed with a pending accept, in one go */
}

static void test_body_cap(void **state)
{
    struct fixture f;
    char text[4096];
    size_t size = QN_SERVER_BODY_CAP + 1;
    char *big = malloc(size);
    (void)state;
    memset(big, 'x', size);
    open_fixture(&f);
    int fd = dial(&f);
    snprintf(text, sizeof text, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n", size);
    say(&f, fd, text);
    push(&f, fd, big, size);
    hear(&f, fd, "\r\n\r\n", text, sizeof text);
    assert_non_null(strstr(text, "HTTP/1.1 413 "));
    assert_null(qn_server_next(f.server));
    close(fd);
    close_fixture(&f);
    free(big);
}

/* A large answer must leave in one piece though the client reads slowly. */
static void test_large_answer(void **state)
{
    struct fixture f;
    size_t size = (size_t)8 << 20, got = 0;
    char *big = malloc(size), text[65536];
    (void)state;
    memset(big, 'y', size);
    open_fixture(&f);
    int fd = dial(&f);
    say(&f, fd, GET);
    struct qn_served *served = accept_one(&f);
    struct qn_bytes *body = qn_bytes_new(big, size);
    struct qn_served_answer answer = {.status = 200, .body = body, .fault = QN_FAULT_CLOSE};
    assert_int_equal(qn_served_respond(served, &answer, NULL), 0);
    qn_bytes_unref(body);
    qn_served_free(served);
    for (int i = 0; i < 1000000; i++) {
        ssize_t n = recv(fd, text, sizeof text, 0);
        if (n == 0) break;
        if (n > 0) got += (size_t)n;
        qn_loop_turn(f.world.loop, false);
    }
    assert_true(got > size && got < size + 1000);
    close(fd);
    free(big);
    close_fixture(&f);
}

static void test_listen_errors(void **state)
{
    struct fixture f;
    struct qn_server *other;
    struct qn_err err;
    char port[16];
    (void)state;
    open_fixture(&f);
    assert_int_equal(qn_server_listen(f.world.loop, "127.0.0.1", qn_server_port(f.server), &other, &err), QN_EEXIST);
    snprintf(port, sizeof port, "%u", qn_server_port(f.server));
    assert_non_null(strstr(err.text, port));
    assert_int_equal(qn_server_listen(f.world.loop, "example.com", 0, &other, &err), QN_EINVAL);
    assert_int_equal(qn_server_listen(f.world.loop, "localhost", 70000, &other, &err), QN_EINVAL);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request_and_answer),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_large_head),
        cmocka_unit_test(test_unanswered),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_close_with_requests),
        cmocka_unit_test(test_close_wakes_accept),
        cmocka_unit_test(test_body_cap),
        cmocka_unit_test(test_large_answer),
        cmocka_unit_test(test_listen_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
