/* json_encode.h - Lua values to JSON text: the functions behind json.encode and json.canonical.
 *
 * Object members are sorted by the bytes of their names. What has no JSON form (functions, secrets, NaN, tables with
 * both places and names, gaps, cycles, text that is not UTF-8) raises a quern.error of kind "json" that names the
 * place, as ".body.filter[2]". Views are written as they stand in their page; canonical sorts and rewrites them, too.
 */
#pragma once

#include <lua.h>

int qn_lua_json_encode(lua_State *L);    /* encode(value) -> string */
int qn_lua_json_canonical(lua_State *L); /* canonical(value) -> string */
