#include "rows/column.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "json/write.h"
#include "rows/text.h"

enum { MAX_ROUND = 15, EXACT_SCALE_DIGITS = 15 };

static const size_t TEXT_CAP = (size_t)1 << 30; /* one decoded value */

void qn_scratch_init(struct qn_scratch *scratch)
{
    qn_arena_init(&scratch->arena);
    qn_buf_init(&scratch->buf, TEXT_CAP);
    scratch->no_memory = false;
}

void qn_scratch_free(struct qn_scratch *scratch)
{
    qn_arena_free(&scratch->arena);
    qn_buf_free(&scratch->buf);
}

void qn_scratch_reset(struct qn_scratch *scratch)
{
    qn_arena_reset(&scratch->arena);
    qn_buf_clear(&scratch->buf);
    scratch->no_memory = false;
}

int qn_column_refuse(const struct qn_doc *doc, qn_node node, const char *problem, struct qn_err *err)
{
    char excerpt[QN_EXCERPT_SIZE];
    struct qn_span span = qn_doc_span(doc, node);
    return qn_fail(err, QN_EINVAL, "%s %s", qn_text_excerpt(span.data, span.size, excerpt), problem);
}

/* What scratch->buf holds becomes a text in the arena. */
static int keep(struct qn_scratch *scratch, struct qn_span *out)
{
    char *copy = qn_arena_copy(&scratch->arena, scratch->buf.data, scratch->buf.size);
    if (!copy) return QN_ENOMEM;
    *out = (struct qn_span){copy, scratch->buf.size};
    qn_buf_clear(&scratch->buf);
    return 0;
}

static void set_text(struct qn_value *out, enum qn_value_kind kind, struct qn_span span)
{
    out->kind = kind;
    out->text.data = span.data;
    out->text.size = span.size;
}

int qn_node_text(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, struct qn_span *out)
{
    if (qn_doc_plain_string(doc, node, out)) return 0;
    qn_buf_clear(&scratch->buf);
    int rc = qn_doc_string(doc, node, &scratch->buf);
    if (rc == 0) rc = keep(scratch, out);
    scratch->no_memory |= rc == QN_ENOMEM;
    return rc;
}

static int node_json(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, struct qn_span *out)
{
    qn_buf_clear(&scratch->buf);
    int rc = qn_json_minified(&scratch->buf, doc, node);
    return rc < 0 ? rc : keep(scratch, out);
}

int qn_value_text(const struct qn_value *value, struct qn_scratch *scratch, struct qn_span *out)
{
    int rc = 0;
    qn_buf_clear(&scratch->buf);
    switch (value->kind) {
    case QN_VALUE_MISSING:
    case QN_VALUE_NULL: *out = (struct qn_span){"", 0}; return 0;
    case QN_VALUE_BOOL: *out = value->boolean ? (struct qn_span){"true", 4} : (struct qn_span){"false", 5}; return 0;
    case QN_VALUE_NUMBER:
    case QN_VALUE_TEXT:
    case QN_VALUE_JSON: *out = (struct qn_span){value->text.data, value->text.size}; return 0;
    case QN_VALUE_INTEGER: rc = qn_json_integer(&scratch->buf, value->integer); break;
    case QN_VALUE_DOUBLE: rc = qn_decimal_double(&scratch->buf, value->number); break;
    }
    return rc < 0 ? rc : keep(scratch, out);
}

bool qn_column_decimal(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                       struct qn_scratch *scratch, struct qn_decimal *out)
{
    enum qn_kind kind = qn_doc_kind(doc, node);
    struct qn_span span = qn_doc_span(doc, node);
    if (kind == QN_STRING) {
        if (column->as != QN_AS_INTEGER && column->as != QN_AS_NUMBER) return false;
        if (qn_node_text(doc, node, scratch, &span) < 0) return false;
    } else if (kind != QN_NUMBER) {
        return false;
    }
    return qn_decimal_parse(span.data, span.size, out);
}

bool qn_node_instant(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, int64_t *ms)
{
    struct qn_span span;
    if (qn_doc_kind(doc, node) == QN_NUMBER) {
        char text[QN_TIME_TEXT_SIZE];
        int64_t value, again;
        if (qn_doc_integer(doc, node, &value) != QN_INTEGER_EXACT) return false;
        qn_time_format(value, 3, text); /* beyond the calendar it does not read back */
        if (qn_time_parse(text, strlen(text), &again, NULL, NULL) < 0 || again != value) return false;
        *ms = value;
        return true;
    }
    if (qn_doc_kind(doc, node) != QN_STRING || qn_node_text(doc, node, scratch, &span) < 0) return false;
    return qn_time_parse(span.data, span.size, ms, NULL, NULL) == 0;
}

