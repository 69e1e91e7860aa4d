/* convert_plan.h - the plan part of quern.core.convert: from an option table to a compiled plan. Main thread. */
#pragma once

#include <lua.h>

#include "rows/convert.h"

/* The option `as` of the table at index. where goes before messages. Raises kind "usage" with the names there are. */
enum qn_as qn_lua_as_field(lua_State *L, int index, const char *where);
/* Makes the type known. */
void qn_lua_open_plan(lua_State *L);
/* convert.plan{...}: the options are argument 1; pushes the plan. Raises kind "usage" with the field and its column. */
int qn_lua_new_plan(lua_State *L);
