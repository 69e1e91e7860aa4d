#include "net/curl.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/curl_answer.h"
#include "net/curl_result.h"
#include "net/header.h"
#include "net/multi.h"
#include "net/url.h"

#define RECEIVE_BUFFER     (256L << 10) /* fewer, larger reads; libcurl has one for each transfer */
#define DEFAULT_CONNECT_MS 10000
#define DEFAULT_IDLE_MS    60000
#define DEFAULT_TOTAL_MS   300000
#define DEFAULT_MAX_BODY   ((size_t)256 << 20)
#define MAX_SPARE          16
/* libcurl obeys http_proxy for loopback too unless told. */
#define LOOPBACK_NO_PROXY "localhost,127.0.0.0/8,::1"

struct curl_transport {
    struct qn_transport head;
    struct qn_loop *loop;
    struct qn_multi *multi;
    char *ca_file, *user_agent, *no_proxy;
    CURL *spare[MAX_SPARE]; /* easy handles that wait for the next exchange */
    unsigned spare_count;
};

struct curl_exchange {
    struct qn_exchange head;
    struct curl_transport *transport;
    struct qn_multi_transfer transfer; /* .easy is NULL once given back */
    struct qn_timer idle;
    struct qn_curl_answer answer;
    struct curl_slist *headers; /* may hold secrets: wiped */
    struct qn_bytes *body;      /* what libcurl does not copy */
    struct qn_secret *secret_body;
    char error[CURL_ERROR_SIZE];
    char host[256];
    char peer[64];              /* the address connected or tried last */
    bool plain, allow_insecure; /* scheme http; peers that are not loopback allowed */
    bool connected, denied;
    uint32_t connect_ms, idle_ms, total_ms;
    size_t max_body_bytes;
    uint64_t started_ms, last_byte_ms;
    curl_off_t uploaded; /* as last seen by the idle timer */
};

static struct curl_exchange *exchange_of_op(struct qn_op *op)
{
    return (struct curl_exchange *)((char *)op - offsetof(struct curl_exchange, head.op));
}

/* ---- easy handles ---- */

static CURL *easy_take(struct curl_transport *transport)
{
    if (transport->spare_count) return transport->spare[--transport->spare_count];
    return curl_easy_init();
}

static void easy_give(struct curl_transport *transport, CURL *easy)
{
    if (transport->spare_count == MAX_SPARE) {
        curl_easy_cleanup(easy);
        return;
    }
    curl_easy_reset(easy); /* forgets every option and pointer of ours */
    transport->spare[transport->spare_count++] = easy;
}

static void wipe_headers(struct curl_slist *list)
{
    for (struct curl_slist *item = list; item; item = item->next) explicit_bzero(item->data, strlen(item->data));
    curl_slist_free_all(list);
}

/* Gives back all that only a running transfer needs; the result stays. */
static void release(struct curl_exchange *exchange)
{
    qn_timer_stop(&exchange->idle);
    if (exchange->transfer.easy) {
        qn_multi_remove(exchange->transport->multi, &exchange->transfer);
        easy_give(exchange->transport, exchange->transfer.easy);
        exchange->transfer.easy = NULL;
    }
    wipe_headers(exchange->headers);
    exchange->headers = NULL;
    qn_bytes_unref(exchange->body);
    exchange->body = NULL;
    qn_secret_unref(exchange->secret_body);
    exchange->secret_body = NULL;
}

/* ---- the peer rule ---- */

static bool judge_peer(struct curl_exchange *exchange, const char *address)
{
    bool allowed = qn_curl_peer_allowed(exchange->plain ? "http" : "https", address, exchange->allow_insecure);
    if (!allowed) exchange->denied = true;
    return allowed;
}

static void set_peer(struct curl_exchange *exchange, const char *address, unsigned port)
{
    const char *format = strchr(address, ':') ? "[%s]:%u" : "%s:%u";
    snprintf(exchange->peer, sizeof exchange->peer, format, address, port);
}

