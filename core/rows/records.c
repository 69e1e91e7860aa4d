#include "rows/records.h"

#include "base/mem.h"

struct walk {
    struct qn_records *records;
    const struct qn_plan *plan;
    const struct qn_doc *doc;
    int (*visit)(void *context, const qn_node *levels);
    void *context;
    struct qn_err *err; /* NULL: a query that cannot be right is overlooked */
};

int qn_records_init(struct qn_records *records, const struct qn_plan *plan)
{
    records->plan = plan;
    records->lists = qn_calloc(plan->level_count, sizeof *records->lists);
    records->levels = qn_calloc(plan->level_count, sizeof *records->levels);
    for (size_t i = 0; i < plan->level_count && records->lists; i++) qn_nodes_init(&records->lists[i]);
    return records->lists && records->levels ? 0 : QN_ENOMEM;
}

void qn_records_free(struct qn_records *records)
{
    for (size_t i = 0; records->lists && i < records->plan->level_count; i++) qn_nodes_free(&records->lists[i]);
    qn_free(records->lists);
    qn_free(records->levels);
}

/* Does a level stop at an array, where the next one looks for members? Without a word there would be no records. An
 * empty array is what some APIs send for an empty object. */
static bool stops_short(const struct walk *walk, size_t level, qn_node node)
{
    return walk->err && qn_doc_kind(walk->doc, node) == QN_ARRAY && qn_doc_first(walk->doc, node) != QN_NONE &&
           qn_path_singular(walk->plan->records[level]) && qn_path_of_object(walk->plan->records[level + 1]);
}

static int descend(struct walk *walk, size_t level, qn_node from);

/* A record of this level: a record, or where those of the next level are. */
static int reach(struct walk *walk, size_t level, qn_node node)
{
    walk->records->levels[level] = node;
    if (level + 1 == walk->plan->level_count) return walk->visit(walk->context, walk->records->levels);
    if (!stops_short(walk, level, node)) return descend(walk, level + 1, node);
    return qn_fail(walk->err, QN_EINVAL,
                   "records[%zu]: the path selects the array itself; end it in [*] for its elements", level + 1);
}

/* As deep as the query has levels of records, which its author wrote by hand. */
static int descend(struct walk *walk, size_t level, qn_node from)
{
    struct qn_nodes *list = &walk->records->lists[level];
    int rc = qn_path_select(walk->plan->records[level], walk->doc, from, list);
    for (size_t i = 0; i < list->count && rc >= 0; i++) rc = reach(walk, level, list->nodes[i]);
    return rc;
}

int qn_records_all(struct qn_records *records, const struct qn_doc *doc,
                   int (*visit)(void *context, const qn_node *levels), void *context, struct qn_err *err)
{
    struct walk walk = {records, records->plan, doc, visit, context, err};
    return descend(&walk, 0, QN_ROOT);
}

int qn_records_below(struct qn_records *records, const struct qn_doc *doc, qn_node item,
                     int (*visit)(void *context, const qn_node *levels), void *context, struct qn_err *err)
{
    struct walk walk = {records, records->plan, doc, visit, context, err};
    return reach(&walk, 0, item);
}

/* A text or a number where records are promised is no answer; null and an empty array are: there are none. */
static bool holds_records(const struct qn_plan *plan, const struct qn_doc *doc, qn_node node)
{
    if (node == QN_NONE) return false;
    enum qn_kind kind = qn_doc_kind(doc, node);
    return !plan->present || kind == QN_ARRAY || kind == QN_OBJECT || kind == QN_NULL;
}

int qn_records_present(const struct qn_plan *plan, const struct qn_doc *doc)
{
    const struct qn_path *path = plan->present ? plan->present : plan->records[0];
    struct qn_nodes list;
    if (qn_path_singular(path)) return holds_records(plan, doc, qn_path_one(path, doc, QN_ROOT));
    qn_nodes_init(&list);
    int rc = qn_path_select(path, doc, QN_ROOT, &list);
    bool present = false;
    for (size_t i = 0; i < list.count && !present; i++) present = holds_records(plan, doc, list.nodes[i]);
    qn_nodes_free(&list);
    return rc < 0 ? rc : present;
}
