/* A text whose elements of one array are shown while it is read: what leads to the array is read container by
 * container, everything else by the loop of build.c. */
#include "json/builder.h"

/* Folded, an element keeps the nodes of its two ends. */
static void show(struct qn_builder *b, qn_node element)
{
    b->watch->element(b->watch->self, b->doc, element);
    if (!b->watch->fold || !(b->nodes[element].offset & QN_NODE_OPENS)) return;
    b->nodes[element + 1] = b->node[-1];
    b->nodes[element].skip = element + 1;
    b->node = &b->nodes[element + 2];
}

static int read_elements(struct qn_builder *b, uint32_t *children)
{
    enum qn_want want = QN_WANT_FIRST_VALUE;
    if (b->text[*b->at] == ']') return QN_OK;
    for (;;) {
        qn_node element = (qn_node)(b->node - b->nodes);
        int rc = qn_builder_value(b, want);
        if (rc < 0) return rc;
        show(b, element);
        ++*children;
        if (b->text[*b->at] != ',') return QN_OK;
        want = QN_WANT_VALUE;
        rc = qn_builder_byte(b, want);
        if (rc < 0) return rc;
    }
}

static int read_watched(struct qn_builder *b, enum qn_want want, size_t level);

/* A member of an object on the way to the array. */
static int read_member(struct qn_builder *b, enum qn_want want, size_t level)
{
    struct qn_doc_watch *watch = b->watch;
    qn_node key = (qn_node)(b->node - b->nodes);
    int rc = qn_builder_key(b, want);
    if (rc < 0) return rc;
    struct qn_span name = watch->names[level];
    if (!qn_doc_string_equals(b->doc, key, name.data, name.size)) return qn_builder_value(b, QN_WANT_VALUE);
    if (watch->shown) watch->forget(watch->self); /* the last of duplicates wins */
    watch->shown = false;
    return read_watched(b, QN_WANT_VALUE, level + 1);
}

static int read_members(struct qn_builder *b, size_t level, uint32_t *children)
{
    enum qn_want want = QN_WANT_FIRST_KEY;
    if (b->text[*b->at] == '}') return QN_OK;
    for (;;) {
        int rc = read_member(b, want, level);
        if (rc < 0) return rc;
        ++*children;
        if (b->text[*b->at] != ',') return QN_OK;
        want = QN_WANT_KEY;
        rc = qn_builder_byte(b, want);
        if (rc < 0) return rc;
    }
}

/* The value that so many names lead to: an object on the way, the array itself, or neither. Recursion is as deep as
 * there are names. */
static int read_watched(struct qn_builder *b, enum qn_want want, size_t level)
{
    bool array = level == b->watch->count;
    uint32_t children = 0;
    if (b->text[*b->at] != (array ? '[' : '{')) return qn_builder_value(b, want);
    b->watch->shown = array;
    int rc = qn_builder_open(b, array ? QN_WANT_FIRST_VALUE : QN_WANT_FIRST_KEY);
    if (rc < 0) return rc;
    rc = array ? read_elements(b, &children) : read_members(b, level, &children);
    if (rc < 0) return rc;
    if (b->text[*b->at] != (array ? ']' : '}')) return qn_builder_unexpected(b, QN_WANT_BEHIND_VALUE, *b->at);
    return qn_builder_close(b, children);
}

int qn_doc_build(struct qn_doc *doc, const struct qn_index *index, struct qn_doc_watch *watch, struct qn_err *err)
{
    struct qn_builder b;
    int rc = qn_builder_init(&b, doc, index, err);
    b.watch = watch;
    if (rc == 0) rc = qn_builder_gap(&b, QN_WANT_VALUE, 0);
    if (rc == 0) rc = watch ? read_watched(&b, QN_WANT_VALUE, 0) : qn_builder_value(&b, QN_WANT_VALUE);
    if (rc == 0 && *b.at != b.size) rc = qn_builder_unexpected(&b, QN_WANT_BEHIND_VALUE, *b.at);
    if (rc == 0) qn_builder_done(&b);
    return rc;
}