static struct qn_decimal scale_and_round(const struct qn_column *column, struct qn_decimal number,
                                         struct qn_scratch *scratch, bool *ok)
{
    *ok = true;
    if (column->scaled && column->scale_exact) {
        number = qn_decimal_multiply(number, column->scale_decimal);
    } else if (column->scaled) {
        qn_buf_clear(&scratch->buf);
        *ok = qn_decimal_double(&scratch->buf, qn_decimal_to_double(number) * column->scale) == 0 &&
              qn_decimal_parse(scratch->buf.data, scratch->buf.size, &number);
    }
    return column->round >= 0 ? qn_decimal_round(number, column->round) : number;
}

static int number_value(struct qn_decimal number, struct qn_scratch *scratch, struct qn_value *out)
{
    char text[QN_DECIMAL_TEXT_SIZE];
    if (qn_decimal_integer(number, &out->integer)) {
        out->kind = QN_VALUE_INTEGER;
        return 0;
    }
    size_t size = qn_decimal_format(number, text);
    char *copy = qn_arena_copy(&scratch->arena, text, size);
    if (!copy) return QN_ENOMEM;
    set_text(out, QN_VALUE_NUMBER, (struct qn_span){copy, size});
    return 0;
}

int qn_column_number(const struct qn_column *column, struct qn_decimal number, struct qn_scratch *scratch,
                     struct qn_value *out, struct qn_err *err)
{
    bool ok;
    char text[QN_DECIMAL_TEXT_SIZE];
    struct qn_decimal result = scale_and_round(column, number, scratch, &ok);
    if (!ok) {
        qn_decimal_format(number, text);
        return qn_fail(err, QN_EINVAL, "%s times %g is out of range", text, column->scale);
    }
    if (column->as == QN_AS_INTEGER && !qn_decimal_integer(result, &out->integer)) {
        qn_decimal_format(result, text);
        return qn_fail(err, QN_EINVAL,
                       qn_decimal_integral(result) ? "%s does not fit into 64 bits" : "%s is not an integer", text);
    }
    if (number_value(result, scratch, out) < 0) return qn_fail(err, QN_ENOMEM, "out of memory");
    if (column->as == QN_AS_TEXT || column->as == QN_AS_JSON) {
        struct qn_span span;
        if (qn_value_text(out, scratch, &span) < 0) return qn_fail(err, QN_ENOMEM, "out of memory");
        set_text(out, column->as == QN_AS_TEXT ? QN_VALUE_TEXT : QN_VALUE_JSON, span);
    }
    return 0;
}

