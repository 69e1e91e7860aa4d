/* clock.c - see clock.h. */
#include "engine/clock.h"

#include <time.h>

#include "base/mem.h"

struct qn_clock {
    bool is_virtual;
    uint64_t monotonic_ms; /* virtual: the time now */
    int64_t wall_ms;       /* virtual: the calendar now */
};

static struct qn_clock *make(bool is_virtual, int64_t wall_ms)
{
    struct qn_clock *clock = qn_calloc(1, sizeof *clock);
    if (!clock) return NULL;
    clock->is_virtual = is_virtual;
    clock->wall_ms = wall_ms;
    return clock;
}

struct qn_clock *qn_clock_real(void)
{
    return make(false, 0);
}

struct qn_clock *qn_clock_virtual(int64_t start_wall_ms)
{
    return make(true, start_wall_ms);
}

void qn_clock_free(struct qn_clock *clock)
{
    qn_free(clock);
}

bool qn_clock_is_virtual(const struct qn_clock *clock)
{
    return clock->is_virtual;
}

static uint64_t read_ms(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t qn_clock_monotonic_ms(const struct qn_clock *clock)
{
    return clock->is_virtual ? clock->monotonic_ms : read_ms(CLOCK_MONOTONIC);
}

int64_t qn_clock_wall_ms(const struct qn_clock *clock)
{
    return clock->is_virtual ? clock->wall_ms : (int64_t)read_ms(CLOCK_REALTIME);
}

uint64_t qn_clock_cpu_ms(const struct qn_clock *clock)
{
    return clock->is_virtual ? 0 : read_ms(CLOCK_PROCESS_CPUTIME_ID);
}

void qn_clock_advance_to(struct qn_clock *clock, uint64_t monotonic_ms)
{
    if (!clock->is_virtual || monotonic_ms <= clock->monotonic_ms) return;
    clock->wall_ms += (int64_t)(monotonic_ms - clock->monotonic_ms);
    clock->monotonic_ms = monotonic_ms;
}

void qn_clock_jump_wall(struct qn_clock *clock, int64_t delta_ms)
{
    if (clock->is_virtual) clock->wall_ms += delta_ms;
}
