#include "lua/values.h"

#include <string.h>

#include <lauxlib.h>

#include "json/number.h"
#include "lua/bind_json.h"

/* Keys of the registry: the addresses count. */
static const char decode_key, encode_key;

static void keep_field(lua_State *L, const char *field, const char *key)
{
    lua_getfield(L, -1, field); /* [json, value] */
    lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void qn_lua_values_open(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "quern.core.json");
    lua_call(L, 1, 1); /* [json] */
    keep_field(L, "decode", &decode_key);
    keep_field(L, "encode", &encode_key);
    lua_pop(L, 1);
}

/* Most numbers are short integers; the codec knows about the others. */
static bool push_short_integer(lua_State *L, const char *text, size_t size)
{
    int64_t value;
    if (!qn_number_short(text, size, &value)) return false;
    lua_pushinteger(L, value);
    return true;
}

static void push_decoded(lua_State *L, const char *text, size_t size)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &decode_key);
    lua_pushlstring(L, text, size);
    lua_call(L, 1, 1); /* [value]: the text is valid JSON */
}

void qn_lua_push_value(lua_State *L, const struct qn_value *value)
{
    switch (value->kind) {
    case QN_VALUE_MISSING: lua_pushnil(L); break;
    case QN_VALUE_NULL: qn_lua_push_null(L); break;
    case QN_VALUE_BOOL: lua_pushboolean(L, value->boolean); break;
    case QN_VALUE_INTEGER: lua_pushinteger(L, value->integer); break;
    case QN_VALUE_DOUBLE: lua_pushnumber(L, value->number); break;
    case QN_VALUE_TEXT: lua_pushlstring(L, value->text.data, value->text.size); break;
    case QN_VALUE_NUMBER:
        if (push_short_integer(L, value->text.data, value->text.size)) break;
        /* fallthrough */
    case QN_VALUE_JSON: push_decoded(L, value->text.data, value->text.size); break;
    }
}

static bool refuse_type(lua_State *L, int index)
{
    lua_pushfstring(L, "a %s cannot be written into a row", luaL_typename(L, index));
    return false;
}

/* The string on top, which nothing will keep alive, as a value. */
static bool take_text(lua_State *L, struct qn_arena *arena, enum qn_value_kind kind, struct qn_value *out)
{
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    const char *copy = text ? qn_arena_copy(arena, text, size) : NULL;
    lua_pop(L, 1);
    if (!copy) {
        lua_pushliteral(L, "out of memory");
        return false;
    }
    out->kind = kind;
    out->text.data = copy;
    out->text.size = size;
    return true;
}

static bool has_meta_name(lua_State *L, int index, const char *wanted)
{
    if (luaL_getmetafield(L, index, "__name") == LUA_TNIL) return false;
    const char *name = lua_tostring(L, -1);
    bool same = name && strcmp(name, wanted) == 0;
    lua_pop(L, 1);
    return same;
}

/* Tables, views, numbers by text: what the codec makes of them; what it refuses is refused in its words. */
static bool encode(lua_State *L, int index, struct qn_arena *arena, struct qn_value *out)
{
    index = lua_absindex(L, index);
    if (has_meta_name(L, index, "quern.instant")) {
        luaL_tolstring(L, index, NULL); /* [text] */
        return take_text(L, arena, QN_VALUE_TEXT, out);
    }
    enum qn_value_kind kind = luaL_testudata(L, index, QN_LUA_NUMBER) ? QN_VALUE_NUMBER : QN_VALUE_JSON;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &encode_key);
    lua_pushvalue(L, index);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) { /* [error] */
        luaL_tolstring(L, -1, NULL);
        lua_remove(L, -2);
        return false;
    }
    return take_text(L, arena, kind, out);
}

bool qn_lua_to_value(lua_State *L, int index, struct qn_arena *arena, struct qn_value *out)
{
    switch (lua_type(L, index)) {
    case LUA_TBOOLEAN:
        out->kind = QN_VALUE_BOOL;
        out->boolean = lua_toboolean(L, index);
        return true;
    case LUA_TNUMBER:
        out->kind = lua_isinteger(L, index) ? QN_VALUE_INTEGER : QN_VALUE_DOUBLE;
        if (out->kind == QN_VALUE_INTEGER)
            out->integer = lua_tointeger(L, index);
        else
            out->number = lua_tonumber(L, index);
        return true;
    case LUA_TSTRING: lua_pushvalue(L, index); return take_text(L, arena, QN_VALUE_TEXT, out);
    case LUA_TLIGHTUSERDATA: out->kind = QN_VALUE_NULL; return qn_lua_is_null(L, index) || refuse_type(L, index);
    case LUA_TTABLE:
    case LUA_TUSERDATA: return encode(L, index, arena, out);
    default: return refuse_type(L, index);
    }
}
