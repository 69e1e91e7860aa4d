/* bind_env.h - variables: the process environment, then those of --env-file. Main thread. */
#pragma once

#include <lua.h>

struct qn_env; /* values of env files */

void qn_env_free(struct qn_env *env); /* NULL is fine */

int luaopen_quern_core_env(lua_State *L);
