/* state.c - see state.h. */
#include "lua/state.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/bind.h"
#include "lua/bind_view.h"
#include "lua/library.h"
#include "lua/luax.h"
#include "lua/sim.h"

#define DEFAULT_MEMORY ((size_t)256 << 20)

_Static_assert(LUA_EXTRASPACE >= sizeof(void *), "the extra space of a thread holds a pointer to the state");

struct module {
    const char *name;
    lua_CFunction open;
};

static const struct module pure_modules[] = {
    {"error", luaopen_quern_core_error}, {"secret", luaopen_quern_core_secret}, {"json", luaopen_quern_core_json},
    {"view", luaopen_quern_core_view},   {"time", luaopen_quern_core_time},     {"sandbox", luaopen_quern_core_sandbox},
    {"hash", luaopen_quern_core_hash},   {"cell", luaopen_quern_core_cell},
};

static const struct module main_modules[] = {
    {"task", luaopen_quern_core_task},       {"http", luaopen_quern_core_http},   {"url", luaopen_quern_core_url},
    {"header", luaopen_quern_core_header},   {"flow", luaopen_quern_core_flow},   {"server", luaopen_quern_core_server},
    {"convert", luaopen_quern_core_convert}, {"run", luaopen_quern_core_run},     {"event", luaopen_quern_core_event},
    {"env", luaopen_quern_core_env},         {"files", luaopen_quern_core_files}, {"sim", luaopen_quern_core_sim},
};

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* From the state's slab: nearly all calls make or drop a small object. osize is a type tag, not a size, while ptr is
 * NULL. */
static void *allocate(void *ud, void *ptr, size_t osize, size_t nsize)
{
    struct qn_state *state = ud;
    size_t before = ptr ? osize : 0;
    if (nsize > before && nsize - before > state->memory_limit - state->memory_used) return NULL;
    void *moved = NULL;
    if (ptr && nsize == 0)
        qn_slab_give(&state->slab, ptr, before);
    else if (ptr)
        moved = qn_slab_realloc(&state->slab, ptr, before, nsize);
    else if (nsize > 0)
        moved = qn_slab_take(&state->slab, nsize);
    if (moved || nsize == 0) state->memory_used += nsize - before;
    return moved;
}

struct qn_state *qn_state_of(lua_State *L)
{
    return *(struct qn_state **)lua_getextraspace(L);
}

struct qn_runtime *qn_runtime_of(lua_State *L)
{
    return qn_state_of(L)->runtime;
}

void qn_state_check_loaded(lua_State *L, const char *what)
{
    if (qn_state_of(L)->loading) {
        luaL_error(L, "loading a script must be pure: %s is not available at its top level", what);
    }
}

static int unavailable(lua_State *L)
{
    return luaL_error(L, "%s is not available in a transform", lua_tostring(L, lua_upvalueindex(1)));
}

/* Any field of a module that waits or reaches out is a function that refuses. */
static int refusing_index(lua_State *L)
{
    lua_pushfstring(L, "%s.%s", lua_tostring(L, lua_upvalueindex(1)), luaL_tolstring(L, 2, NULL));
    lua_pushcclosure(L, unavailable, 1);
    return 1;
}

static int open_refusing(lua_State *L)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, 1); /* the module's name */
    lua_pushcclosure(L, refusing_index, 1);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
    return 1;
}

static void preload(lua_State *L, const struct module *modules, size_t count, bool refuse)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < count; i++) {
        lua_pushfstring(L, "quern.core.%s", modules[i].name);
        lua_pushcfunction(L, refuse ? open_refusing : modules[i].open);
        lua_settable(L, -3);
    }
    lua_pop(L, 1);
}

static void set_paths(lua_State *L, const char *lib_dir)
{
    lua_getglobal(L, "package");
    if (lib_dir)
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua", lib_dir, lib_dir);
    else
        lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_pop(L, 1);
}

/* Scripts reach the string table through every string: it must not lead them to the library's own functions. */
static void guard_strings(lua_State *L)
{
    lua_pushliteral(L, "");
    lua_getmetatable(L, -1);
    lua_pushliteral(L, "string");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 2);
    lua_getglobal(L, "string");
    lua_pushnil(L);
    lua_setfield(L, -2, "dump");
    lua_pop(L, 1);
}

static int open_state(lua_State *L)
{
    const struct qn_state_options *options = lua_touserdata(L, 1);
    luaL_openlibs(L);
    if (options->worker)
        lua_gc(L, LUA_GCGEN, 0, 0); /* a record's garbage dies young: 40 % less time than the incremental collector */
    else
        lua_gc(L, LUA_GCINC, 200, 200, 0); /* pages are let go by hand: what Lua itself holds is small */
    guard_strings(L);
    qn_view_set_ipairs(L);
    set_paths(L, options->lib_dir);
    if (!options->lib_dir) qn_library_preload(L);
    qn_lua_open_types(L);
    preload(L, pure_modules, COUNT(pure_modules), false);
    preload(L, main_modules, COUNT(main_modules), options->worker);
    return 0;
}

/* luaL_loadfile names a chunk by the path of its file behind an '@'. */
static char *library_of(const char *lib_dir)
{
    if (!lib_dir) return qn_strdup(QN_LIBRARY_CHUNKS);
    size_t size = strlen(lib_dir);
    char *name = qn_malloc(size + sizeof "@/");
    if (name) snprintf(name, size + sizeof "@/", "@%s/", lib_dir);
    return name;
}

lua_State *qn_state_new(const struct qn_state_options *options, struct qn_err *err)
{
    struct qn_state *state = qn_calloc(1, sizeof *state);
    if (!state) {
        qn_fail(err, QN_ENOMEM, "no memory for a Lua state");
        return NULL;
    }
    state->worker = options->worker;
    qn_slab_init(&state->slab);
    state->library = library_of(options->lib_dir);
    state->runtime = options->runtime;
    state->memory_limit = options->memory_limit ? options->memory_limit : DEFAULT_MEMORY;
    lua_State *L = state->library ? lua_newstate(allocate, state) : NULL;
    if (!L) {
        qn_slab_free(&state->slab);
        qn_free(state->library);
        qn_free(state);
        qn_fail(err, QN_ENOMEM, "no memory for a Lua state");
        return NULL;
    }
    *(struct qn_state **)lua_getextraspace(L) = state;
    lua_pushcfunction(L, open_state); /* a new state has room for these two */
    lua_pushlightuserdata(L, (void *)options);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *text = lua_tostring(L, -1);
        qn_fail(err, QN_ENOMEM, "cannot open a Lua state: %s", text ? text : "unknown error");
        qn_state_free(L);
        return NULL;
    }
    return L;
}

void qn_state_free(lua_State *L)
{
    if (!L) return;
    struct qn_state *state = qn_state_of(L);
    lua_close(L);
    qn_slab_free(&state->slab);
    qn_free(state->library);
    qn_free(state);
}
