#include "run/writer.h"

#include "base/mem.h"
#include "rows/emit.h"

#define HAND_OVER ((size_t)256 << 10)

struct qn_writer {
    struct qn_plan *plan;
    struct qn_sink *sink;
    struct qn_emit emit;
};

static int write_header(const struct qn_writer *writer, struct qn_err *err)
{
    struct qn_buf header;
    qn_buf_init(&header, QN_BUF_NO_CAP);
    int rc = qn_plan_header(writer->plan, &header);
    if (rc < 0) qn_fail(err, rc, "out of memory for the header of the output");
    if (rc == 0 && header.size > 0) rc = writer->sink->class->rows(writer->sink, header.data, header.size, 0, err);
    qn_buf_free(&header);
    return rc;
}

int qn_writer_new(struct qn_plan *plan, struct qn_sink *sink, struct qn_writer **out, struct qn_err *err)
{
    struct qn_writer *writer = qn_calloc(1, sizeof *writer);
    if (!writer) return qn_fail(err, QN_ENOMEM, "out of memory for the output");
    writer->plan = qn_plan_ref(plan);
    writer->sink = sink;
    qn_emit_init(&writer->emit, plan);
    int rc = write_header(writer, err);
    if (rc < 0) {
        qn_writer_free(writer);
        return rc;
    }
    *out = writer;
    return 0;
}

void qn_writer_free(struct qn_writer *writer)
{
    if (!writer) return;
    qn_emit_free(&writer->emit);
    qn_plan_unref(writer->plan);
    qn_free(writer);
}

const struct qn_plan *qn_writer_plan(const struct qn_writer *writer)
{
    return writer->plan;
}

struct qn_emit *qn_writer_begin(struct qn_writer *writer)
{
    static const struct qn_row none = {0};
    qn_emit_begin(&writer->emit, &none);
    return &writer->emit;
}

static int hand_over(struct qn_writer *writer, struct qn_err *err)
{
    struct qn_sink *sink = writer->sink;
    const struct qn_buf *bytes = &writer->emit.bytes;
    if (writer->emit.count == 0) return 0;
    int rc = sink->class->rows(sink, bytes->data, bytes->size, writer->emit.count, err);
    qn_buf_clear(&writer->emit.bytes);
    writer->emit.count = writer->emit.encoded = 0;
    return rc;
}

int qn_writer_end(struct qn_writer *writer, struct qn_err *err)
{
    return writer->emit.bytes.size < HAND_OVER ? 0 : hand_over(writer, err);
}

int qn_writer_flush(struct qn_writer *writer, struct qn_err *err)
{
    int rc = hand_over(writer, err);
    return rc < 0 ? rc : writer->sink->class->commit(writer->sink, err);
}
