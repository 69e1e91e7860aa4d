/* task.h - inside a task: shared by co.c, which resumes tasks, and bind_task.c, which offers them to Lua. */
#pragma once

#include <lua.h>

#include "engine/op.h"
#include "lua/co.h"

#define QN_LUA_TASK    "quern.task"
#define QN_TASK_RESULT 2 /* user value of a finished task: a table of results with n, or its error */

enum qn_task_state {
    QN_TASK_READY,
    QN_TASK_RUNNING,
    QN_TASK_WAITING,
    QN_TASK_ENDING,
    QN_TASK_DONE,
    QN_TASK_FAILED,
    QN_TASK_CANCELED
};

struct qn_join { /* one task that waits for another's end; in a userdata on the waiter's stack */
    struct qn_op op;
    struct qn_task *task; /* NULL once told or gone */
    struct qn_join *next;
};

struct qn_task {
    struct qn_waiter waiter; /* first */
    struct qn_runtime *runtime;
    lua_State *co; /* NULL once its function has ended */
    int narg;
    enum qn_task_state state, outcome; /* outcome: what ENDING becomes */
    bool canceling;                    /* cancel was called; the error is the task's third user value */
    bool cancel_told;                  /* ... and has been raised in it */
    bool kill;                         /* it waited again after that */
    bool joined;                       /* somebody looked at how it ended */
    struct qn_join *joins;
    struct qn_task *parent, *first_child, *prev_sibling, *next_sibling;
};

/* The value at index is what a waiting task yields. */
bool qn_is_wait(lua_State *L, int index);
/* The current task is to be closed where it stands. */
bool qn_task_killed(lua_State *L);
