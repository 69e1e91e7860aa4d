/* Documents: what is accepted, what is refused and where, and what the nodes say. Both scans read every case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "json/doc_internal.h"
#include "json/write.h"
#include "json/utf8.h"
#include "json/write.h"

static int parse(const char *text, size_t size, qn_index_scan *scan, struct qn_doc **doc, struct qn_err *err)
{
    struct qn_bytes *bytes = qn_bytes_new(text, size);
    assert_non_null(bytes);
    int rc = scan ? qn_doc_parse_scanned(bytes, scan, doc, err) : qn_doc_parse(bytes, doc, err);
    qn_bytes_unref(bytes);
    return rc;
}

static struct qn_doc *read_text(const char *text)
{
    struct qn_doc *doc;
    struct qn_err err = {0};
    if (parse(text, strlen(text), NULL, &doc, &err) < 0) fail_msg("%s: %s", text, err.text);
    return doc;
}

static void refuse_sized(const char *text, size_t size, size_t offset, const char *words)
{
    struct qn_doc *doc;
    struct qn_err err = {0};
    assert_int_equal(parse(text, size, qn_index_scalar, &doc, &err), QN_ESYNTAX);
    assert_null(doc);
#ifndef QN_SCALAR_SCAN
    assert_int_equal(parse(text, size, qn_index_simd, &doc, NULL), QN_ESYNTAX);
#endif
    assert_int_equal(parse(text, size, NULL, &doc, &err), QN_ESYNTAX);
    if (err.offset != offset || !strstr(err.text, words)) {
        fail_msg("%.*s: offset %zu (wanted %zu): %s (wanted %s)", (int)size, text, err.offset, offset, err.text, words);
    }
}

static void refuse(const char *text, size_t offset, const char *words)
{
    refuse_sized(text, strlen(text), offset, words);
}

static void grammar(void **state)
{
    (void)state;
    refuse("", 0, "the text is empty");
    refuse(" \n\t ", 4, "the text is empty");
    refuse("[1,2", 4, "expected ',' or ']', but the text ends at byte 4 inside the array that begins at byte 0");
    refuse("{\"a\":1", 6, "inside the object");
    refuse("[1,]", 3, "expected a value, found ']' at byte 3");
    refuse("[,1]", 1, "expected a value or ']', found ','");
    refuse("{\"a\":1,}", 7, "expected a member name");
    refuse("{a:1}", 1, "member name in double quotes");
    refuse("{\"a\" 1}", 5, "expected ':'");
    refuse("{\"a\":}", 5, "expected a value");
    refuse("{1:1}", 1, "member name");
    refuse("{\"a\":1]", 6, "expected ',' or '}'");
    refuse("[1}", 2, "expected ',' or ']'");
    refuse("[1 2]", 3, "expected ',' or ']'");
    refuse("1 2", 2, "expected the end of the text");
    refuse("1 \x7f", 2, "expected the end of the text, found byte 0x7f");
    refuse("1 ]", 2, "expected the end of the text");
    refuse("{} x", 3, "expected the end of the text, found 'x'");
    refuse("<html>", 0, "expected a value, found '<'");
    refuse("]", 0, "expected a value");
    refuse("[\"a\"x]", 4, "expected ',' or ']', found 'x'");
    refuse("[\"a\"\"b\"]", 4, "expected ',' or ']'");
    refuse("[12\"x\"]", 3, "expected ',' or ']', found '\"'");
    refuse("[truex]", 5, "found 'x'");
    refuse("[tru]", 1, "found 't'");
    refuse("[True]", 1, "found 'T'");
    refuse("nul", 0, "found 'n'");
    refuse("[NaN]", 1, "found 'N'");
    refuse("[1\f]", 2, "byte 0x0c");
    refuse("[1\x1a]", 2, "byte 0x1a");
    refuse("[\xc2\xa0]", 1, "found byte 0xc2"); /* a no-break space is no white space */
    refuse_sized("[1\0]", 4, 2, "byte 0x00");
    refuse_sized("[\0]", 3, 1, "byte 0x00");
    refuse_sized("[1]\0", 4, 3, "byte 0x00");
    refuse_sized("[1, \0 2]", 8, 4, "byte 0x00");
    refuse("[\\\"]", 1, "found '\\'");
}

