/* op.c - see op.h. */
#include "engine/op.h"

#include <stddef.h>

void qn_op_init(struct qn_op *op, void (*cancel)(struct qn_op *))
{
    *op = (struct qn_op){.state = QN_OP_IDLE, .cancel = cancel};
}

void qn_op_begin(struct qn_op *op)
{
    op->state = QN_OP_PENDING;
    op->waiter = NULL;
}

/* Takes the waiter off the op and answers it. */
static struct qn_waiter *detach(struct qn_op *op)
{
    struct qn_waiter *waiter = op->waiter;
    op->waiter = NULL;
    if (waiter) waiter->op = NULL;
    return waiter;
}

void qn_op_complete(struct qn_op *op)
{
    if (op->state != QN_OP_PENDING) return;
    op->state = QN_OP_DONE;
    struct qn_waiter *waiter = detach(op);
    if (waiter) qn_sched_ready(waiter);
}

void qn_op_cancel(struct qn_op *op)
{
    detach(op);
    if (op->state != QN_OP_PENDING) return;
    op->state = QN_OP_CANCELED;
    if (op->cancel) op->cancel(op);
}

void qn_op_wait(struct qn_op *op, struct qn_waiter *waiter)
{
    if (op->state != QN_OP_PENDING) {
        qn_sched_ready(waiter);
        return;
    }
    op->waiter = waiter;
    waiter->op = op;
}

void qn_sched_init(struct qn_sched *sched)
{
    *sched = (struct qn_sched){0};
}

void qn_waiter_init(struct qn_waiter *waiter, struct qn_sched *sched)
{
    *waiter = (struct qn_waiter){.sched = sched};
}

void qn_sched_ready(struct qn_waiter *waiter)
{
    if (waiter->listed) return;
    struct qn_sched *sched = waiter->sched;
    waiter->listed = true;
    waiter->next = NULL;
    waiter->prev = sched->last;
    if (sched->last)
        sched->last->next = waiter;
    else
        sched->first = waiter;
    sched->last = waiter;
    sched->count++;
}

static void unlist(struct qn_waiter *waiter)
{
    struct qn_sched *sched = waiter->sched;
    if (waiter->prev)
        waiter->prev->next = waiter->next;
    else
        sched->first = waiter->next;
    if (waiter->next)
        waiter->next->prev = waiter->prev;
    else
        sched->last = waiter->prev;
    waiter->prev = waiter->next = NULL;
    waiter->listed = false;
    sched->count--;
}

void qn_sched_forget(struct qn_waiter *waiter)
{
    if (waiter->op) detach(waiter->op);
    if (waiter->listed) unlist(waiter);
}

struct qn_waiter *qn_sched_next(struct qn_sched *sched)
{
    struct qn_waiter *waiter = sched->first;
    if (waiter) unlist(waiter);
    return waiter;
}

bool qn_sched_has_ready(const struct qn_sched *sched)
{
    return sched->first != NULL;
}
