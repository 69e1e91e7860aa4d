/* row.h - the values of one row, between columns or a transform and an encoder. Borrowed pointers: valid
 * until the page's doc or the maker's scratch buffer goes. One thread at a time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qn_value_kind {
    QN_VALUE_MISSING, /* CSV: empty cell; JSON: null */
    QN_VALUE_NULL,
    QN_VALUE_BOOL,
    QN_VALUE_INTEGER,
    QN_VALUE_DOUBLE,
    QN_VALUE_NUMBER, /* a JSON number by its source text, written as it stands */
    QN_VALUE_TEXT,   /* UTF-8, decoded */
    QN_VALUE_JSON,   /* minified JSON text; a CSV cell holds it as text */
};

struct qn_value {
    enum qn_value_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double number;
        struct {
            const char *data;
            size_t size;
        } text;
    };
};
