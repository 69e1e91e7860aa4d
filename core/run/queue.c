#include "run/queue.h"

#include <string.h>

#include "base/mem.h"
#include "run/spool.h"

#define HELD ((size_t)4 << 20)  /* bytes in memory; more goes to disk */
#define TAKE ((size_t)64 << 10) /* bytes taken at once, unless a row is longer */

struct queue {
    struct qn_sink sink; /* first: the class sees this */
    struct qn_spool_pool *pool;
    struct qn_spool spools[2];
    struct qn_spool *in, *out; /* rows are added to `in`; when `out` has been read they change places */
    uint64_t committed;        /* bytes of `in` */
    uint64_t end, at;          /* of `out`: what may be read, what has been */
    char *text;
    size_t capacity;
};

static struct queue *of(const struct qn_sink *sink)
{
    return (struct queue *)sink;
}

static int leaf_begin(struct qn_sink *sink, uint64_t leaf, struct qn_err *err)
{
    (void)sink, (void)leaf, (void)err;
    return 0;
}

static int rows(struct qn_sink *sink, const char *data, size_t size, uint64_t row_count, struct qn_err *err)
{
    int rc = qn_spool_add(of(sink)->in, data, size, err);
    if (rc < 0) return rc;
    sink->rows_written += row_count;
    sink->bytes_written += size;
    return 0;
}

static int leaf_end(struct qn_sink *sink, struct qn_err *err)
{
    (void)sink, (void)err;
    return 0;
}

static int commit(struct qn_sink *sink, struct qn_err *err)
{
    (void)err;
    of(sink)->committed = of(sink)->in->size;
    return 0;
}

static void keep(struct qn_sink *sink)
{
    (void)sink;
}

static void discard(struct qn_sink *sink)
{
    struct queue *queue = of(sink);
    qn_spool_clear(queue->in);
    qn_spool_clear(queue->out);
    queue->committed = queue->end = queue->at = 0;
}

static const char *partial_path(const struct qn_sink *sink)
{
    (void)sink;
    return "";
}

static void free_queue(struct qn_sink *sink)
{
    struct queue *queue = of(sink);
    discard(sink);
    qn_spool_pool_free(queue->pool);
    qn_free(queue->text);
    qn_free(queue);
}

static const struct qn_sink_class queue_class = {
    .leaf_begin = leaf_begin,
    .rows = rows,
    .leaf_end = leaf_end,
    .commit = commit,
    .seal = commit,
    .publish = commit,
    .withdraw = discard,
    .keep = keep,
    .discard = discard,
    .partial_path = partial_path,
    .free = free_queue,
};

int qn_queue_new(const char *dir, struct qn_sink **out, struct qn_err *err)
{
    struct queue *queue = qn_calloc(1, sizeof *queue);
    if (queue) queue->pool = qn_spool_pool_new(dir, HELD);
    if (!queue || !queue->pool) {
        qn_free(queue);
        return qn_fail(err, QN_ENOMEM, "out of memory for the rows of a run");
    }
    queue->sink.class = &queue_class;
    queue->in = &queue->spools[0];
    queue->out = &queue->spools[1];
    qn_spool_init(queue->in, queue->pool, HELD);
    qn_spool_init(queue->out, queue->pool, HELD);
    *out = &queue->sink;
    return 0;
}

bool qn_queue_is(const struct qn_sink *sink)
{
    return sink->class == &queue_class;
}

uint64_t qn_queue_waiting(const struct qn_sink *sink)
{
    const struct queue *queue = of(sink);
    return queue->committed + queue->end - queue->at;
}

/* What was committed may be read; the other spool takes what comes. */
static int change_places(struct queue *queue, struct qn_err *err)
{
    struct qn_spool *full = queue->in;
    int rc = qn_spool_seal(full, err);
    if (rc < 0) return rc;
    qn_spool_clear(queue->out);
    queue->in = queue->out;
    queue->out = full;
    queue->end = queue->committed;
    queue->at = queue->committed = 0;
    return 0;
}

static int reserve(struct queue *queue, size_t size, struct qn_err *err)
{
    if (size <= queue->capacity) return 0;
    char *text = qn_realloc(queue->text, size);
    if (!text) return qn_fail(err, QN_ENOMEM, "out of memory for a row of %zu bytes", size);
    queue->text = text;
    queue->capacity = size;
    return 0;
}

int qn_queue_take(struct qn_sink *sink, const char **text, size_t *size, struct qn_err *err)
{
    struct queue *queue = of(sink);
    *size = 0;
    if (queue->at == queue->end) {
        int rc = queue->committed > 0 ? change_places(queue, err) : 0;
        if (rc < 0 || queue->at == queue->end) return rc;
    }
    for (size_t wanted = TAKE;; wanted *= 2) {
        uint64_t left = queue->end - queue->at;
        size_t part = left < wanted ? (size_t)left : wanted;
        int rc = reserve(queue, part, err);
        if (rc == 0) rc = qn_spool_read(queue->out, queue->at, queue->text, part, err);
        if (rc < 0) return rc;
        const char *last = memrchr(queue->text, '\n', part);
        if (!last && part < left) continue; /* a long row */
        *text = queue->text;
        *size = last ? (size_t)(last - queue->text) + 1 : part;
        queue->at += *size;
        return 0;
    }
}
