/* slab.c - see slab.h. */
#include "base/slab.h"

#include <string.h>

#include "base/mem.h"

#define CHUNK ((size_t)64 << 10)

void qn_slab_init(struct qn_slab *slab)
{
    memset(slab, 0, sizeof *slab);
}

void qn_slab_free(struct qn_slab *slab)
{
    while (slab->chunks) {
        void *before = *(void **)slab->chunks;
        qn_free(slab->chunks);
        slab->chunks = before;
    }
    qn_slab_init(slab);
}

/* The rest of the chunk before is lost: less than a block in 64 KB. */
static void *cut(struct qn_slab *slab, size_t size)
{
    if ((size_t)(slab->end - slab->next) < size) {
        char *chunk = qn_malloc(CHUNK);
        if (!chunk) return NULL;
        *(void **)chunk = slab->chunks;
        slab->chunks = chunk;
        slab->next = chunk + QN_SLAB_STEP; /* behind the link, aligned */
        slab->end = chunk + CHUNK;
    }
    char *block = slab->next;
    slab->next += size;
    return block;
}

void *qn_slab_take_new(struct qn_slab *slab, size_t size)
{
    return size > QN_SLAB_LIMIT ? qn_malloc(size) : cut(slab, qn_slab_list(size) * QN_SLAB_STEP);
}

void qn_slab_give_large(void *block)
{
    qn_free(block);
}

void *qn_slab_realloc(struct qn_slab *slab, void *ptr, size_t before, size_t size)
{
    if (!ptr) return size ? qn_slab_take(slab, size) : NULL;
    if (size == 0) {
        qn_slab_give(slab, ptr, before);
        return NULL;
    }
    if (before > QN_SLAB_LIMIT && size > QN_SLAB_LIMIT) return qn_realloc(ptr, size);
    if (before <= QN_SLAB_LIMIT && size <= QN_SLAB_LIMIT && qn_slab_list(before) == qn_slab_list(size)) return ptr;
    void *moved = qn_slab_take(slab, size);
    if (!moved) return NULL;
    memcpy(moved, ptr, before < size ? before : size);
    qn_slab_give(slab, ptr, before);
    return moved;
}
