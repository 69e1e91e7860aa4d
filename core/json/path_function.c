/* Function extensions (RFC 9535 §2.4): calls are read, checked for their types, and carried out. */
#include <string.h>

#include "json/doc_internal.h"
#include "json/path_internal.h"
#include "json/utf8.h"

#define MAX_TEXT ((size_t)64 << 20) /* of a string that a regular expression reads */

static const struct {
    const char *name;
    unsigned arguments;
    bool nodes; /* takes a node list, not a value */
    bool test;  /* true or false, not a value */
} functions[] = {
    [QN_LENGTH] = {"length", 1, false, false}, [QN_COUNT] = {"count", 1, true, false},
    [QN_MATCH] = {"match", 2, false, true},    [QN_SEARCH] = {"search", 2, false, true},
    [QN_VALUE] = {"value", 1, true, false},
};
#define FUNCTIONS (sizeof functions / sizeof *functions)

/* ---- reading ---- */

static size_t name_end(const struct qn_path_parser *p)
{
    size_t at = p->at;
    if (at == p->size || p->text[at] < 'a' || p->text[at] > 'z') return at;
    while (at < p->size && ((p->text[at] >= 'a' && p->text[at] <= 'z') || (p->text[at] >= '0' && p->text[at] <= '9') ||
                            p->text[at] == '_')) {
        at++;
    }
    return at;
}

bool qn_path_at_call(const struct qn_path_parser *p)
{
    size_t end = name_end(p);
    return end > p->at && end < p->size && p->text[end] == '(';
}

bool qn_path_is_test(const struct qn_call *call)
{
    return functions[call->function].test;
}

static int function_name(struct qn_path_parser *p, enum qn_function *out)
{
    size_t from = p->at, size = name_end(p) - from;
    for (size_t i = 0; i < FUNCTIONS; i++) {
        if (size != strlen(functions[i].name) || memcmp(p->text + from, functions[i].name, size) != 0) continue;
        *out = (enum qn_function)i;
        p->at += size + 1; /* and the parenthesis */
        return QN_OK;
    }
    return qn_path_refuse(p, from, "no function '%.*s'; there are length, count, match, search and value",
                          (int)(size < 40 ? size : 40), p->text + from);
}

/* RFC 9535 §2.4.3. No function gives nodes, so only a query does. */
static int check_argument(struct qn_path_parser *p, enum qn_function function, const struct qn_operand *o,
                          size_t offset)
{
    const char *name = functions[function].name;
    if (functions[function].nodes) {
        return o->is == QN_OPERAND_QUERY ? QN_OK : qn_path_refuse(p, offset, "%s() takes a query", name);
    }
    if (o->is == QN_OPERAND_QUERY && !o->query.singular) {
        return qn_path_refuse(p, offset, "%s() takes a value; this query may select many nodes", name);
    }
    if (o->is == QN_OPERAND_CALL && qn_path_is_test(o->call)) {
        return qn_path_refuse(p, offset, "%s() takes a value; this function is true or false", name);
    }
    return QN_OK;
}

static int arguments(struct qn_path_parser *p, struct qn_call *call)
{
    unsigned count = functions[call->function].arguments;
    for (unsigned i = 0; i < count; i++) {
        qn_path_blank(p);
        if (i > 0 && !qn_path_take(p, ",")) break;
        qn_path_blank(p);
        size_t from = p->at;
        int rc = qn_path_operand(p, &call->arguments[i]);
        if (rc == 0) rc = check_argument(p, call->function, &call->arguments[i], from);
        if (rc < 0) return rc;
        qn_path_blank(p);
        if (i + 1 == count && qn_path_take(p, ")")) return QN_OK;
    }
    return qn_path_refuse(p, p->at, "%s() takes %u argument%s, then ')'", functions[call->function].name, count,
                          count == 1 ? "" : "s");
}

/* A literal pattern is compiled once; one that is no I-Regexp matches nothing (RFC 9535 §2.4.6). */
static int compile_pattern(struct qn_path_parser *p, struct qn_call *call)
{
    const struct qn_operand *pattern = &call->arguments[1];
    struct qn_err ignored;
    if (!qn_path_is_test(call) || pattern->is != QN_OPERAND_LITERAL || pattern->kind != QN_STRING) return QN_OK;
    int rc =
        qn_regex_compile(pattern->text.data, pattern->text.size, call->function == QN_MATCH, &call->regex, &ignored);
    return rc == QN_ENOMEM ? qn_fail(p->err, rc, "out of memory for a path") : QN_OK;
}

