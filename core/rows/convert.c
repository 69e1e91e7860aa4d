#include "rows/convert.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "json/select.h"
#include "json/write.h"
#include "rows/emit.h"
#include "rows/failures.h"
#include "rows/records.h"
#include "rows/text.h"

/* index: bytes -> document and facts */

void qn_facts_free(struct qn_facts *facts)
{
    qn_free(facts->facts);
    memset(facts, 0, sizeof *facts);
}

static bool space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* What a body that is no JSON looks like instead. */
static int refuse_body(struct qn_bytes *bytes, int rc, const struct qn_err *why, struct qn_err *err)
{
    char excerpt[QN_EXCERPT_SIZE];
    const char *text = qn_bytes_data(bytes), *end = text + qn_bytes_size(bytes);
    if (rc == QN_ENOMEM) return qn_fail(err, rc, "out of memory while the body was indexed");
    if (end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3;
    while (text < end && space(*text)) text++;
    if (text == end) return qn_fail(err, rc, "the body is empty");
    if (*text == '<') {
        size_t size = (size_t)(end - text);
        const char *name = size >= 5 && strncasecmp(text, "<?xml", 5) == 0 ? "XML" : "HTML";
        return qn_fail(err, rc, "the body is %s, not JSON (starts '%s')", name, qn_text_excerpt(text, size, excerpt));
    }
    if (rc != QN_ESYNTAX) return qn_fail_at(err, rc, why->offset, "the body cannot be read: %s", why->text);
    return qn_fail_at(err, rc, why->offset, "the body is not JSON: %s at byte %zu", why->text, why->offset);
}

static int count_record(void *context, const qn_node *levels)
{
    (void)levels;
    ++*(size_t *)context;
    return 0;
}

/* The outermost records; the innermost are counted. */
static int count_items(const struct qn_plan *plan, const struct qn_doc *doc, struct qn_facts *facts)
{
    facts->item_count = facts->record_count;
    if (plan->level_count == 1) return 0;
    struct qn_nodes list;
    qn_nodes_init(&list);
    int rc = qn_path_select(plan->records[0], doc, QN_ROOT, &list);
    facts->item_count = list.count;
    qn_nodes_free(&list);
    return rc;
}

static int read_facts(const struct qn_plan *plan, const struct qn_doc *doc, struct qn_facts *facts)
{
    int rc = qn_records_present(plan, doc);
    if (rc < 0) return rc;
    facts->records_present = rc > 0;
    rc = qn_records_walk(plan, doc, count_record, &facts->record_count, NULL);
    if (rc >= 0) rc = count_items(plan, doc, facts);
    if (rc < 0 || plan->fact_count == 0) return rc;
    facts->facts = qn_calloc(plan->fact_count, sizeof *facts->facts);
    if (!facts->facts) return QN_ENOMEM;
    facts->fact_count = plan->fact_count;
    for (size_t i = 0; i < plan->fact_count; i++) facts->facts[i] = qn_path_one(plan->facts[i], doc, QN_ROOT);
    return 0;
}

/* Raw rows ask whether a text holds line breaks; most pages hold none. */
static void digest(const struct qn_plan *plan, const struct qn_bytes *bytes, struct qn_doc *doc, struct qn_facts *facts)
{
    bool control = true;
    const char *data = qn_bytes_data(bytes);
    size_t size = qn_bytes_size(bytes);
    facts->digest = plan->raw ? qn_hash_control(data, size, &control) : qn_hash_bytes(data, size);
    if (!control) qn_doc_note_one_line(doc);
}

int qn_convert_index(const struct qn_plan *plan, struct qn_bytes *bytes, struct qn_doc **doc, struct qn_facts *facts,
                     struct qn_err *err)
{
    struct qn_err why = {0};
    struct qn_doc *made = NULL;
    memset(facts, 0, sizeof *facts);
    int rc = qn_doc_parse(bytes, &made, &why);
    if (rc < 0) return refuse_body(bytes, rc, &why, err);
    digest(plan, bytes, made, facts);
    rc = read_facts(plan, made, facts);
    if (rc < 0) {
        qn_facts_free(facts);
        qn_doc_unref(made);
        if (rc == QN_ELIMIT) return qn_fail(err, rc, "records: the path selects more than 16 million nodes");
        return qn_fail(err, rc, "out of memory while the page's records were counted");
    }
    *doc = made;
    return 0;
}

/* rows: document, plan, context -> batch */

struct rows {
    const struct qn_plan *plan;
    struct qn_doc *doc;
    const struct qn_rows_context *context;
    struct qn_emit emit;
    struct qn_failures failures;
    struct qn_scratch scratch;
    struct qn_selected *selected; /* one a level, innermost first */
    qn_node *selected_of;         /* the record of that level that it was made of last */
    struct qn_value *values;      /* one a column */
    bool *found;                  /* the same: its path selected something in this page */
    size_t no_key, no_owner;
    uint32_t number; /* of the record at hand */
    struct qn_err err;
};

/* Equal values have equal keys, whatever their spelling; 1 and "1" differ. */
static int hash_key(struct rows *rows, qn_node node, struct qn_hash *out)
{
    struct qn_decimal number;
    struct qn_span span = qn_doc_span(rows->doc, node);
    struct qn_buf *buf = &rows->scratch.buf;
    char tag = 'j', text[QN_DECIMAL_TEXT_SIZE];
    qn_buf_clear(buf);
    enum qn_kind kind = qn_doc_kind(rows->doc, node);
    if (kind == QN_STRING) tag = 's';
    if (kind == QN_NUMBER) tag = 'n';
    int rc = qn_buf_add_byte(buf, tag);
    if (rc == 0 && kind == QN_STRING) {
        rc = qn_doc_plain_string(rows->doc, node, &span) ? qn_buf_add(buf, span.data, span.size)
                                                         : qn_doc_string(rows->doc, node, buf);
    } else if (rc == 0 && kind == QN_NUMBER) {
        /* a number of more digits than a decimal holds keeps its spelling, so that two of them stay apart */
        bool whole = span.size <= QN_DECIMAL_DIGITS && qn_decimal_parse(span.data, span.size, &number);
        rc = whole ? qn_buf_add(buf, text, qn_decimal_format(number, text)) : qn_buf_add(buf, span.data, span.size);
    } else if (rc == 0) {
        rc = qn_json_minified(buf, rows->doc, node);
    }
    if (rc == 0) *out = qn_hash_bytes(buf->data, buf->size);
    return rc;
}

/* One walk of each level's record: what columns, key and owner read. */
static int select_nodes(struct rows *rows, const qn_node *levels)
{
    const struct qn_plan *plan = rows->plan;
    for (size_t i = 0; i < plan->level_count; i++) {
        qn_node record = levels[plan->level_count - 1 - i];
        if (!plan->selections[i] || rows->selected_of[i] == record) continue;
        int rc = qn_selection_run(plan->selections[i], rows->doc, record, &rows->selected[i]);
        if (rc == QN_ELIMIT) return qn_fail(&rows->err, rc, "the columns' paths select more than 16 million nodes");
        if (rc < 0) return qn_fail(&rows->err, rc, "out of memory");
        rows->selected_of[i] = record;
    }
    return 0;
}

/* The node of key or owner, which stand behind the columns. */
static qn_node selected_one(const struct rows *rows, size_t number)
{
    const struct qn_nodes *nodes = qn_selected_nodes(&rows->selected[0], number);
    return nodes->count > 0 ? nodes->nodes[0] : QN_NONE;
}

/* Key and owner of a record. A null is as good as none. */
static int identify(struct rows *rows, struct qn_row *row)
{
    const struct qn_plan *plan = rows->plan;
    if (plan->key) {
        qn_node node = selected_one(rows, plan->column_count);
        bool found = node != QN_NONE && qn_doc_kind(rows->doc, node) != QN_NULL;
        int rc = found ? hash_key(rows, node, &row->key) : 0;
        if (rc < 0) return qn_fail(&rows->err, rc, "key: the value is too large for the memory there is");
        if (found)
            row->flags |= QN_ROW_HAS_KEY;
        else
            rows->no_key++;
    }
    if (plan->owner) {
        qn_node node = selected_one(rows, plan->column_count + 1);
        if (node != QN_NONE && qn_node_instant(rows->doc, node, &rows->scratch, &row->owner_ms)) {
            row->flags |= QN_ROW_HAS_OWNER;
        } else {
            rows->no_owner++;
        }
        if (rows->scratch.no_memory) return qn_fail(&rows->err, QN_ENOMEM, "out of memory");
    }
    return 0;
}

/* The record's own text on one line: as it stands, or minified into the scratch buffer. */
static int own_text(struct rows *rows, qn_node record, struct qn_span *out, bool *as_it_stands)
{
    *out = qn_doc_span(rows->doc, record);
    *as_it_stands = qn_doc_one_line(rows->doc) || qn_text_one_line(out->data, out->size);
    if (*as_it_stands) return 0;
    struct qn_buf *buf = &rows->scratch.buf;
    qn_buf_clear(buf);
    int rc = qn_json_minified(buf, rows->doc, record);
    if (rc < 0) return qn_fail(&rows->err, rc, rc == QN_ELIMIT ? "the record is larger than 1 GB" : "out of memory");
    *out = (struct qn_span){buf->data, buf->size};
    return 0;
}

static int emit_raw(struct rows *rows, qn_node record)
{
    struct qn_span text;
    bool as_it_stands;
    int rc = own_text(rows, record, &text, &as_it_stands);
    if (rc < 0) return rc;
    if (rows->emit.page && as_it_stands) return qn_emit_slice(&rows->emit, text.data, text.size, &rows->err);
    return qn_emit_text(&rows->emit, text.data, text.size, &rows->err);
}

static int emit_record(struct rows *rows, const qn_node *levels, qn_node record)
{
    const struct qn_plan *plan = rows->plan;
    if (plan->raw) return emit_raw(rows, record);
    for (size_t i = 0; i < plan->column_count; i++) {
        const struct qn_column *column = &plan->columns[i];
        const struct qn_nodes *nodes = column->path ? qn_selected_nodes(&rows->selected[column->level], i) : NULL;
        int rc = qn_column_value(column, rows->doc, nodes, &rows->scratch, &rows->values[i], &rows->err);
        if (rc < 0) return rc;
        rows->found[i] |= nodes && nodes->count > 0;
    }
    if (!plan->has_transform) return qn_emit_row(&rows->emit, rows->values, &rows->err);
    struct qn_record seen = {rows->doc, record, levels, plan->level_count, rows->number};
    const struct qn_transform *transform = rows->context->transform;
    return transform->apply(transform->self, &seen, rows->values, &rows->emit, &rows->err);
}

/* The record failed by itself: the page goes on without it, if the plan says so. */
static int put_aside(struct rows *rows, qn_node record, int rc)
{
    enum qn_on_error mode = rows->plan->on_error;
    if (mode == QN_ON_ERROR_STOP || (rc != QN_EINVAL && rc != QN_ESCRIPT)) return rc;
    struct qn_err why = rows->err;
    struct qn_span text;
    bool as_it_stands;
    qn_emit_fail(&rows->emit);
    rc = mode == QN_ON_ERROR_QUARANTINE ? own_text(rows, record, &text, &as_it_stands) : 0;
    if (rc == 0) {
        rc = qn_failures_add(&rows->failures, rows->context, rows->number, why.text,
                             mode == QN_ON_ERROR_QUARANTINE ? &text : NULL, &rows->err);
    }
    if (rc == 0) rows->err.code = 0;
    return rc;
}

/* The array itself as the one record: a mistake of the query, not of the record. */
static bool array_itself(const struct rows *rows, qn_node record)
{
    const struct qn_plan *plan = rows->plan;
    return !plan->raw && qn_doc_kind(rows->doc, record) == QN_ARRAY &&
           qn_path_singular(plan->records[plan->level_count - 1]);
}

static int convert_record(void *context, const qn_node *levels)
{
    struct rows *rows = context;
    qn_node record = levels[rows->plan->level_count - 1];
    struct qn_row row = {.record = rows->number};
    qn_scratch_reset(&rows->scratch);
    if (array_itself(rows, record)) {
        return qn_fail(&rows->err, QN_EINVAL,
                       "records: the path selects the array itself; end it in [*] for its elements");
    }
    int rc = select_nodes(rows, levels);
    if (rc == 0) rc = identify(rows, &row);
    if (rc == 0) {
        qn_emit_begin(&rows->emit, &row);
        rc = emit_record(rows, levels, record);
        if (rc < 0) rc = put_aside(rows, record, rc);
    }
    if (rc == 0) rc = qn_emit_end(&rows->emit, &rows->err);
    if (rc < 0) return rc;
    rows->number++;
    return 0;
}

/* Messages count records from 1, as Lua does. */
static int locate(const struct rows *rows, int rc, struct qn_err *err)
{
    const char *where = rows->context->where;
    if (rows->err.code == 0) {
        const char *text = rc == QN_ELIMIT ? "records: the path selects more than 16 million nodes" : "out of memory";
        return qn_fail(err, rc, "%s%s%s", where ? where : "", where ? ": " : "", text);
    }
    return qn_fail(err, rc, "%s%srecord %lu: %s", where ? where : "", where ? ", " : "",
                   (unsigned long)rows->number + 1, rows->err.text);
}

static void note_found(const struct rows *rows)
{
    const struct qn_plan *plan = rows->plan;
    for (size_t i = 0; i < plan->column_count; i++) {
        if (rows->found[i]) atomic_store_explicit(&plan->found[i], true, memory_order_relaxed);
    }
}

static int make_batch(struct rows *rows, uint64_t replaced, struct qn_batch **out, struct qn_err *err)
{
    struct qn_emit *emit = &rows->emit;
    struct qn_batch *batch = qn_batch_new();
    if (!batch) return qn_fail(err, QN_ENOMEM, "out of memory");
    int rc = qn_emit_bytes(emit, rows->doc, &batch->bytes, err);
    if (rc == 0) rc = qn_failures_give(&rows->failures, batch, err);
    if (rc < 0) {
        qn_batch_unref(batch);
        return rc;
    }
    batch->rows = emit->rows;
    batch->row_count = emit->count;
    batch->encoded_count = emit->encoded;
    batch->record_count = rows->number;
    batch->no_key = rows->no_key;
    batch->no_owner = rows->no_owner;
    batch->replaced = (size_t)replaced;
    emit->rows = NULL;
    *out = batch;
    return 0;
}

static int open_rows(struct rows *rows)
{
    const struct qn_plan *plan = rows->plan;
    const struct qn_bytes *page = qn_doc_bytes(rows->doc);
    qn_emit_init(&rows->emit, plan);
    if (plan->raw && plan->format == QN_FORMAT_NDJSON) {
        qn_emit_slices(&rows->emit, qn_bytes_data(page), qn_bytes_size(page));
    }
    qn_failures_init(&rows->failures);
    qn_scratch_init(&rows->scratch);
    rows->values = qn_calloc(plan->column_count + 1, sizeof *rows->values);
    rows->found = qn_calloc(plan->column_count + 1, sizeof *rows->found);
    rows->selected = qn_calloc(plan->level_count, sizeof *rows->selected);
    rows->selected_of = qn_calloc(plan->level_count, sizeof *rows->selected_of);
    if (!rows->values || !rows->found || !rows->selected || !rows->selected_of) return QN_ENOMEM;
    int rc = 0;
    for (size_t i = 0; i < plan->level_count && rc == 0; i++) {
        rows->selected_of[i] = QN_NONE;
        if (plan->selections[i]) rc = qn_selected_init(&rows->selected[i], plan->selections[i]);
    }
    return rc;
}

static void close_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->plan->level_count && rows->selected; i++) qn_selected_free(&rows->selected[i]);
    qn_free(rows->selected);
    qn_free(rows->selected_of);
    qn_free(rows->values);
    qn_free(rows->found);
    qn_scratch_free(&rows->scratch);
    qn_failures_free(&rows->failures);
    qn_emit_free(&rows->emit);
}

int qn_convert_rows(const struct qn_plan *plan, struct qn_doc *doc, const struct qn_rows_context *context,
                    struct qn_batch **out, struct qn_err *err)
{
    struct rows rows = {.plan = plan, .doc = doc, .context = context};
    uint64_t replaced = qn_doc_replaced(doc);
    if (plan->has_transform && (!context->transform || !context->transform->apply)) {
        return qn_fail(err, QN_EINVAL, "the plan has a transform, the context has none");
    }
    int rc = open_rows(&rows);
    if (rc == 0) rc = qn_records_walk(plan, doc, convert_record, &rows, &rows.err);
    if (rc < 0)
        rc = locate(&rows, rc, err);
    else
        rc = make_batch(&rows, qn_doc_replaced(doc) - replaced, out, err);
    if (rc == 0) note_found(&rows);
    close_rows(&rows);
    return rc;
}
