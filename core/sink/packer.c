#include "sink/packer.h"

#include <string.h>

#include "base/mem.h"
#include "engine/pool.h"
#include "sink/output.h"

#define AHEAD 1 /* blocks packed or waiting besides those at the threads, so that no thread waits for the next one */

struct block {
    struct qn_pool_job job; /* first */
    struct qn_packer *packer;
    struct block *next;  /* in flight, or free */
    struct qn_part part; /* out */
    size_t size;         /* of data */
    bool last;
    int rc;
    struct qn_err err;
    char data[QN_PACKER_BLOCK];
};

struct qn_packer {
    struct qn_pool *pool;
    struct qn_output *output;
    enum qn_compression compression;
    struct qn_frame frame;
    struct block *filling;      /* NULL: none */
    struct block *first, *last; /* in flight, in their order */
    struct block *spare;
    unsigned in_flight, window; /* full from window on; one more block may be in flight, none is made beyond */
    unsigned blocks;            /* made */
    bool finished;
    struct qn_op room;
    struct qn_err failure; /* code 0: none */
};

/* ---- on the threads ---- */

static void *open_compressor(void *context, struct qn_pool_thread *thread, struct qn_err *err)
{
    const struct qn_packer *packer = context;
    struct qn_compressor *compressor = NULL;
    (void)thread;
    return qn_compressor_new(packer->compression, &compressor, err) < 0 ? NULL : compressor;
}

static void close_compressor(void *compressor)
{
    qn_compressor_free(compressor);
}

static void pack(struct qn_pool_job *job, void *compressor)
{
    struct block *block = (struct block *)job;
    block->rc = qn_compressor_run(compressor, block->data, block->size, block->last, &block->part, &block->err);
}

/* ---- blocks ---- */

static void spare(struct qn_packer *packer, struct block *block)
{
    block->size = 0;
    block->last = false;
    block->next = packer->spare;
    packer->spare = block;
}

static void note_failure(struct qn_packer *packer, const struct qn_err *err)
{
    if (packer->failure.code == 0) packer->failure = *err;
}

static void write_block(struct qn_packer *packer, const struct block *block)
{
    char before[QN_FRAME_EDGE], behind[QN_FRAME_EDGE];
    size_t before_size, behind_size;
    struct qn_output *output = packer->output;
    const struct qn_buf *packed = &block->part.packed;
    struct qn_err err;
    if (packer->failure.code != 0) return;
    if (block->rc < 0) {
        note_failure(packer, &block->err);
        return;
    }
    qn_frame_add(&packer->frame, &block->part, before, &before_size, behind, &behind_size);
    int rc = qn_output_add(output, before, before_size, &err);
    if (rc == 0) rc = qn_output_add(output, packed->data, packed->size, &err);
    if (rc == 0) rc = qn_output_add(output, behind, behind_size, &err);
    if (rc == 0) rc = qn_output_flush(output, &err);
    if (rc < 0) note_failure(packer, &err);
}

static bool full(const struct qn_packer *packer)
{
    return packer->in_flight >= packer->window && packer->failure.code == 0;
}

/* Writes those that are packed, as far as their order allows. */
static void write_packed(struct qn_packer *packer)
{
    while (packer->first && packer->first->job.op.state == QN_OP_DONE) {
        struct block *block = packer->first;
        packer->first = block->next;
        if (!packer->first) packer->last = NULL;
        packer->in_flight--;
        write_block(packer, block);
        spare(packer, block);
    }
    if (!full(packer)) qn_op_complete(&packer->room);
}

static void is_packed(struct qn_pool_job *job)
{
    write_packed(((struct block *)job)->packer);
}

/* The packer is going; it frees its blocks itself. */
static void abandoned(struct qn_pool_job *job)
{
    (void)job;
}

static struct block *make_block(struct qn_packer *packer, struct qn_err *err)
{
    struct block *block = qn_malloc(sizeof *block); /* not zeroed: pages that are not used are not touched */
    if (!block) {
        qn_fail(err, QN_ENOMEM, "out of memory for the compression of the output");
        return NULL;
    }
    memset(block, 0, offsetof(struct block, data));
    block->packer = packer;
    block->job.work = pack;
    block->job.done = is_packed;
    block->job.abandoned = abandoned;
    qn_buf_init(&block->part.packed, QN_BUF_NO_CAP);
    packer->blocks++;
    return block;
}

