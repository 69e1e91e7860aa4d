/* co.c - see co.h. The only file that calls lua_resume for tasks. */
#include "lua/co.h"

#include <lauxlib.h>
#include <string.h>

#include "lua/budget.h"
#include "lua/luax.h"
#include "lua/state.h"
#include "lua/task.h"

/* What a waiting task yields; nothing else can make this value. */
static const char wait_token;

static const char tasks_key; /* registry: { [lightuserdata task] = userdata } while unfinished */

enum { VALUE_THREAD = 1, VALUE_RESULT = QN_TASK_RESULT, VALUE_CANCEL = 3, VALUE_UNOBSERVED = 4 };

static void push_registry(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key) != LUA_TNIL) return;
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &tasks_key);
}

/* Pushes the userdata of an unfinished task. */
static void push_task(lua_State *L, struct qn_task *task)
{
    push_registry(L);
    lua_rawgetp(L, -1, task);
    lua_remove(L, -2);
}

static void anchor(lua_State *L, struct qn_task *task, int index)
{
    index = lua_absindex(L, index);
    push_registry(L);
    lua_pushvalue(L, index);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
}

static void release(lua_State *L, struct qn_task *task)
{
    push_registry(L);
    lua_pushnil(L);
    lua_rawsetp(L, -2, task);
    lua_pop(L, 1);
}

static void adopt(struct qn_task *parent, struct qn_task *child)
{
    child->parent = parent;
    child->next_sibling = parent->first_child;
    if (parent->first_child) parent->first_child->prev_sibling = child;
    parent->first_child = child;
}

static void disown(struct qn_task *child)
{
    struct qn_task *parent = child->parent;
    if (!parent) return;
    if (child->prev_sibling)
        child->prev_sibling->next_sibling = child->next_sibling;
    else
        parent->first_child = child->next_sibling;
    if (child->next_sibling) child->next_sibling->prev_sibling = child->prev_sibling;
    child->parent = child->prev_sibling = child->next_sibling = NULL;
}

struct qn_task *qn_task_spawn(lua_State *L, int n)
{
    struct qn_runtime *runtime = qn_runtime_of(L);
    struct qn_task *task = lua_newuserdatauv(L, sizeof *task, VALUE_UNOBSERVED); /* [.., fn, args..., task] */
    memset(task, 0, sizeof *task);
    task->runtime = runtime;
    task->state = QN_TASK_DONE; /* until it is whole */
    qn_waiter_init(&task->waiter, &runtime->sched);
    luaL_setmetatable(L, QN_LUA_TASK);
    lua_State *co = lua_newthread(L);
    lua_setiuservalue(L, -2, VALUE_THREAD);
    lua_insert(L, -n - 2); /* [.., task, fn, args...] */
    if (!lua_checkstack(co, n + 1)) luaL_error(L, "too many arguments for a task");
    anchor(L, task, -n - 2);
    lua_xmove(L, co, n + 1); /* [.., task] */
    task->co = co;
    task->narg = n;
    task->state = QN_TASK_READY;
    runtime->tasks++;
    if (runtime->current) adopt(runtime->current, task);
    qn_sched_ready(&task->waiter);
    return task;
}

bool qn_task_finished(const struct qn_task *task)
{
    return task->state == QN_TASK_DONE || task->state == QN_TASK_FAILED || task->state == QN_TASK_CANCELED;
}

bool qn_task_failed(const struct qn_task *task)
{
    return task->state == QN_TASK_FAILED || task->state == QN_TASK_CANCELED;
}

void qn_task_cancel(lua_State *L, struct qn_task *task)
{
    if (qn_task_finished(task) || task->canceling || task->state == QN_TASK_ENDING) {
        lua_pop(L, 1);
        return;
    }
    push_task(L, task); /* [error, task] */
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, VALUE_CANCEL);
    lua_pop(L, 1);
    task->canceling = true;
    if (task->state == QN_TASK_RUNNING) return; /* it hears of it at its next wait */
    if (task->waiter.op) qn_op_cancel(task->waiter.op);
    qn_sched_ready(&task->waiter);
}

static bool push_line(lua_State *L, lua_State *co)
{
    const char *library = qn_state_of(L)->library;
    lua_Debug ar;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "Sl", &ar);
        if (ar.currentline < 0 || strncmp(ar.source, library, strlen(library)) == 0) continue;
        lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
        return true;
    }
    return false;
}

