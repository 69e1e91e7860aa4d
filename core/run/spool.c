#include "run/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define READ_AHEAD ((size_t)256 << 10)

struct qn_spool_pool {
    char *dir;
    size_t memory, held; /* the budget, and what all spools hold */
    int fd;              /* -1 until the first block goes to disk */
    uint64_t extents;    /* blocks of the file */
    uint64_t *unused;    /* stack of blocks whose spools were cleared */
    size_t unused_count, unused_capacity;
    uint64_t written;
};

struct qn_spool_pool *qn_spool_pool_new(const char *dir, size_t memory)
{
    struct qn_spool_pool *pool = qn_calloc(1, sizeof *pool);
    if (!pool) return NULL;
    pool->fd = -1;
    pool->memory = memory;
    pool->dir = qn_strdup(dir);
    if (pool->dir) return pool;
    qn_free(pool);
    return NULL;
}

void qn_spool_pool_free(struct qn_spool_pool *pool)
{
    if (!pool) return;
    if (pool->fd >= 0) close(pool->fd);
    qn_free(pool->unused);
    qn_free(pool->dir);
    qn_free(pool);
}

uint64_t qn_spool_pool_written(const struct qn_spool_pool *pool)
{
    return pool->written;
}

size_t qn_spool_pool_memory(const struct qn_spool_pool *pool)
{
    return pool->held;
}

bool qn_spool_pool_has_room(const struct qn_spool_pool *pool, size_t bytes)
{
    return pool->held + bytes <= pool->memory;
}

void qn_spool_pool_take(struct qn_spool_pool *pool, size_t bytes)
{
    pool->held += bytes;
}

void qn_spool_pool_give(struct qn_spool_pool *pool, size_t bytes)
{
    pool->held -= bytes;
}

int qn_spool_pool_file(struct qn_spool_pool *pool, struct qn_err *err)
{
    static const char name[] = "/spool.XXXXXX";
    bool made = mkdir(pool->dir, 0700) == 0;
    if (!made && errno != EEXIST) {
        return qn_fail_errno(err, QN_EIO, errno,
                             "cannot make the spool directory '%s'; choose another output or set TMPDIR", pool->dir);
    }
    int fd = -1, failed = ENOMEM;
    size_t size = strlen(pool->dir);
    char *path = qn_malloc(size + sizeof name);
    if (path) {
        memcpy(path, pool->dir, size);
        memcpy(path + size, name, sizeof name);
        fd = mkostemp(path, O_CLOEXEC);
        failed = errno;
        if (fd >= 0) unlink(path);
    }
    qn_free(path);
    if (made) rmdir(pool->dir); /* the file lives on without a name */
    if (fd >= 0) return fd;
    return qn_fail_errno(err, QN_EIO, failed, "cannot make a spool file in '%s'; make it writable or set TMPDIR",
                         pool->dir);
}

static int refuse_write(struct qn_spool_pool *pool, int error, struct qn_err *err)
{
    return qn_fail_errno(err, QN_EIO, error, "cannot spool beyond %llu bytes in '%s'; free space there or set TMPDIR",
                         (unsigned long long)pool->written, pool->dir);
}

