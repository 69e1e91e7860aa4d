/* runtime.c - see runtime.h. */
#include "lua/runtime.h"

#include <lauxlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/mem.h"
#include "lua/bind_env.h"
#include "lua/luax.h"
#include "lua/sim.h"
#include "lua/state.h"
#include "lua/task.h"
#include "net/curl.h"

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = 0x5eed;
    return seed;
}

static int open_transport(struct qn_runtime *runtime, const struct qn_runtime_options *options, struct qn_err *err)
{
    if (options->simulated) return qn_lua_sim_new(runtime, &runtime->transport, err);
    struct qn_curl_options how = {.ca_file = options->ca_file, .user_agent = "quern"};
    return qn_curl_new(runtime->loop, &how, &runtime->transport, err);
}

int qn_runtime_new(const struct qn_runtime_options *options, struct qn_runtime **out, struct qn_err *err)
{
    struct qn_runtime *runtime = qn_calloc(1, sizeof *runtime);
    if (!runtime) return qn_fail(err, QN_ENOMEM, "out of memory");
    runtime->allow_insecure = options->allow_insecure;
    runtime->on_event = options->on_event;
    runtime->event_types = options->event_types;
    runtime->user = options->user;
    runtime->turn_instructions = options->turn_instructions ? options->turn_instructions : QN_BUDGET_TURN;
    bool copied = !options->lib_dir || (runtime->lib_dir = qn_strdup(options->lib_dir));
    qn_sched_init(&runtime->sched);
    qn_rng_seed(&runtime->rng, options->seed ? options->seed : random_seed());
    runtime->clock = options->simulated ? qn_clock_virtual(options->start_wall_ms) : qn_clock_real();
    runtime->loop = runtime->clock ? qn_loop_new(runtime->clock) : NULL;
    if (!runtime->loop) qn_clock_free(runtime->clock);
    int rc = copied && runtime->loop ? 0 : qn_fail(err, QN_ENOMEM, "cannot start the event loop");
    if (rc == 0) rc = open_transport(runtime, options, err);
    if (rc == 0) {
        struct qn_state_options how = {.lib_dir = runtime->lib_dir, .runtime = runtime};
        runtime->L = qn_state_new(&how, err);
        rc = runtime->L ? 0 : QN_ENOMEM;
    }
    if (rc < 0) {
        qn_runtime_free(runtime);
        return rc;
    }
    *out = runtime;
    return 0;
}

int qn_runtime_free(struct qn_runtime *runtime)
{
    if (!runtime) return 0;
    int left = (int)runtime->tasks;
    qn_state_free(runtime->L); /* finalizers free transfers, timers, pools, servers */
    qn_transport_free(runtime->transport);
    left += qn_loop_free(runtime->loop);
    qn_env_free(runtime->env);
    qn_free(runtime->lib_dir);
    qn_free(runtime);
    return left;
}

void qn_runtime_interrupt(struct qn_runtime *runtime)
{
    runtime->interrupted = true;
    qn_loop_wake(runtime->loop);
}

void qn_runtime_hear_interrupt(lua_State *L)
{
    struct qn_runtime *runtime = qn_runtime_of(L);
    if (!runtime->interrupted || !runtime->interruptible) return;
    runtime->interrupted = false;
    qn_lua_push_error(L, "interrupted", "interrupted");
    qn_task_cancel(L, runtime->interruptible);
}

static int cancel_task(lua_State *L)
{
    qn_lua_push_error(L, "interrupted", "interrupted");
    qn_task_cancel(L, lua_touserdata(L, 1));
    return 0;
}

/* how: called with the task that is to end. */
static void cancel(struct qn_runtime *runtime, lua_CFunction how, struct qn_task *root)
{
    lua_pushcfunction(runtime->L, how);
    lua_pushlightuserdata(runtime->L, runtime->interruptible ? runtime->interruptible : root);
    if (lua_pcall(runtime->L, 1, 0, 0) != LUA_OK) lua_pop(runtime->L, 1);
}

static void interrupt(struct qn_runtime *runtime, struct qn_task *root)
{
    runtime->interrupted = false;
    cancel(runtime, cancel_task, root);
}

static int cancel_stuck(lua_State *L)
{
    struct qn_task *task = lua_touserdata(L, 1);
    qn_task_push_where(L, task);
    lua_pushliteral(L, "nothing can end this wait any more: whoever could has ended, or waits as well");
    lua_concat(L, 2);
    qn_lua_push_error(L, "script", lua_tostring(L, -1));
    qn_task_cancel(L, task);
    return 0;
}

/* No timer, no request and no job is under way, and no task is ready: a script waits on one of its own channels, events
 * or tasks. */
