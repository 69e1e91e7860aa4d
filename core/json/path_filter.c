/* What stands behind `?` (RFC 9535 §2.3.5): ||, &&, !, parentheses, existence tests and comparisons. */
#include <string.h>

#include "json/number.h"
#include "json/path_internal.h"

static int logical_or(struct qn_path_parser *p, struct qn_expr **out);

static struct qn_expr *expr(struct qn_path_parser *p, enum qn_expr_kind kind)
{
    struct qn_expr *e = qn_path_alloc(p, sizeof *e);
    if (e) e->kind = kind;
    return e;
}

static int number(struct qn_path_parser *p, struct qn_operand *out)
{
    const char *from = p->text + p->at;
    const char *end = qn_number_end(from, p->text + p->size);
    if (!end) return qn_path_refuse(p, p->at, "malformed number");
    size_t size = (size_t)(end - from);
    if (size == 1 && *from == '0' && p->at + 1 < p->size && end[0] >= '0' && end[0] <= '9') {
        return qn_path_refuse(p, p->at, "leading zeros are not allowed");
    }
    char *text = qn_path_alloc(p, size);
    if (!text) return QN_ENOMEM;
    memcpy(text, from, size);
    out->kind = QN_NUMBER;
    out->text = (struct qn_span){text, size};
    p->at += size;
    return QN_OK;
}

static int literal(struct qn_path_parser *p, struct qn_operand *out)
{
    int c = qn_path_peek(p);
    if (c == '"' || c == '\'') {
        out->kind = QN_STRING;
        return qn_path_string(p, &out->text);
    }
    if (c == '-' || (c >= '0' && c <= '9')) return number(p, out);
    if (qn_path_take(p, "true")) {
        out->kind = QN_TRUE;
    } else if (qn_path_take(p, "false")) {
        out->kind = QN_FALSE;
    } else if (qn_path_take(p, "null")) {
        out->kind = QN_NULL;
    } else {
        return qn_path_refuse(p, p->at, "expected a query ('@' or '$'), a literal, a function, '!' or '('");
    }
    return QN_OK;
}

static bool at_query(const struct qn_path_parser *p)
{
    int c = qn_path_peek(p);
    return c == '@' || c == '$';
}

int qn_path_operand(struct qn_path_parser *p, struct qn_operand *out)
{
    out->is = at_query(p) ? QN_OPERAND_QUERY : qn_path_at_call(p) ? QN_OPERAND_CALL : QN_OPERAND_LITERAL;
    if (out->is == QN_OPERAND_QUERY) return qn_path_query(p, &out->query);
    return out->is == QN_OPERAND_CALL ? qn_path_call(p, &out->call) : literal(p, out);
}

/* A query that is compared selects at most one node, and (by the grammar) has no white space in its brackets. */
static int check_comparable(struct qn_path_parser *p, const struct qn_operand *o, size_t offset)
{
    if (o->is == QN_OPERAND_CALL && qn_path_is_test(o->call)) {
        return qn_path_refuse(p, offset, "this function is true or false; it is a test, and is not compared");
    }
    if (o->is != QN_OPERAND_QUERY) return QN_OK;
    if (!o->query.singular) {
        return qn_path_refuse(p, offset, "this query may select many nodes and cannot be compared");
    }
    if (o->query.loose != SIZE_MAX) {
        return qn_path_refuse(p, o->query.loose,
                              "white space is not allowed in the brackets of a query that is compared");
    }
    return QN_OK;
}

static bool take_compare(struct qn_path_parser *p, enum qn_compare *out)
{
    static const struct {
        const char *token;
        enum qn_compare compare;
    } tokens[] = {
        {"==", QN_EQUAL},         {"!=", QN_NOT_EQUAL}, {"<=", QN_LESS_EQUAL},
        {">=", QN_GREATER_EQUAL}, {"<", QN_LESS},       {">", QN_GREATER},
    };
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        *out = tokens[i].compare;
        if (qn_path_take(p, tokens[i].token)) return true;
    }
    return false;
}

/* What was read as an operand stands alone. */
static int test(struct qn_path_parser *p, struct qn_expr *e, size_t offset)
{
    if (e->a.is == QN_OPERAND_LITERAL) return qn_path_refuse(p, offset, "a literal is no test: compare it");
    if (e->a.is == QN_OPERAND_CALL && !qn_path_is_test(e->a.call)) {
        return qn_path_refuse(p, offset, "this function gives a value, which is no test: compare it");
    }
    e->kind = e->a.is == QN_OPERAND_CALL ? QN_EXPR_CALL : QN_EXPR_EXISTS;
    e->query = e->a.query;
    return QN_OK;
}

