/* luax.h - what every binding needs: error values, option fields, shared bytes and secrets as userdata.
 *
 * A failure of the world is returned as `nil, err`, err being a table { kind=, message=, ... } with the metatable
 * "quern.error", whose __tostring is the message. Misuse raises at the caller's line. The thread that owns the state.
 */
#pragma once

#include <stdbool.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/secret.h"

#define QN_LUA_ERROR  "quern.error"
#define QN_LUA_BYTES  "quern.bytes"
#define QN_LUA_SECRET "quern.secret"

/* Pushes { kind, message }. May raise (memory). */
void qn_lua_push_error(lua_State *L, const char *kind, const char *message);
/* Pushes nil and the error table of err; the kind is qn_err_name(err->code) when kind is NULL. Returns 2. */
int qn_lua_fail(lua_State *L, const char *kind, const struct qn_err *err);
/* Raises the error table of err. Does not return. */
int qn_lua_raise(lua_State *L, const char *kind, const struct qn_err *err);

/* Fields of an option table at index: absent gives the default; a wrong type raises and names the field. Strings stay
 * valid while the table holds them. Nothing is left on the stack. */
const char *qn_field_string(lua_State *L, int index, const char *name, const char *otherwise);
lua_Integer qn_field_integer(lua_State *L, int index, const char *name, lua_Integer otherwise);
lua_Number qn_field_number(lua_State *L, int index, const char *name, lua_Number otherwise);
bool qn_field_boolean(lua_State *L, int index, const char *name, bool otherwise);
bool qn_field_given(lua_State *L, int index, const char *name);

/* Registers the metatable of a userdata type: metamethods and methods (either may be NULL). Scripts see its name
 * instead of the table. */
void qn_lua_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods);

/* Bytes: `#b`, `tostring(b)`, `b:sub(i, j)`, `b:release()`. push takes its own reference; new pushes an empty one,
 * whose slot takes over the reference that is put there: nothing is lost if a later call raises. */
void qn_lua_push_bytes(lua_State *L, struct qn_bytes *bytes);
struct qn_bytes **qn_lua_new_bytes(lua_State *L);
struct qn_bytes *qn_lua_check_bytes(lua_State *L, int index);
struct qn_bytes *qn_lua_test_bytes(lua_State *L, int index); /* NULL for anything else */

/* Secrets: concatenate into secrets, print as "[secret]", `:basic(user)`, `:form()`, `:json()`. push takes its own
 * reference. */
void qn_lua_push_secret(lua_State *L, struct qn_secret *secret);
struct qn_secret **qn_lua_new_secret(lua_State *L);
struct qn_secret *qn_lua_test_secret(lua_State *L, int index); /* NULL for anything else */

/* Registers the metatables above. Called once a state by state.c. */
void qn_lua_open_types(lua_State *L);

int luaopen_quern_core_error(lua_State *L);
int luaopen_quern_core_secret(lua_State *L);