int qn_spool_pool_write(struct qn_spool_pool *pool, int fd, const char *data, size_t size, uint64_t offset,
                        struct qn_err *err)
{
    while (size > 0) {
        ssize_t n = pwrite(fd, data, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return refuse_write(pool, n < 0 ? errno : ENOSPC, err);
        data += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
        pool->written += (uint64_t)n;
    }
    return 0;
}

int qn_spool_pool_read(const struct qn_spool_pool *pool, int fd, char *out, size_t size, uint64_t offset,
                       struct qn_err *err)
{
    while (size > 0) {
        ssize_t n = pread(fd, out, size, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return qn_fail_errno(err, QN_EIO, n < 0 ? errno : EIO, "cannot read the spool in '%s'", pool->dir);
        out += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

static int take_extent(struct qn_spool_pool *pool, uint64_t *extent, struct qn_err *err)
{
    if (pool->fd < 0) {
        int fd = qn_spool_pool_file(pool, err);
        if (fd < 0) return fd;
        pool->fd = fd;
    }
    *extent = pool->unused_count > 0 ? pool->unused[--pool->unused_count] : pool->extents++;
    return 0;
}

/* Without memory to remember it the block is lost to the run, which is no harm but its space. */
static void give_extent(struct qn_spool_pool *pool, uint64_t extent)
{
    if (pool->unused_count == pool->unused_capacity) {
        size_t capacity = pool->unused_capacity > 0 ? pool->unused_capacity * 2 : 64;
        uint64_t *unused = qn_realloc(pool->unused, capacity * sizeof *unused);
        if (!unused) return;
        pool->unused = unused;
        pool->unused_capacity = capacity;
    }
    pool->unused[pool->unused_count++] = extent;
}

void qn_spool_init(struct qn_spool *spool, struct qn_spool_pool *pool, size_t limit)
{
    *spool = (struct qn_spool){.pool = pool, .limit = limit};
}

static void release(struct qn_spool *spool, size_t bytes)
{
    spool->held -= bytes;
    spool->pool->held -= bytes;
}

/* Every block but the last has QN_SPOOL_BLOCK bytes, also of memory; a sealed last one has only what it uses. */
static size_t used_of(const struct qn_spool *spool, size_t block)
{
    return block + 1 < spool->count ? QN_SPOOL_BLOCK : (size_t)(spool->size - (uint64_t)block * QN_SPOOL_BLOCK);
}

/* The first `upto` blocks go to disk. memory_of_last: what block upto-1 holds. */
static int spill(struct qn_spool *spool, size_t upto, size_t memory_of_last, struct qn_err *err)
{
    for (; spool->in_memory_from < upto; spool->in_memory_from++) {
        struct qn_spool_block *block = &spool->blocks[spool->in_memory_from];
        size_t used = used_of(spool, spool->in_memory_from);
        uint64_t extent;
        int rc = take_extent(spool->pool, &extent, err);
        if (rc < 0) return rc;
        rc = qn_spool_pool_write(spool->pool, spool->pool->fd, block->memory, used, extent * QN_SPOOL_BLOCK, err);
        if (rc < 0) {
            give_extent(spool->pool, extent);
            return rc;
        }
        qn_free(block->memory);
        *block = (struct qn_spool_block){.extent = extent};
        release(spool, spool->in_memory_from + 1 == upto ? memory_of_last : QN_SPOOL_BLOCK);
    }
    return 0;
}

static bool crowded(const struct qn_spool *spool, size_t more)
{
    return spool->held + more > spool->limit || !qn_spool_pool_has_room(spool->pool, more);
}

static int add_block(struct qn_spool *spool, struct qn_err *err)
{
    if (crowded(spool, QN_SPOOL_BLOCK)) {
        int rc = spill(spool, spool->count, QN_SPOOL_BLOCK, err);
        if (rc < 0) return rc;
    }
    if (spool->count == spool->capacity) {
        size_t capacity = spool->capacity > 0 ? spool->capacity * 2 : 4;
        struct qn_spool_block *blocks = qn_realloc(spool->blocks, capacity * sizeof *blocks);
        if (!blocks) return qn_fail(err, QN_ENOMEM, "out of memory for the spool");
        spool->blocks = blocks;
        spool->capacity = capacity;
    }
    char *memory = qn_malloc(QN_SPOOL_BLOCK);
    if (!memory) return qn_fail(err, QN_ENOMEM, "out of memory for the spool");
    spool->blocks[spool->count++] = (struct qn_spool_block){.memory = memory};
    spool->held += QN_SPOOL_BLOCK;
    spool->pool->held += QN_SPOOL_BLOCK;
    return 0;
}

int qn_spool_add(struct qn_spool *spool, const void *data, size_t size, struct qn_err *err)
{
    const char *bytes = data;
    while (size > 0) {
        size_t at = (size_t)(spool->size % QN_SPOOL_BLOCK);
        int rc = at == 0 ? add_block(spool, err) : 0;
        if (rc < 0) return rc;
        size_t n = QN_SPOOL_BLOCK - at < size ? QN_SPOOL_BLOCK - at : size;
        memcpy(spool->blocks[spool->count - 1].memory + at, bytes, n);
        spool->size += n;
        bytes += n;
        size -= n;
    }
    return 0;
}

int qn_spool_seal(struct qn_spool *spool, struct qn_err *err)
{
    if (spool->count == 0 || !spool->blocks[spool->count - 1].memory) return 0;
    struct qn_spool_block *last = &spool->blocks[spool->count - 1];
    size_t used = used_of(spool, spool->count - 1);
    if (used < QN_SPOOL_BLOCK) {
        char *memory = qn_realloc(last->memory, used);
        if (!memory) return qn_fail(err, QN_ENOMEM, "out of memory for the spool");
        last->memory = memory;
        release(spool, QN_SPOOL_BLOCK - used);
    }
    return crowded(spool, 0) ? spill(spool, spool->count, used, err) : 0;
}

int qn_spool_read(const struct qn_spool *spool, uint64_t offset, void *out, size_t size, struct qn_err *err)
{
    char *bytes = out;
    if (offset > spool->size || size > spool->size - offset) {
        return qn_fail(err, QN_ERANGE, "read of %zu bytes at %llu of a spool of %llu", size, (unsigned long long)offset,
                       (unsigned long long)spool->size);
    }
    while (size > 0) {
        const struct qn_spool_block *block = &spool->blocks[offset / QN_SPOOL_BLOCK];
        size_t at = (size_t)(offset % QN_SPOOL_BLOCK);
        size_t n = QN_SPOOL_BLOCK - at < size ? QN_SPOOL_BLOCK - at : size;
        if (block->memory) {
            memcpy(bytes, block->memory + at, n);
        } else {
            int rc =
                qn_spool_pool_read(spool->pool, spool->pool->fd, bytes, n, block->extent * QN_SPOOL_BLOCK + at, err);
            if (rc < 0) return rc;
        }
        bytes += n;
        offset += n;
        size -= n;
    }
    return 0;
}

void qn_spool_clear(struct qn_spool *spool)
{
    for (size_t i = 0; i < spool->count; i++) {
        if (spool->blocks[i].memory)
            qn_free(spool->blocks[i].memory);
        else
            give_extent(spool->pool, spool->blocks[i].extent);
    }
    qn_free(spool->blocks);
    if (spool->pool) release(spool, spool->held);
    qn_spool_init(spool, spool->pool, spool->limit);
}

void qn_spool_reader_init(struct qn_spool_reader *reader, const struct qn_spool *spool)
{
    *reader = (struct qn_spool_reader){.spool = spool};
}

void qn_spool_reader_free(struct qn_spool_reader *reader)
{
    qn_free(reader->buffer);
    reader->buffer = NULL;
}

/* Room for `size` bytes in one place, with what is unread moved to the front. */
static int make_room(struct qn_spool_reader *reader, size_t size, struct qn_err *err)
{
    size_t kept = reader->end - reader->start;
    if (kept > 0) memmove(reader->buffer, reader->buffer + reader->start, kept);
    reader->start = 0;
    reader->end = kept;
    if (size <= reader->capacity) return 0;
    size_t capacity = size > READ_AHEAD ? size : READ_AHEAD;
    char *buffer = qn_realloc(reader->buffer, capacity);
    if (!buffer) return qn_fail(err, QN_ENOMEM, "out of memory to read the spool");
    reader->buffer = buffer;
    reader->capacity = capacity;
    return 0;
}

int qn_spool_reader_next(struct qn_spool_reader *reader, size_t size, const char **out, struct qn_err *err)
{
    if (reader->end - reader->start < size) {
        int rc = make_room(reader, size, err);
        if (rc < 0) return rc;
        uint64_t left = reader->spool->size - reader->offset;
        size_t room = reader->capacity - reader->end;
        size_t n = left < room ? (size_t)left : room;
        rc = qn_spool_read(reader->spool, reader->offset, reader->buffer + reader->end, n, err);
        if (rc < 0) return rc;
        reader->offset += n;
        reader->end += n;
        if (reader->end < size) return qn_fail(err, QN_ERANGE, "the spool ends within a piece");
    }
    *out = reader->buffer + reader->start;
    reader->start += size;
    return 0;
}
