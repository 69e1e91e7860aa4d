/* sandbox.c - quern.core.sandbox: the globals that a script gets, and loading it.
 *
 * What a script has is a list of what is allowed: tables are copies, so that a script cannot change the library's own.
 * sandbox.load gives a function that runs the script's top level; while it runs, what waits, reads a clock or draws
 * chance refuses (a worker loads the same bytes again and must come to the same functions). Any state. */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/secret.h"
#include "lua/bind.h"
#include "lua/budget.h"
#include "lua/coroutine.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

#define MAX_FILE_BYTES (4 << 20)

static const char *const base_names[] = {
    "assert", "error",  "getmetatable", "ipairs",   "next",     "pairs", "pcall", "rawequal", "rawget",   "rawlen",
    "rawset", "select", "setmetatable", "tonumber", "tostring", "type",  "warn",  "xpcall",   "_VERSION", NULL};

/* Modules of the library that scripts may name. */
static const char *const public_modules[] = {
    "quern",       "quern.auth", "quern.chunk", "quern.events",    "quern.genesys",  "quern.http",
    "quern.job",   "quern.json", "quern.limit", "quern.log",       "quern.pages",    "quern.param",
    "quern.retry", "quern.task", "quern.time",  "quern.transform", "quern.validate", NULL};

/* Copies global `name` (a table) without the fields in `without` and pushes the copy. */
static void push_copy(lua_State *L, const char *name, const char *const *without)
{
    lua_newtable(L);
    lua_getglobal(L, name); /* [copy, original] */
    for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
        bool skip = false;
        for (int i = 0; without && without[i]; i++) {
            skip = skip || (lua_type(L, -2) == LUA_TSTRING && !strcmp(lua_tostring(L, -2), without[i]));
        }
        if (skip) continue;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2); /* [copy, original, key, value, key, value] */
        lua_rawset(L, -6);
    }
    lua_pop(L, 1);
}

/* print(...): one line on stderr, redacted; stdout carries rows and nothing else */
static int l_print(lua_State *L)
{
    int n = lua_gettop(L);
    luaL_Buffer line;
    luaL_buffinit(L, &line);
    for (int i = 1; i <= n; i++) {
        if (i > 1) luaL_addchar(&line, '\t');
        luaL_tolstring(L, i, NULL);
        luaL_addvalue(&line);
    }
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    struct qn_buf safe;
    qn_buf_init(&safe, QN_BUF_NO_CAP);
    if (qn_redact(&safe, text, size) == 0) fwrite(safe.data, 1, safe.size, stderr);
    qn_buf_free(&safe);
    return 0;
}

/* load(chunk, name?, mode?, env?): text only; the environment is the script's own unless given */
static int l_load(lua_State *L)
{
    lua_settop(L, 4);
    if (lua_isnil(L, 4)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_replace(L, 4);
    }
    lua_pushliteral(L, "t");
    lua_replace(L, 3);
    lua_getglobal(L, "load");
    lua_insert(L, 1);
    lua_call(L, 4, LUA_MULTRET);
    return lua_gettop(L);
}

/* os.time(): the runtime's clock; a worker's script gets its own os from quern.worker */
static int l_os_time(lua_State *L)
{
    if (lua_istable(L, 1)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        return 1;
    }
    qn_state_check_loaded(L, "the clock");
    struct qn_runtime *runtime = qn_runtime_of(L);
    lua_pushinteger(L, runtime ? qn_clock_wall_ms(runtime->clock) / 1000 : (lua_Integer)time(NULL));
    return 1;
}