int qn_path_call(struct qn_path_parser *p, struct qn_call **out)
{
    struct qn_call *call = qn_path_alloc(p, sizeof *call);
    if (!call) return QN_ENOMEM;
    if (p->depth == QN_PATH_MAX_DEPTH) {
        return qn_path_refuse(p, p->at, "filters and functions are nested deeper than %d", QN_PATH_MAX_DEPTH);
    }
    *out = call;
    call->next = p->path->calls;
    p->path->calls = call;
    p->depth++;
    int rc = function_name(p, &call->function);
    if (rc == 0) rc = arguments(p, call);
    p->depth--;
    return rc < 0 ? rc : compile_pattern(p, call);
}

/* ---- carrying out ---- */

static struct qn_path_value nothing(void)
{
    return (struct qn_path_value){.is = QN_IS_NOTHING};
}

static struct qn_path_value count_of(size_t count)
{
    return (struct qn_path_value){.is = QN_IS_COUNT, .count = count};
}

static void note(struct qn_path_eval *e, int rc)
{
    if (rc < 0 && e->rc == 0) e->rc = rc;
}

/* The decoded text of a string value: borrowed, or in *scratch. False for any other value. */
static bool text_of(struct qn_path_eval *e, const struct qn_path_value *value, struct qn_buf *scratch,
                    struct qn_span *out)
{
    if (value->is == QN_IS_LITERAL) {
        *out = value->literal->text;
        return value->literal->kind == QN_STRING;
    }
    if (value->is != QN_IS_NODE || qn_doc_kind(e->doc, value->node) != QN_STRING) return false;
    if (qn_doc_plain_string(e->doc, value->node, out)) return true;
    qn_buf_clear(scratch);
    note(e, qn_doc_string(e->doc, value->node, scratch));
    *out = (struct qn_span){scratch->data ? scratch->data : "", scratch->size};
    return e->rc == 0;
}

static size_t characters(struct qn_span text)
{
    size_t count = 0;
    for (size_t i = 0; i < text.size; i++) count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

static struct qn_path_value length(struct qn_path_eval *e, const struct qn_call *call, qn_node current)
{
    struct qn_path_value value = qn_path_value_of(e, &call->arguments[0], current);
    struct qn_buf scratch;
    struct qn_span text;
    qn_buf_init(&scratch, MAX_TEXT);
    struct qn_path_value result = nothing();
    if (text_of(e, &value, &scratch, &text)) {
        result = count_of(characters(text));
    } else if (value.is == QN_IS_NODE && qn_doc_opens(e->doc, value.node)) {
        result = count_of(qn_doc_count(e->doc, value.node));
    }
    qn_buf_free(&scratch);
    return result;
}

struct qn_path_value qn_path_call_value(struct qn_path_eval *e, const struct qn_call *call, qn_node current)
{
    struct qn_nodes list;
    if (call->function == QN_LENGTH) return length(e, call, current);
    qn_nodes_init(&list);
    note(e, qn_path_run(e, &call->arguments[0].query, current, &list));
    struct qn_path_value result = call->function == QN_COUNT ? count_of(list.count) : nothing();
    if (call->function == QN_VALUE && list.count == 1) {
        result = (struct qn_path_value){.is = QN_IS_NODE, .node = list.nodes[0]};
    }
    qn_nodes_free(&list);
    return result;
}

static bool run_regex(struct qn_path_eval *e, const struct qn_regex *regex, struct qn_span text)
{
    int rc = qn_regex_matches(regex, text.data, text.size);
    note(e, rc);
    return rc > 0;
}

/* With a pattern that the document holds. */
static bool run_pattern(struct qn_path_eval *e, const struct qn_call *call, struct qn_span pattern, struct qn_span text)
{
    struct qn_regex *regex;
    struct qn_err ignored;
    int rc = qn_regex_compile(pattern.data, pattern.size, call->function == QN_MATCH, &regex, &ignored);
    if (rc == QN_ENOMEM) note(e, rc);
    bool found = rc == 0 && run_regex(e, regex, text);
    qn_regex_free(regex);
    return found;
}

bool qn_path_call_test(struct qn_path_eval *e, const struct qn_call *call, qn_node current)
{
    struct qn_path_value text_value = qn_path_value_of(e, &call->arguments[0], current);
    struct qn_buf text_scratch, pattern_scratch;
    struct qn_span text, pattern;
    bool found = false;
    qn_buf_init(&text_scratch, MAX_TEXT);
    qn_buf_init(&pattern_scratch, MAX_TEXT);
    if (text_of(e, &text_value, &text_scratch, &text)) {
        struct qn_path_value value = qn_path_value_of(e, &call->arguments[1], current);
        if (call->regex) {
            found = run_regex(e, call->regex, text);
        } else if (value.is != QN_IS_LITERAL && text_of(e, &value, &pattern_scratch, &pattern)) {
            found = run_pattern(e, call, pattern, text);
        }
    }
    qn_buf_free(&text_scratch);
    qn_buf_free(&pattern_scratch);
    return found;
}
