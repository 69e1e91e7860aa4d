/* chunk.h - the chunk tree: how a range is cut into leaves, and what became of each.
 *
 * By time, the range [from, to) is cut from `from` on in steps of a calendar-aware size, or at given edges; a leaf that
 * is refused is split at the middle, floored to the grain, and its halves take its place in plan order. Positions need
 * not be times: lists of items are cut and split by the same rules, with a position an item. Otherwise the tree is a
 * count of items that are never split. All edges lie on the grain. Leaves are numbered from 1 in the order of their
 * making; 0 is no leaf.
 *
 *     OPEN -> RUNNING -> WHOLE -> COMMITTED      the way of a leaf that goes well
 *             RUNNING -> SPLIT                   no leaf any more: two halves, OPEN
 *             RUNNING or WHOLE -> OPEN           fetched again
 *             RUNNING or WHOLE -> HOLE           failed for good
 *
 * One thread at a time. Functions that take a leaf require one of this tree. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/time.h"

#define QN_TREE_MAX_LEAVES 1000000

enum qn_leaf_state { QN_LEAF_OPEN, QN_LEAF_RUNNING, QN_LEAF_WHOLE, QN_LEAF_COMMITTED, QN_LEAF_HOLE, QN_LEAF_SPLIT };
#define QN_LEAF_STATES 6

struct qn_tree_spec {
    bool by_time;
    int64_t from_ms, to_ms;  /* by time: the range, both edges on the grain */
    bool has_size;           /* false: one chunk */
    struct qn_duration size; /* of the first cut */
    const int64_t *edges; /* or by time: where the first cut is, ascending, within the range; borrowed by qn_tree_new */
    size_t edge_count;
    int64_t floor_ms; /* no half below it; below the grain counts as the grain */
    int64_t grain_ms; /* at least 1 */
    int64_t align_ms; /* splits lie on it; 0: on the grain */
    bool may_split;
    uint64_t count; /* not by time: how many leaves, at least 1 */
};

struct qn_tree;

/* QN_EINVAL (an empty range, an edge off the grain, ...), QN_ELIMIT (more than QN_TREE_MAX_LEAVES), QN_ENOMEM. */
int qn_tree_new(const struct qn_tree_spec *spec, struct qn_tree **out, struct qn_err *err);
void qn_tree_free(struct qn_tree *tree); /* NULL is fine */

bool qn_tree_has(const struct qn_tree *tree, uint64_t leaf);
bool qn_tree_by_time(const struct qn_tree *tree);
/* The range asked for; by time only. */
void qn_tree_span(const struct qn_tree *tree, int64_t *from_ms, int64_t *to_ms);

/* The first OPEN leaf in plan order, now RUNNING; 0: none is OPEN. */
uint32_t qn_tree_take(struct qn_tree *tree);
/* Halves of a RUNNING leaf, both OPEN. QN_EDENIED: leaves of this tree are never split; QN_ERANGE: a half would be
 * below the floor; QN_ELIMIT: too many leaves; QN_ESTATE: not RUNNING; QN_ENOMEM. Then nothing has changed. */
int qn_tree_split(struct qn_tree *tree, uint32_t leaf, uint32_t *first, uint32_t *second, struct qn_err *err);
/* Any other step of the table above; QN_ESTATE for a step that is not in it. */
int qn_tree_move(struct qn_tree *tree, uint32_t leaf, enum qn_leaf_state state, struct qn_err *err);

enum qn_leaf_state qn_tree_state(const struct qn_tree *tree, uint32_t leaf);
void qn_tree_range(const struct qn_tree *tree, uint32_t leaf, int64_t *from_ms,
                   int64_t *to_ms);                                /* 0, 0 if not by time */
uint64_t qn_tree_index(const struct qn_tree *tree, uint32_t leaf); /* from 0: item, or chunk of the first cut */
/* "Asked for once more": set once, inherited by the halves. */
bool qn_tree_refetched(const struct qn_tree *tree, uint32_t leaf);
void qn_tree_mark_refetched(struct qn_tree *tree, uint32_t leaf);

/* Leaves in plan order: first, next, 0 at the end. next of a SPLIT chunk is the leaf behind its halves. */
uint32_t qn_tree_first(const struct qn_tree *tree);
uint32_t qn_tree_next(const struct qn_tree *tree, uint32_t leaf);
/* The first leaf that stands where this chunk stood: itself unless it was split. */
uint32_t qn_tree_front(const struct qn_tree *tree, uint32_t leaf);
/* The leaf whose half-open range holds the instant; 0: outside the range. By time only. */
uint32_t qn_tree_at(const struct qn_tree *tree, int64_t ms);

size_t qn_tree_nodes(const struct qn_tree *tree); /* highest number given to a leaf so far */
uint64_t qn_tree_count(const struct qn_tree *tree, enum qn_leaf_state state);
/* Walks the leaves and proves that they cover the range exactly, each edge on the grain, in order. */
bool qn_tree_tiled(const struct qn_tree *tree);
