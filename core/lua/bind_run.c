/* bind_run.c - quern.core.run: chunk tree, sequencer and sinks for the run loop. Conversion only.
 *
 * A sequencer keeps its tree, plan, sink and quarantine alive (user values 1 to 4); trees and sinks have no __close,
 * because a sequencer may still use them. Collected together, the sequencer goes first: it was marked last. */
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "lua/bind.h"
#include "lua/bind_run.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"
#include "run/queue.h"
#include "run/sequencer.h"
#include "sink/file.h"
#include "store/memory.h"

#define SINK      "quern.sink"
#define SEQUENCER "quern.sequencer"
#define PLAN      "quern.plan"
#define BATCH     "quern.batch"
#define PARTIAL   ".partial"

struct sequencer_box {
    struct qn_sequencer *sequencer;
    struct qn_store *store;
};

/* ---- sink ---- */

/* The number of the word that is the option's value. */
static int word_field(lua_State *L, const char *name, const char *fallback, const char *const *words)
{
    const char *word = qn_field_string(L, 1, name, fallback);
    for (int i = 0; words[i]; i++) {
        if (strcmp(words[i], word) == 0) return i;
    }
    return luaL_error(L, "option '%s' may not be '%s'", name, word);
}

static unsigned packing_threads(lua_State *L)
{
    enum { MOST = 8 }; /* more are faster than a disk, and each holds a block or two */
    lua_Integer given = qn_field_integer(L, 1, "threads", sysconf(_SC_NPROCESSORS_ONLN));
    return given < 1 ? 1 : given > MOST ? MOST : (unsigned)given;
}

/* sink{ path=, format="csv"|"ndjson"|"json", compression="none"|"gzip"|"zstd", threads=, header=, run=, optional= }
 * -> sink | nil, err */
static int l_run_sink(lua_State *L)
{
    static const char *const names[] = {"path", "format", "compression", "threads", "header", "run", "optional", NULL};
    static const char *const formats[] = {"csv", "ndjson", "json", NULL};
    static const char *const compressions[] = {"none", "gzip", "zstd", NULL};
    qn_run_check_options(L, names);
    struct qn_file_sink_options options = {.path = qn_field_string(L, 1, "path", NULL)};
    options.format = (enum qn_sink_format)word_field(L, "format", "csv", formats);
    options.compression = (enum qn_compression)word_field(L, "compression", "none", compressions);
    if (options.compression != QN_COMPRESSION_NONE) {
        options.threads = packing_threads(L);
        options.loop = qn_runtime_of(L)->loop;
    }
    options.header = qn_field_string(L, 1, "header", NULL);
    if (options.header) options.header_size = strlen(options.header); /* names of columns hold no NUL */
    options.run = qn_field_string(L, 1, "run", "run");
    options.optional = qn_field_boolean(L, 1, "optional", false);
    struct qn_err err;
    struct qn_sink **box = qn_run_new_box(L, SINK, sizeof *box, 1); /* [options, sink] */
    lua_pushstring(L, options.run);
    lua_setiuservalue(L, -2, 1);
    return qn_file_sink_open(&options, box, &err) < 0 ? qn_lua_fail(L, NULL, &err) : 1;
}

static int has_room(lua_State *L, int status, lua_KContext context)
{
    (void)status, (void)context;
    qn_wait_end(L);
    return 0;
}

/* sink:wait(): until it takes more rows; for one task at a time   (waits) */
static int l_sink_wait(lua_State *L)
{
    struct qn_sink *sink = qn_lua_check_sink(L, 1);
    qn_wait_check(L);
    struct qn_op *room = qn_sink_room(sink);
    if (!room) return 0;
    if (room->waiter) return luaL_error(L, "another task waits for the sink");
    return qn_wait(L, room, has_room, 0);
}

/* sink:bytes() -> of the rows with what stands between them, and of the output; when it is closed */
static int l_sink_bytes(lua_State *L)
{
    const struct qn_sink *sink = qn_lua_check_sink(L, 1);
    lua_pushinteger(L, (lua_Integer)sink->bytes_written);
    lua_pushinteger(L, (lua_Integer)sink->output_bytes);
    return 2;
}

