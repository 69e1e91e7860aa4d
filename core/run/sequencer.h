/* sequencer.h - from pages in any order to leaves in plan order: key, owner, order, commit.
 *
 *     begin(leaf); add(leaf, page, batch)... in any order; finish(leaf, pages)      or   discard / fail
 *     advance()    commits what may be committed, as far as the sink has room, again and again;     at the end
 * close(publish | keep | discard)
 *
 * A leaf commits, in plan order, once it is whole; where key and owner are declared, once its successor is whole, too
 * (or has failed, or there is none). Then every record that a whole leaf left to it must be among its keys; if one is
 * missing, the leaf is asked for once more (`refetch`: it is OPEN again), and if it is missing again, or the owner had
 * committed before, that is a hole with its name. A record without key or owner is kept and counted; so is one without
 * key that another leaf owns.
 *
 * The first leaf that is not committed is written as its pages come, where the sink can undo (sink.h). Others wait.
 * Memory is bounded by the options; what is more goes to a temporary file. Knows no Lua, reads no clock. Main thread
 * only. The tree and the sink are borrowed and must outlive the sequencer. */
#pragma once

#include "rows/batch.h"
#include "run/chunk.h"
#include "run/leaf.h"
#include "sink/sink.h"
#include "store/store.h"

struct qn_sequencer_options {
    struct qn_tree *tree;
    struct qn_sink *sink;
    struct qn_sink *quarantine; /* where records go that failed; borrowed like sink; NULL: they are counted and told */
    struct qn_store *store;     /* run state is written through it, after the sink; borrowed; NULL: none */
    const char *run;            /* id of the run for the store; copied */
    bool key, owner, order;     /* what the query declares */
    size_t leaf_memory;         /* bytes of a leaf in memory; 0: 16 MB */
    size_t memory;              /* bytes of all leaves in memory; 0: 64 MB */
    const char *spool_dir;      /* copied; made when needed, and removed again */
};

struct qn_sequencer_facts {
    struct qn_leaf_facts leaves; /* sums over committed leaves */
    uint64_t spooled_bytes;      /* written to disk so far */
};

struct qn_hole {
    uint32_t leaf;
    int64_t from_ms, to_ms; /* 0, 0 where leaves are no times */
    char *reason;
};

/* What one advance did. Freed by qn_advance_free. */
struct qn_advance {
    uint32_t *committed;
    size_t count, capacity;
    uint32_t refetch; /* 0: none; at most one leaf, because nothing behind it may commit */
    bool full;        /* the sink is full: when it has room (see sink.h), call again for the rest */
    char **failed;    /* records that failed, as JSON objects (leaf, page, record, reason); the first QN_FAILED_TOLD of
                       * the run, in plan order */
    size_t failed_count, failed_capacity;
};
#define QN_FAILED_TOLD 20
void qn_advance_free(struct qn_advance *advance);

enum qn_sequencer_end { QN_END_PUBLISH, QN_END_KEEP, QN_END_DISCARD };

struct qn_sequencer;

int qn_sequencer_new(const struct qn_sequencer_options *options, struct qn_sequencer **out, struct qn_err *err);
void qn_sequencer_free(struct qn_sequencer *sequencer); /* without close: discards; NULL is fine */

/* The leaf's walk begins; what an earlier walk left is dropped. QN_ESTATE unless RUNNING. */
int qn_sequencer_begin(struct qn_sequencer *sequencer, uint32_t leaf, struct qn_err *err);
/* Pages count from 1. QN_ESTATE without begin, QN_EEXIST for a page that came before, QN_EIO, QN_ENOMEM. */
int qn_sequencer_add(struct qn_sequencer *sequencer, uint32_t leaf, uint32_t page, struct qn_batch *batch,
                     struct qn_err *err);
/* The walk had that many pages: the leaf is WHOLE. facts (may be NULL) are those of the leaf. */
int qn_sequencer_finish(struct qn_sequencer *sequencer, uint32_t leaf, uint32_t pages, struct qn_leaf_facts *facts,
                        struct qn_err *err);
/* The walk is void; the leaf stays RUNNING. */
void qn_sequencer_discard(struct qn_sequencer *sequencer, uint32_t leaf);
/* The leaf failed for good: a hole. */
int qn_sequencer_fail(struct qn_sequencer *sequencer, uint32_t leaf, const char *reason, struct qn_err *err);
/* Fails as the sink fails; then only close (keep, discard) and free make sense. */
int qn_sequencer_advance(struct qn_sequencer *sequencer, struct qn_advance *out, struct qn_err *err);
/* QN_ESTATE: publish while a leaf is neither committed nor a hole; then, and when the sink fails, nothing stays. */
int qn_sequencer_close(struct qn_sequencer *sequencer, enum qn_sequencer_end end, struct qn_err *err);

void qn_sequencer_facts(const struct qn_sequencer *sequencer, struct qn_sequencer_facts *out);
/* Bytes of memory that is taken by what waits. */
size_t qn_sequencer_held(const struct qn_sequencer *sequencer);
/* In the order they were found; valid until the next call that changes the sequencer. */
const struct qn_hole *qn_sequencer_holes(const struct qn_sequencer *sequencer, size_t *count);
