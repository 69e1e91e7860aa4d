#include "lua/bind_view.h"

#include <lauxlib.h>
#include <string.h>

#include "json/path.h"
#include "json/utf8.h"
#include "json/write.h"
#include "lua/bind.h"
#include "lua/bind_json.h"
#include "lua/luax.h"

#define PATH       "quern.path"
#define SHOWN_SIZE 200 /* of a record's text in tostring */

static const char view_type, scope_key, meta_key;

/* A view of the scope's own document lives no longer than that; any other has its holder as user value 1. */
struct view {
    const char *type; /* &view_type: what is as large and begins with this is a view */
    struct qn_lua_doc *holder;
    uint64_t generation; /* of the holder, while the view is alive */
    bool anchored;
    qn_node node;
    struct qn_cursor cursor; /* of an array */
};

/* One a state, in the registry. A scope mostly sees one document, which is held here; user value 1 is the newest
 * holder of another one; a holder's, the one before it. */
struct scope {
    bool active;
    struct qn_lua_doc own;
};

struct path {
    struct qn_path *path;
    struct qn_nodes nodes; /* reused from call to call */
};

/* ---- scopes ---- */

static void let_go(struct qn_lua_doc *own)
{
    qn_doc_unref(own->doc);
    own->doc = NULL;
    own->generation++;
    qn_wide_forget(own->wide);
}

static void end_scope(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &scope_key); /* [scope] */
    struct scope *scope = lua_touserdata(L, -1);
    if (scope && scope->active) {
        scope->active = false;
        let_go(&scope->own);
        lua_getiuservalue(L, -1, 1); /* [scope, holder] */
        for (struct qn_lua_doc *holder; (holder = lua_touserdata(L, -1));) {
            qn_lua_close_doc(holder);
            lua_getiuservalue(L, -1, 1);
            lua_remove(L, -2); /* [scope, holder before] */
        }
        lua_setiuservalue(L, -2, 1); /* nil */
    }
    lua_pop(L, 1);
}

void qn_view_scope_begin(lua_State *L)
{
    end_scope(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &scope_key);
    struct scope *scope = lua_touserdata(L, -1);
    if (scope) scope->active = true;
    lua_pop(L, 1);
}

void qn_view_scope_end(lua_State *L)
{
    end_scope(L);
}

static int l_scope_gc(lua_State *L)
{
    struct scope *scope = lua_touserdata(L, 1);
    qn_lua_close_doc(&scope->own);
    return 0;
}

static void make_scope(lua_State *L)
{
    struct scope *scope = lua_newuserdatauv(L, sizeof *scope, 1);
    *scope = (struct scope){.active = false};
    qn_buf_init(&scope->own.scratch, QN_BUF_NO_CAP);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_scope_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &scope_key);
}

static struct scope *scope_of(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &scope_key);
    struct scope *scope = lua_touserdata(L, -1);
    lua_pop(L, 1); /* the registry keeps it */
    return scope;
}

/* Pushes a holder of doc, which inside a scope ends with it. */
static struct qn_lua_doc *push_holder(lua_State *L, struct qn_doc *doc, bool scoped)
{
    if (scoped) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &scope_key);
        lua_getiuservalue(L, -1, 1); /* [scope, newest] */
        struct qn_lua_doc *newest = lua_touserdata(L, -1);
        if (newest && newest->doc == doc) {
            lua_remove(L, -2);
            return newest;
        }
    }
    struct qn_lua_doc *holder = qn_lua_new_doc(L);
    holder->doc = qn_doc_ref(doc);
    if (scoped) { /* [scope, newest, holder] */
        lua_insert(L, -2);
        lua_setiuservalue(L, -2, 1);
        lua_pushvalue(L, -1); /* [scope, holder, holder] */
        lua_setiuservalue(L, -3, 1);
        lua_remove(L, -2);
    }
    return holder;
}

/* ---- views ---- */

static void push_view_meta(lua_State *L);

