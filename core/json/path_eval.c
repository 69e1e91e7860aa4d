/* Evaluation (RFC 9535 §2.1.2): segment by segment, each turning a list of nodes into the next one. Recursion only
 * follows the nesting of filters in the path, which QN_PATH_MAX_DEPTH bounds. */
#include <string.h>

#include "base/mem.h"
#include "json/doc_internal.h"
#include "json/path_internal.h"

#define MAX_NODES ((size_t)1 << 24)

void qn_nodes_init(struct qn_nodes *list)
{
    *list = (struct qn_nodes){0};
}

void qn_nodes_free(struct qn_nodes *list)
{
    qn_free(list->nodes);
    qn_nodes_init(list);
}

int qn_nodes_grow(struct qn_nodes *list)
{
    if (list->count >= MAX_NODES) return QN_ELIMIT;
    size_t capacity = list->capacity ? list->capacity * 2 : 16;
    qn_node *nodes = qn_realloc(list->nodes, capacity * sizeof *nodes);
    if (!nodes) return QN_ENOMEM;
    list->nodes = nodes;
    list->capacity = capacity;
    return QN_OK;
}

static bool run_filter(struct qn_path_eval *e, const struct qn_expr *expr, qn_node current);

static qn_node element(const struct qn_doc *doc, qn_node array, int64_t index)
{
    if (qn_doc_kind(doc, array) != QN_ARRAY) return QN_NONE;
    if (index < 0) index += (int64_t)qn_doc_count(doc, array);
    return index < 0 ? QN_NONE : qn_doc_at(doc, array, (size_t)index);
}

/* One name or index from one node. */
static qn_node single(const struct qn_doc *doc, const struct qn_selector *s, qn_node node)
{
    qn_node found;
    if (s->kind == QN_SELECT_INDEX) return element(doc, node, s->index);
    return qn_doc_find(doc, node, s->name.data, s->name.size, &found) ? found : QN_NONE;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

static void reverse(qn_node *nodes, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        qn_node swap = nodes[i];
        nodes[i] = nodes[count - 1 - i];
        nodes[count - 1 - i] = swap;
    }
}

/* RFC 9535 §2.3.4.2.2. Children are read forwards; a negative step turns what it found around. */
static int slice(struct qn_path_eval *e, const struct qn_selector *s, qn_node node, struct qn_nodes *out)
{
    if (qn_doc_kind(e->doc, node) != QN_ARRAY || s->step == 0) return QN_OK;
    int64_t count = (int64_t)qn_doc_count(e->doc, node), step = s->step < 0 ? -s->step : s->step;
    bool down = s->step < 0;
    int64_t start = s->has_start ? s->start : down ? count - 1 : 0;
    int64_t end = s->has_end ? s->end : down ? -count - 1 : count;
    if (start < 0) start += count;
    if (end < 0) end += count;
    int64_t first = down ? clamp(end, -1, count - 1) + 1 : clamp(start, 0, count);
    int64_t last = down ? clamp(start, -1, count - 1) : clamp(end, 0, count) - 1;
    size_t before = out->count;
    int64_t i = 0;
    for (qn_node n = qn_doc_first(e->doc, node); n != QN_NONE && i <= last; n = qn_doc_next(e->doc, node, n), i++) {
        if (i < first || (down ? last - i : i - first) % step != 0) continue;
        int rc = qn_nodes_push(out, n);
        if (rc < 0) return rc;
    }
    if (down && out->count > before) reverse(out->nodes + before, out->count - before);
    return QN_OK;
}

static int children(struct qn_path_eval *e, const struct qn_selector *s, qn_node node, struct qn_nodes *out)
{
    for (qn_node n = qn_doc_first(e->doc, node); n != QN_NONE; n = qn_doc_next(e->doc, node, n)) {
        bool wanted = s->kind == QN_SELECT_ALL || run_filter(e, s->filter, n);
        int rc = e->rc < 0 ? e->rc : wanted ? qn_nodes_push(out, n) : QN_OK;
        if (rc < 0) return rc;
    }
    return QN_OK;
}

static int apply(struct qn_path_eval *e, const struct qn_selector *s, qn_node node, struct qn_nodes *out)
{
    int rc = QN_OK;
    for (; s && rc == 0; s = s->next) {
        if (s->kind == QN_SELECT_SLICE) {
            rc = slice(e, s, node, out);
        } else if (s->kind == QN_SELECT_ALL || s->kind == QN_SELECT_FILTER) {
            rc = children(e, s, node, out);
        } else {
            qn_node found = single(e->doc, s, node);
            if (found != QN_NONE) rc = qn_nodes_push(out, found);
        }
    }
    return rc;
}

/* The node and its descendants are one run of nodes in the order the RFC wants; keys, scalars and closing nodes
 * among them have no children, so only opening nodes matter. */
static int descend(struct qn_path_eval *e, const struct qn_selector *s, qn_node node, struct qn_nodes *out)
{
    qn_node behind = qn_doc_behind(e->doc, node);
    int rc = QN_OK;
    for (; node < behind && rc == 0; node++)
        if (qn_doc_opens(e->doc, node)) rc = apply(e, s, node, out);
    return rc;
}

