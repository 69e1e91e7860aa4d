#include "rows/ndjson.h"

#include <string.h>

#include "json/write.h"

int qn_ndjson_name(struct qn_buf *out, const char *name)
{
    int rc = qn_json_string(out, name, strlen(name));
    return rc < 0 ? rc : qn_buf_add_byte(out, ':');
}

int qn_ndjson_value(struct qn_buf *out, const struct qn_value *value)
{
    switch (value->kind) {
    case QN_VALUE_MISSING:
    case QN_VALUE_NULL: return qn_buf_add(out, "null", 4);
    case QN_VALUE_BOOL: return qn_buf_add_str(out, value->boolean ? "true" : "false");
    case QN_VALUE_INTEGER: return qn_json_integer(out, value->integer);
    case QN_VALUE_DOUBLE: return qn_json_double(out, value->number);
    case QN_VALUE_TEXT: return qn_json_string(out, value->text.data, value->text.size);
    case QN_VALUE_NUMBER:
    case QN_VALUE_JSON: return qn_buf_add(out, value->text.data, value->text.size);
    }
    return 0;
}

int qn_ndjson_row(struct qn_buf *out, char *const *names, const struct qn_value *values, size_t count)
{
    int rc = qn_buf_add_byte(out, '{');
    for (size_t i = 0; i < count && rc == 0; i++) {
        if (i > 0) rc = qn_buf_add_byte(out, ',');
        if (rc == 0) rc = qn_buf_add_str(out, names[i]);
        if (rc == 0) rc = qn_ndjson_value(out, &values[i]);
    }
    return rc < 0 ? rc : qn_buf_add_byte(out, '}');
}
