/* bind_cell.c - quern.core.cell: one value converted as a column would convert it. Any state. Conversion only; see
 * rows/column.h. */
#include <lauxlib.h>
#include <string.h>

#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/bind_view.h"
#include "lua/convert_plan.h"
#include "lua/json_encode.h"
#include "lua/luax.h"
#include "lua/values.h"
#include "rows/column.h"

#define CELL "quern.cell"

struct cell {
    struct qn_column column; /* its path is "$": the value itself */
    struct qn_scratch scratch;
};

static int cell_gc(lua_State *L)
{
    struct cell *cell = lua_touserdata(L, 1);
    qn_column_done(&cell->column);
    qn_scratch_free(&cell->scratch);
    return 0;
}

/* cell.new { name, as, scale, round } -> cell; raises a quern.error of kind "usage" */
static int l_cell_new(lua_State *L)
{
    struct qn_err err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    struct qn_column_spec spec = {
        .name = qn_field_string(L, 1, "name", "value"),
        .path = "$",
        .as = qn_lua_as_field(L, 1, ""),
        .scale = qn_field_number(L, 1, "scale", 0),
        .round = (int)qn_field_integer(L, 1, "round", -1),
    };
    struct cell *cell = lua_newuserdatauv(L, sizeof *cell, 0);
    memset(cell, 0, sizeof *cell);
    qn_scratch_init(&cell->scratch);
    luaL_setmetatable(L, CELL);
    if (qn_column_init(&cell->column, &spec, 1, &err) < 0) return qn_lua_raise(L, "usage", &err);
    return 1;
}

/* [cell, value] -> [cell, value, holder]: the value as a node; a view is one already. May raise. */
static qn_node node_of(lua_State *L, struct qn_doc **doc)
{
    qn_node node;
    struct qn_err err;
    struct qn_lua_doc *holder = qn_lua_new_doc(L);
    if (qn_view_of(L, 2, doc, &node)) {
        holder->doc = qn_doc_ref(*doc);
        return node;
    }
    lua_pushcfunction(L, qn_lua_json_encode);
    lua_pushvalue(L, 2);
    lua_call(L, 1, 1); /* [cell, value, holder, text] */
    if (!qn_lua_parse_doc(L, -1, holder, &err)) luaL_error(L, "%s", err.text);
    lua_pop(L, 1);
    *doc = holder->doc;
    return QN_ROOT;
}

/* cell:read(value) -> value | nil, err: names the cell and what is wrong */
static int l_cell_read(lua_State *L)
{
    struct cell *cell = luaL_checkudata(L, 1, CELL);
    struct qn_doc *doc;
    struct qn_value value = {0};
    struct qn_err err = {0};
    luaL_checkany(L, 2);
    lua_settop(L, 2);
    qn_node node = node_of(L, &doc); /* [cell, value, holder] */
    qn_scratch_reset(&cell->scratch);
    int rc = qn_column_read(&cell->column, doc, node, &cell->scratch, &value, &err);
    if (rc == QN_ENOMEM) return luaL_error(L, "out of memory");
    if (rc < 0) return qn_lua_fail(L, "invalid", &err);
    qn_lua_push_value(L, &value);
    qn_lua_close_doc(lua_touserdata(L, 3));
    return 1;
}

int luaopen_quern_core_cell(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", l_cell_new}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", cell_gc}, {NULL, NULL}}, methods[] = {{"read", l_cell_read}, {NULL, NULL}};
    qn_lua_values_open(L);
    qn_lua_new_type(L, CELL, meta, methods);
    luaL_newlib(L, functions);
    return 1;
}
