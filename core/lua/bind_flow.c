/* bind_flow.c - quern.core.flow: retry, breaker, limit and token decisions. Conversion only; see
 * net/{retry,limit,oauth}.h. */
#include <lauxlib.h>
#include <string.h>

#include "lua/bind.h"
#include "lua/luax.h"
#include "net/limit.h"
#include "net/oauth.h"
#include "net/retry.h"

#define RETRY   "quern.retry"
#define BREAKER "quern.breaker"
#define LIMIT   "quern.limit"
#define TICKET  "quern.ticket"
#define OAUTH   "quern.oauth"

static uint64_t check_ms(lua_State *L, int index)
{
    lua_Integer ms = luaL_checkinteger(L, index);
    luaL_argcheck(L, ms >= 0, index, "milliseconds must not be negative");
    return (uint64_t)ms;
}

/* ---- retry ---- */

struct retry {
    struct qn_retry_policy policy;
    struct qn_retry state;
};

/* flow.retry{ base_ms, cap_ms, attempts, elapsed_ms, max_wait_ms, unavailable_ms, jitter } -> state of one request */
static int l_flow_retry(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    struct retry *retry = lua_newuserdatauv(L, sizeof *retry, 0);
    struct qn_retry_policy *policy = &retry->policy;
    memset(retry, 0, sizeof *retry);
    qn_retry_policy_init(policy);
    policy->base_ms = (uint64_t)qn_field_integer(L, 1, "base_ms", (lua_Integer)policy->base_ms);
    policy->cap_ms = (uint64_t)qn_field_integer(L, 1, "cap_ms", (lua_Integer)policy->cap_ms);
    policy->attempts = (unsigned)qn_field_integer(L, 1, "attempts", policy->attempts);
    policy->elapsed_ms = (uint64_t)qn_field_integer(L, 1, "elapsed_ms", (lua_Integer)policy->elapsed_ms);
    policy->max_wait_ms = (uint64_t)qn_field_integer(L, 1, "max_wait_ms", (lua_Integer)policy->max_wait_ms);
    policy->unavailable_ms = (uint64_t)qn_field_integer(L, 1, "unavailable_ms", (lua_Integer)policy->unavailable_ms);
    policy->jitter = qn_field_boolean(L, 1, "jitter", policy->jitter);
    luaL_setmetatable(L, RETRY);
    return 1;
}

/* state:begin(now_ms) */
static int l_retry_begin(lua_State *L)
{
    struct retry *retry = luaL_checkudata(L, 1, RETRY);
    qn_retry_begin(&retry->state, check_ms(L, 2));
    return 0;
}

/* state:decide({ outcome, status, retry_after_ms, safe, never_sent, about_size, about_cursor, stale_token, chance },
 * now_ms)
 *   -> action, wait_ms, shared, exit, why */
static int l_retry_decide(lua_State *L)
{
    static const char *const outcomes[] = {"status", "network", "body", "too_large", "tls", "denied", NULL};
    static const char *const actions[] = {"wait", "auth", "split", "restart", "fail", "defer", "end"};
    struct retry *retry = luaL_checkudata(L, 1, RETRY);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_getfield(L, 2, "outcome");
    struct qn_attempt attempt = {
        .outcome = (enum qn_outcome)luaL_checkoption(L, -1, "status", outcomes),
        .status = (int)qn_field_integer(L, 2, "status", 0),
        .retry_after_ms = qn_field_integer(L, 2, "retry_after_ms", -1),
        .safe = qn_field_boolean(L, 2, "safe", true),
        .never_sent = qn_field_boolean(L, 2, "never_sent", false),
        .about_size = qn_field_boolean(L, 2, "about_size", false),
        .about_cursor = qn_field_boolean(L, 2, "about_cursor", false),
        .stale_token = qn_field_boolean(L, 2, "stale_token", false),
        .chance = qn_field_number(L, 2, "chance", 0),
    };
    struct qn_verdict verdict = qn_retry_decide(&retry->state, &retry->policy, &attempt, check_ms(L, 3));
    lua_pushstring(L, actions[verdict.action]);
    lua_pushinteger(L, (lua_Integer)verdict.wait_ms);
    lua_pushboolean(L, verdict.shared);
    lua_pushinteger(L, verdict.exit);
    lua_pushstring(L, verdict.why);
    return 5;
}

/* flow.about_size(message) -> boolean */
static int l_flow_about_size(lua_State *L)
{
    size_t size;
    const char *message = luaL_checklstring(L, 1, &size);
    lua_pushboolean(L, qn_retry_about_size(message, size));
    return 1;
}

