/* hold.h - the rows of one leaf that cannot be delivered yet, one behind another as their encoder wrote them.
 *
 * Large pieces of a batch are not copied: the hold keeps a reference on the batch's bytes. When the pool's memory is
 * used up, what is held goes to a file of the hold's own (without a name, as spool.h has it), straight from where it
 * stands, and what comes after starts in memory again. Main thread only. */
#pragma once

#include "base/buf.h"
#include "run/spool.h"
#include "sink/sink.h"

struct qn_hold {
    struct qn_spool_pool *pool;
    struct qn_hold_piece *pieces; /* in memory, behind what is in the file */
    size_t count, capacity;
    struct qn_buf block; /* behind the pieces: small ones, copied */
    uint64_t block_rows;
    size_t held;  /* bytes of memory that pieces and block take */
    size_t limit; /* of `held`; beyond it they go to the file */
    int fd;       /* -1: no file yet */
    uint64_t in_file, file_rows;
    uint64_t delivered_file; /* bytes of in_file that were handed over */
    size_t delivered;        /* the same of pieces */
    uint64_t size;           /* bytes of all rows */
};

void qn_hold_init(struct qn_hold *hold, struct qn_spool_pool *pool, size_t limit);
/* The rows that stand at offset in bytes. QN_EIO, QN_ENOMEM; after a failure only clear makes sense. */
int qn_hold_add(struct qn_hold *hold, struct qn_bytes *bytes, size_t offset, size_t size, uint64_t rows,
                struct qn_err *err);
/* Nothing is added any more: gives back what is not used. */
int qn_hold_seal(struct qn_hold *hold, struct qn_err *err);
/* Hands the next rows to the sink and lets go of them; nothing is added any more. 1: there are more; 0: that was all.
 */
int qn_hold_deliver(struct qn_hold *hold, struct qn_sink *sink, struct qn_err *err);
void qn_hold_clear(struct qn_hold *hold); /* empty and usable again */
