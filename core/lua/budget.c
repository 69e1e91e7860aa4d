/* budget.c - see budget.h. */
#include "lua/budget.h"

#include <lauxlib.h>

#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

#define STEP 1000 /* instructions between two looks */
#define GRACE                                                                                                          \
    20000000 /* after an interrupt: a turn that would end by itself is not cut short in the middle of its work */

/* A turn that does not end keeps the loop from cancelling its task: it gets little more time. */
static void hear_interrupt(const struct qn_state *state, struct qn_budget *budget)
{
    const struct qn_runtime *runtime = state->runtime;
    if (budget->interrupted || state->loading || !runtime || !runtime->interrupted || !runtime->interruptible) return;
    if (budget->limit - budget->spent <= GRACE) return;
    budget->limit = budget->spent + GRACE;
    budget->interrupted = true;
}

static void hook(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct qn_state *state = qn_state_of(L);
    struct qn_budget *budget = &state->budget;
    if (budget->limit == 0) {
        lua_sethook(L, NULL, 0, 0); /* a coroutine that outlived its budget */
        return;
    }
    hear_interrupt(state, budget);
    budget->spent += budget->tripped ? 0 : STEP;
    if (budget->spent < budget->limit) return;
    budget->tripped = true;
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    if (budget->interrupted) {
        qn_runtime_hear_interrupt(L);
        qn_lua_push_error(L, "interrupted", "interrupted");
        lua_error(L);
    }
    luaL_error(L, "more than %I Lua instructions in one call: an endless loop?", (LUAI_UACINT)budget->limit);
}

static void watch(lua_State *L, struct qn_budget budget)
{
    qn_state_of(L)->budget = budget;
    if (budget.limit == 0)
        lua_sethook(L, NULL, 0, 0);
    else
        lua_sethook(L, hook, LUA_MASKCOUNT, budget.tripped ? 1 : STEP);
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
