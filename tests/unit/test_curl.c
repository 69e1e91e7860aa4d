/* The libcurl transport against our own server, both in one loop. */
#include "net_world.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/curl.h"
#include "net/curl_answer.h"
#include "net/curl_result.h"
#include "net/header.h"
#include "net/server.h"

struct fixture {
    struct world world;
    struct qn_server *server;
    struct qn_transport *transport;
    struct qn_op *accept;
    char url[128];
};

static void open_fixture_on(struct fixture *f, struct qn_clock *(*make_clock)(void))
{
    memset(f, 0, sizeof *f);
    world_open(&f->world, make_clock);
    assert_int_equal(qn_server_listen(f->world.loop, "127.0.0.1", 0, &f->server, NULL), 0);
    assert_int_equal(qn_curl_new(f->world.loop, NULL, &f->transport, NULL), 0);
    snprintf(f->url, sizeof f->url, "http://127.0.0.1:%u/x", qn_server_port(f->server));
}

static void open_fixture(struct fixture *f)
{
    open_fixture_on(f, qn_clock_real);
}

static void close_fixture(struct fixture *f)
{
    qn_transport_free(f->transport);
    qn_server_free(f->server);
    world_close(&f->world);
}

static struct qn_exchange *begin(struct fixture *f, const struct qn_request *request)
{
    struct qn_exchange *exchange;
    struct qn_err err;
    int rc = qn_transport_start(f->transport, request, &exchange, &err);
    if (rc < 0) fail_msg("%s", err.text);
    assert_int_equal(exchange->op.state, QN_OP_PENDING);
    return exchange;
}

static struct qn_exchange *begin_get(struct fixture *f)
{
    struct qn_request request = {.method = "GET", .url = f->url};
    return begin(f, &request);
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

static void answer_full(struct qn_served *served, const struct qn_served_answer *like, const void *data, size_t size)
{
    struct qn_served_answer answer = *like;
    answer.body = qn_bytes_new(data, size);
    assert_int_equal(qn_served_respond(served, &answer, NULL), 0);
    qn_bytes_unref(answer.body);
    qn_served_free(served);
}

static void answer(struct qn_served *served, int status, const char *text, enum qn_fault fault, size_t cut)
{
    const struct qn_served_answer like = {.status = status, .fault = fault, .cut = cut};
    answer_full(served, &like, text, strlen(text));
}

static void expect_body(struct qn_exchange *exchange, int status, const char *text)
{
    if (exchange->result.kind != QN_RESULT_ANSWER) fail_msg("%s", exchange->result.message);
    assert_int_equal(exchange->result.status, status);
    assert_int_equal(qn_bytes_size(exchange->result.body), strlen(text));
    assert_memory_equal(qn_bytes_data(exchange->result.body), text, strlen(text));
}

static void expect_failure(struct qn_exchange *exchange, enum qn_result_kind kind, bool never_sent, const char *text)
{
    if (exchange->result.kind != kind || !strstr(exchange->result.message, text))
        fail_msg("kind %d: %s", exchange->result.kind, exchange->result.message);
    assert_int_equal(exchange->result.never_sent, never_sent);
}

/* ---- answers ---- */

static void test_answer(void **state)
{
    struct fixture f;
    const struct qn_header headers[] = {{"X-One", "a  b", NULL}, {"Retry-After", "7", NULL}};
    (void)state;
    open_fixture(&f);
    struct qn_exchange *exchange = begin_get(&f);
    struct qn_served *served = accept_one(&f);
    size_t count;
    const struct qn_header *got = qn_served_headers(served, &count);
    assert_string_equal(qn_header_find(got, count, "user-agent"), "quern");
    assert_non_null(strstr(qn_header_find(got, count, "accept-encoding"), "gzip"));
    const struct qn_served_answer like = {.status = 429, .headers = headers, .header_count = 2};
    answer_full(served, &like, "slow down", 9);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 429, "slow down");
    const struct qn_result *result = &exchange->result;
    assert_string_equal(qn_header_find(result->headers, result->header_count, "x-one"), "a  b");
    assert_string_equal(qn_header_find(result->headers, result->header_count, "retry-after"), "7");
    assert_memory_equal(result->peer, "127.0.0.1:", 10);
    assert_false(result->never_sent);
    qn_exchange_free(exchange);
    close_fixture(&f);
}

