/* bind_event.c - quern.core.event: one structured fact about a run. The state's listener sees it as a table, the
 * runtime's callback as one JSON line, redacted. Every event of the library passes here. */
#include <lauxlib.h>
#include <string.h>

#include "base/time.h"
#include "lua/bind.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

static const char listener_key; /* registry: the function of event.listen */

/* Does the runtime's callback want events of this type? */
static bool is_wanted(const struct qn_runtime *runtime, const char *type)
{
    if (!runtime->on_event || !runtime->event_types) return runtime->on_event != NULL;
    const char *const *wanted = runtime->event_types;
    while (*wanted && strcmp(*wanted, type) != 0) wanted++;
    return *wanted != NULL;
}

static bool has_listener(lua_State *L)
{
    bool heard = lua_rawgetp(L, LUA_REGISTRYINDEX, &listener_key) == LUA_TFUNCTION;
    lua_pop(L, 1);
    return heard;
}

/* event.wanted(type) -> boolean: would an event of this type be heard? For what is dear to find out. */
static int l_event_wanted(lua_State *L)
{
    const char *type = luaL_checkstring(L, 1);
    lua_pushboolean(L, has_listener(L) || is_wanted(qn_runtime_of(L), type));
    return 1;
}

/* event.emit(table): adds `time`. Costs little when nobody listens. */
static int l_event_emit(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    qn_state_check_loaded(L, "the log");
    struct qn_runtime *runtime = qn_runtime_of(L);
    lua_settop(L, 1);
    const char *type = lua_getfield(L, 1, "type") == LUA_TSTRING ? lua_tostring(L, -1) : "";
    bool heard = has_listener(L), wanted = is_wanted(runtime, type);
    if (!heard && !wanted) return 0;
    char now[QN_TIME_TEXT_SIZE];
    qn_time_format(qn_clock_wall_ms(runtime->clock), 3, now);
    lua_pushstring(L, now);
    lua_setfield(L, 1, "time");
    if (heard) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &listener_key);
        lua_pushvalue(L, 1);
        lua_call(L, 1, 0);
    }
    lua_settop(L, 1);
    if (!wanted) return 0;
    lua_pushvalue(L, lua_upvalueindex(1)); /* json.encode */
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1); /* [event, line] */
    size_t size;
    const char *line = lua_tolstring(L, -1, &size);
    if (!qn_secret_found(line, size)) {
        runtime->on_event(runtime->user, line, size);
        return 0;
    }
    struct qn_buf safe;
    qn_buf_init(&safe, QN_BUF_NO_CAP);
    if (qn_redact(&safe, line, size) == 0) runtime->on_event(runtime->user, safe.data, safe.size);
    qn_buf_free(&safe);
    return 0;
}

/* event.listen(fn | nil): the one listener of this state; it is called inside emit, before the line is made, and must
 * not wait. */
static int l_event_listen(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &listener_key);
    return 0;
}

int luaopen_quern_core_event(lua_State *L)
{
    lua_newtable(L);
    lua_pushcfunction(L, l_event_listen);
    lua_setfield(L, -2, "listen");
    lua_pushcfunction(L, l_event_wanted);
    lua_setfield(L, -2, "wanted");
    luaL_requiref(L, "quern.core.json", luaopen_quern_core_json, 0);
    lua_getfield(L, -1, "encode");
    lua_remove(L, -2);
    lua_pushcclosure(L, l_event_emit, 1);
    lua_setfield(L, -2, "emit");
    return 1;
}
