/* limit.c - see limit.h. The starts of the last window are kept in a ring: the bound holds in every window, not on
 * average. */
#include "net/limit.h"

#include <stddef.h>

#include "base/mem.h"

#define MOST_STARTS 100000

struct qn_limit {
    struct qn_limit_options options;
    struct qn_ticket *first, *last; /* waiting, oldest first */
    unsigned running;
    bool started;
    uint64_t last_start_ms, hold_until_ms;
    unsigned ring_used, ring_next;
    uint64_t ring[]; /* start times; ring_next is the oldest once the ring is full */
};

int qn_limit_new(const struct qn_limit_options *options, struct qn_limit **out, struct qn_err *err)
{
    if (options->count > MOST_STARTS)
        return qn_fail(err, QN_EINVAL, "a rate of more than %d requests a window", MOST_STARTS);
    struct qn_limit *limit = qn_calloc(1, sizeof *limit + options->count * sizeof(uint64_t));
    if (!limit) return qn_fail(err, QN_ENOMEM, "out of memory");
    limit->options = *options;
    *out = limit;
    return 0;
}

void qn_limit_free(struct qn_limit *limit)
{
    if (!limit) return;
    while (limit->first) qn_limit_leave(limit->first);
    qn_free(limit);
}

void qn_limit_enter(struct qn_limit *limit, struct qn_ticket *ticket)
{
    *ticket = (struct qn_ticket){.limit = limit, .prev = limit->last};
    if (limit->last)
        limit->last->next = ticket;
    else
        limit->first = ticket;
    limit->last = ticket;
}

static void unqueue(struct qn_ticket *ticket)
{
    struct qn_limit *limit = ticket->limit;
    if (ticket->prev)
        ticket->prev->next = ticket->next;
    else
        limit->first = ticket->next;
    if (ticket->next)
        ticket->next->prev = ticket->prev;
    else
        limit->last = ticket->prev;
    ticket->prev = ticket->next = NULL;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* The first instant at which hold, pace and rate all agree. */
static uint64_t free_at(const struct qn_limit *limit)
{
    const struct qn_limit_options *options = &limit->options;
    uint64_t at = limit->hold_until_ms;
    if (limit->started) at = later(at, limit->last_start_ms + options->pace_ms);
    if (options->count && limit->ring_used == options->count)
        at = later(at, limit->ring[limit->ring_next] + options->window_ms);
    return at;
}

static void start(struct qn_limit *limit, uint64_t now_ms)
{
    limit->running++;
    limit->started = true;
    limit->last_start_ms = now_ms;
    if (!limit->options.count) return;
    limit->ring[limit->ring_next] = now_ms;
    limit->ring_next = (limit->ring_next + 1) % limit->options.count;
    if (limit->ring_used < limit->options.count) limit->ring_used++;
}

uint64_t qn_limit_ask(struct qn_ticket *ticket, uint64_t now_ms)
{
    struct qn_limit *limit = ticket->limit;
    if (limit->first != ticket) return QN_LIMIT_WAIT;
    if (limit->options.concurrency && limit->running >= limit->options.concurrency) return QN_LIMIT_WAIT;
    uint64_t at = free_at(limit);
    if (at > now_ms) return at - now_ms;
    unqueue(ticket);
    ticket->running = true;
    start(limit, now_ms);
    return 0;
}

void qn_limit_leave(struct qn_ticket *ticket)
{
    if (!ticket->limit) return;
    if (ticket->running)
        ticket->limit->running--;
    else
        unqueue(ticket);
    ticket->limit = NULL;
    ticket->running = false;
}

void qn_limit_hold(struct qn_limit *limit, uint64_t until_ms)
{
    limit->hold_until_ms = later(limit->hold_until_ms, until_ms);
}

uint64_t qn_limit_least_ms(const struct qn_limit_options *options, uint64_t starts)
{
    if (starts == 0) return 0;
    uint64_t by_pace = (starts - 1) * options->pace_ms;
    uint64_t by_rate = options->count ? (starts - 1) / options->count * options->window_ms : 0;
    return later(by_pace, by_rate);
}
