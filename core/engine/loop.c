/* loop.c - see loop.h. Timers live in one binary heap for both clocks; a real clock arms one uv_timer for the nearest.
 */
#include "engine/loop.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct qn_loop {
    uv_loop_t uv;
    uv_async_t wake;  /* unreferenced: does not keep the loop alive */
    uv_timer_t alarm; /* the nearest timer, real clock only */
    struct qn_clock *clock;
    struct qn_timer **heap;
    uint32_t heap_count, heap_capacity;
    uint64_t sequence;
    int holds;
    bool progress;     /* this turn fired a timer, or a debt was paid */
    atomic_bool woken; /* whoever was woken runs before a virtual clock moves; set by any thread or signal handler */
};

static void on_wake(uv_async_t *async)
{
    uv_stop(async->loop);
}

static void on_alarm(uv_timer_t *alarm)
{
    uv_stop(alarm->loop); /* timers are fired by the turn, after uv_run has returned */
}

struct qn_loop *qn_loop_new(struct qn_clock *clock)
{
    struct qn_loop *loop = qn_calloc(1, sizeof *loop);
    if (!loop) return NULL;
    if (uv_loop_init(&loop->uv) != 0) {
        qn_free(loop);
        return NULL;
    }
    loop->clock = clock;
    loop->uv.data = loop;
    if (uv_async_init(&loop->uv, &loop->wake, on_wake) != 0) {
        uv_loop_close(&loop->uv);
        qn_free(loop);
        return NULL;
    }
    uv_unref((uv_handle_t *)&loop->wake);
    uv_timer_init(&loop->uv, &loop->alarm);
    return loop;
}

static void count_left(uv_handle_t *handle, void *left)
{
    struct qn_loop *loop = handle->loop->data;
    if (uv_is_closing(handle)) return;
    if (handle != (uv_handle_t *)&loop->wake && handle != (uv_handle_t *)&loop->alarm) {
        ++*(int *)left;
#ifndef NDEBUG
        fprintf(stderr, "quern: a %s handle was left open\n", uv_handle_type_name(uv_handle_get_type(handle)));
#endif
    }
    uv_close(handle, NULL);
}

int qn_loop_free(struct qn_loop *loop)
{
    if (!loop) return 0;
    int left = (int)loop->heap_count;
#ifndef NDEBUG
    if (left) fprintf(stderr, "quern: %d timer%s left armed\n", left, left == 1 ? " was" : "s were");
#endif
    for (int round = 0; round < 4; round++) uv_run(&loop->uv, UV_RUN_NOWAIT); /* close callbacks, and what they close */
    uv_walk(&loop->uv, count_left, &left);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    if (uv_loop_close(&loop->uv) != 0) left++;
    for (uint32_t i = 0; i < loop->heap_count; i++) loop->heap[i]->loop = NULL;
    qn_free(loop->heap);
    qn_clock_free(loop->clock);
    qn_free(loop);
    return left;
}

struct uv_loop_s *qn_loop_uv(struct qn_loop *loop)
{
    return &loop->uv;
}

struct qn_clock *qn_loop_clock(struct qn_loop *loop)
{
    return loop->clock;
}

uint64_t qn_loop_now(struct qn_loop *loop)
{
    return qn_clock_monotonic_ms(loop->clock);
}

void qn_loop_wake(struct qn_loop *loop)
{
    atomic_store(&loop->woken, true);
    uv_async_send(&loop->wake);
}

void qn_loop_hold(struct qn_loop *loop, int delta)
{
    loop->holds += delta;
    if (delta < 0) loop->progress = true; /* whoever waited for it runs before the clock moves */
}

/* ---- timers ---- */

static bool earlier(const struct qn_timer *a, const struct qn_timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->sequence < b->sequence;
}

static void place(struct qn_loop *loop, uint32_t at, struct qn_timer *timer)
{
    loop->heap[at] = timer;
    timer->heap_index = at;
}