static void test_request_parts(void **state)
{
    struct fixture f;
    size_t count, size;
    (void)state;
    open_fixture(&f);
    struct qn_secret *token = qn_secret_new("token-value-1", 13), *form = qn_secret_new("secret=form-1", 13);
    struct qn_bytes *body = qn_bytes_new("{\"a\":1}", 7);
    const struct qn_header headers[] = {
        {"Authorization", NULL, token}, {"Content-Type", "application/json", NULL}, {"X-Empty", "", NULL}};
    struct qn_request request = {.method = "POST", .url = f.url, .headers = headers, .header_count = 3, .body = body};
    struct qn_exchange *exchange = begin(&f, &request);
    qn_bytes_unref(body);
    struct qn_served *served = accept_one(&f);
    const struct qn_header *got = qn_served_headers(served, &count);
    assert_string_equal(qn_served_method(served), "POST");
    assert_string_equal(qn_header_find(got, count, "authorization"), "token-value-1");
    assert_string_equal(qn_header_find(got, count, "content-type"), "application/json");
    assert_string_equal(qn_header_find(got, count, "x-empty"), "");
    assert_null(qn_header_find(got, count, "expect"));
    assert_memory_equal(qn_served_body(served, &size), "{\"a\":1}", 7);
    assert_int_equal(size, 7);
    answer(served, 200, "", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "");
    qn_exchange_free(exchange);

    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "POST", "GET", "POST"};
    for (int i = 0; i < 6; i++) { /* with a secret body, then the next requests without one */
        request = (struct qn_request){.method = methods[i], .url = f.url, .secret_body = i < 4 ? form : NULL};
        exchange = begin(&f, &request);
        served = accept_one(&f);
        got = qn_served_headers(served, &count);
        assert_string_equal(qn_served_method(served), methods[i]);
        assert_null(qn_header_find(got, count, "content-type"));
        assert_memory_equal(qn_served_body(served, &size), "secret=form-1", i < 4 ? 13 : 0);
        assert_int_equal(size, i < 4 ? 13 : 0);
        answer(served, 204, "", QN_FAULT_NONE, 0);
        world_wait(&f.world, &exchange->op);
        expect_body(exchange, 204, "");
        qn_exchange_free(exchange);
    }
    qn_secret_unref(token);
    qn_secret_unref(form);
    close_fixture(&f);
}

static void test_bad_requests(void **state)
{
    struct fixture f;
    struct qn_exchange *exchange;
    struct qn_err err;
    (void)state;
    open_fixture(&f);
    struct qn_header header = {"X", "a\r\nY: b", NULL};
    struct qn_request request = {.method = "GET", .url = f.url, .headers = &header, .header_count = 1};
    assert_int_equal(qn_transport_start(f.transport, &request, &exchange, &err), QN_EINVAL);
    header = (struct qn_header){"X Y", "a", NULL};
    assert_int_equal(qn_transport_start(f.transport, &request, &exchange, &err), QN_EINVAL);
    request = (struct qn_request){.method = "GET /", .url = f.url};
    assert_int_equal(qn_transport_start(f.transport, &request, &exchange, &err), QN_EINVAL);
    request = (struct qn_request){.method = "GET", .url = "ftp://127.0.0.1/"};
    assert_int_equal(qn_transport_start(f.transport, &request, &exchange, &err), QN_EDENIED);
    request = (struct qn_request){.method = "GET", .url = "nonsense"};
    assert_int_equal(qn_transport_start(f.transport, &request, &exchange, &err), QN_EINVAL);
    close_fixture(&f);
}

