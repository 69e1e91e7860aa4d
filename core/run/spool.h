/* spool.h - append-only bytes that live in memory while they are few and on disk when they are many.
 *
 * A pool shares one memory budget and one temporary file among many spools. The file is made when first needed, in a
 * directory that is made if missing, and has no name any more when qn_spool_pool_file returns: whatever happens to the
 * process, nothing is left behind. Blocks of a spool that is cleared are used again, so the file is never larger than
 * what was spooled at one time. Main thread only.
 *
 *     struct qn_spool spool;
 *     qn_spool_init(&spool, pool, 16 << 20);
 *     qn_spool_add(&spool, row, size, err) ...; qn_spool_seal(&spool, err);
 *     qn_spool_read(&spool, offset, buffer, size, err) ...; qn_spool_clear(&spool);                                */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QN_SPOOL_BLOCK ((size_t)64 << 10)

struct qn_spool_pool;

/* dir is copied. memory: bytes that all spools of the pool may hold in memory together. NULL without memory. */
struct qn_spool_pool *qn_spool_pool_new(const char *dir, size_t memory);
void qn_spool_pool_free(struct qn_spool_pool *pool);              /* its spools are cleared before; NULL is fine */
uint64_t qn_spool_pool_written(const struct qn_spool_pool *pool); /* bytes that went to disk so far */
size_t qn_spool_pool_memory(const struct qn_spool_pool *pool);    /* bytes held in memory now */
/* What others hold of the pool's memory (hold.h). */
bool qn_spool_pool_has_room(const struct qn_spool_pool *pool, size_t bytes);
void qn_spool_pool_take(struct qn_spool_pool *pool, size_t bytes);
void qn_spool_pool_give(struct qn_spool_pool *pool, size_t bytes);
/* A new temporary file without a name, for reading and writing: a descriptor or QN_EIO. The caller closes it. */
int qn_spool_pool_file(struct qn_spool_pool *pool, struct qn_err *err);
/* Into and out of such a file, whole. QN_EIO. */
int qn_spool_pool_write(struct qn_spool_pool *pool, int fd, const char *data, size_t size, uint64_t offset,
                        struct qn_err *err);
int qn_spool_pool_read(const struct qn_spool_pool *pool, int fd, char *out, size_t size, uint64_t offset,
                       struct qn_err *err);

struct qn_spool_block {
    char *memory;    /* NULL: on disk */
    uint64_t extent; /* on disk: number of its block in the file */
};

struct qn_spool {
    struct qn_spool_pool *pool;
    struct qn_spool_block *blocks;
    size_t count, capacity;
    size_t in_memory_from; /* blocks before this one are on disk */
    size_t held;           /* bytes of memory in blocks */
    size_t limit;          /* of `held`; beyond it full blocks go to disk */
    uint64_t size;
};

void qn_spool_init(struct qn_spool *spool, struct qn_spool_pool *pool, size_t limit);
/* QN_EIO (a full disk: names the directory and what to do), QN_ENOMEM. After a failure only clear makes sense. */
int qn_spool_add(struct qn_spool *spool, const void *data, size_t size, struct qn_err *err);
/* Nothing is added any more: gives back what the last block does not use. */
int qn_spool_seal(struct qn_spool *spool, struct qn_err *err);
/* offset + size must lie within the spool. */
int qn_spool_read(const struct qn_spool *spool, uint64_t offset, void *out, size_t size, struct qn_err *err);
void qn_spool_clear(struct qn_spool *spool); /* empty and usable again */

/* Reads a spool from its front in pieces of any size, each in one place. */
struct qn_spool_reader {
    const struct qn_spool *spool;
    uint64_t offset; /* of the first byte behind the buffer's content */
    char *buffer;
    size_t capacity, start, end;
};
void qn_spool_reader_init(struct qn_spool_reader *reader, const struct qn_spool *spool); /* borrows the spool */
void qn_spool_reader_free(struct qn_spool_reader *reader);
/* The next `size` bytes, valid until the next call. */
int qn_spool_reader_next(struct qn_spool_reader *reader, size_t size, const char **out, struct qn_err *err);