static void numbers_and_strings(void **state)
{
    (void)state;
    refuse("[01]", 2, "found '1'");
    refuse("[-]", 1, "malformed number");
    refuse("[+1]", 1, "found '+'");
    refuse("[.5]", 1, "found '.'");
    refuse("[1.]", 1, "malformed number");
    refuse("[1.e2]", 1, "malformed number");
    refuse("[1e]", 1, "malformed number");
    refuse("[1e+]", 1, "malformed number");
    refuse("[0x10]", 2, "found 'x'");
    refuse("[1_000]", 2, "found '_'");
    refuse("[-01]", 3, "found '1'");
    refuse("[\"a\nb\"]", 3, "control character 0x0a in a string at byte 3");
    refuse_sized("[\"a\0b\"]", 7, 3, "control character 0x00");
    refuse("[\"\\x\"]", 2, "invalid escape in a string at byte 2");
    refuse("[\"\\u12g4\"]", 2, "invalid escape");
    refuse("[\"\\u12\"]", 2, "invalid escape");
    refuse("[\"ok\\n\\'\"]", 6, "invalid escape");
    refuse("[\"abc", 1, "the text ends inside the string that begins at byte 1");
    refuse("\"abc\\\"", 0, "inside the string");
    refuse("\"", 0, "inside the string");
    refuse("[\"\xff\"]", 2, "not UTF-8: byte 0xff at byte 2");
    refuse("[\"\xc0\xaf\"]", 2, "not UTF-8");
    refuse("[\"\xed\xa0\x80\"]", 2, "not UTF-8");
    refuse("[\"\xf4\x90\x80\x80\"]", 2, "not UTF-8");
    refuse("[\"\xe2\x82\"]", 2, "not UTF-8");
    refuse("\xef\xbb\xbf", 0, "the text is empty");
}

static void accepted(void **state)
{
    static const char *const texts[] = {
        "0",
        "-0",
        "-0.0",
        "1e400",
        "-1E-400",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\ud800\"",
        " [ ] ",
        "{}",
        "\xef\xbb\xbf[1]",
        "[[],{},\"\",null,true,false]",
        "{\"a\":1,\"a\":2}",
        "\r\n{\t\"\\u0000\" : [ 1 , -2.5e+3 ] } ",
        "\"\x7f\"",
        "\"\\\\\"",
        "[\"\\\\\\\"\"]",
        "[\"{}[]:,\",\"a\\\\\",\"b\"]",
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct qn_doc *doc, *other;
        assert_int_equal(parse(texts[i], strlen(texts[i]), qn_index_scalar, &doc, NULL), 0);
#ifndef QN_SCALAR_SCAN
        assert_int_equal(parse(texts[i], strlen(texts[i]), qn_index_simd, &other, NULL), 0);
        assert_int_equal(doc->count, other->count);
        assert_memory_equal(doc->nodes, other->nodes, doc->count * sizeof *doc->nodes);
        qn_doc_unref(other);
#else
        (void)other;
#endif
        qn_doc_unref(doc);
    }
}

#ifndef QN_SCALAR_SCAN
static void scans_agree(void **state)
{
    /* Long enough for many blocks of 64, with escapes and quotes across every boundary. */
    struct qn_buf text;
    (void)state;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    qn_buf_add_byte(&text, '[');
    for (int i = 0; i < 500; i++) {
        qn_buf_add_fmt(&text, "%*s{\"k%d\\\\\":[%d,\"%.*s\\\"\\u00e9€\\\\\\\\\",-1.5e3 ,true]},", i % 67, "", i, i,
                       i % 70, "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz");
    }
    qn_buf_add_str(&text, "null]");
    struct qn_index fast, slow;
    assert_int_equal(qn_index_simd(text.data, text.size, &fast, NULL), 0);
    assert_int_equal(qn_index_scalar(text.data, text.size, &slow, NULL), 0);
    assert_int_equal(fast.count, slow.count);
    assert_memory_equal(fast.at, slow.at, slow.count * sizeof *slow.at);
    qn_index_free(&fast);
    qn_index_free(&slow);
    qn_buf_free(&text);
}
#endif

