/* reduce.c - the part of column.h that makes one value of many nodes. */
#include "json/write.h"
#include "rows/column.h"

enum { AVERAGE_DIGITS = 17 };

static bool is_null(const struct qn_doc *doc, qn_node node)
{
    return qn_doc_kind(doc, node) == QN_NULL;
}

/* Scaled first and divided once, so that rounding happens once; without `round` to 17 significant digits. */
static int average(const struct qn_column *column, struct qn_decimal sum, uint64_t count, struct qn_scratch *scratch,
                   struct qn_value *out, struct qn_err *err)
{
    struct qn_column rest = *column;
    if (column->scaled && column->scale_exact) {
        sum = qn_decimal_multiply(sum, column->scale_decimal);
        rest.scaled = false;
    }
    struct qn_decimal divisor = qn_decimal_from((int64_t)count);
    int top = qn_decimal_length(sum) + sum.exponent - qn_decimal_length(divisor) - divisor.exponent;
    int places = column->round >= 0 && !rest.scaled ? column->round : AVERAGE_DIGITS - top;
    struct qn_decimal quotient;
    if (!qn_decimal_divide(sum, count, places > 0 ? places : 0, &quotient)) {
        return qn_fail(err, QN_EINVAL, "the average has too many digits");
    }
    return qn_column_number(&rest, quotient, scratch, out, err);
}

static int reduce_sum(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                      struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    struct qn_decimal sum = qn_decimal_from(0), item = sum;
    uint64_t count = 0;
    for (size_t i = 0; i < nodes->count; i++) {
        qn_node node = nodes->nodes[i];
        if (is_null(doc, node)) continue;
        if (!qn_column_decimal(column, doc, node, scratch, &item)) {
            return qn_column_refuse(doc, node, "is not a number", err);
        }
        sum = qn_decimal_add(sum, item);
        count++;
    }
    if (count == 0) return 0; /* missing */
    if (column->reduce == QN_REDUCE_SUM) return qn_column_number(column, sum, scratch, out, err);
    return average(column, sum, count, scratch, out, err);
}

/* A value that min and max can order. */
struct rank {
    enum { RANK_NUMBER, RANK_TEXT, RANK_TIME } kind;
    struct qn_decimal number;
    struct qn_span text;
    int64_t ms;
};

static int rank_of(const struct qn_column *column, const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch,
                   struct rank *out, struct qn_err *err)
{
    if (column->as == QN_AS_TIME) {
        out->kind = RANK_TIME;
        if (qn_node_instant(doc, node, scratch, &out->ms)) return 0;
        return qn_column_refuse(doc, node, "is not an instant", err);
    }
    out->kind = RANK_NUMBER;
    if (qn_column_decimal(column, doc, node, scratch, &out->number)) return 0;
    if (column->as == QN_AS_INTEGER || column->as == QN_AS_NUMBER || qn_doc_kind(doc, node) == QN_NUMBER) {
        return qn_column_refuse(doc, node, "is not a number", err);
    }
    out->kind = RANK_TEXT;
    if (qn_doc_kind(doc, node) != QN_STRING) return qn_column_refuse(doc, node, "is neither a number nor a text", err);
    return qn_node_text(doc, node, scratch, &out->text) < 0 ? qn_fail(err, QN_ENOMEM, "out of memory") : 0;
}

