/* budget.h - how many Lua instructions one call of a script may use.
 *
 * Between begin and end a count hook watches; past the limit it raises "more than N Lua instructions", and again at every
 * further instruction, so that pcall cannot hide it. Coroutines made meanwhile are watched too. C functions (pattern
 * matching) are not counted. */
#pragma once

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#define QN_BUDGET_RECORD  10000000ull   /* one record's transform */
#define QN_BUDGET_TURN    2000000000ull /* one turn of a task on the main state */

void qn_budget_begin(lua_State *L, uint64_t instructions); /* 0: no limit */
void qn_budget_end(lua_State *L);
bool qn_budget_tripped(lua_State *L); /* since begin */