/* Before each connection attempt: notes the address for messages, refuses what may not be spoken to. Plain http
 * never goes through a proxy unless insecure peers are allowed, so the address is the peer's own. */
static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct curl_exchange *exchange = user;
    char text[INET6_ADDRSTRLEN] = "";
    unsigned port = 0;
    (void)purpose;
    if (address->family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&address->addr;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        port = ntohs(v4->sin_port);
    } else if (address->family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&address->addr;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        port = ntohs(v6->sin6_port);
    }
    set_peer(exchange, text, port);
    if (!judge_peer(exchange, text)) return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* A connection is ready and the request is about to leave. Judged again: a kept connection opened no socket. */
static int on_request(void *user, char *address, char *local, int port, int local_port)
{
    struct curl_exchange *exchange = user;
    (void)local, (void)local_port;
    set_peer(exchange, address, (unsigned)port);
    if (!judge_peer(exchange, address)) return CURL_PREREQFUNC_ABORT;
    exchange->denied = false; /* another address of the same name may have been refused before */
    exchange->connected = true;
    exchange->last_byte_ms = qn_loop_now(exchange->transport->loop);
    return CURL_PREREQFUNC_OK;
}

/* ---- the answer arrives ---- */

static size_t on_header(char *line, size_t size, size_t count, void *user)
{
    struct curl_exchange *exchange = user;
    exchange->last_byte_ms = qn_loop_now(exchange->transport->loop);
    return qn_curl_answer_line(&exchange->answer, line, size * count) ? size * count : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct curl_exchange *exchange = user;
    curl_off_t declared = -1;
    exchange->last_byte_ms = qn_loop_now(exchange->transport->loop);
    if (!exchange->answer.body_begun)
        curl_easy_getinfo(exchange->transfer.easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &declared);
    return qn_curl_answer_body(&exchange->answer, data, size * count, declared) ? size * count : 0;
}

/* ---- the end ---- */

static void describe_end(struct curl_exchange *exchange, int code, struct qn_curl_end *end)
{
    long os_errno = 0, request_bytes = 0;
    curl_easy_getinfo(exchange->transfer.easy, CURLINFO_OS_ERRNO, &os_errno);
    curl_easy_getinfo(exchange->transfer.easy, CURLINFO_REQUEST_SIZE, &request_bytes);
    *end = (struct qn_curl_end){
        .code = code,
        .os_errno = (int)os_errno,
        .request_bytes = request_bytes,
        .connected = exchange->connected,
        .denied = exchange->denied,
        .too_large = exchange->answer.too_large,
        .no_memory = exchange->answer.no_memory,
        .header_flood = exchange->answer.header_flood,
        .host = exchange->host,
        .peer = exchange->peer,
        .detail = exchange->error[0] ? exchange->error : curl_easy_strerror(code),
        .max_body_bytes = exchange->max_body_bytes,
        .connect_ms = exchange->connect_ms,
        .total_ms = exchange->total_ms,
    };
}

static void finish(struct curl_exchange *exchange)
{
    struct qn_result *result = &exchange->head.result;
    memcpy(result->peer, exchange->peer, sizeof result->peer);
    result->elapsed_ms = qn_loop_now(exchange->transport->loop) - exchange->started_ms;
    release(exchange);
    if (result->kind != QN_RESULT_ANSWER) qn_curl_answer_free(&exchange->answer);
    qn_op_complete(&exchange->head.op);
}

static void on_done(struct qn_multi_transfer *transfer, int code)
{
    struct curl_exchange *exchange =
        (struct curl_exchange *)((char *)transfer - offsetof(struct curl_exchange, transfer));
    struct qn_result *result = &exchange->head.result;
    struct qn_curl_end end;
    long status = 0;
    describe_end(exchange, code, &end);
    if (code == CURLE_OK) {
        curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
        result->kind = QN_RESULT_ANSWER;
        result->status = (int)status;
        if (!qn_curl_answer_finish(&exchange->answer, result)) end.no_memory = true;
    }
    if (code != CURLE_OK || end.no_memory) qn_curl_judge(&end, result);
    finish(exchange);
}

