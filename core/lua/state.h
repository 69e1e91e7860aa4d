/* state.h - making and closing a Lua state: its allocator, where it finds the library, which core modules it has.
 *
 * A main state belongs to a runtime and may wait and reach out. A worker state (rows on a pool thread) has only what is
 * pure; what waits or reaches out raises "not available in a transform". One thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/err.h"
#include "base/slab.h"
#include "lua/budget.h"

struct qn_runtime;

struct qn_state_options {
    bool worker;
    const char *lib_dir;        /* the folder that holds quern/ (lua/ in the tree), copied; NULL: library.h's modules */
    size_t memory_limit;        /* bytes; 0: 256 MB */
    struct qn_runtime *runtime; /* main states; borrowed until qn_state_free */
};

/* What belongs to a state as a whole. Reached from any of its coroutines. */
struct qn_state {
    struct qn_runtime *runtime; /* NULL in a worker */
    bool worker;
    bool loading; /* a script's top level is running: it must be pure */
    size_t memory_limit, memory_used;
    struct qn_slab slab;     /* where the small objects live */
    struct qn_budget budget; /* instructions; see budget.h */
    char *library;           /* how the chunk names of the library's modules begin */
    struct qn_budget_watch watch;
};

lua_State *qn_state_new(const struct qn_state_options *options, struct qn_err *err);
void qn_state_free(lua_State *L); /* NULL is fine */
struct qn_state *qn_state_of(lua_State *L);
struct qn_runtime *qn_runtime_of(lua_State *L); /* NULL in a worker */
/* Raises "loading a script must be pure: WHAT is not available at its top level" while a script loads. */
void qn_state_check_loaded(lua_State *L, const char *what);
