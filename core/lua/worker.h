/* worker.h - one worker of the conversion: a thread's own Lua state with the script's transform, and its scratch.
 *
 * open and close are a pool's callbacks (engine/pool.h) and run, like rows, on the worker's thread. Without a script
 * there is no Lua state: columns need none. A worker never waits and never reaches out. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/pool.h"
#include "rows/convert.h"

struct qn_worker;

struct qn_worker_setup {     /* shared by all workers of a pool; outlives them; immutable meanwhile */
    const char *lib_dir;     /* as in state.h */
    const char *script_name; /* chunk name ("@scripts/x.lua"); NULL: no script */
    const char *script_path, *script_dir;
    const char *script_source; /* script_size bytes, so that every worker loads the same */
    size_t script_size;
    const char *context;   /* JSON text for quern.worker.open */
    size_t memory_bytes;   /* limit of each Lua state */
    uint64_t instructions; /* limit of each record */
    uint64_t stuck_ms;     /* see qn_budget_relax; 0: not watched */
    struct qn_plan *plan;
};

struct qn_worker_page { /* where a page is, for messages and for ctx */
    const char *where;  /* "leaf 3 page 2" */
    const char *label;  /* the leaf\'s name, told with a record that failed */
    const char *chunk;  /* JSON text */
    int64_t leaf, page;
};

/* context is a struct qn_worker_setup. NULL with err filled: the script cannot be loaded here. */
void *qn_worker_open(void *context, struct qn_pool_thread *thread, struct qn_err *err);
void qn_worker_close(void *worker);
/* Rows of one page. Errors as qn_convert_rows; a script's error reads "leaf 3 page 2, record 12: transform failed at
 * x.lua:14: ...". */
int qn_worker_rows(struct qn_worker *worker, struct qn_page *page, const struct qn_worker_page *about,
                   struct qn_batch **out, struct qn_err *err);
/* Main thread, of a worker whose thread is lost (engine/pool.h): fills err with what it was doing there. Returns
 * QN_ESCRIPT. */
int qn_worker_tell_stuck(const void *worker, const char *where, struct qn_err *err);
