/* bind.h - the core modules: luaopen functions, found in Lua as quern.core.NAME. */
#pragma once

#include <lua.h>

/* pure: in every state */
int luaopen_quern_core_error(lua_State *L);
int luaopen_quern_core_secret(lua_State *L);
int luaopen_quern_core_json(lua_State *L);
int luaopen_quern_core_view(lua_State *L);
int luaopen_quern_core_time(lua_State *L);
int luaopen_quern_core_sandbox(lua_State *L);
int luaopen_quern_core_hash(lua_State *L);
int luaopen_quern_core_cell(lua_State *L);
/* main states only */
int luaopen_quern_core_task(lua_State *L);
int luaopen_quern_core_http(lua_State *L);
int luaopen_quern_core_url(lua_State *L);
int luaopen_quern_core_header(lua_State *L);
int luaopen_quern_core_flow(lua_State *L);
int luaopen_quern_core_server(lua_State *L);
int luaopen_quern_core_convert(lua_State *L);
int luaopen_quern_core_run(lua_State *L);
int luaopen_quern_core_event(lua_State *L);
int luaopen_quern_core_env(lua_State *L);
int luaopen_quern_core_files(lua_State *L);
