/* failed.h - inside core/run: records that failed (rows/batch.h), from their leaf's spool to the quarantine and to
 * whoever tells people. Main thread only. */
#pragma once

#include "rows/batch.h"
#include "run/sequencer.h"
#include "run/spool.h"

/* bytes: those of the failure's batch. */
int qn_failed_add(struct qn_spool *spool, const struct qn_failure *failure, const char *bytes, struct qn_err *err);
/* The leaf commits: what failed in it goes to the quarantine, and the first of the run into out. */
int qn_failed_commit(struct qn_sequencer *sequencer, const struct qn_leaf *leaf, struct qn_advance *out,
                     struct qn_err *err);
/* The quarantine goes where the sink goes; without one nothing happens. */
int qn_failed_flush(struct qn_sequencer *sequencer, struct qn_err *err);
/* Both appear under their names, or neither. */
int qn_failed_publish(struct qn_sequencer *sequencer, struct qn_err *err);
