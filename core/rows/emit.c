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

static void add_row(struct qn_emit *emit, size_t offset)
{
    struct qn_row *row = &emit->rows[emit->count++];
    *row = emit->record;
    row->offset = offset;
    row->size = (uint32_t)(emit->bytes.size - offset); /* the cap is far below 4 GB */
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
    add_row(emit, offset);
    return 0;
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
        if (rc == 0 && plan->format == QN_FORMAT_NDJSON) rc = qn_buf_add_byte(&emit->bytes, '\n');
    }
    return finish_row(emit, offset, rc, err);
}

int qn_emit_text(struct qn_emit *emit, const char *text, size_t size, struct qn_err *err)
{
    size_t offset = emit->bytes.size;
    int rc = reserve_row(emit);
    if (rc == 0) rc = qn_buf_add(&emit->bytes, text, size);
    if (rc == 0 && emit->plan->format == QN_FORMAT_NDJSON) rc = qn_buf_add_byte(&emit->bytes, '\n');
    return finish_row(emit, offset, rc, err);
}

int qn_emit_end(struct qn_emit *emit, struct qn_err *err)
{
    if (!emit->first) return 0;
    int rc = reserve_row(emit);
    if (rc < 0) return fail(rc, err);
    add_row(emit, emit->bytes.size);
    return 0;
}