static const char *temporary_dir(void)
{
    const char *given = getenv("TMPDIR");
    return given && *given ? given : "/tmp";
}

/* queue{ spool_dir=, run= } -> a sink whose rows are taken out again */
static int l_run_queue(lua_State *L)
{
    static const char *const names[] = {"spool_dir", "run", NULL};
    struct qn_err err;
    qn_run_check_options(L, names);
    struct qn_sink **box = qn_run_new_box(L, SINK, sizeof *box, 1); /* [options, sink] */
    lua_pushstring(L, qn_field_string(L, 1, "run", "run"));
    lua_setiuservalue(L, -2, 1);
    const char *dir = qn_field_string(L, 1, "spool_dir", temporary_dir());
    return qn_queue_new(dir, box, &err) < 0 ? qn_lua_raise(L, NULL, &err) : 1;
}

static struct qn_sink *check_queue(lua_State *L)
{
    struct qn_sink *sink = qn_lua_check_sink(L, 1);
    luaL_argcheck(L, qn_queue_is(sink), 1, "not a queue");
    return sink;
}

/* queue:take() -> lines | nil: none now | nil, err */
static int l_queue_take(lua_State *L)
{
    const char *text = NULL;
    size_t size;
    struct qn_err err;
    if (qn_queue_take(check_queue(L), &text, &size, &err) < 0) return qn_lua_fail(L, NULL, &err);
    if (size > 0)
        lua_pushlstring(L, text, size);
    else
        lua_pushnil(L);
    return 1;
}

/* queue:waiting() -> committed bytes that were not taken */
static int l_queue_waiting(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qn_queue_waiting(check_queue(L)));
    return 1;
}

struct qn_sink *qn_lua_check_sink(lua_State *L, int index)
{
    struct qn_sink **sink = luaL_checkudata(L, index, SINK);
    if (!*sink) luaL_error(L, "the sink is closed");
    return *sink;
}

/* sink:close("publish"|"keep"|"discard") -> true | nil, err: for one that no sequencer has */
static int l_sink_close(lua_State *L)
{
    static const char *const ends[] = {"publish", "keep", "discard", NULL};
    struct qn_sink *sink = qn_lua_check_sink(L, 1);
    struct qn_err err;
    int rc = 0;
    switch (luaL_checkoption(L, 2, NULL, ends)) {
    case QN_END_PUBLISH:
        rc = sink->class->commit(sink, &err);
        if (rc == 0) rc = sink->class->publish(sink, &err);
        break;
    case QN_END_KEEP: sink->class->keep(sink); break;
    default: sink->class->discard(sink);
    }
    if (rc < 0) {
        sink->class->discard(sink);
        return qn_lua_fail(L, NULL, &err);
    }
    lua_pushboolean(L, true);
    return 1;
}

static int l_sink_gc(lua_State *L)
{
    struct qn_sink **box = luaL_checkudata(L, 1, SINK);
    if (*box) (*box)->class->free(*box);
    *box = NULL;
    return 0;
}

/* ---- sequencer ---- */

static struct qn_sequencer *check_sequencer(lua_State *L)
{
    struct sequencer_box *box = luaL_checkudata(L, 1, SEQUENCER);
    if (!box->sequencer) luaL_error(L, "the sequencer is closed");
    return box->sequencer;
}

static uint32_t check_own_leaf(lua_State *L)
{
    lua_getiuservalue(L, 1, 1);
    uint32_t leaf = qn_lua_check_leaf(L, 2, qn_lua_check_tree(L, -1));
    lua_pop(L, 1);
    return leaf;
}

/* `.NAME.RUN.spool` beside the output, or the folder for temporary files. Pushes the text. */
static const char *push_spool_dir(lua_State *L, struct qn_sink *sink)
{
    const char *given = qn_field_string(L, 1, "spool_dir", NULL);
    if (given) return lua_pushstring(L, given);
    const char *partial = sink->class->partial_path(sink);
    size_t size = strlen(partial), tail = sizeof PARTIAL - 1;
    if (size > tail && strcmp(partial + size - tail, PARTIAL) == 0) {
        lua_pushlstring(L, partial, size - tail);
        lua_pushliteral(L, ".spool");
        lua_concat(L, 2);
        return lua_tostring(L, -1);
    }
    return lua_pushstring(L, temporary_dir());
}

