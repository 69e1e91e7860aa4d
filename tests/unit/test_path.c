/* JSONPath: what each expression selects, in which order, and what is refused at which column. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "json/path.h"
#include "json/write.h"

static struct qn_doc *read_text(const char *text)
{
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    struct qn_doc *doc;
    struct qn_err err = {0};
    if (qn_doc_parse(bytes, &doc, &err) < 0) fail_msg("%s: %s", text, err.text);
    qn_bytes_unref(bytes);
    return doc;
}

static struct qn_path *compile(const char *text)
{
    struct qn_path *path;
    struct qn_err err = {0};
    if (qn_path_compile(text, strlen(text), &path, &err) < 0) fail_msg("%s: %s", text, err.text);
    return path;
}

/* The values that path selects from doc, minified, as one array. */
static void check(const char *json, const char *expression, const char *wanted)
{
    struct qn_doc *doc = read_text(json);
    struct qn_path *path = compile(expression);
    struct qn_nodes list;
    struct qn_buf out;
    qn_nodes_init(&list);
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_int_equal(qn_path_select(path, doc, QN_ROOT, &list), 0);
    qn_buf_add_byte(&out, '[');
    for (size_t i = 0; i < list.count; i++) {
        if (i > 0) qn_buf_add_byte(&out, ',');
        qn_json_minified(&out, doc, list.nodes[i]);
    }
    qn_buf_add_byte(&out, ']');
    if (strcmp(qn_buf_cstr(&out), wanted) != 0) fail_msg("%s gives %s, wanted %s", expression, out.data, wanted);
    if (qn_path_singular(path)) {
        assert_int_equal(qn_path_one(path, doc, QN_ROOT), list.count ? list.nodes[0] : QN_NONE);
        assert_true(list.count <= 1);
    }
    qn_buf_free(&out);
    qn_nodes_free(&list);
    qn_path_free(path);
    qn_doc_unref(doc);
}

static void refuse(const char *expression, size_t column, const char *words)
{
    struct qn_path *path;
    struct qn_err err = {0};
    char start[32];
    snprintf(start, sizeof start, "column %zu: ", column);
    if (qn_path_compile(expression, strlen(expression), &path, &err) != QN_ESYNTAX)
        fail_msg("%s was accepted", expression);
    assert_null(path);
    if (strncmp(err.text, start, strlen(start)) != 0 || !strstr(err.text, words)) {
        fail_msg("%s: %s (wanted %s%s)", expression, err.text, start, words);
    }
}

static const char *const STORE = "{\"store\":{\"book\":[{\"t\":\"A\",\"price\":8.95,\"isbn\":1},{\"t\":\"B\",\"price\":"
                                 "12},{\"t\":\"C\",\"price\":5}],"
                                 "\"bike\":{\"price\":399}}}";

