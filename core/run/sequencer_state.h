/* sequencer_state.h - inside core/run: what sequencer.c and check.c share. Main thread only. */
#pragma once

#include "run/sequencer.h"

struct qn_slot {            /* one a leaf number */
    struct qn_leaf *live;   /* NULL unless between begin and commit */
    struct qn_keylist keys; /* once committed, if key and owner are declared: in sequencer->keys */
    uint64_t rows;          /* once committed */
    bool missed;            /* it is known that it did not deliver what it owns */
};

struct qn_sequencer {
    struct qn_tree *tree;
    struct qn_sink *sink;
    struct qn_sink *quarantine; /* NULL: none */
    unsigned failed_told;       /* records of qn_advance.failed so far */
    struct qn_store *store;
    char *run;
    struct qn_leaf_rules rules;
    struct qn_slot *slots; /* by leaf number */
    size_t slot_count;
    uint32_t head;             /* first leaf in plan order that is neither committed nor a hole; 0: all are */
    struct qn_spool keys;      /* of committed leaves, sorted leaf by leaf */
    struct qn_disowned *lists; /* of whole leaves, and of committed ones with owners to come */
    struct qn_leaf_facts facts;
    struct qn_hole *holes;
    size_t hole_count, hole_capacity;
    bool closed, broken;
    struct qn_err why; /* broken by what no caller could be told; code 0: nothing */
};

int qn_sequencer_hole(struct qn_sequencer *sequencer, uint32_t leaf, const char *reason, struct qn_err *err);