static void test_keep_alive(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    for (int i = 0; i < 3; i++) {
        struct qn_exchange *exchange = begin_get(&f);
        answer(accept_one(&f), 200, "ok", QN_FAULT_NONE, 0);
        world_wait(&f.world, &exchange->op);
        expect_body(exchange, 200, "ok");
        qn_exchange_free(exchange);
    }
    assert_int_equal(qn_server_connections(f.server), 1);
    /* `once` takes a connection of its own and leaves none behind. */
    struct qn_request request = {.method = "POST", .url = f.url, .once = true};
    struct qn_exchange *exchange = begin(&f, &request);
    struct qn_served *served = accept_one(&f);
    assert_int_equal(qn_server_connections(f.server), 2);
    answer(served, 200, "ok", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "ok");
    qn_exchange_free(exchange);
    for (int i = 0; i < 100 && qn_server_connections(f.server) > 1; i++) qn_loop_turn(f.world.loop, false);
    assert_int_equal(qn_server_connections(f.server), 1);
    close_fixture(&f);
}

/* printf '{"hello":"hello hello hello hello"}' | gzip -9n */
static const unsigned char gzip_body[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56,
                                          0xca, 0x48, 0xcd, 0xc9, 0xc9, 0x57, 0xb2, 0x82, 0xd0, 0x0a, 0x18, 0xa4,
                                          0x52, 0x2d, 0x00, 0x63, 0xee, 0x8b, 0xf6, 0x23, 0x00, 0x00, 0x00};

static void test_gzip(void **state)
{
    struct fixture f;
    const struct qn_header encoding = {"Content-Encoding", "gzip", NULL};
    const struct qn_served_answer like = {.status = 200, .headers = &encoding, .header_count = 1};
    unsigned char broken[sizeof gzip_body + 20];
    (void)state;
    open_fixture(&f);
    struct qn_exchange *exchange = begin_get(&f);
    answer_full(accept_one(&f), &like, gzip_body, sizeof gzip_body);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "{\"hello\":\"hello hello hello hello\"}");
    qn_exchange_free(exchange);
    /* a wrong checksum */
    memcpy(broken, gzip_body, sizeof gzip_body);
    broken[sizeof gzip_body - 6] ^= 1;
    exchange = begin_get(&f);
    answer_full(accept_one(&f), &like, broken, sizeof gzip_body);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TRUNCATED, false, "127.0.0.1:");
    qn_exchange_free(exchange);
    /* bytes behind the end */
    memset(broken, 'x', sizeof broken);
    memcpy(broken, gzip_body, sizeof gzip_body);
    exchange = begin_get(&f);
    answer_full(accept_one(&f), &like, broken, sizeof broken);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TRUNCATED, false, "127.0.0.1:");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

static void test_large(void **state)
{
    struct fixture f;
    size_t size = (size_t)20 << 20; /* above what is reserved on the server's word */
    char *big = malloc(size);
    (void)state;
    for (size_t i = 0; i < size; i++) big[i] = (char)('a' + i % 26);
    open_fixture(&f);
    struct qn_exchange *exchange = begin_get(&f);
    const struct qn_served_answer like = {.status = 200};
    answer_full(accept_one(&f), &like, big, size);
    world_wait(&f.world, &exchange->op);
    assert_int_equal(qn_bytes_size(exchange->result.body), size);
    assert_memory_equal(qn_bytes_data(exchange->result.body), big, size);
    qn_exchange_free(exchange);
    struct qn_bytes *body = qn_bytes_new(big, size);
    struct qn_request request = {.method = "POST", .url = f.url, .body = body};
    exchange = begin(&f, &request);
    struct qn_served *served = accept_one(&f);
    size_t got;
    assert_memory_equal(qn_served_body(served, &got), big, size);
    assert_int_equal(got, size);
    answer(served, 200, "", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "");
    qn_exchange_free(exchange);
    qn_bytes_unref(body);
    free(big);
    close_fixture(&f);
}

