#include "lua/json_encode.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"
#include "json/utf8.h"
#include "json/write.h"
#include "lua/bind_json.h"
#include "lua/bind_view.h"
#include "lua/luax.h"

#define ENCODER    "quern.encoder"
#define MAX_LEVELS 1000
#define PLACE_SIZE 200

/* A member's name, copied: a finalizer of the script's may change the table while it is being written. */
struct name {
    size_t offset, size; /* in e->text */
};

struct level {
    const void *table; /* for cycles */
    enum { AT_TABLE, AT_NAME, AT_PLACE } at;
    struct name name;  /* the member that is being written, or */
    lua_Integer place; /* the element */
};

/* Owned by a userdata, so that nothing leaks when something raises. */
struct encoder {
    struct qn_buf out;
    struct qn_buf text;   /* the names of the objects that are open */
    struct qn_buf names;  /* struct name: the same, sorted object by object */
    struct qn_buf levels; /* struct level */
    bool canonical;
};

static void free_encoder(struct encoder *e)
{
    qn_buf_free(&e->out);
    qn_buf_free(&e->text);
    qn_buf_free(&e->names);
    qn_buf_free(&e->levels);
}

static int l_encoder_gc(lua_State *L)
{
    free_encoder(lua_touserdata(L, 1));
    return 0;
}

