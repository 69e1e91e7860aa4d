/* budget.c - see budget.h. */
#include "lua/budget.h"

#include <lauxlib.h>

#include "lua/state.h"

#define STEP 1000 /* instructions between two looks */

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct qn_state *state = qn_state_of(L);
    if (state->budget == 0) {
        lua_sethook(L, NULL, 0, 0); /* a coroutine that outlived its budget */
        return;
    }
    state->spent += state->tripped ? 0 : STEP;
    if (state->spent < state->budget) return;
    state->tripped = true;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    luaL_error(L, "more than %I Lua instructions in one call", (LUAI_UACINT)state->budget);
}

void qn_budget_begin(lua_State *L, uint64_t instructions)
{
    struct qn_state *state = qn_state_of(L);
    state->budget = instructions;
    state->spent = 0;
    state->tripped = false;
    if (instructions) lua_sethook(L, hook, LUA_MASKCOUNT, STEP);
}

void qn_budget_end(lua_State *L)
{
    struct qn_state *state = qn_state_of(L);
    state->budget = 0;
    lua_sethook(L, NULL, 0, 0);
}

bool qn_budget_tripped(lua_State *L)
{
    return qn_state_of(L)->tripped;
}
