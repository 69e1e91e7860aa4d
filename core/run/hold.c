#include "run/hold.h"

#include <unistd.h>

#include "base/mem.h"

#define COPY_BELOW   ((size_t)32 << 10)  /* a smaller piece is not worth a reference */
#define BLOCK        ((size_t)128 << 10) /* copied pieces in one place */
#define READ_AHEAD   ((size_t)256 << 10)
#define SEND_AT_ONCE ((size_t)4 << 20)

struct qn_hold_piece {
    struct qn_bytes *bytes; /* a reference */
    size_t offset, size;
    size_t cost; /* of memory; 0 where the piece before has the same bytes */
    uint64_t rows;
};

void qn_hold_init(struct qn_hold *hold, struct qn_spool_pool *pool, size_t limit)
{
    *hold = (struct qn_hold){.pool = pool, .limit = limit, .fd = -1};
    qn_buf_init(&hold->block, QN_BUF_NO_CAP);
}

static bool has_room(const struct qn_hold *hold, size_t more)
{
    return hold->held + more <= hold->limit && qn_spool_pool_has_room(hold->pool, more);
}

static void take(struct qn_hold *hold, size_t bytes)
{
    hold->held += bytes;
    qn_spool_pool_take(hold->pool, bytes);
}

static void give(struct qn_hold *hold, size_t bytes)
{
    hold->held -= bytes;
    qn_spool_pool_give(hold->pool, bytes);
}

static int add_piece(struct qn_hold *hold, const struct qn_hold_piece *piece, struct qn_err *err)
{
    if (hold->count == hold->capacity) {
        size_t capacity = hold->capacity > 0 ? hold->capacity * 2 : 4;
        struct qn_hold_piece *pieces = qn_realloc(hold->pieces, capacity * sizeof *pieces);
        if (!pieces) return qn_fail(err, QN_ENOMEM, "out of memory for the rows of a leaf");
        hold->pieces = pieces;
        hold->capacity = capacity;
    }
    hold->pieces[hold->count++] = *piece;
    return 0;
}

/* What was copied becomes a piece, without the room it did not need. */
static int close_block(struct qn_hold *hold, struct qn_err *err)
{
    struct qn_buf *block = &hold->block;
    if (block->size == 0) return 0;
    struct qn_hold_piece piece = {.size = block->size, .rows = hold->block_rows};
    piece.bytes = qn_bytes_new(block->data, block->size);
    if (!piece.bytes) return qn_fail(err, QN_ENOMEM, "out of memory for the rows of a leaf");
    piece.cost = piece.size + QN_BYTES_PADDING;
    int rc = add_piece(hold, &piece, err);
    if (rc < 0) {
        qn_bytes_unref(piece.bytes);
        return rc;
    }
    give(hold, block->capacity);
    take(hold, piece.cost);
    qn_buf_free(block);
    hold->block_rows = 0;
    return 0;
}

static int write_rows(struct qn_hold *hold, const char *data, size_t size, uint64_t rows, struct qn_err *err)
{
    if (hold->fd < 0) {
        int fd = qn_spool_pool_file(hold->pool, err);
        if (fd < 0) return fd;
        hold->fd = fd;
    }
    int rc = qn_spool_pool_write(hold->pool, hold->fd, data, size, hold->in_file, err);
    if (rc < 0) return rc;
    hold->in_file += size;
    hold->file_rows += rows;
    return 0;
}

static void release_pieces(struct qn_hold *hold)
{
    for (size_t i = 0; i < hold->count; i++) qn_bytes_unref(hold->pieces[i].bytes);
    qn_free(hold->pieces);
    hold->pieces = NULL;
    hold->count = hold->capacity = 0;
    qn_buf_free(&hold->block);
    hold->block_rows = 0;
    if (hold->pool) give(hold, hold->held);
}

static int spill(struct qn_hold *hold, struct qn_err *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < hold->count; i++) {
        const struct qn_hold_piece *piece = &hold->pieces[i];
        rc = write_rows(hold, qn_bytes_data(piece->bytes) + piece->offset, piece->size, piece->rows, err);
    }
    if (rc == 0 && hold->block.size > 0) {
        rc = write_rows(hold, hold->block.data, hold->block.size, hold->block_rows, err);
    }
    if (rc == 0) release_pieces(hold);
    return rc;
}

static bool crowded(const struct qn_hold *hold)
{
    return !has_room(hold, 0);
}

