/* column.h - one column: from the nodes its path selects in a record to one value of the row.
 *
 *     no node          the default, else missing (`count` is 0)
 *     null             null, whatever `as` says
 *     as = any         text decoded; a number by its source text; an object or array as minified JSON
 *     as = text        the same as text; a number keeps its source text
 *     as = integer     a number without fraction within 64 bits, or a text that is one ("5", "5.0", "5e3")
 *     as = number      a number by its source text, or a text that is one
 *     as = bool        true, false, "true", "false", 1, 0
 *     as = time        ISO 8601 text, or an integer of milliseconds since 1970: always "2024-01-01T00:00:00.000Z"
 *                      (UTC, three decimals; finer fractions are cut)
 *     as = json        the value as minified JSON
 *
 * `scale` multiplies, `round` rounds half away from zero, both in decimal: 1005 * 0.001 to two places is 1.01.
 * (A scale that needs more than 15 digits, such as 1/3, is multiplied as a double first.)
 * `sum`, `avg`, `min`, `max`, `join` skip nulls; without anything left they are the default or missing. Sums are
 * exact to 36 digits, so the order of the nodes does not matter. `min` and `max` compare numbers, or texts byte by
 * byte, or instants with as = time, and keep the value as written. With `join` and `list`, `as`, `scale` and
 * `round` apply to each item; `avg` without `round` has 17 significant digits or a little more.
 *
 * A column is immutable: any thread. Scratch belongs to one thread. */
#pragma once

#include "base/err.h"
#include "json/path.h"
#include "rows/arena.h"
#include "rows/convert.h"
#include "rows/decimal.h"
#include "rows/row.h"

struct qn_column {
    char *name;
    struct qn_path *path; /* NULL: only a transform sets it */
    enum qn_as as;
    enum qn_reduce reduce;
    char *separator;
    bool scaled, scale_exact; /* exact: scale_decimal, else scale */
    double scale;
    struct qn_decimal scale_decimal;
    int round; /* -1: not given */
    int level;
    bool has_default;
    struct qn_value fallback; /* the default, converted */
    char *fallback_text;      /* what fallback points into */
};

/* What reading a column needs besides: memory that lives until the next record. */
struct qn_scratch {
    struct qn_arena arena;
    struct qn_buf buf; /* for strings while they are decoded */
    bool no_memory;    /* a text could not be decoded since the last reset: what was said of it is not true */
};
void qn_scratch_init(struct qn_scratch *scratch);
void qn_scratch_free(struct qn_scratch *scratch);
void qn_scratch_reset(struct qn_scratch *scratch); /* before each record: earlier values are gone */

/* Compiles spec; levels is the number of record levels. On failure nothing is left. */
int qn_column_init(struct qn_column *column, const struct qn_column_spec *spec, size_t levels, struct qn_err *err);
void qn_column_done(struct qn_column *column);

/* The column's value of the nodes that its path selects in a record of its level (NULL: it has no path). Points into
 * the doc, the scratch or the column. QN_EINVAL with the column named ("column 'talk_ms': "abc" is not an integer"),
 * QN_ENOMEM, QN_ELIMIT. */
int qn_column_value(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                    struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err);
/* The same for one column by itself. */
int qn_column_read(const struct qn_column *column, const struct qn_doc *doc, qn_node record, struct qn_scratch *scratch,
                   struct qn_value *out, struct qn_err *err);

/* For reduce.c: one node through `as`, `scale` and `round`; errors without the column's name. */
int qn_column_convert(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                      struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err);
/* scale and round, then `as`, of a number made by reduction. */
int qn_column_number(const struct qn_column *column, struct qn_decimal number, struct qn_scratch *scratch,
                     struct qn_value *out, struct qn_err *err);
/* A number, or with as = integer or number a text that is one. */
bool qn_column_decimal(const struct qn_column *column, const struct qn_doc *doc, qn_node node,
                       struct qn_scratch *scratch, struct qn_decimal *out);
/* An instant: ISO text or integer milliseconds. */
bool qn_node_instant(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, int64_t *ms);
/* A string decoded: borrowed from the doc where possible, else in the arena. */
int qn_node_text(const struct qn_doc *doc, qn_node node, struct qn_scratch *scratch, struct qn_span *out);
/* The value as text, for cells that hold text: numbers and JSON as written. Uses the arena. QN_ENOMEM, QN_ERANGE. */
int qn_value_text(const struct qn_value *value, struct qn_scratch *scratch, struct qn_span *out);
/* "... is not ..." with an excerpt of the node. Returns QN_EINVAL. */
int qn_column_refuse(const struct qn_doc *doc, qn_node node, const char *problem, struct qn_err *err);

/* reduce.c: more than one node. */
int qn_column_reduce(const struct qn_column *column, const struct qn_doc *doc, const struct qn_nodes *nodes,
                     struct qn_scratch *scratch, struct qn_value *out, struct qn_err *err);
