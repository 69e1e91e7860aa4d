#include "run/sequencer.h"

#include <string.h>

#include "base/mem.h"
#include "run/check.h"
#include "run/failed.h"
#include "run/sequencer_state.h"

#define LEAF_MEMORY ((size_t)16 << 20)
#define MEMORY      ((size_t)64 << 20)
#define KEYS_MEMORY ((size_t)256 << 10) /* of committed leaves' keys */

void qn_advance_free(struct qn_advance *advance)
{
    qn_free(advance->committed);
    for (size_t i = 0; i < advance->failed_count; i++) qn_free(advance->failed[i]);
    qn_free(advance->failed);
    *advance = (struct qn_advance){0};
}

static int begin_run(struct qn_sequencer *sequencer, struct qn_err *err)
{
    struct qn_store *store = sequencer->store;
    if (!store) return 0;
    struct qn_stored_run run = {.id = sequencer->run, .by_time = qn_tree_by_time(sequencer->tree)};
    qn_tree_span(sequencer->tree, &run.from_ms, &run.to_ms);
    return store->class->run_begin(store, &run, err);
}

static int set_up(struct qn_sequencer *sequencer, const struct qn_sequencer_options *options, struct qn_err *err)
{
    struct qn_leaf_rules *rules = &sequencer->rules;
    rules->pool = qn_spool_pool_new(options->spool_dir, options->memory > 0 ? options->memory : MEMORY);
    sequencer->run = qn_strdup(options->run ? options->run : "");
    if (!rules->pool || !sequencer->run) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
    qn_spool_init(&sequencer->keys, rules->pool, KEYS_MEMORY);
    qn_tree_span(options->tree, &rules->from_ms, &rules->to_ms);
    rules->key = options->key;
    rules->owner = options->owner && qn_tree_by_time(options->tree);
    rules->order = options->order;
    rules->memory = options->leaf_memory > 0 ? options->leaf_memory : LEAF_MEMORY;
    sequencer->head = qn_tree_first(options->tree);
    return begin_run(sequencer, err);
}

int qn_sequencer_new(const struct qn_sequencer_options *options, struct qn_sequencer **out, struct qn_err *err)
{
    struct qn_sequencer *sequencer = qn_calloc(1, sizeof *sequencer);
    if (!sequencer) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
    sequencer->tree = options->tree;
    sequencer->sink = options->sink;
    sequencer->quarantine = options->quarantine;
    sequencer->store = options->store;
    int rc = set_up(sequencer, options, err);
    if (rc < 0) {
        sequencer->closed = true; /* the sink is the caller's still */
        qn_sequencer_free(sequencer);
        return rc;
    }
    *out = sequencer;
    return 0;
}

void qn_sequencer_free(struct qn_sequencer *sequencer)
{
    if (!sequencer) return;
    qn_sequencer_close(sequencer, QN_END_DISCARD, NULL);
    for (size_t i = 0; i < sequencer->slot_count; i++) qn_leaf_free(sequencer->slots[i].live);
    while (sequencer->lists) {
        struct qn_disowned *list = sequencer->lists;
        sequencer->lists = list->next;
        qn_disowned_free(list);
    }
    for (size_t i = 0; i < sequencer->hole_count; i++) qn_free(sequencer->holes[i].reason);
    qn_free(sequencer->holes);
    if (sequencer->keys.pool) qn_spool_clear(&sequencer->keys);
    qn_free(sequencer->slots);
    qn_free(sequencer->run);
    qn_spool_pool_free(sequencer->rules.pool);
    qn_free(sequencer);
}

static int need_slot(struct qn_sequencer *sequencer, uint32_t leaf, struct qn_err *err)
{
    if (leaf < sequencer->slot_count) return 0;
    size_t nodes = qn_tree_nodes(sequencer->tree) + 1, twice = sequencer->slot_count * 2;
    size_t count = nodes > twice ? nodes : twice;
    struct qn_slot *slots = qn_realloc(sequencer->slots, count * sizeof *slots);
    if (!slots) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
    memset(slots + sequencer->slot_count, 0, (count - sequencer->slot_count) * sizeof *slots);
    sequencer->slots = slots;
    sequencer->slot_count = count;
    return 0;
}

static struct qn_leaf *live(struct qn_sequencer *sequencer, uint32_t leaf)
{
    return leaf < sequencer->slot_count ? sequencer->slots[leaf].live : NULL;
}

static void drop(struct qn_sequencer *sequencer, uint32_t id)
{
    struct qn_leaf *leaf = live(sequencer, id);
    if (!leaf) return;
    if (leaf->sink && !sequencer->closed && leaf->sink->class->leaf_undo(leaf->sink, &sequencer->why) < 0) {
        sequencer->broken = true;
    }
    qn_check_forget(sequencer, leaf);
    qn_leaf_free(leaf);
    sequencer->slots[id].live = NULL;
}

