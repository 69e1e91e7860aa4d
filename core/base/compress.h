/* compress.h - a text packed part by part as one gzip member (RFC 1952) or one zstd frame (RFC 8878).
 *
 *     qn_frame_init(&frame, QN_COMPRESSION_GZIP);
 *     { qn_compressor_run(compressor, data, size, last, &part, &err); qn_frame_add(&frame, &part, ...); }...
 *
 * The compressor packs a part and keeps nothing of it: parts of a gzip member may be packed side by side by several
 * compressors; those of a zstd frame build on each other, so one compressor packs them all, in their order
 * (qn_compression_splits tells). The frame puts parts together in their order, with header and checksum. Equal parts
 * give equal bytes: they hold no time and no name. One member or frame, not one a part: many readers stop after the
 * first without a word.
 *
 * A compressor is used by one thread at a time, and for one text after another; a frame likewise. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

enum qn_compression { QN_COMPRESSION_NONE, QN_COMPRESSION_GZIP, QN_COMPRESSION_ZSTD };

bool qn_compression_splits(enum qn_compression compression);

struct qn_part {
    struct qn_buf packed; /* whole bytes; the last part's end what it belongs to */
    size_t size;          /* of what was packed */
    uint32_t crc;         /* of that; gzip only */
    bool last;
};

struct qn_compressor; /* opaque */

/* QN_EINVAL for QN_COMPRESSION_NONE, QN_ENOMEM. */
int qn_compressor_new(enum qn_compression compression, struct qn_compressor **out, struct qn_err *err);
void qn_compressor_free(struct qn_compressor *compressor); /* NULL is fine */
/* Packs data (size 0 is fine) into out, whose buffer the caller has initialised; what it held is dropped. QN_ENOMEM,
 * and QN_ELIMIT past the buffer's cap: then the text is broken. */
int qn_compressor_run(struct qn_compressor *compressor, const void *data, size_t size, bool last, struct qn_part *out,
                      struct qn_err *err);

struct qn_frame {
    enum qn_compression compression;
    bool begun;
    uint32_t crc, size; /* gzip: of all parts so far; size modulo 2^32 */
};

#define QN_FRAME_EDGE 16 /* the most bytes that stand before or behind a part */

void qn_frame_init(struct qn_frame *frame, enum qn_compression compression);
/* What stands before part, and what behind it, and how many bytes that are. */
void qn_frame_add(struct qn_frame *frame, const struct qn_part *part, char before[QN_FRAME_EDGE], size_t *before_size,
                  char behind[QN_FRAME_EDGE], size_t *behind_size);

/* data as one member or frame, added to out. After a failure out is as before. As qn_compressor_run. */
int qn_compress(enum qn_compression compression, const void *data, size_t size, struct qn_buf *out, struct qn_err *err);
