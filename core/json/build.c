/* The grammar of RFC 8259 over the offsets of a scan. Nothing is trusted to the scan but where tokens begin:
 * each scalar is read to its end, and what lies between two tokens must be white space. */
#include <string.h>

#include "base/mem.h"
#include "json/builder.h"
#include "json/number.h"

#define NO_CLOSER '\xff' /* around the outermost value: a byte that UTF-8 does not have */

static bool inside_object(const struct qn_builder *b)
{
    return b->text[qn_doc_node_offset(&b->nodes[b->open[b->depth - 1].node])] == '{';
}

static const char *wanted(const struct qn_builder *b, enum qn_want want)
{
    static const char *const names[] = {
        [QN_WANT_VALUE] = "a value",
        [QN_WANT_FIRST_VALUE] = "a value or ']'",
        [QN_WANT_KEY] = "a member name in double quotes",
        [QN_WANT_FIRST_KEY] = "a member name in double quotes or '}'",
        [QN_WANT_COLON] = "':'",
    };
    if (want != QN_WANT_BEHIND_VALUE) return names[want];
    if (b->depth == 0) return "the end of the text";
    return inside_object(b) ? "',' or '}'" : "',' or ']'";
}

__attribute__((cold)) int qn_builder_unexpected(struct qn_builder *b, enum qn_want want, size_t offset)
{
    unsigned char c = offset < b->size ? (unsigned char)b->text[offset] : 0;
    const char *what = wanted(b, want);
    if (offset >= b->size && b->depth > 0) {
        return qn_fail_at(b->err, QN_ESYNTAX, offset,
                          "expected %s, but the text ends at byte %zu inside the %s that begins at byte %u", what,
                          offset, inside_object(b) ? "object" : "array",
                          qn_doc_node_offset(&b->nodes[b->open[b->depth - 1].node]));
    }
    if (offset >= b->size) return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, but the text is empty", what);
    if (c > 0x20 && c < 0x7F) {
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found '%c' at byte %zu", what, c, offset);
    }
    return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found byte 0x%02x at byte %zu", what, c, offset);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static void seek_slash(struct qn_builder *b, size_t from)
{
    const char *found = memchr(b->text + from, '\\', b->size - from);
    b->slash = found ? (size_t)(found - b->text) : b->size;
}

/* The escapes before the closing quote at `quote`, of which the first is at b->slash. */
static int check_escapes(struct qn_builder *b, size_t quote)
{
    const char *end = b->text + quote;
    while (b->slash < quote) {
        size_t offset = b->slash, left = quote - offset;
        const char *p = end - left;
        if (left >= 2 && p[1] && strchr("\"\\/bfnrt", p[1])) {
            seek_slash(b, offset + 2);
        } else if (left >= 6 && p[1] == 'u' && is_hex(p[2]) && is_hex(p[3]) && is_hex(p[4]) && is_hex(p[5])) {
            seek_slash(b, offset + 6);
        } else {
            return qn_fail_at(b->err, QN_ESYNTAX, offset, "invalid escape in a string at byte %zu", offset);
        }
    }
    return QN_OK;
}

/* Only white space may lie between the end of a token and the next one. */
static int check_space(struct qn_builder *b, enum qn_want want, size_t end, size_t next)
{
    while (end < next && is_space(b->text[end])) end++;
    return end == next ? QN_OK : qn_builder_unexpected(b, want, end);
}

static inline int check_gap(struct qn_builder *b, enum qn_want want, size_t end, size_t next)
{
    return end == next ? QN_OK : check_space(b, want, end, next);
}

/* The node of the string at `offset`, key or value. The scan saw only white space between its closing quote and the
 * next token. */
static inline int string_node(struct qn_builder *b, size_t offset, size_t next, struct qn_doc_node *out)
{
    uint32_t escaped = 0;
    while (b->text[next - 1] != '"' && is_space(b->text[next - 1])) next--;
    if (next - 1 <= offset || b->text[next - 1] != '"') {
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "malformed string at byte %zu", offset);
    }
    if (b->slash < next) {
        int rc = check_escapes(b, next - 1);
        if (rc < 0) return rc;
        escaped = QN_NODE_ESCAPED;
    }
    *out = (struct qn_doc_node){(uint32_t)offset, (uint32_t)next | escaped};
    return QN_OK;
}

static const struct qn_span literals[] = {{"true", 4}, {"false", 5}, {"null", 4}};

/* The node of a number or literal, and its end. */
static int scalar_node(struct qn_builder *b, enum qn_want want, size_t offset, size_t *end, struct qn_doc_node *out)
{
    const char *p = b->text + offset, *limit = NULL;
    if (*p == '-' || (*p >= '0' && *p <= '9')) {
        limit = qn_number_end(p, b->text + b->size);
        if (!limit) return qn_fail_at(b->err, QN_ESYNTAX, offset, "malformed number at byte %zu", offset);
    }
    for (size_t i = 0; i < sizeof literals / sizeof *literals && !limit; i++) {
        struct qn_span literal = literals[i];
        if (b->size - offset >= literal.size && memcmp(p, literal.data, literal.size) == 0) limit = p + literal.size;
    }
    if (!limit) return qn_builder_unexpected(b, want, offset);
    *end = (size_t)(limit - b->text);
    *out = (struct qn_doc_node){(uint32_t)offset, (uint32_t)*end};
    return QN_OK;
}