static void depth(void **state)
{
    struct qn_doc *doc;
    struct qn_err err = {0};
    char text[2 * QN_DOC_MAX_DEPTH + 2];
    (void)state;
    memset(text, '[', QN_DOC_MAX_DEPTH + 1);
    memset(text + QN_DOC_MAX_DEPTH + 1, ']', QN_DOC_MAX_DEPTH + 1);
    assert_int_equal(parse(text + 1, 2 * QN_DOC_MAX_DEPTH, NULL, &doc, &err), 0);
    qn_doc_unref(doc);
    assert_int_equal(parse(text, 2 * QN_DOC_MAX_DEPTH + 2, NULL, &doc, &err), QN_ELIMIT);
    assert_int_equal(err.offset, QN_DOC_MAX_DEPTH);
    assert_non_null(strstr(err.text, "deeper than 1024"));
}

static void check_span(const struct qn_doc *doc, qn_node node, const char *wanted)
{
    struct qn_span span = qn_doc_span(doc, node);
    assert_int_equal(span.size, strlen(wanted));
    assert_memory_equal(span.data, wanted, span.size);
}

static void navigation(void **state)
{
    struct qn_doc *doc =
        read_text("{ \"a\" : [1, {\"x\":[]} , \"s\" ], \"b\":null, \"a\":{ \"y\" : 2 } , \"\\u0061b\":true}");
    qn_node n, m;
    (void)state;
    assert_int_equal(qn_doc_kind(doc, QN_ROOT), QN_OBJECT);
    assert_int_equal(qn_doc_count(doc, QN_ROOT), 4);
    qn_node list = qn_doc_first(doc, QN_ROOT);
    check_span(doc, list, "[1, {\"x\":[]} , \"s\" ]");
    check_span(doc, qn_doc_key(doc, list), "\"a\"");
    assert_int_equal(qn_doc_count(doc, list), 3);
    check_span(doc, qn_doc_at(doc, list, 0), "1");
    check_span(doc, qn_doc_at(doc, list, 1), "{\"x\":[]}");
    check_span(doc, qn_doc_at(doc, list, 2), "\"s\"");
    assert_int_equal(qn_doc_at(doc, list, 3), QN_NONE);
    n = qn_doc_next(doc, QN_ROOT, list);
    assert_int_equal(qn_doc_kind(doc, n), QN_NULL);
    assert_true(qn_doc_find(doc, QN_ROOT, "a", 1, &m)); /* the last wins */
    check_span(doc, m, "{ \"y\" : 2 }");
    assert_true(qn_doc_find(doc, QN_ROOT, "ab", 2, &m));
    assert_int_equal(qn_doc_kind(doc, m), QN_TRUE);
    assert_int_equal(qn_doc_next(doc, QN_ROOT, m), QN_NONE);
    assert_false(qn_doc_find(doc, QN_ROOT, "\\u0061b", 7, &m));
    assert_false(qn_doc_find(doc, QN_ROOT, "", 0, &m));
    assert_false(qn_doc_find(doc, list, "a", 1, &m));
    assert_int_equal(qn_doc_first(doc, n), QN_NONE);
    assert_int_equal(qn_doc_count(doc, n), 0);
    assert_int_equal(qn_doc_at(doc, QN_ROOT, 0), QN_NONE);
    qn_doc_unref(doc);
}

