#include "net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/mem.h"
#include "net/served.h"

/* Heads of requests and of answers must fit: the daemon's own 32 KB would bound them more tightly than clients do. */
#define CONNECTION_MEMORY ((size_t)256 * 1024)

struct qn_server {
    struct qn_loop *loop;
    struct MHD_Daemon *daemon; /* NULL once closed */
    uv_poll_t poll;            /* of the daemon's epoll descriptor */
    uv_timer_t again;          /* runs the daemon in the next turn: after a resume, or when one grew too long */
    struct qn_op accept;
    struct qn_served_list queue; /* whole requests that wait to be taken */
    struct qn_served_list all;   /* every request with a connection (only `first` is used) */
    unsigned port;
    unsigned handles_open;
    size_t body_cap;
    bool freed;
};

/* ---- the daemon's turns ---- */

static void on_again(uv_timer_t *timer);

/* Runs the daemon until it has nothing to do at once: one run a wake-up would leave bodies stuck. */
static void pump(struct qn_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 1;
    for (int round = 0; round < 256; round++) {
        MHD_run(server->daemon);
        if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES || wait_ms > 0) return;
    }
    uv_timer_start(&server->again, on_again, 0, 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    struct qn_server *server = poll->data;
    if (server->daemon) pump(server);
}

static void on_again(uv_timer_t *timer)
{
    struct qn_server *server = timer->data;
    if (server->daemon) pump(server);
}

/* ---- a request arrives ---- */

/* In this build of the daemon a resume makes no descriptor readable: it must be run. */
static void on_resumed(void *user)
{
    struct qn_server *server = user;
    uv_timer_start(&server->again, on_again, 0, 0);
}

/* The daemon's first word about a request, with the target as sent. */
static void *on_target(void *user, const char *target, struct MHD_Connection *connection)
{
    struct qn_server *server = user;
    struct qn_served *served = qn_served_new(server->loop, &server->all, connection, target, on_resumed, server);
    if (served) served->body.cap = server->body_cap;
    return served;
}

static enum MHD_Result answer_plain(struct MHD_Connection *connection, unsigned status, const char *text)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), (void *)text, MHD_RESPMEM_PERSISTENT);
    if (!response) return MHD_NO;
    MHD_add_response_header(response, "Content-Type", "text/plain");
    enum MHD_Result rc = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result queue_answer(struct qn_served *served)
{
    enum MHD_Result rc = MHD_queue_response(served->connection, (unsigned)served->status, served->response);
    MHD_destroy_response(served->response);
    served->response = NULL;
    return rc;
}

/* Called by the daemon: once with the head, for each piece of body, at the end, and after each resume. */
static enum MHD_Result on_access(void *user, struct MHD_Connection *connection, const char *url, const char *method,
                                 const char *version, const char *data, size_t *size, void **context)
{
    struct qn_server *server = user;
    struct qn_served *served = *context;
    (void)url, (void)version;
    if (!served || served->abort) return MHD_NO;
    if (!served->method) return qn_served_read_head(served, method) ? MHD_YES : MHD_NO;
    if (*size) {
        qn_served_collect(served, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (served->too_large) return answer_plain(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n");
    if (served->response) return queue_answer(served);
    if (served->answered) return MHD_NO;
    qn_served_enqueue(served, &server->queue);
    qn_op_complete(&server->accept);
    qn_loop_wake(server->loop);
    return MHD_YES;
}

static void on_end(void *user, struct MHD_Connection *connection, void **context, enum MHD_RequestTerminationCode code)
{
    struct qn_served *served = *context;
    (void)user, (void)connection, (void)code;
    if (served) qn_served_detach(served);
    *context = NULL;
}

/* ---- listening ---- */

static int fill_address(const char *host, unsigned port, struct sockaddr_storage *out, socklen_t *size)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (strcasecmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        *size = sizeof *v4;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1) return QN_EINVAL;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    *size = sizeof *v6;
    return 0;
}

static int open_listener(const char *host, unsigned port, struct qn_err *err)
{
    struct sockaddr_storage address;
    socklen_t size;
    int on = 1;
    if (port > 65535) return qn_fail(err, QN_EINVAL, "port %u is out of range", port);
    if (fill_address(host, port, &address, &size) < 0)
        return qn_fail(err, QN_EINVAL, "\"%.60s\" is not an address to listen on", host);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return qn_fail_errno(err, QN_EIO, errno, "cannot listen on %s:%u", host, port);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 128) < 0) {
        int saved = errno;
        close(fd);
        return qn_fail_errno(err, saved == EADDRINUSE ? QN_EEXIST : QN_EIO, saved, "cannot listen on %s:%u", host,
                             port);
    }
    return fd;
}