/* No byte for idle_ms. Looks at the clock instead of being restarted by every byte; while the connection is being
 * made connect_ms rules. */
static void on_idle(struct qn_timer *timer)
{
    struct curl_exchange *exchange = (struct curl_exchange *)((char *)timer - offsetof(struct curl_exchange, idle));
    struct qn_loop *loop = exchange->transport->loop;
    uint64_t now = qn_loop_now(loop);
    curl_off_t uploaded = 0;
    curl_easy_getinfo(exchange->transfer.easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    if (!exchange->connected || uploaded != exchange->uploaded) exchange->last_byte_ms = now;
    exchange->uploaded = uploaded;
    if (now - exchange->last_byte_ms < exchange->idle_ms) {
        /* A restart of a timer that just fired needs no memory it did not have. */
        qn_timer_start(loop, timer, exchange->idle_ms - (now - exchange->last_byte_ms));
        return;
    }
    struct qn_curl_end end;
    describe_end(exchange, CURLE_OPERATION_TIMEDOUT, &end);
    qn_curl_judge_idle(&end, exchange->idle_ms, &exchange->head.result);
    finish(exchange);
}

static void on_cancel(struct qn_op *op)
{
    release(exchange_of_op(op));
}

static void exchange_free(struct qn_exchange *head)
{
    struct curl_exchange *exchange = (struct curl_exchange *)head;
    qn_op_cancel(&head->op);
    release(exchange);
    qn_curl_answer_free(&exchange->answer);
    qn_bytes_unref(head->result.body);
    qn_free(exchange);
}

static const struct qn_exchange_class exchange_class = {exchange_free};

/* ---- the request ---- */

static int append(struct curl_exchange *exchange, const char *line, struct qn_err *err)
{
    struct curl_slist *list = curl_slist_append(exchange->headers, line);
    if (!list) return qn_fail(err, QN_ENOMEM, "out of memory");
    exchange->headers = list;
    return 0;
}

static int append_header(struct curl_exchange *exchange, const struct qn_header *header, struct qn_err *err)
{
    size_t name_size = strlen(header->name), size = header->value ? strlen(header->value) : 0;
    const char *value = header->value ? header->value : "";
    if (header->secret) value = qn_secret_value(header->secret, &size);
    if (!qn_header_name_valid(header->name, name_size))
        return qn_fail(err, QN_EINVAL, "\"%.60s\" is not a header name", header->name);
    if (!qn_header_value_valid(value, size))
        return qn_fail(err, QN_EINVAL, "the value of header \"%.60s\" has a line break or a NUL", header->name);
    char *line = qn_malloc(name_size + size + 3);
    if (!line) return qn_fail(err, QN_ENOMEM, "out of memory");
    memcpy(line, header->name, name_size);
    /* "Name;" is how libcurl is told of an empty value; "Name:" would remove the header. */
    memcpy(line + name_size, size ? ": " : ";", size ? 2 : 1);
    size_t at = name_size + (size ? 2 : 1);
    if (size) memcpy(line + at, value, size);
    line[at + size] = 0;
    int rc = append(exchange, line, err);
    explicit_bzero(line, at + size);
    qn_free(line);
    return rc;
}

static int build_headers(struct curl_exchange *exchange, const struct qn_request *request, struct qn_err *err)
{
    int rc = append(exchange, "Expect:", err); /* no round trip of 100-continue */
    bool has_type = false;
    for (size_t i = 0; i < request->header_count && rc == 0; i++) {
        rc = append_header(exchange, &request->headers[i], err);
        has_type = has_type || strcasecmp(request->headers[i].name, "Content-Type") == 0;
    }
    /* libcurl would call any body of a POST a form, one that is not there included. */
    if (rc == 0 && !has_type) rc = append(exchange, "Content-Type:", err);
    return rc;
}

static void set_body(struct curl_exchange *exchange, const struct qn_request *request)
{
    CURL *easy = exchange->transfer.easy;
    const char *data = "";
    size_t size = 0;
    if (request->secret_body) {
        exchange->secret_body = qn_secret_ref(request->secret_body);
        data = qn_secret_value(exchange->secret_body, &size);
    } else if (request->body) {
        exchange->body = qn_bytes_ref(request->body);
        data = qn_bytes_data(exchange->body);
        size = qn_bytes_size(exchange->body);
    }
    bool post = strcmp(request->method, "POST") == 0;
    if (request->body || request->secret_body || post) {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, data);
    }
    if (strcmp(request->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else if (!post && (request->body || request->secret_body || strcmp(request->method, "GET") != 0))
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_connection(struct curl_exchange *exchange, const struct qn_request *request)
{
    struct curl_transport *transport = exchange->transport;
    CURL *easy = exchange->transfer.easy;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    /* A cancel or a timeout must not wait for the resolver's thread, which may be stuck for many seconds. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (transport->ca_file) curl_easy_setopt(easy, CURLOPT_CAINFO, transport->ca_file);
    curl_easy_setopt(easy, CURLOPT_NOPROXY, transport->no_proxy);
    /* Through a proxy the peer of plain http could not be judged. */
    if (exchange->plain && !exchange->allow_insecure) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)exchange->connect_ms);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)exchange->total_ms);
    /* HTTP/2 where TLS negotiates it, many requests on one connection: a new one waits to learn whether it can join */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, exchange->plain || request->once ? 0L : 1L);
    /* libcurl sends a request again by itself when a kept connection dies unanswered. */
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, request->once ? 1L : 0L);
}