static void test_parallel(void **state)
{
    struct fixture f;
    struct qn_exchange *exchanges[20];
    struct qn_served *served[20];
    char text[32];
    (void)state;
    open_fixture(&f);
    for (int i = 0; i < 20; i++) exchanges[i] = begin_get(&f);
    for (int i = 0; i < 20; i++) served[i] = accept_one(&f);
    for (int i = 19; i >= 0; i--) {
        snprintf(text, sizeof text, "answer %d", i);
        answer(served[i], 200, text, QN_FAULT_NONE, 0);
    }
    for (int i = 0; i < 20; i++) {
        world_wait(&f.world, &exchanges[i]->op);
        assert_int_equal(exchanges[i]->result.kind, QN_RESULT_ANSWER);
        qn_exchange_free(exchanges[i]);
    }
    close_fixture(&f);
}

static void on_hour(struct qn_timer *timer)
{
    (void)timer;
}

static struct qn_clock *virtual_clock(void)
{
    return qn_clock_virtual(0);
}

/* A real transfer is a debt: a virtual clock stands still until it is paid. */
static void test_virtual_clock_waits(void **state)
{
    struct fixture f;
    struct qn_timer hour;
    (void)state;
    open_fixture_on(&f, virtual_clock);
    qn_timer_init(&hour, on_hour);
    assert_int_equal(qn_timer_start(f.world.loop, &hour, 3600 * 1000), 0);
    struct qn_exchange *exchange = begin_get(&f);
    struct qn_served *served = accept_one(&f);
    assert_int_equal(qn_loop_now(f.world.loop), 0);
    answer(served, 200, "ok", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "ok");
    qn_exchange_free(exchange);
    while (hour.loop) qn_loop_turn(f.world.loop, true);
    assert_int_equal(qn_loop_now(f.world.loop), 3600 * 1000);
    close_fixture(&f);
}

/* ---- failures ---- */

static void test_faults(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    struct qn_exchange *exchange = begin_get(&f);
    answer(accept_one(&f), 200, "abcdef", QN_FAULT_TRUNCATE, 3);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TRUNCATED, false, "127.0.0.1:");
    assert_null(exchange->result.body);
    qn_exchange_free(exchange);
    exchange = begin_get(&f);
    answer(accept_one(&f), 200, "", QN_FAULT_RESET, 0);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_RESET, false, "lost");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

static void test_timeouts(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    struct qn_request request = {.method = "GET", .url = f.url, .idle_ms = 200};
    uint64_t start = qn_loop_now(f.world.loop);
    struct qn_exchange *exchange = begin(&f, &request);
    struct qn_served *served = accept_one(&f);
    answer(served, 200, "", QN_FAULT_HANG, 0);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TIMEOUT, false, "for 200 ms");
    uint64_t took = qn_loop_now(f.world.loop) - start;
    assert_true(took >= 200 && took < 2000);
    qn_exchange_free(exchange);
    request = (struct qn_request){.method = "GET", .url = f.url, .total_ms = 150};
    exchange = begin(&f, &request);
    answer(accept_one(&f), 200, "", QN_FAULT_HANG, 0);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TIMEOUT, false, "within 150 ms");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

static void test_too_large(void **state)
{
    struct fixture f;
    const struct qn_header encoding = {"Content-Encoding", "gzip", NULL};
    const struct qn_served_answer like = {.status = 200, .headers = &encoding, .header_count = 1};
    (void)state;
    open_fixture(&f);
    struct qn_request request = {.method = "GET", .url = f.url, .max_body_bytes = 6};
    struct qn_exchange *exchange = begin(&f, &request);
    answer(accept_one(&f), 200, "abcdef", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "abcdef");
    qn_exchange_free(exchange);
    request.max_body_bytes = 5;
    exchange = begin(&f, &request);
    answer(accept_one(&f), 200, "abcdef", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TOO_LARGE, false, "larger than 5 bytes");
    qn_exchange_free(exchange);
    request.max_body_bytes = 34; /* the decoded size counts */
    exchange = begin(&f, &request);
    answer_full(accept_one(&f), &like, gzip_body, sizeof gzip_body);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_TOO_LARGE, false, "larger than 34 bytes");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

