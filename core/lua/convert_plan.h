/* convert_plan.h - the plan part of quern.core.convert: from an option table to a compiled plan. Main thread. */
#pragma once

#include <lua.h>

/* Makes the type known. */
void qn_lua_open_plan(lua_State *L);
/* convert.plan{...}: the options are argument 1; pushes the plan. Raises kind "usage" with the field and its column. */
int qn_lua_new_plan(lua_State *L);
