/* test_members.c - members by hash: what qn_doc_find finds, for every name there is and is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json/members.h"

static struct qn_doc *parse(const char *text, size_t size)
{
    struct qn_bytes *bytes = qn_bytes_new(text, size);
    struct qn_doc *doc;
    assert_int_equal(qn_doc_parse(bytes, &doc, NULL), 0);
    qn_bytes_unref(bytes);
    return doc;
}

static void same(const struct qn_members *members, const struct qn_doc *doc, qn_node object, const char *name)
{
    qn_node wanted = QN_NONE, found = QN_NONE;
    bool is = qn_doc_find(doc, object, name, strlen(name), &wanted);
    assert_int_equal(qn_members_find(members, doc, name, strlen(name), &found), is);
    assert_int_equal(found, wanted);
}

/* Objects of any width, with duplicates and containers as values, in one table after another. */
static void finds_the_same(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_members members;
    qn_members_init(&members);
    for (int width = 0; width < 400; width += 1 + width / 3) {
        struct qn_buf text;
        qn_buf_init(&text, QN_BUF_NO_CAP);
        assert_int_equal(qn_buf_add_str(&text, "[{\"k1\":0},{"), 0);
        for (int i = 0; i < width; i++) {
            const char *value = i % 3 == 0 ? "{\"k1\":[1,{\"k2\":2}]}" : i % 3 == 1 ? "[[],\"k3\"]" : "7";
            assert_int_equal(qn_buf_add_fmt(&text, "%s\"k%d\":%s", i > 0 ? "," : "", i % 5 == 4 ? i / 2 : i, value), 0);
        }
        assert_int_equal(qn_buf_add_str(&text, "}]"), 0);
        struct qn_doc *doc = parse(text.data, text.size);
        qn_node object = qn_doc_at(doc, QN_ROOT, 1);
        assert_true(qn_members_of(&members, doc, object));
        assert_int_equal(members.object, object);
        for (int i = 0; i < width + 5; i++) {
            char name[16];
            snprintf(name, sizeof name, "k%d", i);
            same(&members, doc, object, name);
        }
        same(&members, doc, object, "");
        same(&members, doc, object, "k");
        qn_doc_unref(doc);
        qn_buf_free(&text);
    }
    qn_members_free(&members);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void what_is_not_fit(void **state)
{
    (void)state;
    static const char text[] = "[{\"a\":1,\"\\u0062\":2},[1],5,{\"\":3}]";
    struct qn_members members;
    struct qn_doc *doc = parse(text, strlen(text));
    qn_members_init(&members);
    for (int i = 0; i < 3; i++) {
        assert_false(qn_members_of(&members, doc, qn_doc_at(doc, QN_ROOT, (size_t)i)));
        assert_int_equal(members.object, QN_NONE);
    }
    assert_true(qn_members_of(&members, doc, qn_doc_at(doc, QN_ROOT, 3)));
    same(&members, doc, members.object, "");
    qn_members_free(&members);
    qn_mem_fail_after(1);
    assert_false(qn_members_of(&members, doc, qn_doc_at(doc, QN_ROOT, 3)));
    qn_mem_fail_after(0);
    qn_doc_unref(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_same),
        cmocka_unit_test(what_is_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
