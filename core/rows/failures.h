/* failures.h - inside core/rows: the records of a page that failed, while its batch is made. One thread. */
#pragma once

#include "rows/batch.h"
#include "rows/convert.h"

struct qn_failures {
    struct qn_buf bytes;
    struct qn_failure *list;
    size_t count, capacity;
};

void qn_failures_init(struct qn_failures *failures);
void qn_failures_free(struct qn_failures *failures);
/* A record, counted from 0; value: its own JSON text without a line break, NULL to leave it out. QN_ENOMEM, QN_ELIMIT;
 * then nothing is added. */
int qn_failures_add(struct qn_failures *failures, const struct qn_rows_context *context, uint32_t record,
                    const char *reason, const struct qn_span *value, struct qn_err *err);
/* What was added becomes the batch's. */
int qn_failures_give(struct qn_failures *failures, struct qn_batch *batch, struct qn_err *err);
