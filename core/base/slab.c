/* slab.c - see slab.h. */
#include "base/slab.h"

#include <string.h>

#include "base/mem.h"

#ifdef __SANITIZE_ADDRESS__
enum { LIMIT = 0 };
#else
enum { LIMIT = QN_SLAB_LIMIT };
#endif

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

static size_t rounded(size_t size)
{
    return (size + QN_SLAB_STEP - 1) & ~(size_t)(QN_SLAB_STEP - 1);
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

static void *take(struct qn_slab *slab, size_t size)
{
    if (size > LIMIT) return qn_malloc(size);
    size = rounded(size);
    void **list = &slab->free[size / QN_SLAB_STEP], *block = *list;
    if (!block) return cut(slab, size);
    *list = *(void **)block;
    return block;
}

static void give(struct qn_slab *slab, void *block, size_t size)
{
    if (size > LIMIT) {
        qn_free(block);
        return;
    }
    void **list = &slab->free[rounded(size) / QN_SLAB_STEP];
    *(void **)block = *list;
    *list = block;
}

void *qn_slab_realloc(struct qn_slab *slab, void *ptr, size_t before, size_t size)
{
    if (!ptr) return size ? take(slab, size) : NULL;
    if (size == 0) {
        give(slab, ptr, before);
        return NULL;
    }
    if (before > LIMIT && size > LIMIT) return qn_realloc(ptr, size);
    if (before <= LIMIT && size <= LIMIT && rounded(before) == rounded(size)) return ptr;
    void *moved = take(slab, size);
    if (!moved) return NULL;
    memcpy(moved, ptr, before < size ? before : size);
    give(slab, ptr, before);
    return moved;
}
