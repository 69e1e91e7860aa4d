/* coroutine.h - the coroutine library of scripts: a wait inside a script's own coroutine is passed up to the task. */
#pragma once

#include <lua.h>

/* Pushes a table like the standard coroutine library. */
void qn_lua_push_coroutine(lua_State *L);
