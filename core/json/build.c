/* The grammar of RFC 8259 over the offsets of a scan. Nothing is trusted to the scan but where tokens begin:
 * each scalar is read to its end, and what lies between two tokens must be white space. */
#include <string.h>

#include "base/mem.h"
#include "json/doc_internal.h"
#include "json/number.h"

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_KEY, WANT_KEY_OR_END, WANT_COLON, WANT_COMMA, WANT_NOTHING };

static const char *const want_names[] = {
    [WANT_VALUE] = "a value",
    [WANT_VALUE_OR_END] = "a value or ']'",
    [WANT_KEY] = "a member name in double quotes",
    [WANT_KEY_OR_END] = "a member name in double quotes or '}'",
    [WANT_COLON] = "':'",
    [WANT_NOTHING] = "the end of the text",
};

struct builder {
    const char *text;
    size_t size;
    struct qn_doc_node *nodes;
    uint32_t count;
    enum want want;
    uint32_t depth;
    bool object;                         /* the innermost container is one */
    size_t slash;                        /* the first backslash that was not passed yet; size: none is left */
    uint32_t open[QN_DOC_MAX_DEPTH];     /* opening nodes */
    uint32_t children[QN_DOC_MAX_DEPTH]; /* seen so far */
    struct qn_err *err;
};

static const char *wanted(const struct builder *b)
{
    if (b->want == WANT_COMMA) return b->object ? "',' or '}'" : "',' or ']'";
    return want_names[b->want];
}

