#include "run/chunk.h"

#include <string.h>

#include "base/mem.h"

struct node {
    int64_t from_ms, to_ms;
    uint32_t previous, next; /* leaves in plan order */
    uint32_t child;          /* SPLIT: the first half; the second is child + 1 */
    uint32_t root;           /* chunk of the first cut, from 0 */
    uint8_t state;
    bool refetched;
};

struct qn_tree {
    struct qn_tree_spec spec;
    struct node *nodes; /* [0] is the ring's end: its next is the first leaf */
    size_t count, capacity;
    size_t roots; /* chunks of the first cut are nodes 1 .. roots, in order */
    uint64_t leaves;
    uint64_t states[QN_LEAF_STATES];
    uint32_t open; /* no leaf before this one in plan order is OPEN; 0: none is */
};

static int too_many(const struct qn_tree *tree, struct qn_err *err)
{
    (void)tree;
    return qn_fail(err, QN_ELIMIT, "more than %d leaves; narrow the range or use larger chunks", QN_TREE_MAX_LEAVES);
}

static int reserve(struct qn_tree *tree, size_t extra, struct qn_err *err)
{
    if (tree->leaves + extra > QN_TREE_MAX_LEAVES) return too_many(tree, err);
    if (tree->count + extra <= tree->capacity) return 0;
    size_t capacity = tree->capacity > 0 ? tree->capacity * 2 : 16;
    struct node *nodes = qn_realloc(tree->nodes, capacity * sizeof *nodes);
    if (!nodes) return qn_fail(err, QN_ENOMEM, "out of memory for the chunk tree");
    tree->nodes = nodes;
    tree->capacity = capacity;
    return 0;
}

/* Puts a new OPEN leaf behind `previous` in plan order; room is reserved. */
static uint32_t insert(struct qn_tree *tree, uint32_t previous, int64_t from_ms, int64_t to_ms, uint32_t root)
{
    uint32_t id = (uint32_t)tree->count++;
    uint32_t next = tree->nodes[previous].next;
    tree->nodes[id] = (struct node){
        .from_ms = from_ms, .to_ms = to_ms, .previous = previous, .next = next, .root = root, .state = QN_LEAF_OPEN};
    tree->nodes[previous].next = id;
    tree->nodes[next].previous = id;
    tree->leaves++;
    tree->states[QN_LEAF_OPEN]++;
    return id;
}

static int append_root(struct qn_tree *tree, int64_t from_ms, int64_t to_ms, struct qn_err *err)
{
    int rc = reserve(tree, 1, err);
    if (rc < 0) return rc;
    insert(tree, tree->nodes[0].previous, from_ms, to_ms, (uint32_t)tree->roots++);
    return 0;
}

static int check_spec(const struct qn_tree_spec *spec, struct qn_err *err)
{
    if (!spec->by_time) {
        return spec->count > 0 ? 0 : qn_fail(err, QN_EINVAL, "there is nothing to fetch: no items");
    }
    char from[QN_TIME_TEXT_SIZE], to[QN_TIME_TEXT_SIZE];
    qn_time_format(spec->from_ms, 3, from);
    qn_time_format(spec->to_ms, 3, to);
    if (spec->grain_ms < 1) return qn_fail(err, QN_EINVAL, "the grain of a chunk must be at least one millisecond");
    if (spec->from_ms >= spec->to_ms) return qn_fail(err, QN_EINVAL, "the range %s to %s is empty", from, to);
    if (qn_time_floor(spec->from_ms, spec->grain_ms) != spec->from_ms ||
        qn_time_floor(spec->to_ms, spec->grain_ms) != spec->to_ms) {
        return qn_fail(err, QN_EINVAL, "the range %s to %s is not on the grain of %lld ms; round its edges", from, to,
                       (long long)spec->grain_ms);
    }
    if (spec->align_ms > spec->grain_ms && spec->align_ms % spec->grain_ms != 0) {
        return qn_fail(err, QN_EINVAL, "splits at multiples of %lld ms are not on the grain of %lld ms",
                       (long long)spec->align_ms, (long long)spec->grain_ms);
    }
    return 0;
}

