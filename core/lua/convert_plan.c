#include "lua/convert_plan.h"

#include <string.h>

#include <lauxlib.h>

#include "lua/bind_convert.h"
#include "lua/luax.h"
#include "rows/convert.h"

#define PLAN "quern.plan"

static const char *const as_names[] = {"any", "text", "integer", "number", "bool", "time", "json", NULL};
static const char *const reduce_names[] = {"none", "first", "last", "count", "sum", "min",
                                           "max",  "avg",   "join", "list",  NULL};
static const char *const format_names[] = {"csv", "ndjson", "json", NULL};
static const char *const on_error_names[] = {"stop", "skip", "quarantine", NULL};

struct qn_plan *qn_lua_check_plan(lua_State *L, int index)
{
    struct qn_plan **box = luaL_checkudata(L, index, PLAN);
    luaL_argcheck(L, *box, index, "the plan is gone");
    return *box;
}

static int usage(lua_State *L, const char *message, size_t column)
{
    qn_lua_push_error(L, "usage", message); /* [error] */
    if (column > 0) {
        lua_pushinteger(L, (lua_Integer)column);
        lua_setfield(L, -2, "column");
    }
    lua_pushinteger(L, 2);
    lua_setfield(L, -2, "exit");
    return lua_error(L);
}

/* Texts stay valid while the option table holds them. May raise. */
static const char *text_field(lua_State *L, int index, const char *name, const char *where)
{
    int type = lua_getfield(L, index, name);
    if (type != LUA_TNIL && type != LUA_TSTRING) {
        usage(L, lua_pushfstring(L, "%s%s must be a string, not a %s", where, name, lua_typename(L, type)), 0);
    }
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

static int choice(lua_State *L, int index, const char *name, const char *where, const char *const *names, int fallback)
{
    const char *text = text_field(L, index, name, where);
    if (!text) return fallback;
    int count = 0;
    for (; names[count]; count++) {
        if (strcmp(names[count], text) == 0) return count;
    }
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (int i = 0; i < count; i++) {
        if (i > 0) luaL_addstring(&list, ", ");
        luaL_addstring(&list, names[i]);
    }
    luaL_pushresult(&list);
    return usage(L, lua_pushfstring(L, "%s%s = '%s' is not one of %s", where, name, text, lua_tostring(L, -1)), 0);
}

enum qn_as qn_lua_as_field(lua_State *L, int index, const char *where)
{
    return (enum qn_as)choice(L, index, "as", where, as_names, QN_AS_ANY);
}

static bool flag(lua_State *L, int index, const char *name)
{
    lua_getfield(L, index, name);
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

/* [..., list]: pushes the list of a field, or an empty table; its length. May raise. */
static size_t push_list(lua_State *L, const char *name)
{
    int type = lua_getfield(L, 1, name);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        lua_newtable(L);
    } else if (type != LUA_TTABLE) {
        usage(L, lua_pushfstring(L, "%s must be a list, not a %s", name, lua_typename(L, type)), 0);
    }
    return lua_rawlen(L, -1);
}

/* Arrays for the spec live in userdata on the stack, so that an error loses nothing. */
static void *push_array(lua_State *L, size_t count, size_t size)
{
    void *array = lua_newuserdatauv(L, count * size + 1, 0);
    memset(array, 0, count * size + 1);
    return array;
}

static void read_records(lua_State *L, struct qn_plan_spec *spec)
{
    size_t count = push_list(L, "records"); /* [..., list] */
    const char **paths = push_array(L, count, sizeof *paths);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TSTRING) usage(L, "records must be a list of paths", 0);
        paths[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    spec->records = paths;
    spec->record_levels = count;
}

static void read_facts(lua_State *L, struct qn_plan_spec *spec)
{
    size_t count = push_list(L, "facts");
    struct qn_fact_spec *facts = push_array(L, count, sizeof *facts);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TTABLE) usage(L, "facts must be a list of { name, path }", 0);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2); /* [..., fact, name, path] */
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) {
            usage(L, "facts must be a list of { name, path }", 0);
        }
        facts[i] = (struct qn_fact_spec){lua_tostring(L, -2), lua_tostring(L, -1)};
        lua_pop(L, 3);
    }
    spec->facts = facts;
    spec->fact_count = count;
}

