/* slab.h - small blocks for one thread that makes and drops many: a free list for each size, filled from large chunks.
 *
 * Cheaper than malloc because nothing is shared and the owner knows each block's size. What is freed is reused by
 * blocks of the same size only, and the chunks go back when the slab ends. One thread at a time. Under AddressSanitizer
 * each block is one of malloc's, so that it can be watched. */
#pragma once

#include <stddef.h>

#define QN_SLAB_STEP 16 /* sizes are rounded up to this */
#ifdef __SANITIZE_ADDRESS__
#define QN_SLAB_LIMIT 0
#else
#define QN_SLAB_LIMIT 1024 /* larger blocks are malloc's */
#endif

struct qn_slab {
    void *free[QN_SLAB_LIMIT / QN_SLAB_STEP + 1]; /* by rounded size */
    void *chunks;
    char *next, *end; /* what of the newest chunk is untouched */
};

void qn_slab_init(struct qn_slab *slab);
void qn_slab_free(
    struct qn_slab *slab); /* all blocks up to the limit are gone; larger ones are their owner's to free */

/* As realloc: a block of `size` bytes (0: none, and NULL) with the content of the block of `before` bytes at ptr (NULL:
 * none, `before` says nothing). NULL without memory: ptr is as before. */
void *qn_slab_realloc(struct qn_slab *slab, void *ptr, size_t before, size_t size);
/* Where a free list is empty, or the block is large. */
void *qn_slab_take_new(struct qn_slab *slab, size_t size);
void qn_slab_give_large(void *block);

static inline size_t qn_slab_list(size_t size)
{
    return (size + QN_SLAB_STEP - 1) / QN_SLAB_STEP;
}

/* A block of `size` bytes, not 0; NULL without memory. */
static inline void *qn_slab_take(struct qn_slab *slab, size_t size)
{
    if (size > QN_SLAB_LIMIT) return qn_slab_take_new(slab, size);
    void **list = &slab->free[qn_slab_list(size)], *block = *list;
    if (!block) return qn_slab_take_new(slab, size);
    *list = *(void **)block;
    return block;
}

/* Gives back a block of `size` bytes, not 0. */
static inline void qn_slab_give(struct qn_slab *slab, void *block, size_t size)
{
    if (size > QN_SLAB_LIMIT) {
        qn_slab_give_large(block);
        return;
    }
    void **list = &slab->free[qn_slab_list(size)];
    *(void **)block = *list;
    *list = block;
}
