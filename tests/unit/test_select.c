/* Many paths in one walk select what each of them selects alone, in the same order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "json/select.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const texts[] = {
    "{\"a\":{\"b\":1,\"c\":{\"b\":2,\"a\":3}},\"b\":4,\"a2\":[{\"b\":5},{\"b\":6,\"b\":7,\"k\":\"y\"},[{\"b\":8}]],"
    "\"\":9}",
    "{\"x\":{\"b\":1},\"b\":2,\"y\":[{\"a\":[{\"b\":3}],\"b\":4}]}", /* the outer b comes before the inner ones */
    "{\"\\u0061\":{\"\\u0062\":1},\"a\":{\"b\":2}}",                 /* the same name, escaped, twice */
    "[[{\"b\":1}],{\"a\":{\"a\":{\"a\":{\"b\":2}}}},\"a\",1,null]",
    "{}",
    "\"b\"",
};

static const char *const expressions[] = {
    "$",
    "$.a",
    "$.a.b",
    "$['a'].c.b",
    "$.b",
    "$..b",
    "$..a",
    "$..a.b",
    "$..a..b",
    "$..['a']",
    "$..['a','b']",
    "$.a2[*].b",
    "$.a2[*]",
    "$.a2[1]",
    "$.a2[-1]",
    "$.a2[0:2].b",
    "$.a2[?@.b].b",
    "$.a2[?@.b==6].k",
    "$.a2[?@.b].k",
    "$['']",
    "$..*",
    "$.missing",
    "$.a2[7].b",
    "$..[0]",
    "$..[0].b",
    "$[1].a.a.a.b",
    "$..[?@.b]",
    "$..a..a",
    "$.a2[::-1]",
    "$.a2[?@.b == $.b].b",
    "$.*.b",
};

static struct qn_doc *read_text(const char *text)
{
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    struct qn_doc *doc = NULL;
    assert_int_equal(qn_doc_parse(bytes, &doc, NULL), 0);
    qn_bytes_unref(bytes);
    return doc;
}

static void compile_all(struct qn_path **paths)
{
    for (size_t i = 0; i < COUNT(expressions); i++) {
        struct qn_err err = {0};
        if (qn_path_compile(expressions[i], strlen(expressions[i]), &paths[i], &err) < 0)
            fail_msg("%s: %s", expressions[i], err.text);
    }
}

static void check_doc(const struct qn_selection *selection, struct qn_selected *selected, struct qn_path **paths,
                      const char *text)
{
    struct qn_doc *doc = read_text(text);
    struct qn_nodes alone;
    qn_nodes_init(&alone);
    assert_int_equal(qn_selection_run(selection, doc, QN_ROOT, selected), 0);
    for (size_t i = 0; i < COUNT(expressions); i++) {
        const struct qn_nodes *together = qn_selected_nodes(selected, i);
        assert_int_equal(qn_path_select(paths[i], doc, QN_ROOT, &alone), 0);
        if (together->count != alone.count)
            fail_msg("%s of %s: %zu nodes, wanted %zu", expressions[i], text, together->count, alone.count);
        for (size_t k = 0; k < alone.count; k++) {
            if (together->nodes[k] != alone.nodes[k])
                fail_msg("%s of %s: node %zu is %u, wanted %u", expressions[i], text, k, together->nodes[k],
                         alone.nodes[k]);
        }
    }
    qn_nodes_free(&alone);
    qn_doc_unref(doc);
}

static void test_together_as_alone(void **state)
{
    (void)state;
    struct qn_path *paths[COUNT(expressions)];
    struct qn_selection *selection;
    struct qn_selected selected;
    compile_all(paths);
    assert_int_equal(qn_selection_new((const struct qn_path *const *)paths, COUNT(expressions), &selection), 0);
    assert_int_equal(qn_selected_init(&selected, selection), 0);
    for (int round = 0; round < 2; round++) /* nothing of one record is left in the next */
        for (size_t i = 0; i < COUNT(texts); i++) check_doc(selection, &selected, paths, texts[i]);
    qn_selected_free(&selected);
    qn_selection_free(selection);
    for (size_t i = 0; i < COUNT(expressions); i++) qn_path_free(paths[i]);
}

static void test_no_path_selects_nothing(void **state)
{
    (void)state;
    const struct qn_path *paths[] = {NULL, NULL};
    struct qn_selection *selection;
    struct qn_selected selected;
    struct qn_doc *doc = read_text("{\"a\":1}");
    assert_int_equal(qn_selection_new(paths, 2, &selection), 0);
    assert_int_equal(qn_selected_init(&selected, selection), 0);
    assert_int_equal(qn_selection_run(selection, doc, QN_ROOT, &selected), 0);
    assert_int_equal(qn_selected_nodes(&selected, 1)->count, 0);
    qn_selected_free(&selected);
    qn_selection_free(selection);
    qn_doc_unref(doc);
}

/* A walk that would never end is given up, and what it had begun is forgotten. */
static void test_limit(void **state)
{
    (void)state;
    char text[4096] = "";
    const char *expression = "$..*..*..*..*..*..*.x";
    struct qn_path *path;
    struct qn_selection *selection;
    struct qn_selected selected;
    for (int i = 0; i < 200; i++) strcat(text, "{\"a\":");
    strcat(text, "1");
    for (int i = 0; i < 200; i++) strcat(text, "}");
    struct qn_doc *deep = read_text(text), *flat = read_text("{\"a\":{\"x\":1}}");
    assert_int_equal(qn_path_compile(expression, strlen(expression), &path, NULL), 0);
    assert_int_equal(qn_selection_new((const struct qn_path *const *)&path, 1, &selection), 0);
    assert_int_equal(qn_selected_init(&selected, selection), 0);
    assert_int_equal(qn_selection_run(selection, deep, QN_ROOT, &selected), QN_ELIMIT);
    assert_int_equal(qn_selection_run(selection, flat, QN_ROOT, &selected), 0);
    assert_int_equal(qn_selected_nodes(&selected, 0)->count, 0);
    qn_selected_free(&selected);
    qn_selection_free(selection);
    qn_path_free(path);
    qn_doc_unref(deep);
    qn_doc_unref(flat);
}

static int select_once(struct qn_path **paths, const struct qn_doc *doc)
{
    struct qn_selection *selection;
    struct qn_selected selected = {0};
    int rc = qn_selection_new((const struct qn_path *const *)paths, COUNT(expressions), &selection);
    if (rc < 0) return rc;
    rc = qn_selected_init(&selected, selection);
    if (rc == 0) rc = qn_selection_run(selection, doc, QN_ROOT, &selected);
    qn_selected_free(&selected);
    qn_selection_free(selection);
    return rc;
}

static void test_torture(void **state)
{
    (void)state;
    struct qn_path *paths[COUNT(expressions)];
    struct qn_doc *doc = read_text(texts[0]);
    int rc;
    unsigned n = 0;
    compile_all(paths);
    size_t blocks = qn_mem_blocks();
    do {
        qn_mem_fail_after(++n);
        rc = select_once(paths, doc);
        qn_mem_fail_after(0);
        assert_int_equal(qn_mem_blocks(), blocks);
        assert_true(rc == 0 || rc == QN_ENOMEM);
    } while (rc < 0);
    assert_true(n > 50);
    for (size_t i = 0; i < COUNT(expressions); i++) qn_path_free(paths[i]);
    qn_doc_unref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together_as_alone),
        cmocka_unit_test(test_no_path_selects_nothing),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_torture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