static bool is_container(const struct qn_doc *doc, qn_node node)
{
    enum qn_kind kind = qn_doc_kind(doc, node);
    return kind == QN_ARRAY || kind == QN_OBJECT;
}

/* Pushes a view. anchor: the index of the holder, 0 for the scope's own; like: the index of another view, or 0. */
static void push_view(lua_State *L, struct qn_lua_doc *holder, qn_node node, int anchor, int like)
{
    struct view *view = lua_newuserdatauv(L, sizeof *view, anchor ? 1 : 0);
    *view = (struct view){&view_type, holder, holder->generation, anchor != 0, node, {0, QN_NONE}};
    if (anchor) {
        lua_pushvalue(L, anchor);
        lua_setiuservalue(L, -2, 1);
    }
    if (!like || !lua_getmetatable(L, like)) push_view_meta(L);
    lua_setmetatable(L, -2);
}

/* [..., holder] -> [..., value] */
static void push_held(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    if (is_container(holder->doc, node))
        push_view(L, holder, node, lua_gettop(L), 0);
    else
        qn_lua_push_scalar(L, holder, node);
    lua_remove(L, -2);
}

void qn_view_push(lua_State *L, struct qn_doc *doc, qn_node node)
{
    luaL_checkstack(L, 8, NULL);
    struct scope *scope = scope_of(L);
    bool scoped = scope && scope->active;
    if (scoped && !scope->own.doc) scope->own.doc = qn_doc_ref(doc);
    if (scoped && scope->own.doc == doc) {
        if (is_container(doc, node))
            push_view(L, &scope->own, node, 0, 0);
        else
            qn_lua_push_scalar(L, &scope->own, node);
        return;
    }
    struct qn_lua_doc *holder = push_holder(L, doc, scoped);
    bool kept = scoped || is_container(doc, node);
    push_held(L, holder, node);
    if (kept) return;
    qn_lua_close_doc(holder); /* a scalar is a copy: its document must not wait for the collector */
}

static struct view *alive(lua_State *L, struct view *view)
{
    if (view->generation != view->holder->generation) {
        luaL_error(L, "record used after its page: what must stay is copied with quern.table(rec)");
    }
    return view;
}

/* As luaL_testudata, without the search for the type's name: a script reads tens of members a record. */
static struct view *test_view(lua_State *L, int index)
{
    struct view *view = lua_touserdata(L, index);
    return view && lua_rawlen(L, index) == sizeof *view && view->type == &view_type ? view : NULL;
}

static struct view *check_view(lua_State *L, int index)
{
    struct view *view = test_view(L, index);
    return alive(L, view ? view : luaL_checkudata(L, index, QN_LUA_VIEW));
}

/* The view whose metamethod is called. Scripts reach no metamethod, so that it is one. */
static struct view *own_view(lua_State *L)
{
    struct view *view = lua_touserdata(L, 1);
    return view && view->type == &view_type ? view : luaL_checkudata(L, 1, QN_LUA_VIEW);
}

bool qn_view_of(lua_State *L, int index, struct qn_doc **doc, qn_node *node)
{
    struct view *view = test_view(L, index);
    if (!view) return false;
    alive(L, view);
    *doc = view->holder->doc;
    *node = view->node;
    return true;
}

void qn_view_push_copy(lua_State *L, int index)
{
    struct view *view = check_view(L, index);
    qn_lua_push_deep(L, view->holder, view->node);
}

/* The value of a node below the view at index. */
static int push_below(lua_State *L, int index, struct view *view, qn_node node)
{
    struct qn_scalar value = qn_doc_scalar(view->holder->doc, node);
    if (value.kind != QN_ARRAY && value.kind != QN_OBJECT) {
        qn_lua_push_looked_at(L, view->holder, node, value);
    } else if (!view->anchored) {
        push_view(L, view->holder, node, 0, index);
    } else {
        lua_getiuservalue(L, index, 1); /* [holder] */
        push_view(L, view->holder, node, lua_gettop(L), index);
        lua_remove(L, -2);
    }
    return 1;
}