static int end_stuck(struct qn_runtime *runtime, struct qn_task *root, struct qn_err *err)
{
    cancel(runtime, cancel_stuck, root);
    if (qn_sched_has_ready(&runtime->sched)) return 0;
    return qn_fail(err, QN_ESTATE, "internal error: a task waits for something that cannot happen");
}

/* Turns the loop until root has finished. */
static int drive(struct qn_runtime *runtime, struct qn_task *root, struct qn_err *err)
{
    while (!qn_task_finished(root)) {
        qn_tasks_drain(runtime);
        if (qn_task_finished(root)) break;
        if (runtime->interrupted)
            interrupt(runtime, root); /* after its first turn, so that it can answer in its own words */
        bool ready = qn_sched_has_ready(&runtime->sched);
        if (!ready && !qn_loop_alive(runtime->loop)) {
            int rc = end_stuck(runtime, root, err);
            if (rc < 0) return rc;
            continue;
        }
        qn_loop_turn(runtime->loop, !ready);
    }
    return 0;
}

static int spawn_root(lua_State *L)
{
    qn_task_spawn(L, lua_gettop(L) - 1);
    return 1;
}

/* [fn, args...] -> [task]: runs it to its end. */
static int run_root(struct qn_runtime *runtime, int narg, struct qn_err *err)
{
    lua_State *L = runtime->L;
    lua_pushcfunction(L, spawn_root);
    lua_insert(L, -narg - 2);
    if (lua_pcall(L, narg + 1, 1, 0) != LUA_OK) {
        qn_fail(err, QN_ENOMEM, "cannot start the root task: %s", lua_tostring(L, -1));
        lua_pop(L, 1);
        return QN_ENOMEM;
    }
    int rc = drive(runtime, lua_touserdata(L, -1), err);
    if (rc < 0) lua_pop(L, 1);
    return rc;
}

/* Protected: [task] -> text of its error. */
static int error_text(lua_State *L)
{
    lua_getiuservalue(L, 1, QN_TASK_RESULT);
    luaL_tolstring(L, -1, NULL);
    return 1;
}

static int report_failure(struct qn_runtime *runtime, struct qn_err *err)
{
    lua_State *L = runtime->L; /* [task] */
    lua_pushcfunction(L, error_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        qn_fail(err, QN_ESCRIPT, "a script failed, and so did its message");
    else
        qn_fail(err, QN_ESCRIPT, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
    return QN_ESCRIPT;
}

int qn_runtime_run(struct qn_runtime *runtime, struct qn_err *err)
{
    int rc = run_root(runtime, 0, err);
    if (rc < 0) return rc;
    struct qn_task *root = lua_touserdata(runtime->L, -1);
    if (qn_task_failed(root)) return report_failure(runtime, err);
    lua_pop(runtime->L, 1);
    return 0;
}

/* Runs as the root task: (module, function, options_json) -> result_json. What is loaded stays, so there is nothing to
 * collect meanwhile. */
static const char main_chunk[] = "local module, name, options = ...\n"
                                 "local json = require 'quern.core.json'\n"
                                 "collectgarbage 'stop'\n"
                                 "local command = require(module)[name]\n"
                                 "collectgarbage 'restart'\n"
                                 "local result = command(assert(json.decode(options)))\n"
                                 "return json.encode(result)\n";

static int load_main(lua_State *L)
{
    if (luaL_loadbufferx(L, main_chunk, sizeof main_chunk - 1, "=main", "t") != LUA_OK) return lua_error(L);
    lua_insert(L, 1);
    return lua_gettop(L);
}

int qn_runtime_main(struct qn_runtime *runtime, const char *module, const char *function, const char *options_json,
                    char **result, struct qn_err *err)
{
    lua_State *L = runtime->L;
    lua_pushcfunction(L, load_main);
    lua_pushstring(L, module); /* short texts: memory for them was there when the state opened */
    lua_pushstring(L, function);
    lua_pushstring(L, options_json);
    if (lua_pcall(L, 3, 4, 0) != LUA_OK) {
        lua_pop(L, 1);
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    int rc = run_root(runtime, 3, err);
    if (rc < 0) return rc;
    struct qn_task *root = lua_touserdata(L, -1);
    if (qn_task_failed(root)) return report_failure(runtime, err);
    lua_getiuservalue(L, -1, QN_TASK_RESULT);
    lua_rawgeti(L, -1, 1);
    const char *text = lua_tostring(L, -1);
    *result = qn_strdup(text ? text : "{}");
    lua_pop(L, 3);
    return *result ? 0 : qn_fail(err, QN_ENOMEM, "out of memory");
}