/* The first leaf that is not committed need not wait: its rows go to the sink as they come, if the sink can take them
 * back when the leaf is split, begins again or fails. */
static int deliver_head(struct qn_sequencer *sequencer, struct qn_err *err)
{
    uint32_t head = qn_tree_front(sequencer->tree, sequencer->head);
    struct qn_leaf *leaf = head ? live(sequencer, head) : NULL;
    if (!leaf || leaf->sink || !sequencer->sink->can_undo || sequencer->broken) return 0;
    int rc = qn_leaf_deliver(leaf, sequencer->sink, err);
    if (rc < 0) sequencer->broken = true;
    return rc;
}

int qn_sequencer_begin(struct qn_sequencer *sequencer, uint32_t id, struct qn_err *err)
{
    if (sequencer->closed) return qn_fail(err, QN_ESTATE, "the run is closed");
    if (qn_tree_state(sequencer->tree, id) != QN_LEAF_RUNNING) {
        return qn_fail(err, QN_ESTATE, "leaf %u is not running: its walk cannot begin", id);
    }
    int rc = need_slot(sequencer, id, err);
    if (rc < 0) return rc;
    drop(sequencer, id);
    int64_t from_ms, to_ms;
    qn_tree_range(sequencer->tree, id, &from_ms, &to_ms);
    sequencer->slots[id].live = qn_leaf_new(&sequencer->rules, id, from_ms, to_ms);
    if (!sequencer->slots[id].live) return qn_fail(err, QN_ENOMEM, "out of memory for a leaf");
    return deliver_head(sequencer, err);
}

/* A leaf that takes pages: begun, and not finished. */
static int need_running(struct qn_sequencer *sequencer, uint32_t id, struct qn_leaf **leaf, struct qn_err *err)
{
    *leaf = live(sequencer, id);
    if (!sequencer->closed && *leaf && qn_tree_state(sequencer->tree, id) == QN_LEAF_RUNNING) return 0;
    return qn_fail(err, QN_ESTATE, "leaf %u takes no pages: its walk has not begun or is over", id);
}

int qn_sequencer_add(struct qn_sequencer *sequencer, uint32_t id, uint32_t page, struct qn_batch *batch,
                     struct qn_err *err)
{
    struct qn_leaf *leaf;
    int rc = need_running(sequencer, id, &leaf, err);
    if (rc < 0) return rc;
    if (page == 0) return qn_fail(err, QN_EINVAL, "pages count from 1");
    rc = qn_leaf_add(leaf, page, batch, err);
    if (rc < 0 && leaf->sink) sequencer->broken = true;
    return rc;
}

int qn_sequencer_finish(struct qn_sequencer *sequencer, uint32_t id, uint32_t pages, struct qn_leaf_facts *facts,
                        struct qn_err *err)
{
    struct qn_leaf *leaf;
    int rc = need_running(sequencer, id, &leaf, err);
    if (rc == 0) rc = qn_leaf_finish(leaf, pages, err);
    if (rc == 0) rc = qn_tree_move(sequencer->tree, id, QN_LEAF_WHOLE, err);
    if (rc < 0) return rc;
    qn_check_watch(sequencer, leaf);
    if (facts) *facts = leaf->facts;
    return 0;
}

void qn_sequencer_discard(struct qn_sequencer *sequencer, uint32_t id)
{
    if (qn_tree_has(sequencer->tree, id) && qn_tree_state(sequencer->tree, id) != QN_LEAF_WHOLE) drop(sequencer, id);
}

static void stored_leaf(const struct qn_sequencer *sequencer, uint32_t id, uint64_t rows, struct qn_stored_leaf *out)
{
    *out = (struct qn_stored_leaf){.leaf = id, .rows = rows, .sink_bytes = sequencer->sink->bytes_written};
    qn_tree_range(sequencer->tree, id, &out->from_ms, &out->to_ms);
}

int qn_sequencer_hole(struct qn_sequencer *sequencer, uint32_t id, const char *reason, struct qn_err *err)
{
    if (sequencer->hole_count == sequencer->hole_capacity) {
        size_t capacity = sequencer->hole_capacity > 0 ? sequencer->hole_capacity * 2 : 8;
        struct qn_hole *holes = qn_realloc(sequencer->holes, capacity * sizeof *holes);
        if (!holes) return qn_fail(err, QN_ENOMEM, "out of memory for the holes of the run");
        sequencer->holes = holes;
        sequencer->hole_capacity = capacity;
    }
    struct qn_hole hole = {.leaf = id, .reason = qn_strdup(reason)};
    if (!hole.reason) return qn_fail(err, QN_ENOMEM, "out of memory for the holes of the run");
    qn_tree_range(sequencer->tree, id, &hole.from_ms, &hole.to_ms);
    sequencer->holes[sequencer->hole_count++] = hole;
    return 0;
}