static bool push_where(lua_State *L, const struct qn_task *task)
{
    for (const struct qn_task *child = task->first_child; child; child = child->next_sibling)
        if (push_where(L, child)) return true;
    return task->co && push_line(L, task->co);
}

void qn_task_push_where(lua_State *L, const struct qn_task *task)
{
    if (!push_where(L, task)) lua_pushliteral(L, "");
}

/* ---- the end of a task ---- */

static void tell_joiners(struct qn_task *task)
{
    for (struct qn_join *join = task->joins; join; join = join->next) qn_op_complete(&join->op);
    task->joined = task->joined || task->joins;
    task->joins = NULL;
}

static void finish(lua_State *L, struct qn_task *task);

/* A child has finished: an error nobody asked for yet is kept for the parent's end. */
static void child_finished(lua_State *L, struct qn_task *parent, struct qn_task *child)
{
    if (child->state == QN_TASK_FAILED && !child->joined && parent->state != QN_TASK_ENDING) {
        push_task(L, parent);
        push_task(L, child);
        lua_setiuservalue(L, -2, VALUE_UNOBSERVED);
        lua_pop(L, 1);
    }
    disown(child);
    if (parent->state == QN_TASK_ENDING && !parent->first_child) finish(L, parent);
}

static void finish(lua_State *L, struct qn_task *task)
{
    struct qn_task *parent = task->parent;
    task->state = task->outcome;
    task->runtime->tasks--;
    if (task->runtime->interruptible == task) task->runtime->interruptible = NULL;
    qn_sched_forget(&task->waiter);
    tell_joiners(task);
    if (parent) child_finished(L, parent, task);
    release(L, task); /* last: the collector may take it from here */
}

/* An unobserved child's failure becomes that of a parent that ended well. [.., task] stays. */
static void inherit_failure(lua_State *L, struct qn_task *task, int index)
{
    lua_getiuservalue(L, index, VALUE_UNOBSERVED);
    struct qn_task *child = lua_touserdata(L, -1);
    if (child && !child->joined && task->outcome == QN_TASK_DONE) {
        lua_getiuservalue(L, -1, VALUE_RESULT);
        lua_setiuservalue(L, index, VALUE_RESULT);
        task->outcome = QN_TASK_FAILED;
    }
    lua_pop(L, 1);
}

/* Stores the result on top of L (popped), then ends the children; the task finishes when the last of them has. */
static void end(lua_State *L, struct qn_task *task, enum qn_task_state outcome)
{
    push_task(L, task); /* [result, task] */
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, VALUE_RESULT); /* [task] */
    task->outcome = outcome;
    inherit_failure(L, task, lua_gettop(L));
    lua_pushnil(L);
    lua_setiuservalue(L, -2, VALUE_THREAD);
    lua_pop(L, 1);
    task->co = NULL;
    task->state = QN_TASK_ENDING;
    for (struct qn_task *child = task->first_child, *next; child; child = next) {
        next = child->next_sibling;
        qn_lua_push_error(L, "cancelled", "cancelled: the task that started this one has ended");
        qn_task_cancel(L, child);
    }
    if (!task->first_child) finish(L, task);
}

/* ---- resuming ---- */

/* Adds where it happened to the error on top of co: a traceback for what was not raised on purpose. */
static void explain(lua_State *L, lua_State *co)
{
    if (lua_type(co, -1) == LUA_TSTRING) {
        qn_lua_push_error(L, "script", lua_tostring(co, -1));
        luaL_traceback(L, co, NULL, 0);
        lua_setfield(L, -2, "traceback");
    } else {
        lua_xmove(co, L, 1);
    }
}