/* A port that nobody listens on: bound, never listening. */
static int closed_port(unsigned *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
}

static void test_refused(void **state)
{
    struct fixture f;
    char url[64], text[64];
    unsigned port;
    (void)state;
    open_fixture(&f);
    int fd = closed_port(&port);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    snprintf(text, sizeof text, "connection refused by 127.0.0.1:%u", port);
    struct qn_request request = {.method = "GET", .url = url};
    struct qn_exchange *exchange = begin(&f, &request);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_CONNECT, true, text);
    qn_exchange_free(exchange);
    snprintf(url, sizeof url, "https://127.0.0.1:%u/", port);
    exchange = begin(&f, &request);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_CONNECT, true, text);
    qn_exchange_free(exchange);
    close(fd);
    close_fixture(&f);
}

/* A socket that answers with whatever it is given, for what is no HTTP or no TLS. */
static void speak_raw(struct fixture *f, int fd, const char *text)
{
    int client = -1;
    char seen[4096];
    for (int i = 0; i < 100000 && client < 0; i++) {
        qn_loop_turn(f->world.loop, false);
        client = accept4(fd, NULL, NULL, SOCK_NONBLOCK);
    }
    assert_true(client >= 0);
    for (int i = 0; i < 100000 && recv(client, seen, sizeof seen, 0) <= 0; i++) qn_loop_turn(f->world.loop, false);
    if (*text) assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
    shutdown(client, SHUT_WR);
    close(client);
}

