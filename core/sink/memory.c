#include "sink/memory.h"

#include <string.h>

static struct qn_memory_sink *of(struct qn_sink *sink)
{
    return (struct qn_memory_sink *)sink;
}

static int note(struct qn_sink *sink, struct qn_err *err, const char *call, uint64_t number)
{
    struct qn_memory_sink *memory = of(sink);
    if (!memory->note_calls) return 0;
    int rc = qn_buf_add_fmt(&memory->calls, "%s %llu\n", call, (unsigned long long)number);
    return rc < 0 ? qn_fail(err, rc, "out of memory") : 0;
}

static int leaf_begin(struct qn_sink *sink, uint64_t leaf, struct qn_err *err)
{
    of(sink)->mark_rows = sink->rows_written;
    of(sink)->mark_bytes = sink->bytes_written;
    return note(sink, err, "begin", leaf);
}

static int rows(struct qn_sink *sink, const char *data, size_t size, uint64_t row_count, struct qn_err *err)
{
    struct qn_memory_sink *memory = of(sink);
    if (++memory->rows_calls == memory->fail_at_rows) {
        return qn_fail(err, memory->fail_code, "planned failure of the sink");
    }
    int rc = memory->drop ? 0 : qn_buf_add(&memory->bytes, data, size);
    if (rc < 0) return qn_fail(err, rc, "out of memory");
    sink->rows_written += row_count;
    sink->bytes_written += size;
    return note(sink, err, "rows", row_count);
}

static int leaf_end(struct qn_sink *sink, struct qn_err *err)
{
    return note(sink, err, "end", 0);
}

static int leaf_undo(struct qn_sink *sink, struct qn_err *err)
{
    struct qn_memory_sink *memory = of(sink);
    sink->rows_written = memory->mark_rows;
    sink->bytes_written = memory->mark_bytes;
    if (!memory->drop) memory->bytes.size = (size_t)memory->mark_bytes;
    return note(sink, err, "undo", 0);
}

static int commit(struct qn_sink *sink, struct qn_err *err)
{
    return note(sink, err, "commit", 0);
}

static int seal(struct qn_sink *sink, struct qn_err *err)
{
    return note(sink, err, "seal", 0);
}

static int publish(struct qn_sink *sink, struct qn_err *err)
{
    of(sink)->end = QN_MEMORY_PUBLISHED;
    return note(sink, err, "publish", 0);
}

static void withdraw(struct qn_sink *sink)
{
    of(sink)->end = QN_MEMORY_DISCARDED;
}

static struct qn_op *room(struct qn_sink *sink)
{
    struct qn_memory_sink *memory = of(sink);
    return memory->rows_calls < memory->full_at_rows ? NULL : memory->full;
}

static void keep(struct qn_sink *sink)
{
    of(sink)->end = QN_MEMORY_KEPT;
}

static void discard(struct qn_sink *sink)
{
    of(sink)->end = QN_MEMORY_DISCARDED;
}

static const char *partial_path(const struct qn_sink *sink)
{
    (void)sink;
    return "";
}

static void free_sink(struct qn_sink *sink)
{
    qn_buf_free(&of(sink)->bytes);
    qn_buf_free(&of(sink)->calls);
}

static const struct qn_sink_class memory_class = {
    .leaf_begin = leaf_begin,
    .rows = rows,
    .leaf_end = leaf_end,
    .leaf_undo = leaf_undo,
    .commit = commit,
    .room = room,
    .seal = seal,
    .publish = publish,
    .withdraw = withdraw,
    .keep = keep,
    .discard = discard,
    .partial_path = partial_path,
    .free = free_sink,
};

void qn_memory_sink_init(struct qn_memory_sink *memory)
{
    memset(memory, 0, sizeof *memory);
    memory->sink.class = &memory_class;
    qn_buf_init(&memory->bytes, QN_BUF_NO_CAP);
    qn_buf_init(&memory->calls, QN_BUF_NO_CAP);
}
