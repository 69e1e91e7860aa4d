/* test_bind_run.c - quern.core.run as the run loop sees it: a whole run, errors, and collection in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/buf.h"
#include "lua/bind.h"
#include "lua/luax.h"
#include "rows/emit.h"
#include "run_world.h"

static int l_batch_gc(lua_State *L)
{
    struct qn_batch **box = luaL_checkudata(L, 1, "quern.batch");
    qn_batch_unref(*box);
    *box = NULL;
    return 0;
}

/* batch(key, owner_ms): one record, one row */
static int l_batch(lua_State *L)
{
    size_t size;
    const char *key = luaL_checklstring(L, 1, &size);
    struct qn_batch **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = qn_batch_new();
    luaL_setmetatable(L, "quern.batch");
    (*box)->rows = qn_calloc(1, sizeof *(*box)->rows);
    (*box)->rows[0] = (struct qn_row){.size = (uint32_t)size + 2,
                                      .key = qn_hash_bytes(key, size),
                                      .owner_ms = luaL_checkinteger(L, 2),
                                      .flags = QN_ROW_HAS_KEY | QN_ROW_HAS_OWNER | QN_ROW_FIRST};
    (*box)->row_count = (*box)->record_count = 1;
    lua_pushfstring(L, "%s\r\n", key);
    (*box)->bytes = qn_bytes_new(lua_tostring(L, -1), size + 2);
    lua_pop(L, 1);
    return 1;
}

static void *allocate(void *context, void *block, size_t old, size_t size)
{
    (void)context;
    (void)old;
    if (size > 0) return qn_realloc(block, size);
    qn_free(block);
    return NULL;
}

static lua_State *open_state(const struct world *world)
{
    lua_State *L = lua_newstate(allocate, NULL);
    assert_non_null(L);
    luaL_openlibs(L);
    qn_lua_open_types(L);
    luaL_requiref(L, "run", luaopen_quern_core_run, 1);
    luaL_newmetatable(L, "quern.batch");
    lua_pushcfunction(L, l_batch_gc);
    lua_setfield(L, -2, "__gc");
    lua_register(L, "batch", l_batch);
    lua_pushstring(L, world->dir);
    lua_setglobal(L, "dir");
    lua_settop(L, 0);
    return L;
}

static void run_script(const char *script)
{
    struct world world;
    world_open(&world);
    lua_State *L = open_state(&world);
    if (luaL_dostring(L, script) != LUA_OK) fail_msg("%s", luaL_tolstring(L, -1, NULL));
    lua_close(L);
    world_close(&world);
}

static void test_whole_run(void **state)
{
    (void)state;
    run_script("local path = dir .. '/out.csv'\n"
               "local tree = run.tree { from = 0, to = 7200000, size = 'PT1H', floor = 'PT10M', grain = 'PT1S', split "
               "= true }\n"
               "local sink = assert(run.sink { path = path, format = 'csv', header = 'key\\r\\n', run = 'r1' })\n"
               "local seq = run.sequencer { tree = tree, sink = sink, key = true, owner = true, order = true, from = "
               "0, to = 7200000 }\n"
               "local first = tree:take()\n"
               "assert(first == 1 and tree:index(first) == 1 and tree:state(first) == 'running')\n"
               "seq:begin(first)\n"
               "assert(seq:add(first, 1, batch('x', 1)))\n"
               "seq:discard(first)\n"
               "local a, b = tree:split(first)\n"
               "assert(a == 3 and b == 4 and tree:state(first) == 'split')\n"
               "local from, to = tree:range(b)\n"
               "assert(from == 1800000 and to == 3600000)\n"
               "assert(tree:take() == a and tree:take() == b and tree:take() == 2 and tree:take() == nil)\n"
               "for _, leaf in ipairs(tree:leaves()) do\n"
               "  seq:begin(leaf)\n"
               "  local from = tree:range(leaf)\n"
               "  local one = batch('k' .. leaf, from)\n"
               "  assert(seq:add(leaf, 2, batch('l' .. leaf, from + 1)))\n"
               "  assert(seq:add(leaf, 1, one))\n"
               "  local ok, err = pcall(seq.add, seq, leaf, 3, one)\n"
               "  assert(not ok and err:find('gone'))\n"
               "  local done = assert(seq:finish(leaf, 2))\n"
               "  assert(done.received == 2 and done.rows == 2)\n"
               "end\n"
               "local done = assert(seq:advance())\n"
               "assert(#done.committed == 3 and done.committed[1] == a and #done.refetch == 0)\n"
               "local counts = tree:counts()\n"
               "assert(counts.committed == 3 and counts.splits == 1 and counts.open == 0 and tree:tiled())\n"
               "local facts = seq:facts()\n"
               "assert(facts.rows == 6 and facts.records == 6 and facts.duplicates == 0 and facts.spooled_bytes == 0)\n"
               "assert(#seq:holes() == 0)\n"
               "assert(seq:close('publish') == '')\n"
               "local file = assert(io.open(path, 'rb'))\n"
               "assert(file:read('a') == 'key\\r\\nk3\\r\\nl3\\r\\nk4\\r\\nl4\\r\\nk2\\r\\nl2\\r\\n')\n"
               "file:close()\n"
               "os.remove(path)\n");
}