static void selectors(void **state)
{
    (void)state;
    check("{\"a\":{\"b\":1}}", "$", "[{\"a\":{\"b\":1}}]");
    check("{\"a\":{\"b\":1}}", "$.a.b", "[1]");
    check("{\"a\":{\"b\":1}}", "$ \t.a\n['b']", "[1]");
    check("{\"a\":{\"b\":1}}", "$[ \"a\" , 'a' ]", "[{\"b\":1},{\"b\":1}]");
    check("{\"a\":1,\"a\":2}", "$.a", "[2]");
    check("{\"é\":1}", "$.é", "[1]");
    check("{\"\\u00e9\":1}", "$['\\u00e9']", "[1]");
    check("{\"😀\":1}", "$[\"\\uD83D\\ude00\"]", "[1]");
    check("{\"'\":1,\"\\\"\":2}", "$['\\'','\"',\"'\",\"\\\"\"]", "[1,2,1,2]");
    check("{\"\":1}", "$['']", "[1]");
    check("[0,1,2,3]", "$[0,-1,4,-5]", "[0,3]");
    check("[0,1,2,3]", "$['0']", "[]");
    check("{\"0\":1}", "$[0]", "[]");
    check("[0,1,2,3,4,5]", "$[1:3]", "[1,2]");
    check("[0,1,2,3,4,5]", "$[ : ]", "[0,1,2,3,4,5]");
    check("[0,1,2,3,4,5]", "$[::]", "[0,1,2,3,4,5]");
    check("[0,1,2,3,4,5]", "$[-2:]", "[4,5]");
    check("[0,1,2,3,4,5]", "$[:-4]", "[0,1]");
    check("[0,1,2,3,4,5]", "$[1:5:2]", "[1,3]");
    check("[0,1,2,3,4,5]", "$[5:1:-2]", "[5,3]");
    check("[0,1,2,3,4,5]", "$[::-1]", "[5,4,3,2,1,0]");
    check("[0,1,2,3,4,5]", "$[::-4]", "[5,1]");
    check("[0,1,2,3,4,5]", "$[-1:-4:-1]", "[5,4,3]");
    check("[0,1,2,3,4,5]", "$[10:0:-3]", "[5,2]");
    check("[0,1,2,3,4,5]", "$[3:1]", "[]");
    check("[0,1,2,3,4,5]", "$[::0]", "[]");
    check("[0,1,2,3,4,5]", "$[4:1000:1]", "[4,5]");
    check("[0,1,2,3,4,5]", "$[-100:2]", "[0,1]");
    check("[0,1,2,3,4,5]", "$[0:-9007199254740991:-9007199254740991]", "[0]");
    check("[]", "$[::-1]", "[]");
    check("[[]]", "$[*][::-1]", "[]");
    check("{\"a\":1}", "$[:]", "[]");
    check("{\"a\":[1,{\"b\":2}],\"c\":3}", "$.*", "[[1,{\"b\":2}],3]");
    check("{\"a\":[1,{\"b\":2}],\"c\":3}", "$.a[*]", "[1,{\"b\":2}]");
    check("5", "$.*", "[]");
    check("{\"a\":[1,{\"b\":2}],\"c\":3}", "$[*,'c']", "[[1,{\"b\":2}],3,3]");
}

static void descendants(void **state)
{
    (void)state;
    check(STORE, "$..price", "[8.95,12,5,399]");
    check(STORE, "$.store..price", "[8.95,12,5,399]");
    check("{\"a\":[1,{\"b\":2}],\"c\":3}", "$..*", "[[1,{\"b\":2}],3,1,{\"b\":2},2]");
    check("[[1,[2]],3]", "$..[0]", "[[1,[2]],1,2]");
    check("{\"x\":{\"x\":{\"x\":1}}}", "$..x", "[{\"x\":{\"x\":1}},{\"x\":1},1]");
    check("{\"x\":{\"x\":{\"x\":1}}}", "$..x..x", "[{\"x\":1},1,1]");
    check(STORE, "$..book[?@.price<10].t", "[\"A\",\"C\"]");
    check(STORE, "$..['t','isbn']", "[\"A\",1,\"B\",\"C\"]");
    check("1", "$..a", "[]");
}

