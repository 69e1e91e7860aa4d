#include "rows/maker.h"

#include <string.h>

#include "base/mem.h"
#include "json/write.h"
#include "rows/text.h"

/* Equal values have equal keys, whatever their spelling; 1 and "1" differ. */
static int hash_key(struct qn_maker *maker, qn_node node, struct qn_hash *out)
{
    struct qn_decimal number;
    struct qn_span span = qn_doc_span(maker->doc, node);
    struct qn_buf *buf = &maker->scratch.buf;
    char tag = 'j', text[QN_DECIMAL_TEXT_SIZE];
    qn_buf_clear(buf);
    enum qn_kind kind = qn_doc_kind(maker->doc, node);
    if (kind == QN_STRING) tag = 's';
    if (kind == QN_NUMBER) tag = 'n';
    int rc = qn_buf_add_byte(buf, tag);
    if (rc == 0 && kind == QN_STRING) {
        rc = qn_doc_plain_string(maker->doc, node, &span) ? qn_buf_add(buf, span.data, span.size)
                                                          : qn_doc_string(maker->doc, node, buf);
    } else if (rc == 0 && kind == QN_NUMBER) {
        /* a number of more digits than a decimal holds keeps its spelling, so that two of them stay apart */
        bool whole = span.size <= QN_DECIMAL_DIGITS && qn_decimal_parse(span.data, span.size, &number);
        rc = whole ? qn_buf_add(buf, text, qn_decimal_format(number, text)) : qn_buf_add(buf, span.data, span.size);
    } else if (rc == 0) {
        rc = qn_json_minified(buf, maker->doc, node);
    }
    if (rc == 0) *out = qn_hash_bytes(buf->data, buf->size);
    return rc;
}

/* One walk of each level's record: what columns, key and owner read. */
static int select_nodes(struct qn_maker *maker, const qn_node *levels)
{
    const struct qn_plan *plan = maker->plan;
    for (size_t i = 0; i < plan->level_count; i++) {
        qn_node record = levels[plan->level_count - 1 - i];
        if (!plan->selections[i] || maker->selected_of[i] == record) continue;
        int rc = qn_selection_run(plan->selections[i], maker->doc, record, &maker->selected[i]);
        if (rc == QN_ELIMIT) return qn_fail(&maker->err, rc, "the columns' paths select more than 16 million nodes");
        if (rc < 0) return qn_fail(&maker->err, rc, "out of memory");
        maker->selected_of[i] = record;
    }
    return 0;
}

/* The node of key or owner, which stand behind the columns. */
static qn_node selected_one(const struct qn_maker *maker, size_t number)
{
    const struct qn_nodes *nodes = qn_selected_nodes(&maker->selected[0], number);
    return nodes->count > 0 ? nodes->nodes[0] : QN_NONE;
}

/* Key and owner of a record. A null is as good as none. */
static int identify(struct qn_maker *maker, struct qn_row *row)
{
    const struct qn_plan *plan = maker->plan;
    if (plan->key) {
        qn_node node = selected_one(maker, plan->column_count);
        bool found = node != QN_NONE && qn_doc_kind(maker->doc, node) != QN_NULL;
        int rc = found ? hash_key(maker, node, &row->key) : 0;
        if (rc < 0) return qn_fail(&maker->err, rc, "key: the value is too large for the memory there is");
        if (found)
            row->flags |= QN_ROW_HAS_KEY;
        else
            maker->no_key++;
    }
    if (plan->owner) {
        qn_node node = selected_one(maker, plan->column_count + 1);
        if (node != QN_NONE && qn_node_instant(maker->doc, node, &maker->scratch, &row->owner_ms)) {
            row->flags |= QN_ROW_HAS_OWNER;
        } else {
            maker->no_owner++;
        }
        if (maker->scratch.no_memory) return qn_fail(&maker->err, QN_ENOMEM, "out of memory");
    }
    return 0;
}

/* The record's own text on one line: as it stands, or minified into the scratch buffer. */
static int own_text(struct qn_maker *maker, qn_node record, struct qn_span *out, bool *as_it_stands)
{
    *out = qn_doc_span(maker->doc, record);
    *as_it_stands = qn_text_one_line(out->data, out->size);
    if (*as_it_stands) return 0;
    struct qn_buf *buf = &maker->scratch.buf;
    qn_buf_clear(buf);
    int rc = qn_json_minified(buf, maker->doc, record);
    if (rc < 0) return qn_fail(&maker->err, rc, rc == QN_ELIMIT ? "the record is larger than 1 GB" : "out of memory");
    *out = (struct qn_span){buf->data, buf->size};
    return 0;
}

static int emit_raw(struct qn_maker *maker, qn_node record)
{
    struct qn_span text;
    bool as_it_stands;
    int rc = own_text(maker, record, &text, &as_it_stands);
    if (rc < 0) return rc;
    if (maker->emit.page && as_it_stands) return qn_emit_slice(&maker->emit, text.data, text.size, &maker->err);
    return qn_emit_text(&maker->emit, text.data, text.size, &maker->err);
}

static int emit_record(struct qn_maker *maker, const qn_node *levels, qn_node record)
{
    const struct qn_plan *plan = maker->plan;
    if (plan->raw) return emit_raw(maker, record);
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct qn_column *column = &plan->columns[i];
        const struct qn_nodes *nodes = column->path ? qn_selected_nodes(&maker->selected[column->level], i) : NULL;
        int rc = qn_column_value(column, maker->doc, nodes, &maker->scratch, &maker->values[i], &maker->err);
        if (rc < 0) return rc;
        maker->found[i] |= nodes && nodes->count > 0;
    }
    if (!plan->has_transform) return qn_emit_row(&maker->emit, maker->values, &maker->err);
    struct qn_record seen = {maker->doc, record, levels, plan->level_count, maker->number};
    const struct qn_transform *transform = maker->context->transform;
    return transform->apply(transform->self, &seen, maker->values, &maker->emit, &maker->err);
}

