/* bind_time.c - quern.core.time: instants and durations. Pure. Conversion only; see base/time.h. */
#include <lauxlib.h>

#include "base/time.h"
#include "lua/bind.h"
#include "lua/luax.h"

/* time.parse(text) -> ms | nil, err */
static int l_time_parse(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_err err;
    int64_t ms;
    if (qn_time_parse(text, size, &ms, NULL, &err) < 0) return qn_lua_fail(L, "time", &err);
    lua_pushinteger(L, ms);
    return 1;
}

/* time.resolve(text, now_ms) -> ms, explicit | nil, err */
static int l_time_resolve(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_err err;
    int64_t ms;
    bool given;
    if (qn_time_resolve(text, size, luaL_checkinteger(L, 2), &ms, &given, &err) < 0)
        return qn_lua_fail(L, "time", &err);
    lua_pushinteger(L, ms);
    lua_pushboolean(L, given);
    return 2;
}

/* time.format(ms, digits) -> text; digits 0 or 3 */
static int l_time_format(lua_State *L)
{
    char text[QN_TIME_TEXT_SIZE];
    qn_time_format(luaL_checkinteger(L, 1), (int)luaL_optinteger(L, 2, 3), text);
    lua_pushstring(L, text);
    return 1;
}

static struct qn_duration check_duration(lua_State *L, int index)
{
    size_t size;
    const char *text = luaL_checklstring(L, index, &size);
    struct qn_duration duration;
    struct qn_err err;
    if (qn_duration_parse(text, size, &duration, &err) < 0) luaL_argerror(L, index, err.text);
    return duration;
}

/* time.add(ms, duration, times) -> ms */
static int l_time_add(lua_State *L)
{
    int64_t ms = luaL_checkinteger(L, 1);
    struct qn_duration duration = check_duration(L, 2);
    if (qn_time_add(ms, &duration, luaL_optinteger(L, 3, 1), &ms) < 0) return luaL_error(L, "the time is out of range");
    lua_pushinteger(L, ms);
    return 1;
}

static int64_t fixed_ms(const struct qn_duration *duration)
{
    return duration->days * 86400000 + duration->ms;
}

/* time.floor(ms, grain) -> ms */
static int l_time_floor(lua_State *L)
{
    int64_t ms = luaL_checkinteger(L, 1);
    struct qn_duration grain = check_duration(L, 2);
    luaL_argcheck(L, grain.months == 0, 2, "a grain is a fixed duration, without months or years");
    lua_pushinteger(L, qn_time_floor(ms, fixed_ms(&grain)));
    return 1;
}

/* time.duration(text) -> { months, days, ms } | nil, err */
static int l_time_duration(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_duration duration;
    struct qn_err err;
    if (qn_duration_parse(text, size, &duration, &err) < 0) return qn_lua_fail(L, "time", &err);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, duration.months);
    lua_setfield(L, -2, "months");
    lua_pushinteger(L, duration.days);
    lua_setfield(L, -2, "days");
    lua_pushinteger(L, duration.ms);
    lua_setfield(L, -2, "ms");
    return 1;
}

/* time.fixed_ms(text) -> ms | nil: not a duration, or one with months */
static int l_time_fixed_ms(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    struct qn_duration duration;
    if (qn_duration_parse(text, size, &duration, NULL) < 0 || duration.months != 0) return 0;
    lua_pushinteger(L, fixed_ms(&duration));
    return 1;
}

int luaopen_quern_core_time(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"parse", l_time_parse}, {"resolve", l_time_resolve},   {"format", l_time_format},     {"add", l_time_add},
        {"floor", l_time_floor}, {"duration", l_time_duration}, {"fixed_ms", l_time_fixed_ms}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