/* flow.about_cursor(message) -> boolean */
static int l_flow_about_cursor(lua_State *L)
{
    size_t size;
    const char *message = luaL_checklstring(L, 1, &size);
    lua_pushboolean(L, qn_retry_about_cursor(message, size));
    return 1;
}

/* ---- breaker ---- */

/* flow.breaker(open_after_ms) -> breaker */
static int l_flow_breaker(lua_State *L)
{
    uint64_t open_after_ms = check_ms(L, 1);
    struct qn_breaker *breaker = lua_newuserdatauv(L, sizeof *breaker, 0);
    *breaker = (struct qn_breaker){.open_after_ms = open_after_ms};
    luaL_setmetatable(L, BREAKER);
    return 1;
}

/* breaker:note(unavailable, now_ms) */
static int l_breaker_note(lua_State *L)
{
    struct qn_breaker *breaker = luaL_checkudata(L, 1, BREAKER);
    qn_breaker_note(breaker, lua_toboolean(L, 2), check_ms(L, 3));
    return 0;
}

/* breaker:open(now_ms) -> boolean */
static int l_breaker_open(lua_State *L)
{
    struct qn_breaker *breaker = luaL_checkudata(L, 1, BREAKER);
    lua_pushboolean(L, qn_breaker_open(breaker, check_ms(L, 2)));
    return 1;
}

/* breaker:left(now_ms) -> ms | nil (it is not about to open) */
static int l_breaker_left(lua_State *L)
{
    struct qn_breaker *breaker = luaL_checkudata(L, 1, BREAKER);
    uint64_t left_ms = qn_breaker_left(breaker, check_ms(L, 2));
    if (left_ms == UINT64_MAX) return 0;
    lua_pushinteger(L, (lua_Integer)left_ms);
    return 1;
}

/* ---- limit ---- */

static struct qn_limit_options limit_options(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    return (struct qn_limit_options){
        .concurrency = (unsigned)qn_field_integer(L, 1, "concurrency", 0),
        .count = (unsigned)qn_field_integer(L, 1, "count", 0),
        .window_ms = (uint64_t)qn_field_integer(L, 1, "window_ms", 60000),
        .pace_ms = (uint64_t)qn_field_integer(L, 1, "pace_ms", 0),
    };
}

/* flow.limit{ concurrency, count, window_ms, pace_ms } -> limit */
static int l_flow_limit(lua_State *L)
{
    struct qn_limit_options options = limit_options(L);
    struct qn_err err = {.text = ""};
    struct qn_limit **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    luaL_setmetatable(L, LIMIT);
    if (qn_limit_new(&options, slot, &err) < 0) return qn_lua_raise(L, NULL, &err);
    return 1;
}

/* flow.least_ms({ options of limit }, starts) -> ms */
static int l_flow_least_ms(lua_State *L)
{
    struct qn_limit_options options = limit_options(L);
    lua_pushinteger(L, (lua_Integer)qn_limit_least_ms(&options, check_ms(L, 2)));
    return 1;
}

static struct qn_limit *check_limit(lua_State *L)
{
    struct qn_limit **slot = luaL_checkudata(L, 1, LIMIT);
    return *slot;
}

static int limit_gc(lua_State *L)
{
    struct qn_limit **slot = luaL_checkudata(L, 1, LIMIT);
    qn_limit_free(*slot);
    *slot = NULL;
    return 0;
}

/* limit:ticket() -> ticket, queued; leaves when it is closed or collected */
static int l_limit_ticket(lua_State *L)
{
    struct qn_limit *limit = check_limit(L);
    struct qn_ticket *ticket = lua_newuserdatauv(L, sizeof *ticket, 1);
    memset(ticket, 0, sizeof *ticket);
    luaL_setmetatable(L, TICKET);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1); /* keeps the limit */
    qn_limit_enter(limit, ticket);
    return 1;
}

/* limit:hold(until_ms) */
static int l_limit_hold(lua_State *L)
{
    qn_limit_hold(check_limit(L), check_ms(L, 2));
    return 0;
}

/* ticket:ask(now_ms) -> 0 (granted) | ms | nil (not before something changes) */
static int l_ticket_ask(lua_State *L)
{
    struct qn_ticket *ticket = luaL_checkudata(L, 1, TICKET);
    luaL_argcheck(L, ticket->limit && !ticket->running, 1, "the ticket is not waiting");
    uint64_t wait_ms = qn_limit_ask(ticket, check_ms(L, 2));
    if (wait_ms == QN_LIMIT_WAIT) return 0;
    lua_pushinteger(L, (lua_Integer)wait_ms);
    return 1;
}

