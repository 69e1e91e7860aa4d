/* sim.h - the simulated transport answered by a Lua function, for tests in virtual time. Main thread. */
#pragma once

#include <lua.h>

#include "lua/runtime.h"

/* The function set by quern.core.sim.serve(fn) is called with { at, method, url, headers, body } for each request and
 * answers { status, headers = {{name, value}...}, body, after_ms, kind, message, never_sent }. */
int qn_lua_sim_new(struct qn_runtime *runtime, struct qn_transport **out, struct qn_err *err);

int luaopen_quern_core_sim(lua_State *L);
