/* loop.h - the one libuv loop of the main thread: turns, timers and orderly close.
 *
 * Everything that waits is a timer, a transfer, a served request or a worker's answer. One turn either
 * handles what is there or sleeps until something is. With a virtual clock a turn moves the clock to the
 * next timer only when nothing is ready, nothing can be delivered and no worker owes an answer
 * (`qn_loop_hold` counts those debts). Main thread only, except qn_loop_wake. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "engine/clock.h"

struct qn_loop; /* opaque */
struct uv_loop_s;
struct uv_handle_s;

/* Takes the clock. NULL without memory or when libuv cannot start; the clock is the caller's then. */
struct qn_loop *qn_loop_new(struct qn_clock *clock);
/* Runs close callbacks, then frees. Returns the number of timers and handles that its users left (they are
 * named on stderr in debug builds and closed by force); 0 is the only good answer. */
int qn_loop_free(struct qn_loop *loop);
struct uv_loop_s *qn_loop_uv(struct qn_loop *loop);
struct qn_clock *qn_loop_clock(struct qn_loop *loop);
uint64_t qn_loop_now(struct qn_loop *loop); /* monotonic ms */

/* One turn. block = false: only what is ready. Returns true while something may still happen (a timer is
 * armed, a debt is held or a uv handle is active). Never call it from a callback or from Lua. */
bool qn_loop_turn(struct qn_loop *loop, bool block);
/* Something may still happen: what the last turn answered, as of now. */
bool qn_loop_alive(const struct qn_loop *loop);
/* Makes the turn in progress, or the next one, return after its current callbacks; a virtual clock does not move
 * before that. Any thread, and signal handlers. */
void qn_loop_wake(struct qn_loop *loop);
/* A debt: something outside timers will complete (a worker, a real socket). +1 / -1. */
void qn_loop_hold(struct qn_loop *loop, int delta);

/* timer: one-shot, embedded by its owner, safe to stop at any moment, also in its own callback. */
struct qn_timer {
    struct qn_loop *loop; /* NULL while not armed */
    uint64_t due_ms;
    uint64_t sequence; /* equal times fire in the order they were set */
    void (*fire)(struct qn_timer *);
    struct qn_timer *prev, *next; /* the loop's own (or a heap index): not for users */
    uint32_t heap_index;
};
void qn_timer_init(struct qn_timer *timer, void (*fire)(struct qn_timer *));
int qn_timer_start(struct qn_loop *loop, struct qn_timer *timer,
                   uint64_t after_ms); /* restarts if armed; 0 or QN_ENOMEM */
void qn_timer_stop(struct qn_timer *timer);
