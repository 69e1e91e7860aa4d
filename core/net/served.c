#include "net/served.h"

#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/mem.h"
#include "net/gzip.h"
#include "net/header.h"

struct qn_served_watch {
    uv_poll_t poll;
    struct qn_served *served;
};

/* ---- life of a request ---- */

static void served_unref(struct qn_served *served)
{
    if (--served->owners > 0) return;
    if (served->response) MHD_destroy_response(served->response);
    for (size_t i = 0; i < served->header_count; i++) {
        qn_free((char *)served->headers[i].name);
        qn_free((char *)served->headers[i].value);
    }
    qn_free(served->headers);
    qn_free(served->method);
    qn_free(served->target);
    qn_buf_free(&served->body);
    qn_free(served);
}

struct qn_served *qn_served_new(struct qn_loop *loop, struct qn_served_list *all, struct MHD_Connection *connection,
                                const char *target, void (*resumed)(void *user), void *user)
{
    struct qn_served *served = qn_calloc(1, sizeof *served);
    if (!served || !(served->target = qn_strdup(target))) {
        qn_free(served);
        return NULL;
    }
    char *mark = strchr(served->target, '?');
    served->path = served->target;
    served->query = mark ? mark + 1 : "";
    if (mark) *mark = 0;
    served->owners = 1;
    served->loop = loop;
    served->resumed = resumed;
    served->user = user;
    served->connection = connection;
    qn_buf_init(&served->body, QN_SERVER_BODY_CAP);
    served->all = all;
    served->all_next = all->first;
    if (all->first) all->first->all_prev = served;
    all->first = served;
    return served;
}

void qn_served_unqueue(struct qn_served *served)
{
    struct qn_served **at = &served->queue->first, *before = NULL;
    while (*at != served) {
        before = *at;
        at = &before->next;
    }
    *at = served->next;
    if (served->queue->last == served) served->queue->last = before;
    served->next = NULL;
    served->queue = NULL;
}

static void on_watch_closed(uv_handle_t *handle)
{
    qn_free(handle->data);
}

static void stop_watching(struct qn_served *served)
{
    if (!served->watch) return;
    uv_poll_stop(&served->watch->poll);
    uv_close((uv_handle_t *)&served->watch->poll, on_watch_closed);
    served->watch = NULL;
}

void qn_served_detach(struct qn_served *served)
{
    bool queued = served->queue;
    stop_watching(served);
    if (queued) qn_served_unqueue(served);
    if (served->all_prev)
        served->all_prev->all_next = served->all_next;
    else
        served->all->first = served->all_next;
    if (served->all_next) served->all_next->all_prev = served->all_prev;
    served->all_prev = served->all_next = NULL;
    served->all = NULL;
    served->connection = NULL;
    if (queued) served_unref(served);
    served_unref(served);
}

void qn_served_wake(struct qn_served *served)
{
    if (!served->asleep) return;
    served->asleep = false;
    stop_watching(served); /* before the daemon may close the descriptor */
    MHD_resume_connection(served->connection);
    served->resumed(served->user);
}

static void on_client_gone(uv_poll_t *poll, int status, int events)
{
    struct qn_served *served = ((struct qn_served_watch *)poll->data)->served;
    if (status >= 0 && !(events & UV_DISCONNECT)) return;
    served->abort = true;
    if (served->queue) { /* nobody took it: nobody needs to */
        qn_served_unqueue(served);
        served_unref(served);
    }
    qn_served_wake(served);
}

static void watch_client(struct qn_served *served)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(served->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct qn_served_watch *watch = info ? qn_calloc(1, sizeof *watch) : NULL;
    if (!watch) return; /* an absent client is then noticed when it is answered */
    if (uv_poll_init_socket(qn_loop_uv(served->loop), &watch->poll, info->connect_fd) < 0) {
        qn_free(watch);
        return;
    }
    watch->poll.data = watch;
    watch->served = served;
    served->watch = watch;
    uv_poll_start(&watch->poll, UV_DISCONNECT, on_client_gone);
}

/* ---- a request arrives ---- */