static int compare_text(struct qn_span a, struct qn_span b)
{
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = shorter > 0 ? __builtin_memcmp(a.data, b.data, shorter) : 0;
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare(const struct rank *a, const struct rank *b)
{
    if (a->kind == RANK_NUMBER) return qn_decimal_compare(a->number, b->number);
    if (a->kind == RANK_TIME) return (a->ms > b->ms) - (a->ms < b->ms);
    return compare_text(a->text, b->text);
}

static int reduce_extreme(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                          struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    qn_node best = QN_NONE;
    struct rank best_rank = {0}, rank = {0};
    for (size_t i = 0; i < nodes->count; i++) {
        qn_node node = nodes->nodes[i];
        if (is_null(doc, node)) continue;
        int rc = rank_of(column, doc, node, scratch, &rank, err);
        if (rc < 0) return rc;
        if (best != QN_NONE && rank.kind != best_rank.kind) {
            return qn_column_refuse(doc, node, "cannot be compared: the nodes mix numbers and texts", err);
        }
        int order = best == QN_NONE ? 0 : compare(&rank, &best_rank);
        if (best == QN_NONE || (column->reduce == QN_REDUCE_MIN ? order < 0 : order > 0)) {
            best = node;
            best_rank = rank;
        }
    }
    return best == QN_NONE ? 0 : qn_column_convert(column, doc, best, scratch, out, err);
}

static int add_item(struct qn_buf *out, const struct qn_value *value, bool json, struct qn_scratch *scratch)
{
    struct qn_span span;
    if (json && value->kind == QN_VALUE_NULL) return qn_buf_add(out, "null", 4);
    if (json && value->kind == QN_VALUE_TEXT) return qn_json_string(out, value->text.data, value->text.size);
    int rc = qn_value_text(value, scratch, &span);
    return rc < 0 ? rc : qn_buf_add(out, span.data, span.size);
}

/* join: items as text with the separator between; list: a JSON array */
static int reduce_collect(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                          struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    bool json = column->reduce == QN_REDUCE_LIST;
    struct qn_buf text; /* not scratch->buf: converting an item uses that */
    size_t count = 0;
    int rc = 0;
    qn_buf_init(&text, scratch->buf.cap);
    for (size_t i = 0; i < nodes->count && rc == 0; i++) {
        struct qn_value value;
        qn_node node = nodes->nodes[i];
        if (!json && is_null(doc, node)) continue;
        rc = qn_column_convert(column, doc, node, scratch, &value, err);
        if (rc < 0) break;
        rc = qn_buf_add_str(&text, json ? (count == 0 ? "[" : ",") : (count == 0 ? "" : column->separator));
        if (rc == 0) rc = add_item(&text, &value, json, scratch);
        if (rc < 0) qn_fail(err, rc, rc == QN_ELIMIT ? "the value is larger than 1 GB" : "out of memory");
        count++;
    }
    if (rc == 0 && count > 0) {
        if (json && (rc = qn_buf_add_byte(&text, ']')) < 0) qn_fail(err, rc, "out of memory");
        char *copy = rc == 0 ? qn_arena_copy(&scratch->arena, text.data, text.size) : NULL;
        if (rc == 0 && !copy) rc = qn_fail(err, QN_ENOMEM, "out of memory");
        out->kind = json ? QN_VALUE_JSON : QN_VALUE_TEXT;
        out->text.data = copy;
        out->text.size = text.size;
    }
    qn_buf_free(&text);
    return rc;
}

int qn_column_reduce(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                     struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    size_t count = nodes->count;
    if (column->reduce == QN_REDUCE_COUNT) {
        return qn_column_number(column, qn_decimal_from((int64_t)count), scratch, out, err);
    }
    if (count == 0) return 0; /* missing */
    switch (column->reduce) {
    case QN_REDUCE_FIRST: return qn_column_convert(column, doc, nodes->nodes[0], scratch, out, err);
    case QN_REDUCE_LAST: return qn_column_convert(column, doc, nodes->nodes[count - 1], scratch, out, err);
    case QN_REDUCE_SUM:
    case QN_REDUCE_AVG: return reduce_sum(column, doc, nodes, scratch, out, err);
    case QN_REDUCE_MIN:
    case QN_REDUCE_MAX: return reduce_extreme(column, doc, nodes, scratch, out, err);
    case QN_REDUCE_JOIN:
    case QN_REDUCE_LIST: return reduce_collect(column, doc, nodes, scratch, out, err);
    case QN_REDUCE_NONE:
    case QN_REDUCE_COUNT: break;
    }
    return 0;
}
