/* path_internal.h - a compiled path: what the parser builds and the evaluator walks.
 *
 * Everything hangs off struct qn_path in linked lists and lives in its blocks, so freeing is one loop. */
#pragma once

#include "json/path.h"

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
};

struct qn_query {
    bool absolute; /* begins with $, not @ */
    bool singular; /* one name or index a segment */
    size_t loose;  /* offset of white space inside a bracket, which a compared query must not have; or SIZE_MAX */
    struct qn_segment *segments;
};

struct qn_operand {
    bool is_query;
    enum qn_kind kind;   /* of a literal */
    struct qn_span text; /* string: decoded; number: as written */
    struct qn_query query;
};

enum qn_compare { QN_EQUAL, QN_NOT_EQUAL, QN_LESS, QN_LESS_EQUAL, QN_GREATER, QN_GREATER_EQUAL };
enum qn_expr_kind { QN_EXPR_OR, QN_EXPR_AND, QN_EXPR_NOT, QN_EXPR_EXISTS, QN_EXPR_COMPARE };

struct qn_expr {
    enum qn_expr_kind kind;
    struct qn_expr *left, *right; /* OR, AND: a list that leans right (left is never of the same kind); NOT has left */
    struct qn_query query;        /* EXISTS */
    enum qn_compare compare;
    struct qn_operand a, b; /* COMPARE */
};

struct qn_path {
    struct qn_path_block *blocks;
    struct qn_query query;
};

#define QN_PATH_MAX_DEPTH 64 /* parentheses, negations and filters within filters */

/* The parser's state; path_parse.c reads queries and selectors, path_filter.c what stands behind `?`. */
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

/* path_compare.c. A value is a literal, a node, or Nothing. */
struct qn_path_value {
    bool nothing;
    const struct qn_operand *literal; /* or NULL: node */
    qn_node node;
};
bool qn_path_compare(const struct qn_doc *doc, enum qn_compare compare, struct qn_path_value a, struct qn_path_value b);