static size_t size_field(lua_State *L, const char *name)
{
    lua_Integer value = qn_field_integer(L, 1, name, 0);
    if (value < 0) luaL_error(L, "option '%s' must not be negative", name);
    return (size_t)value;
}

static void check_span(lua_State *L, const struct qn_tree *tree)
{
    int64_t from_ms, to_ms;
    qn_tree_span(tree, &from_ms, &to_ms);
    if (qn_field_integer(L, 1, "from", from_ms) != from_ms || qn_field_integer(L, 1, "to", to_ms) != to_ms) {
        luaL_error(L, "options 'from' and 'to' must be those of the tree");
    }
}

/* sequencer{ tree=, plan=, sink=, quarantine=, key=, owner=, order=, from=, to=, leaf_memory=, memory=, spool_dir= } ->
 * sequencer */
static int l_run_sequencer(lua_State *L)
{
    static const char *const names[] = {"tree", "plan", "sink",        "quarantine", "key",       "owner", "order",
                                        "from", "to",   "leaf_memory", "memory",     "spool_dir", NULL};
    qn_run_check_options(L, names);
    lua_settop(L, 1);
    lua_getfield(L, 1, "tree"); /* [options, tree, plan, sink, quarantine] */
    lua_getfield(L, 1, "plan");
    lua_getfield(L, 1, "sink");
    lua_getfield(L, 1, "quarantine");
    struct qn_tree *tree = qn_lua_check_tree(L, 2);
    if (!lua_isnil(L, 3)) luaL_checkudata(L, 3, PLAN);
    struct qn_sink *sink = qn_lua_check_sink(L, 4);
    check_span(L, tree);
    lua_getiuservalue(L, 4, 1); /* [.., run] */
    struct qn_sequencer_options options = {
        .tree = tree,
        .sink = sink,
        .quarantine = lua_isnil(L, 5) ? NULL : qn_lua_check_sink(L, 5),
        .run = lua_tostring(L, -1),
        .key = qn_field_boolean(L, 1, "key", false),
        .owner = qn_field_boolean(L, 1, "owner", false),
        .order = qn_field_boolean(L, 1, "order", false),
        .leaf_memory = size_field(L, "leaf_memory"),
        .memory = size_field(L, "memory"),
        .spool_dir = push_spool_dir(L, sink),
    };
    struct sequencer_box *box =
        qn_run_new_box(L, SEQUENCER, sizeof *box, 4); /* [options, tree, plan, sink, quarantine, run, dir, box] */
    for (int i = 1; i <= 4; i++) {
        lua_pushvalue(L, i + 1);
        lua_setiuservalue(L, -2, i);
    }
    struct qn_err err;
    options.store = box->store = qn_memory_store_new();
    if (!box->store) return luaL_error(L, "out of memory for the run's state");
    return qn_sequencer_new(&options, &box->sequencer, &err) < 0 ? qn_lua_raise(L, NULL, &err) : 1;
}

static int l_sequencer_gc(lua_State *L)
{
    struct sequencer_box *box = luaL_checkudata(L, 1, SEQUENCER);
    qn_sequencer_free(box->sequencer);
    if (box->store) box->store->class->free(box->store);
    *box = (struct sequencer_box){NULL, NULL};
    return 0;
}

/* sequencer:begin(leaf) */
static int l_sequencer_begin(lua_State *L)
{
    struct qn_err err;
    int rc = qn_sequencer_begin(check_sequencer(L), check_own_leaf(L), &err);
    return rc < 0 ? qn_lua_raise(L, NULL, &err) : 0;
}

