/* luax.c - error values and option fields. See luax.h. */
#include "lua/luax.h"

#include <string.h>

void qn_lua_push_error(lua_State *L, const char *kind, const char *message)
{
    lua_createtable(L, 0, 2);
    lua_pushstring(L, kind);
    lua_setfield(L, -2, "kind");
    lua_pushstring(L, message);
    lua_setfield(L, -2, "message");
    luaL_setmetatable(L, QN_LUA_ERROR);
}

static const char *kind_of(const char *kind, const struct qn_err *err)
{
    return kind ? kind : qn_err_name(err->code);
}

int qn_lua_fail(lua_State *L, const char *kind, const struct qn_err *err)
{
    lua_pushnil(L);
    qn_lua_push_error(L, kind_of(kind, err), err->text);
    return 2;
}

int qn_lua_raise(lua_State *L, const char *kind, const struct qn_err *err)
{
    qn_lua_push_error(L, kind_of(kind, err), err->text);
    return lua_error(L);
}

/* Pushes the field; false and nothing pushed when it is nil. */
static bool push_field(lua_State *L, int index, const char *name)
{
    if (lua_getfield(L, index, name) != LUA_TNIL) return true;
    lua_pop(L, 1);
    return false;
}

static void wrong(lua_State *L, const char *name, const char *wanted)
{
    luaL_error(L, "option '%s' must be a %s, not a %s", name, wanted, luaL_typename(L, -1));
}

const char *qn_field_string(lua_State *L, int index, const char *name, const char *otherwise)
{
    if (!push_field(L, index, name)) return otherwise;
    if (lua_type(L, -1) != LUA_TSTRING) wrong(L, name, "string");
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
}

lua_Integer qn_field_integer(lua_State *L, int index, const char *name, lua_Integer otherwise)
{
    int is_integer;
    if (!push_field(L, index, name)) return otherwise;
    lua_Integer value = lua_tointegerx(L, -1, &is_integer);
    if (!is_integer) wrong(L, name, "whole number");
    lua_pop(L, 1);
    return value;
}

lua_Number qn_field_number(lua_State *L, int index, const char *name, lua_Number otherwise)
{
    if (!push_field(L, index, name)) return otherwise;
    if (lua_type(L, -1) != LUA_TNUMBER) wrong(L, name, "number");
    lua_Number value = lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

bool qn_field_boolean(lua_State *L, int index, const char *name, bool otherwise)
{
    if (!push_field(L, index, name)) return otherwise;
    if (lua_type(L, -1) != LUA_TBOOLEAN) wrong(L, name, "boolean");
    bool value = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

bool qn_field_given(lua_State *L, int index, const char *name)
{
    if (!push_field(L, index, name)) return false;
    lua_pop(L, 1);
    return true;
}

/* ---- quern.core.error ---- */

static int l_error_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    if (!lua_isstring(L, -1)) lua_pushliteral(L, "error without a message");
    return 1;
}

/* error.new(kind, message, fields?) -> error */
static int l_error_new(lua_State *L)
{
    const char *kind = luaL_checkstring(L, 1), *message = luaL_checkstring(L, 2);
    qn_lua_push_error(L, kind, message); /* [kind, message, fields?, error] */
    if (lua_istable(L, 3)) {
        for (lua_pushnil(L); lua_next(L, 3) != 0; lua_pop(L, 1)) { /* [.., error, key, value] */
            lua_pushvalue(L, -2);
            lua_pushvalue(L, -2);
            lua_rawset(L, -5);
        }
    }
    return 1;
}

/* error.is(value) -> boolean */
static int l_error_is(lua_State *L)
{
    bool is = lua_istable(L, 1) && lua_getmetatable(L, 1);
    if (is) {
        luaL_getmetatable(L, QN_LUA_ERROR);
        is = lua_rawequal(L, -1, -2);
    }
    lua_pushboolean(L, is);
    return 1;
}

int luaopen_quern_core_error(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", l_error_new}, {"is", l_error_is}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}

/* ---- types ---- */

void qn_lua_new_type(lua_State *L, const char *name, const luaL_Reg *meta, const luaL_Reg *methods)
{
    luaL_newmetatable(L, name);
    if (meta) luaL_setfuncs(L, meta, 0);
    if (methods) {
        lua_newtable(L);
        luaL_setfuncs(L, methods, 0);
        lua_setfield(L, -2, "__index");
    }
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

extern const luaL_Reg qn_lua_bytes_meta[], qn_lua_bytes_methods[];
extern const luaL_Reg qn_lua_secret_meta[], qn_lua_secret_methods[];

void qn_lua_open_types(lua_State *L)
{
    qn_lua_new_type(L, QN_LUA_BYTES, qn_lua_bytes_meta, qn_lua_bytes_methods);
    qn_lua_new_type(L, QN_LUA_SECRET, qn_lua_secret_meta, qn_lua_secret_methods);
    luaL_newmetatable(L, QN_LUA_ERROR);
    lua_pushcfunction(L, l_error_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
