/* packer.h - inside core/sink: bytes on their way into a compressed output.
 *
 * They are cut into blocks of QN_PACKER_BLOCK bytes; each is packed on a thread of the packer's own pool, as a part of
 * one gzip member or zstd frame (compress.h), and written when those before it are. A block also ends where a leaf
 * ends, once it holds QN_PACKER_LEAST bytes, so that an output can be cut back to a leaf's end. Where blocks end
 * depends on the bytes and the leaves alone, never on time or threads: equal rows give equal files.
 *
 * A bounded number of blocks is in memory. When it is reached the packer is full: whoever can wait, waits for its
 * `room`; whoever cannot and adds all the same is held until a block is packed. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/compress.h"
#include "base/err.h"

#define QN_PACKER_BLOCK ((size_t)1 << 20)
#define QN_PACKER_LEAST ((size_t)256 << 10)

struct qn_loop;
struct qn_op;
struct qn_output;
struct qn_packer; /* opaque */

struct qn_packer_options {
    struct qn_loop *loop;
    struct qn_output *output; /* borrowed; the packer flushes it */
    enum qn_compression compression;
    unsigned threads; /* at least 1; one is enough where parts cannot be packed side by side */
};

/* Starts the threads. QN_ENOMEM. */
int qn_packer_new(const struct qn_packer_options *options, struct qn_packer **out, struct qn_err *err);
/* Drops what is not written, after a wait for the blocks that are being packed. NULL is fine. */
void qn_packer_free(struct qn_packer *packer);
/* Both fail as a block failed that was added before, and as the output failed when it was written. */
int qn_packer_add(struct qn_packer *packer, const char *data, size_t size, struct qn_err *err);
int qn_packer_leaf_end(struct qn_packer *packer, struct qn_err *err);
/* 0, or how writing has failed so far. */
int qn_packer_check(const struct qn_packer *packer, struct qn_err *err);
/* Packs and writes the rest, with the end of the member or frame, and waits for it. Nothing is added after. */
int qn_packer_finish(struct qn_packer *packer, struct qn_err *err);
/* NULL: it takes more. Else it is full, and the op completes when it no longer is, or has failed. For one waiter. */
struct qn_op *qn_packer_room(struct qn_packer *packer);
