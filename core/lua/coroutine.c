/* coroutine.c - see coroutine.h.
 *
 * resume and wrap drive the inner coroutine; when it yields the wait token, they yield the token themselves and, once
 * resumed by the scheduler, resume the inner coroutine again. Only values that the script itself yields come out. */
#include "lua/coroutine.h"

#include <lauxlib.h>

#include "lua/budget.h"
#include "lua/state.h"
#include "lua/task.h"

static int drive(lua_State *L, lua_State *co, int narg, bool wrapped);

static int driven(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    lua_State *co = lua_tothread(L, 1);
    return drive(L, co, 0, ctx != 0);
}

static bool waits(lua_State *co, int results)
{
    return results == 1 && qn_is_wait(co, -1);
}

/* L: [co, ...]; the arguments are on co already. */
static int drive(lua_State *L, lua_State *co, int narg, bool wrapped)
{
    int results = 0;
    int status = lua_resume(co, L, narg, &results);
    if (status == LUA_YIELD && qn_task_killed(L)) return lua_yield(L, 0);
    if (status == LUA_YIELD && waits(co, results)) {
        lua_settop(L, 1);
        lua_xmove(co, L, 1); /* the token */
        return lua_yieldk(L, 1, wrapped, driven);
    }
    if (status == LUA_OK || status == LUA_YIELD) {
        if (!lua_checkstack(L, results + 1)) return luaL_error(L, "too many results of a coroutine");
        if (!wrapped) lua_pushboolean(L, true);
        lua_xmove(co, L, results);
        return results + !wrapped;
    }
    if (wrapped) {
        lua_resetthread(co);
        lua_xmove(co, L, 1); /* the error, as it is */
        return lua_error(L);
    }
    lua_pushboolean(L, false);
    lua_xmove(co, L, 1);
    return 2;
}

static lua_State *check_co(lua_State *L)
{
    lua_State *co = lua_tothread(L, 1);
    luaL_argexpected(L, co, 1, "coroutine");
    return co;
}

/* Dead or running: lua_resume tells, but only with its own stack in order. */
static int move_arguments(lua_State *L, lua_State *co)
{
    int narg = lua_gettop(L) - 1;
    if (!lua_checkstack(co, narg)) luaL_error(L, "too many arguments for a coroutine");
    lua_xmove(L, co, narg);
    return narg;
}

static int l_resume(lua_State *L)
{
    lua_State *co = check_co(L);
    return drive(L, co, move_arguments(L, co), false);
}

static int wrapped_call(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1); /* [co, args...] */
    lua_State *co = lua_tothread(L, 1);
    return drive(L, co, move_arguments(L, co), true);
}

static int l_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *co = lua_newthread(L);
    qn_budget_watch_coroutine(co);
    lua_pushvalue(L, 1);
    lua_xmove(L, co, 1);
    return 1;
}

static int l_wrap(lua_State *L)
{
    l_create(L);
    lua_pushcclosure(L, wrapped_call, 1);
    return 1;
}

void qn_lua_push_coroutine(lua_State *L)
{
    static const char *const kept[] = {"close", "isyieldable", "running", "status", "yield", NULL};
    static const luaL_Reg ours[] = {{"create", l_create}, {"resume", l_resume}, {"wrap", l_wrap}, {NULL, NULL}};
    luaL_newlib(L, ours);
    lua_getglobal(L, "coroutine");
    for (int i = 0; kept[i]; i++) {
        lua_getfield(L, -1, kept[i]);
        lua_setfield(L, -3, kept[i]);
    }
    lua_pop(L, 1);
}
