/* op.h - a pending operation: completes once, can be cancelled at any time.
 *
 * An op is embedded in what waits to happen (a transfer, a sleep, a worker's job). Whoever waits is a
 * `struct qn_waiter`; completing an op lists its waiter on the scheduler, and one place (lua/co.c)
 * resumes listed waiters later. Callbacks of libuv and libcurl touch no Lua. Main thread only. */
#pragma once

#include <stdbool.h>

struct qn_op;
struct qn_sched;

enum qn_op_state { QN_OP_IDLE, QN_OP_PENDING, QN_OP_DONE, QN_OP_CANCELED };

struct qn_waiter { /* embedded by a task */
    struct qn_sched *sched;
    struct qn_op *op; /* the one op it waits for, or NULL */
    bool listed;
    struct qn_waiter *prev, *next; /* ready list: the scheduler's own */
};

struct qn_op {
    enum qn_op_state state;
    struct qn_waiter *waiter;         /* NULL while nobody waits */
    void (*cancel)(struct qn_op *op); /* stops the work; must not call qn_op_complete; may be NULL */
};

void qn_op_init(struct qn_op *op, void (*cancel)(struct qn_op *));
void qn_op_begin(struct qn_op *op); /* IDLE or finished -> PENDING */
/* The work is done: state DONE, the waiter (if any) is listed. A second call, or one after a cancel, does nothing. */
void qn_op_complete(struct qn_op *op);
/* The owner gives up: runs cancel once if PENDING, detaches the waiter. Safe in any state. */
void qn_op_cancel(struct qn_op *op);
/* waiter waits for op. If op is DONE already, the waiter is listed at once. One op a waiter, one waiter an op. */
void qn_op_wait(struct qn_op *op, struct qn_waiter *waiter);

/* sched: the ready list, first in first out. Embedded in the runtime. */
struct qn_sched {
    struct qn_waiter *first, *last;
    unsigned count;
};
void qn_sched_init(struct qn_sched *sched);
void qn_waiter_init(struct qn_waiter *waiter, struct qn_sched *sched);
void qn_sched_ready(struct qn_waiter *waiter);           /* lists it unless listed */
void qn_sched_forget(struct qn_waiter *waiter);          /* unlists, detaches from its op (not cancelling it) */
struct qn_waiter *qn_sched_next(struct qn_sched *sched); /* takes the first; NULL if none */
bool qn_sched_has_ready(const struct qn_sched *sched);
