/* bind_http.c - quern.core.http: one exchange, waited for. Conversion only; see net/transport.h. */
#include <lauxlib.h>
#include <string.h>

#include "lua/bind.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"
#include "net/header.h"

#define EXCHANGE "quern.exchange"

#define MAX_HEADERS 100

static int exchange_gc(lua_State *L)
{
    struct qn_exchange **slot = lua_touserdata(L, 1);
    qn_exchange_free(*slot);
    *slot = NULL;
    return 0;
}

static void push_headers(lua_State *L, const struct qn_result *result)
{
    lua_createtable(L, (int)result->header_count, 0);
    for (size_t i = 0; i < result->header_count; i++) {
        lua_createtable(L, 2, 0);
        lua_pushstring(L, result->headers[i].name);
        lua_rawseti(L, -2, 1);
        lua_pushstring(L, result->headers[i].value);
        lua_rawseti(L, -2, 2);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

static void push_result(lua_State *L, const struct qn_result *result)
{
    static const char *const kinds[] = {
        [QN_RESULT_ANSWER] = "answer",       [QN_RESULT_DNS] = "dns",     [QN_RESULT_CONNECT] = "connect",
        [QN_RESULT_TIMEOUT] = "timeout",     [QN_RESULT_RESET] = "reset", [QN_RESULT_TRUNCATED] = "truncated",
        [QN_RESULT_TOO_LARGE] = "too_large", [QN_RESULT_TLS] = "tls",     [QN_RESULT_DENIED] = "denied",
        [QN_RESULT_FAILED] = "failed"};
    lua_createtable(L, 0, 6);
    lua_pushstring(L, kinds[result->kind]);
    lua_setfield(L, -2, "kind");
    lua_pushinteger(L, (lua_Integer)result->elapsed_ms);
    lua_setfield(L, -2, "elapsed_ms");
    lua_pushstring(L, result->peer);
    lua_setfield(L, -2, "peer");
    if (result->kind == QN_RESULT_ANSWER) {
        lua_pushinteger(L, result->status);
        lua_setfield(L, -2, "status");
        push_headers(L, result);
        lua_setfield(L, -2, "headers");
        qn_lua_push_bytes(L, result->body);
        lua_setfield(L, -2, "body");
    } else {
        lua_pushstring(L, result->message);
        lua_setfield(L, -2, "message");
        lua_pushboolean(L, result->never_sent);
        lua_setfield(L, -2, "never_sent");
    }
}

static int sent(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    qn_wait_end(L);
    struct qn_exchange **slot = luaL_checkudata(L, 2, EXCHANGE);
    push_result(L, &(*slot)->result);
    qn_exchange_free(*slot); /* the body lives on in its userdata; the handle goes back at once */
    *slot = NULL;
    return 1;
}

/* headers = { {name, value|secret}, ... }: pointers stay valid while the option table does. */
static size_t check_headers(lua_State *L, struct qn_header *headers)
{
    int type = lua_getfield(L, 1, "headers");
    if (type == LUA_TNIL) return 0;
    luaL_argcheck(L, type == LUA_TTABLE, 1, "headers must be a list of {name, value}");
    size_t count = lua_rawlen(L, -1);
    luaL_argcheck(L, count <= MAX_HEADERS, 1, "more than 100 headers");
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        luaL_argcheck(L, lua_istable(L, -1), 1, "headers must be a list of {name, value}");
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2); /* [.., pair, name, value] */
        size_t name_size = 0, value_size = 0;
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &name_size) : NULL;
        if (!name || !qn_header_name_valid(name, name_size)) luaL_error(L, "a header's name is not valid");
        headers[i] = (struct qn_header){.name = name, .secret = qn_lua_test_secret(L, -1)};
        if (headers[i].secret) {
            const char *value = qn_secret_value(headers[i].secret, &value_size);
            if (!qn_header_value_valid(value, value_size))
                luaL_error(L, "the secret value of header '%s' holds a line break", name);
        } else {
            headers[i].value = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &value_size) : NULL;
            if (!headers[i].value || !qn_header_value_valid(headers[i].value, value_size)) {
                luaL_error(L, "the value of header '%s' must be a string without line breaks", name);
            }
        }
        lua_pop(L, 3);
    }
    return count;
}

/* body = string | bytes | secret. A string is copied into bytes that the userdata pushed here holds. */
static void check_body(lua_State *L, struct qn_request *request)
{
    int type = lua_getfield(L, 1, "body");
    if (type == LUA_TNIL) return;
    request->secret_body = qn_lua_test_secret(L, -1);
    if (request->secret_body) return;
    request->body = qn_lua_test_bytes(L, -1);
    if (request->body) return;
    luaL_argcheck(L, type == LUA_TSTRING, 1, "body must be a string, bytes or a secret");
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    struct qn_bytes **slot = qn_lua_new_bytes(L);
    *slot = qn_bytes_new(text, size);
    if (!*slot) luaL_error(L, "out of memory");
    request->body = *slot;
}

/* http.send{ method, url, headers, body, connect_ms, idle_ms, total_ms, max_body_bytes, once } -> result   (waits) */
static int l_http_send(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    qn_wait_check(L);
    struct qn_exchange **slot = lua_newuserdatauv(L, sizeof *slot, 0); /* [options, slot] */
    *slot = NULL;
    luaL_setmetatable(L, EXCHANGE);
    struct qn_runtime *runtime = qn_runtime_of(L);
    struct qn_header headers[MAX_HEADERS];
    struct qn_request request = {
        .method = qn_field_string(L, 1, "method", "GET"),
        .url = qn_field_string(L, 1, "url", NULL),
        .headers = headers,
        .connect_ms = (uint32_t)qn_field_integer(L, 1, "connect_ms", 0),
        .idle_ms = (uint32_t)qn_field_integer(L, 1, "idle_ms", 0),
        .total_ms = (uint32_t)qn_field_integer(L, 1, "total_ms", 0),
        .max_body_bytes = (size_t)qn_field_integer(L, 1, "max_body_bytes", 0),
        .once = qn_field_boolean(L, 1, "once", false),
        .allow_insecure = runtime->allow_insecure,
    };
    luaL_argcheck(L, request.url, 1, "url is missing");
    request.header_count = check_headers(L, headers);
    check_body(L, &request);
    struct qn_err err = {.text = ""};
    int rc = qn_transport_start(runtime->transport, &request, slot, &err);
    lua_settop(L, 2);
    if (rc < 0) return qn_lua_raise(L, NULL, &err);
    return qn_wait(L, &(*slot)->op, sent, 0);
}

int luaopen_quern_core_http(lua_State *L)
{
    static const luaL_Reg functions[] = {{"send", l_http_send}, {NULL, NULL}};
    luaL_newmetatable(L, EXCHANGE);
    lua_pushcfunction(L, exchange_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
