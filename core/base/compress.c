/* compress.c - see compress.h. Parts are packed by zlib and libzstd. */
#include "base/compress.h"

#include <limits.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"

#define DEFLATE_WINDOW (-15) /* the largest window; negative: without a header, which the frame writes */
#define DEFLATE_MEMORY 8     /* zlib's own default */
#define GZIP_LEVEL     6     /* as gzip's own */
#define ZSTD_LEVEL     3     /* as zstd's own */
#define FLUSH_ROOM     64    /* for what a flush or an end adds to a part */

/* RFC 1952, 2.3: deflate, no flags, no time, the usual level, Unix. */
static const char gzip_header[] = {'\x1f', '\x8b', 8, 0, 0, 0, 0, 0, 0, 3};
#define GZIP_TRAILER 8

struct qn_compressor {
    enum qn_compression compression;
    z_stream deflate;
    ZSTD_CCtx *zstd; /* libzstd allocates it itself: its stable interface takes no allocator */
};

bool qn_compression_splits(enum qn_compression compression)
{
    return compression == QN_COMPRESSION_GZIP;
}

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

static bool open_deflate(struct qn_compressor *compressor)
{
    compressor->deflate = (z_stream){.zalloc = allocate, .zfree = release};
    return deflateInit2(&compressor->deflate, GZIP_LEVEL, Z_DEFLATED, DEFLATE_WINDOW, DEFLATE_MEMORY,
                        Z_DEFAULT_STRATEGY) == Z_OK;
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
    bool open = compression == QN_COMPRESSION_GZIP ? open_deflate(compressor) : open_zstd(compressor);
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
    if (compressor->compression == QN_COMPRESSION_GZIP) deflateEnd(&compressor->deflate);
    ZSTD_freeCCtx(compressor->zstd);
    qn_free(compressor);
}

/* Packed alone, and ended on a whole byte: parts stand side by side. */
static bool run_deflate(z_stream *stream, const void *data, size_t size, bool last, struct qn_part *out)
{
    struct qn_buf *packed = &out->packed;
    int rc;
    deflateReset(stream);
    stream->next_in = (Bytef *)data;
    do { /* the stream counts in unsigned int */
        unsigned step = size < INT_MAX ? (unsigned)size : INT_MAX;
        size_t room = packed->capacity - packed->size;
        unsigned open = room < INT_MAX ? (unsigned)room : INT_MAX;
        stream->avail_in = step;
        stream->next_out = (Bytef *)packed->data + packed->size;
        stream->avail_out = open;
        rc = deflate(stream, size > step ? Z_NO_FLUSH : last ? Z_FINISH : Z_SYNC_FLUSH);
        size -= step - stream->avail_in;
        packed->size += open - stream->avail_out;
    } while (rc == Z_OK && (size > 0 || last)); /* there is room for all of it */
    return last ? rc == Z_STREAM_END : rc == Z_OK && stream->avail_out > 0;
}

static bool run_zstd(ZSTD_CCtx *zstd, const void *data, size_t size, bool last, struct qn_part *out)
{
    ZSTD_inBuffer in = {.src = data, .size = size};
    ZSTD_outBuffer packed = {.dst = out->packed.data, .size = out->packed.capacity};
    size_t left = ZSTD_compressStream2(zstd, &packed, &in, last ? ZSTD_e_end : ZSTD_e_flush);
    out->packed.size = packed.pos;
    return left == 0 && in.pos == size; /* there is room for all of it */
}

int qn_compressor_run(struct qn_compressor *compressor, const void *data, size_t size, bool last, struct qn_part *out,
                      struct qn_err *err)
{
    bool gzip = compressor->compression == QN_COMPRESSION_GZIP;
    qn_buf_clear(&out->packed);
    size_t bound = (gzip ? deflateBound(&compressor->deflate, size) : ZSTD_compressBound(size)) + FLUSH_ROOM;
    int rc = qn_buf_reserve(&out->packed, bound);
    if (rc < 0) return qn_fail(err, rc, "out of memory to compress %zu bytes", size);
    out->size = size;
    out->last = last;
    out->crc = gzip ? (uint32_t)crc32_z(0, data, size) : 0;
    bool packed = gzip ? run_deflate(&compressor->deflate, data, size, last, out)
                       : run_zstd(compressor->zstd, data, size, last, out);
    return packed ? 0 : qn_fail(err, QN_ENOMEM, "out of memory to compress %zu bytes", size);
}

void qn_frame_init(struct qn_frame *frame, enum qn_compression compression)
{
    *frame = (struct qn_frame){.compression = compression};
}

static void put_le32(char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) out[i] = (char)(value >> (8 * i));
}

void qn_frame_add(struct qn_frame *frame, const struct qn_part *part, char before[QN_FRAME_EDGE], size_t *before_size,
                  char behind[QN_FRAME_EDGE], size_t *behind_size)
{
    *before_size = *behind_size = 0;
    if (frame->compression != QN_COMPRESSION_GZIP) return; /* a zstd frame comes whole from its compressor */
    if (!frame->begun) {
        memcpy(before, gzip_header, sizeof gzip_header);
        *before_size = sizeof gzip_header;
        frame->begun = true;
    }
    frame->crc = (uint32_t)crc32_combine(frame->crc, part->crc, (z_off_t)part->size);
    frame->size += (uint32_t)part->size;
    if (!part->last) return;
    put_le32(behind, frame->crc);
    put_le32(behind + 4, frame->size);
    *behind_size = GZIP_TRAILER;
    qn_frame_init(frame, frame->compression);
}

int qn_compress(enum qn_compression compression, const void *data, size_t size, struct qn_buf *out, struct qn_err *err)
{
    struct qn_compressor *compressor;
    struct qn_part part = {.size = 0};
    struct qn_frame frame;
    char before[QN_FRAME_EDGE], behind[QN_FRAME_EDGE];
    size_t before_size, behind_size;
    int rc = qn_compressor_new(compression, &compressor, err);
    if (rc < 0) return rc;
    qn_buf_init(&part.packed, QN_BUF_NO_CAP);
    rc = qn_compressor_run(compressor, data, size, true, &part, err);
    if (rc == 0) {
        qn_frame_init(&frame, compression);
        qn_frame_add(&frame, &part, before, &before_size, behind, &behind_size);
        rc = qn_buf_reserve(out, before_size + part.packed.size + behind_size);
        if (rc < 0) qn_fail(err, rc, "out of memory to compress %zu bytes", size);
    }
    if (rc == 0) { /* cannot fail: there is room */
        qn_buf_add(out, before, before_size);
        qn_buf_add(out, part.packed.data, part.packed.size);
        qn_buf_add(out, behind, behind_size);
    }
    qn_buf_free(&part.packed);
    qn_compressor_free(compressor);
    return rc;
}
