/* bind_task.c - quern.core.task: spawn, join, sleep, events, time and chance. Conversion only; see co.h. */
#include <lauxlib.h>

#include "lua/bind.h"
#include "lua/luax.h"
#include "lua/state.h"
#include "lua/task.h"

#define SLEEP "quern.sleep"
#define EVENT "quern.event"
#define JOIN  "quern.join"

static struct qn_runtime *runtime_of(lua_State *L)
{
    return qn_runtime_of(L);
}

/* ---- tasks ---- */

static struct qn_task *check_task(lua_State *L, int index)
{
    return luaL_checkudata(L, index, QN_LUA_TASK);
}

/* task.spawn(fn, ...) -> task */
static int l_task_spawn(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    qn_state_check_loaded(L, "task.spawn");
    qn_task_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* [task, ...] -> true, results... or false, err */
static int push_outcome(lua_State *L, int index)
{
    struct qn_task *task = check_task(L, index);
    task->joined = true;
    lua_getiuservalue(L, index, QN_TASK_RESULT);
    if (qn_task_failed(task)) {
        lua_pushboolean(L, false);
        lua_insert(L, -2);
        return 2;
    }
    int results = lua_gettop(L);
    lua_getfield(L, results, "n");
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    luaL_checkstack(L, n + 1, "too many results");
    lua_pushboolean(L, true);
    for (int i = 1; i <= n; i++) lua_rawgeti(L, results, i);
    return n + 1;
}

static void leave(struct qn_join *join)
{
    if (!join->task) return;
    for (struct qn_join **at = &join->task->joins; *at; at = &(*at)->next) {
        if (*at == join) {
            *at = join->next;
            break;
        }
    }
    join->task = NULL;
}

static void cancel_join(struct qn_op *op)
{
    leave((struct qn_join *)op); /* op is the first member */
}

static int join_gc(lua_State *L)
{
    struct qn_join *join = lua_touserdata(L, 1);
    if (join->op.state == QN_OP_PENDING) qn_op_cancel(&join->op);
    return 0;
}

static int joined(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    qn_wait_end(L);
    return push_outcome(L, 1);
}

/* task:join() -> true, results... | false, err   (waits) */
static int l_task_join(lua_State *L)
{
    struct qn_task *task = check_task(L, 1);
    if (qn_task_finished(task)) return push_outcome(L, 1);
    qn_wait_check(L);
    if (task == task->runtime->current) return luaL_error(L, "a task cannot join itself");
    lua_settop(L, 1);
    struct qn_join *join = lua_newuserdatauv(L, sizeof *join, 1);
    qn_op_init(&join->op, cancel_join);
    join->task = NULL;
    luaL_setmetatable(L, JOIN);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, 2, 1); /* keeps the task while somebody waits for it */
    qn_op_begin(&join->op);
    join->task = task;
    join->next = task->joins;
    task->joins = join;
    return qn_wait(L, &join->op, joined, 0);
}

/* task:cancel(err?) */
static int l_task_cancel(lua_State *L)
{
    struct qn_task *task = check_task(L, 1);
    if (lua_isnoneornil(L, 2))
        qn_lua_push_error(L, "cancelled", "cancelled");
    else
        lua_pushvalue(L, 2);
    qn_task_cancel(L, task);
    return 0;
}

static const char *status_of(const struct qn_task *task)
{
    static const char *const names[] = {"ready", "running", "waiting", "ending", "done", "failed", "cancelled"};
    return names[task->state];
}

static int l_task_status(lua_State *L)
{
    lua_pushstring(L, status_of(check_task(L, 1)));
    return 1;
}

/* task.interruptible(task): an interrupt cancels that task, as long as it runs, instead of the root task */
static int l_task_interruptible(lua_State *L)
{
    struct qn_task *task = check_task(L, 1);
    if (!qn_task_finished(task)) runtime_of(L)->interruptible = task;
    return 0;
}