int qn_sequencer_fail(struct qn_sequencer *sequencer, uint32_t id, const char *reason, struct qn_err *err)
{
    int rc = qn_tree_move(sequencer->tree, id, QN_LEAF_HOLE, err);
    if (rc < 0) return rc;
    drop(sequencer, id);
    rc = qn_sequencer_hole(sequencer, id, reason, err);
    if (rc < 0 || !sequencer->store) return rc;
    struct qn_stored_leaf leaf;
    stored_leaf(sequencer, id, 0, &leaf);
    return sequencer->store->class->leaf_failed(sequencer->store, sequencer->run, &leaf, reason, err);
}

static bool settled(const struct qn_sequencer *sequencer, uint32_t leaf)
{
    enum qn_leaf_state state = qn_tree_state(sequencer->tree, leaf);
    return state == QN_LEAF_WHOLE || state == QN_LEAF_COMMITTED || state == QN_LEAF_HOLE;
}

static int note_commit(struct qn_sequencer *sequencer, const struct qn_leaf *leaf, struct qn_advance *out,
                       struct qn_err *err)
{
    if (out->count == out->capacity) {
        size_t capacity = out->capacity > 0 ? out->capacity * 2 : 8;
        uint32_t *committed = qn_realloc(out->committed, capacity * sizeof *committed);
        if (!committed) return qn_fail(err, QN_ENOMEM, "out of memory for the run");
        out->committed = committed;
        out->capacity = capacity;
    }
    out->committed[out->count++] = leaf->id;
    struct qn_leaf_facts *sum = &sequencer->facts;
    sum->records += leaf->facts.records;
    sum->rows += leaf->facts.rows;
    sum->failed += leaf->facts.failed;
    sum->duplicates += leaf->facts.duplicates;
    sum->disowned += leaf->facts.disowned;
    sum->outside += leaf->facts.outside;
    sum->no_key += leaf->facts.no_key;
    sum->no_owner += leaf->facts.no_owner;
    return 0;
}

/* 1: the sink is full; the next call goes on. */
static int commit_leaf(struct qn_sequencer *sequencer, struct qn_leaf *leaf, struct qn_advance *out, struct qn_err *err)
{
    uint32_t id = leaf->id;
    struct qn_sink *sink = sequencer->sink;
    int rc = leaf->sink && !leaf->delivering ? 0 : qn_leaf_deliver(leaf, sink, err);
    if (rc == 1) return rc;
    if (rc == 0) rc = sink->class->leaf_end(sink, err);
    if (rc == 0) rc = qn_failed_commit(sequencer, leaf, out, err);
    if (rc == 0 && leaf->disorder) rc = qn_sequencer_hole(sequencer, id, leaf->disorder, err);
    if (rc == 0) rc = qn_keylist_copy(&leaf->key_list, &leaf->keys, &sequencer->keys, &sequencer->slots[id].keys, err);
    if (rc == 0) rc = note_commit(sequencer, leaf, out, err);
    if (rc == 0) rc = qn_tree_move(sequencer->tree, id, QN_LEAF_COMMITTED, err);
    if (rc < 0) return rc;
    sequencer->slots[id].rows = leaf->facts.rows;
    leaf->disowned = NULL; /* watched until the owners have committed */
    qn_leaf_free(leaf);
    sequencer->slots[id].live = NULL;
    qn_check_committed(sequencer, id);
    return 0;
}

/* 1: committed; 0: asked for once more, or the sink is full. */
static int settle_leaf(struct qn_sequencer *sequencer, uint32_t id, struct qn_advance *out, struct qn_err *err)
{
    struct qn_leaf *leaf = live(sequencer, id);
    int rc = leaf->delivering ? 0 : qn_check_leaf(sequencer, leaf, err);
    if (rc < 0) return rc;
    if (rc == 0) {
        rc = commit_leaf(sequencer, leaf, out, err);
        out->full = rc == 1;
        return rc < 0 ? rc : !out->full;
    }
    drop(sequencer, id);
    qn_tree_mark_refetched(sequencer->tree, id);
    rc = qn_tree_move(sequencer->tree, id, QN_LEAF_OPEN, err);
    out->refetch = id;
    return rc;
}

static int settle_leaves(struct qn_sequencer *sequencer, struct qn_advance *out, struct qn_err *err)
{
    struct qn_tree *tree = sequencer->tree;
    bool waits = sequencer->rules.key && sequencer->rules.owner; /* only then can a neighbour ask for more of a leaf */
    uint32_t head;
    while ((head = sequencer->head = qn_tree_front(tree, sequencer->head)) != 0) {
        enum qn_leaf_state state = qn_tree_state(tree, head);
        uint32_t next = qn_tree_next(tree, head);
        if (state == QN_LEAF_WHOLE) {
            if (waits && next && !settled(sequencer, next)) return 0;
            int rc = settle_leaf(sequencer, head, out, err);
            if (rc <= 0) return rc;
        } else if (state != QN_LEAF_COMMITTED && state != QN_LEAF_HOLE) {
            return 0;
        }
        sequencer->head = next;
    }
    return 0;
}