/* sequencer:add(leaf, page, batch) -> true | nil, err. Takes the batch: its memory does not wait for the collector. */
static int l_sequencer_add(lua_State *L)
{
    struct qn_sequencer *sequencer = check_sequencer(L);
    uint32_t leaf = check_own_leaf(L);
    lua_Integer page = luaL_checkinteger(L, 3);
    luaL_argcheck(L, page >= 1 && page <= UINT32_MAX, 3, "pages count from 1");
    struct qn_batch **batch = luaL_checkudata(L, 4, BATCH);
    luaL_argcheck(L, *batch != NULL, 4, "the batch is gone");
    struct qn_err err;
    int rc = qn_sequencer_add(sequencer, leaf, (uint32_t)page, *batch, &err);
    qn_batch_unref(*batch);
    *batch = NULL;
    if (rc < 0) return qn_lua_fail(L, NULL, &err);
    lua_pushboolean(L, true);
    return 1;
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

/* sequencer:finish(leaf, pages) -> { received=, rows= } | nil, err */
static int l_sequencer_finish(lua_State *L)
{
    struct qn_sequencer *sequencer = check_sequencer(L);
    uint32_t leaf = check_own_leaf(L);
    lua_Integer pages = luaL_checkinteger(L, 3);
    luaL_argcheck(L, pages >= 0 && pages <= UINT32_MAX, 3, "not a number of pages");
    struct qn_leaf_facts facts;
    struct qn_err err;
    if (qn_sequencer_finish(sequencer, leaf, (uint32_t)pages, &facts, &err) < 0) return qn_lua_fail(L, NULL, &err);
    lua_createtable(L, 0, 2);
    set_count(L, "received", facts.records);
    set_count(L, "rows", facts.rows);
    return 1;
}

/* sequencer:discard(leaf) */
static int l_sequencer_discard(lua_State *L)
{
    qn_sequencer_discard(check_sequencer(L), check_own_leaf(L));
    return 0;
}

/* sequencer:fail(leaf, reason) */
static int l_sequencer_fail(lua_State *L)
{
    struct qn_sequencer *sequencer = check_sequencer(L);
    struct qn_err err;
    int rc = qn_sequencer_fail(sequencer, check_own_leaf(L), luaL_checkstring(L, 3), &err);
    return rc < 0 ? qn_lua_raise(L, NULL, &err) : 0;
}

static void push_advance(lua_State *L, const struct qn_advance *done)
{
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, done->full);
    lua_setfield(L, -2, "full");
    lua_createtable(L, (int)done->count, 0); /* [result, committed] */
    for (size_t i = 0; i < done->count; i++) {
        lua_pushinteger(L, done->committed[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "committed");
    lua_createtable(L, (int)done->failed_count, 0);
    for (size_t i = 0; i < done->failed_count; i++) {
        lua_pushstring(L, done->failed[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "failed");
    lua_newtable(L);
    if (done->refetch) {
        lua_pushinteger(L, done->refetch);
        lua_rawseti(L, -2, 1);
    }
    lua_setfield(L, -2, "refetch");
}

/* The table is made under pcall, so that what C holds is freed however that ends. */
static int protected_push(lua_State *L)
{
    push_advance(L, lua_touserdata(L, 1));
    return 1;
}

/* sequencer:advance() -> { committed={leaf...}, refetch={leaf...}, failed={json text...}, full=boolean } | nil, err */
static int l_sequencer_advance(lua_State *L)
{
    struct qn_sequencer *sequencer = check_sequencer(L);
    struct qn_advance done;
    struct qn_err err;
    lua_pushcfunction(L, protected_push);
    lua_pushlightuserdata(L, &done);
    if (qn_sequencer_advance(sequencer, &done, &err) < 0) return qn_lua_fail(L, NULL, &err);
    int rc = lua_pcall(L, 1, 1, 0);
    qn_advance_free(&done);
    return rc == LUA_OK ? 1 : lua_error(L);
}

/* sequencer:facts() -> sums over committed leaves */
static int l_sequencer_facts(lua_State *L)
{
    struct qn_sequencer_facts facts;
    qn_sequencer_facts(check_sequencer(L), &facts);
    lua_createtable(L, 0, 9);
    set_count(L, "rows", facts.leaves.rows);
    set_count(L, "failed", facts.leaves.failed);
    set_count(L, "records", facts.leaves.records);
    set_count(L, "duplicates", facts.leaves.duplicates);
    set_count(L, "disowned", facts.leaves.disowned);
    set_count(L, "outside", facts.leaves.outside);
    set_count(L, "no_key", facts.leaves.no_key);
    set_count(L, "no_owner", facts.leaves.no_owner);
    set_count(L, "spooled_bytes", facts.spooled_bytes);
    return 1;
}

/* sequencer:held() -> bytes of memory that rows take which wait */
static int l_sequencer_held(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qn_sequencer_held(check_sequencer(L)));
    return 1;
}

/* sequencer:holes() -> list of { leaf=, from=, to=, reason= }; from and to only where leaves are times */
static int l_sequencer_holes(lua_State *L)
{
    struct qn_sequencer *sequencer = check_sequencer(L);
    lua_getiuservalue(L, 1, 1);
    bool by_time = qn_tree_by_time(qn_lua_check_tree(L, -1));
    size_t count;
    const struct qn_hole *holes = qn_sequencer_holes(sequencer, &count);
    lua_createtable(L, (int)count, 0); /* [.., list] */
    for (size_t i = 0; i < count; i++) {
        lua_createtable(L, 0, 4);
        set_count(L, "leaf", holes[i].leaf);
        if (by_time) {
            lua_pushinteger(L, holes[i].from_ms);
            lua_setfield(L, -2, "from");
            lua_pushinteger(L, holes[i].to_ms);
            lua_setfield(L, -2, "to");
        }
        lua_pushstring(L, holes[i].reason);
        lua_setfield(L, -2, "reason");
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* sequencer:close("publish"|"keep"|"discard") -> path of the partial file that stays ("": none), the same of the
 * quarantine | nil, err */
static int l_sequencer_close(lua_State *L)
{
    static const char *const ends[] = {"publish", "keep", "discard", NULL};
    struct qn_sequencer *sequencer = check_sequencer(L);
    int end = luaL_checkoption(L, 2, NULL, ends);
    struct qn_err err;
    if (qn_sequencer_close(sequencer, (enum qn_sequencer_end)end, &err) < 0) return qn_lua_fail(L, NULL, &err);
    for (int i = 3; i <= 4; i++) {
        lua_getiuservalue(L, 1, i); /* [.., sink or nil] */
        struct qn_sink **sink = lua_isnil(L, -1) ? NULL : luaL_checkudata(L, -1, SINK);
        lua_pushstring(L, sink ? (*sink)->class->partial_path(*sink) : "");
        lua_replace(L, -2);
    }
    return 2;
}

/* ---- module ---- */

int luaopen_quern_core_run(lua_State *L)
{
    static const luaL_Reg sink_meta[] = {{"__gc", l_sink_gc}, {NULL, NULL}};
    static const luaL_Reg sink_methods[] = {{"close", l_sink_close},      {"wait", l_sink_wait},
                                            {"bytes", l_sink_bytes},      {"take", l_queue_take},
                                            {"waiting", l_queue_waiting}, {NULL, NULL}};
    static const luaL_Reg sequencer_meta[] = {{"__gc", l_sequencer_gc}, {"__close", l_sequencer_gc}, {NULL, NULL}};
    static const luaL_Reg sequencer_methods[] = {{"begin", l_sequencer_begin},
                                                 {"add", l_sequencer_add},
                                                 {"finish", l_sequencer_finish},
                                                 {"discard", l_sequencer_discard},
                                                 {"fail", l_sequencer_fail},
                                                 {"advance", l_sequencer_advance},
                                                 {"facts", l_sequencer_facts},
                                                 {"holes", l_sequencer_holes},
                                                 {"held", l_sequencer_held},
                                                 {"close", l_sequencer_close},
                                                 {NULL, NULL}};
    static const luaL_Reg functions[] = {{"tree", qn_lua_new_tree},     {"sink", l_run_sink},
                                         {"queue", l_run_queue},        {"sequencer", l_run_sequencer},
                                         {"writer", qn_lua_new_writer}, {NULL, NULL}};
    qn_lua_open_tree(L);
    qn_lua_open_writer(L);
    qn_lua_new_type(L, SINK, sink_meta, sink_methods);
    qn_lua_new_type(L, SEQUENCER, sequencer_meta, sequencer_methods);
    luaL_newlib(L, functions);
    return 1;
}
