/* store.h - where the state of runs lives: what `runs` lists, and what a resumed run need not fetch again.
 *
 *     run_begin; { leaf_committed | leaf_failed }...; run_end
 *
 * A store follows the sink, never the reverse: leaf_committed comes after the sink's commit returned. In memory.c now;
 * durable stores have the same face. Main thread only. Texts are borrowed during the call. Every function gives 0 or a
 * negative QN_E... with err filled. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum qn_run_end { QN_RUN_RUNNING, QN_RUN_COMPLETE, QN_RUN_INCOMPLETE, QN_RUN_DROPPED };

struct qn_stored_run {
    const char *id;
    bool by_time;
    int64_t from_ms, to_ms; /* the range asked for; by_time only */
    uint64_t leaves, holes; /* committed, and failed for good */
    uint64_t rows;          /* committed */
    enum qn_run_end end;
};

struct qn_stored_leaf {
    uint64_t leaf;          /* number in the chunk tree */
    int64_t from_ms, to_ms; /* 0 and 0 where leaves are no times */
    uint64_t rows;
    uint64_t sink_bytes; /* the sink's offset once this leaf was committed */
};

struct qn_store;

struct qn_store_class {
    /* QN_EEXIST if a run of that id is there. Counts and end of `run` are not read. */
    int (*run_begin)(struct qn_store *store, const struct qn_stored_run *run, struct qn_err *err);
    int (*leaf_committed)(struct qn_store *store, const char *run, const struct qn_stored_leaf *leaf,
                          struct qn_err *err);
    int (*leaf_failed)(struct qn_store *store, const char *run, const struct qn_stored_leaf *leaf, const char *reason,
                       struct qn_err *err);
    int (*run_end)(struct qn_store *store, const char *run, enum qn_run_end end, struct qn_err *err);
    /* QN_ENOENT. out's texts live until the store changes. */
    int (*find)(struct qn_store *store, const char *run, struct qn_stored_run *out, struct qn_err *err);
    /* The committed leaves in the order of their commits; a visit that answers non-zero ends the walk with that. */
    int (*leaves)(struct qn_store *store, const char *run,
                  int (*visit)(void *context, const struct qn_stored_leaf *leaf), void *context, struct qn_err *err);
    void (*free)(struct qn_store *store);
};

struct qn_store {
    const struct qn_store_class *class;
};
