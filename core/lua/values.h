/* values.h - the values of a row as Lua values, and back. Used by workers; any Lua state that can load quern.core.json.
 *
 *     text, number, integer, double, bool     string, integer or float (quern.number where neither is exact), boolean
 *     missing, null                           nil, quern.null
 *     json                                    what the exact codec makes of it
 *
 * Back, a table or view becomes JSON text, a time value its ISO 8601 text, a quern.number keeps its text. */
#pragma once

#include <lua.h>

#include "rows/arena.h"
#include "rows/row.h"

/* Loads what the two functions below need. Once a state. May raise. */
void qn_lua_values_open(lua_State *L);
/* Pushes one value. May raise. */
void qn_lua_push_value(lua_State *L, const struct qn_value *value);
/* The Lua value at index (not nil). Texts are copied into the arena: a script's metamethods may run between one value
 * and the next, and must not be able to pull a string away. False, and a message pushed that fits after "column 'x': ",
 * if it cannot be in a row. May raise. */
bool qn_lua_to_value(lua_State *L, int index, struct qn_arena *arena, struct qn_value *out);
