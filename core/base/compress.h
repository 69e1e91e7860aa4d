/* compress.h - bytes packed whole: one gzip member (RFC 1952) or one zstd frame (RFC 8878) a call.
 *
 *     qn_compressor_new(QN_COMPRESSION_GZIP, &compressor, &err);
 *     { qn_compressor_run(compressor, data, size, &out, &err); }...
 *     qn_compressor_free(compressor);
 *
 * Members one after another are a file that every reader of the format unpacks as one text. Equal bytes give equal
 * members: they hold no time and no name. Each has a checksum. A compressor keeps its tables between calls; it is used
 * by one thread at a time. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

enum qn_compression { QN_COMPRESSION_NONE, QN_COMPRESSION_GZIP, QN_COMPRESSION_ZSTD };

struct qn_compressor; /* opaque */

/* QN_EINVAL for QN_COMPRESSION_NONE, QN_ENOMEM. */
int qn_compressor_new(enum qn_compression compression, struct qn_compressor **out, struct qn_err *err);
void qn_compressor_free(struct qn_compressor *compressor); /* NULL is fine */
/* Adds one member that holds data (size 0: an empty one). After a failure out is as before. QN_ENOMEM, and QN_ELIMIT
 * past out's cap. */
int qn_compressor_run(struct qn_compressor *compressor, const void *data, size_t size, struct qn_buf *out,
                      struct qn_err *err);
