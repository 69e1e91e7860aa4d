#include "store/memory.h"

#include <string.h>

#include "base/mem.h"

struct stored_run {
    struct stored_run *next;
    struct qn_stored_run run; /* run.id is ours */
    struct qn_stored_leaf *leaves;
    size_t count, capacity;
};

struct memory_store {
    struct qn_store store; /* first: the class sees this */
    struct stored_run *runs;
};

static struct stored_run *lookup(struct qn_store *store, const char *id)
{
    for (struct stored_run *run = ((struct memory_store *)store)->runs; run; run = run->next) {
        if (strcmp(run->run.id, id) == 0) return run;
    }
    return NULL;
}

static int need(struct qn_store *store, const char *id, struct stored_run **out, struct qn_err *err)
{
    *out = lookup(store, id);
    return *out ? 0 : qn_fail(err, QN_ENOENT, "there is no run '%s'", id);
}

static int run_begin(struct qn_store *store, const struct qn_stored_run *run, struct qn_err *err)
{
    struct memory_store *memory = (struct memory_store *)store;
    if (lookup(store, run->id)) return qn_fail(err, QN_EEXIST, "there is a run '%s' already", run->id);
    struct stored_run *stored = qn_calloc(1, sizeof *stored);
    char *id = stored ? qn_strdup(run->id) : NULL;
    if (!id) {
        qn_free(stored);
        return qn_fail(err, QN_ENOMEM, "out of memory for the run's state");
    }
    stored->run = (struct qn_stored_run){
        .id = id, .by_time = run->by_time, .from_ms = run->from_ms, .to_ms = run->to_ms, .end = QN_RUN_RUNNING};
    stored->next = memory->runs;
    memory->runs = stored;
    return 0;
}

static int leaf_committed(struct qn_store *store, const char *id, const struct qn_stored_leaf *leaf, struct qn_err *err)
{
    struct stored_run *run;
    int rc = need(store, id, &run, err);
    if (rc < 0) return rc;
    if (run->count == run->capacity) {
        size_t capacity = run->capacity > 0 ? run->capacity * 2 : 16;
        struct qn_stored_leaf *leaves = qn_realloc(run->leaves, capacity * sizeof *leaves);
        if (!leaves) return qn_fail(err, QN_ENOMEM, "out of memory for the run's state");
        run->leaves = leaves;
        run->capacity = capacity;
    }
    run->leaves[run->count++] = *leaf;
    run->run.leaves++;
    run->run.rows += leaf->rows;
    return 0;
}

static int leaf_failed(struct qn_store *store, const char *id, const struct qn_stored_leaf *leaf, const char *reason,
                       struct qn_err *err)
{
    (void)leaf;
    (void)reason;
    struct stored_run *run;
    int rc = need(store, id, &run, err);
    if (rc == 0) run->run.holes++;
    return rc;
}

static int run_end(struct qn_store *store, const char *id, enum qn_run_end end, struct qn_err *err)
{
    struct stored_run *run;
    int rc = need(store, id, &run, err);
    if (rc == 0) run->run.end = end;
    return rc;
}

static int find(struct qn_store *store, const char *id, struct qn_stored_run *out, struct qn_err *err)
{
    struct stored_run *run;
    int rc = need(store, id, &run, err);
    if (rc == 0) *out = run->run;
    return rc;
}

static int leaves(struct qn_store *store, const char *id,
                  int (*visit)(void *context, const struct qn_stored_leaf *leaf), void *context, struct qn_err *err)
{
    struct stored_run *run;
    int rc = need(store, id, &run, err);
    for (size_t i = 0; rc == 0 && i < run->count; i++) rc = visit(context, &run->leaves[i]);
    return rc;
}

static void free_store(struct qn_store *store)
{
    struct memory_store *memory = (struct memory_store *)store;
    while (memory->runs) {
        struct stored_run *run = memory->runs;
        memory->runs = run->next;
        qn_free((char *)run->run.id);
        qn_free(run->leaves);
        qn_free(run);
    }
    qn_free(memory);
}

static const struct qn_store_class memory_class = {
    .run_begin = run_begin,
    .leaf_committed = leaf_committed,
    .leaf_failed = leaf_failed,
    .run_end = run_end,
    .find = find,
    .leaves = leaves,
    .free = free_store,
};

struct qn_store *qn_memory_store_new(void)
{
    struct memory_store *memory = qn_calloc(1, sizeof *memory);
    if (!memory) return NULL;
    memory->store.class = &memory_class;
    return &memory->store;
}
