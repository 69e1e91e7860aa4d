/* budget.h - how many Lua instructions one call of a script may use.
 *
 * Between begin and end a count hook watches; past the limit it raises "more than N Lua instructions", and again at
 * every further instruction of a script, so that pcall cannot hide it. Functions of the library go on, so that they can
 * clean up after the script and say what happened. Coroutines made meanwhile are watched too. C functions
 * (pattern matching) are not counted; a relaxed state may have them watched. When the runtime is interrupted, a turn
 * that goes on for long ends likewise, with an error of kind "interrupted": a task that never waits would not hear of
 * it.
 *
 * A count hook makes Lua look at every instruction. A relaxed state counts only calls that go on: one that has used up
 * a whole step of its thread's alarm, 4 to 20 ms, is counted from there; coroutines always. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define QN_BUDGET_RECORD   10000000ull   /* one record's transform */
#define QN_BUDGET_LOAD     100000000ull  /* the top level of a script */
#define QN_BUDGET_TURN     2000000000ull /* one turn of a task on the main state */
#define QN_BUDGET_STUCK_MS 10000         /* processor time without coming back to Lua */

struct qn_alarm;

struct qn_budget { /* what a begin put aside; open so that it can live on the stack */
    uint64_t limit, spent;
    bool tripped;
    bool interrupted; /* the limit was lowered, for an interrupt */
};

/* In a relaxed state: what the alarm looks at. */
struct qn_budget_watch {
    struct qn_alarm *alarm; /* NULL: not relaxed */
    lua_State *volatile running;
    volatile unsigned round, seen; /* budgets so far; the one at the last tick */
    uint64_t heard, since;         /* what was spent at a tick, and the thread's ms when it last changed */
    struct qn_budget_stuck {
        uint64_t ms; /* 0: nobody watches */
        void (*tell)(void *context);
        void *context;
    } stuck;
    volatile bool lost; /* told */
};

/* Starts a budget (0: no limit) on the running thread and gives back the one that was in force. */
struct qn_budget qn_budget_begin(lua_State *L, uint64_t instructions);
/* Ends it and goes on with the outer one. */
void qn_budget_end(lua_State *L, struct qn_budget outer);
/* Relaxes a state that only the calling thread runs, until qn_budget_stop, which that thread calls before it closes the
 * state. Where there is no alarm, counting stays exact.
 *
 * stuck (NULL: none): told once, by a signal's handler on this thread, when a call has used its ms of processor time
 * and fewer than a thousand instructions. Then nobody waits for the thread any more: it never comes back to Lua. */
void qn_budget_relax(lua_State *L, const struct qn_budget_stuck *stuck);
void qn_budget_stop(lua_State *L);
/* A new coroutine: the alarm does not know it. */
void qn_budget_watch_coroutine(lua_State *co);
bool qn_budget_tripped(lua_State *L); /* since begin */
