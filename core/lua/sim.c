/* sim.c - see sim.h. The transport calls serve inside start, that is inside http.send: Lua is running, so calling Lua
 * is safe; an error of the function becomes a refused start. */
#include "lua/sim.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/luax.h"
#include "lua/state.h"
#include "net/sim.h"

static const char serve_key; /* registry: the Lua function */

#define MAX_HEADERS 64

static const char *const kinds[] = {"answer",    "dns", "connect", "timeout", "reset", "truncated",
                                    "too_large", "tls", "denied",  "failed",  NULL};

struct call {
    const struct qn_request *request;
    struct qn_sim_answer *answer;
    struct qn_header headers[MAX_HEADERS];
};

static void push_request(lua_State *L, const struct qn_request *request)
{
    lua_newtable(L);
    lua_pushinteger(L, (lua_Integer)qn_clock_monotonic_ms(qn_runtime_of(L)->clock));
    lua_setfield(L, -2, "at");
    lua_pushstring(L, request->method);
    lua_setfield(L, -2, "method");
    lua_pushstring(L, request->url);
    lua_setfield(L, -2, "url");
    lua_newtable(L);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct qn_header *header = &request->headers[i];
        size_t size = 0;
        const char *value = header->secret ? qn_secret_value(header->secret, &size) : header->value;
        lua_pushlstring(L, value, header->secret ? size : strlen(value)); /* a server sees secrets in clear */
        lua_setfield(L, -2, header->name);
    }
    lua_setfield(L, -2, "headers");
    size_t size = 0;
    if (request->secret_body) {
        const char *text = qn_secret_value(request->secret_body, &size);
        lua_pushlstring(L, text, size);
    } else {
        lua_pushlstring(L, request->body ? qn_bytes_data(request->body) : "",
                        request->body ? qn_bytes_size(request->body) : 0);
    }
    lua_setfield(L, -2, "body");
}

/* Strings stay valid: the answer's table is on the caller's stack until the transport has copied them. */
static void read_headers(lua_State *L, struct call *call)
{
    if (lua_getfield(L, 2, "headers") != LUA_TTABLE) return;
    size_t count = lua_rawlen(L, -1);
    for (size_t i = 0; i < count && i < MAX_HEADERS; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        call->headers[i] = (struct qn_header){.name = lua_tostring(L, -2), .value = lua_tostring(L, -1)};
        lua_pop(L, 3);
        call->answer->header_count = i + 1;
    }
    call->answer->headers = call->headers;
}

static enum qn_result_kind read_kind(lua_State *L)
{
    const char *name = qn_field_string(L, 2, "kind", "answer");
    for (int i = 0; kinds[i]; i++) {
        if (!strcmp(kinds[i], name)) return (enum qn_result_kind)i;
    }
    luaL_error(L, "kind '%s' is not one of a result's", name);
    return QN_RESULT_FAILED;
}

/* Protected: [call] -> [call, answer], which the caller leaves on the stack. */
static int serve_protected(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &serve_key) != LUA_TFUNCTION) return luaL_error(L, "no serve function");
    push_request(L, call->request);
    lua_call(L, 1, 1); /* [call, answer] */
    luaL_checktype(L, 2, LUA_TTABLE);
    struct qn_sim_answer *answer = call->answer;
    answer->after_ms = (uint64_t)qn_field_integer(L, 2, "after_ms", 0);
    answer->kind = read_kind(L);
    answer->status = (int)qn_field_integer(L, 2, "status", 200);
    answer->message = qn_field_string(L, 2, "message", NULL);
    answer->never_sent = qn_field_boolean(L, 2, "never_sent", false);
    if (lua_getfield(L, 2, "body") == LUA_TSTRING) answer->body = lua_tolstring(L, -1, &answer->body_size);
    read_headers(L, call);
    lua_settop(L, 2);
    return 1;
}

static int serve(void *user, const struct qn_request *request, struct qn_sim_answer *answer)
{
    struct qn_runtime *runtime = user;
    lua_State *L = runtime->L; /* the main state's stack is free for this: tasks run on their own */
    static struct call call;   /* outlives this call: the transport copies after it has returned */
    call = (struct call){.request = request, .answer = answer};
    if (!lua_checkstack(L, 8)) return QN_ENOMEM;
    lua_pushcfunction(L, serve_protected);
    lua_pushlightuserdata(L, &call);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_writestringerror("serve function failed: %s\n", lua_tostring(L, -1));
        lua_pop(L, 1);
        return QN_ESCRIPT;
    }
    lua_rawsetp(L, LUA_REGISTRYINDEX, &call); /* keeps the answer's strings until the next one */
    return 0;
}

int qn_lua_sim_new(struct qn_runtime *runtime, struct qn_transport **out, struct qn_err *err)
{
    return qn_sim_new(runtime->loop, serve, runtime, out, err);
}

/* sim.serve(fn) */
static int l_sim_serve(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &serve_key);
    return 0;
}

/* sim.jump(ms): moves the calendar alone */
static int l_sim_jump(lua_State *L)
{
    qn_clock_jump_wall(qn_runtime_of(L)->clock, luaL_checkinteger(L, 1));
    return 0;
}

/* sim.interrupt(): as a signal would */
static int l_sim_interrupt(lua_State *L)
{
    qn_runtime_interrupt(qn_runtime_of(L));
    return 0;
}

int luaopen_quern_core_sim(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"serve", l_sim_serve}, {"jump", l_sim_jump}, {"interrupt", l_sim_interrupt}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