static qn_node element(struct view *view, lua_Integer place)
{
    return place < 1 ? QN_NONE : qn_doc_element(view->holder->doc, view->node, (size_t)place - 1, &view->cursor);
}

static bool find(struct view *view, const char *name, size_t size, qn_node *out)
{
    struct qn_lua_doc *holder = view->holder;
    if (qn_doc_width(holder->doc, view->node) < QN_WIDE_MEMBERS) {
        return qn_doc_find(holder->doc, view->node, name, size, out);
    }
    return qn_wide_find(&holder->wide, holder->doc, view->node, name, size, out);
}

static int l_view_index(lua_State *L)
{
    struct view *view = alive(L, own_view(L));
    qn_node node = QN_NONE;
    size_t size;
    if (lua_type(L, 2) == LUA_TSTRING) {
        const char *name = lua_tolstring(L, 2, &size);
        if (!find(view, name, size, &node)) node = QN_NONE;
    } else if (lua_type(L, 2) == LUA_TNUMBER) {
        int whole;
        lua_Integer place = lua_tointegerx(L, 2, &whole);
        if (whole) node = element(view, place);
    }
    if (node != QN_NONE) return push_below(L, 1, view, node);
    lua_pushnil(L);
    return 1;
}

static int l_next_element(lua_State *L)
{
    struct view *view = check_view(L, 1);
    lua_Integer place = lua_tointeger(L, 2) + 1;
    qn_node node = element(view, place);
    if (node == QN_NONE) return 0;
    lua_pushinteger(L, place);
    return 1 + push_below(L, 1, view, node);
}

