/* test_library.c - the library that quern carries within itself: it opens without a file, and its lines have names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <lauxlib.h>

#include "base/mem.h"
#include "lua/library.h"
#include "lua/state.h"

static lua_State *open_state(void)
{
    struct qn_err err = {0};
    lua_State *L = qn_state_new(&(struct qn_state_options){.worker = true}, &err);
    if (!L) fail_msg("%s", err.text);
    return L;
}

static void opens_without_a_file(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    lua_State *L = open_state();
    if (luaL_dostring(L, "assert(package.path == '') return require 'quern.pages', (require 'quern')") != LUA_OK)
        fail_msg("%s", lua_tostring(L, -1));
    assert_true(lua_istable(L, -2));
    assert_true(lua_istable(L, -1));
    assert_int_not_equal(luaL_dostring(L, "require 'quern.absent'"), LUA_OK);
    qn_state_free(L);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void lines_have_names(void **state)
{
    (void)state;
    lua_State *L = open_state();
    assert_true(qn_library_count > 50);
    for (size_t i = 0; i < qn_library_count; i++) {
        const struct qn_library_module *module = &qn_library_modules[i];
        assert_int_equal(luaL_loadbuffer(L, (const char *)module->code, module->size, "?"), LUA_OK);
        lua_Debug ar;
        lua_getinfo(L, ">S", &ar);
        assert_int_equal(strncmp(ar.source, QN_LIBRARY_CHUNKS, strlen(QN_LIBRARY_CHUNKS)), 0);
    }
    assert_int_not_equal(luaL_dostring(L, "require 'quern.bind'.bind()"), LUA_OK);
    assert_non_null(strstr(lua_tostring(L, -1), "quern/bind.lua:"));
    qn_state_free(L);
}

/* As after an upgrade of liblua alone. */
static void of_one_lua(void **state)
{
    (void)state;
    assert_true(qn_library_fits(lua_ident));
    assert_false(qn_library_fits("$LuaVersion: Lua 5.4.99  Copyright (C) 1994-2099 Lua.org, PUC-Rio $"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_without_a_file),
        cmocka_unit_test(lines_have_names),
        cmocka_unit_test(of_one_lua),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
