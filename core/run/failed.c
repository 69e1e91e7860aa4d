#include "run/failed.h"

#include <string.h>

#include "base/mem.h"
#include "run/sequencer_state.h"

struct frame { /* before each failure in the spool */
    uint32_t size, head;
};

int qn_failed_add(struct qn_spool *spool, const struct qn_failure *failure, const char *bytes, struct qn_err *err)
{
    struct frame frame = {failure->size, failure->head};
    int rc = qn_spool_add(spool, &frame, sizeof frame, err);
    return rc == 0 ? qn_spool_add(spool, bytes + failure->offset, failure->size, err) : rc;
}

/* A reader of the quarantine that goes away is no reader of the rows: nothing that a run may end quietly with. */
static int of_quarantine(int rc, struct qn_err *err)
{
    return rc == QN_EPIPE ? qn_fail(err, QN_EIO, "the reader of the quarantine went away") : rc;
}

static int tell(struct qn_sequencer *sequencer, const char *line, size_t head, struct qn_advance *out,
                struct qn_err *err)
{
    if (sequencer->failed_told == QN_FAILED_TOLD) return 0;
    if (out->failed_count == out->failed_capacity) {
        size_t capacity = out->failed_capacity > 0 ? out->failed_capacity * 2 : 4;
        char **failed = qn_realloc(out->failed, capacity * sizeof *failed);
        if (!failed) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
        out->failed = failed;
        out->failed_capacity = capacity;
    }
    char *text = qn_malloc(head + 2);
    if (!text) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
    memcpy(text, line, head);
    memcpy(text + head, "}", 2);
    out->failed[out->failed_count++] = text;
    sequencer->failed_told++;
    return 0;
}

static int commit_one(struct qn_sequencer *sequencer, struct qn_spool_reader *reader, struct qn_advance *out,
                      struct qn_err *err)
{
    struct frame frame;
    const char *data;
    struct qn_sink *quarantine = sequencer->quarantine;
    int rc = qn_spool_reader_next(reader, sizeof frame, &data, err);
    if (rc < 0) return rc;
    memcpy(&frame, data, sizeof frame);
    rc = qn_spool_reader_next(reader, frame.size, &data, err);
    if (rc == 0 && quarantine) rc = of_quarantine(quarantine->class->rows(quarantine, data, frame.size, 1, err), err);
    return rc == 0 ? tell(sequencer, data, frame.head, out, err) : rc;
}

static int commit_all(struct qn_sequencer *sequencer, const struct qn_leaf *leaf, struct qn_advance *out,
                      struct qn_err *err)
{
    struct qn_spool_reader reader;
    int rc = 0;
    qn_spool_reader_init(&reader, &leaf->failed);
    for (uint64_t i = 0; rc == 0 && i < leaf->facts.failed; i++) rc = commit_one(sequencer, &reader, out, err);
    qn_spool_reader_free(&reader);
    return rc;
}

int qn_failed_commit(struct qn_sequencer *sequencer, const struct qn_leaf *leaf, struct qn_advance *out,
                     struct qn_err *err)
{
    struct qn_sink *quarantine = sequencer->quarantine;
    if (leaf->facts.failed == 0) return 0;
    int rc = quarantine ? quarantine->class->leaf_begin(quarantine, leaf->id, err) : 0;
    if (rc == 0) rc = commit_all(sequencer, leaf, out, err);
    if (rc == 0 && quarantine) rc = of_quarantine(quarantine->class->leaf_end(quarantine, err), err);
    return rc;
}

int qn_failed_flush(struct qn_sequencer *sequencer, struct qn_err *err)
{
    struct qn_sink *quarantine = sequencer->quarantine;
    return quarantine ? of_quarantine(quarantine->class->commit(quarantine, err), err) : 0;
}

/* All that can fail for want of space fails before the first name appears; and the rows' name, by which people know
 * that the run is whole, comes last. */
int qn_failed_publish(struct qn_sequencer *sequencer, struct qn_err *err)
{
    struct qn_sink *sink = sequencer->sink, *quarantine = sequencer->quarantine;
    if (!quarantine) return sink->class->publish(sink, err);
    int rc = of_quarantine(quarantine->class->seal(quarantine, err), err);
    if (rc == 0) rc = sink->class->seal(sink, err);
    if (rc == 0) rc = of_quarantine(quarantine->class->publish(quarantine, err), err);
    if (rc == 0) {
        rc = sink->class->publish(sink, err);
        if (rc < 0) quarantine->class->withdraw(quarantine);
    }
    if (rc < 0) {
        sink->class->discard(sink);
        quarantine->class->discard(quarantine);
    }
    return rc;
}
