/* queue.h - the sink whose rows are taken out again: what quern.rows reads from a run inside a program.
 *
 * Only what was committed can be taken, in order, as whole lines (NDJSON). Much of it waits on disk, in a file without
 * a name. Publish and keep leave what is there to be taken; discard drops it. Main thread only. */
#pragma once

#include <stdint.h>

#include "sink/sink.h"

/* dir: for the file, if it is needed; copied. QN_ENOMEM. The caller frees the sink by its class's free. */
int qn_queue_new(const char *dir, struct qn_sink **out, struct qn_err *err);
/* Is it such a sink? */
bool qn_queue_is(const struct qn_sink *sink);
/* Committed bytes that nobody has taken yet. */
uint64_t qn_queue_waiting(const struct qn_sink *sink);
/* The next lines, valid until the next call for this sink; *size is 0 when there are none now. QN_EIO, QN_ENOMEM. */
int qn_queue_take(struct qn_sink *sink, const char **text, size_t *size, struct qn_err *err);
