#include "run/check.h"

void qn_check_watch(struct qn_sequencer *sequencer, struct qn_leaf *leaf)
{
    if (!leaf->disowned) return;
    leaf->disowned->leaf = leaf->id;
    leaf->disowned->next = sequencer->lists;
    sequencer->lists = leaf->disowned;
}

void qn_check_forget(struct qn_sequencer *sequencer, struct qn_leaf *leaf)
{
    for (struct qn_disowned **place = &sequencer->lists; leaf->disowned && *place; place = &(*place)->next) {
        if (*place == leaf->disowned) {
            *place = leaf->disowned->next;
            return;
        }
    }
}

/* Records that the leaf owns, others saw, and it lacks; each key once. */
struct missing {
    const struct qn_leaf *leaf;
    struct qn_keyset keys;
    struct qn_disowned_entry first;
};

static int visit_own(void *context, const struct qn_disowned_entry *entry, struct qn_err *err)
{
    struct missing *missing = context;
    bool found, added;
    int rc = qn_leaf_has(missing->leaf, entry->key, &found, err);
    if (rc < 0 || found) return rc;
    if (missing->keys.count == 0) missing->first = *entry;
    return qn_keyset_add(&missing->keys, entry->key, &added, err);
}

static int note_missing(struct qn_sequencer *sequencer, uint32_t leaf, const struct qn_disowned_entry *first,
                        size_t count, struct qn_err *err)
{
    if (sequencer->slots[leaf].missed) return 0; /* one hole a leaf */
    char time[QN_TIME_TEXT_SIZE];
    struct qn_err text;
    qn_time_format(first->owner_ms, 3, time);
    qn_fail(&text, QN_EINVAL,
            "%zu record%s seen by a neighbour but not delivered by its owner: key hash %016llx%016llx, time %s", count,
            count == 1 ? "" : "s", (unsigned long long)first->key.hi, (unsigned long long)first->key.lo, time);
    sequencer->slots[leaf].missed = true;
    return qn_sequencer_hole(sequencer, leaf, text.text, err);
}

/* An entry whose owner is before the leaf at hand: committed, or a hole that has its name already. */
static int visit_earlier(void *context, const struct qn_disowned_entry *entry, struct qn_err *err)
{
    struct qn_sequencer *sequencer = context;
    uint32_t owner = qn_tree_at(sequencer->tree, entry->owner_ms);
    if (owner == 0 || qn_tree_state(sequencer->tree, owner) != QN_LEAF_COMMITTED) return 0;
    bool found;
    int rc = qn_keylist_has(&sequencer->slots[owner].keys, &sequencer->keys, entry->key, &found, err);
    return rc < 0 || found ? rc : note_missing(sequencer, owner, entry, 1, err);
}

static int check_own(struct qn_sequencer *sequencer, struct qn_leaf *leaf, struct missing *missing, struct qn_err *err)
{
    int rc = 0;
    for (struct qn_disowned *list = sequencer->lists; rc == 0 && list; list = list->next) {
        rc = qn_disowned_each(list, leaf->from_ms, leaf->to_ms, visit_own, missing, err);
    }
    if (rc < 0 || missing->keys.count == 0) return rc;
    if (!qn_tree_refetched(sequencer->tree, leaf->id)) return 1;
    return note_missing(sequencer, leaf->id, &missing->first, missing->keys.count, err);
}

static int check_earlier(struct qn_sequencer *sequencer, const struct qn_leaf *leaf, struct qn_err *err)
{
    int rc = 0;
    for (struct qn_disowned *list = sequencer->lists; rc == 0 && list; list = list->next) {
        if (list->checked_ms < leaf->from_ms) {
            rc = qn_disowned_each(list, list->checked_ms, leaf->from_ms, visit_earlier, sequencer, err);
        }
        list->checked_ms = leaf->to_ms;
    }
    return rc;
}

int qn_check_leaf(struct qn_sequencer *sequencer, struct qn_leaf *leaf, struct qn_err *err)
{
    if (!sequencer->lists) return 0;
    struct missing missing = {.leaf = leaf};
    qn_keyset_init(&missing.keys, sequencer->rules.pool);
    int rc = check_own(sequencer, leaf, &missing, err);
    qn_keyset_free(&missing.keys);
    return rc == 0 ? check_earlier(sequencer, leaf, err) : rc;
}

void qn_check_committed(struct qn_sequencer *sequencer, uint32_t leaf)
{
    int64_t from_ms, to_ms;
    qn_tree_range(sequencer->tree, leaf, &from_ms, &to_ms);
    for (struct qn_disowned **place = &sequencer->lists; *place;) {
        struct qn_disowned *list = *place;
        if (list->max_ms < to_ms && qn_tree_state(sequencer->tree, list->leaf) == QN_LEAF_COMMITTED) {
            *place = list->next;
            qn_disowned_free(list);
        } else {
            place = &list->next;
        }
    }
}