static void filters(void **state)
{
    (void)state;
    check(STORE, "$.store.book[?@.isbn].t", "[\"A\"]");
    check(STORE, "$.store.book[?!@.isbn].t", "[\"B\",\"C\"]");
    check(STORE, "$.store.book[?(@.price < 10 && @.t != 'C') || @.price >= 12].t", "[\"A\",\"B\"]");
    check(STORE, "$.store.book[?@.price > 5 && @.price <= 12 && !(@.t == \"B\")].t", "[\"A\"]");
    check(STORE, "$.store.book[? @['price'] == 12 ].t", "[\"B\"]");
    check("[1,2,3,2]", "$[?@ == 2]", "[2,2]");
    check("[1,2,3,2]", "$[?@==$[1]]", "[2,2]");
    check("[1,2,3]", "$[?@==$[9]]", "[]");
    check("[{\"a\":1},{\"b\":1}]", "$[?@.a == @.c]", "[{\"b\":1}]"); /* nothing equals nothing */
    check("[{\"a\":1},{\"b\":1}]", "$[?@.a <= @.c]", "[{\"b\":1}]");
    check("[{\"a\":1},{\"b\":1}]", "$[?@.a != @.c]", "[{\"a\":1}]");
    check("[{\"a\":null},{}]", "$[?@.a == null]", "[{\"a\":null}]");
    check("[{\"a\":null},{}]", "$[?@.a]", "[{\"a\":null}]");
    check("[1,\"1\",true,null,[1],{\"a\":1}]", "$[?@ == 1]", "[1]");
    check("[1,\"1\",true,null,[1],{\"a\":1}]", "$[?@ == '1']", "[\"1\"]");
    check("[1,\"1\",true,null,[1],{\"a\":1}]", "$[?@ == true || @ == null]", "[true,null]");
    check("[1,\"1\",true,null,[1],{\"a\":1}]", "$[?@ < 2]", "[1]");
    check("[1,\"1\",true,null,[1],{\"a\":1}]", "$[?@ >= true]", "[true]");
    check("[1,1.0,1e0,10e-1,2]", "$[?@ == 1.0]", "[1,1.0,1e0,10e-1]");
    check("[9007199254740993,9007199254740992]", "$[?@ > 9007199254740992]", "[9007199254740993]");
    check("[0,-0,-0.0]", "$[?@ == -0]", "[0,-0,-0.0]");
    check("[123456789012345678901234567890]", "$[?@ == 1.2345678901234567890123456789e29]",
          "[123456789012345678901234567890]");
    check("[\"a\",\"b\",\"\\u0061\",\"é\"]", "$[?@ == 'a']", "[\"a\",\"\\u0061\"]");
    check("[\"a\",\"b\",\"\\u0061\",\"é\",\"ab\"]", "$[?@ > 'a']", "[\"b\",\"é\",\"ab\"]");
    check("[\"\\ud83d\\ude00\",\"\xef\xbf\xbf\"]", "$[?@ > \"\xef\xbf\xbf\"]",
          "[\"\\ud83d\\ude00\"]"); /* not UTF-16 order */
    check("{\"a\":{\"v\":1},\"b\":{\"v\":2}}", "$[?@.v == 2]", "[{\"v\":2}]");
    check("[[[1]],[[2]],[]]", "$[?@[0][0] == 2]", "[[[2]]]");
    check("[{\"a\":[1,{\"x\":[2]}],\"b\":[1,{\"x\":[2.0]}]},{\"a\":[1],\"b\":[1,1]}]", "$[?@.a == @.b]",
          "[{\"a\":[1,{\"x\":[2]}],\"b\":[1,{\"x\":[2.0]}]}]");
    check("[{\"a\":{\"x\":1,\"y\":2},\"b\":{\"y\":2,\"x\":1}},{\"a\":{\"x\":1},\"b\":{\"x\":1,\"y\":2}},{\"a\":{\"x\":"
          "1,\"y\":1},\"b\":{\"x\":1}}]",
          "$[?@.a == @.b].a.y", "[2]");
    check("[{\"a\":{\"x\":1,\"x\":2},\"b\":{\"x\":2}},{\"a\":{\"x\":1},\"b\":{\"z\":1}}]", "$[?@.a == @.b].b",
          "[{\"x\":2}]");
    check("[[1,2],[3],{\"a\":[2]}]", "$[?@[?@ == 2]]", "[[1,2]]");
    check("[[1,2],[3],{\"a\":[2]}]", "$[?@..[?@ == 2]]", "[[1,2],{\"a\":[2]}]");
    check("[[1,2],[3],{\"a\":[2]}]", "$[?@.*]", "[[1,2],[3],{\"a\":[2]}]");
    check("{\"k\":2,\"l\":[{\"v\":1},{\"v\":2}]}", "$.l[?@.v == $.k]", "[{\"v\":2}]");
    check("[1,2,3,4]", "$[?@ < 2, ?@ > 3]", "[1,4]");
    check("[1,2,3,4]", "$[?@==1||@==2&&@==3||@==4]", "[1,4]");
    check("{\"c\":[{\"m\":[{\"n\":\"t\",\"v\":1},{\"n\":\"h\",\"v\":2}]},{\"m\":[{\"n\":\"t\",\"v\":5}]}]}",
          "$..m[?@.n == 't'].v", "[1,5]");
    check("[true,false]", "$[?1==1]", "[true,false]");
    check("1", "$[?@==1]", "[]");
}

