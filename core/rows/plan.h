/* plan.h - inside core/rows: a compiled plan. Immutable after qn_plan_new, but for what was found: any thread. */
#pragma once

#include <stdatomic.h>

#include "rows/column.h"

#define QN_PLAN_MAX_NAMES 8 /* a longer way to the records is none that is watched */

struct qn_plan {
    atomic_uint references;
    struct qn_path **records; /* outermost level first */
    size_t level_count;
    struct qn_path *present; /* the outermost path without a trailing wildcard: is the array there? NULL: same path */
    bool early; /* the outermost records are the elements of an array that these names lead to, and nothing waits for
                 * all of the page: rows can be made while it is indexed */
    struct qn_span array_names[QN_PLAN_MAX_NAMES]; /* of `present` */
    size_t array_depth;
    bool fold; /* no fact reads what is in a record */
    struct qn_path *key, *owner;
    struct qn_path **facts;
    char **fact_names;
    size_t fact_count;
    struct qn_column *columns;
    struct qn_selection **selections; /* one a level, innermost first: its columns' paths by their numbers; in the
                                       * innermost then key and owner. NULL where a level has none */
    char **members;                   /* `"name":` for JSON rows */
    size_t column_count;
    atomic_bool *found; /* a column each: its path has selected something */
    bool raw, has_transform, csv_safe;
    enum qn_format format;
    enum qn_on_error on_error;
};

/* The length of a path's text without a trailing `.*` or `[*]`; 0 if it has none that can be cut. */
size_t qn_plan_array_path(const char *path);
