/* buf.h - growable bytes with a cap, and immutable bytes shared by counted references.
 *
 * struct qn_buf is embedded by its owner, used by one thread at a time. Growth past `cap` fails
 * with QN_ELIMIT, growth without memory with QN_ENOMEM; after a failed add the content is as before.
 * struct qn_bytes is immutable, reference-counted (atomic), and may be shared by threads. */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct qn_buf {
    char *data;      /* NULL while empty; not NUL-terminated unless qn_buf_cstr was called */
    size_t size;     /* bytes used */
    size_t capacity; /* bytes allocated */
    size_t cap;      /* never more than this many bytes */
};

#define QN_BUF_NO_CAP ((size_t)-1 / 2)

void qn_buf_init(struct qn_buf *buf, size_t cap);
void qn_buf_free(struct qn_buf *buf);                 /* leaves it empty and usable */
void qn_buf_clear(struct qn_buf *buf);                /* size 0, keeps the memory */
int qn_buf_reserve(struct qn_buf *buf, size_t extra); /* room for extra more bytes */
static inline int qn_buf_add(struct qn_buf *buf, const void *data, size_t size)
{
    if (size == 0) return 0;
    bool room = size <= buf->capacity - buf->size && size <= buf->cap - buf->size;
    int rc = room ? 0 : qn_buf_reserve(buf, size);
    if (rc < 0) return rc;
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
    return 0;
}
static inline int qn_buf_add_byte(struct qn_buf *buf, char byte)
{
    return qn_buf_add(buf, &byte, 1);
}
int qn_buf_add_str(struct qn_buf *buf, const char *text);
int qn_buf_add_fmt(struct qn_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *qn_buf_cstr(struct qn_buf *buf); /* NUL-terminates (not counted); NULL without memory */

struct qn_bytes; /* opaque; data is followed by QN_BYTES_PADDING zero bytes (simdjson reads ahead) */
#define QN_BYTES_PADDING 64

struct qn_bytes *qn_bytes_new(const void *data, size_t size); /* copies; NULL without memory */
/* Takes buf's memory, which may be moved for the padding; buf is empty after. NULL without memory: buf is as before. */
struct qn_bytes *qn_bytes_take(struct qn_buf *buf);
struct qn_bytes *qn_bytes_ref(struct qn_bytes *bytes); /* returns bytes */
void qn_bytes_unref(struct qn_bytes *bytes);           /* NULL is fine */
const char *qn_bytes_data(const struct qn_bytes *bytes);
size_t qn_bytes_size(const struct qn_bytes *bytes);
/* The content for writing, if the caller's reference is the only one; else NULL. */
char *qn_bytes_own(struct qn_bytes *bytes);
