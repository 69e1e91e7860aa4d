/* Any text as a path: it compiles or is refused with a column, and what compiles can be evaluated. */
#include <stdlib.h>
#include <string.h>

#include "json/path.h"
#include "json/select.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

static const char *const texts[] = {
    "{\"a\":[1,-2.5e3,\"x\",null,true,{\"b\":{\"c\":[[],{}]}}],\"b\":\"\\u00e9\",\"c\":{\"a\":1,\"a\":2},\"\":9}",
    "[[[1,2,3],[4,5],[]],{\"a\":{\"a\":{\"a\":1}}},\"a\",1,1.0,false,9007199254740993]",
    "7",
};

/* Beside another path, and beside itself, it selects what it selects alone. */
static void together(const struct qn_path *path, const struct qn_doc *doc, const struct qn_nodes *alone)
{
    struct qn_path *other;
    struct qn_selection *selection;
    struct qn_selected selected;
    REQUIRE(qn_path_compile("$..a", 4, &other, NULL) == 0);
    const struct qn_path *paths[] = {path, other, path};
    REQUIRE(qn_selection_new(paths, 3, &selection) == 0 && qn_selected_init(&selected, selection) == 0);
    REQUIRE(qn_selection_run(selection, doc, QN_ROOT, &selected) == 0);
    for (size_t i = 0; i < 3; i += 2) {
        const struct qn_nodes *nodes = qn_selected_nodes(&selected, i);
        REQUIRE(nodes->count == alone->count);
        for (size_t k = 0; k < nodes->count; k++) REQUIRE(nodes->nodes[k] == alone->nodes[k]);
    }
    qn_selected_free(&selected);
    qn_selection_free(selection);
    qn_path_free(other);
}

static void evaluate(const struct qn_path *path, const char *text)
{
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    struct qn_doc *doc;
    struct qn_nodes list;
    struct qn_buf out;
    REQUIRE(bytes && qn_doc_parse(bytes, &doc, NULL) == 0);
    qn_nodes_init(&list);
    qn_buf_init(&out, QN_BUF_NO_CAP);
    int rc = qn_path_select(path, doc, QN_ROOT, &list);
    REQUIRE(rc == 0 || rc == QN_ELIMIT);
    if (rc == 0) together(path, doc, &list);
    if (qn_path_singular(path)) {
        REQUIRE(list.count <= 1 && qn_path_one(path, doc, QN_ROOT) == (list.count ? list.nodes[0] : QN_NONE));
    }
    for (size_t i = 0; i < list.count && i < 10;
         i++) { /* a normalized path finds the node it names, or a later duplicate */
        struct qn_path *back;
        out.size = 0;
        REQUIRE(qn_path_normalized(doc, QN_ROOT, list.nodes[i], &out) == 0);
        REQUIRE(qn_path_compile(out.data, out.size, &back, NULL) == 0);
        REQUIRE(qn_path_singular(back) && qn_path_one(back, doc, QN_ROOT) >= list.nodes[i]);
        qn_path_free(back);
    }
    qn_buf_free(&out);
    qn_nodes_free(&list);
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qn_path *path;
    struct qn_err err = {0};
    int rc = qn_path_compile((const char *)data, size, &path, &err);
    if (rc < 0) {
        REQUIRE(rc == QN_ESYNTAX && !path && err.offset <= size && strncmp(err.text, "column ", 7) == 0);
        return 0;
    }
    /* Each "..", "*" and "," may multiply the nodes: long chains of them are slow, not wrong. */
    size_t wide = 0;
    for (size_t i = 0; i < size; i++)
        wide += data[i] == '*' || data[i] == ',' || data[i] == '?' || data[i] == ':' ||
                (i && data[i] == '.' && data[i - 1] == '.');
    if (wide <= 6)
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) evaluate(path, texts[i]);
    qn_path_free(path);
    return 0;
}
