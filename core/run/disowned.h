/* disowned.h - the records that a leaf saw and left to the leaf that owns their time: key and owner time of each.
 *
 * Kept until the owner has committed, because the owner must have delivered them. Few are in memory; many are in
 * sorted runs in a spool. Main thread only. */
#pragma once

#include <stdbool.h>

#include "base/hash.h"
#include "run/spool.h"

struct qn_disowned_entry {
    int64_t owner_ms;
    struct qn_hash key;
};

struct qn_disowned {
    struct qn_disowned *next;          /* for the sequencer, which keeps several */
    uint32_t leaf;                     /* for the sequencer: the leaf that saw the records */
    struct qn_disowned_entry *entries; /* the last run, sorted by qn_disowned_seal */
    size_t count, capacity;
    struct qn_spool runs; /* full runs of QN_DISOWNED_RUN entries, each sorted by owner time */
    int64_t max_ms;       /* the latest owner time */
    int64_t checked_ms;   /* for the sequencer: owner times before this one have been checked */
};
#define QN_DISOWNED_RUN 4096

/* NULL without memory. */
struct qn_disowned *qn_disowned_new(struct qn_spool_pool *pool);
void qn_disowned_free(struct qn_disowned *list); /* NULL is fine */
bool qn_disowned_empty(const struct qn_disowned *list);
int qn_disowned_add(struct qn_disowned *list, struct qn_disowned_entry entry, struct qn_err *err);
void qn_disowned_seal(struct qn_disowned *list); /* nothing is added any more */
/* Visits the entries with from <= owner_ms < to, in order of owner time within each run; after seal. A visit that
 * answers non-zero ends the walk with that. */
int qn_disowned_each(const struct qn_disowned *list, int64_t from_ms, int64_t to_ms,
                     int (*visit)(void *context, const struct qn_disowned_entry *entry, struct qn_err *err),
                     void *context, struct qn_err *err);
