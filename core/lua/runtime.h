/* runtime.h - one running quern: the clock, the loop, the transport, the tasks and the main Lua state.
 *
 *     qn_runtime_new(&options, &rt, &err);
 *     qn_runtime_main(rt, "quern.main", "run", options_json, &result_json, &err);
 *     left = qn_runtime_free(rt);
 *
 * Main thread only, except qn_runtime_interrupt. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"
#include "base/rng.h"
#include "engine/loop.h"
#include "engine/op.h"
#include "net/transport.h"

struct qn_task;

struct qn_runtime_options {
    const char *lib_dir; /* as in state.h */
    const char *ca_file; /* copied by the transport */
    bool allow_insecure;
    void (*on_event)(void *user, const char *line, size_t size); /* one JSON line, redacted, no newline */
    const char *const *event_types; /* of the events that it hears, NULL behind the last; NULL: all. Borrowed */
    void *user;
    uint64_t seed;              /* of task.random and jitter; 0: from the operating system */
    bool simulated;             /* tests: virtual time, and answers from quern.core.sim's Lua function */
    int64_t start_wall_ms;      /* simulated: the calendar at the start */
    uint64_t turn_instructions; /* of Lua, that a turn of a task may use; 0: QN_BUDGET_TURN */
};

struct qn_runtime { /* bindings read it; only runtime.c and co.c write it */
    char *lib_dir;
    bool allow_insecure;
    void (*on_event)(void *user, const char *line, size_t size);
    const char *const *event_types;
    void *user;
    struct qn_loop *loop;
    struct qn_clock *clock; /* the loop's */
    struct qn_transport *transport;
    struct qn_sched sched;
    struct qn_rng rng;
    uint64_t turn_instructions;
    lua_State *L;                  /* main state */
    struct qn_task *current;       /* the task being resumed, or NULL */
    unsigned tasks;                /* not finished yet */
    struct qn_task *interruptible; /* what an interrupt cancels; NULL: the root task */
    struct qn_env *env;            /* values of --env-file, see bind_env.c; NULL: none */
    volatile bool interrupted;
};

int qn_runtime_new(const struct qn_runtime_options *options, struct qn_runtime **out, struct qn_err *err);
/* Calls require(module)[function](options) as the root task (options decoded from JSON; a table) and turns the loop
 * until it has ended. Its result is encoded as JSON into *result (qn_free it). QN_ESCRIPT with the error's text when it
 * raised, QN_ECANCELED when it was interrupted and did not answer. */
int qn_runtime_main(struct qn_runtime *runtime, const char *module, const char *function, const char *options_json,
                    char **result, struct qn_err *err);
/* The same for the function on top of the main state's stack, which is popped; without arguments and result. */
int qn_runtime_run(struct qn_runtime *runtime, struct qn_err *err);
/* Cancels the task that task.interruptible named, or else the root task, with an error of kind "interrupted".
 * Async-signal-safe, any thread. */
void qn_runtime_interrupt(struct qn_runtime *runtime);
/* Carries out an interrupt while Lua runs, for a turn that does not end; without one, or before a command is under way,
 * nothing. May raise. */
void qn_runtime_hear_interrupt(lua_State *L);
/* Ends everything in the reverse order of its making. Returns what was left (tasks, handles); 0 is the only good
 * answer. */
int qn_runtime_free(struct qn_runtime *runtime);

/* ---- waiting in a binding (co.c) ---- */

/* Raises, in plain words, where waiting is impossible: in a worker, while a script loads, outside a task, across a C
 * call. Call it before anything is started. */
void qn_wait_check(lua_State *L);
/* Waits for op: `return qn_wait(L, op, done, ctx);`. The userdata that owns op must be on L's stack. `done` runs when
 * the op has completed, and begins with qn_wait_end. */
int qn_wait(lua_State *L, struct qn_op *op, lua_KFunction done, lua_KContext ctx);
/* Raises if the task was cancelled meanwhile (its op has been cancelled then). */
void qn_wait_end(lua_State *L);
