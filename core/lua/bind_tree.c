/* bind_tree.c - the chunk tree as a Lua value, and what the bindings of quern.core.run share. Conversion only. */
#include "lua/bind_run.h"

#include <string.h>

#include <lauxlib.h>

#include "base/time.h"
#include "lua/luax.h"

#define TREE "quern.tree"

/* An unknown option is told, not ignored. */
void qn_run_check_options(lua_State *L, const char *const *names)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1)) { /* [options, key, value] */
        bool known = false;
        for (size_t i = 0; names[i] && !known; i++) {
            known = lua_type(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -2), names[i]) == 0;
        }
        if (!known) luaL_error(L, "unknown option '%s'", luaL_tolstring(L, -2, NULL));
    }
}

void *qn_run_new_box(lua_State *L, const char *type, size_t size, int values)
{
    void *box = lua_newuserdatauv(L, size, values);
    memset(box, 0, size);
    luaL_setmetatable(L, type);
    return box;
}

struct qn_tree *qn_lua_check_tree(lua_State *L, int index)
{
    struct qn_tree **box = luaL_checkudata(L, index, TREE);
    return *box;
}

uint32_t qn_lua_check_leaf(lua_State *L, int index, const struct qn_tree *tree)
{
    lua_Integer leaf = luaL_checkinteger(L, index);
    luaL_argcheck(L, leaf > 0 && qn_tree_has(tree, (uint64_t)leaf), index, "no such leaf");
    return (uint32_t)leaf;
}

/* The run cannot be as it was asked for: exit 2. */
static int raise_usage(lua_State *L, const struct qn_err *err)
{
    qn_lua_push_error(L, "usage", err->text);
    lua_pushinteger(L, 2);
    lua_setfield(L, -2, "exit");
    return lua_error(L);
}

static bool duration_field(lua_State *L, const char *name, struct qn_duration *out)
{
    struct qn_err err;
    const char *text = qn_field_string(L, 1, name, NULL);
    if (!text) return false;
    if (qn_duration_parse(text, strlen(text), out, &err) < 0) raise_usage(L, &err);
    return true;
}

static int64_t fixed_field(lua_State *L, const char *name, int64_t otherwise)
{
    struct qn_duration duration;
    if (!duration_field(L, name, &duration)) return otherwise;
    if (duration.months != 0) luaL_error(L, "option '%s' must be a duration without months or years", name);
    return duration.days * 86400000 + duration.ms;
}

/* Option edges: a list of integers, copied into a userdata that is left on the stack. */
static void edges_field(lua_State *L, struct qn_tree_spec *spec)
{
    if (lua_getfield(L, 1, "edges") != LUA_TTABLE) return;
    size_t count = lua_rawlen(L, -1);
    if (count > QN_TREE_MAX_LEAVES) luaL_error(L, "more than %d edges", QN_TREE_MAX_LEAVES);
    int64_t *edges = lua_newuserdatauv(L, (count + 1) * sizeof *edges, 0); /* [edges, copy] */
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(L, -2, (lua_Integer)i + 1);
        edges[i] = luaL_checkinteger(L, -1);
        lua_pop(L, 1);
    }
    spec->edges = edges;
    spec->edge_count = count;
}

/* tree{ from=, to=, size=, edges=, floor=, grain=, align=, split= } or tree{ count= } -> tree. Raises kind "usage". */
int qn_lua_new_tree(lua_State *L)
{
    static const char *const names[] = {"from",  "to",    "size",  "edges", "floor",
                                        "grain", "align", "split", "count", NULL};
    qn_run_check_options(L, names);
    struct qn_tree_spec spec = {.by_time = !qn_field_given(L, 1, "count")};
    if (spec.by_time) {
        if (!qn_field_given(L, 1, "from") || !qn_field_given(L, 1, "to")) {
            return luaL_error(L, "a tree needs options 'from' and 'to', or 'count'");
        }
        spec.from_ms = qn_field_integer(L, 1, "from", 0);
        spec.to_ms = qn_field_integer(L, 1, "to", 0);
        spec.has_size = duration_field(L, "size", &spec.size);
        spec.grain_ms = fixed_field(L, "grain", 1000);
        spec.floor_ms = fixed_field(L, "floor", spec.grain_ms);
        spec.align_ms = fixed_field(L, "align", spec.grain_ms);
        edges_field(L, &spec);
        spec.may_split = qn_field_boolean(L, 1, "split", true);
    } else {
        lua_Integer count = qn_field_integer(L, 1, "count", 0);
        spec.count = count > 0 ? (uint64_t)count : 0;
    }
    struct qn_err err;
    struct qn_tree **box = qn_run_new_box(L, TREE, sizeof *box, 0);
    return qn_tree_new(&spec, box, &err) < 0 ? raise_usage(L, &err) : 1;
}