static int unexpected(struct builder *b, size_t offset)
{
    unsigned char c = offset < b->size ? (unsigned char)b->text[offset] : 0;
    if (offset >= b->size && b->depth > 0) {
        return qn_fail_at(b->err, QN_ESYNTAX, offset,
                          "expected %s, but the text ends at byte %zu inside the %s that begins at byte %u", wanted(b),
                          offset, b->object ? "object" : "array", qn_doc_node_offset(&b->nodes[b->open[b->depth - 1]]));
    }
    if (offset >= b->size)
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, but the text is empty", wanted(b));
    if (c > 0x20 && c < 0x7F) {
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found '%c' at byte %zu", wanted(b), c, offset);
    }
    return qn_fail_at(b->err, QN_ESYNTAX, offset, "expected %s, found byte 0x%02x at byte %zu", wanted(b), c, offset);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline uint32_t add(struct builder *b, size_t offset, uint32_t skip)
{
    b->nodes[b->count] = (struct qn_doc_node){(uint32_t)offset, skip};
    return b->count++;
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

/* Adds the node of a string. *end is given as the offset of the next token: the scan saw only white space between the
 * closing quote and it. */
static inline int string_token(struct builder *b, size_t offset, size_t *end)
{
    size_t at = *end;
    uint32_t escaped = 0;
    while (is_space(b->text[at - 1])) at--;
    if (at - 1 <= offset || b->text[at - 1] != '"') {
        return qn_fail_at(b->err, QN_ESYNTAX, offset, "malformed string at byte %zu", offset);
    }
    *end = at;
    if (b->slash < at) {
        int rc = check_escapes(b, at - 1);
        if (rc < 0) return rc;
        escaped = QN_NODE_ESCAPED;
    }
    add(b, offset, (uint32_t)at | escaped);
    return QN_OK;
}

static int literal_token(struct builder *b, size_t offset, const char *word, size_t *end)
{
    size_t size = strlen(word);
    if (b->size - offset < size || memcmp(b->text + offset, word, size) != 0) return unexpected(b, offset);
    *end = offset + size;
    return QN_OK;
}

static int number_token(struct builder *b, size_t offset, size_t *end)
{
    const char *limit = qn_number_end(b->text + offset, b->text + b->size);
    if (!limit) return qn_fail_at(b->err, QN_ESYNTAX, offset, "malformed number at byte %zu", offset);
    *end = (size_t)(limit - b->text);
    return QN_OK;
}

static inline void value_done(struct builder *b)
{
    if (b->depth > 0) b->children[b->depth - 1]++;
    b->want = b->depth > 0 ? WANT_COMMA : WANT_NOTHING;
}

static int open_container(struct builder *b, size_t offset)
{
    if (b->depth == QN_DOC_MAX_DEPTH) {
        return qn_fail_at(b->err, QN_ELIMIT, offset, "nested deeper than %d levels at byte %zu", QN_DOC_MAX_DEPTH,
                          offset);
    }
    b->children[b->depth] = 0;
    b->open[b->depth++] = add(b, offset | QN_NODE_OPENS, 0);
    b->object = b->text[offset] == '{';
    b->want = b->object ? WANT_KEY_OR_END : WANT_VALUE_OR_END;
    return QN_OK;
}

static void close_container(struct builder *b, size_t offset)
{
    b->depth--;
    b->nodes[b->open[b->depth]].skip = add(b, offset, b->children[b->depth]);
    b->object = b->depth > 0 && b->text[qn_doc_node_offset(&b->nodes[b->open[b->depth - 1]])] == '{';
    value_done(b);
}

static bool is_number_first(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

/* *end: in, the offset of the next token; out, where this one ends. */
static inline int value_token(struct builder *b, size_t offset, size_t *end)
{
    int rc;
    switch (b->text[offset]) {
    case '"':
        rc = string_token(b, offset, end);
        if (rc == 0) value_done(b);
        return rc;
    case '{':
    case '[': *end = offset + 1; return open_container(b, offset);
    case 't': rc = literal_token(b, offset, "true", end); break;
    case 'f': rc = literal_token(b, offset, "false", end); break;
    case 'n': rc = literal_token(b, offset, "null", end); break;
    default: rc = is_number_first(b->text[offset]) ? number_token(b, offset, end) : unexpected(b, offset); break;
    }
    if (rc < 0) return rc;
    add(b, offset, (uint32_t)*end);
    value_done(b);
    return QN_OK;
}

/* What the token at offset may be depends on b->want alone. next: the offset of the token behind it. */
static inline int token(struct builder *b, size_t offset, size_t next)
{
    size_t end = offset + 1;
    int rc = QN_OK;
    char c = b->text[offset];
    switch (b->want) {
    case WANT_KEY_OR_END:
    case WANT_KEY:
        if (c == '"') {
            end = next;
            rc = string_token(b, offset, &end);
            b->want = WANT_COLON;
        } else if (c == '}' && b->want == WANT_KEY_OR_END) {
            close_container(b, offset);
        } else {
            return unexpected(b, offset);
        }
        break;
    case WANT_COLON:
        if (c != ':') return unexpected(b, offset);
        b->want = WANT_VALUE;
        break;
    case WANT_VALUE_OR_END:
        if (c == ']') {
            close_container(b, offset);
            break;
        }
        /* fall through */
    case WANT_VALUE:
        end = next;
        rc = value_token(b, offset, &end);
        break;
    case WANT_COMMA:
        if (c == ',') {
            b->want = b->object ? WANT_KEY : WANT_VALUE;
        } else if (c == (b->object ? '}' : ']')) {
            close_container(b, offset);
        } else {
            return unexpected(b, offset);
        }
        break;
    case WANT_NOTHING: return unexpected(b, offset);
    }
    if (rc < 0) return rc;
    while (end < next && is_space(b->text[end])) end++;
    return end == next ? QN_OK : unexpected(b, end);
}

static int all_tokens(struct builder *b, const struct qn_index *index)
{
    size_t first = index->count > 0 ? index->at[0] : b->size;
    for (size_t i = 0; i < first; i++)
        if (!is_space(b->text[i])) return unexpected(b, i);
    seek_slash(b, 0);
    for (size_t i = 0; i + 1 < index->count; i++) {
        int rc = token(b, index->at[i], index->at[i + 1]);
        if (rc < 0) return rc;
    }
    int rc = index->count > 0 ? token(b, index->at[index->count - 1], b->size) : QN_OK;
    if (rc < 0) return rc;
    return b->want == WANT_NOTHING ? QN_OK : unexpected(b, b->size);
}

int qn_doc_build(const char *text, size_t size, const struct qn_index *index, struct qn_doc_node **nodes,
                 uint32_t *count, struct qn_err *err)
{
    struct builder b;
    b.text = text;
    b.size = size;
    b.count = b.depth = 0;
    b.object = false;
    b.want = WANT_VALUE;
    b.err = err;
    /* No token makes more than one node. */
    b.nodes = qn_malloc((index->count + 1) * sizeof *b.nodes);
    if (!b.nodes) return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", size);
    int rc = all_tokens(&b, index);
    if (rc < 0) {
        qn_free(b.nodes);
        return rc;
    }
    struct qn_doc_node *fitted = qn_realloc(b.nodes, b.count * sizeof *b.nodes);
    *nodes = fitted ? fitted : b.nodes;
    *count = b.count;
    return QN_OK;
}
