/* path_internal.h - a compiled path: what the parser builds and the evaluator walks.
 *
 * Everything hangs off struct qn_path in linked lists and lives in its blocks, so freeing is one loop. */
#pragma once

#include "json/path.h"
#include "json/regex.h"

enum qn_selector_kind { QN_SELECT_NAME, QN_SELECT_INDEX, QN_SELECT_SLICE, QN_SELECT_ALL, QN_SELECT_FILTER };

struct qn_selector {
    struct qn_selector *next;
    enum qn_selector_kind kind;
    struct qn_span name; /* decoded */
    int64_t index;
    int64_t start, end, step; /* slice */
    bool has_start, has_end;
    struct qn_expr *filter;
};

struct qn_segment {
    struct qn_segment *next;
    bool descendant;
    bool single; /* a name or an index: at most one node from one node */
    struct qn_selector *selectors;
    struct qn_span text; /* as written */
};

struct qn_query {
    bool absolute; /* begins with $, not @ */
    bool singular; /* one name or index a segment */
    size_t loose;  /* offset of white space inside a bracket, which a compared query must not have; or SIZE_MAX */
    struct qn_segment *segments;
};

enum qn_operand_kind { QN_OPERAND_LITERAL, QN_OPERAND_QUERY, QN_OPERAND_CALL };

struct qn_operand {
    enum qn_operand_kind is;
    enum qn_kind kind;   /* of a literal */
    struct qn_span text; /* string: decoded; number: as written */
    struct qn_query query;
    struct qn_call *call;
};

enum qn_function { QN_LENGTH, QN_COUNT, QN_MATCH, QN_SEARCH, QN_VALUE };

struct qn_call { /* of a function extension (RFC 9535 §2.4) */
    enum qn_function function;
    struct qn_operand arguments[2];
    struct qn_regex *regex; /* match, search: a literal pattern, compiled; NULL: none, or no I-Regexp */
    struct qn_call *next;   /* all calls of the path */
};

enum qn_compare { QN_EQUAL, QN_NOT_EQUAL, QN_LESS, QN_LESS_EQUAL, QN_GREATER, QN_GREATER_EQUAL };
enum qn_expr_kind { QN_EXPR_OR, QN_EXPR_AND, QN_EXPR_NOT, QN_EXPR_EXISTS, QN_EXPR_COMPARE, QN_EXPR_CALL };

struct qn_expr {
    enum qn_expr_kind kind;
    struct qn_expr *left, *right; /* OR, AND: a list that leans right (left is never of the same kind); NOT has left */
    struct qn_query query;        /* EXISTS */
    enum qn_compare compare;
    struct qn_operand a, b; /* COMPARE; CALL has a */
    bool names;             /* COMPARE: `query == "text"` */
};

struct qn_path {
    struct qn_path_block *blocks;
    struct qn_call *calls;
    struct qn_query query;
};

#define QN_PATH_MAX_DEPTH 64 /* parentheses, negations and filters within filters */

/* The parser's state; path_parse.c reads queries and selectors, path_filter.c what stands behind `?`, path_function.c
 * calls. */
struct qn_path_parser {
    struct qn_path *path;
    const char *text;
    size_t size, at;
    unsigned depth;
    struct qn_err *err;
};

/* QN_ESYNTAX at that byte offset, with its column in front of the text. */
int qn_path_refuse(struct qn_path_parser *p, size_t offset, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *qn_path_alloc(struct qn_path_parser *p, size_t size); /* zeroed; NULL with err filled */
int qn_path_peek(const struct qn_path_parser *p);           /* the byte at `at`, -1 at the end */
bool qn_path_take(struct qn_path_parser *p, const char *token);
void qn_path_blank(struct qn_path_parser *p); /* skips white space */
int qn_path_string(struct qn_path_parser *p, struct qn_span *out);
int qn_path_query(struct qn_path_parser *p, struct qn_query *out);  /* at $ or @ */
int qn_path_filter(struct qn_path_parser *p, struct qn_expr **out); /* behind ? */

int qn_path_operand(struct qn_path_parser *p, struct qn_operand *out); /* a literal, a query or a call */
bool qn_path_at_call(const struct qn_path_parser *p);                  /* function-name "(" */
int qn_path_call(struct qn_path_parser *p, struct qn_call **out);
bool qn_path_is_test(const struct qn_call *call); /* its result is true or false, not a value */

/* path_compare.c. A value is a literal, a count, a node, or Nothing. */
enum qn_value_is { QN_IS_NOTHING, QN_IS_LITERAL, QN_IS_COUNT, QN_IS_NODE };

struct qn_path_value {
    enum qn_value_is is;
    const struct qn_operand *literal;
    size_t count;
    qn_node node;
};
bool qn_path_compare(const struct qn_doc *doc, enum qn_compare compare, struct qn_path_value a, struct qn_path_value b);

/* path_eval.c: an evaluation. */
struct qn_path_eval {
    const struct qn_doc *doc;
    qn_node root; /* what $ means */
    int rc;       /* the first failure inside a filter */
};
/* Appends what a segment selects from one node. */
int qn_path_segment(struct qn_path_eval *e, const struct qn_segment *segment, qn_node node, struct qn_nodes *out);
int qn_nodes_grow(struct qn_nodes *list); /* QN_ENOMEM, QN_ELIMIT */
static inline int qn_nodes_push(struct qn_nodes *list, qn_node node)
{
    int rc = list->count < list->capacity ? QN_OK : qn_nodes_grow(list);
    if (rc == QN_OK) list->nodes[list->count++] = node;
    return rc;
}
int qn_path_run(struct qn_path_eval *e, const struct qn_query *query, qn_node current, struct qn_nodes *list);
struct qn_path_value qn_path_value_of(struct qn_path_eval *e, const struct qn_operand *o, qn_node current);

/* path_function.c: the result of a call. */
struct qn_path_value qn_path_call_value(struct qn_path_eval *e, const struct qn_call *call, qn_node current);
bool qn_path_call_test(struct qn_path_eval *e, const struct qn_call *call, qn_node current);