static int convert_number(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                          struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    struct qn_decimal number;
    if (!qn_column_decimal(column, doc, node, scratch, &number)) {
        return qn_column_refuse(doc, node, column->as == QN_AS_INTEGER ? "is not an integer" : "is not a number", err);
    }
    if (column->as == QN_AS_INTEGER || column->scaled || column->round >= 0) {
        return qn_column_number(column, number, scratch, out, err);
    }
    struct qn_span span = qn_doc_span(doc, node);
    if (qn_doc_kind(doc, node) == QN_STRING && qn_node_text(doc, node, scratch, &span) < 0) {
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    set_text(out, QN_VALUE_NUMBER, span);
    return 0;
}

static int convert_bool(const struct qn_doc *doc, qn_node node, struct qn_value *out, struct qn_err *err)
{
    int64_t integer = -1;
    enum qn_kind kind = qn_doc_kind(doc, node);
    out->kind = QN_VALUE_BOOL;
    if (kind == QN_NUMBER && qn_doc_integer(doc, node, &integer) != QN_INTEGER_EXACT) integer = -1;
    if (kind == QN_TRUE || integer == 1 || (kind == QN_STRING && qn_doc_string_equals(doc, node, "true", 4))) {
        out->boolean = true;
        return 0;
    }
    if (kind == QN_FALSE || integer == 0 || (kind == QN_STRING && qn_doc_string_equals(doc, node, "false", 5))) {
        out->boolean = false;
        return 0;
    }
    return qn_column_refuse(doc, node, "is neither true nor false", err);
}

static int convert_time(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, struct qn_value *out,
                        struct qn_err *err)
{
    int64_t ms;
    if (!qn_node_instant(doc, node, scratch, &ms)) {
        return qn_column_refuse(doc, node, "is not an instant (ISO 8601 with a zone, or milliseconds since 1970)", err);
    }
    char *text = qn_arena_take(&scratch->arena, QN_TIME_TEXT_SIZE);
    if (!text) return qn_fail(err, QN_ENOMEM, "out of memory");
    qn_time_format(ms, 3, text);
    set_text(out, QN_VALUE_TEXT, (struct qn_span){text, strlen(text)});
    return 0;
}

/* as = any, text, json: nothing can be refused */
static int convert_plain(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                         struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    int rc = 0;
    enum qn_kind kind = qn_doc_kind(doc, node);
    struct qn_span span = qn_doc_span(doc, node);
    enum qn_value_kind made = column->as == QN_AS_TEXT ? QN_VALUE_TEXT : QN_VALUE_JSON;
    if (column->as == QN_AS_JSON || kind == QN_ARRAY || kind == QN_OBJECT) {
        rc = node_json(doc, node, scratch, &span);
    } else if (kind == QN_STRING) {
        made = QN_VALUE_TEXT;
        rc = qn_node_text(doc, node, scratch, &span);
    } else if (column->as == QN_AS_ANY && kind == QN_NUMBER) {
        made = QN_VALUE_NUMBER;
    } else if (column->as == QN_AS_ANY) {
        out->kind = QN_VALUE_BOOL;
        out->boolean = kind == QN_TRUE;
        return 0;
    }
    set_text(out, made, span);
    if (rc == QN_ELIMIT) return qn_fail(err, rc, "the value is larger than 1 GB");
    return rc < 0 ? qn_fail(err, rc, "out of memory") : 0;
}

int qn_column_convert(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                      struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    if (qn_doc_kind(doc, node) == QN_NULL) {
        out->kind = QN_VALUE_NULL;
        return 0;
    }
    switch (column->as) {
    case QN_AS_INTEGER:
    case QN_AS_NUMBER: return convert_number(column, doc, node, scratch, out, err);
    case QN_AS_BOOL: return convert_bool(doc, node, out, err);
    case QN_AS_TIME: return convert_time(doc, node, scratch, out, err);
    case QN_AS_ANY:
    case QN_AS_TEXT:
    case QN_AS_JSON: break;
    }
    if (column->scaled || column->round >= 0) return convert_number(column, doc, node, scratch, out, err);
    return convert_plain(column, doc, node, scratch, out, err);
}

static int name_column(const struct qn_column *column, int rc, struct qn_err *err)
{
    if (rc >= 0 || !err) return rc;
    struct qn_err inner = *err;
    return qn_fail(err, rc, "column '%s': %s", column->name, inner.text);
}

int qn_column_value(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                    struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err)
{
    int rc = 0;
    out->kind = QN_VALUE_MISSING;
    if (!column->path) return 0;
    if (column->reduce != QN_REDUCE_NONE)
        rc = qn_column_reduce(column, doc, nodes, scratch, out, err);
    else if (nodes->count > 0)
        rc = qn_column_convert(column, doc, nodes->nodes[0], scratch, out, err);
    if (rc == 0 && out->kind == QN_VALUE_MISSING && column->has_default) *out = column->fallback;
    if (rc < 0 && scratch->no_memory) rc = qn_fail(err, QN_ENOMEM, "out of memory");
    return name_column(column, rc, err);
}

int qn_column_read(const struct qn_column *column, const struct qn_doc *doc, qn_node record, struct qn_scratch *scratch,
                   struct qn_value *out, struct qn_err *err)
{
    struct qn_nodes nodes;
    qn_nodes_init(&nodes);
    int rc = column->path ? qn_path_select(column->path, doc, record, &nodes) : 0;
    if (rc < 0) {
        qn_fail(err, rc, rc == QN_ELIMIT ? "its path selects more than 16 million nodes" : "out of memory");
        rc = name_column(column, rc, err);
    } else {
        rc = qn_column_value(column, doc, &nodes, scratch, out, err);
    }
    qn_nodes_free(&nodes);
    return rc;
}

static int compile_scale(struct qn_column *column, double scale, struct qn_err *err)
{
    struct qn_buf text;
    if (scale == 0) return 0;
    if (!isfinite(scale)) return qn_fail(err, QN_EINVAL, "scale is not a finite number");
    column->scaled = true;
    column->scale = scale;
    qn_buf_init(&text, 64);
    int rc = qn_decimal_double(&text, scale);
    if (rc == 0 && qn_decimal_parse(text.data, text.size, &column->scale_decimal)) {
        column->scale_exact = qn_decimal_length(column->scale_decimal) <= EXACT_SCALE_DIGITS;
    }
    qn_buf_free(&text);
    return rc < 0 ? qn_fail(err, rc, "out of memory") : 0;
}

/* The default is converted as an item would be, except that what a list or join makes is given ready. */
static int compile_default(struct qn_column *column, const char *json, struct qn_err *err)
{
    struct qn_doc *doc = NULL;
    struct qn_err inner;
    struct qn_scratch scratch;
    struct qn_span span;
    struct qn_column as_item = {.as = column->as, .round = -1};
    if (column->reduce == QN_REDUCE_JOIN || column->reduce == QN_REDUCE_LIST) as_item.as = QN_AS_ANY;
    qn_scratch_init(&scratch);
    struct qn_bytes *bytes = qn_bytes_new(json, strlen(json));
    int rc = bytes ? qn_doc_parse(bytes, &doc, &inner) : qn_fail(&inner, QN_ENOMEM, "out of memory");
    if (rc == 0) rc = qn_column_convert(&as_item, doc, QN_ROOT, &scratch, &column->fallback, &inner);
    if (rc < 0) qn_fail(err, rc, "default: %s", inner.text);
    enum qn_value_kind kind = column->fallback.kind;
    if (rc == 0 && (kind == QN_VALUE_TEXT || kind == QN_VALUE_NUMBER || kind == QN_VALUE_JSON)) {
        span = (struct qn_span){column->fallback.text.data, column->fallback.text.size};
        column->fallback_text = qn_strndup(span.data, span.size);
        if (!column->fallback_text) rc = qn_fail(err, QN_ENOMEM, "out of memory");
        column->fallback.text.data = column->fallback_text;
    }
    column->has_default = rc == 0;
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
    qn_scratch_free(&scratch);
    return rc;
}

static int check_spec(const struct qn_column_spec *spec, size_t levels, struct qn_err *err)
{
    bool numeric = spec->as == QN_AS_ANY || spec->as == QN_AS_INTEGER || spec->as == QN_AS_NUMBER;
    if (spec->level < 0 || (size_t)spec->level >= levels) {
        return qn_fail(err, QN_EINVAL, "level %d: the records have %zu level%s (level 0 is the record itself)",
                       spec->level, levels, levels == 1 ? "" : "s");
    }
    if (spec->round < -1 || spec->round > MAX_ROUND) {
        return qn_fail(err, QN_EINVAL, "round takes 0 to %d decimals, not %d", MAX_ROUND, spec->round);
    }
    if ((spec->scale != 0 || spec->round >= 0) && !numeric) {
        return qn_fail(err, QN_EINVAL, "scale and round are for numbers: as must be \"integer\", \"number\" or absent");
    }
    if (spec->reduce == QN_REDUCE_SUM || spec->reduce == QN_REDUCE_AVG || spec->reduce == QN_REDUCE_COUNT) {
        if (spec->as == QN_AS_BOOL || spec->as == QN_AS_TIME) {
            return qn_fail(err, QN_EINVAL, "a sum, avg or count is a number: it cannot be a bool or a time");
        }
    }
    if (spec->separator && spec->reduce != QN_REDUCE_JOIN) {
        return qn_fail(err, QN_EINVAL, "separator goes with reduce = \"join\" only");
    }
    bool converts = spec->as != QN_AS_ANY || spec->scale != 0 || spec->round >= 0;
    if (!spec->path && (spec->reduce != QN_REDUCE_NONE || converts)) {
        return qn_fail(err, QN_EINVAL, "without a path there is nothing to convert or reduce");
    }
    return 0;
}

int qn_column_init(struct qn_column *column, const struct qn_column_spec *spec, size_t levels, struct qn_err *err)
{
    memset(column, 0, sizeof *column);
    column->as = spec->as;
    column->reduce = spec->reduce;
    column->round = spec->round;
    column->level = spec->level;
    column->name = qn_strdup(spec->name);
    column->separator = qn_strdup(spec->separator ? spec->separator : ",");
    int rc = column->name && column->separator ? 0 : qn_fail(err, QN_ENOMEM, "out of memory");
    if (rc == 0) rc = check_spec(spec, levels, err);
    if (rc == 0 && spec->path) rc = qn_path_compile(spec->path, strlen(spec->path), &column->path, err);
    if (rc == 0 && column->path && column->reduce == QN_REDUCE_NONE && !qn_path_singular(column->path)) {
        rc = qn_fail(err, QN_EINVAL,
                     "the path %s may select several nodes: give reduce (first, last, count, sum, min, max, avg, "
                     "join or list)",
                     spec->path);
    }
    if (rc == 0) rc = compile_scale(column, spec->scale, err);
    if (rc == 0 && spec->default_json) rc = compile_default(column, spec->default_json, err);
    if (rc < 0) qn_column_done(column);
    return rc;
}

void qn_column_done(struct qn_column *column)
{
    qn_free(column->name);
    qn_free(column->separator);
    qn_free(column->fallback_text);
    qn_path_free(column->path);
    memset(column, 0, sizeof *column);
}
