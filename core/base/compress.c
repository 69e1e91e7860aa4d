/* compress.c - see compress.h. Members are written by zlib and libzstd. */
#include "base/compress.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

#define GZIP_WINDOW (15 + 16) /* the largest window; 16: a gzip header and trailer instead of zlib's */
#define GZIP_MEMORY 8         /* zlib's own default */
#define GZIP_LEVEL  6         /* as gzip's own */
#define ZSTD_LEVEL  3         /* as zstd's own */

struct qn_compressor {
    enum qn_compression compression;
    z_stream gzip;
    ZSTD_CCtx *zstd; /* libzstd allocates it itself: its stable interface takes no allocator */
};

static void *allocate(void *user, unsigned count, unsigned size)
{
    (void)user;
    return qn_calloc(count, size);
}

static void release(void *user, void *memory)
{
    (void)user;
    qn_free(memory);
}

static bool open_gzip(struct qn_compressor *compressor)
{
    compressor->gzip = (z_stream){.zalloc = allocate, .zfree = release};
    return deflateInit2(&compressor->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) ==
           Z_OK;
}

static bool open_zstd(struct qn_compressor *compressor)
{
    compressor->zstd = ZSTD_createCCtx();
    return compressor->zstd &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL)) &&
           !ZSTD_isError(ZSTD_CCtx_setParameter(compressor->zstd, ZSTD_c_checksumFlag, 1));
}

int qn_compressor_new(enum qn_compression compression, struct qn_compressor **out, struct qn_err *err)
{
    if (compression != QN_COMPRESSION_GZIP && compression != QN_COMPRESSION_ZSTD) {
        return qn_fail(err, QN_EINVAL, "compression %d is not known", (int)compression);
    }
    struct qn_compressor *compressor = qn_calloc(1, sizeof *compressor);
    if (!compressor) return qn_fail(err, QN_ENOMEM, "out of memory for the compression");
    compressor->compression = compression;
    bool open = compression == QN_COMPRESSION_GZIP ? open_gzip(compressor) : open_zstd(compressor);
    if (!open) {
        qn_compressor_free(compressor);
        return qn_fail(err, QN_ENOMEM, "out of memory for the compression");
    }
    *out = compressor;
    return 0;
}

void qn_compressor_free(struct qn_compressor *compressor)
{
    if (!compressor) return;
    if (compressor->compression == QN_COMPRESSION_GZIP) deflateEnd(&compressor->gzip);
    ZSTD_freeCCtx(compressor->zstd);
    qn_free(compressor);
}

/* Runs all of data through the stream into out, which has room for what comes. */
static bool run_gzip(z_stream *stream, const void *data, size_t size, struct qn_buf *out)
{
    int rc;
    stream->next_in = (Bytef *)data;
    stream->next_out = (Bytef *)out->data + out->size;
    do { /* the stream counts in unsigned int */
        unsigned step = size < INT_MAX ? (unsigned)size : INT_MAX;
        size_t room = out->capacity - out->size;
        unsigned open = room < INT_MAX ? (unsigned)room : INT_MAX;
        stream->avail_in = step;
        stream->avail_out = open;
        rc = deflate(stream, size == step ? Z_FINISH : Z_NO_FLUSH);
        size -= step - stream->avail_in;
        out->size += open - stream->avail_out;
    } while (rc == Z_OK);
    return rc == Z_STREAM_END;
}

static int run_zstd(ZSTD_CCtx *zstd, const void *data, size_t size, struct qn_buf *out, struct qn_err *err)
{
    size_t made = ZSTD_compress2(zstd, out->data + out->size, out->capacity - out->size, data, size);
    if (ZSTD_isError(made)) return qn_fail(err, QN_ENOMEM, "zstd cannot compress: %s", ZSTD_getErrorName(made));
    out->size += made;
    return 0;
}

int qn_compressor_run(struct qn_compressor *compressor, const void *data, size_t size, struct qn_buf *out,
                      struct qn_err *err)
{
    bool gzip = compressor->compression == QN_COMPRESSION_GZIP;
    if (gzip) deflateReset(&compressor->gzip);
    int rc = qn_buf_reserve(out, gzip ? deflateBound(&compressor->gzip, size) : ZSTD_compressBound(size));
    if (rc < 0) return qn_fail(err, rc, "out of memory to compress %zu bytes", size);
    if (!gzip) return run_zstd(compressor->zstd, data, size, out, err);
    size_t before = out->size;
    if (run_gzip(&compressor->gzip, data, size, out)) return 0;
    out->size = before; /* cannot be: there was room */
    return qn_fail(err, QN_ENOMEM, "zlib cannot compress %zu bytes", size);
}