static int l_tree_gc(lua_State *L)
{
    struct qn_tree **box = luaL_checkudata(L, 1, TREE);
    qn_tree_free(*box);
    *box = NULL;
    return 0;
}

/* tree:take() -> leaf | nil */
static int l_tree_take(lua_State *L)
{
    uint32_t leaf = qn_tree_take(qn_lua_check_tree(L, 1));
    if (leaf)
        lua_pushinteger(L, leaf);
    else
        lua_pushnil(L);
    return 1;
}

/* tree:range(leaf) -> from_ms, to_ms; nothing when leaves are no times */
static int l_tree_range(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    uint32_t leaf = qn_lua_check_leaf(L, 2, tree);
    if (!qn_tree_by_time(tree)) return 0;
    int64_t from_ms, to_ms;
    qn_tree_range(tree, leaf, &from_ms, &to_ms);
    lua_pushinteger(L, from_ms);
    lua_pushinteger(L, to_ms);
    return 2;
}

/* tree:index(leaf) -> 1-based position of its item, or of its chunk in the first cut */
static int l_tree_index(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    lua_pushinteger(L, (lua_Integer)qn_tree_index(tree, qn_lua_check_leaf(L, 2, tree)) + 1);
    return 1;
}

/* tree:split(leaf) -> first, second | nil, "whole"|"floor"|"limit" */
static int l_tree_split(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    struct qn_err err;
    uint32_t first, second;
    int rc = qn_tree_split(tree, qn_lua_check_leaf(L, 2, tree), &first, &second, &err);
    if (rc == 0) {
        lua_pushinteger(L, first);
        lua_pushinteger(L, second);
        return 2;
    }
    if (rc == QN_ESTATE || rc == QN_ENOMEM) return qn_lua_raise(L, NULL, &err);
    lua_pushnil(L);
    lua_pushstring(L, rc == QN_EDENIED ? "whole" : rc == QN_ELIMIT ? "limit" : "floor");
    return 2;
}

/* tree:reopen(leaf): a RUNNING or WHOLE leaf is OPEN again */
static int l_tree_reopen(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    struct qn_err err;
    int rc = qn_tree_move(tree, qn_lua_check_leaf(L, 2, tree), QN_LEAF_OPEN, &err);
    return rc < 0 ? qn_lua_raise(L, NULL, &err) : 0;
}

/* tree:leaves() -> list in plan order */
static int l_tree_leaves(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    lua_newtable(L);
    lua_Integer n = 0;
    for (uint32_t leaf = qn_tree_first(tree); leaf; leaf = qn_tree_next(tree, leaf)) {
        lua_pushinteger(L, leaf);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

static const char *const state_names[QN_LEAF_STATES] = {"open", "running", "whole", "committed", "hole", "split"};

/* tree:state(leaf) -> "open"|"running"|"whole"|"committed"|"hole"|"split" */
static int l_tree_state(lua_State *L)
{
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    lua_pushstring(L, state_names[qn_tree_state(tree, qn_lua_check_leaf(L, 2, tree))]);
    return 1;
}

/* tree:counts() -> { open=, running=, whole=, committed=, holes=, splits= } */
static int l_tree_counts(lua_State *L)
{
    static const char *const names[QN_LEAF_STATES] = {"open", "running", "whole", "committed", "holes", "splits"};
    struct qn_tree *tree = qn_lua_check_tree(L, 1);
    lua_createtable(L, 0, QN_LEAF_STATES);
    for (int i = 0; i < QN_LEAF_STATES; i++) {
        lua_pushinteger(L, (lua_Integer)qn_tree_count(tree, (enum qn_leaf_state)i));
        lua_setfield(L, -2, names[i]);
    }
    return 1;
}

/* tree:tiled() -> boolean */
static int l_tree_tiled(lua_State *L)
{
    lua_pushboolean(L, qn_tree_tiled(qn_lua_check_tree(L, 1)));
    return 1;
}

void qn_lua_open_tree(lua_State *L)
{
    static const luaL_Reg tree_meta[] = {{"__gc", l_tree_gc}, {NULL, NULL}};
    static const luaL_Reg tree_methods[] = {{"take", l_tree_take},     {"range", l_tree_range},
                                            {"index", l_tree_index},   {"split", l_tree_split},
                                            {"reopen", l_tree_reopen}, {"leaves", l_tree_leaves},
                                            {"state", l_tree_state},   {"counts", l_tree_counts},
                                            {"tiled", l_tree_tiled},   {NULL, NULL}};
    qn_lua_new_type(L, TREE, tree_meta, tree_methods);
}
