/* bind_json.h - JSON values as Lua values, for quern.core.json, quern.core.view and other bindings.
 *
 *     null       quern.null, the light userdata NULL (the same in every state, and cjson's null)
 *     number     integer within 64 bits, else float, else (its value is no float's shortest decimal) quern.number
 *     array      table with the metatable "quern.array", so that [] stays []
 *     object     table; the last of duplicate members wins
 * The thread that owns the state. Functions here may raise (memory) unless they say otherwise. */
#pragma once

#include <lua.h>
#include <stdbool.h>

#include "json/scalar.h"
#include "lua/wide.h"

#define QN_LUA_ARRAY  "quern.array"
#define QN_LUA_NUMBER "quern.number"

/* A userdata that owns a reference on a document and the scratch that decoding needs, so that neither leaks when
 * something raises. doc is NULL in a new one and after qn_lua_close_doc. One user value, for whoever makes it. */
struct qn_lua_doc {
    struct qn_doc *doc;
    struct qn_buf scratch;
    uint64_t generation;  /* another one once the document was let go */
    struct qn_wide *wide; /* NULL until a view looks into a wide object */
};
struct qn_lua_doc *qn_lua_new_doc(lua_State *L);  /* pushes it */
void qn_lua_close_doc(struct qn_lua_doc *holder); /* lets go of both; raises nothing */
/* Indexes the string or bytes at index into holder. False with err filled; raises for any other type. */
bool qn_lua_parse_doc(lua_State *L, int index, struct qn_lua_doc *holder, struct qn_err *err);

void qn_lua_push_null(lua_State *L);
bool qn_lua_is_null(lua_State *L, int index); /* raises nothing */
/* Pushes the string that node is (a key, too). */
void qn_lua_push_text(lua_State *L, struct qn_lua_doc *holder, qn_node node);
/* Pushes a node that is neither array nor object. */
void qn_lua_push_scalar(lua_State *L, struct qn_lua_doc *holder, qn_node node);
/* The same of a node that was looked at. */
void qn_lua_push_looked_at(lua_State *L, struct qn_lua_doc *holder, qn_node node, struct qn_scalar value);
/* Pushes a node with all that is below it, copied into tables. */
void qn_lua_push_deep(lua_State *L, struct qn_lua_doc *holder, qn_node node);
/* Pushes the metatable that marks arrays. */
void qn_lua_push_array_marker(lua_State *L);
