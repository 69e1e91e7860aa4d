#include "rows/emit.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "rows/csv.h"
#include "rows/ndjson.h"
#include "rows/plan.h"

void qn_emit_init(struct qn_emit *emit, const struct qn_plan *plan)
{
    memset(emit, 0, sizeof *emit);
    emit->plan = plan;
    qn_buf_init(&emit->bytes, QN_BATCH_CAP);
}

void qn_emit_free(struct qn_emit *emit)
{
    qn_buf_free(&emit->bytes);
    qn_free(emit->rows);
    emit->rows = NULL;
    emit->count = emit->capacity = 0;
}

void qn_emit_begin(struct qn_emit *emit, const struct qn_row *record)
{
    emit->record = *record;
    emit->first = true;
    emit->start_count = emit->count;
    emit->start_size = emit->bytes.size;
    emit->start_encoded = emit->encoded;
}

void qn_emit_fail(struct qn_emit *emit)
{
    emit->record.flags |= QN_ROW_FAILED;
    emit->first = true;
    emit->count = emit->start_count;
    emit->bytes.size = emit->start_size;
    emit->encoded = emit->start_encoded;
}

static int fail(int rc, struct qn_err *err)
{
    if (rc == QN_ELIMIT) {
        return qn_fail(err, rc, "the rows of this page are larger than %zu MB", QN_BATCH_CAP >> 20);
    }
    return qn_fail(err, rc, rc == QN_ENOMEM ? "out of memory" : "the row cannot be written");
}

static int reserve_row(struct qn_emit *emit)
{
    if (emit->count < emit->capacity) return 0;
    size_t capacity = emit->capacity > 0 ? emit->capacity * 2 : 64;
    struct qn_row *rows = qn_realloc(emit->rows, capacity * sizeof *rows);
    if (!rows) return QN_ENOMEM;
    emit->rows = rows;
    emit->capacity = capacity;
    return 0;
}

static void add_row(struct qn_emit *emit, size_t offset, size_t size)
{
    struct qn_row *row = &emit->rows[emit->count++];
    *row = emit->record;
    row->offset = offset;
    row->size = (uint32_t)size; /* the cap is far below 4 GB */
    if (emit->first) row->flags |= QN_ROW_FIRST;
    if (row->size > 0) emit->encoded++;
    emit->first = false;
}

/* After a failed row the bytes are as before. */
static int finish_row(struct qn_emit *emit, size_t offset, int rc, struct qn_err *err)
{
    if (rc < 0) {
        emit->bytes.size = offset;
        return fail(rc, err);
    }
    add_row(emit, offset, emit->bytes.size - offset);
    return 0;
}

static int end_object(struct qn_emit *emit)
{
    return emit->plan->format == QN_FORMAT_JSON ? qn_buf_add(&emit->bytes, ",\n", 2)
                                                : qn_buf_add_byte(&emit->bytes, '\n');
}

static int check_values(const struct qn_plan *plan, const struct qn_value *values, struct qn_err *err)
{
    for (size_t i = 0; i < plan->column_count; i++) {
        if (values[i].kind == QN_VALUE_DOUBLE && !isfinite(values[i].number)) {
            return qn_fail(err, QN_EINVAL, "column '%s': %s cannot be written", plan->columns[i].name,
                           isnan(values[i].number) ? "NaN" : "infinity");
        }
    }
    return 0;
}

int qn_emit_row(struct qn_emit *emit, const struct qn_value *values, struct qn_err *err)
{
    const struct qn_plan *plan = emit->plan;
    size_t offset = emit->bytes.size;
    int rc = check_values(plan, values, err);
    if (rc < 0) return rc;
    rc = reserve_row(emit);
    if (rc == 0 && plan->format == QN_FORMAT_CSV) {
        rc = qn_csv_row(&emit->bytes, values, plan->column_count, plan->csv_safe);
    } else if (rc == 0) {
        rc = qn_ndjson_row(&emit->bytes, plan->members, values, plan->column_count);
        if (rc == 0) rc = end_object(emit);
    }
    return finish_row(emit, offset, rc, err);
}

void qn_emit_slices(struct qn_emit *emit, const char *page, size_t size)
{
    emit->page = page;
    emit->page_size = size;
    emit->page_used = 0;
}

/* The rows so far, which are pieces of the page, move into `bytes`. */
static int copy_slices(struct qn_emit *emit)
{
    int rc = 0;
    for (size_t i = 0; i < emit->count && rc == 0; i++) {
        struct qn_row *row = &emit->rows[i];
        size_t offset = emit->bytes.size;
        rc = row->size > 0 ? qn_buf_add(&emit->bytes, emit->page + row->offset, row->size - 1) : 0;
        if (rc == 0 && row->size > 0) rc = qn_buf_add_byte(&emit->bytes, '\n');
        row->offset = offset;
    }
    emit->page = NULL;
    emit->start_size = emit->bytes.size;
    return rc;
}

int qn_emit_text(struct qn_emit *emit, const char *text, size_t size, struct qn_err *err)
{
    int rc = emit->page ? copy_slices(emit) : 0;
    size_t offset = emit->bytes.size;
    if (rc == 0) rc = reserve_row(emit);
    if (rc == 0) rc = qn_buf_add(&emit->bytes, text, size);
    if (rc == 0) rc = end_object(emit);
    return finish_row(emit, offset, rc, err);
}

int qn_emit_slice(struct qn_emit *emit, const char *text, size_t size, struct qn_err *err)
{
    size_t offset = (size_t)(text - emit->page);
    if (offset < emit->page_used || offset + size >= emit->page_size) return qn_emit_text(emit, text, size, err);
    int rc = reserve_row(emit);
    if (rc < 0) return fail(rc, err);
    add_row(emit, offset, size + 1);
    emit->page_used = offset + size + 1;
    return 0;
}

/* The byte behind each row becomes its line end, and what stands between rows goes. Whatever it was, nobody reads it
 * any more. */
static void end_lines(const struct qn_emit *emit, char *page)
{
    size_t end = 0;
    for (size_t i = 0; i < emit->count; i++) {
        struct qn_row *row = &emit->rows[i];
        if (row->size == 0) continue;
        if (end > 0 && row->offset != end) {
            memmove(page + end, page + row->offset, row->size - 1);
            row->offset = end;
        }
        end = row->offset + row->size;
        page[end - 1] = '\n';
    }
}

int qn_emit_bytes(struct qn_emit *emit, struct qn_doc *doc, struct qn_bytes **out, struct qn_err *err)
{
    char *page = emit->page && qn_doc_alone(doc) ? qn_bytes_own(qn_doc_bytes(doc)) : NULL;
    if (page) {
        end_lines(emit, page);
        emit->page = NULL;
        *out = qn_bytes_ref(qn_doc_bytes(doc));
        return 0;
    }
    int rc = emit->page ? copy_slices(emit) : 0;
    if (rc < 0) return fail(rc, err);
    *out = qn_bytes_take(&emit->bytes);
    return *out ? 0 : fail(QN_ENOMEM, err);
}

int qn_emit_end(struct qn_emit *emit, struct qn_err *err)
{
    if (!emit->first) return 0;
    int rc = reserve_row(emit);
    if (rc < 0) return fail(rc, err);
    add_row(emit, emit->bytes.size, 0);
    return 0;
}