/* The record failed by itself: the page goes on without it, if the plan says so. */
static int put_aside(struct qn_maker *maker, qn_node record, int rc)
{
    enum qn_on_error mode = maker->plan->on_error;
    if (mode == QN_ON_ERROR_STOP || (rc != QN_EINVAL && rc != QN_ESCRIPT)) return rc;
    struct qn_err why = maker->err;
    struct qn_span text;
    bool as_it_stands;
    qn_emit_fail(&maker->emit);
    rc = mode == QN_ON_ERROR_QUARANTINE ? own_text(maker, record, &text, &as_it_stands) : 0;
    if (rc == 0) {
        rc = qn_failures_add(&maker->failures, maker->context, maker->number, why.text,
                             mode == QN_ON_ERROR_QUARANTINE ? &text : NULL, &maker->err);
    }
    if (rc == 0) maker->err.code = 0;
    return rc;
}

/* The array itself as the one record: a mistake of the query, not of the record. */
static bool array_itself(const struct qn_maker *maker, qn_node record)
{
    const struct qn_plan *plan = maker->plan;
    return !plan->raw && qn_doc_kind(maker->doc, record) == QN_ARRAY &&
           qn_path_singular(plan->records[plan->level_count - 1]);
}

int qn_maker_record(struct qn_maker *maker, const qn_node *levels)
{
    qn_node record = levels[maker->plan->level_count - 1];
    struct qn_row row = {.record = maker->number};
    qn_scratch_reset(&maker->scratch);
    if (array_itself(maker, record)) {
        return qn_fail(&maker->err, QN_EINVAL,
                       "records: the path selects the array itself; end it in [*] for its elements");
    }
    int rc = select_nodes(maker, levels);
    if (rc == 0) rc = identify(maker, &row);
    if (rc == 0) {
        qn_emit_begin(&maker->emit, &row);
        rc = emit_record(maker, levels, record);
        if (rc < 0) rc = put_aside(maker, record, rc);
    }
    if (rc == 0) rc = qn_emit_end(&maker->emit, &maker->err);
    if (rc < 0) return rc;
    maker->number++;
    return 0;
}

static void note_found(const struct qn_maker *maker)
{
    const struct qn_plan *plan = maker->plan;
    for (size_t i = 0; i < plan->column_count; i++) {
        if (maker->found[i]) atomic_store_explicit(&plan->found[i], true, memory_order_relaxed);
    }
}

int qn_maker_batch(struct qn_maker *maker, struct qn_batch **out, struct qn_err *err)
{
    struct qn_emit *emit = &maker->emit;
    struct qn_batch *batch = qn_batch_new();
    if (!batch) return qn_fail(err, QN_ENOMEM, "out of memory");
    int rc = qn_emit_bytes(emit, maker->doc, &batch->bytes, err);
    if (rc == 0) rc = qn_failures_give(&maker->failures, batch, err);
    if (rc < 0) {
        qn_batch_unref(batch);
        return rc;
    }
    batch->rows = emit->rows;
    batch->row_count = emit->count;
    batch->encoded_count = emit->encoded;
    batch->record_count = maker->number;
    batch->no_key = maker->no_key;
    batch->no_owner = maker->no_owner;
    emit->rows = NULL;
    note_found(maker);
    *out = batch;
    return 0;
}

int qn_maker_open(struct qn_maker *maker, const struct qn_plan *plan, const struct qn_bytes *page)
{
    memset(maker, 0, sizeof *maker);
    maker->plan = plan;
    qn_emit_init(&maker->emit, plan);
    if (plan->raw && plan->format == QN_FORMAT_NDJSON) {
        qn_emit_slices(&maker->emit, qn_bytes_data(page), qn_bytes_size(page));
    }
    qn_failures_init(&maker->failures);
    qn_scratch_init(&maker->scratch);
    maker->values = qn_calloc(plan->column_count + 1, sizeof *maker->values);
    maker->found = qn_calloc(plan->column_count + 1, sizeof *maker->found);
    maker->selected = qn_calloc(plan->level_count, sizeof *maker->selected);
    maker->selected_of = qn_calloc(plan->level_count, sizeof *maker->selected_of);
    if (!maker->values || !maker->found || !maker->selected || !maker->selected_of) return QN_ENOMEM;
    qn_maker_renumbered(maker);
    int rc = 0;
    for (size_t i = 0; i < plan->level_count && rc == 0; i++) {
        if (plan->selections[i]) rc = qn_selected_init(&maker->selected[i], plan->selections[i]);
    }
    return rc;
}

void qn_maker_renumbered(struct qn_maker *maker)
{
    for (size_t i = 0; i < maker->plan->level_count; i++) maker->selected_of[i] = QN_NONE;
}

void qn_maker_close(struct qn_maker *maker)
{
    for (size_t i = 0; i < maker->plan->level_count && maker->selected; i++) qn_selected_free(&maker->selected[i]);
    qn_free(maker->selected);
    qn_free(maker->selected_of);
    qn_free(maker->values);
    qn_free(maker->found);
    qn_scratch_free(&maker->scratch);
    qn_failures_free(&maker->failures);
    qn_emit_free(&maker->emit);
}