/* Steps are counted from `from` (from + k * size), so that months of different length do not drift. */
static int cut(struct qn_tree *tree, struct qn_err *err)
{
    const struct qn_tree_spec *spec = &tree->spec;
    int64_t start = spec->from_ms;
    for (int64_t k = 1; spec->has_size && start < spec->to_ms; k++) {
        int64_t edge;
        if (qn_time_add(spec->from_ms, &spec->size, k, &edge) < 0) break; /* beyond what time can say: the rest */
        edge = qn_time_floor(edge, spec->grain_ms);
        if (edge >= spec->to_ms) break;
        if (k > 2 * (int64_t)QN_TREE_MAX_LEAVES && edge <= start) {
            return qn_fail(err, QN_EINVAL, "the size of a chunk is too small for its grain");
        }
        if (edge <= start) continue; /* a size below the grain */
        int rc = append_root(tree, start, edge, err);
        if (rc < 0) return rc;
        start = edge;
    }
    return append_root(tree, start, spec->to_ms, err);
}

static int cut_at_edges(struct qn_tree *tree, struct qn_err *err)
{
    const struct qn_tree_spec *spec = &tree->spec;
    int64_t start = spec->from_ms;
    for (size_t i = 0; i < spec->edge_count; i++) {
        int64_t edge = spec->edges[i];
        char text[QN_TIME_TEXT_SIZE];
        qn_time_format(edge, 3, text);
        if (edge <= start || edge >= spec->to_ms) {
            return qn_fail(err, QN_EINVAL, "the edge %s of a chunk is out of order or outside the range", text);
        }
        if (qn_time_floor(edge, spec->grain_ms) != edge) {
            return qn_fail(err, QN_EINVAL, "the edge %s of a chunk is not on the grain of %lld ms; use a smaller grain",
                           text, (long long)spec->grain_ms);
        }
        int rc = append_root(tree, start, edge, err);
        if (rc < 0) return rc;
        start = edge;
    }
    return append_root(tree, start, spec->to_ms, err);
}

static int plant(struct qn_tree *tree, struct qn_err *err)
{
    int rc = reserve(tree, 1, err);
    if (rc < 0) return rc;
    tree->nodes[0] = (struct node){.state = QN_LEAF_SPLIT};
    tree->count = 1;
    if (tree->spec.edge_count > 0) return cut_at_edges(tree, err);
    if (tree->spec.by_time) return cut(tree, err);
    if (tree->spec.count > QN_TREE_MAX_LEAVES) return too_many(tree, err);
    for (uint64_t i = 0; rc == 0 && i < tree->spec.count; i++) rc = append_root(tree, 0, 0, err);
    return rc;
}

int qn_tree_new(const struct qn_tree_spec *spec, struct qn_tree **out, struct qn_err *err)
{
    int rc = check_spec(spec, err);
    if (rc < 0) return rc;
    struct qn_tree *tree = qn_calloc(1, sizeof *tree);
    if (!tree) return qn_fail(err, QN_ENOMEM, "out of memory for the chunk tree");
    tree->spec = *spec;
    if (tree->spec.align_ms < spec->grain_ms) tree->spec.align_ms = spec->grain_ms;
    if (tree->spec.floor_ms < tree->spec.align_ms) tree->spec.floor_ms = tree->spec.align_ms;
    rc = plant(tree, err);
    tree->spec.edges = NULL;
    if (rc < 0) {
        qn_tree_free(tree);
        return rc;
    }
    tree->open = tree->nodes[0].next;
    *out = tree;
    return 0;
}

void qn_tree_free(struct qn_tree *tree)
{
    if (!tree) return;
    qn_free(tree->nodes);
    qn_free(tree);
}

bool qn_tree_has(const struct qn_tree *tree, uint64_t leaf)
{
    return leaf > 0 && leaf < tree->count;
}