static int task_tostring(lua_State *L)
{
    lua_pushfstring(L, "task (%s)", status_of(check_task(L, 1)));
    return 1;
}

/* ---- sleep ---- */

struct sleep {
    struct qn_op op;
    struct qn_timer timer;
};

static void sleep_over(struct qn_timer *timer)
{
    struct sleep *sleep = (struct sleep *)((char *)timer - offsetof(struct sleep, timer));
    qn_op_complete(&sleep->op);
}

static void cancel_sleep(struct qn_op *op)
{
    qn_timer_stop(&((struct sleep *)op)->timer);
}

static int sleep_gc(lua_State *L)
{
    struct sleep *sleep = lua_touserdata(L, 1);
    qn_timer_stop(&sleep->timer);
    return 0;
}

static int slept(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    qn_wait_end(L);
    return 0;
}

static uint64_t check_ms(lua_State *L, int index)
{
    lua_Number ms = luaL_checknumber(L, index);
    luaL_argcheck(L, ms >= 0 && ms < 1e15, index, "milliseconds must be from 0 to 1e15");
    return (uint64_t)ms + (ms > (lua_Number)(uint64_t)ms); /* never shorter than asked */
}

/* task.sleep(ms)   (waits) */
static int l_task_sleep(lua_State *L)
{
    uint64_t ms = check_ms(L, 1);
    qn_wait_check(L);
    struct sleep *sleep = lua_newuserdatauv(L, sizeof *sleep, 0);
    qn_op_init(&sleep->op, cancel_sleep);
    qn_timer_init(&sleep->timer, sleep_over);
    luaL_setmetatable(L, SLEEP);
    qn_op_begin(&sleep->op);
    if (qn_timer_start(runtime_of(L)->loop, &sleep->timer, ms) < 0) return luaL_error(L, "out of memory");
    return qn_wait(L, &sleep->op, slept, 0);
}

/* ---- events: wake whoever waits now ---- */

struct event {
    struct event_wait *first;
};

struct event_wait {
    struct sleep sleep; /* first: its op is the wait, its timer the time-out */
    struct event *event;
    struct event_wait *next;
    bool set;
};

static void leave_event(struct event_wait *wait)
{
    if (!wait->event) return;
    for (struct event_wait **at = &wait->event->first; *at; at = &(*at)->next) {
        if (*at == wait) {
            *at = wait->next;
            break;
        }
    }
    wait->event = NULL;
}

static void cancel_event_wait(struct qn_op *op)
{
    struct event_wait *wait = (struct event_wait *)op;
    qn_timer_stop(&wait->sleep.timer);
    leave_event(wait);
}

static void event_timed_out(struct qn_timer *timer)
{
    struct event_wait *wait = (struct event_wait *)((char *)timer - offsetof(struct sleep, timer));
    leave_event(wait);
    qn_op_complete(&wait->sleep.op);
}

static int event_wait_gc(lua_State *L)
{
    cancel_event_wait(lua_touserdata(L, 1));
    return 0;
}

static int event_waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    qn_wait_end(L);
    struct event_wait *wait = lua_touserdata(L, -1);
    lua_pushboolean(L, wait->set);
    return 1;
}

/* task.event() -> event */
static int l_task_event(lua_State *L)
{
    struct event *event = lua_newuserdatauv(L, sizeof *event, 0);
    event->first = NULL;
    luaL_setmetatable(L, EVENT);
    return 1;
}

