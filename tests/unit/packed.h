/* packed.h - for the tests of compressed outputs: reads them with the libraries' own readers. Link zlib and zstd. */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/compress.h"

#define MOST_MEMBERS 64

struct unpacked {
    char *text;
    size_t size;
    unsigned members;
    size_t ends[MOST_MEMBERS]; /* of each member, in the text */
};

static inline size_t unpack_gzip(const char *data, size_t size, char *out, size_t room, size_t *made)
{
    z_stream stream = {.next_in = (Bytef *)data, .avail_in = (unsigned)size};
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_out = (Bytef *)out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    *made = stream.total_out;
    size = stream.total_in;
    inflateEnd(&stream);
    return size;
}

static inline size_t unpack_zstd(const char *data, size_t size, char *out, size_t room, size_t *made)
{
    size_t frame = ZSTD_findFrameCompressedSize(data, size);
    assert_false(ZSTD_isError(frame));
    *made = ZSTD_decompress(out, room, data, frame);
    assert_false(ZSTD_isError(*made));
    assert_true(ZSTD_getFrameContentSize(data, frame) == *made); /* readers may ask */
    return frame;
}

/* All members of data, whose text has at most `most` bytes. Free text with free(). */
static inline struct unpacked unpack(enum qn_compression compression, const char *data, size_t size, size_t most)
{
    struct unpacked out = {.text = malloc(most + 1)};
    for (size_t at = 0; at < size;) {
        size_t made;
        assert_true(out.members < MOST_MEMBERS);
        at += (compression == QN_COMPRESSION_GZIP ? unpack_gzip : unpack_zstd)(
            data + at, size - at, out.text + out.size, most - out.size + 1, &made);
        out.size += made;
        out.ends[out.members++] = out.size;
    }
    return out;
}