static int set_request(struct curl_exchange *exchange, const struct qn_request *request, struct qn_err *err)
{
    CURL *easy = exchange->transfer.easy;
    int rc = build_headers(exchange, request, err);
    if (rc < 0) return rc;
    if (curl_easy_setopt(easy, CURLOPT_URL, request->url) != CURLE_OK) return qn_fail(err, QN_ENOMEM, "out of memory");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, exchange->transport->user_agent);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can decode */
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, exchange->error);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BUFFER);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    set_connection(exchange, request);
    set_body(exchange, request);
    return 0;
}

/* Scheme and host of the url; refuses what the transport does not speak before anything starts. */
static int read_target(struct curl_exchange *exchange, const char *url, struct qn_err *err)
{
    struct qn_buf origin;
    qn_buf_init(&origin, sizeof exchange->host + 16);
    int rc = qn_url_origin(url, &origin, err);
    const char *text = rc == 0 ? qn_buf_cstr(&origin) : NULL;
    if (text) {
        exchange->plain = strncmp(text, "http:", 5) == 0;
        const char *host = strstr(text, "://") + 3;
        snprintf(exchange->host, sizeof exchange->host, "%.*s", (int)(strrchr(host, ':') - host), host);
    }
    qn_buf_free(&origin);
    return rc < 0 ? rc : text ? 0 : qn_fail(err, QN_ENOMEM, "out of memory");
}

static void init_exchange(struct curl_exchange *exchange, struct curl_transport *transport,
                          const struct qn_request *request)
{
    exchange->head.class = &exchange_class;
    exchange->transport = transport;
    exchange->transfer.done = on_done;
    exchange->allow_insecure = request->allow_insecure;
    exchange->connect_ms = request->connect_ms ? request->connect_ms : DEFAULT_CONNECT_MS;
    exchange->idle_ms = request->idle_ms ? request->idle_ms : DEFAULT_IDLE_MS;
    exchange->total_ms = request->total_ms ? request->total_ms : DEFAULT_TOTAL_MS;
    exchange->max_body_bytes = request->max_body_bytes ? request->max_body_bytes : DEFAULT_MAX_BODY;
    exchange->started_ms = exchange->last_byte_ms = qn_loop_now(transport->loop);
    qn_op_init(&exchange->head.op, on_cancel);
    qn_timer_init(&exchange->idle, on_idle);
    qn_curl_answer_init(&exchange->answer, exchange->max_body_bytes);
}

