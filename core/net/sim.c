#include "net/sim.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

struct sim {
    struct qn_transport head;
    struct qn_loop *loop;
    qn_sim_serve *serve;
    void *user;
    struct qn_sim_note *notes;
    size_t note_count, note_capacity;
};

struct sim_exchange {
    struct qn_exchange head;
    struct qn_timer timer;
    struct qn_header *headers; /* with copies of the texts */
};

#define DEFAULT_IDLE_MS  60000
#define DEFAULT_TOTAL_MS 300000
#define DEFAULT_MAX_BODY ((size_t)256 << 20)

static struct sim_exchange *exchange_of_timer(struct qn_timer *timer)
{
    return (struct sim_exchange *)((char *)timer - offsetof(struct sim_exchange, timer));
}

static struct sim_exchange *exchange_of_op(struct qn_op *op)
{
    return (struct sim_exchange *)((char *)op - offsetof(struct sim_exchange, head.op));
}

static void on_due(struct qn_timer *timer)
{
    struct sim_exchange *exchange = exchange_of_timer(timer);
    qn_op_complete(&exchange->head.op);
}

static void on_cancel(struct qn_op *op)
{
    qn_timer_stop(&exchange_of_op(op)->timer);
}

static void free_headers(struct sim_exchange *exchange)
{
    for (size_t i = 0; i < exchange->head.result.header_count; i++) {
        qn_free((char *)exchange->headers[i].name);
        qn_free((char *)exchange->headers[i].value);
    }
    qn_free(exchange->headers);
}

static void exchange_free(struct qn_exchange *head)
{
    struct sim_exchange *exchange = (struct sim_exchange *)head;
    qn_op_cancel(&head->op);
    qn_timer_stop(&exchange->timer);
    free_headers(exchange);
    qn_bytes_unref(head->result.body);
    qn_free(exchange);
}

static const struct qn_exchange_class exchange_class = {exchange_free};

static int copy_headers(struct sim_exchange *exchange, const struct qn_sim_answer *answer)
{
    struct qn_result *result = &exchange->head.result;
    if (answer->header_count == 0) return 0;
    exchange->headers = qn_calloc(answer->header_count, sizeof *exchange->headers);
    if (!exchange->headers) return QN_ENOMEM;
    result->headers = exchange->headers;
    for (size_t i = 0; i < answer->header_count; i++) {
        result->header_count = i + 1;
        exchange->headers[i].name = qn_strdup(answer->headers[i].name);
        exchange->headers[i].value = qn_strdup(answer->headers[i].value ? answer->headers[i].value : "");
        if (!exchange->headers[i].name || !exchange->headers[i].value) return QN_ENOMEM;
    }
    return 0;
}

static const char *kind_text(enum qn_result_kind kind)
{
    static const char *const texts[] = {
        [QN_RESULT_ANSWER] = "",
        [QN_RESULT_DNS] = "name not resolved",
        [QN_RESULT_CONNECT] = "connection refused",
        [QN_RESULT_TIMEOUT] = "timed out",
        [QN_RESULT_RESET] = "connection reset",
        [QN_RESULT_TRUNCATED] = "the body ended early",
        [QN_RESULT_TOO_LARGE] = "the answer is larger than the cap",
        [QN_RESULT_TLS] = "certificate not trusted",
        [QN_RESULT_DENIED] = "refused by quern",
        [QN_RESULT_FAILED] = "failed",
    };
    return texts[kind];
}

/* The limits of the request win over what serve wished. */
static void apply_limits(const struct qn_request *request, struct qn_sim_answer *answer)
{
    uint64_t idle = request->idle_ms ? request->idle_ms : DEFAULT_IDLE_MS;
    uint64_t total = request->total_ms ? request->total_ms : DEFAULT_TOTAL_MS;
    uint64_t limit = idle < total ? idle : total;
    size_t max_body = request->max_body_bytes ? request->max_body_bytes : DEFAULT_MAX_BODY;
    if (answer->after_ms > limit) {
        *answer = (struct qn_sim_answer){.after_ms = limit, .kind = QN_RESULT_TIMEOUT};
    } else if (answer->kind == QN_RESULT_ANSWER && answer->body_size > max_body) {
        *answer = (struct qn_sim_answer){.after_ms = answer->after_ms, .kind = QN_RESULT_TOO_LARGE};
    }
}