static void strings(void **state)
{
    struct qn_doc *doc = read_text("[\"plain é\", \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u20AC\\ud83d\\ude00\", "
                                   "\"\\ud800x\\udc00\\ud800\\u0041\", \"\\u0000\"]");
    struct qn_buf out;
    struct qn_span span;
    (void)state;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_true(qn_doc_plain_string(doc, 1, &span));
    assert_memory_equal(span.data, "plain é", span.size);
    assert_false(qn_doc_plain_string(doc, 2, &span));
    assert_int_equal(qn_doc_string(doc, 2, &out), 0);
    assert_string_equal(qn_buf_cstr(&out), "\"\\/\b\f\n\r\té€😀");
    assert_true(qn_doc_string_equals(doc, 2, out.data, out.size));
    assert_false(qn_doc_string_equals(doc, 2, out.data, out.size - 1));
    assert_int_equal(qn_doc_replaced(doc), 0);
    qn_buf_clear(&out);
    assert_int_equal(qn_doc_string(doc, 3, &out), 0);
    assert_string_equal(qn_buf_cstr(&out), "\uFFFDx\uFFFD\uFFFDA");
    assert_int_equal(qn_doc_replaced(doc), 3);
    assert_true(qn_doc_string_equals(doc, 4, "\0", 1));
    assert_false(qn_doc_string_equals(doc, 4, "", 0));
    qn_buf_free(&out);
    qn_doc_unref(doc);
}

/* Every character beyond the first plane, written as a pair: some have the low bits of a surrogate. */
static void pairs(void **state)
{
    (void)state;
    for (uint32_t code = 0x10000; code <= 0x10FFFF; code += 7) {
        char text[16], wanted[4];
        uint32_t rest = code - 0x10000;
        snprintf(text, sizeof text, "\"\\u%04x\\u%04x\"", 0xD800 + (rest >> 10), 0xDC00 + (rest & 0x3FF));
        struct qn_doc *doc = read_text(text);
        size_t size = qn_utf8_put(code, wanted);
        if (!qn_doc_string_equals(doc, QN_ROOT, wanted, size)) fail_msg("%s is another character", text);
        assert_int_equal(qn_doc_replaced(doc), 0);
        qn_doc_unref(doc);
    }
}

static void check_number(const char *text, enum qn_integer kind, int64_t integer, double number, bool exact)
{
    struct qn_doc *doc = read_text(text);
    int64_t value = 0;
    bool is_exact;
    assert_int_equal(qn_doc_integer(doc, QN_ROOT, &value), kind);
    assert_true(value == integer);
    assert_true(qn_doc_double(doc, QN_ROOT, &is_exact) == number);
    if (is_exact != exact) fail_msg("%s: exact is %d", text, is_exact);
    qn_doc_unref(doc);
}

static void numbers(void **state)
{
    (void)state;
    check_number("0", QN_INTEGER_EXACT, 0, 0, true);
    check_number("-0", QN_INTEGER_EXACT, 0, 0, true);
    check_number("9223372036854775807", QN_INTEGER_EXACT, INT64_MAX, 9223372036854775807.0, false);
    check_number("-9223372036854775808", QN_INTEGER_EXACT, INT64_MIN, -9223372036854775808.0, false);
    check_number("9223372036854775808", QN_INTEGER_OUT_OF_RANGE, 0, 9223372036854775808.0, false);
    check_number("170000000000012", QN_INTEGER_EXACT, 170000000000012, 170000000000012, true);
    check_number("100000000000000000000", QN_INTEGER_OUT_OF_RANGE, 0, 1e20, true);
    check_number("1.0", QN_INTEGER_NOT_ONE, 0, 1, true);
    check_number("1e3", QN_INTEGER_NOT_ONE, 0, 1000, true);
    check_number("0.1", QN_INTEGER_NOT_ONE, 0, 0.1, true);
    check_number("0.10000", QN_INTEGER_NOT_ONE, 0, 0.1, true);
    check_number("0.30000000000000004", QN_INTEGER_NOT_ONE, 0, 0.30000000000000004, true);
    check_number("0.12345678901234567890", QN_INTEGER_NOT_ONE, 0, 0.12345678901234567890, false);
    check_number("0.1000000000000000055", QN_INTEGER_NOT_ONE, 0, 0.1, false);
    check_number("5e-324", QN_INTEGER_NOT_ONE, 0, 5e-324, true);
    check_number("4.9406564584124654e-324", QN_INTEGER_NOT_ONE, 0, 5e-324, false);
    check_number("1e-400", QN_INTEGER_NOT_ONE, 0, 0, false);
    check_number("0e999999999999999999999", QN_INTEGER_NOT_ONE, 0, 0, true);
    check_number("1e400", QN_INTEGER_NOT_ONE, 0, __builtin_inf(), false);
    check_number("1.7976931348623157e308", QN_INTEGER_NOT_ONE, 0, 1.7976931348623157e308, true);
    check_number("2.2250738585072014e-308", QN_INTEGER_NOT_ONE, 0, 2.2250738585072014e-308, true);
}

