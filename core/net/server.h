/* server.h - a small HTTP server on the loop, for the emulator and webhooks: requests queue, the owner takes and
 * answers them in any order and at any time.
 *
 *     struct qn_op *op = qn_server_accept_op(server);    wait for it
 *     struct qn_served *served = qn_server_next(server); NULL: nobody there, or the server is closed
 *     qn_served_respond(served, &answer);
 *     qn_served_free(served);
 *
 * A connection sleeps while its request is out. A client that goes away, or a server that is closed, leaves the
 * request readable; answering it is then QN_EPIPE. The listening handle keeps the loop alive. Plain http only. Main
 * thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "engine/loop.h"
#include "engine/op.h"
#include "net/transport.h"

/* Larger request bodies are answered 413 without reaching the queue. */
#define QN_SERVER_BODY_CAP ((size_t)64 << 20)

struct qn_server; /* opaque */
struct qn_served; /* one request; the taker's until qn_served_free */

/* host: an address ("127.0.0.1", "::1") or "localhost" (127.0.0.1). port 0: any free one. */
int qn_server_listen(struct qn_loop *loop, const char *host, unsigned port, struct qn_server **out, struct qn_err *err);
/* Requests from now on may have bodies of so many bytes, at most QN_SERVER_BODY_CAP. */
void qn_server_limit_bodies(struct qn_server *server, size_t cap);
unsigned qn_server_port(const struct qn_server *server);
/* The op completes when a request waits or the server is closed; it may be done already. NULL: somebody waits for
 * the last one still. */
struct qn_op *qn_server_accept_op(struct qn_server *server);
/* The oldest request that waits, now the caller's; or NULL. */
struct qn_served *qn_server_next(struct qn_server *server);
/* Stops listening, drops every connection, completes a pending accept. Requests in hand stay readable. Twice is fine.
 */
void qn_server_close(struct qn_server *server);
bool qn_server_closed(const struct qn_server *server);
unsigned qn_server_connections(const struct qn_server *server); /* open now, idle ones included */
/* Closes and frees. A pending accept op is cancelled. Requests in hand must still be freed. NULL is fine. */
void qn_server_free(struct qn_server *server);

/* Texts and bytes live as long as the request. */
const char *qn_served_method(const struct qn_served *served);
const char *qn_served_path(const struct qn_served *served);  /* as sent, not decoded, without the query */
const char *qn_served_query(const struct qn_served *served); /* raw, without "?"; "" if none */
const struct qn_header *qn_served_headers(const struct qn_served *served, size_t *count); /* names in lower case */
const char *qn_served_body(const struct qn_served *served, size_t *size);
bool qn_served_gone(const struct qn_served *served); /* nobody is there to be answered */

enum qn_fault {
    QN_FAULT_NONE,
    QN_FAULT_RESET,    /* the connection is reset, nothing is answered */
    QN_FAULT_TRUNCATE, /* the body ends after `cut` bytes, before its declared length or last chunk */
    QN_FAULT_HANG,     /* nothing is answered until the client goes */
    QN_FAULT_CLOSE,    /* a whole answer, then the connection is closed */
};

struct qn_served_answer {
    int status; /* 200 .. 599 */
    const struct qn_header
        *headers; /* borrowed during the call; Content-Length is the server's own; empty values are left out */
    size_t header_count;
    struct qn_bytes *body; /* takes its own reference; NULL: empty */
    enum qn_fault fault;
    size_t cut;   /* QN_FAULT_TRUNCATE: clamped to less than the body as it is sent */
    bool gzip;    /* the body is packed, if the request accepts that */
    bool chunked; /* sent in chunks (RFC 9112, section 7.1) instead of with its length */
};

/* Answers once. QN_ESTATE: answered before. QN_EPIPE: the client is gone. QN_EINVAL: status or a header is wrong (the
 * request is not answered then). */
int qn_served_respond(struct qn_served *served, const struct qn_served_answer *answer, struct qn_err *err);
/* Gives the request back; one that was not answered is answered 500. NULL is fine. */
void qn_served_free(struct qn_served *served);