/* The sink first: the store tells what the sink holds, never more. */
static int tell_store(struct qn_sequencer *sequencer, const struct qn_advance *done, struct qn_err *err)
{
    struct qn_store *store = sequencer->store;
    for (size_t i = 0; store && i < done->count; i++) {
        struct qn_stored_leaf leaf;
        stored_leaf(sequencer, done->committed[i], sequencer->slots[done->committed[i]].rows, &leaf);
        int rc = store->class->leaf_committed(store, sequencer->run, &leaf, err);
        if (rc < 0) return rc;
    }
    return 0;
}

int qn_sequencer_advance(struct qn_sequencer *sequencer, struct qn_advance *out, struct qn_err *err)
{
    *out = (struct qn_advance){0};
    if (sequencer->why.code != 0) {
        if (err) *err = sequencer->why;
        return sequencer->why.code;
    }
    if (sequencer->closed || sequencer->broken) {
        return qn_fail(err, QN_ESTATE, "the run %s: nothing can be committed",
                       sequencer->closed ? "is closed" : "has failed");
    }
    int rc = settle_leaves(sequencer, out, err);
    if (rc == 0 && out->count > 0) rc = sequencer->sink->class->commit(sequencer->sink, err);
    if (rc == 0 && out->count > 0) rc = qn_failed_flush(sequencer, err);
    if (rc == 0) rc = tell_store(sequencer, out, err);
    if (rc == 0) rc = deliver_head(sequencer, err);
    if (rc < 0) {
        sequencer->broken = true;
        qn_advance_free(out);
    }
    return rc;
}

static void discard(struct qn_sequencer *sequencer)
{
    struct qn_sink *quarantine = sequencer->quarantine;
    sequencer->sink->class->discard(sequencer->sink);
    if (quarantine) quarantine->class->discard(quarantine);
}

static void keep(struct qn_sequencer *sequencer)
{
    struct qn_sink *quarantine = sequencer->quarantine;
    sequencer->sink->class->keep(sequencer->sink);
    if (quarantine) quarantine->class->keep(quarantine);
}

static int publish(struct qn_sequencer *sequencer, struct qn_err *err)
{
    struct qn_tree *tree = sequencer->tree;
    uint64_t left =
        qn_tree_count(tree, QN_LEAF_OPEN) + qn_tree_count(tree, QN_LEAF_RUNNING) + qn_tree_count(tree, QN_LEAF_WHOLE);
    int rc = 0;
    if (sequencer->broken)
        rc = qn_fail(err, QN_ESTATE, "the run has failed: it cannot be published");
    else if (left > 0) {
        rc = qn_fail(err, QN_ESTATE, "%llu leaves are not committed: the run cannot be published",
                     (unsigned long long)left);
    }
    if (rc == 0) return qn_failed_publish(sequencer, err);
    discard(sequencer);
    return rc;
}

int qn_sequencer_close(struct qn_sequencer *sequencer, enum qn_sequencer_end end, struct qn_err *err)
{
    if (sequencer->closed) return qn_fail(err, QN_ESTATE, "the run is closed already");
    struct qn_store *store = sequencer->store;
    enum qn_run_end outcome = QN_RUN_DROPPED;
    int rc = 0;
    if (end == QN_END_PUBLISH) {
        rc = publish(sequencer, err);
        if (rc == 0) outcome = sequencer->hole_count > 0 ? QN_RUN_INCOMPLETE : QN_RUN_COMPLETE;
    } else if (end == QN_END_KEEP) {
        keep(sequencer);
        outcome = QN_RUN_INCOMPLETE;
    } else {
        discard(sequencer);
    }
    sequencer->closed = true;
    for (uint32_t i = 0; i < sequencer->slot_count; i++) drop(sequencer, i);
    int stored = store ? store->class->run_end(store, sequencer->run, outcome, rc == 0 ? err : NULL) : 0;
    return rc < 0 ? rc : stored;
}

void qn_sequencer_facts(const struct qn_sequencer *sequencer, struct qn_sequencer_facts *out)
{
    out->leaves = sequencer->facts;
    out->spooled_bytes = qn_spool_pool_written(sequencer->rules.pool);
}

size_t qn_sequencer_held(const struct qn_sequencer *sequencer)
{
    return qn_spool_pool_memory(sequencer->rules.pool);
}

const struct qn_hole *qn_sequencer_holes(const struct qn_sequencer *sequencer, size_t *count)
{
    *count = sequencer->hole_count;
    return sequencer->holes;
}