int qn_path_segment(struct qn_path_eval *e, const struct qn_segment *segment, qn_node node, struct qn_nodes *out)
{
    return segment->descendant ? descend(e, segment->selectors, node, out) : apply(e, segment->selectors, node, out);
}

static int run_segment(struct qn_path_eval *e, const struct qn_segment *segment, const struct qn_nodes *in,
                       struct qn_nodes *out)
{
    int rc = QN_OK;
    out->count = 0;
    for (size_t i = 0; i < in->count && rc == 0; i++) rc = qn_path_segment(e, segment, in->nodes[i], out);
    return rc;
}

/* Follows the single segments a query begins with; *rest is what remains. */
static qn_node walk(const struct qn_doc *doc, const struct qn_query *query, qn_node node,
                    const struct qn_segment **rest)
{
    const struct qn_segment *segment = query->segments;
    for (; segment && segment->single && node != QN_NONE; segment = segment->next)
        node = single(doc, segment->selectors, node);
    *rest = segment;
    return node;
}

/* From a node on, the segments that remain. */
static int run_rest(struct qn_path_eval *e, const struct qn_segment *segment, qn_node node, struct qn_nodes *list)
{
    struct qn_nodes other;
    list->count = 0;
    if (node == QN_NONE) return QN_OK;
    int rc = qn_nodes_push(list, node);
    qn_nodes_init(&other);
    for (; segment && rc == 0; segment = segment->next) {
        rc = run_segment(e, segment, list, &other);
        struct qn_nodes swap = *list;
        *list = other;
        other = swap;
    }
    qn_nodes_free(&other);
    if (rc < 0) list->count = 0;
    return rc;
}

int qn_path_run(struct qn_path_eval *e, const struct qn_query *query, qn_node current, struct qn_nodes *list)
{
    const struct qn_segment *rest;
    qn_node node = walk(e->doc, query, query->absolute ? e->root : current, &rest);
    return run_rest(e, rest, node, list);
}

static bool exists(struct qn_path_eval *e, const struct qn_query *query, qn_node current)
{
    const struct qn_segment *rest;
    if (query->singular) return walk(e->doc, query, query->absolute ? e->root : current, &rest) != QN_NONE;
    struct qn_nodes list;
    qn_nodes_init(&list);
    int rc = qn_path_run(e, query, current, &list);
    bool any = list.count > 0;
    qn_nodes_free(&list);
    if (rc < 0 && e->rc == 0) e->rc = rc;
    return any;
}

struct qn_path_value qn_path_value_of(struct qn_path_eval *e, const struct qn_operand *o, qn_node current)
{
    const struct qn_segment *rest;
    if (o->is == QN_OPERAND_LITERAL) return (struct qn_path_value){.is = QN_IS_LITERAL, .literal = o};
    if (o->is == QN_OPERAND_CALL) return qn_path_call_value(e, o->call, current);
    qn_node node = walk(e->doc, &o->query, o->query.absolute ? e->root : current, &rest);
    return (struct qn_path_value){.is = node == QN_NONE ? QN_IS_NOTHING : QN_IS_NODE, .node = node};
}

/* `query == "text"`, by which most filters choose. */
static bool is_named(struct qn_path_eval *e, const struct qn_expr *expr, qn_node current)
{
    const struct qn_segment *rest;
    qn_node node = walk(e->doc, &expr->a.query, expr->a.query.absolute ? e->root : current, &rest);
    return node != QN_NONE && qn_doc_byte(e->doc, node) == '"' &&
           qn_doc_string_equals(e->doc, node, expr->b.text.data, expr->b.text.size);
}

static bool run_filter(struct qn_path_eval *e, const struct qn_expr *expr, qn_node current)
{
    for (; e->rc == 0; expr = expr->right) {
        switch (expr->kind) {
        case QN_EXPR_OR:
            if (run_filter(e, expr->left, current)) return true;
            break;
        case QN_EXPR_AND:
            if (!run_filter(e, expr->left, current)) return false;
            break;
        case QN_EXPR_NOT: return !run_filter(e, expr->left, current);
        case QN_EXPR_CALL: return qn_path_call_test(e, expr->a.call, current);
        case QN_EXPR_EXISTS: return exists(e, &expr->query, current);
        case QN_EXPR_COMPARE:
            if (expr->names) return is_named(e, expr, current);
            return qn_path_compare(e->doc, expr->compare, qn_path_value_of(e, &expr->a, current),
                                   qn_path_value_of(e, &expr->b, current));
        }
    }
    return false;
}

int qn_path_select(const struct qn_path *path, const struct qn_doc *doc, qn_node start, struct qn_nodes *list)
{
    struct qn_path_eval e = {.doc = doc, .root = start};
    return qn_path_run(&e, &path->query, start, list);
}

qn_node qn_path_one(const struct qn_path *path, const struct qn_doc *doc, qn_node start)
{
    const struct qn_segment *rest;
    return path->query.singular ? walk(doc, &path->query, start, &rest) : QN_NONE;
}
