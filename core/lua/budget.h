/* budget.h - how many Lua instructions one call of a script may use.
 *
 * Between begin and end a count hook watches; past the limit it raises "more than N Lua instructions", and again at
 * every further instruction, so that pcall cannot hide it. Coroutines made meanwhile are watched too. C functions
 * (pattern matching) are not counted. When the runtime is interrupted, a turn that goes on for long ends likewise, with
 * an error of kind "interrupted": a task that never waits would not hear of it. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define QN_BUDGET_RECORD 10000000ull   /* one record's transform */
#define QN_BUDGET_LOAD   100000000ull  /* the top level of a script */
#define QN_BUDGET_TURN   2000000000ull /* one turn of a task on the main state */

struct qn_budget { /* what a begin put aside; open so that it can live on the stack */
    uint64_t limit, spent;
    bool tripped;
    bool interrupted; /* the limit was lowered, for an interrupt */
};

/* Starts a budget (0: no limit) on the running thread and gives back the one that was in force. */
struct qn_budget qn_budget_begin(lua_State *L, uint64_t instructions);
/* Ends it and goes on with the outer one. */
void qn_budget_end(lua_State *L, struct qn_budget outer);
bool qn_budget_tripped(lua_State *L); /* since begin */