static bool is_text(const struct qn_operand *operand)
{
    return operand->is == QN_OPERAND_LITERAL && operand->kind == QN_STRING;
}

/* A test or a comparison: they part only behind the first query or literal. */
static int comparison(struct qn_path_parser *p, struct qn_expr **out)
{
    struct qn_expr *e = expr(p, QN_EXPR_COMPARE);
    if (!e) return QN_ENOMEM;
    *out = e;
    size_t a = p->at;
    int rc = qn_path_operand(p, &e->a);
    if (rc < 0) return rc;
    size_t behind = p->at;
    qn_path_blank(p);
    if (!take_compare(p, &e->compare)) {
        p->at = behind;
        return test(p, e, a);
    }
    rc = check_comparable(p, &e->a, a);
    if (rc < 0) return rc;
    qn_path_blank(p);
    size_t b = p->at;
    rc = qn_path_operand(p, &e->b);
    if (rc == 0) rc = check_comparable(p, &e->b, b);
    e->names = e->compare == QN_EQUAL && e->a.is == QN_OPERAND_QUERY && is_text(&e->b);
    return rc;
}

/* Behind '('. */
static int parenthesised(struct qn_path_parser *p, struct qn_expr **out)
{
    size_t open = p->at - 1;
    qn_path_blank(p);
    int rc = logical_or(p, out);
    if (rc < 0) return rc;
    qn_path_blank(p);
    if (qn_path_take(p, ")")) return QN_OK;
    if (p->at == p->size) return qn_path_refuse(p, open, "the '(' here is not closed");
    return qn_path_refuse(p, p->at, "expected '&&', '||' or ')'");
}

/* Behind '!': a parenthesis, a query or a call. */
static int negation(struct qn_path_parser *p, struct qn_expr **out)
{
    struct qn_expr *e = expr(p, QN_EXPR_NOT);
    if (!e) return QN_ENOMEM;
    *out = e;
    qn_path_blank(p);
    if (qn_path_take(p, "(")) return parenthesised(p, &e->left);
    if (!at_query(p) && !qn_path_at_call(p)) {
        return qn_path_refuse(p, p->at, "'!' stands before a query, a function or '('");
    }
    size_t from = p->at;
    e->left = expr(p, QN_EXPR_EXISTS);
    int rc = e->left ? qn_path_operand(p, &e->left->a) : QN_ENOMEM;
    return rc < 0 ? rc : test(p, e->left, from);
}

static int basic(struct qn_path_parser *p, struct qn_expr **out)
{
    if (qn_path_take(p, "!")) return negation(p, out);
    if (qn_path_take(p, "(")) return parenthesised(p, out);
    return comparison(p, out);
}

/* next (S token S next)*. The list leans right, so that the evaluator follows it in a loop. */
static int chain(struct qn_path_parser *p, const char *token, enum qn_expr_kind kind,
                 int (*next)(struct qn_path_parser *, struct qn_expr **), struct qn_expr **out)
{
    struct qn_expr **last = out;
    int rc = next(p, last);
    while (rc == 0) {
        size_t before = p->at;
        qn_path_blank(p);
        if (!qn_path_take(p, token)) {
            p->at = before;
            break;
        }
        struct qn_expr *both = expr(p, kind);
        if (!both) return QN_ENOMEM;
        both->left = *last;
        *last = both;
        last = &both->right;
        qn_path_blank(p);
        rc = next(p, last);
    }
    return rc;
}

static int logical_and(struct qn_path_parser *p, struct qn_expr **out)
{
    return chain(p, "&&", QN_EXPR_AND, basic, out);
}

static int logical_or(struct qn_path_parser *p, struct qn_expr **out)
{
    if (p->depth == QN_PATH_MAX_DEPTH) {
        return qn_path_refuse(p, p->at, "filters and parentheses are nested deeper than %d", QN_PATH_MAX_DEPTH);
    }
    p->depth++;
    int rc = chain(p, "||", QN_EXPR_OR, logical_and, out);
    p->depth--;
    return rc;
}

int qn_path_filter(struct qn_path_parser *p, struct qn_expr **out)
{
    qn_path_blank(p);
    return logical_or(p, out);
}
