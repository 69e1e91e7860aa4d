#include "rows/batch.h"

#include <stdatomic.h>

#include "base/mem.h"
#include "rows/emit.h"

/* The public part comes first, so that a pointer to one is a pointer to the other. */
struct shared_batch {
    struct qn_batch batch;
    atomic_uint references;
};

struct qn_batch *qn_batch_new(void)
{
    struct shared_batch *shared = qn_calloc(1, sizeof *shared);
    if (!shared) return NULL;
    atomic_init(&shared->references, 1);
    return &shared->batch;
}

struct qn_batch *qn_batch_ref(struct qn_batch *batch)
{
    atomic_fetch_add_explicit(&((struct shared_batch *)batch)->references, 1, memory_order_relaxed);
    return batch;
}

void qn_batch_unref(struct qn_batch *batch)
{
    struct shared_batch *shared = (struct shared_batch *)batch;
    if (!shared || atomic_fetch_sub_explicit(&shared->references, 1, memory_order_acq_rel) != 1) return;
    qn_bytes_unref(batch->bytes);
    qn_bytes_unref(batch->failed);
    qn_free(batch->failures);
    qn_free(batch->rows);
    qn_free(shared);
}

static size_t size_of(const struct qn_bytes *bytes)
{
    return bytes ? qn_bytes_size(bytes) + QN_BYTES_PADDING : 0;
}

size_t qn_batch_memory(const struct qn_batch *batch)
{
    return sizeof(struct shared_batch) + batch->row_count * sizeof *batch->rows +
           batch->failure_count * sizeof *batch->failures + size_of(batch->bytes) + size_of(batch->failed);
}

size_t qn_batch_encoded_size(const struct qn_batch *batch)
{
    size_t size = 0;
    for (size_t i = 0; i < batch->row_count; i++) size += batch->rows[i].size;
    return size;
}
