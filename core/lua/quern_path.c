#include "lua/quern_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "json/path.h"
#include "json/write.h"

#define READ_SIZE 65536

static int read_file(const char *name, struct qn_bytes **out, struct qn_err *err)
{
    bool standard = !strcmp(name, "-");
    const char *shown = standard ? "stdin" : name;
    FILE *file = standard ? stdin : fopen(name, "rb");
    struct qn_buf buf;
    int rc = 0;

    if (!file) return qn_fail_errno(err, QN_EIO, errno, "cannot read %s", shown);
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    while (rc == 0) {
        size_t n;
        rc = qn_buf_reserve(&buf, READ_SIZE);
        if (rc < 0) break;
        n = fread(buf.data + buf.size, 1, READ_SIZE, file);
        buf.size += n;
        if (n == 0) break;
    }
    if (rc < 0)
        qn_fail(err, rc, "out of memory while reading %s", shown);
    else if (ferror(file))
        rc = qn_fail_errno(err, QN_EIO, errno, "cannot read %s", shown);
    if (!standard) fclose(file);
    if (rc == 0 && !(*out = qn_bytes_take(&buf))) rc = qn_fail(err, QN_ENOMEM, "out of memory while reading %s", shown);
    qn_buf_free(&buf);
    return rc;
}

static int write_path(const struct qn_doc *doc, qn_node node, struct qn_buf *scratch, struct qn_buf *out)
{
    int rc;

    qn_buf_clear(scratch);
    rc = qn_path_normalized(doc, QN_ROOT, node, scratch);
    return rc < 0 ? rc : qn_json_string(out, scratch->data, scratch->size);
}

static int write_nodes(const struct qn_doc *doc, const struct qn_nodes *list, bool paths, struct qn_buf *out)
{
    struct qn_buf scratch;
    int rc = qn_buf_add_byte(out, '[');

    qn_buf_init(&scratch, QN_BUF_NO_CAP);
    for (size_t i = 0; i < list->count && rc == 0; i++) {
        rc = qn_buf_add_str(out, i ? ",\n" : "\n");
        if (rc == 0)
            rc = paths ? write_path(doc, list->nodes[i], &scratch, out) : qn_json_minified(out, doc, list->nodes[i]);
    }
    if (rc == 0 && list->count > 0) rc = qn_buf_add_byte(out, '\n');
    qn_buf_free(&scratch);
    return rc < 0 ? rc : qn_buf_add_byte(out, ']');
}

int qn_quern_path(const char *expression, const char *file, bool paths, struct qn_buf *out, bool *usage,
                  struct qn_err *err)
{
    struct qn_path *path = NULL;
    struct qn_bytes *bytes = NULL;
    struct qn_doc *doc = NULL;
    struct qn_nodes list;
    struct qn_err why;
    int rc;

    qn_nodes_init(&list);
    rc = qn_path_compile(expression, strlen(expression), &path, err);
    *usage = rc < 0 && rc != QN_ENOMEM;
    if (rc < 0) goto out;
    rc = read_file(file, &bytes, err);
    if (rc < 0) goto out;
    rc = qn_doc_parse(bytes, &doc, &why);
    if (rc < 0) {
        rc = qn_fail(err, rc, "%s is not JSON: %s", strcmp(file, "-") != 0 ? file : "stdin", why.text);
        goto out;
    }
    rc = qn_path_select(path, doc, QN_ROOT, &list);
    if (rc == 0) rc = write_nodes(doc, &list, paths, out);
    if (rc < 0) rc = qn_fail(err, rc, rc == QN_ELIMIT ? "the path selects more nodes than fit" : "out of memory");
out:
    qn_nodes_free(&list);
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
    qn_path_free(path);
    return rc;
}
