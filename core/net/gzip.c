#include "net/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#include "base/mem.h"

#define GZIP_WINDOW (15 + 16) /* the largest window; 16: a gzip header and trailer instead of zlib's */
#define GZIP_MEMORY 8         /* zlib's own default */

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

/* Runs the whole body through the stream into out, which has room for all of it. */
static bool pack(z_stream *stream, const struct qn_bytes *body, struct qn_buf *out)
{
    size_t left = qn_bytes_size(body);
    int rc;

    stream->next_in = (Bytef *)qn_bytes_data(body);
    stream->next_out = (Bytef *)out->data;
    do { /* the stream counts in unsigned int */
        unsigned step = left < INT_MAX ? (unsigned)left : INT_MAX;
        size_t room = out->capacity - out->size;
        unsigned open = room < INT_MAX ? (unsigned)room : INT_MAX;
        stream->avail_in = step;
        stream->avail_out = open;
        rc = deflate(stream, left == step ? Z_FINISH : Z_NO_FLUSH);
        left -= step - stream->avail_in;
        out->size += open - stream->avail_out;
    } while (rc == Z_OK);
    return rc == Z_STREAM_END;
}

struct qn_bytes *qn_gzip(const struct qn_bytes *body)
{
    z_stream stream = {.zalloc = allocate, .zfree = release};
    struct qn_bytes *packed = NULL;
    struct qn_buf out;

    if (deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return NULL;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    if (qn_buf_reserve(&out, deflateBound(&stream, qn_bytes_size(body))) == 0 && pack(&stream, body, &out))
        packed = qn_bytes_take(&out);
    deflateEnd(&stream);
    qn_buf_free(&out);
    return packed;
}

/* Is the weight of ";q=0", in any of its spellings? The text ends at the next comma. */
static bool refused(const char *parameters)
{
    const char *weight = strstr(parameters, "q=");
    const char *end = strchr(parameters, ',');
    return weight && (!end || weight < end) && strtod(weight + 2, NULL) <= 0;
}

bool qn_gzip_accepted(const char *accept_encoding)
{
    for (const char *at = accept_encoding; at && *at; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        size_t size = strcspn(at, ",; \t");
        if ((size == 4 && strncasecmp(at, "gzip", 4) == 0) || (size == 6 && strncasecmp(at, "x-gzip", 6) == 0))
            return !refused(at + size);
        at += size;
    }
    return false;
}