static int start(struct qn_transport *head, const struct qn_request *request, struct qn_exchange **out,
                 struct qn_err *err)
{
    struct curl_transport *transport = (struct curl_transport *)head;
    struct curl_exchange *exchange = qn_calloc(1, sizeof *exchange);
    if (!exchange) return qn_fail(err, QN_ENOMEM, "out of memory");
    init_exchange(exchange, transport, request);
    int rc = read_target(exchange, request->url, err);
    if (rc == 0 && !qn_header_name_valid(request->method, strlen(request->method)))
        rc = qn_fail(err, QN_EINVAL, "\"%.30s\" is not a method", request->method);
    if (rc == 0 && !(exchange->transfer.easy = easy_take(transport))) rc = qn_fail(err, QN_ENOMEM, "out of memory");
    if (rc == 0) rc = set_request(exchange, request, err);
    if (rc == 0 && qn_timer_start(transport->loop, &exchange->idle, exchange->idle_ms) < 0)
        rc = qn_fail(err, QN_ENOMEM, "out of memory");
    if (rc == 0) rc = qn_multi_add(transport->multi, &exchange->transfer, err);
    if (rc < 0) {
        exchange_free(&exchange->head);
        return rc;
    }
    qn_op_begin(&exchange->head.op);
    *out = &exchange->head;
    return 0;
}

/* ---- the transport ---- */

static void transport_free(struct qn_transport *head)
{
    struct curl_transport *transport = (struct curl_transport *)head;
    while (transport->spare_count) curl_easy_cleanup(transport->spare[--transport->spare_count]);
    qn_multi_free(transport->multi);
    qn_free(transport->ca_file);
    qn_free(transport->user_agent);
    qn_free(transport->no_proxy);
    qn_free(transport);
    curl_global_cleanup();
}

static const struct qn_transport_class transport_class = {start, transport_free};

/* Our list before the environment's; "*" only means everything when it stands alone. */
static char *make_no_proxy(void)
{
    const char *env = getenv("no_proxy");
    if (!env) env = getenv("NO_PROXY");
    if (!env || !env[0]) return qn_strdup(LOOPBACK_NO_PROXY);
    if (strcmp(env, "*") == 0) return qn_strdup(env);
    size_t size = strlen(LOOPBACK_NO_PROXY) + strlen(env) + 2;
    char *list = qn_malloc(size);
    if (list) snprintf(list, size, "%s,%s", LOOPBACK_NO_PROXY, env);
    return list;
}

int qn_curl_new(struct qn_loop *loop, const struct qn_curl_options *options, struct qn_transport **out,
                struct qn_err *err)
{
    static const struct qn_curl_options defaults;
    if (!options) options = &defaults;
    if (options->ca_file && access(options->ca_file, R_OK) < 0)
        return qn_fail_errno(err, QN_EIO, errno, "cannot read the certificate file %s", options->ca_file);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return qn_fail(err, QN_ENOMEM, "libcurl does not start");
    struct curl_transport *transport = qn_calloc(1, sizeof *transport);
    if (!transport) {
        curl_global_cleanup();
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    transport->head.class = &transport_class;
    transport->loop = loop;
    transport->user_agent = qn_strdup(options->user_agent ? options->user_agent : "quern");
    transport->ca_file = options->ca_file ? qn_strdup(options->ca_file) : NULL;
    transport->no_proxy = make_no_proxy();
    int rc = 0;
    if (!transport->user_agent || !transport->no_proxy || (options->ca_file && !transport->ca_file))
        rc = qn_fail(err, QN_ENOMEM, "out of memory");
    if (rc == 0) rc = qn_multi_new(loop, options->max_connections, &transport->multi, err);
    if (rc < 0) {
        transport_free(&transport->head);
        return rc;
    }
    *out = &transport->head;
    return 0;
}