static enum MHD_Result on_header(void *user, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct qn_served *served = user;
    (void)kind;
    struct qn_header *headers = qn_realloc(served->headers, (served->header_count + 1) * sizeof *headers);
    if (!headers) return MHD_NO;
    served->headers = headers;
    struct qn_header *header = &headers[served->header_count++];
    *header = (struct qn_header){qn_strdup(name), qn_strdup(value ? value : ""), NULL};
    if (!header->name || !header->value) return MHD_NO;
    for (char *p = (char *)header->name; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p += 'a' - 'A';
    return MHD_YES;
}

bool qn_served_read_head(struct qn_served *served, const char *method)
{
    served->method = qn_strdup(method);
    if (!served->method) return false;
    int count = MHD_get_connection_values(served->connection, MHD_HEADER_KIND, NULL, NULL);
    return MHD_get_connection_values(served->connection, MHD_HEADER_KIND, on_header, served) == count &&
           served->header_count == (size_t)count;
}

void qn_served_collect(struct qn_served *served, const char *data, size_t size)
{
    if (served->too_large) return; /* read to its end all the same, or the client would see a reset */
    if (qn_buf_add(&served->body, data, size) < 0) {
        served->too_large = true;
        qn_buf_free(&served->body);
    }
}

void qn_served_enqueue(struct qn_served *served, struct qn_served_list *queue)
{
    served->asleep = true;
    MHD_suspend_connection(served->connection);
    watch_client(served);
    served->owners++;
    served->queue = queue;
    if (queue->last)
        queue->last->next = served;
    else
        queue->first = served;
    queue->last = served;
}

/* ---- reading a request ---- */

const char *qn_served_method(const struct qn_served *served)
{
    return served->method;
}
const char *qn_served_path(const struct qn_served *served)
{
    return served->path;
}
const char *qn_served_query(const struct qn_served *served)
{
    return served->query;
}

const struct qn_header *qn_served_headers(const struct qn_served *served, size_t *count)
{
    *count = served->header_count;
    return served->headers;
}

const char *qn_served_body(const struct qn_served *served, size_t *size)
{
    *size = served->body.size;
    return served->body.data ? served->body.data : "";
}

bool qn_served_gone(const struct qn_served *served)
{
    return !served->connection || served->abort;
}

/* ---- answering ---- */

/* A body that the daemon reads piece by piece: because it ends early, or because its length is not told. */
struct piecemeal {
    struct qn_bytes *bytes;
    size_t end;
};

static ssize_t read_piece(void *user, uint64_t position, char *out, size_t room)
{
    const struct piecemeal *body = user;
    if (position >= qn_bytes_size(body->bytes)) return MHD_CONTENT_READER_END_OF_STREAM;
    if (position >= body->end) return MHD_CONTENT_READER_END_WITH_ERROR; /* closes the connection */
    size_t size = body->end - (size_t)position < room ? body->end - (size_t)position : room;
    memcpy(out, qn_bytes_data(body->bytes) + position, size);
    return (ssize_t)size;
}

static void free_piecemeal(void *user)
{
    struct piecemeal *body = user;
    qn_bytes_unref(body->bytes);
    qn_free(body);
}

static void free_bytes(void *user)
{
    qn_bytes_unref(user);
}

static struct MHD_Response *make_piecemeal(const struct qn_served_answer *answer, struct qn_bytes *bytes)
{
    size_t size = qn_bytes_size(bytes), end = size;
    struct piecemeal *body = qn_malloc(sizeof *body);
    if (!body) return NULL;
    if (answer->fault == QN_FAULT_TRUNCATE) end = answer->cut < size ? answer->cut : size - 1;
    *body = (struct piecemeal){qn_bytes_ref(bytes), end};
    struct MHD_Response *response = MHD_create_response_from_callback(answer->chunked ? MHD_SIZE_UNKNOWN : size,
                                                                      32 * 1024, read_piece, body, free_piecemeal);
    if (!response) free_piecemeal(body);
    return response;
}

static struct MHD_Response *make_body(const struct qn_served_answer *answer, struct qn_bytes *bytes)
{
    if (!bytes || qn_bytes_size(bytes) == 0)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (answer->fault == QN_FAULT_TRUNCATE || answer->chunked) return make_piecemeal(answer, bytes);
    qn_bytes_ref(bytes);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        qn_bytes_size(bytes), (void *)qn_bytes_data(bytes), free_bytes, bytes);
    if (!response) qn_bytes_unref(bytes);
    return response;
}

static bool accepts_gzip(const struct qn_served *served)
{
    for (size_t i = 0; i < served->header_count; i++) {
        if (strcmp(served->headers[i].name, "accept-encoding") == 0) return qn_gzip_accepted(served->headers[i].value);
    }
    return false;
}

static int make_response(const struct qn_served *served, const struct qn_served_answer *answer,
                         struct MHD_Response **out, struct qn_err *err)
{
    if (answer->status < 200 || answer->status > 599)
        return qn_fail(err, QN_EINVAL, "%d is not a status to answer with", answer->status);
    bool packed = answer->gzip && answer->body && accepts_gzip(served);
    struct qn_bytes *body = packed ? qn_gzip(answer->body) : answer->body;
    struct MHD_Response *response = packed && !body ? NULL : make_body(answer, body);
    if (packed) qn_bytes_unref(body);
    if (!response) return qn_fail(err, QN_ENOMEM, "out of memory");
    if (packed) MHD_add_response_header(response, "Content-Encoding", "gzip");
    for (size_t i = 0; i < answer->header_count; i++) {
        const struct qn_header *header = &answer->headers[i];
        const char *value = header->value ? header->value : "";
        if (!value[0]) continue; /* the daemon cannot send one */
        if (!qn_header_name_valid(header->name, strlen(header->name)) || !qn_header_value_valid(value, strlen(value)) ||
            MHD_add_response_header(response, header->name, value) != MHD_YES) {
            MHD_destroy_response(response);
            return qn_fail(err, QN_EINVAL, "header \"%.60s\" cannot be sent", header->name);
        }
    }
    if (answer->fault == QN_FAULT_CLOSE) MHD_add_response_header(response, "Connection", "close");
    *out = response;
    return 0;
}

/* A true reset: neither SO_LINGER nor the daemon's own close sends one. */
static void reset_connection(struct qn_served *served)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(served->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    stop_watching(served); /* or it would see its own work as the client leaving */
    if (info) connect(info->connect_fd, &nobody, sizeof nobody);
    served->abort = true;
}

int qn_served_respond(struct qn_served *served, const struct qn_served_answer *answer, struct qn_err *err)
{
    if (served->answered) return qn_fail(err, QN_ESTATE, "the request was answered already");
    if (qn_served_gone(served)) return qn_fail(err, QN_EPIPE, "the client went away");
    if (answer->fault == QN_FAULT_RESET) {
        reset_connection(served);
    } else if (answer->fault != QN_FAULT_HANG) {
        int rc = make_response(served, answer, &served->response, err);
        if (rc < 0) return rc;
        served->status = answer->status;
    }
    served->answered = true;
    if (answer->fault != QN_FAULT_HANG) qn_served_wake(served);
    return 0;
}

void qn_served_free(struct qn_served *served)
{
    static const struct qn_served_answer nothing = {.status = 500};
    if (!served) return;
    if (!served->answered && !qn_served_gone(served)) qn_served_respond(served, &nothing, NULL);
    served_unref(served);
}
