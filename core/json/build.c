/* The grammar of RFC 8259 over the offsets of a scan. Nothing is trusted to the scan but where tokens begin:
 * each scalar is read to its end, and what lies between two tokens must be white space. */
#include <string.h>

#include "base/mem.h"
#include "json/doc_internal.h"
#include "json/number.h"

struct frame {
    uint32_t node;     /* the opening node */
    uint32_t children; /* before the container that is open inside it */
    bool object;
};

struct builder {
    const char *text;
    size_t size;
    struct qn_doc_node *nodes;
    uint32_t depth;
    size_t slash; /* the first backslash that was not passed yet; size: none is left */
    struct frame open[QN_DOC_MAX_DEPTH];
    struct qn_err *err;
};

/* The text must go on with something else than what is at offset. */
static __attribute__((cold)) int unexpected(struct builder *b, const char *wanted, size_t offset)
{
    unsigned char c = offset < b->size ? (unsigned char)b->text[offset] : 0;
    if (offset >= b->size && b->depth > 0) {
        const struct frame *inner = &b->open[b->depth - 1];
        return qn_fail_at(b->err, QN_ESYNTAX, offset,
                          "expected %s, but the text ends at byte %zu inside the %s that begins at byte %u", wanted,
                          offset, inner->object ? "object" : "array", qn_doc_node_offset(&b->nodes[inner->node]));
    }
    if (offset >= b->size) return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, but the text is empty", wanted);
    if (c > 0x20 && c < 0x7F) {
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found '%c' at byte %zu", wanted, c, offset);
    }
    return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found byte 0x%02x at byte %zu", wanted, c, offset);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static void seek_slash(struct builder *b, size_t from)
{
    const char *found = memchr(b->text + from, '\\', b->size - from);
    b->slash = found ? (size_t)(found - b->text) : b->size;
}

/* The escapes before the closing quote at `quote`, of which the first is at b->slash. */
static int check_escapes(struct builder *b, size_t quote)
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

/* What follows a value, for messages: behind a key it is the colon. */
static const char *behind_value(const struct builder *b)
{
    if (b->depth == 0) return "the end of the text";
    return b->open[b->depth - 1].object ? "',' or '}'" : "',' or ']'";
}

/* Nothing but white space lies between the end of a token and the next one? */
static inline int check_gap(struct builder *b, const char *wanted, size_t end, size_t next)
{
    while (end < next && is_space(b->text[end])) end++;
    return end == next ? QN_OK : unexpected(b, wanted, end);
}

/* The node of the string at `offset`, key or value. The scan saw only white space between its closing quote and the
 * next token. */
static inline int string_node(struct builder *b, size_t offset, size_t next, struct qn_doc_node *out)
{
    uint32_t escaped = 0;
    while (is_space(b->text[next - 1])) next--;
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

/* The end of a number or literal. */
static int scalar_end(struct builder *b, const char *wanted, size_t offset, size_t *end)
{
    const char *p = b->text + offset;
    size_t left = b->size - offset;
    if (*p == '-' || (*p >= '0' && *p <= '9')) {
        p = qn_number_end(p, b->text + b->size);
        if (!p) return qn_fail_at(b->err, QN_ESYNTAX, offset, "malformed number at byte %zu", offset);
        *end = (size_t)(p - b->text);
        return QN_OK;
    }
    for (size_t i = 0; i < sizeof literals / sizeof *literals; i++) {
        if (left < literals[i].size || memcmp(p, literals[i].data, literals[i].size) != 0) continue;
        *end = offset + literals[i].size;
        return QN_OK;
    }
    return unexpected(b, wanted, offset);
}

/* The key at at[0] and its colon; *at moves to the value. */
static inline int member(struct builder *b, const char **wanted, const uint32_t **at, struct qn_doc_node **node)
{
    const uint32_t *token = *at;
    if (b->text[token[0]] != '"') return unexpected(b, *wanted, token[0]);
    int rc = string_node(b, token[0], token[1], (*node)++);
    if (rc < 0) return rc;
    if (b->text[token[1]] != ':') return unexpected(b, "':'", token[1]);
    *at = token + 2;
    *wanted = "a value";
    return check_gap(b, *wanted, token[1] + 1, token[2]);
}

/* A container opens; `children` are those of the one around it so far. */
static inline int open_container(struct builder *b, size_t offset, uint32_t children, struct qn_doc_node *node)
{
    if (b->depth == QN_DOC_MAX_DEPTH) {
        return qn_fail_at(b->err, QN_ELIMIT, offset, "nested deeper than %d levels at byte %zu", QN_DOC_MAX_DEPTH,
                          offset);
    }
    b->open[b->depth++] = (struct frame){(uint32_t)(node - b->nodes), children, b->text[offset] == '{'};
    node->offset = (uint32_t)offset | QN_NODE_OPENS;
    return QN_OK;
}

/* The innermost container closes; the children of the one around it. */
static inline uint32_t close_container(struct builder *b, size_t offset, uint32_t children, struct qn_doc_node *node)
{
    const struct frame *frame = &b->open[--b->depth];
    b->nodes[frame->node].skip = (uint32_t)(node - b->nodes);
    *node = (struct qn_doc_node){(uint32_t)offset, children};
    return frame->children + 1;
}

static inline bool in_object(const struct builder *b)
{
    return b->depth > 0 && b->open[b->depth - 1].object;
}

/* One round reads a value and what closes behind it, up to the next value. What changes with each token is local, so
 * that it stays in registers. at[count] is the size of the text, where a NUL stands, which is no token. */
static int all_values(struct builder *b, const uint32_t *at, uint32_t *count)
{
    const char *const text = b->text, *wanted = "a value";
    struct qn_doc_node *node = b->nodes;
    uint32_t children = 0;
    bool object = false;
    for (;;) {
        size_t offset = *at, behind = offset + 1;
        char c = text[offset];
        bool opens = c == '{' || c == '[';
        int rc;
        if (c == '"') {
            rc = string_node(b, offset, behind = at[1], node++);
        } else if (opens) {
            rc = open_container(b, offset, children, node++);
            children = 0;
            object = c == '{';
            wanted = object ? "a member name in double quotes or '}'" : "a value or ']'";
        } else {
            rc = scalar_end(b, wanted, offset, &behind);
            *node++ = (struct qn_doc_node){(uint32_t)offset, (uint32_t)behind};
        }
        if (rc == 0) rc = check_gap(b, opens ? wanted : behind_value(b), behind, *++at);
        if (rc < 0) return rc;
        if (!opens) {
            children++;
        } else if (text[*at] != (object ? '}' : ']')) {
            if (object && (rc = member(b, &wanted, &at, &node)) < 0) return rc;
            continue;
        }
        while (b->depth > 0 && text[*at] == (object ? '}' : ']')) {
            children = close_container(b, *at, children, node++);
            object = in_object(b);
            at++;
            if ((rc = check_gap(b, behind_value(b), at[-1] + 1, *at)) < 0) return rc;
        }
        if (b->depth == 0) break;
        if (text[*at] != ',') return unexpected(b, behind_value(b), *at);
        wanted = object ? "a member name in double quotes" : "a value";
        if ((rc = check_gap(b, wanted, *at + 1, at[1])) < 0) return rc;
        at++;
        if (object && (rc = member(b, &wanted, &at, &node)) < 0) return rc;
    }
    *count = (uint32_t)(node - b->nodes);
    return *at == b->size ? QN_OK : unexpected(b, behind_value(b), *at);
}

int qn_doc_build(const char *text, size_t size, const struct qn_index *index, struct qn_doc_node **nodes,
                 uint32_t *count, struct qn_err *err)
{
    struct builder b;
    b.text = text;
    b.size = size;
    b.depth = 0;
    b.err = err;
    /* No token makes more than one node, and the last one may be read before it is refused. */
    b.nodes = qn_malloc((index->count + 2) * sizeof *b.nodes);
    if (!b.nodes) return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", size);
    seek_slash(&b, 0);
    int rc = check_gap(&b, "a value", 0, index->at[0]);
    if (rc == 0) rc = all_values(&b, index->at, count);
    if (rc < 0) {
        qn_free(b.nodes);
        return rc;
    }
    struct qn_doc_node *fitted = qn_realloc(b.nodes, *count * sizeof *b.nodes);
    *nodes = fitted ? fitted : b.nodes;
    return QN_OK;
}