struct seen {
    char text[256];
    size_t size;
};

static void see(void *self, const struct qn_doc *doc, qn_node element)
{
    struct seen *seen = self;
    struct qn_buf minified;
    qn_buf_init(&minified, QN_BUF_NO_CAP);
    assert_int_equal(qn_json_minified(&minified, doc, element), 0); /* its nodes are there */
    seen->size += (size_t)snprintf(seen->text + seen->size, sizeof seen->text - seen->size, "%s%s",
                                   seen->size > 0 ? " | " : "", qn_buf_cstr(&minified));
    qn_buf_free(&minified);
}

static void forget(void *self)
{
    *(struct seen *)self = (struct seen){0};
}

/* Shows the array that the names lead to; the text of what was shown, "-" if there was none. */
static const char *shown(const char *text, size_t names, bool fold, struct qn_doc **doc, struct qn_err *err)
{
    static const struct qn_span way[] = {{"a", 1}, {"b", 1}};
    static struct seen seen;
    struct qn_doc_watch watch = {
        .names = way, .count = names, .fold = fold, .element = see, .forget = forget, .self = &seen};
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    forget(&seen);
    int rc = qn_doc_parse_watched(bytes, &watch, doc, err);
    qn_bytes_unref(bytes);
    if (rc < 0) return "refused";
    return watch.shown ? seen.text : "-";
}

static void watched(void **state)
{
    static const struct {
        size_t names;
        const char *text, *wanted;
    } samples[] = {
        {0, "[1, {\"a\" : [2]}, [], \"x\"]", "1 | {\"a\":[2]} | [] | \"x\""},
        {0, "[]", ""},
        {0, " [ ] ", ""},
        {0, "{}", "-"},
        {0, "1", "-"},
        {1, "{\"a\":[1,2]}", "1 | 2"},
        {1, "{\"c\":[0],\"a\": [ {} , {\"a\":[3]} ] ,\"d\":{\"a\":[4]}}", "{} | {\"a\":[3]}"},
        {1, "{\"\\u0061\":[1]}", "1"},
        {1, "{\"a\":{}}", "-"},
        {1, "{\"a\":null,\"c\":1}", "-"},
        {1, "{}", "-"},
        {1, "[{\"a\":[1]}]", "-"},
        {1, "{\"a\":[1],\"a\":[2,3]}", "2 | 3"},
        {1, "{\"a\":[1],\"c\":0,\"a\":null}", "-"},
        {2, "{\"a\":{\"b\":[1,2]},\"b\":[3]}", "1 | 2"},
        {2, "{\"a\":{\"b\":[1]},\"a\":{\"c\":[2]}}", "-"},
        {2, "{\"a\":{\"b\":[1]},\"a\":{\"b\":[4],\"b\":[5]}}", "5"},
        {2, "{\"a\":[{\"b\":[1]}]}", "-"},
    };
    (void)state;
    for (size_t i = 0; i < 2 * sizeof samples / sizeof *samples; i++) {
        const char *text = samples[i / 2].text;
        struct qn_doc *doc = NULL, *plain = NULL;
        struct qn_err err = {0};
        const char *seen = shown(text, samples[i / 2].names, i % 2, &doc, &err);
        if (strcmp(seen, samples[i / 2].wanted) != 0) fail_msg("%s: saw %s", text, seen);
        assert_int_equal(parse(text, strlen(text), NULL, &plain, &err), 0);
        if (i % 2 == 0) {
            assert_int_equal(doc->count, plain->count);
            assert_memory_equal(doc->nodes, plain->nodes, doc->count * sizeof *doc->nodes);
        }
        qn_doc_unref(doc);
        qn_doc_unref(plain);
    }
}