static void test_raw_answers(void **state)
{
    static const struct {
        const char *scheme, *text;
        enum qn_result_kind kind;
        bool never_sent;
    } rows[] = {
        {"http", "", QN_RESULT_RESET, false},
        {"http", "garbage\r\n\r\n", QN_RESULT_RESET, false},
        {"http", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", QN_RESULT_TRUNCATED, false},
        {"http", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", QN_RESULT_TRUNCATED, false},
        {"http", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", QN_RESULT_RESET, false},
        {"https", "HTTP/1.1 400 Bad\r\n\r\n", QN_RESULT_TLS, true},
        {"https", "", QN_RESULT_RESET, true},
    };
    struct fixture f;
    unsigned port;
    char url[64];
    (void)state;
    open_fixture(&f);
    int fd = closed_port(&port);
    assert_int_equal(listen(fd, 8), 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        snprintf(url, sizeof url, "%s://127.0.0.1:%u/", rows[i].scheme, port);
        struct qn_request request = {.method = "GET", .url = url};
        struct qn_exchange *exchange = begin(&f, &request);
        speak_raw(&f, fd, rows[i].text);
        world_wait(&f.world, &exchange->op);
        if (exchange->result.kind != rows[i].kind)
            fail_msg("row %zu: kind %d: %s", i, exchange->result.kind, exchange->result.message);
        assert_int_equal(exchange->result.never_sent, rows[i].never_sent);
        qn_exchange_free(exchange);
    }
    /* a 1xx before, a fold inside, a trailer behind */
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", port);
    struct qn_request request = {.method = "GET", .url = url};
    struct qn_exchange *exchange = begin(&f, &request);
    speak_raw(&f, fd,
              "HTTP/1.1 103 Early\r\nA: 1\r\n\r\nHTTP/1.1 200 OK\r\nB: 2\r\n  3\r\nTransfer-Encoding: chunked\r\n\r\n"
              "2\r\nok\r\n0\r\nT: 4\r\n\r\n");
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "ok");
    const struct qn_result *result = &exchange->result;
    assert_null(qn_header_find(result->headers, result->header_count, "a"));
    assert_string_equal(qn_header_find(result->headers, result->header_count, "b"), "2 3");
    assert_null(qn_header_find(result->headers, result->header_count, "t"));
    qn_exchange_free(exchange);
    close(fd);
    close_fixture(&f);
}

static void test_cancel(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    struct qn_exchange *exchange = begin_get(&f);
    qn_exchange_free(exchange); /* before its first turn */
    exchange = begin_get(&f);
    struct qn_served *served = accept_one(&f);
    qn_op_cancel(&exchange->op);
    assert_int_equal(exchange->op.state, QN_OP_CANCELED);
    qn_exchange_free(exchange);
    for (int i = 0; i < 1000 && !qn_served_gone(served); i++) qn_loop_turn(f.world.loop, false);
    assert_true(qn_served_gone(served));
    qn_served_free(served);
    /* in the middle of the body */
    size_t size = (size_t)20 << 20;
    char *big = calloc(1, size);
    exchange = begin_get(&f);
    const struct qn_served_answer like = {.status = 200};
    answer_full(accept_one(&f), &like, big, size);
    free(big);
    for (int i = 0; i < 5; i++) qn_loop_turn(f.world.loop, false);
    assert_int_equal(exchange->op.state, QN_OP_PENDING);
    qn_exchange_free(exchange);
    /* and the transport still works */
    exchange = begin_get(&f);
    answer(accept_one(&f), 200, "ok", QN_FAULT_NONE, 0);
    world_wait(&f.world, &exchange->op);
    expect_body(exchange, 200, "ok");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

/* ---- rules ---- */

static void test_peer_rule(void **state)
{
    (void)state;
    assert_true(qn_curl_peer_allowed("http", "127.0.0.1", false));
    assert_true(qn_curl_peer_allowed("http", "::1", false));
    assert_false(qn_curl_peer_allowed("http", "10.0.0.1", false));
    assert_false(qn_curl_peer_allowed("http", "", false));
    assert_true(qn_curl_peer_allowed("http", "10.0.0.1", true));
    assert_true(qn_curl_peer_allowed("https", "10.0.0.1", false));
    assert_false(qn_curl_peer_allowed("ftp", "127.0.0.1", true));
}

/* Denied before a packet leaves: the socket is never opened. */
static void test_denied(void **state)
{
    struct fixture f;
    (void)state;
    open_fixture(&f);
    struct qn_request request = {.method = "GET", .url = "http://192.0.2.1:81/"};
    struct qn_exchange *exchange = begin(&f, &request);
    world_wait(&f.world, &exchange->op);
    expect_failure(exchange, QN_RESULT_DENIED, true, "192.0.2.1:81");
    qn_exchange_free(exchange);
    close_fixture(&f);
}

/* The environment's proxy is for others: loopback is spoken to directly. */
static void test_proxy_not_for_loopback(void **state)
{
    struct fixture f;
    (void)state;
    setenv("http_proxy", "http://127.0.0.1:9/", 1);
    setenv("all_proxy", "http://127.0.0.1:9/", 1);
    setenv("no_proxy", "example.com", 1);
    open_fixture(&f);
    for (int i = 0; i < 2; i++) {
        struct qn_request request = {.method = "GET", .url = f.url, .allow_insecure = i == 1};
        struct qn_exchange *exchange = begin(&f, &request);
        answer(accept_one(&f), 200, "direct", QN_FAULT_NONE, 0);
        world_wait(&f.world, &exchange->op);
        expect_body(exchange, 200, "direct");
        qn_exchange_free(exchange);
    }
    close_fixture(&f);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("no_proxy");
}

static void test_judge(void **state)
{
    static const struct {
        int code;
        enum qn_result_kind kind;
    } rows[] = {
        {CURLE_COULDNT_RESOLVE_HOST, QN_RESULT_DNS},
        {CURLE_COULDNT_RESOLVE_PROXY, QN_RESULT_DNS},
        {CURLE_COULDNT_CONNECT, QN_RESULT_CONNECT},
        {CURLE_OPERATION_TIMEDOUT, QN_RESULT_TIMEOUT},
        {CURLE_GOT_NOTHING, QN_RESULT_RESET},
        {CURLE_RECV_ERROR, QN_RESULT_RESET},
        {CURLE_SEND_ERROR, QN_RESULT_RESET},
        {CURLE_PARTIAL_FILE, QN_RESULT_TRUNCATED},
        {CURLE_WRITE_ERROR, QN_RESULT_TRUNCATED},
        {CURLE_BAD_CONTENT_ENCODING, QN_RESULT_TRUNCATED},
        {CURLE_PEER_FAILED_VERIFICATION, QN_RESULT_TLS},
        {CURLE_SSL_CONNECT_ERROR, QN_RESULT_TLS},
        {CURLE_UNSUPPORTED_PROTOCOL, QN_RESULT_DENIED},
        {CURLE_FUNCTION_NOT_FOUND, QN_RESULT_FAILED},
    };
    struct qn_secret *secret = qn_secret_new("s3cret-detail", 13);
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct qn_result result = {0};
        struct qn_curl_end end = {.code = rows[i].code, .host = "h.example", .peer = "", .detail = "x s3cret-detail y"};
        qn_curl_judge(&end, &result);
        assert_int_equal(result.kind, rows[i].kind);
        assert_true(result.never_sent);
        assert_null(strstr(result.message, "s3cret-detail"));
        assert_non_null(strstr(result.message, "h.example"));
        end.request_bytes = 1;
        qn_curl_judge(&end, &result);
        assert_false(result.never_sent);
    }
    qn_secret_unref(secret);
}

static void test_header_flood(void **state)
{
    struct qn_curl_answer got;
    char line[1000];
    int i = 0;
    (void)state;
    qn_curl_answer_init(&got, 10);
    memset(line, 'a', sizeof line);
    line[1] = ':';
    assert_true(qn_curl_answer_line(&got, "HTTP/1.1 200\r\n", 14));
    while (qn_curl_answer_line(&got, line, sizeof line)) assert_true(i++ < 10000);
    assert_true(got.header_flood);
    qn_curl_answer_free(&got);
}

static void test_ca_file(void **state)
{
    struct world world;
    struct qn_transport *transport;
    struct qn_err err;
    const struct qn_curl_options options = {.ca_file = "/nonexistent/ca.pem"};
    (void)state;
    world_open(&world, qn_clock_real);
    assert_int_equal(qn_curl_new(world.loop, &options, &transport, &err), QN_EIO);
    assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
    world_close(&world);
}

static void test_no_memory(void **state)
{
    struct fixture f;
    bool passed = false;
    (void)state;
    open_fixture(&f);
    struct qn_request request = {.method = "GET", .url = f.url};
    for (uint64_t n = 1; n < 100 && !passed; n++) {
        struct qn_exchange *exchange = NULL;
        size_t blocks = qn_mem_blocks();
        qn_mem_fail_after(n);
        int rc = qn_transport_start(f.transport, &request, &exchange, NULL);
        qn_mem_fail_after(0);
        passed = rc == 0;
        if (!passed) assert_true(rc == QN_ENOMEM && qn_mem_blocks() == blocks);
        qn_exchange_free(exchange);
    }
    assert_true(passed);
    close_fixture(&f);
}

/* Memory runs out at the n-th allocation of client or server: whatever comes of it, it ends and leaves nothing. */
static void test_no_memory_on_the_way(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 60; n++) {
        struct fixture f;
        open_fixture(&f);
        struct qn_request request = {.method = "GET", .url = f.url, .total_ms = 1000};
        struct qn_exchange *exchange = begin(&f, &request);
        qn_mem_fail_after(n);
        while (exchange->op.state == QN_OP_PENDING) {
            qn_loop_turn(f.world.loop, true);
            qn_served_free(qn_server_next(f.server)); /* answers 500 */
        }
        qn_mem_fail_after(0);
        if (exchange->result.kind != QN_RESULT_ANSWER) assert_true(exchange->result.message[0]);
        qn_exchange_free(exchange);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_request_parts),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_parallel),
        cmocka_unit_test(test_virtual_clock_waits),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_raw_answers),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_peer_rule),
        cmocka_unit_test(test_denied),
        cmocka_unit_test(test_proxy_not_for_loopback),
        cmocka_unit_test(test_judge),
        cmocka_unit_test(test_header_flood),
        cmocka_unit_test(test_ca_file),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_no_memory_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
