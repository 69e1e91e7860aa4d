/* packed.h - for the tests of compressed outputs: reads them with the libraries' own readers. Link zlib and zstd. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/compress.h"

struct unpacked {
    char *text;
    size_t size;
    size_t ends[64]; /* gzip: where parts ended in the text, but for the last */
    size_t cuts;
};

/* A part of a gzip member ends with an empty stored block. Data may hold its bytes, too: not the test's data. */
static inline void find_cuts(const char *data, size_t size, char *scratch, size_t most, struct unpacked *out)
{
    z_stream stream = {.next_in = (Bytef *)data, .next_out = (Bytef *)scratch, .avail_out = (unsigned)most};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    for (size_t at = 4; at <= size; at++) {
        if (memcmp(data + at - 4, "\0\0\xff\xff", 4) != 0) continue;
        assert_true(out->cuts < 64);
        stream.avail_in = (unsigned)(data + at - (const char *)stream.next_in);
        assert_int_equal(inflate(&stream, Z_SYNC_FLUSH), Z_OK);
        assert_int_equal(stream.avail_in, 0);
        out->ends[out->cuts++] = stream.total_out;
    }
    inflateEnd(&stream);
}

static inline void unpack_gzip(const char *data, size_t size, size_t most, struct unpacked *out)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (unsigned)size};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_out = (Bytef *)out->text;
    stream.avail_out = (unsigned)most;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END); /* checksum and size are right, too */
    assert_int_equal(stream.avail_in, 0);                       /* one member */
    out->size = stream.total_out;
    inflateEnd(&stream);
    char *scratch = malloc(most);
    find_cuts(data, size, scratch, most, out);
    free(scratch);
}

static inline void unpack_zstd(const char *data, size_t size, size_t most, struct unpacked *out)
{
    assert_int_equal(ZSTD_findFrameCompressedSize(data, size), size); /* one frame */
    assert_true(data[4] & 4);                                         /* with a checksum: RFC 8878, 3.1.1.1.1.5 */
    out->size = ZSTD_decompress(out->text, most, data, size);
    assert_false(ZSTD_isError(out->size));
}

/* The text of one member or frame, of at most `most` bytes. Free text with free(). */
static inline struct unpacked unpack(enum qn_compression compression, const char *data, size_t size, size_t most)
{
    struct unpacked out = {.text = malloc(most)};
    (compression == QN_COMPRESSION_GZIP ? unpack_gzip : unpack_zstd)(data, size, most, &out);
    return out;
}
