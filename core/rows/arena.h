/* arena.h - memory for what lives as long as one record: taken piece by piece, given back all at once.
 *
 * Pieces never move, so values may point into them until qn_arena_reset. Embedded; one thread at a time. */
#pragma once

#include <stddef.h>

struct qn_arena_block;

struct qn_arena {
    struct qn_arena_block *first; /* the newest block; older ones follow */
    size_t used;                  /* bytes taken from the newest block */
};

void qn_arena_init(struct qn_arena *arena);
void qn_arena_free(struct qn_arena *arena);
void qn_arena_reset(struct qn_arena *arena); /* keeps one block for the next record */
/* Aligned for bytes only. NULL without memory. */
void *qn_arena_take(struct qn_arena *arena, size_t size);
/* NULL means no memory, also for size 0. */
char *qn_arena_copy(struct qn_arena *arena, const void *data, size_t size);