/* The key at at[0] and the colon at at[1]. */
static inline int key_node(struct qn_builder *b, enum qn_want want, const uint32_t *at, struct qn_doc_node *node)
{
    if (b->text[at[0]] != '"') return qn_builder_unexpected(b, want, at[0]);
    int rc = string_node(b, at[0], at[1], node);
    if (rc < 0) return rc;
    if (b->text[at[1]] != ':') return qn_builder_unexpected(b, QN_WANT_COLON, at[1]);
    return check_gap(b, QN_WANT_VALUE, at[1] + 1, at[2]);
}

/* A container opens in one that has `children` so far and ends with `closer`. */
static inline int open_container(struct qn_builder *b, size_t offset, uint32_t children, char closer,
                                 struct qn_doc_node *node)
{
    if (b->depth == QN_DOC_MAX_DEPTH) {
        return qn_fail_at(b->err, QN_ELIMIT, offset, "nested deeper than %d levels at byte %zu", QN_DOC_MAX_DEPTH,
                          offset);
    }
    b->open[b->depth++] = (struct qn_frame){(uint32_t)(node - b->nodes), children, closer};
    node->offset = (uint32_t)offset | QN_NODE_OPENS;
    return QN_OK;
}

/* The innermost container closes; what is around it goes on. */
static inline struct qn_frame close_container(struct qn_builder *b, size_t offset, uint32_t children,
                                              struct qn_doc_node *node)
{
    struct qn_frame frame = b->open[--b->depth];
    b->nodes[frame.node].skip = (uint32_t)(node - b->nodes);
    *node = (struct qn_doc_node){(uint32_t)offset, children};
    return frame;
}

/* One value, whole. A round reads a value, with its key in an object, and what closes behind it. What changes with each
 * token is local, so that it stays in registers. */
int qn_builder_value(struct qn_builder *b, enum qn_want want)
{
    const char *const text = b->text;
    const uint32_t *at = b->at;
    struct qn_doc_node *node = b->node;
    uint32_t children = 0;
    char closer = NO_CLOSER;
    int rc = QN_OK;
    while (rc == 0) {
        if (closer == '}') {
            if ((rc = key_node(b, want, at, node++)) < 0) break;
            at += 2;
            want = QN_WANT_VALUE;
        }
        size_t offset = *at, end = offset + 1;
        char c = text[offset];
        if (c == '{' || c == '[') {
            if ((rc = open_container(b, offset, children, closer, node++)) < 0) break;
            children = 0;
            closer = c == '{' ? '}' : ']';
            want = c == '{' ? QN_WANT_FIRST_KEY : QN_WANT_FIRST_VALUE;
            if ((rc = check_gap(b, want, end, *++at)) < 0) break;
            if (text[*at] != closer) continue;
        } else {
            rc = c == '"' ? string_node(b, offset, end = at[1], node) : scalar_node(b, want, offset, &end, node);
            if (rc < 0) break;
            node++;
            children++;
            if ((rc = check_gap(b, QN_WANT_BEHIND_VALUE, end, *++at)) < 0) break;
        }
        while (text[*at] == closer) {
            struct qn_frame around = close_container(b, *at, children, node++);
            children = around.children + 1;
            closer = around.closer;
            at++;
            if ((rc = check_gap(b, QN_WANT_BEHIND_VALUE, at[-1] + 1, *at)) < 0) return rc;
        }
        if (text[*at] != ',' || closer == NO_CLOSER) break;
        want = closer == '}' ? QN_WANT_KEY : QN_WANT_VALUE;
        at++;
        rc = check_gap(b, want, at[-1] + 1, *at);
    }
    if (rc < 0) return rc;
    if (closer != NO_CLOSER) return qn_builder_unexpected(b, QN_WANT_BEHIND_VALUE, *at);
    b->at = at;
    b->node = node;
    return QN_OK;
}

int qn_builder_gap(struct qn_builder *b, enum qn_want want, size_t end)
{
    return check_gap(b, want, end, *b->at);
}

int qn_builder_byte(struct qn_builder *b, enum qn_want want)
{
    size_t end = *b->at++ + 1;
    return qn_builder_gap(b, want, end);
}

int qn_builder_key(struct qn_builder *b, enum qn_want want)
{
    int rc = key_node(b, want, b->at, b->node++);
    b->at += 2;
    return rc;
}

int qn_builder_open(struct qn_builder *b, enum qn_want behind)
{
    int rc = open_container(b, *b->at, 0, NO_CLOSER, b->node++);
    return rc < 0 ? rc : qn_builder_byte(b, behind);
}

int qn_builder_close(struct qn_builder *b, uint32_t children)
{
    close_container(b, *b->at, children, b->node++);
    return qn_builder_byte(b, QN_WANT_BEHIND_VALUE);
}

int qn_builder_init(struct qn_builder *b, struct qn_doc *doc, const struct qn_index *index, struct qn_err *err)
{
    b->text = doc->text;
    b->size = doc->size;
    b->at = index->at;
    b->doc = doc;
    b->depth = 0;
    b->err = err;
    /* No token makes more than one node, and the last one may be read before it is refused. */
    b->nodes = b->node = doc->nodes = qn_malloc((index->count + 2) * sizeof *b->nodes);
    if (!b->nodes) return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", doc->size);
    seek_slash(b, 0);
    return QN_OK;
}

void qn_builder_done(struct qn_builder *b)
{
    struct qn_doc *doc = b->doc;
    doc->count = (uint32_t)(b->node - b->nodes);
    struct qn_doc_node *fitted = qn_realloc(doc->nodes, doc->count * sizeof *doc->nodes);
    if (fitted) doc->nodes = fitted;
}
