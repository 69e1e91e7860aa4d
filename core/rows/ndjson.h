/* ndjson.h - a row as a JSON object, members in column order, missing values null. Appends to a buffer. Any thread.
 * NDJSON is this object and "\n"; a JSON array is these objects with commas by the sink. */
#pragma once

#include "base/buf.h"
#include "rows/row.h"

/* Members already written as `"name":`, made once for a plan. */
int qn_ndjson_name(struct qn_buf *out, const char *name);
/* The object without a terminator. QN_ERANGE for NaN and infinity, QN_ENOMEM, QN_ELIMIT; then out may hold a part. */
int qn_ndjson_row(struct qn_buf *out, char *const *names, const struct qn_value *values, size_t count);
/* One value; missing is null. */
int qn_ndjson_value(struct qn_buf *out, const struct qn_value *value);
