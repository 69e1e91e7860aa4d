/* bind_event.c - quern.core.event: one structured fact about a run, as one JSON line, redacted, to the runtime's
 * callback. */
#include <lauxlib.h>
#include <string.h>

#include "base/time.h"
#include "lua/bind.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

/* event.emit(table): adds `time`. Costs nothing when nobody listens. */
static int l_event_emit(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct qn_runtime *runtime = qn_runtime_of(L);
    if (!runtime->on_event) return 0;
    char now[QN_TIME_TEXT_SIZE];
    qn_time_format(qn_clock_wall_ms(runtime->clock), 3, now);
    lua_settop(L, 1);
    lua_pushstring(L, now);
    lua_setfield(L, 1, "time");
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

int luaopen_quern_core_event(lua_State *L)
{
    lua_newtable(L);
    luaL_requiref(L, "quern.core.json", luaopen_quern_core_json, 0);
    lua_getfield(L, -1, "encode");
    lua_remove(L, -2);
    lua_pushcclosure(L, l_event_emit, 1);
    lua_setfield(L, -2, "emit");
    return 1;
}
