/* bind_time.c - quern.core.time: instants, durations and zones. Pure. Conversion only; see base/time.h and zone.h. */
#include <lauxlib.h>

#include "base/time.h"
#include "base/zone.h"
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

/* ---- zones: opened once a state, by name ---- */

#define ZONE  "quern.zone"
#define ZONES "quern.zones" /* in the registry: name to userdata */

static int zone_gc(lua_State *L)
{
    struct qn_zone **slot = luaL_checkudata(L, 1, ZONE);
    qn_zone_close(*slot);
    *slot = NULL;
    return 0;
}

/* The zone named at index; NULL and err when there is none. The stack is as before. */
static struct qn_zone *find_zone(lua_State *L, int index, struct qn_err *err)
{
    const char *name = luaL_checkstring(L, index);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, ZONES);
    if (lua_getfield(L, -1, name) == LUA_TUSERDATA) {
        struct qn_zone **known = lua_touserdata(L, -1);
        lua_pop(L, 2);
        return *known;
    }
    struct qn_zone **slot = lua_newuserdatauv(L, sizeof *slot, 0); /* [zones, nil, slot] */
    *slot = NULL;
    luaL_setmetatable(L, ZONE);
    struct qn_zone *zone = qn_zone_open(name, slot, err) < 0 ? NULL : *slot;
    if (zone) lua_setfield(L, -3, name);
    lua_settop(L, lua_gettop(L) - (zone ? 2 : 3));
    return zone;
}

static struct qn_zone *check_zone(lua_State *L, int index)
{
    struct qn_err err;
    struct qn_zone *zone = find_zone(L, index, &err);
    if (!zone) luaL_argerror(L, index, err.text);
    return zone;
}

/* time.zone(name) -> true | nil, err */
static int l_time_zone(lua_State *L)
{
    struct qn_err err;
    if (!find_zone(L, 1, &err)) return qn_lua_fail(L, "time", &err);
    lua_pushboolean(L, true);
    return 1;
}

/* time.offset(ms, zone) -> ms that local clocks are ahead of UTC */
static int l_time_offset(lua_State *L)
{
    int64_t ms = luaL_checkinteger(L, 1);
    lua_pushinteger(L, qn_zone_offset(check_zone(L, 2), ms));
    return 1;
}

/* time.instant(local_ms, zone) -> ms */
static int l_time_instant(lua_State *L)
{
    int64_t local = luaL_checkinteger(L, 1);
    lua_pushinteger(L, qn_zone_instant(check_zone(L, 2), local));
    return 1;
}

/* ---- instants and durations ---- */

/* time.format(ms, digits, zone?) -> text; digits 0 or 3; in local time with its offset if a zone is given */
static int l_time_format(lua_State *L)
{
    char text[QN_TIME_TEXT_SIZE];
    int64_t ms = luaL_checkinteger(L, 1);
    int digits = (int)luaL_optinteger(L, 2, 3);
    if (lua_isnoneornil(L, 3))
        qn_time_format(ms, digits, text);
    else
        qn_zone_format(check_zone(L, 3), ms, digits, text);
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

/* time.add(ms, duration, times, zone?) -> ms */
static int l_time_add(lua_State *L)
{
    int64_t ms = luaL_checkinteger(L, 1);
    struct qn_duration duration = check_duration(L, 2);
    int64_t times = luaL_optinteger(L, 3, 1);
    int rc = lua_isnoneornil(L, 4) ? qn_time_add(ms, &duration, times, &ms)
                                   : qn_zone_add(check_zone(L, 4), ms, &duration, times, &ms);
    if (rc < 0) return luaL_error(L, "the time is out of range");
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
    static const luaL_Reg functions[] = {{"parse", l_time_parse},
                                         {"resolve", l_time_resolve},
                                         {"format", l_time_format},
                                         {"add", l_time_add},
                                         {"floor", l_time_floor},
                                         {"duration", l_time_duration},
                                         {"fixed_ms", l_time_fixed_ms},
                                         {"zone", l_time_zone},
                                         {"offset", l_time_offset},
                                         {"instant", l_time_instant},
                                         {NULL, NULL}};
    static const luaL_Reg zone_meta[] = {{"__gc", zone_gc}, {NULL, NULL}};
    qn_lua_new_type(L, ZONE, zone_meta, NULL);
    luaL_newlib(L, functions);
    return 1;
}
