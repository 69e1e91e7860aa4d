#include "lua/row_table.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "lua/values.h"

int qn_row_table_init(struct qn_row_table *table, const struct qn_plan *plan)
{
    table->plan = plan;
    qn_arena_init(&table->arena);
    table->values = qn_calloc(qn_plan_column_count(plan) + 1, sizeof *table->values);
    return table->values ? 0 : QN_ENOMEM;
}

void qn_row_table_free(struct qn_row_table *table)
{
    qn_arena_free(&table->arena);
    qn_free(table->values);
    table->values = NULL;
}

void qn_row_table_push_columns(lua_State *L, const struct qn_plan *plan)
{
    size_t count = qn_plan_column_count(plan);
    lua_createtable(L, (int)count, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, qn_plan_column_name(plan, i));
        lua_pushvalue(L, -1);
        lua_rawseti(L, -3, (lua_Integer)i + 1);
        lua_pushinteger(L, (lua_Integer)i);
        lua_rawset(L, -3);
    }
}

/* Names the first in the alphabet, so that the message does not depend on the order of a table. */
static int refuse_key(const struct qn_row_table *table, const char *key, struct qn_err *err)
{
    char names[400];
    size_t used = 0;
    names[0] = '\0';
    for (size_t i = 0; i < qn_plan_column_count(table->plan) && used < sizeof names; i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i > 0 ? ", " : "",
                                 qn_plan_column_name(table->plan, i));
    }
    return qn_fail(err, QN_ESCRIPT, "its row has '%.80s', which is not among the columns: %s%s", key, names,
                   used < sizeof names ? "" : "...");
}

int qn_row_table_emit(lua_State *L, struct qn_row_table *table, int columns, int row, struct qn_emit *emit,
                      struct qn_err *err)
{
    size_t count = qn_plan_column_count(table->plan);
    const char *unknown = NULL;
    qn_arena_reset(&table->arena);
    for (size_t i = 0; i < count; i++) table->values[i].kind = QN_VALUE_MISSING;
    lua_pushnil(L);
    while (lua_next(L, row)) { /* [key, value] */
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!key) return qn_fail(err, QN_ESCRIPT, "a row's keys are column names, not a %s", luaL_typename(L, -2));
        lua_pushvalue(L, -2);
        lua_rawget(L, columns); /* [key, value, number] */
        if (!lua_isinteger(L, -1)) {
            if (!unknown || strcmp(key, unknown) < 0) unknown = key; /* the row keeps it alive */
        } else {
            size_t number = (size_t)lua_tointeger(L, -1);
            if (!qn_lua_to_value(L, -2, &table->arena, &table->values[number])) {
                const char *problem = lua_tostring(L, -1);
                return qn_fail(err, QN_ESCRIPT, "column '%s': %s", key, problem ? problem : "cannot be written");
            }
        }
        lua_pop(L, 2); /* [key] */
    }
    return unknown ? refuse_key(table, unknown, err) : qn_emit_row(emit, table->values, err);
}