/* An empty block to fill. If all are in flight, waits for the first of them. */
static int take_block(struct qn_packer *packer, struct qn_err *err)
{
    if (packer->filling) return 0;
    if (!packer->spare && packer->blocks > packer->window) {
        qn_pool_wait(packer->pool, &packer->first->job); /* which writes it */
    }
    if (packer->spare) {
        packer->filling = packer->spare;
        packer->spare = packer->spare->next;
    } else {
        packer->filling = make_block(packer, err);
    }
    return packer->filling ? 0 : QN_ENOMEM;
}

static void submit(struct qn_packer *packer)
{
    struct block *block = packer->filling;
    packer->filling = NULL;
    block->next = NULL;
    if (packer->last)
        packer->last->next = block;
    else
        packer->first = block;
    packer->last = block;
    packer->in_flight++;
    qn_pool_submit(packer->pool, &block->job);
}

static void free_block(struct block *block)
{
    qn_buf_free(&block->part.packed);
    qn_free(block);
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;
        free_block(block);
        block = next;
    }
}

/* ---- the packer ---- */

int qn_packer_new(const struct qn_packer_options *options, struct qn_packer **out, struct qn_err *err)
{
    struct qn_packer *packer = qn_calloc(1, sizeof *packer);
    if (!packer) return qn_fail(err, QN_ENOMEM, "out of memory for the compression of the output");
    packer->output = options->output;
    packer->compression = options->compression;
    qn_frame_init(&packer->frame, options->compression);
    unsigned threads = qn_compression_splits(options->compression) ? options->threads : 1;
    packer->window = threads + AHEAD;
    qn_op_init(&packer->room, NULL);
    const struct qn_pool_options pool = {
        .threads = threads, .open = open_compressor, .close = close_compressor, .context = packer};
    int rc = qn_pool_new(options->loop, &pool, &packer->pool, err);
    if (rc < 0) {
        qn_free(packer);
        return rc;
    }
    *out = packer;
    return 0;
}

void qn_packer_free(struct qn_packer *packer)
{
    if (!packer) return;
    qn_op_cancel(&packer->room);
    qn_pool_free(packer->pool);
    if (packer->filling) free_block(packer->filling);
    free_blocks(packer->first);
    free_blocks(packer->spare);
    qn_free(packer);
}

int qn_packer_check(const struct qn_packer *packer, struct qn_err *err)
{
    if (packer->failure.code != 0 && err) *err = packer->failure;
    return packer->failure.code;
}

int qn_packer_add(struct qn_packer *packer, const char *data, size_t size, struct qn_err *err)
{
    int rc = qn_packer_check(packer, err);
    while (rc == 0 && size > 0) {
        rc = take_block(packer, err);
        if (rc == 0) rc = qn_packer_check(packer, err); /* a block may have been written just now */
        if (rc < 0) break;
        struct block *block = packer->filling;
        size_t room = QN_PACKER_BLOCK - block->size, part = size < room ? size : room;
        memcpy(block->data + block->size, data, part);
        block->size += part;
        data += part;
        size -= part;
        if (block->size == QN_PACKER_BLOCK) submit(packer);
    }
    return rc;
}

int qn_packer_leaf_end(struct qn_packer *packer, struct qn_err *err)
{
    if (packer->filling && packer->filling->size >= QN_PACKER_LEAST) submit(packer);
    return qn_packer_check(packer, err);
}

int qn_packer_finish(struct qn_packer *packer, struct qn_err *err)
{
    int rc = qn_packer_check(packer, err);
    if (rc < 0 || packer->finished) return rc;
    rc = take_block(packer, err);
    if (rc < 0) return rc;
    packer->filling->last = packer->finished = true;
    submit(packer);
    while (packer->first) qn_pool_wait(packer->pool, &packer->first->job);
    return qn_packer_check(packer, err);
}

struct qn_op *qn_packer_room(struct qn_packer *packer)
{
    if (!full(packer)) return NULL;
    if (packer->room.state != QN_OP_PENDING) qn_op_begin(&packer->room);
    return &packer->room;
}