/* ipairs; upvalue 1: Lua's own. Over a view it does without a metamethod for each element. */
static int l_ipairs(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    if (!test_view(L, 1)) {
        lua_pushvalue(L, lua_upvalueindex(1));
        lua_insert(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    lua_pushcfunction(L, l_next_element);
    lua_insert(L, 1);
    lua_pushinteger(L, 0);
    return 3;
}

void qn_view_set_ipairs(lua_State *L)
{
    lua_getglobal(L, "ipairs");
    lua_pushcclosure(L, l_ipairs, 1);
    lua_setglobal(L, "ipairs");
}

static int l_view_newindex(lua_State *L)
{
    return luaL_error(L, "records are read-only; copy with quern.table(rec)");
}

static int l_view_len(lua_State *L)
{
    struct view *view = check_view(L, 1);
    bool array = qn_doc_kind(view->holder->doc, view->node) == QN_ARRAY;
    lua_pushinteger(L, array ? (lua_Integer)qn_doc_count(view->holder->doc, view->node) : 0);
    return 1;
}

static int l_view_eq(lua_State *L)
{
    struct view *a = test_view(L, 1), *b = test_view(L, 2);
    lua_pushboolean(L, a && b && alive(L, a)->holder->doc == alive(L, b)->holder->doc && a->node == b->node);
    return 1;
}

static int l_view_tostring(lua_State *L)
{
    struct view *view = luaL_checkudata(L, 1, QN_LUA_VIEW);
    if (view->generation != view->holder->generation) {
        lua_pushliteral(L, "record used after its page");
        return 1;
    }
    struct qn_span span = qn_doc_span(view->holder->doc, view->node);
    if (span.size <= SHOWN_SIZE) {
        lua_pushlstring(L, span.data, span.size);
    } else {
        lua_pushlstring(L, span.data, qn_utf8_cut(span.data, SHOWN_SIZE));
        lua_pushliteral(L, "...");
        lua_concat(L, 2);
    }
    return 1;
}

/* Upvalues: view, last node by name (objects) or nil, next node, place. */
static int l_next_child(lua_State *L)
{
    struct view *view = alive(L, lua_touserdata(L, lua_upvalueindex(1)));
    const struct qn_doc *doc = view->holder->doc;
    qn_node node = (qn_node)lua_tointeger(L, lua_upvalueindex(3));
    bool object = lua_istable(L, lua_upvalueindex(2)), last = false;
    for (qn_node next; node != QN_NONE && !last; node = next) {
        next = qn_doc_next(doc, view->node, node);
        lua_settop(L, 0);
        if (object) {
            qn_lua_push_text(L, view->holder, qn_doc_key(doc, node));
            lua_pushvalue(L, -1);
            lua_rawget(L, lua_upvalueindex(2)); /* [name, last node] */
            last = lua_tointeger(L, -1) == (lua_Integer)node;
            lua_pop(L, 1);
        } else {
            lua_pushinteger(L, lua_tointeger(L, lua_upvalueindex(4)) + 1);
            last = true;
        }
        if (last) {
            lua_pushinteger(L, next);
            lua_replace(L, lua_upvalueindex(3));
            if (!object) lua_copy(L, 1, lua_upvalueindex(4));
            push_below(L, lua_upvalueindex(1), view, node);
            return 2;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* Members in the order of the document; of duplicates only the last. */
static int l_view_pairs(lua_State *L)
{
    struct view *view = check_view(L, 1);
    const struct qn_doc *doc = view->holder->doc;
    qn_node first = qn_doc_first(doc, view->node);
    lua_settop(L, 1);
    if (qn_doc_kind(doc, view->node) == QN_OBJECT) {
        lua_createtable(L, 0, (int)qn_doc_count(doc, view->node)); /* [view, last] */
        for (qn_node n = first; n != QN_NONE; n = qn_doc_next(doc, view->node, n)) {
            qn_lua_push_text(L, view->holder, qn_doc_key(doc, n));
            lua_pushinteger(L, n);
            lua_rawset(L, 2);
        }
    } else {
        lua_pushnil(L);
    }
    lua_pushinteger(L, first);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, l_next_child, 4);
    return 1;
}

static void push_view_meta(lua_State *L)
{
    static const luaL_Reg meta[] = {
        {"__index", l_view_index}, {"__newindex", l_view_newindex}, {"__len", l_view_len}, {"__eq", l_view_eq},
        {"__pairs", l_view_pairs}, {"__tostring", l_view_tostring}, {NULL, NULL},
    };
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &meta_key) == LUA_TTABLE) return;
    lua_pop(L, 1);
    luaL_newmetatable(L, QN_LUA_VIEW);
    luaL_setfuncs(L, meta, 0);
    lua_pushliteral(L, QN_LUA_VIEW);
    lua_setfield(L, -2, "__metatable");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &meta_key);
}

/* ---- paths ---- */

static int l_path_gc(lua_State *L)
{
    struct path *path = lua_touserdata(L, 1);
    qn_path_free(path->path);
    path->path = NULL;
    qn_nodes_free(&path->nodes);
    return 0;
}

static struct path *check_path(lua_State *L)
{
    return luaL_checkudata(L, 1, PATH);
}

static void select_nodes(lua_State *L, struct path *path, const struct view *view)
{
    int rc = qn_path_select(path->path, view->holder->doc, view->node, &path->nodes);
    if (rc == QN_ELIMIT) luaL_error(L, "a path selected more than 16 million nodes");
    if (rc < 0) luaL_error(L, "out of memory");
}

/* path:select(view) -> array of values */
static int l_path_select(lua_State *L)
{
    struct path *path = check_path(L);
    struct view *view = check_view(L, 2);
    select_nodes(L, path, view);
    lua_createtable(L, (int)path->nodes.count, 0);
    for (size_t i = 0; i < path->nodes.count; i++) {
        push_below(L, 2, view, path->nodes.nodes[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    qn_lua_push_array_marker(L);
    lua_setmetatable(L, -2);
    return 1;
}

/* path:one(view) -> value | nil: the first that it selects */
static int l_path_one(lua_State *L)
{
    struct path *path = check_path(L);
    struct view *view = check_view(L, 2);
    qn_node node;
    if (qn_path_singular(path->path)) {
        node = qn_path_one(path->path, view->holder->doc, view->node);
    } else {
        select_nodes(L, path, view);
        node = path->nodes.count > 0 ? path->nodes.nodes[0] : QN_NONE;
    }
    if (node != QN_NONE) return push_below(L, 2, view, node);
    lua_pushnil(L);
    return 1;
}

static int l_path_singular(lua_State *L)
{
    lua_pushboolean(L, qn_path_singular(check_path(L)->path));
    return 1;
}

static void push_path_meta(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"select", l_path_select}, {"one", l_path_one}, {"singular", l_path_singular}, {NULL, NULL}};
    if (!luaL_newmetatable(L, PATH)) return;
    lua_pushcfunction(L, l_path_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, PATH);
    lua_setfield(L, -2, "__metatable");
}

/* ---- quern.core.view ---- */

/* view.path(text) -> path; raises a quern.error of kind "usage" with the column */
static int l_view_path(lua_State *L)
{
    size_t size;
    struct qn_err err, told;
    const char *text = luaL_checklstring(L, 1, &size);
    struct path *path = lua_newuserdatauv(L, sizeof *path, 0);
    path->path = NULL;
    qn_nodes_init(&path->nodes);
    push_path_meta(L);
    lua_setmetatable(L, -2);
    if (qn_path_compile(text, size, &path->path, &err) < 0) {
        qn_fail(&told, err.code, "path '%.200s': %s", text, err.text);
        return qn_lua_raise(L, "usage", &told);
    }
    return 1;
}

/* view.open(string|bytes) -> value | nil, err: a view of an array or object, else the value */
static int l_view_open(lua_State *L)
{
    struct qn_err err, told;
    struct qn_lua_doc *holder = qn_lua_new_doc(L);
    if (qn_lua_parse_doc(L, 1, holder, &err)) {
        push_held(L, holder, QN_ROOT);
        return 1;
    }
    if (err.code == QN_ENOMEM) return luaL_error(L, "out of memory");
    qn_fail(&told, err.code, "not JSON: %s", err.text);
    qn_lua_fail(L, "json", &told); /* [.., nil, err] */
    lua_pushinteger(L, (lua_Integer)err.offset);
    lua_setfield(L, -2, "offset");
    return 2;
}

/* view.table(value) -> a deep copy of a view; anything else as it is */
static int l_view_table(lua_State *L)
{
    luaL_checkany(L, 1);
    if (test_view(L, 1)) {
        qn_view_push_copy(L, 1);
    } else {
        lua_settop(L, 1);
    }
    return 1;
}

/* view.raw(view) -> its text as the page has it */
static int l_view_raw(lua_State *L)
{
    struct view *view = check_view(L, 1);
    struct qn_span span = qn_doc_span(view->holder->doc, view->node);
    lua_pushlstring(L, span.data, span.size);
    return 1;
}

/* view.release(view): lets its document go now; it and every view made from it is dead */
static int l_view_release(lua_State *L)
{
    qn_lua_close_doc(((struct view *)luaL_checkudata(L, 1, QN_LUA_VIEW))->holder);
    return 0;
}

static int l_view_is_view(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, test_view(L, 1) != NULL);
    return 1;
}

static int l_view_is_null(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, qn_lua_is_null(L, 1));
    return 1;
}

int luaopen_quern_core_view(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"open", l_view_open},       {"table", l_view_table}, {"raw", l_view_raw},         {"is_view", l_view_is_view},
        {"is_null", l_view_is_null}, {"path", l_view_path},   {"release", l_view_release}, {NULL, NULL},
    };
    make_scope(L);
    luaL_requiref(L, "quern.core.json", luaopen_quern_core_json, 0); /* null's name */
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
