/* bytes.c - shared immutable bytes as Lua values. See luax.h. */
#include "lua/luax.h"

struct qn_bytes **qn_lua_new_bytes(lua_State *L)
{
    struct qn_bytes **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL; /* __gc accepts this */
    luaL_setmetatable(L, QN_LUA_BYTES);
    return slot;
}

void qn_lua_push_bytes(lua_State *L, struct qn_bytes *bytes)
{
    *qn_lua_new_bytes(L) = qn_bytes_ref(bytes);
}

struct qn_bytes *qn_lua_check_bytes(lua_State *L, int index)
{
    struct qn_bytes **slot = luaL_checkudata(L, index, QN_LUA_BYTES);
    luaL_argcheck(L, *slot, index, "the bytes have been released");
    return *slot;
}

struct qn_bytes *qn_lua_test_bytes(lua_State *L, int index)
{
    struct qn_bytes **slot = luaL_testudata(L, index, QN_LUA_BYTES);
    return slot ? *slot : NULL;
}

static int bytes_gc(lua_State *L)
{
    struct qn_bytes **slot = luaL_checkudata(L, 1, QN_LUA_BYTES);
    qn_bytes_unref(*slot);
    *slot = NULL;
    return 0;
}

static int bytes_len(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qn_bytes_size(qn_lua_check_bytes(L, 1)));
    return 1;
}

static int bytes_tostring(lua_State *L)
{
    struct qn_bytes *bytes = qn_lua_check_bytes(L, 1);
    lua_pushlstring(L, qn_bytes_data(bytes), qn_bytes_size(bytes));
    return 1;
}

/* b:sub(i, j) as string.sub, without copying the rest. */
static int bytes_sub(lua_State *L)
{
    struct qn_bytes *bytes = qn_lua_check_bytes(L, 1);
    lua_Integer size = (lua_Integer)qn_bytes_size(bytes);
    lua_Integer first = luaL_checkinteger(L, 2), last = luaL_optinteger(L, 3, -1);
    if (first < 0) first = size + first + 1;
    if (first < 1) first = 1;
    if (last < 0) last = size + last + 1;
    if (last > size) last = size;
    if (first > last)
        lua_pushliteral(L, "");
    else
        lua_pushlstring(L, qn_bytes_data(bytes) + first - 1, (size_t)(last - first + 1));
    return 1;
}

const luaL_Reg qn_lua_bytes_meta[] = {
    {"__gc", bytes_gc}, {"__close", bytes_gc}, {"__len", bytes_len}, {"__tostring", bytes_tostring}, {NULL, NULL}};
/* b:release(): gives the memory back now instead of when the collector comes; b cannot be used after */
const luaL_Reg qn_lua_bytes_methods[] = {{"sub", bytes_sub}, {"release", bytes_gc}, {NULL, NULL}};
