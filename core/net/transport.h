/* transport.h - one HTTP exchange: start it, cancel it. No retries, no redirects, no policy.
 *
 * Two implementations: curl.h (libcurl multi on libuv) and sim.h (scripted answers in virtual time).
 * Main thread only. A request is copied or referenced by `start`; the result is owned by the exchange
 * and dies with qn_exchange_free. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"
#include "engine/op.h"

struct qn_header {
    const char *name;
    const char *value;
    struct qn_secret *secret; /* instead of value, or NULL */
};

struct qn_request {
    const char *method;              /* "GET", "POST", ... */
    const char *url;                 /* absolute http or https */
    const struct qn_header *headers; /* borrowed during start */
    size_t header_count;
    struct qn_bytes *body;                  /* start takes its own reference; NULL: none */
    struct qn_secret *secret_body;          /* instead of body: a body that holds a secret (token request) */
    uint32_t connect_ms, idle_ms, total_ms; /* 0: the defaults 10 s, 60 s, 300 s */
    size_t max_body_bytes;                  /* decoded size of the answer; 0: 256 MB */
    bool once;           /* must not be sent twice: fresh connection, no silent re-send by the library */
    bool allow_insecure; /* plain http to a peer that is not loopback */
};

enum qn_result_kind {
    QN_RESULT_ANSWER,    /* a whole HTTP answer; status says which */
    QN_RESULT_DNS,       /* name not resolved */
    QN_RESULT_CONNECT,   /* refused, unreachable */
    QN_RESULT_TIMEOUT,   /* connect, idle or total limit */
    QN_RESULT_RESET,     /* connection lost, empty or garbled answer */
    QN_RESULT_TRUNCATED, /* the body ended early or its compression is broken */
    QN_RESULT_TOO_LARGE, /* max_body_bytes passed; the rest was not read */
    QN_RESULT_TLS,       /* certificate not trusted, handshake failed */
    QN_RESULT_DENIED,    /* refused by quern: plain http to a foreign peer, scheme not allowed */
    QN_RESULT_FAILED,    /* anything else; message says what */
};

struct qn_result {
    enum qn_result_kind kind;
    int status; /* for QN_RESULT_ANSWER */
    const struct qn_header
        *headers; /* in order of arrival, names as sent, values trimmed; final answer only (no 1xx) */
    size_t header_count;
    struct qn_bytes *body; /* decoded; never NULL for an ANSWER; take a reference to keep it */
    char peer[64];         /* "127.0.0.1:8080" or "" */
    bool never_sent;       /* the request surely never reached a server */
    uint64_t elapsed_ms;
    char message[256]; /* for anything but ANSWER: what, where ("connection refused by 127.0.0.1:9") */
};

struct qn_exchange; /* opaque, one per start */
struct qn_transport;

struct qn_transport_class {
    int (*start)(struct qn_transport *transport, const struct qn_request *request, struct qn_exchange **out,
                 struct qn_err *err);
    void (*free)(struct qn_transport *transport);
};
struct qn_transport {
    const struct qn_transport_class *class;
};

struct qn_exchange_class {
    void (*free)(struct qn_exchange *exchange);
};
struct qn_exchange { /* the head of every implementation's exchange */
    const struct qn_exchange_class *class;
    struct qn_op op; /* completes when `result` is filled; its cancel stops the transfer */
    struct qn_result result;
};

/* Begins; the op of *out is PENDING (it never completes inside start). On failure nothing was begun. */
static inline int qn_transport_start(struct qn_transport *transport, const struct qn_request *request,
                                     struct qn_exchange **out, struct qn_err *err)
{
    return transport->class->start(transport, request, out, err);
}
/* Cancels if pending, frees. May be called at any time outside transport callbacks. NULL is fine. */
static inline void qn_exchange_free(struct qn_exchange *exchange)
{
    if (exchange) exchange->class->free(exchange);
}
/* Frees the transport; all its exchanges must be freed before. NULL is fine. */
static inline void qn_transport_free(struct qn_transport *transport)
{
    if (transport) transport->class->free(transport);
}
