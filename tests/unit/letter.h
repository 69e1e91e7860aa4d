/* letter.h - what the tests of timers and of the loop share: a virtual clock, and timers that write their letter. */
#pragma once

#include "net_world.h"

#define WALL INT64_C(1709294400000)

static inline struct qn_clock *virtual_clock(void)
{
    return qn_clock_virtual(WALL);
}

/* A timer that writes its letter, and may do more. */
struct letter {
    struct qn_timer timer; /* first */
    char name;
    void (*also)(struct letter *);
    struct letter *other;
    struct qn_loop *loop;
};

static char fired[4096];
static size_t fired_count;

static inline void on_letter(struct qn_timer *timer)
{
    struct letter *letter = (struct letter *)timer;
    assert_null(timer->loop); /* not armed in its own callback */
    if (fired_count + 1 < sizeof fired) fired[fired_count++] = letter->name;
    fired[fired_count] = 0;
    if (letter->also) letter->also(letter);
}

static inline void letter_init(struct letter *letter, struct qn_loop *loop, char name)
{
    *letter = (struct letter){.name = name, .loop = loop};
    qn_timer_init(&letter->timer, on_letter);
    fired_count = 0;
    fired[0] = 0;
}

static inline void start(struct letter *letter, uint64_t after_ms)
{
    assert_int_equal(qn_timer_start(letter->loop, &letter->timer, after_ms), 0);
}
