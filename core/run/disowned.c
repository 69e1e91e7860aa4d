#include "run/disowned.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define RUN_SIZE (QN_DISOWNED_RUN * sizeof(struct qn_disowned_entry))

struct qn_disowned *qn_disowned_new(struct qn_spool_pool *pool)
{
    struct qn_disowned *list = qn_calloc(1, sizeof *list);
    if (!list) return NULL;
    qn_spool_init(&list->runs, pool, QN_SPOOL_BLOCK);
    list->max_ms = list->checked_ms = INT64_MIN;
    return list;
}

void qn_disowned_free(struct qn_disowned *list)
{
    if (!list) return;
    qn_spool_clear(&list->runs);
    qn_free(list->entries);
    qn_free(list);
}

bool qn_disowned_empty(const struct qn_disowned *list)
{
    return list->count == 0 && list->runs.size == 0;
}

static int by_owner(const void *a, const void *b)
{
    const struct qn_disowned_entry *left = a, *right = b;
    return (left->owner_ms > right->owner_ms) - (left->owner_ms < right->owner_ms);
}

void qn_disowned_seal(struct qn_disowned *list)
{
    if (list->count > 1) qsort(list->entries, list->count, sizeof *list->entries, by_owner);
}

static int reserve(struct qn_disowned *list, struct qn_err *err)
{
    if (list->count < list->capacity) return 0;
    if (list->count == QN_DISOWNED_RUN) {
        qn_disowned_seal(list);
        list->count = 0;
        return qn_spool_add(&list->runs, list->entries, RUN_SIZE, err);
    }
    size_t capacity = list->capacity > 0 ? list->capacity * 2 : 8;
    struct qn_disowned_entry *entries = qn_realloc(list->entries, capacity * sizeof *entries);
    if (!entries) return qn_fail(err, QN_ENOMEM, "out of memory for the disowned records of a leaf");
    list->entries = entries;
    list->capacity = capacity;
    return 0;
}

int qn_disowned_add(struct qn_disowned *list, struct qn_disowned_entry entry, struct qn_err *err)
{
    int rc = reserve(list, err);
    if (rc < 0) return rc;
    list->entries[list->count++] = entry;
    if (entry.owner_ms > list->max_ms) list->max_ms = entry.owner_ms;
    return 0;
}

static int entry_at(const struct qn_disowned *list, uint64_t index, struct qn_disowned_entry *out, struct qn_err *err)
{
    uint64_t spooled = list->runs.size / sizeof *out;
    if (index < spooled) return qn_spool_read(&list->runs, index * sizeof *out, out, sizeof *out, err);
    *out = list->entries[index - spooled];
    return 0;
}

/* One sorted run: entries [low, end). */
static int each_in_run(const struct qn_disowned *list, uint64_t low, uint64_t end, int64_t from_ms, int64_t to_ms,
                       int (*visit)(void *context, const struct qn_disowned_entry *entry, struct qn_err *err),
                       void *context, struct qn_err *err)
{
    struct qn_disowned_entry entry;
    uint64_t high = end;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        int rc = entry_at(list, middle, &entry, err);
        if (rc < 0) return rc;
        if (entry.owner_ms < from_ms)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < end; low++) {
        int rc = entry_at(list, low, &entry, err);
        if (rc < 0) return rc;
        if (entry.owner_ms >= to_ms) break;
        rc = visit(context, &entry, err);
        if (rc != 0) return rc;
    }
    return 0;
}

int qn_disowned_each(const struct qn_disowned *list, int64_t from_ms, int64_t to_ms,
                     int (*visit)(void *context, const struct qn_disowned_entry *entry, struct qn_err *err),
                     void *context, struct qn_err *err)
{
    uint64_t total = list->runs.size / sizeof(struct qn_disowned_entry) + list->count;
    for (uint64_t low = 0; low < total; low += QN_DISOWNED_RUN) {
        uint64_t end = total - low < QN_DISOWNED_RUN ? total : low + QN_DISOWNED_RUN;
        int rc = each_in_run(list, low, end, from_ms, to_ms, visit, context, err);
        if (rc != 0) return rc;
    }
    return 0;
}