static struct encoder *new_encoder(lua_State *L)
{
    struct encoder *e = lua_newuserdatauv(L, sizeof *e, 0);
    memset(e, 0, sizeof *e);
    qn_buf_init(&e->out, QN_BUF_NO_CAP);
    qn_buf_init(&e->text, QN_BUF_NO_CAP);
    qn_buf_init(&e->names, QN_BUF_NO_CAP);
    qn_buf_init(&e->levels, QN_BUF_NO_CAP);
    if (luaL_newmetatable(L, ENCODER)) {
        lua_pushcfunction(L, l_encoder_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return e;
}

static size_t level_count(const struct encoder *e)
{
    return e->levels.size / sizeof(struct level);
}

static struct level *level_at(const struct encoder *e, size_t index)
{
    return (struct level *)(void *)e->levels.data + index;
}

static struct name *name_at(const struct encoder *e, size_t index)
{
    return (struct name *)(void *)e->names.data + index;
}

static void check(lua_State *L, int rc)
{
    if (rc < 0) luaL_error(L, "out of memory");
}

/* ---- what cannot be written ---- */

static bool is_word(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return size > 0;
}

static void add_step(lua_State *L, const struct encoder *e, const struct level *level, luaL_Buffer *b)
{
    if (level->at == AT_PLACE) {
        lua_pushfstring(L, "[%I]", level->place);
        luaL_addvalue(b);
        return;
    }
    const char *text = e->text.data + level->name.offset;
    bool word = is_word(text, level->name.size);
    luaL_addstring(b, word ? "." : "[\"");
    if (level->name.size > 0) luaL_addlstring(b, text, level->name.size < PLACE_SIZE ? level->name.size : PLACE_SIZE);
    if (!word) luaL_addstring(b, "\"]");
}

/* Pushes " at .body.filter[2]", or "" for the value itself. */
static void push_place(lua_State *L, const struct encoder *e)
{
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < level_count(e) && level_at(e, i)->at != AT_TABLE; i++) {
        if (luaL_bufflen(&b) > PLACE_SIZE) {
            luaL_addstring(&b, "...");
            break;
        }
        if (i == 0) luaL_addstring(&b, " at ");
        add_step(L, e, level_at(e, i), &b);
    }
    luaL_pushresult(&b);
}

/* problem is a format with one %s or none. Does not return. */
static void refuse(lua_State *L, const struct encoder *e, const char *problem, const char *word)
{
    lua_pushfstring(L, problem, word);
    push_place(L, e); /* [problem, place] */
    lua_pushfstring(L, "%s%s", lua_tostring(L, -2), lua_tostring(L, -1));
    qn_lua_push_error(L, "json", lua_tostring(L, -1));
    lua_error(L);
}

/* ---- scalars ---- */

static void add_string(lua_State *L, struct encoder *e, const char *text, size_t size, const char *what)
{
    if (!qn_utf8_valid(text, size, NULL)) refuse(L, e, "%s is not UTF-8 and has no JSON form", what);
    check(L, qn_json_string(&e->out, text, size));
}

static void add_number(lua_State *L, struct encoder *e)
{
    if (lua_isinteger(L, -1)) {
        check(L, qn_json_integer(&e->out, lua_tointeger(L, -1)));
        return;
    }
    double value = lua_tonumber(L, -1);
    if (!isfinite(value)) refuse(L, e, "%s has no JSON form", isnan(value) ? "NaN" : "an infinite number");
    check(L, qn_json_double(&e->out, value));
}

static void add_value(lua_State *L, struct encoder *e);

static void add_userdata(lua_State *L, struct encoder *e)
{
    struct qn_doc *doc;
    qn_node node;
    const char *number = luaL_testudata(L, -1, QN_LUA_NUMBER);
    if (number) {
        check(L, qn_buf_add_str(&e->out, number));
    } else if (qn_view_of(L, -1, &doc, &node) && e->canonical) {
        qn_view_push_copy(L, -1);
        add_value(L, e);
        lua_pop(L, 1);
    } else if (qn_view_of(L, -1, &doc, &node)) {
        check(L, qn_json_minified(&e->out, doc, node));
    } else if (qn_lua_test_secret(L, -1)) {
        refuse(L, e, "a secret cannot be written into JSON", NULL);
    } else {
        refuse(L, e, "a %s has no JSON form",
               luaL_testudata(L, -1, QN_LUA_BYTES) ? "quern.bytes (take tostring of it)" : "userdata");
    }
}

/* ---- tables ---- */

enum shape { PLAIN, ARRAY, INSTANT, FROZEN };

/* A table of a named type is no plain data: a time value is written as its text, and the others are not guessed. */
static enum shape shape_of(lua_State *L, const struct encoder *e)
{
    enum shape shape = PLAIN;
    if (!lua_getmetatable(L, -1)) return PLAIN; /* [table, meta] */
    lua_pushliteral(L, "__name");
    if (lua_rawget(L, -2) == LUA_TSTRING) { /* [table, meta, name] */
        const char *name = lua_tostring(L, -1);
        if (strcmp(name, QN_LUA_ARRAY) == 0) {
            shape = ARRAY;
        } else if (strcmp(name, "quern.instant") == 0) {
            shape = INSTANT;
        } else if (strcmp(name, "quern.frozen") == 0) {
            shape = FROZEN;
        } else if (strcmp(name, QN_LUA_ERROR) != 0) {
            refuse(L, e, "a %s has no JSON form", name);
        }
    }
    lua_pop(L, 2);
    return shape;
}

static void enter(lua_State *L, struct encoder *e)
{
    struct level level = {.table = lua_topointer(L, -1)};
    for (size_t i = 0; i < level_count(e); i++)
        if (level_at(e, i)->table == level.table) refuse(L, e, "a table that holds itself has no JSON form", NULL);
    if (level_count(e) == MAX_LEVELS) refuse(L, e, "tables nested deeper than 1000 levels", NULL);
    check(L, qn_buf_add(&e->levels, &level, sizeof level));
}

static int compare_names(const void *a, const void *b, void *text)
{
    const struct name *x = a, *y = b;
    const char *base = text;
    int order = memcmp(base + x->offset, base + y->offset, x->size < y->size ? x->size : y->size);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Appends the string keys of the table on top to e->names; *places is how many integer keys it has, *last the highest.
 */
static void read_keys(lua_State *L, struct encoder *e, lua_Integer *places, lua_Integer *last)
{
    *places = *last = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) { /* [table, key, value] */
        if (lua_type(L, -2) == LUA_TSTRING) {
            struct name name = {.offset = e->text.size};
            const char *text = lua_tolstring(L, -2, &name.size);
            check(L, qn_buf_add(&e->text, text, name.size));
            check(L, qn_buf_add_byte(&e->text, '\0')); /* so that even "" has bytes to point at */
            check(L, qn_buf_add(&e->names, &name, sizeof name));
        } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
            lua_Integer place = lua_tointeger(L, -2);
            if (place > *last) *last = place;
            ++*places;
        } else {
            lua_pushvalue(L, -2);
            refuse(L, e, "a table with the key %s has no JSON form", luaL_tolstring(L, -1, NULL));
        }
    }
}

static void add_array(lua_State *L, struct encoder *e, lua_Integer count)
{
    check(L, qn_buf_add_byte(&e->out, '['));
    for (lua_Integer i = 1; i <= count; i++) {
        level_at(e, level_count(e) - 1)->at = AT_PLACE;
        level_at(e, level_count(e) - 1)->place = i;
        if (i > 1) check(L, qn_buf_add_byte(&e->out, ','));
        lua_rawgeti(L, -1, i);
        add_value(L, e);
        lua_pop(L, 1);
    }
    check(L, qn_buf_add_byte(&e->out, ']'));
}

static void add_object(lua_State *L, struct encoder *e, size_t first, size_t count)
{
    check(L, qn_buf_add_byte(&e->out, '{'));
    for (size_t i = first; i < first + count; i++) {
        struct name name = *name_at(e, i); /* the buffers may move below */
        level_at(e, level_count(e) - 1)->at = AT_NAME;
        level_at(e, level_count(e) - 1)->name = name;
        if (i > first) check(L, qn_buf_add_byte(&e->out, ','));
        add_string(L, e, e->text.data + name.offset, name.size, "a name");
        check(L, qn_buf_add_byte(&e->out, ':'));
        lua_pushlstring(L, e->text.data + name.offset, name.size);
        lua_rawget(L, -2);
        add_value(L, e);
        lua_pop(L, 1);
    }
    check(L, qn_buf_add_byte(&e->out, '}'));
}

