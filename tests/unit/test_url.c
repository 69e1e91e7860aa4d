/* Joining, resolving, origins and parameters of URLs. */
#include "net_world.h"

#include <stdio.h>

#include "base/secret.h"
#include "net/url.h"

static char text[4096];

static const char *take(struct qn_buf *out, int rc)
{
    if (rc < 0) {
        assert_int_equal(out->size, 0);
        snprintf(text, sizeof text, "%s", qn_err_name(rc));
    } else {
        assert_true(out->size < sizeof text);
        memcpy(text, out->data, out->size);
        text[out->size] = 0;
    }
    qn_buf_free(out);
    return text;
}

static const char *join(const char *base, const char *reference)
{
    struct qn_buf out;
    struct qn_err err;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    return take(&out, qn_url_join(base, reference, &out, &err));
}

static const char *resolve(const char *base, const char *current, const char *link)
{
    struct qn_buf out;
    struct qn_err err;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    return take(&out, qn_url_resolve(base, current, link, &out, &err));
}

static void test_join_prefix(void **state)
{
    static const char *const rows[][3] = {
        {"https://h/p", "/api/v2/x?y=1", "https://h/p/api/v2/x?y=1"},
        {"https://h/p/", "/api", "https://h/p/api"},
        {"https://h/p", "/p/api", "https://h/p/api"},
        {"https://h/p", "/p", "https://h/p"},
        {"https://h/p", "/prefix", "https://h/p/prefix"},
        {"https://h/p", "/../oauth", "https://h/p/oauth"},
        {"https://h/p", "/p/../oauth", "https://h/p/oauth"},
        {"https://h/p", "/p/%2e%2E/oauth", "https://h/p/oauth"},
        {"https://h/p", "/a/./b/..//c", "https://h/p/a//c"},
        {"https://h/p", "/a/..", "https://h/p/"},
        {"https://h/p", "/%70/x", "https://h/p/x"},
        {"https://h/p", "api", "https://h/p/api"},
        {"https://h/p", "../../p", "https://h/p/p"},
        {"https://h/p", "", "https://h/p"},
        {"https://h/p", "#f", "https://h/p"},
        {"https://h/p", "?a=b#f", "https://h/p?a=b"},
        {"https://h", "/a b/\xc3\xa9?q=\"x\"", "https://h/a%20b/%C3%A9?q=%22x%22"},
        {"https://h", "/100%", "https://h/100%25"},
        {"https://h", "/a%2fb", "https://h/a%2Fb"},
        {"HTTP://LocalHost:80/x", "/y", "http://localhost/x/y"},
        {"http://127.0.0.1:8080", "/y", "http://127.0.0.1:8080/y"},
        {"http://[::1]:8080/p", "/y", "http://[::1]:8080/p/y"},
        {"https://h/p", "https://Other/x/../y#z", "https://other/y"},
        {"https://h/p", "//other/x", "https://other/x"},
        {"https://h/p", "ftp://h/x", "denied"},
        {"https://h/p", "file:///etc/passwd", "denied"},
        {"https://h/p", "javascript:x", "denied"},
        {"https://h/p", "https://u@h/x", "denied"},
        {"https://h/p", "https://u:p@h/x", "denied"},
        {"https://h/p", "/a\nb", "invalid"},
        {"https://h/p", "https:///h/x", "invalid"},
        {"https://h/p", "//%33/9", "invalid"},
        {"https://h/p", "http://%65vil/", "invalid"},
        {"https://h/p", "http:/%65vil/", "denied"},
        {"https://h/p", "https:/other/x?a://b", "invalid"},
        {"https:/%68", "/a", "invalid"},
        {"not a base", "/a", "invalid"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *got = join(rows[i][0], rows[i][1]);
        if (strcmp(rows[i][2], "invalid") == 0)
            assert_string_equal(got, qn_err_name(QN_EINVAL));
        else if (strcmp(rows[i][2], "denied") == 0)
            assert_string_equal(got, qn_err_name(QN_EDENIED));
        else
            assert_string_equal(got, rows[i][2]);
    }
}

static void test_resolve(void **state)
{
    static const char *const rows[][4] = {
        {"https://h/p", "https://h/p/a/b?x=1", "", "https://h/p/a/b?x=1"},
        {"https://h/p", "https://h/p/a/b?x=1", "#f", "https://h/p/a/b?x=1"},
        {"https://h/p", "https://h/p/a/b?x=1", "?x=2", "https://h/p/a/b?x=2"},
        {"https://h/p", "https://h/p/a/b", "c?d", "https://h/p/a/c?d"},
        {"https://h/p", "https://h/p/a/b", "../c", "https://h/p/c"},
        {"https://h/p", "https://h/p/a/b", "../../../c", "https://h/p/c"},
        {"https://h/p", "https://h/p/a/b", "/a/c", "https://h/p/a/c"},
        {"https://h/p", "https://h/p/a/b", "/p/a/c", "https://h/p/a/c"},
        {"https://h/p", "https://h/p/a/b", "https://h/q", "https://h/q"},
        {"https://h/p", "https://h/p/a/b", "http://h/q", "http://h/q"},
        {"https://h/p", "https://h/p/a/b", "//h2/q", "https://h2/q"},
        {"https://h/p", "https://s3/x/y", "/q", "https://s3/q"},
        {"https://h/p", "https://s3/x/y", "q", "https://s3/x/q"},
        {"https://h", "https://h", "q", "https://h/q"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_string_equal(resolve(rows[i][0], rows[i][1], rows[i][2]), rows[i][3]);
}

static void test_origin(void **state)
{
    struct qn_buf out;
    (void)state;
    assert_true(qn_url_same_origin("https://a/x", "HTTPS://A:443/y?z"));
    assert_true(qn_url_same_origin("http://a:80", "http://a/"));
    assert_false(qn_url_same_origin("https://a", "http://a"));
    assert_false(qn_url_same_origin("https://a", "https://a:444"));
    assert_false(qn_url_same_origin("https://a", "https://a.b"));
    assert_false(qn_url_same_origin("https://a", "https://a@b"));
    assert_false(qn_url_same_origin("https://a", "https://b\\@a"));
    assert_false(qn_url_same_origin("nonsense", "nonsense"));
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_string_equal(take(&out, qn_url_origin("https://A.b/x", &out, NULL)), "https://a.b:443");
}

static void test_loopback(void **state)
{
    (void)state;
    assert_true(qn_url_is_loopback("http://localhost:1/x"));
    assert_true(qn_url_is_loopback("http://127.9.9.9"));
    assert_true(qn_url_is_loopback("http://127.1"));
    assert_true(qn_url_is_loopback("http://[::1]:80/"));
    assert_true(qn_url_host_is_loopback("::ffff:127.0.0.1"));
    assert_false(qn_url_is_loopback("http://localhost.example.com"));
    assert_false(qn_url_is_loopback("http://127.0.0.1.example.com"));
    assert_false(qn_url_is_loopback("http://10.0.0.1"));
    assert_false(qn_url_is_loopback("http://0.0.0.0"));
    assert_false(qn_url_host_is_loopback("::"));
    assert_false(qn_url_host_is_loopback(""));
}

static struct qn_url_pair pair(const char *name, const char *value)
{
    return (struct qn_url_pair){name, value, strlen(name), strlen(value)};
}

static void test_with_query(void **state)
{
    struct qn_buf out;
    struct qn_url_pair pairs[] = {pair("page", "2"), pair("a b", "c&d=\xc3\xa9"), pair("page", "3")};
    (void)state;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_string_equal(take(&out, qn_url_with_query("https://h/x?page=1&keep=%41+z&a+b=1&a%20b=2&flag&&pages=4#f",
                                                     pairs, 3, &out, NULL)),
                        "https://h/x?keep=%41+z&flag&pages=4&page=2&a%20b=c%26d%3D%C3%A9&page=3");
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_string_equal(take(&out, qn_url_with_query("https://h/x?page=1", NULL, 0, &out, NULL)), "https://h/x?page=1");
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_string_equal(take(&out, qn_url_with_query("https://h?page=1", pairs, 1, &out, NULL)), "https://h/?page=2");
}

static void test_encode(void **state)
{
    struct qn_buf out;
    (void)state;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_string_equal(take(&out, qn_url_encode("a b*~&\0%-_.", 11, &out)), "a+b*%7E%26%00%25-_.");
}

static void test_secret_not_told(void **state)
{
    struct qn_err err;
    struct qn_buf out;
    struct qn_secret *secret = qn_secret_new("hush-hush-key", 13);
    (void)state;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_true(qn_url_join("https://h", "ftp://h/?key=hush-hush-key", &out, &err) < 0);
    assert_null(strstr(err.text, "hush-hush-key"));
    assert_non_null(strstr(err.text, "ftp://h/"));
    assert_true(qn_url_join("https://h", "https://me:password9@h/", &out, &err) < 0);
    assert_null(strstr(err.text, "password9"));
    qn_secret_unref(secret);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 1000; n++) {
        struct qn_buf out;
        struct qn_err err;
        qn_buf_init(&out, QN_BUF_NO_CAP);
        qn_mem_fail_after(n);
        int rc = qn_url_resolve("https://h/p", "https://h/p/a/b", "../c?d", &out, &err);
        qn_mem_fail_after(0);
        size_t size = out.size;
        qn_buf_free(&out);
        if (rc == 0) return;
        assert_int_equal(rc, QN_ENOMEM);
        assert_int_equal(size, 0);
    }
    fail_msg("never passed");
}

static int nothing_left(void **state)
{
    size_t blocks = (size_t)(uintptr_t)*state;
    return qn_mem_blocks() == blocks ? 0 : -1;
}

static int count_blocks(void **state)
{
    *state = (void *)(uintptr_t)qn_mem_blocks();
    return 0;
}

#define LEAKLESS(test) cmocka_unit_test_setup_teardown(test, count_blocks, nothing_left)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEAKLESS(test_join_prefix), LEAKLESS(test_resolve), LEAKLESS(test_origin),          LEAKLESS(test_loopback),
        LEAKLESS(test_with_query),  LEAKLESS(test_encode),  LEAKLESS(test_secret_not_told), LEAKLESS(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
