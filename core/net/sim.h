/* sim.h - the transport of the tests: scripted answers after a given (virtual) time. Main thread only.
 *
 *     static int serve(void *user, const struct qn_request *request, struct qn_sim_answer *answer)
 *     {
 *         answer->after_ms = 50;
 *         answer->status = 200;
 *         answer->body = "{}";
 *         answer->body_size = 2;
 *         return 0;
 *     }
 *
 * The limits of a request hold here too: an answer later than idle_ms or total_ms is a timeout at that instant, one
 * larger than max_body_bytes is too large. Every request is noted with its instant. */
#pragma once

#include "engine/loop.h"
#include "net/transport.h"

struct qn_sim_answer { /* zeroed before serve; everything it points to is copied when serve returns */
    uint64_t after_ms;
    enum qn_result_kind kind; /* QN_RESULT_ANSWER (0) unless set */
    int status;               /* 0 counts as 200 */
    const struct qn_header *headers;
    size_t header_count;
    const char *body;
    size_t body_size;
    const char *message; /* NULL: a text for the kind */
    bool never_sent;     /* DNS, CONNECT, TLS and DENIED always are */
};

/* Called inside start. A negative result is what start returns (its text: "refused by the simulation"). */
typedef int qn_sim_serve(void *user, const struct qn_request *request, struct qn_sim_answer *answer);

struct qn_sim_note { /* one request that was started */
    uint64_t at_ms;  /* monotonic */
    char *method, *url;
};

/* serve's user is borrowed until the transport is freed. */
int qn_sim_new(struct qn_loop *loop, qn_sim_serve *serve, void *user, struct qn_transport **out, struct qn_err *err);
/* The requests so far, oldest first; valid until the next start. */
const struct qn_sim_note *qn_sim_notes(const struct qn_transport *transport, size_t *count);