static unsigned bound_port(int fd)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

static int start_daemon(struct qn_server *server, int fd, struct qn_err *err)
{
    server->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server,
                                      MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_target, server,
                                      MHD_OPTION_NOTIFY_COMPLETED, on_end, server, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                      CONNECTION_MEMORY, MHD_OPTION_END);
    if (!server->daemon) {
        close(fd);
        return qn_fail(err, QN_EIO, "the http server does not start");
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int rc = info ? uv_poll_init(qn_loop_uv(server->loop), &server->poll, info->epoll_fd) : UV_EINVAL;
    if (rc < 0) {
        MHD_stop_daemon(server->daemon);
        return qn_fail(err, QN_EIO, "cannot watch the http server: %s", uv_strerror(rc));
    }
    server->poll.data = server->again.data = server;
    uv_timer_init(qn_loop_uv(server->loop), &server->again);
    server->handles_open = 2;
    uv_poll_start(&server->poll, UV_READABLE, on_poll);
    return 0;
}

int qn_server_listen(struct qn_loop *loop, const char *host, unsigned port, struct qn_server **out, struct qn_err *err)
{
    int fd = open_listener(host, port, err);
    if (fd < 0) return fd;
    struct qn_server *server = qn_calloc(1, sizeof *server);
    if (!server) {
        close(fd);
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    server->body_cap = QN_SERVER_BODY_CAP;
    server->loop = loop;
    server->port = bound_port(fd);
    qn_op_init(&server->accept, NULL);
    int rc = start_daemon(server, fd, err);
    if (rc < 0) {
        qn_free(server);
        return rc;
    }
    *out = server;
    return 0;
}

void qn_server_limit_bodies(struct qn_server *server, size_t cap)
{
    server->body_cap = cap < QN_SERVER_BODY_CAP ? cap : QN_SERVER_BODY_CAP;
}

unsigned qn_server_port(const struct qn_server *server)
{
    return server->port;
}

struct qn_op *qn_server_accept_op(struct qn_server *server)
{
    if (server->accept.state == QN_OP_PENDING) return NULL;
    qn_op_begin(&server->accept);
    if (server->queue.first || !server->daemon) qn_op_complete(&server->accept);
    return &server->accept;
}

struct qn_served *qn_server_next(struct qn_server *server)
{
    struct qn_served *served = server->queue.first;
    if (served) qn_served_unqueue(served);
    return served;
}

static void on_server_closed(uv_handle_t *handle)
{
    struct qn_server *server = handle->data;
    server->handles_open--;
    if (server->freed && server->handles_open == 0) qn_free(server);
}

void qn_server_close(struct qn_server *server)
{
    if (!server->daemon) return;
    /* The daemon insists that no connection sleeps when it stops. on_end detaches each. */
    for (struct qn_served *served = server->all.first, *next; served; served = next) {
        next = served->all_next;
        served->abort = true;
        qn_served_wake(served);
    }
    struct MHD_Daemon *daemon = server->daemon;
    server->daemon = NULL;
    uv_poll_stop(&server->poll);
    uv_timer_stop(&server->again);
    MHD_stop_daemon(daemon);
    uv_close((uv_handle_t *)&server->poll, on_server_closed);
    uv_close((uv_handle_t *)&server->again, on_server_closed);
    qn_op_complete(&server->accept);
    qn_loop_wake(server->loop);
}

unsigned qn_server_connections(const struct qn_server *server)
{
    if (!server->daemon) return 0;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);
    return info ? info->num_connections : 0;
}

bool qn_server_closed(const struct qn_server *server)
{
    return !server->daemon;
}

void qn_server_free(struct qn_server *server)
{
    if (!server) return;
    qn_op_cancel(&server->accept);
    qn_server_close(server);
    server->freed = true;
    /* Closed earlier, and the loop has seen it through: nobody else will free. */
    if (server->handles_open == 0) qn_free(server);
}