/* A function that refuses while a script loads: upvalues function, name. */
static int l_guarded(lua_State *L)
{
    qn_state_check_loaded(L, lua_tostring(L, lua_upvalueindex(2)));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

/* [.., table]: wraps table[field]. */
static void guard(lua_State *L, const char *field, const char *what)
{
    lua_getfield(L, -1, field);
    lua_pushstring(L, what);
    lua_pushcclosure(L, l_guarded, 2);
    lua_setfield(L, -2, field);
}

static void push_os(lua_State *L)
{
    lua_newtable(L);
    lua_getglobal(L, "os"); /* [copy, os] */
    lua_getfield(L, -1, "time");
    lua_pushcclosure(L, l_os_time, 1);
    lua_setfield(L, -3, "time");
    lua_getfield(L, -1, "date");
    lua_setfield(L, -3, "date");
    lua_getfield(L, -1, "clock");
    lua_setfield(L, -3, "clock");
    lua_pop(L, 1);
    guard(L, "date", "the clock");
    guard(L, "clock", "the clock");
}

/* ---- require ---- */

static bool is_public(const char *name)
{
    for (int i = 0; public_modules[i]; i++) {
        if (!strcmp(public_modules[i], name)) return true;
    }
    return false;
}

/* Letters, digits, underscore, and dots between names: nothing that could leave the script's folder. */
static bool is_file_module(const char *name)
{
    if (!*name || *name == '.') return false;
    for (const char *p = name; *p; p++) {
        bool word = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_';
        if (!word && !(*p == '.' && p[1] && p[1] != '.')) return false;
    }
    return true;
}

/* lua-cjson as Debian has it, in an instance of its own: a script's settings stay the script's. */
static int require_cjson(lua_State *L)
{
    static const char *const places[] = {"/usr/lib/x86_64-linux-gnu/lua/5.4/cjson.so",
                                         "/usr/lib/aarch64-linux-gnu/lua/5.4/cjson.so",
                                         "/usr/local/lib/lua/5.4/cjson.so", NULL};
    lua_getglobal(L, "package");
    for (int i = 0; places[i]; i++) {
        lua_getfield(L, -1, "loadlib");
        lua_pushstring(L, places[i]);
        lua_pushliteral(L, "luaopen_cjson");
        lua_call(L, 2, 1);
        if (!lua_isfunction(L, -1)) {
            lua_pop(L, 1);
            continue;
        }
        lua_call(L, 0, 1);
        lua_getfield(L, -1, "new");
        lua_call(L, 0, 1);
        return 1;
    }
    return luaL_error(L, "lua-cjson is not installed (Debian package lua-cjson); quern.json is built in");
}

/* Loads the text file at path with the environment at index env; raises what is wrong with it. */
static void load_file(lua_State *L, const char *path, int env)
{
    env = lua_absindex(L, env);
    if (luaL_loadfilex(L, path, "t") != LUA_OK) lua_error(L);
    lua_pushvalue(L, env);
    lua_setupvalue(L, -2, 1);
}

/* Upvalues: environment, cache, dir. */
static int l_require(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1), *dir = lua_tostring(L, lua_upvalueindex(3));
    lua_settop(L, 1);
    if (lua_getfield(L, lua_upvalueindex(2), name) != LUA_TNIL) return 1;
    lua_pop(L, 1);
    if (is_public(name)) {
        lua_getglobal(L, "require");
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
    } else if (!strcmp(name, "cjson")) {
        require_cjson(L);
    } else if (!strncmp(name, "quern", 5) && (name[5] == '\0' || name[5] == '.')) {
        return luaL_error(L, "there is no module '%s' for scripts", name);
    } else if (!is_file_module(name)) {
        return luaL_error(L, "require '%s': only modules of quern and files beside the script can be required", name);
    } else {
        const char *file = luaL_gsub(L, name, ".", "/");
        const char *path = lua_pushfstring(L, "%s/%s.lua", dir, file);
        load_file(L, path, lua_upvalueindex(1));
        lua_pushvalue(L, 1);
        lua_call(L, 1, 1);
        if (lua_isnil(L, -1)) {
            lua_pop(L, 1);
            lua_pushboolean(L, true);
        }
    }
    lua_pushvalue(L, -1);
    lua_setfield(L, lua_upvalueindex(2), name);
    return 1;
}

/* ---- the environment ---- */

static void push_environment(lua_State *L, const char *dir)
{
    static const char *const not_of_string[] = {"dump", NULL};
    lua_newtable(L);
    for (int i = 0; base_names[i]; i++) {
        lua_getglobal(L, base_names[i]);
        lua_setfield(L, -2, base_names[i]);
    }
    push_copy(L, "string", not_of_string);
    lua_setfield(L, -2, "string");
    push_copy(L, "table", NULL);
    lua_setfield(L, -2, "table");
    push_copy(L, "utf8", NULL);
    lua_setfield(L, -2, "utf8");
    push_copy(L, "math", NULL);
    guard(L, "random", "chance");
    guard(L, "randomseed", "chance");
    lua_setfield(L, -2, "math");
    push_os(L);
    lua_setfield(L, -2, "os");
    qn_lua_push_coroutine(L);
    lua_setfield(L, -2, "coroutine");
    lua_pushcfunction(L, l_print);
    lua_setfield(L, -2, "print");
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, l_load, 1);
    lua_setfield(L, -2, "load");
    lua_pushvalue(L, -1);
    lua_newtable(L);
    lua_pushstring(L, dir);
    lua_pushcclosure(L, l_require, 3);
    lua_setfield(L, -2, "require");
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "_G");
}

/* Runs the chunk (upvalue) with the state marked as loading. */
static int run_chunk(lua_State *L)
{
    struct qn_state *state = qn_state_of(L);
    bool before = state->loading;
    state->loading = true;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    struct qn_budget outer = qn_budget_begin(L, QN_BUDGET_LOAD);
    int status = lua_pcall(L, 0, 1, 0);
    qn_budget_end(L, outer);
    state->loading = before;
    return status == LUA_OK ? 1 : lua_error(L);
}

/* sandbox.load(source, chunkname, dir) -> fn | nil, text */
static int l_sandbox_load(lua_State *L)
{
    size_t size;
    const char *source = luaL_checklstring(L, 1, &size), *name = luaL_checkstring(L, 2), *dir = luaL_checkstring(L, 3);
    if (size > MAX_FILE_BYTES) {
        lua_pushnil(L);
        lua_pushfstring(L, "%s is larger than 4 MB", name);
        return 2;
    }
    if (luaL_loadbufferx(L, source, size, name, "t") != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    push_environment(L, dir);
    lua_setupvalue(L, -2, 1);
    lua_pushcclosure(L, run_chunk, 1);
    return 1;
}

/* sandbox.environment(dir) -> table: the globals a script in that folder gets */
static int l_sandbox_environment(lua_State *L)
{
    push_environment(L, luaL_checkstring(L, 1));
    return 1;
}

int luaopen_quern_core_sandbox(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"load", l_sandbox_load}, {"environment", l_sandbox_environment}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