static void test_failures(void **state)
{
    (void)state;
    run_script("local function usage(options, text)\n"
               "  local ok, err = pcall(run.tree, options)\n"
               "  assert(not ok)\n"
               "  assert(tostring(err.kind and err.message or err):find(text, 1, true), tostring(err.message or err))\n"
               "  if err.kind then assert(err.kind == 'usage' and err.exit == 2) end\n"
               "end\n"
               "usage({ from = 1, to = 7200000, grain = 'PT1S' }, 'grain')\n"
               "usage({ from = 0, to = 0 }, 'empty')\n"
               "usage({ from = 0, to = 7200000000000, size = 'PT1S' }, '1000000 leaves')\n"
               "usage({ from = 0, to = 1000, size = 'often' }, 'often')\n"
               "usage({ from = 0, to = 1000, floor = 'P1M' }, 'without months')\n"
               "usage({ from = 0, to = 1000, flor = 'PT1M' }, \"unknown option 'flor'\")\n"
               "usage({ from = 0 }, \"'from' and 'to'\")\n"
               "usage({ count = 0 }, 'nothing to fetch')\n"
               "local sink, err = run.sink { path = dir .. '/no/out.csv', format = 'csv', run = 'r1' }\n"
               "assert(sink == nil and err.kind == 'io' and err.message:find('no/out.csv', 1, true))\n"
               "assert(not pcall(run.sink, { format = 'xml' }))\n"
               "local tree = run.tree { count = 2 }\n"
               "local leaf = tree:take()\n"
               "assert(select('#', tree:range(leaf)) == 0)\n"
               "local half, why = tree:split(leaf)\n"
               "assert(half == nil and why == 'whole')\n"
               "assert(not pcall(tree.state, tree, 99) and not pcall(tree.state, tree, 0))\n"
               "local day = run.tree { from = 0, to = 3600000, floor = 'PT1H' }\n"
               "half, why = day:split(day:take())\n"
               "assert(half == nil and why == 'floor')\n"
               "assert(not pcall(day.split, run.tree { from = 0, to = 3600000 }, 1))\n"
               "sink = assert(run.sink { path = dir .. '/out.json', format = 'json', run = 'r1' })\n"
               "assert(not pcall(run.sequencer, { tree = tree, sink = sink, from = 5 }))\n"
               "local seq <close> = run.sequencer { tree = tree, sink = sink, key = true }\n"
               "seq:begin(leaf)\n"
               "local done, problem = seq:finish(leaf, 3)\n"
               "assert(done == nil and problem.kind == 'state')\n"
               "seq:fail(leaf, 'refused')\n"
               "tree:reopen(tree:take())\n"
               "assert(seq:holes()[1].reason == 'refused' and seq:holes()[1].from == nil)\n"
               "assert(not pcall(seq.begin, seq, 2))\n"
               "local path, publish = seq:close('publish')\n"
               "assert(path == nil and publish.kind == 'state')\n");
}

static void test_keep(void **state)
{
    (void)state;
    run_script("local tree = run.tree { count = 1 }\n"
               "local sink = assert(run.sink { path = dir .. '/out.json', format = 'json', run = 'r1' })\n"
               "local seq = run.sequencer { tree = tree, sink = sink }\n"
               "seq:begin(tree:take())\n"
               "seq:fail(1, 'refused')\n"
               "assert(seq:advance())\n"
               "local path = assert(seq:close('keep'))\n"
               "assert(path == dir .. '/.out.json.r1.partial')\n"
               "assert(os.remove(path))\n");
}

/* A run that is dropped in the middle leaves no file, whoever is collected first. */
static void test_collected_in_the_middle(void **state)
{
    (void)state;
    run_script("do\n"
               "  local sink = assert(run.sink { path = dir .. '/out.csv', format = 'csv', run = 'r1' })\n"
               "  local tree = run.tree { from = 0, to = 7200000, size = 'PT1H' }\n"
               "  local seq = run.sequencer { tree = tree, sink = sink, key = true, owner = true, leaf_memory = 1, "
               "memory = 1 }\n"
               "  sink, tree = nil, nil\n"
               "  collectgarbage()\n"
               "  seq:advance()\n"
               "end\n"
               "collectgarbage()\n"
               "seq = run.sequencer { tree = run.tree { count = 1 }, sink = assert(run.sink { path = dir .. '/b.csv', "
               "run = 'r2' }) }\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_run),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_keep),
        cmocka_unit_test(test_collected_in_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