/* event:wait(timeout_ms?) -> true: set, false: timed out   (waits) */
static int l_event_wait(lua_State *L)
{
    struct event *event = luaL_checkudata(L, 1, EVENT);
    bool timed = !lua_isnoneornil(L, 2);
    uint64_t ms = timed ? check_ms(L, 2) : 0;
    qn_wait_check(L);
    struct event_wait *wait = lua_newuserdatauv(L, sizeof *wait, 1);
    qn_op_init(&wait->sleep.op, cancel_event_wait);
    qn_timer_init(&wait->sleep.timer, event_timed_out);
    wait->event = NULL;
    wait->set = false;
    luaL_setmetatable(L, EVENT ".wait");
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    qn_op_begin(&wait->sleep.op);
    if (timed && qn_timer_start(runtime_of(L)->loop, &wait->sleep.timer, ms) < 0) return luaL_error(L, "out of memory");
    struct event_wait **last = &event->first;
    while (*last) last = &(*last)->next;
    wait->next = NULL;
    wait->event = event;
    *last = wait;
    return qn_wait(L, &wait->sleep.op, event_waited, 0);
}

/* event:set(): wakes all that wait now, first come first */
static int l_event_set(lua_State *L)
{
    struct event *event = luaL_checkudata(L, 1, EVENT);
    struct event_wait *wait = event->first;
    event->first = NULL;
    for (struct event_wait *next; wait; wait = next) {
        next = wait->next;
        wait->event = NULL;
        wait->set = true;
        qn_timer_stop(&wait->sleep.timer);
        qn_op_complete(&wait->sleep.op);
    }
    return 0;
}

/* ---- time and chance ---- */

/* task.now() -> ms, monotonic */
static int l_task_now(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qn_clock_monotonic_ms(runtime_of(L)->clock));
    return 1;
}

/* task.cpu() -> ms of processor time that the process has used, all threads together; in virtual time 0 */
static int l_task_cpu(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)qn_clock_cpu_ms(runtime_of(L)->clock));
    return 1;
}

/* task.wall() -> ms since the epoch */
static int l_task_wall(lua_State *L)
{
    qn_state_check_loaded(L, "the clock");
    lua_pushinteger(L, qn_clock_wall_ms(runtime_of(L)->clock));
    return 1;
}

/* task.random() -> [0, 1) */
static int l_task_random(lua_State *L)
{
    qn_state_check_loaded(L, "chance");
    lua_pushnumber(L, qn_rng_unit(&runtime_of(L)->rng));
    return 1;
}

/* task.yieldable() -> boolean */
static int l_task_yieldable(lua_State *L)
{
    lua_pushboolean(L, runtime_of(L)->current != NULL && lua_isyieldable(L));
    return 1;
}

int luaopen_quern_core_task(lua_State *L)
{
    static const luaL_Reg functions[] = {{"spawn", l_task_spawn},
                                         {"sleep", l_task_sleep},
                                         {"event", l_task_event},
                                         {"now", l_task_now},
                                         {"wall", l_task_wall},
                                         {"cpu", l_task_cpu},
                                         {"random", l_task_random},
                                         {"yieldable", l_task_yieldable},
                                         {"interruptible", l_task_interruptible},
                                         {NULL, NULL}};
    static const luaL_Reg task_meta[] = {{"__tostring", task_tostring}, {NULL, NULL}};
    static const luaL_Reg task_methods[] = {
        {"join", l_task_join}, {"cancel", l_task_cancel}, {"status", l_task_status}, {NULL, NULL}};
    static const luaL_Reg sleep_meta[] = {{"__gc", sleep_gc}, {NULL, NULL}};
    static const luaL_Reg wait_meta[] = {{"__gc", event_wait_gc}, {NULL, NULL}};
    static const luaL_Reg join_meta[] = {{"__gc", join_gc}, {NULL, NULL}};
    static const luaL_Reg event_methods[] = {{"wait", l_event_wait}, {"set", l_event_set}, {NULL, NULL}};
    qn_lua_new_type(L, QN_LUA_TASK, task_meta, task_methods);
    qn_lua_new_type(L, SLEEP, sleep_meta, NULL);
    qn_lua_new_type(L, EVENT, NULL, event_methods);
    qn_lua_new_type(L, EVENT ".wait", wait_meta, NULL);
    qn_lua_new_type(L, JOIN, join_meta, NULL);
    luaL_newlib(L, functions);
    return 1;
}