static int fill_result(struct sim_exchange *exchange, const struct qn_sim_answer *answer)
{
    struct qn_result *result = &exchange->head.result;
    result->kind = answer->kind;
    result->elapsed_ms = answer->after_ms;
    snprintf(result->peer, sizeof result->peer, "127.0.0.1:0");
    if (answer->kind != QN_RESULT_ANSWER) {
        bool unsent = answer->kind == QN_RESULT_DNS || answer->kind == QN_RESULT_CONNECT ||
                      answer->kind == QN_RESULT_TLS || answer->kind == QN_RESULT_DENIED;
        result->never_sent = unsent || answer->never_sent;
        snprintf(result->message, sizeof result->message, "%s",
                 answer->message ? answer->message : kind_text(answer->kind));
        return 0;
    }
    result->status = answer->status ? answer->status : 200;
    result->body = qn_bytes_new(answer->body ? answer->body : "", answer->body_size);
    return result->body ? copy_headers(exchange, answer) : QN_ENOMEM;
}

static int note(struct sim *sim, const struct qn_request *request)
{
    if (sim->note_count == sim->note_capacity) {
        size_t capacity = sim->note_capacity ? sim->note_capacity * 2 : 16;
        struct qn_sim_note *notes = qn_realloc(sim->notes, capacity * sizeof *notes);
        if (!notes) return QN_ENOMEM;
        sim->notes = notes;
        sim->note_capacity = capacity;
    }
    struct qn_sim_note *last = &sim->notes[sim->note_count];
    *last = (struct qn_sim_note){qn_loop_now(sim->loop), qn_strdup(request->method), qn_strdup(request->url)};
    if (!last->method || !last->url) {
        qn_free(last->method);
        qn_free(last->url);
        return QN_ENOMEM;
    }
    sim->note_count++;
    return 0;
}

static int start(struct qn_transport *transport, const struct qn_request *request, struct qn_exchange **out,
                 struct qn_err *err)
{
    struct sim *sim = (struct sim *)transport;
    struct qn_sim_answer answer = {0};
    struct sim_exchange *exchange = qn_calloc(1, sizeof *exchange);
    if (!exchange || note(sim, request) < 0) {
        qn_free(exchange);
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    exchange->head.class = &exchange_class;
    qn_op_init(&exchange->head.op, on_cancel);
    qn_timer_init(&exchange->timer, on_due);
    int rc = sim->serve(sim->user, request, &answer);
    if (rc < 0) {
        exchange_free(&exchange->head);
        return qn_fail(err, rc, "refused by the simulation");
    }
    apply_limits(request, &answer);
    rc = fill_result(exchange, &answer);
    if (rc == 0) rc = qn_timer_start(sim->loop, &exchange->timer, answer.after_ms);
    if (rc < 0) {
        exchange_free(&exchange->head);
        return qn_fail(err, rc, "out of memory");
    }
    qn_op_begin(&exchange->head.op);
    *out = &exchange->head;
    return 0;
}

static void transport_free(struct qn_transport *transport)
{
    struct sim *sim = (struct sim *)transport;
    for (size_t i = 0; i < sim->note_count; i++) {
        qn_free(sim->notes[i].method);
        qn_free(sim->notes[i].url);
    }
    qn_free(sim->notes);
    qn_free(sim);
}

static const struct qn_transport_class transport_class = {start, transport_free};

int qn_sim_new(struct qn_loop *loop, qn_sim_serve *serve, void *user, struct qn_transport **out, struct qn_err *err)
{
    struct sim *sim = qn_calloc(1, sizeof *sim);
    if (!sim) return qn_fail(err, QN_ENOMEM, "out of memory");
    sim->head.class = &transport_class;
    sim->loop = loop;
    sim->serve = serve;
    sim->user = user;
    *out = &sim->head;
    return 0;
}

const struct qn_sim_note *qn_sim_notes(const struct qn_transport *transport, size_t *count)
{
    const struct sim *sim = (const struct sim *)transport;
    *count = sim->note_count;
    return sim->notes;
}
