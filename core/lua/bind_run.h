/* bind_run.h - inside core/lua: what bind_run.c, bind_tree.c and bind_write.c share. The thread that owns the state. */
#pragma once

#include <lauxlib.h>
#include <lua.h>

#include "run/chunk.h"
#include "sink/sink.h"

/* Argument 1 must be a table with none but these keys (NULL ends the list): an unknown option is told, not ignored. */
void qn_run_check_options(lua_State *L, const char *const *names);
/* Pushes a zeroed userdata of that type with so many user values. */
void *qn_run_new_box(lua_State *L, const char *type, size_t size, int values);

void qn_lua_open_tree(lua_State *L); /* makes the type known */
int qn_lua_new_tree(lua_State *L);   /* tree{...} of quern.core.run */
struct qn_tree *qn_lua_check_tree(lua_State *L, int index);
uint32_t qn_lua_check_leaf(lua_State *L, int index, const struct qn_tree *tree);

/* The sink at index, borrowed. Raises for anything else. */
struct qn_sink *qn_lua_check_sink(lua_State *L, int index);
void qn_lua_open_writer(lua_State *L);
int qn_lua_new_writer(lua_State *L); /* writer{...} of quern.core.run */
