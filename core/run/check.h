/* check.h - inside core/run: no gap at a seam. A record that one leaf left to another must be there.
 *
 * Lists of disowned records are watched from the moment their leaf is whole until all owners have committed. Because
 * commits go in plan order, which is the order of time, each list needs one mark only: owner times before it have been
 * checked. Main thread only. */
#pragma once

#include "run/sequencer_state.h"

/* The leaf is whole: its list counts from now on. */
void qn_check_watch(struct qn_sequencer *sequencer, struct qn_leaf *leaf);
/* The leaf is dropped: so is its list, if it is watched. */
void qn_check_forget(struct qn_sequencer *sequencer, struct qn_leaf *leaf);
/* Before a commit. 0: may be committed (holes are noted); 1: fetch it once more; QN_E... */
int qn_check_leaf(struct qn_sequencer *sequencer, struct qn_leaf *leaf, struct qn_err *err);
/* After it: lists that have nothing to wait for go. */
void qn_check_committed(struct qn_sequencer *sequencer, uint32_t leaf);