static void functions(void **state)
{
    (void)state;
    check("[\"ab\",\"\\u00e9\",[1,2],{\"a\":1,\"b\":2},12,null,\"\"]", "$[?length(@) == 2]",
          "[\"ab\",[1,2],{\"a\":1,\"b\":2}]");
    check("[\"\\u00e9\",\"\\ud83d\\ude00\"]", "$[?length(@) == 1]", "[\"\\u00e9\",\"\\ud83d\\ude00\"]");
    check("[1,null]", "$[?length(@) == @.none]", "[1,null]"); /* Nothing equals Nothing */
    check("[{\"a\":[1,2]},{\"a\":[1]}]", "$[?count(@.a[*]) > 1]", "[{\"a\":[1,2]}]");
    check("[{\"a\":1},{}]", "$[?count(@.*) == 0]", "[{}]");
    check("[{\"x\":{\"a\":1}},{\"a\":1,\"b\":{\"a\":1}}]", "$[?value(@..a) == 1]", "[{\"x\":{\"a\":1}}]");
    check("[\"1974-05-11\",\"x1974-05-11\"]", "$[?match(@, '1974-05-..')]", "[\"1974-05-11\"]");
    check("[\"Bob\",\"Rob\",\"bo\",5]", "$[?search(@, '[BR]ob')]", "[\"Bob\",\"Rob\"]");
    check("{\"p\":\"a.\",\"v\":[\"ab\",\"b\"]}", "$.v[?match(@, $.p)]", "[\"ab\"]");
    check("[\"a\",\"b\"]", "$[?!match(@, 'a')]", "[\"b\"]");
    check("[\"ab\"]", "$[?match( @ , 'ab' ) && length(@)==length('xy')]", "[\"ab\"]");
    check("[\"a\"]", "$[?match(@, '(')]", "[]"); /* no I-Regexp: matches nothing */
    check("[\"a\"]", "$[?match(@, 5)]", "[]");
}

static void refused(void **state)
{
    (void)state;
    refuse("", 1, "begins with '$'");
    refuse("a", 1, "begins with '$'");
    refuse("@.a", 1, "begins with '$'");
    refuse(" $", 1, "begins with '$'");
    refuse("$ ", 2, "white space behind");
    refuse("$.a ", 4, "white space behind");
    refuse("$.", 3, "member name");
    refuse("$. a", 3, "member name");
    refuse("$..", 4, "member name");
    refuse("$...a", 4, "member name");
    refuse("$.. a", 4, "member name");
    refuse("$.1a", 3, "member name");
    refuse("$.a-b", 4, "expected '.'");
    refuse("$.'a'", 3, "member name");
    refuse("$a", 2, "expected '.'");
    refuse("$.é§ x", 6, "expected '.'"); /* columns count characters */
    refuse("$[]", 3, "selector");
    refuse("$[", 3, "selector");
    refuse("$[1", 2, "not closed");
    refuse("$[1 2]", 5, "expected ',' or ']'");
    refuse("$[1,]", 5, "selector");
    refuse("$[a]", 3, "selector");
    refuse("$[01]", 3, "leading zeros");
    refuse("$[-0]", 3, "-0");
    refuse("$[-01]", 3, "zeros");
    refuse("$[-]", 3, "integer");
    refuse("$[1.0]", 4, "expected ',' or ']'");
    refuse("$[9007199254740992]", 3, "2^53");
    refuse("$[1:99999999999999999999]", 5, "2^53");
    refuse("$[1:2:03]", 7, "leading zeros");
    refuse("$[1:2:3:4]", 8, "expected ',' or ']'");
    refuse("$['a]", 3, "not closed");
    refuse("$['a\tb']", 5, "control character");
    refuse("$['\\x']", 4, "invalid escape");
    refuse("$['\\\"']", 4, "invalid escape");
    refuse("$[\"\\'\"]", 4, "invalid escape");
    refuse("$['\\u12']", 4, "invalid escape");
    refuse("$['\\ud800']", 4, "surrogate");
    refuse("$['\\udc00']", 4, "surrogate");
    refuse("$['\\ud800\\u0041']", 4, "surrogate");
    refuse("$['\xff']", 4, "UTF-8");
    refuse("$[?]", 4, "expected a query");
    refuse("$[?1]", 4, "literal is no test");
    refuse("$[?true]", 4, "literal is no test");
    refuse("$[?@.a==]", 9, "expected a query");
    refuse("$[?@.a=1]", 7, "expected ',' or ']'");
    refuse("$[?@.a==1==2]", 10, "expected ',' or ']'");
    refuse("$[?@.*==1]", 4, "many nodes");
    refuse("$[?1==@..a]", 7, "many nodes");
    refuse("$[?@[0:1]==1]", 4, "many nodes");
    refuse("$[?@[ 'a']==1]", 6, "white space");
    refuse("$[?@[0,1]==1]", 4, "many nodes");
    refuse("$[?!@.a==1]", 8, "expected ',' or ']'");
    refuse("$[?!1==1]", 5, "'!' stands before");
    refuse("$[?!!@.a]", 5, "'!' stands before");
    refuse("$[?(@.a]", 8, "expected '&&'");
    refuse("$[?(@.a", 4, "not closed");
    refuse("$[?(@.a==1)==true]", 12, "expected ',' or ']'");
    refuse("$[?@.a &&]", 10, "expected a query");
    refuse("$[?@.a & @.b]", 8, "expected ',' or ']'");
    refuse("$[?@.a and @.b]", 8, "expected ',' or ']'");
    refuse("$[?@==01]", 7, "leading zeros");
    refuse("$[?@==1.]", 7, "malformed number");
    refuse("$[?@==.5]", 7, "expected a query");
    refuse("$[?@==True]", 7, "expected a query");
    refuse("$[?@=='a]", 7, "not closed");
    refuse("$[?size(@.a) > 1]", 4, "no function 'size'");
    refuse("$[?length (@.a) > 1]", 4, "expected a query");
    refuse("$[?length(@.a)]", 4, "gives a value, which is no test");
    refuse("$[?!count(@.a)]", 5, "gives a value, which is no test");
    refuse("$[?length(@.*) > 1]", 11, "length() takes a value; this query may select many nodes");
    refuse("$[?length(match(@.a, 'x')) > 1]", 11, "length() takes a value; this function is true or false");
    refuse("$[?length() > 1]", 11, "expected a query");
    refuse("$[?length(@.a, @.b) > 1]", 14, "length() takes 1 argument, then ')'");
    refuse("$[?count(1) > 1]", 10, "count() takes a query");
    refuse("$[?count(length(@.a)) > 1]", 10, "count() takes a query");
    refuse("$[?match(@.a)]", 13, "match() takes 2 arguments");
    refuse("$[?match(@.a, 'x') == true]", 4, "it is a test, and is not compared");
    refuse("$[?true == search(@.a, 'x')]", 12, "it is a test, and is not compared");
    refuse("$[?match(@.a, 'x'", 18, "takes 2 arguments, then ')'");
    refuse("$[(@.length-1)]", 3, "selector");
}

