/* bind_secret.c - secrets as Lua values that do not print themselves, and quern.core.secret. See luax.h. */
#include <string.h>

#include "json/write.h"
#include "lua/luax.h"

struct qn_secret **qn_lua_new_secret(lua_State *L)
{
    struct qn_secret **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL; /* __gc accepts this */
    luaL_setmetatable(L, QN_LUA_SECRET);
    return slot;
}

static int filled(lua_State *L, struct qn_secret *const *slot)
{
    if (!*slot) return luaL_error(L, "out of memory");
    return 1;
}

void qn_lua_push_secret(lua_State *L, struct qn_secret *secret)
{
    *qn_lua_new_secret(L) = qn_secret_ref(secret);
}

struct qn_secret *qn_lua_test_secret(lua_State *L, int index)
{
    struct qn_secret **slot = luaL_testudata(L, index, QN_LUA_SECRET);
    return slot ? *slot : NULL;
}

static struct qn_secret *check_secret(lua_State *L, int index)
{
    struct qn_secret **slot = luaL_checkudata(L, index, QN_LUA_SECRET);
    return *slot;
}

static int secret_gc(lua_State *L)
{
    struct qn_secret **slot = luaL_checkudata(L, 1, QN_LUA_SECRET);
    qn_secret_unref(*slot);
    *slot = NULL;
    return 0;
}

static int secret_tostring(lua_State *L)
{
    lua_pushliteral(L, "[secret]");
    return 1;
}

/* secret .. text, text .. secret, secret .. secret: a secret. */
static int secret_concat(lua_State *L)
{
    struct qn_secret *left = qn_lua_test_secret(L, 1), *right = qn_lua_test_secret(L, 2);
    size_t size;
    struct qn_secret **slot;
    if (left) {
        const char *text = right ? qn_secret_value(right, &size) : luaL_checklstring(L, 2, &size);
        slot = qn_lua_new_secret(L);
        *slot = qn_secret_concat(NULL, 0, left, text, size);
    } else {
        const char *text = luaL_checklstring(L, 1, &size);
        slot = qn_lua_new_secret(L);
        *slot = qn_secret_concat(text, size, right, NULL, 0);
    }
    return filled(L, slot);
}

/* secret:basic(user) -> secret "Basic <base64 of user:secret>" */
static int secret_basic(lua_State *L)
{
    size_t size;
    struct qn_secret *secret = check_secret(L, 1);
    const char *user = luaL_checklstring(L, 2, &size);
    struct qn_secret **pair = qn_lua_new_secret(L);
    *pair = qn_secret_basic(secret, user, size);
    filled(L, pair);
    struct qn_secret **slot = qn_lua_new_secret(L);
    *slot = qn_secret_concat("Basic ", 6, *pair, NULL, 0);
    return filled(L, slot);
}

/* secret:form() -> secret, application/x-www-form-urlencoded */
static int secret_form(lua_State *L)
{
    struct qn_secret *secret = check_secret(L, 1);
    struct qn_secret **slot = qn_lua_new_secret(L);
    *slot = qn_secret_form(secret);
    return filled(L, slot);
}

/* secret:json() -> secret, a JSON string with its quotes */
static int secret_json(lua_State *L)
{
    size_t size;
    const char *value = qn_secret_value(check_secret(L, 1), &size);
    struct qn_secret **slot = qn_lua_new_secret(L);
    struct qn_buf text;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    if (qn_json_string(&text, value, size) == 0) *slot = qn_secret_new(text.data, text.size);
    if (text.data) explicit_bzero(text.data, text.capacity);
    qn_buf_free(&text);
    return filled(L, slot);
}

const luaL_Reg qn_lua_secret_meta[] = {{"__gc", secret_gc},
                                       {"__close", secret_gc},
                                       {"__tostring", secret_tostring},
                                       {"__concat", secret_concat},
                                       {NULL, NULL}};
const luaL_Reg qn_lua_secret_methods[] = {
    {"basic", secret_basic}, {"form", secret_form}, {"json", secret_json}, {NULL, NULL}};

/* secret.new(text) -> secret */
static int l_secret_new(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_secret **slot = qn_lua_new_secret(L);
    *slot = qn_secret_new(text, size);
    return filled(L, slot);
}

/* secret.is(value) -> boolean */
static int l_secret_is(lua_State *L)
{
    lua_pushboolean(L, qn_lua_test_secret(L, 1) != NULL);
    return 1;
}

/* secret.redact(text) -> text: every live secret's value replaced by a mark */
static int l_secret_redact(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    if (!qn_secret_found(text, size)) {
        lua_settop(L, 1);
        return 1;
    }
    struct qn_bytes **slot = qn_lua_new_bytes(L);
    if (qn_redact(&out, text, size) == 0) *slot = qn_bytes_take(&out);
    qn_buf_free(&out);
    if (!*slot) return luaL_error(L, "out of memory");
    lua_pushlstring(L, qn_bytes_data(*slot), qn_bytes_size(*slot));
    return 1;
}

int luaopen_quern_core_secret(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"new", l_secret_new}, {"is", l_secret_is}, {"redact", l_secret_redact}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
