/* Views and the codec from C: scopes end views, nothing is left, and no allocation that fails leaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/mem.h"
#include "lua/bind.h"
#include "lua/bind_view.h"
#include "lua/luax.h"

static void *allocate(void *context, void *ptr, size_t old_size, size_t size)
{
    (void)context;
    (void)old_size;
    if (size > 0) return qn_realloc(ptr, size);
    qn_free(ptr);
    return NULL;
}

static int open_all(lua_State *L)
{
    luaL_openlibs(L);
    qn_lua_open_types(L);
    luaL_requiref(L, "quern.core.json", luaopen_quern_core_json, 0);
    lua_setglobal(L, "json");
    luaL_requiref(L, "quern.core.view", luaopen_quern_core_view, 0);
    lua_setglobal(L, "view");
    return 0;
}

static lua_State *new_state(void)
{
    lua_State *L = lua_newstate(allocate, NULL);
    assert_non_null(L);
    lua_pushcfunction(L, open_all);
    assert_int_equal(lua_pcall(L, 0, 0, 0), LUA_OK);
    return L;
}

static void run(lua_State *L, const char *code)
{
    if (luaL_dostring(L, code) != LUA_OK) fail_msg("%s", luaL_tolstring(L, -1, NULL));
}

static struct qn_doc *parse(const char *text)
{
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    struct qn_doc *doc;
    assert_int_equal(qn_doc_parse(bytes, &doc, NULL), 0);
    qn_bytes_unref(bytes);
    return doc;
}

static void scopes(void **state)
{
    lua_State *L = new_state();
    struct qn_doc *doc = parse("[{\"a\":{\"b\":1}},{\"a\":{\"b\":2}}]");
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        qn_view_scope_begin(L);
        qn_view_push(L, doc, qn_doc_at(doc, QN_ROOT, i));
        lua_setglobal(L, "rec");
        run(L, i == 0 ? "assert(rec.a.b == 1) kept = rec.a step, s, c = pairs(rec)" : "assert(rec.a.b == 2)");
        qn_view_scope_end(L);
        run(L,
            "local ok, err = pcall(function() return rec.a end)"
            "assert(not ok and err:find('record used after its page', 1, true))"
            "ok, err = pcall(function() return kept.b end)"
            "assert(not ok and err:find('record used after its page', 1, true))"
            "for _, f in ipairs { view.table, view.raw, json.encode, json.is_array, pairs, function(v) return #v end,"
            "                     function(v) return v == kept end, function() return step(s, c) end } do"
            "  ok, err = pcall(f, rec) assert(not ok and tostring(err):find('used after its page')) end "
            "assert(tostring(rec) == 'record used after its page')");
    }
    qn_view_scope_end(L); /* harmless */
    lua_settop(L, 0);
    qn_view_push(L, doc, QN_ROOT); /* outside a scope: lives on */
    qn_doc_unref(doc);
    lua_setglobal(L, "list");
    run(L, "collectgarbage() assert(list[2].a.b == 2)");
    struct qn_doc *seen;
    qn_node node;
    lua_getglobal(L, "list");
    assert_true(qn_view_of(L, -1, &seen, &node));
    assert_ptr_equal(seen, doc);
    assert_int_equal(node, QN_ROOT);
    lua_pushinteger(L, 1);
    assert_false(qn_view_of(L, -1, &seen, &node));
    lua_close(L);
    assert_int_equal(qn_mem_blocks(), 0);
}

/* A scope that was never ended ends when the next begins; its document is let go at once. */
static void forgotten_scope(void **state)
{
    lua_State *L = new_state();
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct qn_doc *doc = parse("[[1]]");
        qn_view_scope_begin(L);
        qn_view_push(L, doc, QN_ROOT);
        qn_view_push(L, doc, 1);
        lua_settop(L, 0);
        qn_doc_unref(doc);
    }
    lua_gc(L, LUA_GCSTOP);
    size_t before = qn_mem_blocks();
    qn_view_scope_end(L);
    assert_int_equal(before - qn_mem_blocks(), 4); /* doc, nodes, bytes and their text */
    lua_close(L);
    assert_int_equal(qn_mem_blocks(), 0);
}

static void secrets_and_bytes(void **state)
{
    lua_State *L = new_state();
    struct qn_secret *secret = qn_secret_new("hunter22", 8);
    struct qn_bytes *bytes = qn_bytes_new("{\"a\":[1,2]}", 11);
    (void)state;
    qn_lua_push_secret(L, secret);
    lua_setglobal(L, "secret");
    qn_lua_push_bytes(L, bytes);
    lua_setglobal(L, "bytes");
    qn_secret_unref(secret);
    qn_bytes_unref(bytes);
    run(L, "local ok, err = pcall(json.encode, { body = { secret } })"
           "assert(not ok and err.kind == 'json' and err.message == 'a secret cannot be written into JSON at .body[1]')"
           "ok, err = pcall(json.encode, bytes)"
           "assert(not ok and err.message:find('take tostring of it', 1, true))"
           "assert(view.open(bytes).a[2] == 2 and json.decode(bytes).a[1] == 1)");
    lua_close(L);
    assert_int_equal(qn_mem_blocks(), 0);
}

static const char everything[] =
    "local v = assert(view.open '[{\"a\\\\u0041\":[1,1e400,\"\\\\u00e9\"],\"b\":{}}]')"
    "for k, x in pairs(v[1]) do json.encode(x) json.canonical(x) end "
    "for i, x in ipairs(v[1].aA) do tostring(x) end "
    "local t = view.table(v) assert(json.encode(t) == '[{\"aA\":[1,1e400,\"é\"],\"b\":{}}]')"
    "local p = view.path '$..[?@ == 1]' assert(p:one(v) == 1 and #p:select(v) == 1)"
    "assert(not pcall(json.encode, { a = { print } })) assert(not json.decode '[1,')";

static int run_everything(lua_State *L)
{
    if (luaL_loadstring(L, everything) != LUA_OK) return lua_error(L);
    lua_call(L, 0, 0);
    return 0;
}

/* Allocation 1, 2, 3... fails until none does: nothing is left each time. (json.decode '[1,' needs simdjson's own.) */
static void no_memory(void **state)
{
    int status = LUA_ERRRUN;
    (void)state;
    for (uint64_t n = 1; status != LUA_OK && n < 5000; n++) {
        lua_State *L = new_state();
        lua_pushcfunction(L, run_everything);
        qn_mem_fail_after(n);
        status = lua_pcall(L, 0, 0, 0);
        qn_mem_fail_after(0);
        lua_close(L);
        assert_int_equal(qn_mem_blocks(), 0);
    }
    assert_int_equal(status, LUA_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes),
        cmocka_unit_test(forgotten_scope),
        cmocka_unit_test(secrets_and_bytes),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