static void nesting(void **state)
{
    char text[4 * 1000];
    size_t at = 0;
    (void)state;
    at += (size_t)sprintf(text, "$");
    for (int i = 0; i < 60; i++) at += (size_t)sprintf(text + at, "[?@");
    for (int i = 0; i < 60; i++) at += (size_t)sprintf(text + at, "]");
    qn_path_free(compile(text));
    at = (size_t)sprintf(text, "$[?");
    for (int i = 0; i < 1000; i++) at += (size_t)sprintf(text + at, "(");
    refuse(text, 68, "deeper than 64");
    at = (size_t)sprintf(text, "$[?@==1");
    for (int i = 0; i < 500; i++) at += (size_t)sprintf(text + at, "||@==2");
    sprintf(text + at, "]");
    check("[2,3]", text, "[2]");
}

static void deep_documents(void **state)
{
    struct qn_buf text;
    (void)state;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    for (int side = 0; side < 2; side++) { /* [ {"x":{"x":... , {"x":{"x":... ] */
        qn_buf_add_str(&text, side ? "," : "[");
        for (int i = 0; i < 1000; i++) qn_buf_add_str(&text, "{\"x\":");
        qn_buf_add_byte(&text, '1');
        for (int i = 0; i < 1000; i++) qn_buf_add_byte(&text, '}');
    }
    qn_buf_add_byte(&text, ']');
    struct qn_doc *doc = read_text(qn_buf_cstr(&text));
    struct qn_nodes list;
    qn_nodes_init(&list);
    struct qn_path *path = compile("$..x");
    assert_int_equal(qn_path_select(path, doc, QN_ROOT, &list), 0);
    assert_int_equal(list.count, 2000);
    qn_path_free(path);
    path = compile("$[?@ == $[0]]");
    assert_int_equal(qn_path_select(path, doc, QN_ROOT, &list), 0);
    assert_int_equal(list.count, 2);
    qn_path_free(path);
    qn_nodes_free(&list);
    qn_doc_unref(doc);
    qn_buf_free(&text);
}