static void sift(struct qn_loop *loop, uint32_t at, struct qn_timer *timer)
{
    while (at > 0 && earlier(timer, loop->heap[(at - 1) / 2])) { /* up */
        place(loop, at, loop->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    for (;;) { /* down */
        uint32_t child = 2 * at + 1;
        if (child >= loop->heap_count) break;
        if (child + 1 < loop->heap_count && earlier(loop->heap[child + 1], loop->heap[child])) child++;
        if (!earlier(loop->heap[child], timer)) break;
        place(loop, at, loop->heap[child]);
        at = child;
    }
    place(loop, at, timer);
}

void qn_timer_init(struct qn_timer *timer, void (*fire)(struct qn_timer *))
{
    *timer = (struct qn_timer){.fire = fire};
}

int qn_timer_start(struct qn_loop *loop, struct qn_timer *timer, uint64_t after_ms)
{
    qn_timer_stop(timer);
    if (loop->heap_count == loop->heap_capacity) {
        uint32_t capacity = loop->heap_capacity ? loop->heap_capacity * 2 : 16;
        struct qn_timer **heap = qn_realloc(loop->heap, capacity * sizeof(struct qn_timer *));
        if (!heap) return QN_ENOMEM;
        loop->heap = heap;
        loop->heap_capacity = capacity;
    }
    uint64_t now = qn_loop_now(loop);
    timer->due_ms = after_ms > UINT64_MAX - now ? UINT64_MAX : now + after_ms;
    timer->sequence = ++loop->sequence;
    timer->loop = loop;
    sift(loop, loop->heap_count++, timer);
    return 0;
}

void qn_timer_stop(struct qn_timer *timer)
{
    struct qn_loop *loop = timer->loop;
    if (!loop) return;
    timer->loop = NULL;
    struct qn_timer *last = loop->heap[--loop->heap_count];
    if (last != timer) sift(loop, timer->heap_index, last);
}

/* Fires what is due now. Timers that a callback starts wait for the next turn, so that a turn ends. */
static void fire_due(struct qn_loop *loop)
{
    uint64_t now = qn_loop_now(loop), last = loop->sequence;
    while (loop->heap_count > 0) {
        struct qn_timer *timer = loop->heap[0];
        if (timer->due_ms > now || timer->sequence > last) break;
        qn_timer_stop(timer);
        loop->progress = true;
        timer->fire(timer);
    }
}

/* ---- turns ---- */

bool qn_loop_alive(const struct qn_loop *loop)
{
    return loop->heap_count > 0 || loop->holds > 0 || uv_loop_alive(&loop->uv);
}

/* A debt keeps uv_run at work although the async handle of whoever owes it is unreferenced; without one uv_run
 * would find nothing alive and not look at all. */
static void run_uv(struct qn_loop *loop, uv_run_mode mode)
{
    if (loop->holds > 0) uv_ref((uv_handle_t *)&loop->wake);
    uv_run(&loop->uv, mode);
    uv_unref((uv_handle_t *)&loop->wake);
}

static void turn_real(struct qn_loop *loop, bool block)
{
    uint64_t now = qn_loop_now(loop);
    if (loop->heap_count > 0 && loop->heap[0]->due_ms <= now) block = false;
    uv_timer_stop(&loop->alarm);
    if (block && loop->heap_count > 0) {
        uv_update_time(&loop->uv);
        uv_timer_start(&loop->alarm, on_alarm, loop->heap[0]->due_ms - now, 0);
    }
    run_uv(loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_timer_stop(&loop->alarm);
    fire_due(loop);
}

/* What is due or deliverable first; then what is owed; only then does the clock move. */
static void turn_virtual(struct qn_loop *loop, bool block)
{
    loop->progress = false;
    run_uv(loop, UV_RUN_NOWAIT);
    fire_due(loop);
    if (atomic_exchange(&loop->woken, false) || loop->progress || !block) return;
    if (loop->holds > 0) {
        run_uv(loop, UV_RUN_ONCE);
    } else if (loop->heap_count > 0) {
        qn_clock_advance_to(loop->clock, loop->heap[0]->due_ms);
        fire_due(loop);
    } else if (uv_loop_alive(&loop->uv)) {
        uv_run(&loop->uv, UV_RUN_ONCE);
    }
}

bool qn_loop_turn(struct qn_loop *loop, bool block)
{
    if (qn_clock_is_virtual(loop->clock))
        turn_virtual(loop, block);
    else
        turn_real(loop, block);
    return qn_loop_alive(loop);
}
