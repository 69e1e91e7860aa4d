/* bind_convert.h - plans and batches as Lua values, for bindings that take them. Main thread. */
#pragma once

#include <lua.h>

struct qn_batch;
struct qn_plan;

/* The plan of `convert.plan {...}`, borrowed from the userdata at index. Raises for anything else. */
struct qn_plan *qn_lua_check_plan(lua_State *L, int index);
/* The batch of `workers:rows(...)`, borrowed. Raises for anything else. */
struct qn_batch *qn_lua_check_batch(lua_State *L, int index);

int luaopen_quern_core_convert(lua_State *L);