static void settle(lua_State *L, struct qn_task *task, int status, int results)
{
    lua_State *co = task->co;
    if (status == LUA_YIELD && !task->kill && results == 1 && lua_touserdata(co, -1) == &wait_token) {
        lua_pop(co, 1);
        task->state = QN_TASK_WAITING;
        return;
    }
    if (status == LUA_OK) {
        lua_createtable(L, results, 1);
        for (int i = results; i >= 1; i--) { /* [table]  co: [.., results...] */
            lua_xmove(co, L, 1);
            lua_rawseti(L, -2, i);
        }
        lua_pushinteger(L, results);
        lua_setfield(L, -2, "n");
        end(L, task, QN_TASK_DONE);
        return;
    }
    bool canceled = task->canceling && (task->kill || status != LUA_YIELD);
    if (status == LUA_YIELD && task->kill) {
        push_task(L, task);
        lua_getiuservalue(L, -1, VALUE_CANCEL);
        lua_remove(L, -2);
    } else if (status == LUA_YIELD) {
        qn_lua_push_error(L, "script",
                          "coroutine.yield() outside a coroutine of your own: a task waits through quern's functions");
    } else {
        explain(L, co);
    }
    lua_resetthread(co); /* runs pending <close> variables */
    end(L, task, canceled ? QN_TASK_CANCELED : QN_TASK_FAILED);
}

static bool never_ran(const struct qn_task *task)
{
    return task->state == QN_TASK_READY;
}

/* Called in protected mode on the main state: [lightuserdata task]. */
static int resume_one(lua_State *L)
{
    struct qn_task *task = lua_touserdata(L, 1);
    struct qn_runtime *runtime = task->runtime;
    lua_settop(L, 0);
    if (never_ran(task) && task->canceling) {
        push_task(L, task);
        lua_getiuservalue(L, -1, VALUE_CANCEL);
        lua_remove(L, -2);
        end(L, task, QN_TASK_CANCELED);
        return 0;
    }
    int results = 0, narg = never_ran(task) ? task->narg : 0;
    task->state = QN_TASK_RUNNING;
    runtime->current = task;
    struct qn_budget outer = qn_budget_begin(task->co, runtime->turn_instructions);
    int status = lua_resume(task->co, L, narg, &results);
    qn_budget_end(task->co, outer);
    runtime->current = NULL;
    settle(L, task, status, results);
    return 0;
}

static void resume(struct qn_runtime *runtime, struct qn_task *task)
{
    lua_State *L = runtime->L;
    lua_pushcfunction(L, resume_one);
    lua_pushlightuserdata(L, task);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        /* no memory for the task's end: it stays unfinished and the runtime reports it */
        runtime->current = NULL;
        lua_pop(L, 1);
    }
}

void qn_tasks_drain(struct qn_runtime *runtime)
{
    for (unsigned n = runtime->sched.count; n > 0; n--) {
        struct qn_waiter *waiter = qn_sched_next(&runtime->sched);
        if (!waiter) return;
        resume(runtime, (struct qn_task *)waiter); /* waiter is the first member */
    }
}

/* ---- waiting ---- */

static struct qn_task *current(lua_State *L)
{
    struct qn_runtime *runtime = qn_runtime_of(L);
    return runtime ? runtime->current : NULL;
}

void qn_wait_check(lua_State *L)
{
    qn_state_check_loaded(L, "a function that waits");
    if (qn_state_of(L)->worker) luaL_error(L, "waiting is not possible in a transform");
    if (!current(L)) luaL_error(L, "waiting is possible only inside a task");
    if (!lua_isyieldable(L)) {
        luaL_error(
            L, "waiting is not possible here: inside table.sort, string.gsub, tostring, require, a metamethod that C "
               "calls, or while a variable is closed");
    }
}

int qn_wait(lua_State *L, struct qn_op *op, lua_KFunction done, lua_KContext ctx)
{
    struct qn_task *task = current(L);
    if (task->cancel_told) {
        task->kill = true; /* it was told and waits again: it is closed where it stands */
        qn_op_cancel(op);
        return lua_yield(L, 0);
    }
    if (task->canceling) {
        qn_op_cancel(op);
        qn_wait_end(L); /* raises */
    }
    qn_op_wait(op, &task->waiter);
    lua_pushlightuserdata(L, (void *)&wait_token);
    return lua_yieldk(L, 1, ctx, done);
}

void qn_wait_end(lua_State *L)
{
    struct qn_task *task = current(L);
    if (!task->canceling || task->cancel_told) return;
    task->cancel_told = true;
    push_task(L, task);
    lua_getiuservalue(L, -1, VALUE_CANCEL);
    lua_error(L);
}

bool qn_is_wait(lua_State *L, int index)
{
    return lua_touserdata(L, index) == &wait_token;
}

bool qn_task_killed(lua_State *L)
{
    struct qn_task *task = current(L);
    return task && task->kill;
}