/* A block is filled even where there is no room, so that small pieces are not written one by one. */
static int copy(struct qn_hold *hold, const char *data, size_t size, uint64_t rows, struct qn_err *err)
{
    size_t before = hold->block.capacity;
    if (qn_buf_add(&hold->block, data, size) < 0) {
        return qn_fail(err, QN_ENOMEM, "out of memory for the rows of a leaf");
    }
    take(hold, hold->block.capacity - before);
    hold->block_rows += rows;
    if (hold->block.size < BLOCK) return 0;
    return crowded(hold) ? spill(hold, err) : close_block(hold, err);
}

static int refer(struct qn_hold *hold, struct qn_bytes *bytes, size_t offset, size_t size, uint64_t rows, size_t cost,
                 struct qn_err *err)
{
    int rc = close_block(hold, err);
    if (rc < 0) return rc;
    struct qn_hold_piece piece = {.bytes = bytes, .offset = offset, .size = size, .cost = cost, .rows = rows};
    rc = add_piece(hold, &piece, err);
    if (rc < 0) return rc;
    qn_bytes_ref(bytes);
    take(hold, cost);
    return 0;
}

int qn_hold_add(struct qn_hold *hold, struct qn_bytes *bytes, size_t offset, size_t size, uint64_t rows,
                struct qn_err *err)
{
    const char *data = qn_bytes_data(bytes) + offset;
    size_t all = qn_bytes_size(bytes) + QN_BYTES_PADDING;
    hold->size += size;
    /* a reference would keep much more than it needs */
    if (size < COPY_BELOW || size < all / 2) return copy(hold, data, size, rows, err);
    bool again = hold->count > 0 && hold->block.size == 0 && hold->pieces[hold->count - 1].bytes == bytes;
    if (again) return refer(hold, bytes, offset, size, rows, 0, err);
    if (!has_room(hold, all)) {
        int rc = spill(hold, err);
        if (rc < 0) return rc;
        if (!has_room(hold, all)) return write_rows(hold, data, size, rows, err);
    }
    return refer(hold, bytes, offset, size, rows, all, err);
}

int qn_hold_seal(struct qn_hold *hold, struct qn_err *err)
{
    return crowded(hold) ? spill(hold, err) : close_block(hold, err);
}

/* Through a buffer of ours. */
static int read_rows(struct qn_hold *hold, struct qn_sink *sink, size_t size, struct qn_err *err)
{
    if (qn_buf_reserve(&hold->block, size) < 0) return qn_fail(err, QN_ENOMEM, "out of memory to read the spool");
    int rc = qn_spool_pool_read(hold->pool, hold->fd, hold->block.data, size, hold->delivered_file, err);
    return rc == 0 ? sink->class->rows(sink, hold->block.data, size, hold->file_rows, err) : rc;
}

/* Out of the file in parts; its rows are told with the first. */
static int deliver_file(struct qn_hold *hold, struct qn_sink *sink, struct qn_err *err)
{
    uint64_t left = hold->in_file - hold->delivered_file;
    size_t most = sink->takes_files ? SEND_AT_ONCE : READ_AHEAD, size = left < most ? (size_t)left : most;
    int rc = sink->takes_files
                 ? sink->class->rows_of_file(sink, hold->fd, hold->delivered_file, size, hold->file_rows, err)
                 : read_rows(hold, sink, size, err);
    hold->file_rows = 0;
    hold->delivered_file += size;
    return rc;
}

static int deliver_piece(struct qn_hold *hold, struct qn_sink *sink, struct qn_err *err)
{
    struct qn_hold_piece *piece = &hold->pieces[hold->delivered++];
    const char *data = qn_bytes_data(piece->bytes) + piece->offset;
    int rc = sink->class->rows(sink, data, piece->size, piece->rows, err);
    qn_bytes_unref(piece->bytes);
    piece->bytes = NULL;
    return rc;
}

int qn_hold_deliver(struct qn_hold *hold, struct qn_sink *sink, struct qn_err *err)
{
    int rc = hold->block.size > 0 ? close_block(hold, err) : 0;
    if (rc < 0) return rc;
    if (hold->delivered_file < hold->in_file)
        rc = deliver_file(hold, sink, err);
    else if (hold->delivered < hold->count)
        rc = deliver_piece(hold, sink, err);
    if (rc < 0) return rc;
    return hold->delivered_file < hold->in_file || hold->delivered < hold->count;
}

void qn_hold_clear(struct qn_hold *hold)
{
    release_pieces(hold);
    if (hold->fd >= 0) close(hold->fd);
    qn_hold_init(hold, hold->pool, hold->limit);
}
