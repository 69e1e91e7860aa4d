/* co.h - tasks: coroutines with a life of their own, children, and one place that resumes them.
 *
 * A task is a Lua userdata. Until it has finished it is anchored in the registry, with its coroutine. It waits for at
 * most one op. When its function ends, its children are cancelled and waited for; then whoever joins it is told. Main
 * thread. */
#pragma once

#include <lua.h>

#include "lua/runtime.h"

/* Makes a task of the function and its n arguments on top of L's stack (popped) and pushes its userdata. It is a child
 * of the current task, if there is one. May raise. */
struct qn_task *qn_task_spawn(lua_State *L, int n);
/* Cancels: the error on top of L's stack (popped) is raised in it at its wait. A finished task stays as it is. */
void qn_task_cancel(lua_State *L, struct qn_task *task);
/* Pushes where a script waits, as "FILE:LINE: ": in this task or one below it; "" if none of them waits in a script. */
void qn_task_push_where(lua_State *L, const struct qn_task *task);
/* Resumes every task that was ready when the call began. */
void qn_tasks_drain(struct qn_runtime *runtime);
bool qn_task_finished(const struct qn_task *task);
bool qn_task_failed(const struct qn_task *task);

int luaopen_quern_core_task(lua_State *L);
