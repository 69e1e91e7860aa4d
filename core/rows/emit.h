/* emit.h - inside core/rows and run/writer.c: a batch while it is made. One thread. */
#pragma once

#include "rows/batch.h"
#include "rows/convert.h"

#define QN_BATCH_CAP ((size_t)1 << 30) /* encoded bytes of one page */

/* An empty batch with one reference. NULL without memory. */
struct qn_batch *qn_batch_new(void);

struct qn_emit {
    const struct qn_plan *plan;
    struct qn_buf bytes;
    struct qn_row *rows;
    size_t count, capacity;
    size_t encoded;
    size_t start_count, start_size, start_encoded; /* before the record at hand */
    struct qn_row record; /* what every row of the record at hand repeats: number, key, owner, flags */
    bool first;           /* no row of this record yet */
    const char *page;     /* rows so far are pieces of this text, and `bytes` is empty; NULL: they are in `bytes` */
    size_t page_size, page_used; /* of it: what rows so far take */
};

void qn_emit_init(struct qn_emit *emit, const struct qn_plan *plan);
void qn_emit_free(struct qn_emit *emit);
void qn_emit_begin(struct qn_emit *emit, const struct qn_row *record);
/* A row by its text, which gets its terminator here. */
int qn_emit_text(struct qn_emit *emit, const char *text, size_t size, struct qn_err *err);
/* The rows of lines will be pieces of this text as far as they can. Before the first row. */
void qn_emit_slices(struct qn_emit *emit, const char *page, size_t size);
/* As qn_emit_text for a piece of the page, which is not copied unless it comes out of order, overlaps another or has no
 * byte behind it for its line end. */
int qn_emit_slice(struct qn_emit *emit, const char *text, size_t size, struct qn_err *err);
/* The bytes of all rows; the emit has none after. doc: whose text the pieces are. If nobody else holds it the line ends
 * are written into it, else the pieces are copied. */
int qn_emit_bytes(struct qn_emit *emit, struct qn_doc *doc, struct qn_bytes **out, struct qn_err *err);
/* The record at hand failed: the rows it has made are taken back, and it will be an empty one. */
void qn_emit_fail(struct qn_emit *emit);
/* The record is over: without a row it leaves an empty one. */
int qn_emit_end(struct qn_emit *emit, struct qn_err *err);
