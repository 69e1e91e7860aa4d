/* limit.h - may a request start now, and if not, when? First come, first served. Pure: told the time.
 *
 * A request takes a ticket, asks until it is answered 0, and leaves when it has ended. Bounds: how many at once, how
 * many starts in any window, the least time between two starts, and a hold that the server has asked for (429). A limit
 * and its tickets belong to one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct qn_limit_options {
    unsigned concurrency; /* at once; 0: no bound */
    unsigned count;       /* starts in any window; 0: no bound; at most 100000 */
    uint64_t window_ms;
    uint64_t pace_ms; /* between two starts; 0: none */
};

struct qn_limit;   /* opaque */
struct qn_ticket { /* embedded by the request; zero before qn_limit_enter */
    struct qn_limit *limit;
    struct qn_ticket *prev, *next;
    bool running;
};

#define QN_LIMIT_WAIT UINT64_MAX /* not before something changes: a ticket leaves, or is granted */

int qn_limit_new(const struct qn_limit_options *options, struct qn_limit **out, struct qn_err *err);
void qn_limit_free(struct qn_limit *limit); /* every ticket has left */
void qn_limit_enter(struct qn_limit *limit, struct qn_ticket *ticket);
/* 0: granted, it runs; else the milliseconds after which to ask again, or QN_LIMIT_WAIT. */
uint64_t qn_limit_ask(struct qn_ticket *ticket, uint64_t now_ms);
/* Queued or running: it is gone. Twice is fine. */
void qn_limit_leave(struct qn_ticket *ticket);
/* Nothing starts before until_ms (an earlier hold than the one in force changes nothing). */
void qn_limit_hold(struct qn_limit *limit, uint64_t until_ms);
/* When the limit alone would let `starts` more requests begin, one after another: milliseconds from now. For plans. */
uint64_t qn_limit_least_ms(const struct qn_limit_options *options, uint64_t starts);
