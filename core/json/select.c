#include "json/select.h"

#include <string.h>

#include "base/mem.h"
#include "json/doc_internal.h"
#include "json/path_internal.h"

#define MAX_VISITS ((size_t)1 << 24)

struct edge {
    const struct qn_segment *segment;
    struct step *to;
    size_t slot; /* of selected->found for a name, of selected->lists for another segment */
};

struct edges {
    struct edge *items;
    size_t count;
    uint64_t lengths; /* of the names: bit size % 64 */
};

/* What is wanted of a value. */
struct step {
    struct step *made_before;
    size_t *paths; /* that end here */
    size_t path_count;
    bool inner;           /* there are edges */
    struct edges members; /* .name */
    struct edges deep;    /* ..name */
    struct edges others;  /* every other segment */
};

struct qn_selection {
    struct step *root, *last_made;
    size_t path_count, name_count, list_count;
};

/* compilation: paths to steps */

static struct step *new_step(struct qn_selection *selection)
{
    struct step *step = qn_calloc(1, sizeof *step);
    if (!step) return NULL;
    step->made_before = selection->last_made;
    selection->last_made = step;
    return step;
}

static struct edges *edges_for(struct step *step, const struct qn_segment *segment)
{
    const struct qn_selector *selector = segment->selectors;
    if (selector->kind != QN_SELECT_NAME || selector->next) return &step->others;
    return segment->descendant ? &step->deep : &step->members;
}