/* A quern.instant: no Lua code runs while a table is being written, so not through its __tostring. */
static void add_instant(lua_State *L, struct encoder *e)
{
    char text[QN_TIME_TEXT_SIZE];
    lua_pushliteral(L, "ms");
    lua_rawget(L, -2);
    if (!lua_isinteger(L, -1)) refuse(L, e, "a %s has no JSON form", "broken time value");
    qn_time_format(lua_tointeger(L, -1), 3, text);
    lua_pop(L, 1);
    add_string(L, e, text, strlen(text), "a time");
}

/* What a worker gives to transforms read-only (quern.frozen): its metatable's __data is the data. */
static void add_frozen(lua_State *L, struct encoder *e)
{
    lua_getmetatable(L, -1);
    lua_pushliteral(L, "__data");
    lua_rawget(L, -2); /* [frozen, meta, data] */
    if (lua_type(L, -1) != LUA_TTABLE) refuse(L, e, "a %s has no JSON form", "broken ctx value");
    add_value(L, e);
    lua_pop(L, 2);
}

/* The table on top has places 1 to count, or names, and not both. Raises. */
static void check_shape(lua_State *L, const struct encoder *e, size_t first, size_t count, lua_Integer places,
                        lua_Integer last, bool array)
{
    if (count > 0 && (places > 0 || array)) {
        const struct name *name = name_at(e, first);
        lua_pushlstring(L, e->text.data + name->offset, name->size);
        refuse(L, e, "an array that also has the name '%s' has no JSON form", lua_tostring(L, -1));
    }
    if (last > places) {
        lua_Integer gap = 1;
        for (; lua_rawgeti(L, -1, gap) != LUA_TNIL; gap++) lua_pop(L, 1);
        refuse(L, e, "an array without its element %s has no JSON form; write quern.null",
               lua_pushfstring(L, "%I", gap));
    }
}

static void add_table(lua_State *L, struct encoder *e)
{
    enum shape shape = shape_of(L, e);
    lua_Integer places, last;
    if (shape == INSTANT) {
        add_instant(L, e);
        return;
    }
    if (shape == FROZEN) {
        add_frozen(L, e);
        return;
    }
    enter(L, e);
    size_t text = e->text.size, first = e->names.size / sizeof(struct name);
    read_keys(L, e, &places, &last);
    size_t count = e->names.size / sizeof(struct name) - first;
    if (count > 1) qsort_r(name_at(e, first), count, sizeof(struct name), compare_names, e->text.data);
    check_shape(L, e, first, count, places, last, shape == ARRAY);
    if (places > 0 || shape == ARRAY) {
        add_array(L, e, places);
    } else {
        add_object(L, e, first, count);
    }
    e->text.size = text;
    e->names.size = first * sizeof(struct name);
    e->levels.size -= sizeof(struct level);
}

/* The value on top, which stays there. */
static void add_value(lua_State *L, struct encoder *e)
{
    size_t size;
    const char *text;
    luaL_checkstack(L, 10, "tables nested too deeply");
    switch (lua_type(L, -1)) {
    case LUA_TBOOLEAN: check(L, qn_buf_add_str(&e->out, lua_toboolean(L, -1) ? "true" : "false")); break;
    case LUA_TNUMBER: add_number(L, e); break;
    case LUA_TSTRING:
        text = lua_tolstring(L, -1, &size);
        add_string(L, e, text, size, "a text");
        break;
    case LUA_TTABLE: add_table(L, e); break;
    case LUA_TUSERDATA: add_userdata(L, e); break;
    case LUA_TLIGHTUSERDATA:
        if (!qn_lua_is_null(L, -1)) refuse(L, e, "a light userdata has no JSON form", NULL);
        check(L, qn_buf_add_str(&e->out, "null"));
        break;
    case LUA_TNIL: refuse(L, e, "nil has no JSON form; write quern.null", NULL); break;
    default: refuse(L, e, "a %s has no JSON form", luaL_typename(L, -1));
    }
}

static int encode(lua_State *L, bool canonical)
{
    luaL_checkany(L, 1);
    lua_settop(L, 1);
    struct encoder *e = new_encoder(L); /* [value, encoder] */
    e->canonical = canonical;
    lua_pushvalue(L, 1);
    add_value(L, e);
    lua_pushlstring(L, e->out.data, e->out.size);
    free_encoder(e); /* now, not when the collector comes by */
    return 1;
}

int qn_lua_json_encode(lua_State *L)
{
    return encode(L, false);
}

int qn_lua_json_canonical(lua_State *L)
{
    return encode(L, true);
}