static void bounds(void **state)
{
    struct qn_buf text;
    struct qn_nodes list;
    (void)state;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    qn_nodes_init(&list);
    qn_buf_add_str(&text, "[0");
    for (int i = 0; i < 4999; i++) qn_buf_add_str(&text, ",0");
    qn_buf_add_byte(&text, ']');
    struct qn_doc *doc = read_text(qn_buf_cstr(&text));
    qn_buf_clear(&text);
    qn_buf_add_str(&text, "$[*");
    for (int i = 0; i < 3999; i++) qn_buf_add_str(&text, ",*");
    qn_buf_add_byte(&text, ']');
    struct qn_path *path = compile(qn_buf_cstr(&text));
    assert_int_equal(qn_path_select(path, doc, QN_ROOT, &list), QN_ELIMIT); /* 20 million */
    assert_int_equal(list.count, 0);
    qn_path_free(path);
    qn_nodes_free(&list);
    qn_doc_unref(doc);
    qn_buf_free(&text);
}

static void normalized(void **state)
{
    struct qn_doc *doc = read_text("{\"a\":[1,{\"it's \\\\ \\u000b\\n é\":[[2]]}],\"b\":{}}");
    struct qn_path *path = compile("$..*");
    static const char *const wanted[] = {"$['a']",
                                         "$['b']",
                                         "$['a'][0]",
                                         "$['a'][1]",
                                         "$['a'][1]['it\\'s \\\\ \\u000b\\n é']",
                                         "$['a'][1]['it\\'s \\\\ \\u000b\\n é'][0]",
                                         "$['a'][1]['it\\'s \\\\ \\u000b\\n é'][0][0]"};
    struct qn_nodes list;
    struct qn_buf out;
    (void)state;
    qn_nodes_init(&list);
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_int_equal(qn_path_select(path, doc, QN_ROOT, &list), 0);
    assert_int_equal(list.count, 7);
    for (size_t i = 0; i < list.count; i++) {
        qn_buf_clear(&out);
        assert_int_equal(qn_path_normalized(doc, QN_ROOT, list.nodes[i], &out), 0);
        assert_string_equal(qn_buf_cstr(&out), wanted[i]);
        struct qn_path *back = compile(out.data); /* a normalized path selects its node */
        assert_int_equal(qn_path_one(back, doc, QN_ROOT), list.nodes[i]);
        qn_path_free(back);
    }
    qn_buf_clear(&out);
    assert_int_equal(qn_path_normalized(doc, list.nodes[0], list.nodes[3], &out), 0); /* below a record */
    assert_string_equal(qn_buf_cstr(&out), "$[1]");
    assert_int_equal(qn_path_normalized(doc, list.nodes[1], list.nodes[3], &out), QN_EINVAL);
    assert_int_equal(qn_path_normalized(doc, QN_ROOT, 1, &out), QN_EINVAL); /* a key */
    qn_buf_free(&out);
    qn_nodes_free(&list);
    qn_path_free(path);
    qn_doc_unref(doc);
}

static void no_memory(void **state)
{
    static const char text[] = "$..a[?@.b == 'x' && !(@.c[*])]['d',\"\\u00e9\"]";
    struct qn_doc *doc = read_text("{\"a\":[{\"b\":\"x\",\"d\":1}]}");
    size_t before = qn_mem_blocks();
    struct qn_path *path = NULL;
    struct qn_nodes list;
    int rc = QN_ENOMEM;
    (void)state;
    for (uint64_t n = 1; rc == QN_ENOMEM; n++) {
        qn_mem_fail_after(n);
        rc = qn_path_compile(text, sizeof text - 1, &path, NULL);
        qn_mem_fail_after(0);
        if (rc < 0) assert_int_equal(qn_mem_blocks(), before);
    }
    assert_int_equal(rc, 0);
    before = qn_mem_blocks();
    rc = QN_ENOMEM;
    for (uint64_t n = 1; rc == QN_ENOMEM; n++) {
        qn_nodes_init(&list);
        qn_mem_fail_after(n);
        rc = qn_path_select(path, doc, QN_ROOT, &list);
        qn_mem_fail_after(0);
        if (rc == 0) assert_int_equal(list.count, 1);
        qn_nodes_free(&list);
        assert_int_equal(qn_mem_blocks(), before);
    }
    assert_int_equal(rc, 0);
    qn_path_free(path);
    qn_doc_unref(doc);
}

static int nothing_left(void **state)
{
    (void)state;
    return qn_mem_blocks() == 0 ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(selectors),      cmocka_unit_test(descendants), cmocka_unit_test(filters),
        cmocka_unit_test(functions),      cmocka_unit_test(refused),     cmocka_unit_test(nesting),
        cmocka_unit_test(deep_documents), cmocka_unit_test(bounds),      cmocka_unit_test(normalized),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, nothing_left);
}