/* [..., column]: one column of the list. */
static void read_column(lua_State *L, size_t number, struct qn_column_spec *column)
{
    int index = lua_gettop(L), is_number = 1;
    column->name = text_field(L, index, "name", "");
    const char *where = lua_pushfstring(L, "columns[%d] '%s': ", (int)number, column->name ? column->name : "?");
    column->path = text_field(L, index, "path", where);
    column->separator = text_field(L, index, "separator", where);
    column->default_json = text_field(L, index, "default", where);
    column->as = qn_lua_as_field(L, index, where);
    column->reduce = (enum qn_reduce)choice(L, index, "reduce", where, reduce_names, QN_REDUCE_NONE);
    if (lua_getfield(L, index, "scale") != LUA_TNIL) {
        column->scale = lua_tonumberx(L, -1, &is_number);
        if (!is_number || column->scale == 0)
            usage(L, lua_pushfstring(L, "%sscale must be a number other than 0", where), 0);
    }
    column->round = -1;
    if (lua_getfield(L, index, "round") != LUA_TNIL) {
        lua_Integer round = lua_tointegerx(L, -1, &is_number);
        if (!is_number || round < 0 || round > 15)
            usage(L, lua_pushfstring(L, "%sround must be 0 to 15 decimals", where), 0);
        column->round = (int)round;
    }
    if (lua_getfield(L, index, "level") != LUA_TNIL) {
        lua_Integer level = lua_tointegerx(L, -1, &is_number);
        if (!is_number || level < 0 || level > 100)
            usage(L, lua_pushfstring(L, "%slevel must be a whole number from 0", where), 0);
        column->level = (int)level;
    }
    lua_settop(L, index);
}

static void read_columns(lua_State *L, struct qn_plan_spec *spec)
{
    size_t count = push_list(L, "columns"); /* [..., list] */
    struct qn_column_spec *columns = push_array(L, count, sizeof *columns);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)i + 1) != LUA_TTABLE) usage(L, "columns must be a list of tables", 0);
        read_column(L, i + 1, &columns[i]);
        lua_pop(L, 1);
    }
    spec->columns = columns;
    spec->column_count = count;
}

int qn_lua_new_plan(lua_State *L)
{
    struct qn_err err = {0};
    struct qn_plan_spec spec = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    read_records(L, &spec);
    read_facts(L, &spec);
    read_columns(L, &spec);
    spec.key = text_field(L, 1, "key", "");
    spec.owner = text_field(L, 1, "owner", "");
    spec.raw = flag(L, 1, "raw");
    spec.has_transform = flag(L, 1, "transform");
    spec.csv_safe = flag(L, 1, "csv_safe");
    spec.format = (enum qn_format)choice(L, 1, "format", "", format_names, QN_FORMAT_NDJSON);
    spec.on_error = (enum qn_on_error)choice(L, 1, "on_error", "", on_error_names, QN_ON_ERROR_STOP);
    struct qn_plan **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, PLAN);
    int rc = qn_plan_new(&spec, box, &err);
    if (rc < 0) {
        *box = NULL;
        return usage(L, err.text, rc == QN_ESYNTAX ? err.offset + 1 : 0);
    }
    return 1;
}

static int l_plan_gc(lua_State *L)
{
    struct qn_plan **box = luaL_checkudata(L, 1, PLAN);
    qn_plan_unref(*box);
    *box = NULL;
    return 0;
}

static int l_plan_header(lua_State *L)
{
    const struct qn_plan *plan = qn_lua_check_plan(L, 1);
    struct qn_buf header;
    luaL_Buffer out;
    size_t most = 2; /* every byte doubled or tripled, quotes, a comma, an apostrophe: room first, because making room
                        may raise */
    for (size_t i = 0; i < qn_plan_column_count(plan); i++) most += 3 * strlen(qn_plan_column_name(plan, i)) + 4;
    char *room = luaL_buffinitsize(L, &out, most);
    qn_buf_init(&header, most);
    int rc = qn_plan_header(plan, &header);
    size_t size = rc == 0 ? header.size : 0;
    if (size > 0) memcpy(room, header.data, size);
    qn_buf_free(&header);
    if (rc < 0) return luaL_error(L, "not enough memory");
    luaL_pushresultsize(&out, size);
    return 1;
}

/* plan:unfound() -> list of names */
static int l_plan_unfound(lua_State *L)
{
    const struct qn_plan *plan = qn_lua_check_plan(L, 1);
    lua_newtable(L);
    for (size_t i = 0; i < qn_plan_column_count(plan); i++) {
        if (qn_plan_column_found(plan, i)) continue;
        lua_pushstring(L, qn_plan_column_name(plan, i));
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    return 1;
}

void qn_lua_open_plan(lua_State *L)
{
    static const luaL_Reg meta[] = {{"__gc", l_plan_gc}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"header", l_plan_header}, {"unfound", l_plan_unfound}, {NULL, NULL}};
    luaL_newmetatable(L, PLAN);
    luaL_setfuncs(L, meta, 0);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
