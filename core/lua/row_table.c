#include "lua/row_table.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "lua/values.h"

/* The string of a column's name that the table of columns keeps. */
struct qn_row_name {
    const char *name; /* NULL: none yet */
    size_t column;
};

int qn_row_table_init(struct qn_row_table *table, const struct qn_plan *plan)
{
    size_t count = qn_plan_column_count(plan), places = 4;
    while (places < 2 * count) places *= 2;
    table->plan = plan;
    qn_arena_init(&table->arena);
    table->values = qn_calloc(count + 1, sizeof *table->values);
    table->names = qn_calloc(places, sizeof *table->names);
    table->name_mask = places - 1;
    if (table->values && table->names) return 0;
    qn_row_table_free(table);
    return QN_ENOMEM;
}

void qn_row_table_free(struct qn_row_table *table)
{
    qn_arena_free(&table->arena);
    qn_free(table->values);
    qn_free(table->names);
    table->values = NULL;
    table->names = NULL;
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
    return qn_fail(err, QN_ESCRIPT, "its row has '%s', which is not among the columns: %s%s", key, names,
                   used < sizeof names ? "" : "...");
}

/* The number of the column that key, the string at index, names; false: of none. A string that was seen to be the very
 * one that the table of columns keeps is known by its address. */
static bool find_column(lua_State *L, struct qn_row_table *table, int columns, int index, const char *key, size_t *out)
{
    struct qn_row_name *known = &table->names[((uintptr_t)key >> 4) & table->name_mask];
    if (known->name != key) {
        lua_pushvalue(L, index);
        if (lua_rawget(L, columns) != LUA_TNUMBER) { /* [number | nil] */
            lua_pop(L, 1);
            return false;
        }
        *out = (size_t)lua_tointeger(L, -1);
        lua_rawgeti(L, columns, (lua_Integer)*out + 1); /* [number, name] */
        if (lua_tostring(L, -1) == key) *known = (struct qn_row_name){key, *out};
        lua_pop(L, 2);
        return true;
    }
    *out = known->column;
    return true;
}

/* Before Lua code may run that could change the row: texts that the row was to keep are copied. */
static bool own_texts(struct qn_row_table *table)
{
    table->copies = true;
    for (size_t i = 0; i < qn_plan_column_count(table->plan); i++) {
        struct qn_value *value = &table->values[i];
        if (value->kind != QN_VALUE_TEXT) continue;
        value->text.data = qn_arena_copy(&table->arena, value->text.data, value->text.size);
        if (!value->text.data) return false;
    }
    return true;
}

/* The value on top; false with a text pushed that says why not. */
static bool read_value(lua_State *L, struct qn_row_table *table, struct qn_value *out)
{
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING && !table->copies) {
        out->text.data = lua_tolstring(L, -1, &out->text.size);
        out->kind = QN_VALUE_TEXT;
        return true;
    }
    if ((type == LUA_TTABLE || type == LUA_TUSERDATA) && !table->copies && !own_texts(table)) {
        lua_pushliteral(L, "out of memory");
        return false;
    }
    return qn_lua_to_value(L, -1, &table->arena, out);
}

int qn_row_table_emit(lua_State *L, struct qn_row_table *table, int columns, int row, struct qn_emit *emit,
                      struct qn_err *err)
{
    size_t count = qn_plan_column_count(table->plan);
    bool found_unknown = false;
    char unknown[81] = ""; /* a copy: reading a later value may change the row */
    qn_arena_reset(&table->arena);
    table->copies = false;
    for (size_t i = 0; i < count; i++) table->values[i].kind = QN_VALUE_MISSING;
    lua_pushnil(L);
    while (lua_next(L, row)) { /* [key, value] */
        const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        if (!key) return qn_fail(err, QN_ESCRIPT, "a row's keys are column names, not a %s", luaL_typename(L, -2));
        size_t number;
        if (!find_column(L, table, columns, -2, key, &number)) {
            if (!found_unknown || strcmp(key, unknown) < 0) snprintf(unknown, sizeof unknown, "%s", key);
            found_unknown = true;
        } else if (!read_value(L, table, &table->values[number])) {
            const char *problem = lua_tostring(L, -1);
            return qn_fail(err, QN_ESCRIPT, "column '%s': %s", key, problem ? problem : "cannot be written");
        }
        lua_pop(L, 1); /* [key] */
    }
    return found_unknown ? refuse_key(table, unknown, err) : qn_emit_row(emit, table->values, err);
}