/* ticket:leave() */
static int l_ticket_leave(lua_State *L)
{
    qn_limit_leave(luaL_checkudata(L, 1, TICKET));
    return 0;
}

/* ---- oauth ---- */

/* flow.oauth() -> oauth */
static int l_flow_oauth(lua_State *L)
{
    struct qn_oauth *oauth = lua_newuserdatauv(L, sizeof *oauth, 0);
    memset(oauth, 0, sizeof *oauth);
    luaL_setmetatable(L, OAUTH);
    return 1;
}

static struct qn_oauth *check_oauth(lua_State *L)
{
    return luaL_checkudata(L, 1, OAUTH);
}

/* oauth:ask(now_ms) -> "have" | "fetch" | "wait", generation */
static int l_oauth_ask(lua_State *L)
{
    static const char *const needs[] = {"have", "fetch", "wait"};
    struct qn_oauth *oauth = check_oauth(L);
    lua_pushstring(L, needs[qn_oauth_ask(oauth, check_ms(L, 2))]);
    lua_pushinteger(L, (lua_Integer)oauth->generation);
    return 2;
}

/* oauth:fetched(expires_in_s | nil, since_ms) -> generation */
static int l_oauth_fetched(lua_State *L)
{
    struct qn_oauth *oauth = check_oauth(L);
    qn_oauth_fetched(oauth, luaL_optinteger(L, 2, QN_OAUTH_UNSAID), check_ms(L, 3));
    lua_pushinteger(L, (lua_Integer)oauth->generation);
    return 1;
}

/* oauth:failed() */
static int l_oauth_failed(lua_State *L)
{
    qn_oauth_failed(check_oauth(L));
    return 0;
}

/* oauth:accepted(generation) */
static int l_oauth_accepted(lua_State *L)
{
    qn_oauth_accepted(check_oauth(L), (uint64_t)luaL_checkinteger(L, 2));
    return 0;
}

/* oauth:holds(generation) -> boolean */
static int l_oauth_holds(lua_State *L)
{
    lua_pushboolean(L, qn_oauth_holds(check_oauth(L), (uint64_t)luaL_checkinteger(L, 2)));
    return 1;
}

/* oauth:refused(generation) -> "replay" | "denied" */
static int l_oauth_refused(lua_State *L)
{
    enum qn_oauth_refusal refusal = qn_oauth_refused(check_oauth(L), (uint64_t)luaL_checkinteger(L, 2));
    lua_pushstring(L, refusal == QN_OAUTH_REPLAY ? "replay" : "denied");
    return 1;
}

int luaopen_quern_core_flow(lua_State *L)
{
    static const luaL_Reg functions[] = {{"retry", l_flow_retry},
                                         {"about_size", l_flow_about_size},
                                         {"about_cursor", l_flow_about_cursor},
                                         {"breaker", l_flow_breaker},
                                         {"limit", l_flow_limit},
                                         {"least_ms", l_flow_least_ms},
                                         {"oauth", l_flow_oauth},
                                         {NULL, NULL}};
    static const luaL_Reg retry[] = {{"begin", l_retry_begin}, {"decide", l_retry_decide}, {NULL, NULL}};
    static const luaL_Reg breaker[] = {
        {"note", l_breaker_note}, {"open", l_breaker_open}, {"left", l_breaker_left}, {NULL, NULL}};
    static const luaL_Reg limit[] = {{"ticket", l_limit_ticket}, {"hold", l_limit_hold}, {NULL, NULL}};
    static const luaL_Reg ticket[] = {{"ask", l_ticket_ask}, {"leave", l_ticket_leave}, {NULL, NULL}};
    static const luaL_Reg oauth[] = {{"ask", l_oauth_ask},
                                     {"fetched", l_oauth_fetched},
                                     {"failed", l_oauth_failed},
                                     {"accepted", l_oauth_accepted},
                                     {"refused", l_oauth_refused},
                                     {"holds", l_oauth_holds},
                                     {NULL, NULL}};
    static const luaL_Reg limit_meta[] = {{"__gc", limit_gc}, {NULL, NULL}};
    static const luaL_Reg ticket_meta[] = {{"__gc", l_ticket_leave}, {"__close", l_ticket_leave}, {NULL, NULL}};
    qn_lua_new_type(L, RETRY, NULL, retry);
    qn_lua_new_type(L, BREAKER, NULL, breaker);
    qn_lua_new_type(L, LIMIT, limit_meta, limit);
    qn_lua_new_type(L, TICKET, ticket_meta, ticket);
    qn_lua_new_type(L, OAUTH, NULL, oauth);
    luaL_newlib(L, functions);
    return 1;
}
