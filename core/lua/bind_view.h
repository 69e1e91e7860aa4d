/* bind_view.h - records as lazy views: a document's arrays and objects as read-only Lua values that hold no copy.
 *
 * A view made inside a scope is dead once the scope has ended: any use raises "record used after its page", and the
 * document is let go at once. A view made outside lives as long as Lua keeps it. The thread that owns the state. */
#pragma once

#include <lua.h>
#include <stdbool.h>

#include "json/doc.h"

#define QN_LUA_VIEW "quern.view"

/* Pushes the value of node: a view (which takes a reference on doc) of an array or object, the Lua value of anything
 * else. May raise (memory). */
void qn_view_push(lua_State *L, struct qn_doc *doc, qn_node node);
/* True and what the view at index shows (borrowed); false for anything else. Raises for a view that is dead. */
bool qn_view_of(lua_State *L, int index, struct qn_doc **doc, qn_node *node);
/* Neither raises nor allocates. They do nothing before quern.core.view was loaded. Scopes do not nest: begin ends
 * what was left open. */
void qn_view_scope_begin(lua_State *L);
void qn_view_scope_end(lua_State *L);
/* Pushes the view at index copied into tables, whole. Raises for a view that is dead, or anything else. */
void qn_view_push_copy(lua_State *L, int index);
/* Puts an ipairs in the place of Lua's that knows views. */
void qn_view_set_ipairs(lua_State *L);
