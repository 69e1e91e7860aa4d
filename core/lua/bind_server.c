/* bind_server.c - quern.core.server: serving HTTP from Lua. Conversion only; see net/server.h. */
#include <lauxlib.h>
#include <string.h>

#include "lua/bind.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"
#include "net/header.h"
#include "net/server.h"

#define SERVER "quern.server"
#define SERVED "quern.served"

#define MAX_HEADERS 64

/* server.listen{ host, port, max_body } -> server | nil, err */
static int l_server_listen(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    qn_state_check_loaded(L, "listening");
    struct qn_err err = {.text = ""};
    const char *host = qn_field_string(L, 1, "host", "127.0.0.1");
    lua_Integer port = qn_field_integer(L, 1, "port", 0);
    lua_Integer max_body = qn_field_integer(L, 1, "max_body", 0);
    luaL_argcheck(L, port >= 0 && port <= 65535, 1, "port must be from 0 to 65535");
    struct qn_server **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, SERVER);
    if (qn_server_listen(qn_runtime_of(L)->loop, host, (unsigned)port, slot, &err) < 0)
        return qn_lua_fail(L, "network", &err);
    if (max_body > 0) qn_server_limit_bodies(*slot, (size_t)max_body);
    return 1;
}

static struct qn_server **check_server(lua_State *L)
{
    return luaL_checkudata(L, 1, SERVER);
}

static int server_gc(lua_State *L)
{
    struct qn_server **slot = check_server(L);
    qn_server_free(*slot);
    *slot = NULL;
    return 0;
}

static int l_server_port(lua_State *L)
{
    struct qn_server **slot = check_server(L);
    lua_pushinteger(L, *slot ? (lua_Integer)qn_server_port(*slot) : 0);
    return 1;
}

static int l_server_close(lua_State *L)
{
    struct qn_server **slot = check_server(L);
    if (*slot) qn_server_close(*slot);
    return 0;
}

/* ---- requests ---- */

static struct qn_served *check_served(lua_State *L)
{
    struct qn_served **slot = luaL_checkudata(L, 1, SERVED);
    luaL_argcheck(L, *slot, 1, "the request has been answered");
    return *slot;
}

static int served_gc(lua_State *L)
{
    struct qn_served **slot = luaL_checkudata(L, 1, SERVED);
    qn_served_free(*slot);
    *slot = NULL;
    return 0;
}

/* [slot] -> [slot, fields]: method, path, query, headers, body. */
static void push_fields(lua_State *L, const struct qn_served *served)
{
    size_t count, size;
    const struct qn_header *headers = qn_served_headers(served, &count);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, qn_served_method(served));
    lua_setfield(L, -2, "method");
    lua_pushstring(L, qn_served_path(served));
    lua_setfield(L, -2, "path");
    lua_pushstring(L, qn_served_query(served));
    lua_setfield(L, -2, "query");
    lua_createtable(L, 0, (int)count);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, headers[i].value);
        lua_setfield(L, -2, headers[i].name);
    }
    lua_setfield(L, -2, "headers");
    const char *body = qn_served_body(served, &size);
    lua_pushlstring(L, body ? body : "", size);
    lua_setfield(L, -2, "body");
}

static int accepted(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    qn_wait_end(L);
    struct qn_server **server = check_server(L);
    struct qn_served **slot = lua_newuserdatauv(L, sizeof *slot, 1);
    *slot = NULL;
    luaL_setmetatable(L, SERVED);
    *slot = *server ? qn_server_next(*server) : NULL;
    if (!*slot) return 0;
    push_fields(L, *slot);
    lua_setiuservalue(L, -2, 1);
    return 1;
}

/* server:accept() -> request | nil once closed   (waits) */
static int l_server_accept(lua_State *L)
{
    struct qn_server **slot = check_server(L);
    qn_wait_check(L);
    if (!*slot || qn_server_closed(*slot)) return 0;
    struct qn_op *op = qn_server_accept_op(*slot);
    if (!op) return luaL_error(L, "another task is accepting from this server");
    lua_settop(L, 1);
    return qn_wait(L, op, accepted, 0);
}

static enum qn_fault check_fault(lua_State *L)
{
    static const char *const names[] = {"none", "reset", "truncate", "hang", "close", NULL};
    const char *name = qn_field_string(L, 2, "fault", "none");
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], name)) return (enum qn_fault)i;
    }
    luaL_error(L, "fault '%s' is not one of reset, truncate, hang, close", name);
    return QN_FAULT_NONE;
}

static size_t check_headers(lua_State *L, struct qn_header *headers)
{
    size_t count = 0;
    if (lua_getfield(L, 2, "headers") == LUA_TTABLE) {
        count = lua_rawlen(L, -1);
        luaL_argcheck(L, count <= MAX_HEADERS, 2, "more than 64 headers");
        for (size_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            luaL_argcheck(L, lua_istable(L, -1), 2, "headers must be a list of {name, value}");
            lua_rawgeti(L, -1, 1);
            lua_rawgeti(L, -2, 2);
            headers[i] = (struct qn_header){.name = lua_tostring(L, -2), .value = lua_tostring(L, -1)};
            luaL_argcheck(L, headers[i].name && headers[i].value, 2, "headers must be a list of {name, value}");
            lua_pop(L, 3);
        }
    }
    lua_pop(L, 1);
    return count;
}

/* request:respond{ status, headers, body, gzip, chunked, fault, cut } -> true | nil, err (the client has gone) */
static int l_served_respond(lua_State *L)
{
    struct qn_served *served = check_served(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    struct qn_header headers[MAX_HEADERS];
    struct qn_served_answer answer = {
        .status = (int)qn_field_integer(L, 2, "status", 200),
        .headers = headers,
        .fault = check_fault(L),
        .cut = (size_t)qn_field_integer(L, 2, "cut", 0),
        .gzip = qn_field_boolean(L, 2, "gzip", false),
        .chunked = qn_field_boolean(L, 2, "chunked", false),
    };
    answer.header_count = check_headers(L, headers);
    if (lua_getfield(L, 2, "body") == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(L, -1, &size);
        answer.body = qn_bytes_new(text, size);
        if (!answer.body) return luaL_error(L, "out of memory");
    }
    struct qn_err err = {.text = "the client has gone"};
    int rc = qn_served_respond(served, &answer, &err);
    qn_bytes_unref(answer.body);
    if (rc < 0) return qn_lua_fail(L, NULL, &err);
    served_gc(L);
    lua_pushboolean(L, true);
    return 1;
}

static int served_index(lua_State *L)
{
    luaL_checkudata(L, 1, SERVED);
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    if (lua_istable(L, -2) && lua_rawget(L, -2) != LUA_TNIL) return 1;
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1)); /* methods */
    return 1;
}

int luaopen_quern_core_server(lua_State *L)
{
    static const luaL_Reg functions[] = {{"listen", l_server_listen}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"port", l_server_port}, {"accept", l_server_accept}, {"close", l_server_close}, {NULL, NULL}};
    static const luaL_Reg served_methods[] = {{"respond", l_served_respond}, {NULL, NULL}};
    luaL_newmetatable(L, SERVER);
    lua_pushcfunction(L, server_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    luaL_newmetatable(L, SERVED);
    lua_pushcfunction(L, served_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, served_methods);
    lua_pushcclosure(L, served_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    luaL_newlib(L, functions);
    return 1;
}