bool qn_tree_by_time(const struct qn_tree *tree)
{
    return tree->spec.by_time;
}

void qn_tree_span(const struct qn_tree *tree, int64_t *from_ms, int64_t *to_ms)
{
    *from_ms = tree->spec.from_ms;
    *to_ms = tree->spec.to_ms;
}

static void set_state(struct qn_tree *tree, uint32_t leaf, enum qn_leaf_state state)
{
    tree->states[tree->nodes[leaf].state]--;
    tree->states[state]++;
    tree->nodes[leaf].state = (uint8_t)state;
}

/* Plan order of two leaves. */
static bool before(const struct qn_tree *tree, uint32_t a, uint32_t b)
{
    const struct node *left = &tree->nodes[a], *right = &tree->nodes[b];
    return left->root != right->root ? left->root < right->root : left->from_ms < right->from_ms;
}

static void opened(struct qn_tree *tree, uint32_t leaf)
{
    if (tree->open == 0 || before(tree, leaf, tree->open)) tree->open = leaf;
}

uint32_t qn_tree_take(struct qn_tree *tree)
{
    while (tree->open && tree->nodes[tree->open].state != QN_LEAF_OPEN) tree->open = tree->nodes[tree->open].next;
    uint32_t leaf = tree->open;
    if (leaf == 0) return 0;
    tree->open = tree->nodes[leaf].next;
    set_state(tree, leaf, QN_LEAF_RUNNING);
    return leaf;
}

static int find_middle(const struct qn_tree *tree, uint32_t leaf, int64_t *middle, struct qn_err *err)
{
    const struct qn_tree_spec *spec = &tree->spec;
    const struct node *node = &tree->nodes[leaf];
    if (node->state != QN_LEAF_RUNNING)
        return qn_fail(err, QN_ESTATE, "leaf %u is not running: it cannot be split", leaf);
    if (!spec->by_time || !spec->may_split) return qn_fail(err, QN_EDENIED, "this query cannot be split");
    int64_t from = node->from_ms, to = node->to_ms;
    *middle = qn_time_floor(from + (to - from) / 2, spec->align_ms);
    if (*middle - from < spec->floor_ms || to - *middle < spec->floor_ms) {
        return qn_fail(err, QN_ERANGE, "half of the chunk would be below the floor of %lld ms",
                       (long long)spec->floor_ms);
    }
    return 0;
}

int qn_tree_split(struct qn_tree *tree, uint32_t leaf, uint32_t *first, uint32_t *second, struct qn_err *err)
{
    int64_t middle = 0;
    int rc = find_middle(tree, leaf, &middle, err);
    if (rc < 0) return rc;
    if (tree->leaves + 1 > QN_TREE_MAX_LEAVES) return too_many(tree, err);
    tree->leaves--; /* the leaf itself ends */
    rc = reserve(tree, 2, err);
    if (rc < 0) {
        tree->leaves++;
        return rc;
    }
    struct node *node = &tree->nodes[leaf];
    int64_t from = node->from_ms, to = node->to_ms;
    uint32_t previous = node->previous, next = node->next, root = node->root;
    bool cursor_here = tree->open == leaf;
    set_state(tree, leaf, QN_LEAF_SPLIT);
    tree->nodes[previous].next = next;
    tree->nodes[next].previous = previous;
    *first = insert(tree, previous, from, middle, root);
    *second = insert(tree, *first, middle, to, root);
    tree->nodes[leaf].child = *first;
    tree->nodes[*first].refetched = tree->nodes[*second].refetched = tree->nodes[leaf].refetched;
    if (cursor_here)
        tree->open = *first;
    else
        opened(tree, *first);
    return 0;
}

static bool allowed(enum qn_leaf_state from, enum qn_leaf_state to)
{
    switch (to) {
    case QN_LEAF_WHOLE: return from == QN_LEAF_RUNNING;
    case QN_LEAF_COMMITTED: return from == QN_LEAF_WHOLE;
    case QN_LEAF_OPEN:
    case QN_LEAF_HOLE: return from == QN_LEAF_RUNNING || from == QN_LEAF_WHOLE;
    default: return false;
    }
}

