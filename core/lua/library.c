/* library.c - see library.h. */
#include "lua/library.h"

#include <lauxlib.h>
#include <string.h>

bool qn_library_fits(const char *lua)
{
    return strcmp(lua, qn_library_lua) == 0;
}

/* What require calls, with the module's name. */
static int load_module(lua_State *L)
{
    const struct qn_library_module *module = lua_touserdata(L, lua_upvalueindex(1));
    lua_settop(L, 1);
    if (luaL_loadbufferx(L, (const char *)module->code, module->size, module->name, "b") != LUA_OK) return lua_error(L);
    lua_insert(L, 1);
    lua_call(L, 1, 1);
    return 1;
}

void qn_library_preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    for (size_t i = 0; i < qn_library_count; i++) {
        lua_pushlightuserdata(L, (void *)&qn_library_modules[i]);
        lua_pushcclosure(L, load_module, 1);
        lua_setfield(L, -2, qn_library_modules[i].name);
    }
    lua_pop(L, 1);
}
