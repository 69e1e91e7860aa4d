/* convert.h - the two pure calls between a page's bytes and its rows.
 *
 *     index: bytes -> page, with its facts      (also what accepts or refuses a body)
 *     rows:  page -> batch
 *
 * Rows without a transform are made by the first call already, if it can be: the second one hands them out. What went
 * wrong with them is told by the second one alone.
 *
 * A plan is compiled once on the main thread, reference-counted, shared by all workers; immutable after, except that it
 * knows which columns' paths have found something.
 * index and rows run on any thread; they keep nothing between calls. The Lua transform enters rows as a
 * function table (struct qn_transform) that core/lua implements. */
#pragma once

#include "json/doc.h"
#include "json/path.h"
#include "rows/batch.h"
#include "rows/row.h"

enum qn_format { QN_FORMAT_CSV, QN_FORMAT_NDJSON, QN_FORMAT_JSON };
/* What a record does that a column cannot convert, or whose transform fails: it fails the page; it makes no row and is
 * told; it is kept beside that. */
enum qn_on_error { QN_ON_ERROR_STOP, QN_ON_ERROR_SKIP, QN_ON_ERROR_QUARANTINE };
enum qn_as { QN_AS_ANY, QN_AS_TEXT, QN_AS_INTEGER, QN_AS_NUMBER, QN_AS_BOOL, QN_AS_TIME, QN_AS_JSON };
enum qn_reduce {
    QN_REDUCE_NONE,
    QN_REDUCE_FIRST,
    QN_REDUCE_LAST,
    QN_REDUCE_COUNT,
    QN_REDUCE_SUM,
    QN_REDUCE_MIN,
    QN_REDUCE_MAX,
    QN_REDUCE_AVG,
    QN_REDUCE_JOIN,
    QN_REDUCE_LIST
};

struct qn_column_spec {
    const char *name;
    const char *path; /* JSONPath from the record; NULL: set by the transform only */
    enum qn_as as;
    enum qn_reduce reduce;
    const char *separator;    /* join; NULL: "," */
    const char *default_json; /* JSON text used when no node is selected; NULL: missing */
    double scale;             /* multiplies numbers; 0 means not given */
    int round;                /* decimals, half away from zero; -1: not given */
    int level;                /* 0: the record; 1: one level further out; ... */
};

struct qn_fact_spec {
    const char *name;
    const char *path;
}; /* singular; read from the page's root */

struct qn_plan_spec {           /* borrowed during qn_plan_new */
    const char *const *records; /* paths, outermost level first; at least one */
    size_t record_levels;
    const char *key, *owner;   /* singular paths from the (innermost) record, or NULL */
    const char *key_separator; /* unused; NULL */
    const struct qn_fact_spec *facts;
    size_t fact_count;
    const struct qn_column_spec *columns; /* with a transform: the columns it receives, and the fields it may set */
    size_t column_count;
    bool raw; /* the row is the record's own text */
    bool has_transform;
    enum qn_format format;
    bool csv_safe; /* CSV: texts that a spreadsheet would run as formulas are guarded (csv.h) */
    enum qn_on_error on_error;
};

struct qn_plan;
/* QN_EINVAL / QN_ESYNTAX; the text names the field ("columns[2] 'talk_ms': column 9: ..."). */
int qn_plan_new(const struct qn_plan_spec *spec, struct qn_plan **out, struct qn_err *err);
struct qn_plan *qn_plan_ref(struct qn_plan *plan);
void qn_plan_unref(struct qn_plan *plan);
size_t qn_plan_column_count(const struct qn_plan *plan);
const char *qn_plan_column_name(const struct qn_plan *plan, size_t column);
/* Has its path selected anything so far, in any record that qn_convert_rows saw? If not, it may be mistyped. True, too,
 * where nothing is an answer: a column without a path, with a default, or that counts. */
bool qn_plan_column_found(const struct qn_plan *plan, size_t column);
size_t qn_plan_fact_count(const struct qn_plan *plan);
const char *qn_plan_fact_name(const struct qn_plan *plan, size_t fact);
bool qn_plan_has_transform(const struct qn_plan *plan);
enum qn_format qn_plan_format(const struct qn_plan *plan);
/* The CSV header line with its CRLF; empty for other formats. */
int qn_plan_header(const struct qn_plan *plan, struct qn_buf *out);

/* What one page says about itself. Values of facts are nodes of the doc (QN_NONE: absent). */
struct qn_facts {
    bool records_present; /* the records array (outermost level) was there, empty or not */
    size_t record_count;  /* innermost records */
    size_t item_count;    /* records of the outermost level: what an API counts its pages by */
    size_t fact_count;
    qn_node *facts;        /* in the order of the spec */
    struct qn_hash digest; /* of the page's bytes: "seen before in this walk?" */
};

struct qn_record { /* what a transform sees */
    const struct qn_doc *doc;
    qn_node node;          /* the innermost record */
    const qn_node *levels; /* record_levels nodes, outermost first; the last is node */
    size_t level_count;
    uint32_t number; /* 0-based in its page */
};

struct qn_emit; /* opaque: where a transform puts rows */
/* Adds one row; values has one entry a column of the plan. 0 or QN_E... */
int qn_emit_row(struct qn_emit *emit, const struct qn_value *values, struct qn_err *err);

struct qn_transform {
    void *self;
    /* row: the values of the plan's columns for this record. Calls qn_emit_row 0..n times.
     * QN_ESCRIPT with err's text on a script's error, after which the next record may be tried; any other code fails
     * the page, whatever on_error says. Never jumps out. */
    int (*apply)(void *self, const struct qn_record *record, const struct qn_value *row, struct qn_emit *emit,
                 struct qn_err *err);
};

struct qn_rows_context {
    const struct qn_transform *transform; /* required iff the plan has one */
    const char *where;                    /* "leaf 3 page 2", put before ", record N: ..." (N from 1); or NULL */
    const char *leaf;                     /* its name and the page's number, told with a record that failed; or NULL */
    uint64_t page;
};
/* A page that was indexed. One thread at a time. */
struct qn_page;

/* QN_ESYNTAX when the body is not JSON; the text says what it looks like instead ("HTML", "empty body", or the
 * position). The page holds a reference on bytes and on plan. context's transform is not used. */
int qn_convert_index(struct qn_plan *plan, struct qn_bytes *bytes, const struct qn_rows_context *context,
                     struct qn_page **out, struct qn_err *err);
const struct qn_facts *qn_page_facts(const struct qn_page *page);
/* What the facts' nodes are of, borrowed. Records may lack what is in them (doc.h: fold). */
struct qn_doc *qn_page_doc(const struct qn_page *page);
/* Are its rows made? Then qn_convert_rows takes no time. */
bool qn_page_ready(const struct qn_page *page);
/* Its facts have been read: the doc is let go of if nothing else needs it. */
void qn_page_read(struct qn_page *page);
void qn_page_free(struct qn_page *page); /* NULL is fine */

/* Once a page. QN_EINVAL (a value that its column cannot convert), QN_ESCRIPT, QN_ENOMEM, QN_ELIMIT. Nothing of a
 * failed page is kept. Raw lines without a line break within are not copied if nobody else holds the doc or its bytes:
 * then line ends are written into its text, and records cannot be read any more. With another on_error than stop,
 * QN_EINVAL is a query that cannot be right for any record, and QN_ESCRIPT does not happen. */
int qn_convert_rows(struct qn_page *page, const struct qn_rows_context *context, struct qn_batch **out,
                    struct qn_err *err);
