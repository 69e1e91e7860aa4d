/* budget.c - see budget.h. */
#include "lua/budget.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alarm.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

#define STEP 1000 /* instructions between two looks */
/* More instructions for whoever would end by itself: a turn after an interrupt, and the library after a script has used
 * up its own. */
#define GRACE 20000000

/* A turn that does not end keeps the loop from cancelling its task: it gets little more time. */
static void hear_interrupt(const struct qn_state *state, struct qn_budget *budget)
{
    const struct qn_runtime *runtime = state->runtime;
    if (budget->interrupted || state->loading || !runtime || !runtime->interrupted || !runtime->interruptible) return;
    if (budget->limit - budget->spent <= GRACE) return;
    budget->limit = budget->spent + GRACE;
    budget->interrupted = true;
}

/* Whose instruction it is: past its limit a script is ended, while the library, which called it, cleans up after it and
 * says what happened. */
static bool of_library(lua_State *L, lua_Debug *ar)
{
    const char *library = qn_state_of(L)->library;
    return lua_getinfo(L, "S", ar) && strncmp(ar->source, library, strlen(library)) == 0;
}

/* Nobody waits for this thread any more, and what it works on may be gone. */
static void stay_if_lost(const struct qn_state *state)
{
    while (state->watch.lost) pause();
}

static void hook(lua_State *L, lua_Debug *ar)
{
    struct qn_state *state = qn_state_of(L);
    struct qn_budget *budget = &state->budget;
    stay_if_lost(state);
    if (budget->limit == 0) {
        lua_sethook(L, NULL, 0, 0); /* a coroutine that outlived its budget */
        return;
    }
    hear_interrupt(state, budget);
    budget->spent += budget->tripped ? 1 : STEP;
    if (budget->spent < budget->limit) return;
    budget->tripped = true;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    if (budget->spent - budget->limit < GRACE && of_library(L, ar)) return;
    if (budget->interrupted) {
        qn_runtime_hear_interrupt(L);
        qn_lua_push_error(L, "interrupted", "interrupted");
        lua_error(L);
    }
    luaL_where(L, 0); /* within a hook the function at hand is level 0 */
    lua_pushfstring(L, "more than %I Lua instructions in one call: an endless loop?", (LUAI_UACINT)budget->limit);
    lua_concat(L, 2);
    lua_error(L);
}

static uint64_t thread_ms(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000 + (uint64_t)used.tv_nsec / 1000000;
}

/* Has the call used no instruction for so long that nothing can be expected of it? */
static bool is_stuck(struct qn_budget_watch *watch, const struct qn_budget *budget)
{
    if (watch->stuck.ms == 0 || watch->lost) return false;
    if (watch->heard == budget->spent) return thread_ms() - watch->since >= watch->stuck.ms;
    watch->heard = budget->spent;
    watch->since = thread_ms();
    return false;
}

/* A signal's handler, on the thread that runs Lua: lua_sethook may be called from one. A call that has gone on since
 * the tick before is counted from now on. */
static void tick(void *context)
{
    struct qn_state *state = context;
    struct qn_budget_watch *watch = &state->watch;
    lua_State *L = watch->running;
    if (!L) return;
    if (watch->seen != watch->round) {
        watch->seen = watch->round;
        watch->heard = state->budget.spent;
        watch->since = thread_ms();
        return;
    }
    if (!lua_gethook(L)) lua_sethook(L, hook, LUA_MASKCOUNT, STEP);
    if (!is_stuck(watch, &state->budget)) return;
    watch->lost = true;
    watch->stuck.tell(watch->stuck.context);
}

/* The alarm sees either no call or one that is whole. */
static void watch(lua_State *L, struct qn_budget budget)
{
    struct qn_state *state = qn_state_of(L);
    state->watch.running = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    stay_if_lost(state);
    state->budget = budget;
    if (budget.limit == 0 || (state->watch.alarm && !budget.tripped)) {
        if (lua_gethook(L)) lua_sethook(L, NULL, 0, 0);
    } else {
        lua_sethook(L, hook, LUA_MASKCOUNT, budget.tripped ? 1 : STEP);
    }
    state->watch.round++;
    atomic_signal_fence(memory_order_seq_cst);
    state->watch.running = budget.limit ? L : NULL;
}

void qn_budget_relax(lua_State *L, const struct qn_budget_stuck *stuck)
{
    struct qn_state *state = qn_state_of(L);
    if (stuck) state->watch.stuck = *stuck;
    if (!state->watch.alarm) state->watch.alarm = qn_alarm_new(tick, state);
}

void qn_budget_stop(lua_State *L)
{
    struct qn_state *state = qn_state_of(L);
    qn_alarm_free(state->watch.alarm);
    state->watch.alarm = NULL;
}

void qn_budget_watch_coroutine(lua_State *co)
{
    if (qn_state_of(co)->watch.alarm) lua_sethook(co, hook, LUA_MASKCOUNT, STEP);
}

struct qn_budget qn_budget_begin(lua_State *L, uint64_t instructions)
{
    struct qn_budget outer = qn_state_of(L)->budget;
    watch(L, (struct qn_budget){.limit = instructions});
    return outer;
}

void qn_budget_end(lua_State *L, struct qn_budget outer)
{
    watch(L, outer);
}

bool qn_budget_tripped(lua_State *L)
{
    return qn_state_of(L)->budget.tripped;
}
