/* quern.core.json, the reading half, and what JSON values are in Lua. The writing half is json_encode.c. */
#include "lua/bind_json.h"

#include <lauxlib.h>
#include <string.h>

#include "json/number.h"
#include "json/write.h"
#include "lua/bind.h"
#include "lua/bind_view.h"
#include "lua/json_encode.h"
#include "lua/luax.h"

#define HOLDER "quern.doc"

/* ---- documents held by Lua ---- */

void qn_lua_close_doc(struct qn_lua_doc *holder)
{
    qn_doc_unref(holder->doc);
    holder->doc = NULL;
    holder->generation++;
    qn_buf_free(&holder->scratch);
    qn_wide_free(holder->wide);
    holder->wide = NULL;
}

static int l_holder_gc(lua_State *L)
{
    qn_lua_close_doc(lua_touserdata(L, 1));
    return 0;
}

struct qn_lua_doc *qn_lua_new_doc(lua_State *L)
{
    struct qn_lua_doc *holder = lua_newuserdatauv(L, sizeof *holder, 1);
    holder->doc = NULL;
    holder->generation = 0;
    holder->wide = NULL;
    qn_buf_init(&holder->scratch, QN_BUF_NO_CAP);
    if (luaL_newmetatable(L, HOLDER)) {
        lua_pushcfunction(L, l_holder_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return holder;
}

bool qn_lua_parse_doc(lua_State *L, int index, struct qn_lua_doc *holder, struct qn_err *err)
{
    struct qn_bytes *bytes = qn_lua_test_bytes(L, index);
    if (bytes) {
        qn_bytes_ref(bytes);
    } else {
        size_t size;
        const char *text = luaL_checklstring(L, index, &size); /* may raise: nothing is held yet */
        bytes = qn_bytes_new(text, size);
    }
    int rc = bytes ? qn_doc_parse(bytes, &holder->doc, err) : qn_fail(err, QN_ENOMEM, "out of memory for a document");
    qn_bytes_unref(bytes);
    return rc == 0;
}

/* ---- null, arrays, numbers by their text ---- */

static int l_null_tostring(lua_State *L)
{
    lua_pushstring(L, lua_touserdata(L, 1) ? "light userdata" : "null");
    return 1;
}

/* All light userdata share one metatable; ours gives null its name. */
static void name_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, l_null_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "null");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "null");
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

void qn_lua_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool qn_lua_is_null(lua_State *L, int index)
{
    return lua_type(L, index) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, index);
}

void qn_lua_push_array_marker(lua_State *L)
{
    if (luaL_newmetatable(L, QN_LUA_ARRAY)) {
        lua_pushliteral(L, QN_LUA_ARRAY);
        lua_setfield(L, -2, "__metatable");
    }
}

static int l_number_tostring(lua_State *L)
{
    lua_pushstring(L, luaL_checkudata(L, 1, QN_LUA_NUMBER));
    return 1;
}

static int l_number_eq(lua_State *L)
{
    const char *a = luaL_testudata(L, 1, QN_LUA_NUMBER), *b = luaL_testudata(L, 2, QN_LUA_NUMBER);
    lua_pushboolean(L, a && b && qn_number_compare(a, strlen(a), b, strlen(b)) == 0);
    return 1;
}

static void push_number_text(lua_State *L, const char *text, size_t size)
{
    char *copy = lua_newuserdatauv(L, size + 1, 0);
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (luaL_newmetatable(L, QN_LUA_NUMBER)) {
        static const luaL_Reg meta[] = {{"__tostring", l_number_tostring}, {"__eq", l_number_eq}, {NULL, NULL}};
        luaL_setfuncs(L, meta, 0);
        lua_pushliteral(L, QN_LUA_NUMBER);
        lua_setfield(L, -2, "__metatable");
    }
    lua_setmetatable(L, -2);
}

/* ---- nodes as values ---- */

void qn_lua_push_text(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    struct qn_span span;
    if (qn_doc_plain_string(holder->doc, node, &span)) {
        lua_pushlstring(L, span.data, span.size);
        return;
    }
    qn_buf_clear(&holder->scratch);
    if (qn_doc_string(holder->doc, node, &holder->scratch) < 0) luaL_error(L, "out of memory");
    lua_pushlstring(L, holder->scratch.data, holder->scratch.size);
}

static void push_number(lua_State *L, const struct qn_doc *doc, qn_node node, struct qn_span text)
{
    int64_t integer;
    bool exact;
    if (qn_number_short(text.data, text.size, &integer) || qn_doc_integer(doc, node, &integer) == QN_INTEGER_EXACT) {
        lua_pushinteger(L, integer);
        return;
    }
    double value = qn_number_double(text.data, text.size, &exact);
    if (exact) {
        lua_pushnumber(L, value);
    } else {
        push_number_text(L, text.data, text.size);
    }
}

void qn_lua_push_scalar(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    qn_lua_push_looked_at(L, holder, node, qn_doc_scalar(holder->doc, node));
}

