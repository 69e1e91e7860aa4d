/* I-Regexp (RFC 9485): what is one, and what it matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "json/regex.h"

static int run(const char *pattern, bool whole, const char *text)
{
    struct qn_regex *regex;
    struct qn_err err = {0};
    if (qn_regex_compile(pattern, strlen(pattern), whole, &regex, &err) < 0) return -100;
    int rc = qn_regex_matches(regex, text, strlen(text));
    qn_regex_free(regex);
    return rc;
}

#define matches(pattern, text) assert_int_equal(run(pattern, true, text), 1)
#define differs(pattern, text) assert_int_equal(run(pattern, true, text), 0)

static void whole_and_part(void **state)
{
    (void)state;
    matches("ab", "ab");
    differs("ab", "xab");
    differs("ab", "ab\n");
    assert_int_equal(run("ab", false, "xaby"), 1);
    assert_int_equal(run("^ab", false, "xaby"), 0);
    assert_int_equal(run("by$", false, "xaby"), 1);
    matches("", "");
    matches("a|bc", "bc");
    differs("a|bc", "ac");
    matches("(a|b)c", "bc");
}

static void classes(void **state)
{
    (void)state;
    matches("[a-c-]+", "a-c");
    matches("[-a]+", "-a");
    matches("[^a-c]", "d");
    differs("[^a-c]", "a");
    matches("[a^]+", "^a");
    matches("[\\]\\[\\-]+", "]-[");
    matches("[.*+?$()|{}#&~]+", ".*+?$()|{}#&~");
    matches("\\p{Lu}\\P{Lu}[\\p{N}_]", "\xC3\x89"
                                       "a7");
    matches("\\p{L}", "\xC3\xA9");
}

static void characters(void **state)
{
    (void)state;
    matches(".", "\xF0\x9F\x98\x80");
    differs(".", "\n");
    differs(".", "\r");
    matches(".", "\xE2\x80\xA8");
    matches("\\n\\t\\.\\(\\)", "\n\t.()");
    matches("a-b,c/d", "a-b,c/d");
    matches("a{2}b{1,}c{0,2}", "aabbbcc");
    differs("a{2}", "aaa");
    matches("a?b*c+", "cc");
}

static void not_one(void **state)
{
    static const char *const wrong[] = {"(",     ")",     "[",     "[]",       "[^]", "a)",         "*a",      "a**",
                                        "a{",    "a{,2}", "{2}",   "\\d",      "\\w", "\\b",        "\\1",     "(?:a)",
                                        "(?i)a", "[a",    "[[a]]", "[a-b-c]",  "]",   "}",          "\\p{Xx}", "\\p{L",
                                        "\\pL",  "[b-a]", "[\\d]", "a{99999}", "\\",  "[a-\\p{L}]", "\\Qa\\E"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (run(wrong[i], true, "a") != -100) fail_msg("%s was accepted", wrong[i]);
    }
}

/* What would take for ever is given up. */
static void bounded(void **state)
{
    char text[64];
    (void)state;
    memset(text, 'a', 40);
    strcpy(text + 40, "bc");
    assert_int_equal(run("(a|aa)+c", true, text), QN_ELIMIT);
    char nested[1024];
    memset(nested, '(', 300);
    memset(nested + 300, ')', 300);
    nested[600] = 0;
    assert_int_equal(run(nested, true, ""), -100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_and_part), cmocka_unit_test(classes),
                                       cmocka_unit_test(characters), cmocka_unit_test(not_one),
                                       cmocka_unit_test(bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
