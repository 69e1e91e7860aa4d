/* buf.c - see buf.h. */
#include "base/buf.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define FIRST_CAPACITY 64

void qn_buf_init(struct qn_buf *buf, size_t cap)
{
    *buf = (struct qn_buf){.cap = cap < QN_BUF_NO_CAP ? cap : QN_BUF_NO_CAP};
}

void qn_buf_free(struct qn_buf *buf)
{
    qn_free(buf->data);
    buf->data = NULL;
    buf->size = buf->capacity = 0;
}

void qn_buf_clear(struct qn_buf *buf)
{
    buf->size = 0;
}

/* Room for `extra` bytes beyond size; bytes past the cap are allowed only for `beyond` of them (a NUL, padding). */
static int reserve(struct qn_buf *buf, size_t extra, size_t beyond)
{
    if (extra > buf->cap - buf->size) return QN_ELIMIT;
    size_t needed = buf->size + extra + beyond;
    if (needed <= buf->capacity) return 0;
    size_t capacity = buf->capacity ? buf->capacity + buf->capacity / 2 : FIRST_CAPACITY;
    if (capacity > buf->cap + beyond) capacity = buf->cap + beyond;
    if (capacity < needed) capacity = needed;
    char *data = qn_realloc(buf->data, capacity);
    if (!data) return QN_ENOMEM;
    buf->data = data;
    buf->capacity = capacity;
    return 0;
}

int qn_buf_reserve(struct qn_buf *buf, size_t extra)
{
    return reserve(buf, extra, 0);
}

int qn_buf_add_str(struct qn_buf *buf, const char *text)
{
    return qn_buf_add(buf, text, strlen(text));
}

int qn_buf_add_fmt(struct qn_buf *buf, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    va_end(args);
    int rc = size < 0 ? QN_EINVAL : reserve(buf, (size_t)size, 1);
    if (rc == 0) {
        vsnprintf(buf->data + buf->size, (size_t)size + 1, format, again);
        buf->size += (size_t)size;
    }
    va_end(again);
    return rc;
}

const char *qn_buf_cstr(struct qn_buf *buf)
{
    if (reserve(buf, 0, 1) < 0) return NULL;
    buf->data[buf->size] = '\0';
    return buf->data;
}

struct qn_bytes {
    atomic_size_t refs;
    size_t size;
    char *data; /* its own allocation, so that a buffer's memory can be taken without a copy */
};

static struct qn_bytes *wrap(char *data, size_t size)
{
    struct qn_bytes *bytes = qn_malloc(sizeof *bytes);
    if (!bytes) return NULL;
    atomic_init(&bytes->refs, 1);
    bytes->size = size;
    bytes->data = data;
    return bytes;
}

struct qn_bytes *qn_bytes_new(const void *data, size_t size)
{
    char *copy = qn_malloc(size + QN_BYTES_PADDING);
    if (!copy) return NULL;
    if (size) memcpy(copy, data, size);
    memset(copy + size, 0, QN_BYTES_PADDING);
    struct qn_bytes *bytes = wrap(copy, size);
    if (!bytes) qn_free(copy);
    return bytes;
}

struct qn_bytes *qn_bytes_take(struct qn_buf *buf)
{
    if (reserve(buf, 0, QN_BYTES_PADDING) < 0) return NULL;
    struct qn_bytes *bytes = wrap(buf->data, buf->size);
    if (!bytes) return NULL;
    memset(buf->data + buf->size, 0, QN_BYTES_PADDING);
    buf->data = NULL;
    buf->size = buf->capacity = 0;
    return bytes;
}

struct qn_bytes *qn_bytes_ref(struct qn_bytes *bytes)
{
    atomic_fetch_add_explicit(&bytes->refs, 1, memory_order_relaxed);
    return bytes;
}

void qn_bytes_unref(struct qn_bytes *bytes)
{
    if (!bytes || atomic_fetch_sub_explicit(&bytes->refs, 1, memory_order_acq_rel) != 1) return;
    qn_free(bytes->data);
    qn_free(bytes);
}

const char *qn_bytes_data(const struct qn_bytes *bytes)
{
    return bytes->data;
}

size_t qn_bytes_size(const struct qn_bytes *bytes)
{
    return bytes->size;
}

char *qn_bytes_own(struct qn_bytes *bytes)
{
    return atomic_load_explicit(&bytes->refs, memory_order_acquire) == 1 ? bytes->data : NULL;
}