void qn_lua_push_looked_at(lua_State *L, struct qn_lua_doc *holder, qn_node node, struct qn_scalar value)
{
    switch (value.kind) {
    case QN_FALSE: lua_pushboolean(L, 0); break;
    case QN_TRUE: lua_pushboolean(L, 1); break;
    case QN_NUMBER: push_number(L, holder->doc, node, value.text); break;
    case QN_STRING:
        if (value.escaped)
            qn_lua_push_text(L, holder, node);
        else
            lua_pushlstring(L, value.text.data, value.text.size);
        break;
    default: qn_lua_push_null(L); break;
    }
}

/* Recursion is as deep as the document, which QN_DOC_MAX_DEPTH bounds. */
static void push_array(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    const struct qn_doc *doc = holder->doc;
    lua_Integer index = 0;
    lua_createtable(L, (int)qn_doc_count(doc, node), 0); /* [array] */
    for (qn_node n = qn_doc_first(doc, node); n != QN_NONE; n = qn_doc_next(doc, node, n)) {
        qn_lua_push_deep(L, holder, n);
        lua_rawseti(L, -2, ++index);
    }
    qn_lua_push_array_marker(L);
    lua_setmetatable(L, -2);
}

static void push_object(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    const struct qn_doc *doc = holder->doc;
    lua_createtable(L, 0, (int)qn_doc_count(doc, node)); /* [object] */
    for (qn_node n = qn_doc_first(doc, node); n != QN_NONE; n = qn_doc_next(doc, node, n)) {
        qn_lua_push_text(L, holder, qn_doc_key(doc, n)); /* [object, key] */
        qn_lua_push_deep(L, holder, n);
        lua_rawset(L, -3);
    }
}

void qn_lua_push_deep(lua_State *L, struct qn_lua_doc *holder, qn_node node)
{
    luaL_checkstack(L, 8, "JSON nested too deeply");
    switch (qn_doc_kind(holder->doc, node)) {
    case QN_ARRAY: push_array(L, holder, node); break;
    case QN_OBJECT: push_object(L, holder, node); break;
    default: qn_lua_push_scalar(L, holder, node); break;
    }
}

/* ---- quern.core.json ---- */

/* json.decode(string|bytes) -> value | nil, err */
static int l_json_decode(lua_State *L)
{
    struct qn_err err, told;
    struct qn_lua_doc *holder = qn_lua_new_doc(L);
    if (!qn_lua_parse_doc(L, 1, holder, &err)) {
        if (err.code == QN_ENOMEM) return luaL_error(L, "out of memory");
        qn_fail(&told, err.code, "not JSON: %s", err.text);
        qn_lua_fail(L, "json", &told); /* [.., nil, err] */
        lua_pushinteger(L, (lua_Integer)err.offset);
        lua_setfield(L, -2, "offset");
        return 2;
    }
    qn_lua_push_deep(L, holder, QN_ROOT);
    qn_lua_close_doc(holder); /* the collector may be far away */
    return 1;
}

/* json.array(table?) -> the table, marked as an array */
static int l_json_array(lua_State *L)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    qn_lua_push_array_marker(L); /* [table, marker] */
    if (lua_getmetatable(L, 1)) {
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1,
                      "the table has a metatable of its own and cannot be marked as an array");
        lua_pop(L, 1);
    }
    lua_setmetatable(L, 1);
    return 1;
}

/* json.is_array(value) -> boolean */
static int l_json_is_array(lua_State *L)
{
    struct qn_doc *doc;
    qn_node node;
    bool is = false;
    luaL_checkany(L, 1);
    if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
        qn_lua_push_array_marker(L);
        is = lua_rawequal(L, -1, -2);
    } else if (qn_view_of(L, 1, &doc, &node)) {
        is = qn_doc_kind(doc, node) == QN_ARRAY;
    }
    lua_pushboolean(L, is);
    return 1;
}

/* json.number(text) -> number that keeps its text */
static int l_json_number(lua_State *L)
{
    size_t size;
    luaL_checktype(L, 1, LUA_TSTRING);
    const char *text = lua_tolstring(L, 1, &size);
    luaL_argcheck(L, qn_number_end(text, text + size) == text + size && size > 0, 1, "not a number as JSON writes it");
    push_number_text(L, text, size);
    return 1;
}

/* json.minify(text) -> text | nil, err */
static int l_json_minify(lua_State *L)
{
    struct qn_err err;
    struct qn_lua_doc *holder = qn_lua_new_doc(L);
    if (!qn_lua_parse_doc(L, 1, holder, &err)) return qn_lua_fail(L, "json", &err);
    if (qn_json_minified(&holder->scratch, holder->doc, QN_ROOT) < 0) return luaL_error(L, "out of memory");
    lua_pushlstring(L, holder->scratch.data, holder->scratch.size);
    qn_lua_close_doc(holder);
    return 1;
}

int luaopen_quern_core_json(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"decode", l_json_decode},
        {"encode", qn_lua_json_encode},
        {"canonical", qn_lua_json_canonical},
        {"array", l_json_array},
        {"is_array", l_json_is_array},
        {"number", l_json_number},
        {"minify", l_json_minify},
        {NULL, NULL},
    };
    name_null(L);
    luaL_newlib(L, functions);
    qn_lua_push_null(L);
    lua_setfield(L, -2, "null");
    return 1;
}
