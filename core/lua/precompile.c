/* precompile.c - a step of the build: writes the modules of lua/quern as bytecode, in the C of library.h.
 *
 *   precompile OUT FILE...    in lua/: quern/pages/linked.lua is the module quern.pages.linked
 *
 * Line numbers stay in, for messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "lua/library.h"

/* Pushes the name that require knows the file by. */
static const char *push_module_name(lua_State *L, const char *file)
{
    const char *name = luaL_gsub(L, file, "/init.lua", "");
    name = luaL_gsub(L, name, ".lua", "");
    return luaL_gsub(L, name, "/", ".");
}

static void push_text(lua_State *L, const char *path)
{
    luaL_Buffer text;
    FILE *in = fopen(path, "rb");
    if (!in) luaL_error(L, "cannot open %s", path);
    luaL_buffinit(L, &text);
    size_t got;
    do {
        got = fread(luaL_prepbuffer(&text), 1, LUAL_BUFFERSIZE, in);
        luaL_addsize(&text, got);
    } while (got > 0);
    fclose(in);
    luaL_pushresult(&text);
}

static int write_bytes(lua_State *L, const void *data, size_t size, void *out)
{
    (void)L;
    for (size_t i = 0; i < size; i++) fprintf(out, "%u,", ((const unsigned char *)data)[i]);
    return fputc('\n', out) == EOF;
}

/* One array of bytes, module_INDEX. */
static void write_module(lua_State *L, FILE *out, int index, const char *file)
{
    const char *name = lua_pushfstring(L, QN_LIBRARY_CHUNKS "%s", file + strlen("quern/"));
    push_text(L, file);
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    if (luaL_loadbufferx(L, text, size, name, "t") != LUA_OK) lua_error(L);
    fprintf(out, "static const unsigned char module_%d[] = {\n", index);
    lua_dump(L, write_bytes, out, 0);
    fprintf(out, "};\n");
    lua_settop(L, 1);
}

static int write_library(lua_State *L)
{
    char **argv = lua_touserdata(L, 1);
    FILE *out = fopen(argv[1], "w");
    if (!out) return luaL_error(L, "cannot write %s", argv[1]);
    fprintf(out, "/* Written by precompile.c from lua/quern. */\n#include \"lua/library.h\"\n\n");
    for (int i = 2; argv[i]; i++) write_module(L, out, i, argv[i]);
    fprintf(out, "\nconst struct qn_library_module qn_library_modules[] = {\n");
    for (int i = 2; argv[i]; i++) {
        fprintf(out, "    {\"%s\", module_%d, sizeof module_%d},\n", push_module_name(L, argv[i]), i, i);
        lua_settop(L, 1);
    }
    fprintf(out, "};\nconst size_t qn_library_count = sizeof qn_library_modules / sizeof *qn_library_modules;\n");
    fprintf(out, "const char qn_library_lua[] = \"%s\";\n", lua_ident);
    bool written = !ferror(out);
    if (fclose(out) != 0 || !written) return luaL_error(L, "cannot write %s", argv[1]);
    return 0;
}

int main(int argc, char **argv)
{
    lua_State *L = argc > 2 ? luaL_newstate() : NULL;
    if (!L) {
        fprintf(stderr, "usage: precompile OUT FILE...\n");
        return EXIT_FAILURE;
    }
    lua_pushcfunction(L, write_library);
    lua_pushlightuserdata(L, argv);
    int status = lua_pcall(L, 1, 0, 0);
    if (status != LUA_OK) {
        fprintf(stderr, "precompile: %s\n", lua_tostring(L, -1));
        remove(argv[1]);
    }
    lua_close(L);
    return status == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