int qn_tree_move(struct qn_tree *tree, uint32_t leaf, enum qn_leaf_state state, struct qn_err *err)
{
    static const char *const names[QN_LEAF_STATES] = {"open", "running", "whole", "committed", "a hole", "split"};
    enum qn_leaf_state now = tree->nodes[leaf].state;
    if (!allowed(now, state)) {
        return qn_fail(err, QN_ESTATE, "leaf %u is %s: it cannot become %s", leaf, names[now], names[state]);
    }
    set_state(tree, leaf, state);
    if (state == QN_LEAF_OPEN) opened(tree, leaf);
    return 0;
}

enum qn_leaf_state qn_tree_state(const struct qn_tree *tree, uint32_t leaf)
{
    return tree->nodes[leaf].state;
}

void qn_tree_range(const struct qn_tree *tree, uint32_t leaf, int64_t *from_ms, int64_t *to_ms)
{
    *from_ms = tree->nodes[leaf].from_ms;
    *to_ms = tree->nodes[leaf].to_ms;
}

uint64_t qn_tree_index(const struct qn_tree *tree, uint32_t leaf)
{
    return tree->nodes[leaf].root;
}

bool qn_tree_refetched(const struct qn_tree *tree, uint32_t leaf)
{
    return tree->nodes[leaf].refetched;
}

void qn_tree_mark_refetched(struct qn_tree *tree, uint32_t leaf)
{
    tree->nodes[leaf].refetched = true;
}

uint32_t qn_tree_first(const struct qn_tree *tree)
{
    return tree->nodes[0].next;
}

uint32_t qn_tree_front(const struct qn_tree *tree, uint32_t leaf)
{
    while (leaf && tree->nodes[leaf].state == QN_LEAF_SPLIT) leaf = tree->nodes[leaf].child;
    return leaf;
}

uint32_t qn_tree_next(const struct qn_tree *tree, uint32_t leaf)
{
    while (leaf && tree->nodes[leaf].state == QN_LEAF_SPLIT) leaf = tree->nodes[leaf].child + 1;
    return tree->nodes[leaf].next;
}

uint32_t qn_tree_at(const struct qn_tree *tree, int64_t ms)
{
    if (!tree->spec.by_time || ms < tree->spec.from_ms || ms >= tree->spec.to_ms) return 0;
    size_t low = 1, high = tree->roots; /* the last root that does not begin after ms */
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;
        if (tree->nodes[middle].from_ms <= ms)
            low = middle;
        else
            high = middle - 1;
    }
    uint32_t leaf = (uint32_t)low;
    while (tree->nodes[leaf].state == QN_LEAF_SPLIT) {
        uint32_t child = tree->nodes[leaf].child;
        leaf = ms < tree->nodes[child + 1].from_ms ? child : child + 1;
    }
    return leaf;
}

size_t qn_tree_nodes(const struct qn_tree *tree)
{
    return tree->count - 1;
}

uint64_t qn_tree_count(const struct qn_tree *tree, enum qn_leaf_state state)
{
    return tree->states[state];
}

bool qn_tree_tiled(const struct qn_tree *tree)
{
    const struct qn_tree_spec *spec = &tree->spec;
    int64_t edge = spec->from_ms;
    uint64_t leaves = 0;
    for (uint32_t leaf = qn_tree_first(tree); leaf; leaf = qn_tree_next(tree, leaf), leaves++) {
        const struct node *node = &tree->nodes[leaf];
        if (!spec->by_time) {
            if (node->root != leaves) return false;
            continue;
        }
        if (node->from_ms != edge || node->to_ms <= edge) return false;
        if (qn_time_floor(node->to_ms, spec->grain_ms) != node->to_ms) return false;
        edge = node->to_ms;
    }
    return leaves == tree->leaves && (spec->by_time ? edge == spec->to_ms : leaves == spec->count);
}
