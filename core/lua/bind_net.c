/* bind_net.c - quern.core.url and quern.core.header. Conversion only; see net/url.h, net/header.h and
 * net/link.h. */
#include <lauxlib.h>

#include "lua/bind.h"
#include "lua/luax.h"
#include "net/header.h"
#include "net/link.h"
#include "net/url.h"

#define TEXT "quern.text"

/* A buffer that a raised error cannot lose. */
static struct qn_buf *new_text(lua_State *L)
{
    struct qn_buf *buf = lua_newuserdatauv(L, sizeof *buf, 0);
    qn_buf_init(buf, QN_BUF_NO_CAP);
    luaL_setmetatable(L, TEXT);
    return buf;
}

static int text_gc(lua_State *L)
{
    qn_buf_free(lua_touserdata(L, 1));
    return 0;
}

static int give(lua_State *L, int rc, struct qn_buf *buf, const struct qn_err *err)
{
    if (rc < 0) return qn_lua_fail(L, "url", err);
    lua_pushlstring(L, buf->data ? buf->data : "", buf->size);
    qn_buf_free(buf);
    return 1;
}

/* url.join(base, reference) -> url | nil, err */
static int l_url_join(lua_State *L)
{
    struct qn_err err = {.text = "out of memory"};
    const char *base = luaL_checkstring(L, 1), *reference = luaL_checkstring(L, 2);
    struct qn_buf *buf = new_text(L);
    return give(L, qn_url_join(base, reference, buf, &err), buf, &err);
}

/* url.resolve(base, current, link) -> url | nil, err */
static int l_url_resolve(lua_State *L)
{
    struct qn_err err = {.text = "out of memory"};
    const char *base = luaL_checkstring(L, 1), *current = luaL_checkstring(L, 2), *link = luaL_checkstring(L, 3);
    struct qn_buf *buf = new_text(L);
    return give(L, qn_url_resolve(base, current, link, buf, &err), buf, &err);
}

/* url.same_origin(a, b) -> boolean */
static int l_url_same_origin(lua_State *L)
{
    lua_pushboolean(L, qn_url_same_origin(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
    return 1;
}

/* url.origin(url) -> "https://host:443" | nil, err */
static int l_url_origin(lua_State *L)
{
    struct qn_err err = {.text = "out of memory"};
    const char *url = luaL_checkstring(L, 1);
    struct qn_buf *buf = new_text(L);
    return give(L, qn_url_origin(url, buf, &err), buf, &err);
}

/* url.with_query(url, { {name, value}... }) -> url | nil, err */
static int l_url_with_query(lua_State *L)
{
    struct qn_err err = {.text = "out of memory"};
    const char *url = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    size_t count = lua_rawlen(L, 2);
    luaL_argcheck(L, count <= 1000, 2, "more than 1000 parameters");
    struct qn_url_pair *pairs = lua_newuserdatauv(L, (count + 1) * sizeof *pairs, 0);
    luaL_checkstack(L, (int)count * 2 + 8, "too many parameters");
    for (size_t i = 0; i < count; i++) { /* the strings stay on the stack: numbers are converted there */
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        luaL_argcheck(L, lua_istable(L, -1), 2, "a list of {name, value} is expected");
        lua_rawgeti(L, -1, 1);
        lua_rawgeti(L, -2, 2);
        lua_remove(L, -3);
        pairs[i].name = luaL_checklstring(L, -2, &pairs[i].name_size);
        pairs[i].value = luaL_checklstring(L, -1, &pairs[i].value_size);
    }
    struct qn_buf *buf = new_text(L);
    return give(L, qn_url_with_query(url, pairs, count, buf, &err), buf, &err);
}

/* url.encode(text) -> form-encoded text */
static int l_url_encode(lua_State *L)
{
    struct qn_err err = {.text = "out of memory"};
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_buf *buf = new_text(L);
    return give(L, qn_url_encode(text, size, buf), buf, &err);
}

/* url.loopback(url) -> boolean */
static int l_url_loopback(lua_State *L)
{
    lua_pushboolean(L, qn_url_is_loopback(luaL_checkstring(L, 1)));
    return 1;
}

int luaopen_quern_core_url(lua_State *L)
{
    static const luaL_Reg functions[] = {{"join", l_url_join},
                                         {"resolve", l_url_resolve},
                                         {"same_origin", l_url_same_origin},
                                         {"origin", l_url_origin},
                                         {"with_query", l_url_with_query},
                                         {"encode", l_url_encode},
                                         {"loopback", l_url_loopback},
                                         {NULL, NULL}};
    luaL_newmetatable(L, TEXT);
    lua_pushcfunction(L, text_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}

/* header.retry_after(value, wall_ms) -> ms | nil */
static int l_header_retry_after(lua_State *L)
{
    int64_t wait_ms;
    if (!qn_header_retry_after(luaL_checkstring(L, 1), luaL_checkinteger(L, 2), &wait_ms)) return 0;
    lua_pushinteger(L, wait_ms);
    return 1;
}

/* header.link(value, rel) -> target | nil | nil, err */
static int l_header_link(lua_State *L)
{
    struct qn_err err;
    size_t size, target_size;
    const char *value = luaL_checklstring(L, 1, &size), *target;
    int rc = qn_link_find(value, size, luaL_checkstring(L, 2), &target, &target_size, &err);
    if (rc < 0) return qn_lua_fail(L, "body", &err);
    if (rc == 0) return 0;
    lua_pushlstring(L, target, target_size);
    return 1;
}

int luaopen_quern_core_header(lua_State *L)
{
    static const luaL_Reg functions[] = {{"retry_after", l_header_retry_after}, {"link", l_header_link}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