/* Of what was folded the ends remain, and everything else is as it was. */
static void folded(void **state)
{
    struct qn_doc *doc = NULL;
    qn_node array, total, next;
    int64_t n;
    (void)state;
    assert_string_equal(shown("{\"a\":[{\"x\":[1,2]},7,[3]],\"c\":9}", 1, true, &doc, NULL), "{\"x\":[1,2]} | 7 | [3]");
    assert_true(qn_doc_find(doc, QN_ROOT, "a", 1, &array) && qn_doc_find(doc, QN_ROOT, "c", 1, &total));
    assert_int_equal(qn_doc_integer(doc, total, &n), QN_INTEGER_EXACT);
    assert_int_equal(n, 9);
    assert_int_equal(qn_doc_count(doc, array), 3);
    assert_int_equal(qn_doc_span(doc, array).size, strlen("[{\"x\":[1,2]},7,[3]]"));
    next = qn_doc_first(doc, array);
    assert_int_equal(qn_doc_span(doc, next).size, strlen("{\"x\":[1,2]}"));
    assert_true(qn_doc_first(doc, next) == QN_NONE);
    next = qn_doc_next(doc, array, next);
    assert_int_equal(qn_doc_kind(doc, next), QN_NUMBER);
    next = qn_doc_next(doc, array, next);
    assert_int_equal(qn_doc_span(doc, next).size, strlen("[3]"));
    assert_true(qn_doc_next(doc, array, next) == QN_NONE);
    qn_doc_unref(doc);
}

/* Whatever a text is refused for, it is refused with the same words. */
static void watched_and_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":[",
        "{\"a\":[1",
        "{\"a\":[1,",
        "{\"a\":[1,]}",
        "{\"a\":[1}",
        "{\"a\":[1]",
        "{\"a\":[1],}",
        "{\"a\" [1]}",
        "{\"a\":[1] 2}",
        "{\"a\":[1]]",
        "{\"a\":[1]}}",
        "{,}",
        "{\"a\":[1 2]}",
        "{\"a\":[,1]}",
        "{1:2}",
        "{\"a\":[{\"x\"}]}",
        "{\"a\":[\"\\x\"]}",
        "[1}",
        "[1,2",
        "[1],",
        "{\"a\":{\"b\":[1}}",
        "{\"c\":[}",
        "x",
    };
    (void)state;
    for (size_t i = 0; i < 3 * sizeof texts / sizeof *texts; i++) {
        struct qn_doc *doc = NULL;
        struct qn_err err = {0}, plain = {0};
        assert_string_equal(shown(texts[i / 3], i % 3, true, &doc, &err), "refused");
        assert_null(doc);
        assert_int_equal(parse(texts[i / 3], strlen(texts[i / 3]), NULL, &doc, &plain), QN_ESYNTAX);
        assert_string_equal(err.text, plain.text);
        assert_int_equal(err.offset, plain.offset);
    }
}

static void no_memory(void **state)
{
    struct qn_bytes *bytes = qn_bytes_new("[1,{\"a\":\"b\"}]", 13);
    struct qn_doc *doc = NULL;
    size_t before = qn_mem_blocks();
    int rc = QN_ENOMEM;
    (void)state;
    for (uint64_t n = 1; rc == QN_ENOMEM; n++) {
        qn_mem_fail_after(n);
        rc = qn_doc_parse_scanned(bytes, qn_index_scalar, &doc, NULL);
        qn_mem_fail_after(0);
        if (rc == QN_ENOMEM) assert_int_equal(qn_mem_blocks(), before);
    }
    assert_int_equal(rc, 0);
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
    assert_int_equal(qn_mem_blocks(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(numbers_and_strings),
        cmocka_unit_test(accepted),
#ifndef QN_SCALAR_SCAN
        cmocka_unit_test(scans_agree),
#endif
        cmocka_unit_test(depth),
        cmocka_unit_test(navigation),
        cmocka_unit_test(strings),
        cmocka_unit_test(pairs),
        cmocka_unit_test(numbers),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(watched),
        cmocka_unit_test(folded),
        cmocka_unit_test(watched_and_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
