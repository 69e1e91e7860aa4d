/* slab.h - small blocks for one thread that makes and drops many: a free list for each size, filled from large chunks.
 *
 * Cheaper than malloc because nothing is shared and the owner knows each block's size. What is freed is reused by
 * blocks of the same size only, and the chunks go back when the slab ends. One thread at a time. Under AddressSanitizer
 * each block is one of malloc's, so that it can be watched. */
#pragma once

#include <stddef.h>

#define QN_SLAB_STEP  16  /* sizes are rounded up to this */
#define QN_SLAB_LIMIT 512 /* larger blocks are malloc's */

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
