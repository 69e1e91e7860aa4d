/* writer.h - rows one after another into a sink: what a program emits. They belong to no leaf.
 *
 *     { emit a row into qn_writer_begin; qn_writer_end }...; qn_writer_flush; then the sink's own publish or discard
 *
 * Main thread only. After a failure of the sink only free may be called. */
#pragma once

#include "rows/convert.h"
#include "sink/sink.h"

struct qn_writer;

/* Writes the header line of CSV at once. Holds a reference on the plan; borrows the sink. QN_ENOMEM, or as the sink
 * fails. */
int qn_writer_new(struct qn_plan *plan, struct qn_sink *sink, struct qn_writer **out, struct qn_err *err);
void qn_writer_free(struct qn_writer *writer); /* what is not flushed is dropped; NULL is fine */
const struct qn_plan *qn_writer_plan(const struct qn_writer *writer);
/* Where the next row goes (qn_emit_row); a row that fails leaves nothing. */
struct qn_emit *qn_writer_begin(struct qn_writer *writer);
/* The row is there. Hands over to the sink when much has come together. */
int qn_writer_end(struct qn_writer *writer, struct qn_err *err);
/* What has been emitted is with the operating system. */
int qn_writer_flush(struct qn_writer *writer, struct qn_err *err);
