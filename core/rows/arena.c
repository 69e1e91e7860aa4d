#include "rows/arena.h"

#include <string.h>

#include "base/mem.h"

enum { BLOCK_SIZE = 4096 };

struct qn_arena_block {
    struct qn_arena_block *next;
    size_t size;
    char data[];
};

void qn_arena_init(struct qn_arena *arena)
{
    arena->first = NULL;
    arena->used = 0;
}

static void free_from(struct qn_arena_block *block)
{
    while (block) {
        struct qn_arena_block *next = block->next;
        qn_free(block);
        block = next;
    }
}

void qn_arena_free(struct qn_arena *arena)
{
    free_from(arena->first);
    qn_arena_init(arena);
}

void qn_arena_reset(struct qn_arena *arena)
{
    arena->used = 0;
    if (!arena->first) return;
    free_from(arena->first->next);
    arena->first->next = NULL;
}

void *qn_arena_take(struct qn_arena *arena, size_t size)
{
    if (!arena->first || arena->first->size - arena->used < size) {
        size_t wanted = size > BLOCK_SIZE ? size : BLOCK_SIZE;
        if (wanted > (size_t)-1 / 2) return NULL;
        struct qn_arena_block *block = qn_malloc(sizeof *block + wanted);
        if (!block) return NULL;
        block->next = arena->first;
        block->size = wanted;
        arena->first = block;
        arena->used = 0;
    }
    void *piece = arena->first->data + arena->used;
    arena->used += size;
    return piece;
}

char *qn_arena_copy(struct qn_arena *arena, const void *data, size_t size)
{
    char *copy = qn_arena_take(arena, size);
    if (copy && size > 0) memcpy(copy, data, size);
    return copy;
}
