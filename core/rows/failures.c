#include "rows/failures.h"

#include <string.h>

#include "base/mem.h"
#include "json/write.h"
#include "rows/emit.h"

void qn_failures_init(struct qn_failures *failures)
{
    memset(failures, 0, sizeof *failures);
    qn_buf_init(&failures->bytes, QN_BATCH_CAP);
}

void qn_failures_free(struct qn_failures *failures)
{
    qn_buf_free(&failures->bytes);
    qn_free(failures->list);
    failures->list = NULL;
    failures->count = failures->capacity = 0;
}

static int reserve(struct qn_failures *failures)
{
    if (failures->count < failures->capacity) return 0;
    size_t capacity = failures->capacity > 0 ? failures->capacity * 2 : 8;
    struct qn_failure *list = qn_realloc(failures->list, capacity * sizeof *list);
    if (!list) return QN_ENOMEM;
    failures->list = list;
    failures->capacity = capacity;
    return 0;
}

static int add_head(struct qn_buf *out, const struct qn_rows_context *context, uint32_t record, const char *reason)
{
    const char *leaf = context->leaf ? context->leaf : "";
    int rc = qn_buf_add_str(out, "{\"leaf\":");
    if (rc == 0) rc = qn_json_string(out, leaf, strlen(leaf));
    if (rc == 0) {
        rc = qn_buf_add_fmt(out, ",\"page\":%llu,\"record\":%llu,\"reason\":", (unsigned long long)context->page,
                            (unsigned long long)record + 1);
    }
    return rc < 0 ? rc : qn_json_string(out, reason, strlen(reason));
}

int qn_failures_add(struct qn_failures *failures, const struct qn_rows_context *context, uint32_t record,
                    const char *reason, const struct qn_span *value, struct qn_err *err)
{
    struct qn_buf *out = &failures->bytes;
    size_t offset = out->size, head = 0;
    int rc = reserve(failures);
    if (rc == 0) rc = add_head(out, context, record, reason);
    if (rc == 0) head = out->size - offset;
    if (rc == 0 && value) rc = qn_buf_add_str(out, ",\"value\":");
    if (rc == 0 && value) rc = qn_buf_add(out, value->data, value->size);
    if (rc == 0) rc = qn_buf_add(out, "}\n", 2);
    if (rc < 0) {
        out->size = offset;
        if (rc != QN_ELIMIT) return qn_fail(err, rc, "out of memory");
        return qn_fail(err, rc, "the failed records of this page are larger than %zu MB", QN_BATCH_CAP >> 20);
    }
    struct qn_failure failure = {offset, (uint32_t)(out->size - offset), (uint32_t)head}; /* the cap is below 4 GB */
    failures->list[failures->count++] = failure;
    return 0;
}

int qn_failures_give(struct qn_failures *failures, struct qn_batch *batch, struct qn_err *err)
{
    if (failures->count == 0) return 0;
    batch->failed = qn_bytes_take(&failures->bytes);
    if (!batch->failed) return qn_fail(err, QN_ENOMEM, "out of memory");
    batch->failures = failures->list;
    batch->failure_count = failures->count;
    failures->list = NULL;
    failures->count = failures->capacity = 0;
    return 0;
}