static bool same_text(struct qn_span a, struct qn_span b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static struct edge *add_edge(struct qn_selection *selection, struct edges *edges, const struct qn_segment *segment,
                             bool named)
{
    struct edge *items = qn_realloc(edges->items, (edges->count + 1) * sizeof *items);
    if (!items) return NULL;
    edges->items = items;
    struct step *to = new_step(selection);
    if (!to) return NULL;
    if (named) edges->lengths |= UINT64_C(1) << (segment->selectors->name.size % 64);
    size_t slot = named ? selection->name_count++ : selection->list_count++;
    items[edges->count] = (struct edge){segment, to, slot};
    return &items[edges->count++];
}

/* The step behind a segment: one that another path made, or a new one. */
static struct step *follow(struct qn_selection *selection, struct step *step, const struct qn_segment *segment)
{
    struct edges *edges = edges_for(step, segment);
    bool named = edges != &step->others;
    for (size_t i = 0; i < edges->count; i++) {
        const struct qn_segment *other = edges->items[i].segment;
        if (named ? same_text(other->selectors->name, segment->selectors->name)
                  : same_text(other->text, segment->text)) {
            return edges->items[i].to;
        }
    }
    struct edge *edge = add_edge(selection, edges, segment, named);
    step->inner = true;
    return edge ? edge->to : NULL;
}

static int add_path(struct qn_selection *selection, const struct qn_path *path, size_t number)
{
    struct step *step = selection->root;
    for (const struct qn_segment *segment = path->query.segments; segment && step; segment = segment->next)
        step = follow(selection, step, segment);
    size_t *paths = step ? qn_realloc(step->paths, (step->path_count + 1) * sizeof *paths) : NULL;
    if (!paths) return QN_ENOMEM;
    step->paths = paths;
    paths[step->path_count++] = number;
    return QN_OK;
}

int qn_selection_new(const struct qn_path *const *paths, size_t count, struct qn_selection **out)
{
    struct qn_selection *selection = qn_calloc(1, sizeof *selection);
    *out = NULL;
    if (!selection) return QN_ENOMEM;
    selection->path_count = selection->list_count = count;
    selection->root = new_step(selection);
    int rc = selection->root ? QN_OK : QN_ENOMEM;
    for (size_t i = 0; i < count && rc == 0; i++)
        if (paths[i]) rc = add_path(selection, paths[i], i);
    if (rc < 0) {
        qn_selection_free(selection);
        return rc;
    }
    *out = selection;
    return QN_OK;
}

void qn_selection_free(struct qn_selection *selection)
{
    if (!selection) return;
    for (struct step *step = selection->last_made, *before; step; step = before) {
        before = step->made_before;
        qn_free(step->paths);
        qn_free(step->members.items);
        qn_free(step->deep.items);
        qn_free(step->others.items);
        qn_free(step);
    }
    qn_free(selection);
}

int qn_selected_init(struct qn_selected *selected, const struct qn_selection *selection)
{
    selected->list_count = selection->list_count;
    selected->found_count = selection->name_count;
    selected->lists = qn_calloc(selection->list_count + 1, sizeof *selected->lists);
    selected->found = qn_malloc((selection->name_count + 1) * sizeof *selected->found);
    if (!selected->lists || !selected->found) return QN_ENOMEM;
    for (size_t i = 0; i < selected->found_count; i++) selected->found[i] = QN_NONE;
    return QN_OK;
}

void qn_selected_free(struct qn_selected *selected)
{
    for (size_t i = 0; i < selected->list_count && selected->lists; i++) qn_nodes_free(&selected->lists[i]);
    qn_free(selected->lists);
    qn_free(selected->found);
    memset(selected, 0, sizeof *selected);
}

/* the walk: depth first, which gives each list the order of RFC 9535, where a segment turns one node after the other
 * into its result. Each segment goes down at least one level, so the document's depth bounds the recursion, and no
 * step is under way twice. */

struct walk {
    struct qn_path_eval eval;
    struct qn_selected *out;
    size_t visits;
};

static int visit(struct walk *walk, const struct step *step, qn_node node);

static bool note(struct walk *walk, const struct edges *edges, qn_node key)
{
    const struct qn_doc *doc = walk->eval.doc;
    const bool escaped = qn_doc_escaped(doc, key);
    const struct qn_span text = qn_doc_content(doc, key);
    for (size_t i = 0; i < edges->count; i++) {
        struct qn_span name = edges->items[i].segment->selectors->name;
        if (escaped ? !qn_doc_string_equals(doc, key, name.data, name.size) : !same_text(name, text)) continue;
        walk->out->found[edges->items[i].slot] = key + 1; /* the last of duplicates stays */
        return true;
    }
    return false;
}

/* The wanted members of one object. */
static int members(struct walk *walk, const struct edges *edges, qn_node object)
{
    const struct qn_doc_node *nodes = walk->eval.doc->nodes;
    const qn_node end = nodes[object].skip;
    const uint64_t lengths = edges->lengths;
    bool any = false;
    for (qn_node key = object + 1; key != end;) {
        const struct qn_doc_node *node = &nodes[key], *value = node + 1;
        uint32_t size = node->skip - node->offset - 2; /* an escaped name's says nothing */
        /* most keys have a length that no wanted name has, which needs no look at the text */
        if (lengths >> (size % 64) & 1 || node->skip & QN_NODE_ESCAPED) any |= note(walk, edges, key);
        key = value->offset & QN_NODE_OPENS ? value->skip + 1 : key + 2;
    }
    int rc = QN_OK;
    for (size_t i = 0; any && i < edges->count && rc == 0; i++) {
        const struct edge *edge = &edges->items[i];
        qn_node *found = &walk->out->found[edge->slot], value = *found;
        *found = QN_NONE;
        if (value != QN_NONE) rc = visit(walk, edge->to, value);
    }
    return rc;
}

/* The wanted members of the node and of all objects below it: they are one run of nodes in the order of the RFC. */
static int deep_members(struct walk *walk, const struct edges *edges, qn_node node)
{
    const struct qn_doc *doc = walk->eval.doc;
    qn_node behind = qn_doc_behind(doc, node);
    int rc = QN_OK;
    for (; node < behind && rc == 0; node++)
        if (qn_doc_opens(doc, node) && qn_doc_byte(doc, node) == '{') rc = members(walk, edges, node);
    return rc;
}

static int other(struct walk *walk, const struct edge *edge, qn_node node)
{
    struct qn_nodes *list = &walk->out->lists[edge->slot];
    list->count = 0;
    int rc = qn_path_segment(&walk->eval, edge->segment, node, list);
    for (size_t i = 0; i < list->count && rc == 0; i++) rc = visit(walk, edge->to, list->nodes[i]);
    return rc;
}

static int visit_below(struct walk *walk, const struct step *step, qn_node node)
{
    const struct qn_doc *doc = walk->eval.doc;
    bool object = qn_doc_byte(doc, node) == '{';
    int rc = ++walk->visits > MAX_VISITS ? QN_ELIMIT : QN_OK;
    if (step->members.count > 0 && object && rc == 0) rc = members(walk, &step->members, node);
    if (step->deep.count > 0 && rc == 0) rc = deep_members(walk, &step->deep, node);
    for (size_t i = 0; i < step->others.count && rc == 0; i++) rc = other(walk, &step->others.items[i], node);
    return rc;
}

static inline int visit(struct walk *walk, const struct step *step, qn_node node)
{
    int rc = QN_OK;
    for (size_t i = 0; i < step->path_count && rc == 0; i++)
        rc = qn_nodes_push(&walk->out->lists[step->paths[i]], node);
    return rc == 0 && step->inner && qn_doc_opens(walk->eval.doc, node) ? visit_below(walk, step, node) : rc;
}

int qn_selection_run(const struct qn_selection *selection, const struct qn_doc *doc, qn_node start,
                     struct qn_selected *out)
{
    struct walk walk = {.eval = {.doc = doc, .root = start}, .out = out};
    for (size_t i = 0; i < selection->path_count; i++) out->lists[i].count = 0;
    int rc = visit(&walk, selection->root, start);
    if (rc < 0)
        for (size_t i = 0; i < out->found_count; i++) out->found[i] = QN_NONE;
    return rc;
}
