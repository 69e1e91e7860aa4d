/* The scalar scan: the same offsets as simdjson's stage 1, byte by byte, and the place of what it refuses. */
#include <string.h>

#include "base/mem.h"
#include "json/index.h"
#include "json/utf8.h"

struct scan {
    uint32_t *at;
    size_t count, capacity;
};

static bool push(struct scan *scan, size_t offset)
{
    if (scan->count == scan->capacity) {
        size_t capacity = scan->capacity ? scan->capacity * 2 : 256;
        uint32_t *at = qn_realloc(scan->at, capacity * sizeof *at);
        if (!at) return false;
        scan->at = at;
        scan->capacity = capacity;
    }
    scan->at[scan->count++] = (uint32_t)offset;
    return true;
}

static int no_memory(size_t size, struct qn_err *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory for the index of %zu bytes", size);
}

/* From behind the opening quote to behind the closing one; 0 with err filled. */
static size_t string_end(const char *text, size_t size, size_t open, struct qn_err *err)
{
    for (size_t i = open + 1; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"') return i + 1;
        if (c == '\\' && i + 1 < size && (unsigned char)text[i + 1] >= 0x20) {
            i++;
        } else if (c < 0x20) {
            qn_fail_at(err, QN_ESYNTAX, i, "control character 0x%02x in a string at byte %zu", c, i);
            return 0;
        }
    }
    qn_fail_at(err, QN_ESYNTAX, open, "the text ends inside the string that begins at byte %zu", open);
    return 0;
}

static int scan_all(struct scan *scan, const char *text, size_t size, struct qn_err *err)
{
    bool inside = false;  /* in a run that is neither string nor structural: only its first byte counts */
    bool escaped = false; /* behind a backslash outside strings, where a quote opens nothing */
    for (size_t i = 0; i < size;) {
        char c = text[i];
        size_t next = i + 1;
        bool begins = true;
        if (c == '"' && !escaped) {
            next = string_end(text, size, i, err);
            if (next == 0) return QN_ESYNTAX;
            begins = !inside;
            inside = false;
        } else if (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
            begins = inside = false;
        } else if (c && strchr("{}[]:,", c)) {
            inside = false;
        } else {
            begins = !inside;
            inside = true;
        }
        escaped = c == '\\' && !escaped;
        if (begins && !push(scan, i)) return no_memory(size, err);
        i = next;
    }
    return QN_OK;
}

int qn_index_scalar(const char *text, size_t size, struct qn_index *out, struct qn_err *err)
{
    struct scan scan = {0};
    size_t bad;
    memset(out, 0, sizeof *out);
    if (!qn_utf8_valid(text, size, &bad)) {
        return qn_fail_at(err, QN_ESYNTAX, bad, "the text is not UTF-8: byte 0x%02x at byte %zu",
                          (unsigned char)text[bad], bad);
    }
    int rc = scan_all(&scan, text, size, err);
    if (rc == 0 && !push(&scan, size)) rc = no_memory(size, err);
    if (rc < 0) {
        qn_free(scan.at);
        return rc;
    }
    *out = (struct qn_index){.at = scan.at, .count = scan.count - 1, .owner = scan.at, .release = qn_free};
    return QN_OK;
}

void qn_index_free(struct qn_index *index)
{
    if (index->release) index->release(index->owner);
    memset(index, 0, sizeof *index);
}
