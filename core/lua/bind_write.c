/* bind_write.c - the writer of quern.core.run: tables of values as rows into a sink, from the main state. Conversion
 * only.
 *
 * A writer keeps its plan, its sink and the table of its columns alive (user values 1 to 3). */
#include <lauxlib.h>
#include <lua.h>

#include "lua/bind_convert.h"
#include "lua/bind_run.h"
#include "lua/luax.h"
#include "lua/row_table.h"
#include "lua/state.h"
#include "lua/values.h"
#include "run/writer.h"

#define WRITER "quern.writer"

struct writer_box {
    struct qn_writer *writer;
    struct qn_row_table table;
};

/* writer{ plan=, sink= } -> writer | nil, err. Writes the header line of CSV. */
int qn_lua_new_writer(lua_State *L)
{
    static const char *const names[] = {"plan", "sink", NULL};
    struct qn_err err;
    qn_run_check_options(L, names);
    lua_settop(L, 1);
    lua_getfield(L, 1, "plan"); /* [options, plan, sink] */
    lua_getfield(L, 1, "sink");
    struct qn_plan *plan = qn_lua_check_plan(L, 2);
    struct qn_sink *sink = qn_lua_check_sink(L, 3);
    qn_lua_values_open(L);
    struct writer_box *box = qn_run_new_box(L, WRITER, sizeof *box, 3); /* [options, plan, sink, box] */
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 4, 1);
    lua_pushvalue(L, 3);
    lua_setiuservalue(L, 4, 2);
    qn_row_table_push_columns(L, plan);
    lua_setiuservalue(L, 4, 3);
    if (qn_row_table_init(&box->table, plan) < 0) return luaL_error(L, "not enough memory");
    return qn_writer_new(plan, sink, &box->writer, &err) < 0 ? qn_lua_fail(L, NULL, &err) : 1;
}

static int l_writer_gc(lua_State *L)
{
    struct writer_box *box = luaL_checkudata(L, 1, WRITER);
    qn_writer_free(box->writer);
    box->writer = NULL;
    if (box->table.values) qn_row_table_free(&box->table);
    return 0;
}

static struct writer_box *check_writer(lua_State *L)
{
    struct writer_box *box = luaL_checkudata(L, 1, WRITER);
    if (!box->writer) luaL_error(L, "the writer is closed");
    return box;
}

static int answer(lua_State *L, int rc, const struct qn_err *err)
{
    if (rc < 0) return qn_lua_fail(L, NULL, err);
    lua_pushboolean(L, true);
    return 1;
}

/* writer:row(table) -> true | nil, err; kind "script" or "invalid": the row cannot be written, and nothing of it was */
static int l_writer_row(lua_State *L)
{
    struct qn_err err;
    struct writer_box *box = check_writer(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    qn_state_check_loaded(L, "quern.emit");
    lua_settop(L, 2);
    lua_getiuservalue(L, 1, 3); /* [writer, row, columns] */
    int rc = qn_row_table_emit(L, &box->table, 3, 2, qn_writer_begin(box->writer), &err);
    if (rc == 0) rc = qn_writer_end(box->writer, &err);
    return answer(L, rc, &err);
}

/* writer:flush() -> true | nil, err */
static int l_writer_flush(lua_State *L)
{
    struct qn_err err;
    return answer(L, qn_writer_flush(check_writer(L)->writer, &err), &err);
}

void qn_lua_open_writer(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", l_writer_gc}, {"__close", l_writer_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"row", l_writer_row}, {"flush", l_writer_flush}, {"close", l_writer_gc}, {NULL, NULL}};
    qn_lua_new_type(L, WRITER, meta, methods);
}
