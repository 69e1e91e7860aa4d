/* leaf.h - inside core/run: the rows of one leaf between its pages and its commit.
 *
 * Pages may come in any order and are accepted in page order; a page that is early waits, on disk if it is large.
 * Accepting drops repeated keys and leaves records to the leaf that owns their time. What stays is spooled in page
 * and record order, ready to be replayed into a sink. Main thread only. */
#pragma once

#include "rows/batch.h"
#include "run/chunk.h"
#include "run/disowned.h"
#include "run/hold.h"
#include "run/keyset.h"
#include "run/spool.h"
#include "sink/sink.h"

struct qn_leaf_rules {
    bool key, owner, order; /* what the query declares; owner only where leaves are times */
    int64_t from_ms, to_ms; /* the range of the whole run */
    size_t memory;          /* bytes a leaf may hold */
    struct qn_spool_pool *pool;
};

struct qn_leaf_facts {
    uint64_t records; /* received: kept, repeated, disowned and outside */
    uint64_t rows;
    uint64_t failed;           /* records kept that could not be converted: they made no row */
    uint64_t duplicates;       /* records whose key the leaf had already */
    uint64_t disowned;         /* records left to another leaf of the run */
    uint64_t outside;          /* records whose owner time is outside the run's range */
    uint64_t no_key, no_owner; /* records that lack them and were kept */
};

struct qn_leaf {
    const struct qn_leaf_rules *rules;
    uint32_t id;
    int64_t from_ms, to_ms;
    uint32_t pages;         /* accepted so far */
    struct qn_early *early; /* pages that wait, lowest number first */
    struct qn_hold rows;
    struct qn_sink *sink;   /* rows go straight there, and it has those of `rows`; NULL: they are held */
    bool delivering;        /* ... but not yet all of them: it was full */
    struct qn_spool failed; /* see failed.h */
    struct qn_keyset seen;  /* until finish */
    struct qn_spool keys;   /* from finish on */
    struct qn_keylist key_list;
    struct qn_disowned *disowned; /* NULL: none; whoever takes it sets NULL */
    struct qn_leaf_facts facts;
    bool has_owner;
    int64_t owner_ms; /* of the last kept record */
    char *disorder;   /* what broke the declared order; NULL: nothing did */
};

/* rules are borrowed. NULL without memory. */
struct qn_leaf *qn_leaf_new(const struct qn_leaf_rules *rules, uint32_t id, int64_t from_ms, int64_t to_ms);
void qn_leaf_free(struct qn_leaf *leaf); /* NULL is fine */
/* page counts from 1. Takes its own reference where it needs one. QN_EEXIST: the page came before; QN_EIO, QN_ENOMEM:
 * the leaf can only be freed. */
int qn_leaf_add(struct qn_leaf *leaf, uint32_t page, struct qn_batch *batch, struct qn_err *err);
/* The walk had that many pages. QN_ESTATE: one of them is missing. */
int qn_leaf_finish(struct qn_leaf *leaf, uint32_t pages, struct qn_err *err);
/* After finish: does it hold the key? */
int qn_leaf_has(const struct qn_leaf *leaf, struct qn_hash key, bool *found, struct qn_err *err);
/* leaf_begin, and the rows so far; rows to come go the same way at once. 1: the sink is full; the next call goes on. */
int qn_leaf_deliver(struct qn_leaf *leaf, struct qn_sink *sink, struct qn_err *err);
