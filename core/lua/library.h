/* library.h - the modules of lua/quern, compiled when the program was: a tenth of the time that their text takes to
 * open.
 *
 * Bytecode is good for the very Lua that wrote it; with another (a liblua exchanged since) the text is used. Any
 * thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <lua.h>

#define QN_LIBRARY_CHUNKS "=quern/" /* how the names of its chunks begin; a file's begin with '@' */

struct qn_library_module {
    const char *name; /* as in require: "quern.pages" */
    const unsigned char *code;
    size_t size;
};

/* Written by precompile.c when quern is built. */
extern const struct qn_library_module qn_library_modules[];
extern const size_t qn_library_count;
extern const char qn_library_lua[]; /* the lua_ident of the Lua that compiled them */

/* Whether they are of the Lua with this lua_ident. */
bool qn_library_fits(const char *lua);

/* Makes require find them before any file. May raise. */
void qn_library_preload(lua_State *L);
