/* Secrets: whatever spells one is redacted, and nothing of it stays in memory that was freed. */
#include "base_world.h"

#include <malloc.h>
#include <pthread.h>

#include "base/secret.h"

/* The linker sends every qn_free of quern here: memory goes back without four bytes in a row of what is watched. */
void __real_qn_free(void *ptr);
void __wrap_qn_free(void *ptr);

static const char *watched[4];
static unsigned remnants;

void __wrap_qn_free(void *ptr)
{
    for (size_t k = 0; ptr && k < count_of(watched) && watched[k]; k++) {
        for (size_t i = 0; i + 4 <= strlen(watched[k]); i++) {
            remnants += memmem(ptr, malloc_usable_size(ptr), watched[k] + i, 4) != NULL;
        }
    }
    __real_qn_free(ptr);
}

static struct qn_secret *make(const char *value)
{
    struct qn_secret *secret = qn_secret_new(value, strlen(value));
    assert_non_null(secret);
    return secret;
}

static void expect_redacted(const char *text, const char *clean)
{
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    assert_int_equal(qn_buf_add_str(&out, ">"), 0); /* appends */
    assert_int_equal(qn_redact(&out, text, strlen(text)), 0);
    assert_string_equal(qn_buf_cstr(&out) + 1, clean);
    assert_int_equal(qn_secret_found(text, strlen(text)), strcmp(text, clean) != 0);
    assert_false(qn_secret_found(out.data, out.size));
    qn_buf_free(&out);
}

static void expect_text(const struct qn_secret *secret, const char *value)
{
    size_t size;
    const char *found = qn_secret_value(secret, &size);
    assert_int_equal(size, strlen(value));
    assert_memory_equal(found, value, size);
}

static void test_raw(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_secret *secret = make("hunter22");
    expect_text(secret, "hunter22");
    expect_redacted("", "");
    expect_redacted("nothing here", "nothing here");
    expect_redacted("hunter22", "[redacted]");
    expect_redacted("a hunter22 b", "a [redacted] b");
    expect_redacted("hunter22hunter22", "[redacted][redacted]");
    expect_redacted("hunthunter22", "hunt[redacted]");
    expect_redacted("hunter2", "hunter2");
    expect_redacted("HUNTER22", "HUNTER22");
    assert_true(qn_secret_found("x\0hunter22", 10)); /* bytes, not strings */
    assert_ptr_equal(qn_secret_ref(secret), secret);
    qn_secret_unref(secret);
    expect_redacted("hunter22", "[redacted]");
    qn_secret_unref(secret);
    expect_redacted("hunter22", "hunter22"); /* the registry is empty again */
    qn_secret_unref(NULL);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void encode(const char *text, size_t size, const char *digits, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i += 3) {
        unsigned char b[3] = {0};
        memcpy(b, text + i, size - i < 3 ? size - i : 3);
        out[used++] = digits[b[0] >> 2];
        out[used++] = digits[(b[0] & 3) << 4 | b[1] >> 4];
        out[used++] = size - i > 1 ? digits[(b[1] & 15) << 2 | b[2] >> 6] : '=';
        out[used++] = size - i > 2 ? digits[b[2] & 63] : '=';
    }
    out[used] = 0;
}

#define BASE64    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
#define BASE64URL "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

static void test_base64(void **state)
{
    static const char *const values[] = {"abcd", "hunter22", "\xfb\xef\xbe\xfb\xef\xbe", "a~b?c>d/e+f",
                                         "p\xc3\xa9p\xc3\xa9"};
    (void)state;
    for (size_t v = 0; v < count_of(values); v++) {
        struct qn_secret *secret = make(values[v]);
        for (int before = 0; before < 7; before++) {
            for (int after = 0; after < 4; after++) {
                char pair[64], text[128];
                int size = sprintf(pair, "%.*s%s%.*s", before, "user:pw", values[v], after, "zzzz");
                for (int url = 0; url < 2; url++) {
                    encode(pair, (size_t)size, url ? BASE64URL : BASE64, text);
                    struct qn_buf out;
                    qn_buf_init(&out, QN_BUF_NO_CAP);
                    assert_int_equal(qn_redact(&out, text, strlen(text)), 0);
                    assert_non_null(strstr(qn_buf_cstr(&out), "[redacted]"));
                    assert_true(strlen(out.data) <=
                                10 + strlen(text) - strlen(values[v])); /* all but the edges has gone */
                    qn_buf_free(&out);
                }
            }
        }
        qn_secret_unref(secret);
    }
    struct qn_secret *secret = make("\xfb\xef\xbe\xfb\xef\xbe"); /* ++++ and the like inside a URL or JSON */
    expect_redacted("k=%2B%2B%2b%2B%2B%2B%2B%2B&", "k=[redacted]&");
    qn_secret_unref(secret);
    secret = make("\xff\xff\xff\xff\xff\xff");
    expect_redacted("\"\\/\\/\\/\\/\\/\\/\\/\\/\"", "\"[redacted]\"");
    qn_secret_unref(secret);
}

static void test_percent(void **state)
{
    (void)state;
    struct qn_secret *secret = make("p w/x+y=z~");
    expect_redacted("k=p%20w%2Fx%2By%3Dz~&", "k=[redacted]&");
    expect_redacted("k=p%20w%2fx%2by%3dz~&", "k=[redacted]&");
    expect_redacted("k=p+w%2Fx%2By%3Dz~&", "k=[redacted]&");
    expect_redacted("k=p+w%2fx%2by%3dz%7e&", "k=[redacted]&");       /* + and lower case; ~ as old encoders write it */
    expect_redacted("/p%20w/x+y=z~/", "/[redacted]/");               /* as a path may be written */
    expect_redacted("%70%20%77%2F%78%2B%79%3D%7A%7E", "[redacted]"); /* every byte */
    expect_redacted("p%2", "p%2");
    expect_redacted("p%", "p%");
    qn_secret_unref(secret);
    secret = make("100%25ok");
    expect_redacted("=100%25ok=", "=[redacted]=");
    expect_redacted("=100%2525ok=", "=[redacted]=");
    qn_secret_unref(secret);
    secret = make("a%b%%");
    expect_redacted("a%b%% a%25b%25%25", "[redacted] [redacted]");
    qn_secret_unref(secret);
}

static void test_json(void **state)
{
    (void)state;
    struct qn_secret *secret = make("pa\"ss\\w/o\nr\td");
    expect_redacted("{\"k\":\"pa\\\"ss\\\\w/o\\nr\\td\"}", "{\"k\":\"[redacted]\"}");
    expect_redacted("{\"k\":\"pa\\\"ss\\\\w\\/o\\nr\\td\"}", "{\"k\":\"[redacted]\"}");
    expect_redacted("pa\\u0022ss\\u005Cw\\u002fo\\u000ar\\u0009d", "[redacted]");
    expect_redacted("pa\"ss\\w/o\nr\td", "[redacted]");
    expect_redacted("pa\\", "pa\\");
    expect_redacted("pa\\u00", "pa\\u00");
    qn_secret_unref(secret);
    secret = make("back\\\\slash\\n");
    expect_redacted("back\\\\slash\\n", "[redacted]");
    expect_redacted("back\\\\\\\\slash\\\\n", "[redacted]");
    qn_secret_unref(secret);
}

static void test_overlap(void **state)
{
    (void)state;
    struct qn_secret *a = make("abcdefgh"), *b = make("efghijkl"), *c = make("abcd");
    expect_redacted("-abcdefghijkl-", "-[redacted]-"); /* the end of the second is no less a secret */
    expect_redacted("-abcdefgh-", "-[redacted]-");     /* the longest */
    expect_redacted("-abcde-", "-[redacted]e-");
    expect_redacted("abcdabcdefgh", "[redacted][redacted]");
    qn_secret_unref(a);
    expect_redacted("-abcdefghijkl-", "-[redacted][redacted]-");
    qn_secret_unref(c);
    expect_redacted("-abcdefghijkl-", "-abcd[redacted]-");
    qn_secret_unref(b);
    expect_redacted("-abcdefghijkl-", "-abcdefghijkl-");
    a = make("aaaa");
    expect_redacted("baaaaaaaaab", "b[redacted]b");
    b = make("aaaa"); /* twice registered */
    qn_secret_unref(a);
    expect_redacted("baaaab", "b[redacted]b");
    qn_secret_unref(b);
}

static void test_short(void **state)
{
    (void)state;
    struct qn_secret *secret = make("abc"), *empty = qn_secret_new(NULL, 0);
    expect_redacted("abc YWJj", "abc YWJj");
    expect_text(secret, "abc");
    expect_text(empty, "");
    struct qn_secret *header = qn_secret_concat("Bearer ", 7, secret, NULL, 0);
    expect_redacted("x: Bearer abc", "x: [redacted]");
    qn_secret_unref(header);
    header = qn_secret_concat(NULL, 0, empty, NULL, 0);
    expect_text(header, "");
    qn_secret_unref(header);
    header = qn_secret_form(empty);
    expect_text(header, "");
    qn_secret_unref(header);
    qn_secret_unref(secret);
    qn_secret_unref(empty);
    secret = qn_secret_new("a\0bc", 4); /* bytes are bytes */
    expect_redacted("k=a%00bc", "k=[redacted]");
    assert_true(qn_secret_found("a\0bc", 4));
    qn_secret_unref(secret);
}

static void test_derived(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_secret *token = make("tok-1234"), *bearer = qn_secret_concat("Bearer ", 7, token, "!", 1);
    struct qn_secret *basic = qn_secret_basic(token, "user", 4), *form = qn_secret_form(token);
    expect_text(bearer, "Bearer tok-1234!");
    expect_text(basic, "dXNlcjp0b2stMTIzNA==");
    expect_text(form, "tok-1234");
    qn_secret_unref(form);
    qn_secret_unref(basic);
    qn_secret_unref(token);
    expect_redacted("bad token tok-1234", "bad token [redacted]"); /* known as long as something is made of it */
    expect_redacted("Authorization: Bearer tok-1234!", "Authorization: [redacted]");
    struct qn_secret *chain = bearer;
    for (int i = 0; i < 1000; i++) { /* and so on; freeing the last frees them all */
        struct qn_secret *next = qn_secret_concat("", 0, chain, i < 10 ? "+" : "", i < 10);
        qn_secret_unref(chain);
        chain = next;
    }
    assert_true(qn_secret_found("tok-1234", 8));
    qn_secret_unref(chain);
    expect_redacted("tok-1234", "tok-1234");
    assert_int_equal(qn_mem_blocks(), blocks);

    struct qn_secret *odd = make("a b&c=d%e*");
    form = qn_secret_form(odd);
    expect_text(form, "a+b%26c%3Dd%25e%2A");
    basic = qn_secret_basic(odd, NULL, 0);
    expect_text(basic, "OmEgYiZjPWQlZSo=");
    qn_secret_unref(basic);
    qn_secret_unref(form);
    qn_secret_unref(odd);
    assert_int_equal(qn_mem_blocks(), blocks);
}

static void test_failure_appends_nothing(void **state)
{
    (void)state;
    struct qn_secret *secret = make("hunter22");
    struct qn_buf out;
    qn_buf_init(&out, 25);
    assert_int_equal(qn_buf_add_str(&out, "kept"), 0);
    assert_int_equal(qn_redact(&out, "first hunter22 and second", 25), QN_ELIMIT);
    assert_string_equal(qn_buf_cstr(&out), "kept");
    assert_int_equal(qn_redact(&out, NULL, 0), 0);
    assert_false(qn_secret_found(NULL, 0));
    assert_int_equal(qn_redact(&out, "x hunter22", 10), 0);
    assert_string_equal(qn_buf_cstr(&out), "keptx [redacted]");
    qn_buf_free(&out);
    qn_secret_unref(secret);
}

static int use_secrets(void)
{
    struct qn_buf out;
    qn_buf_init(&out, QN_BUF_NO_CAP);
    struct qn_secret *token = qn_secret_new("hunter 22/x", 11), *bearer = NULL, *basic = NULL, *form = NULL;
    if (token) bearer = qn_secret_concat("Bearer ", 7, token, NULL, 0);
    if (bearer) basic = qn_secret_basic(token, "u", 1);
    if (basic) form = qn_secret_form(token);
    int rc = form ? qn_redact(&out, "k=hunter 22/x", 13) : QN_ENOMEM;
    if (rc == 0) assert_memory_equal(out.data, "k=[redacted]", 12);
    qn_secret_unref(token);
    qn_secret_unref(form);
    qn_secret_unref(basic);
    qn_secret_unref(bearer);
    qn_buf_free(&out);
    return rc;
}

static void test_torture(void **state)
{
    (void)state;
    watched[0] = "hunter 22/x";
    watched[1] = "aHVudGVyIDIyL3g=";   /* base64 of it */
    watched[2] = "dTpodW50ZXIgMjIveA"; /* base64 of u:it */
    watched[3] = "h1bnRlciAyMi94";     /* at the third alignment */
    remnants = 0;
    assert_true(torture(use_secrets) >= 10);
    memset(watched, 0, sizeof watched);
    assert_int_equal(remnants, 0);
    assert_false(qn_secret_found("hunter 22/x", 11));

    char *trace = qn_strdup("hunter"); /* the watch itself works */
    watched[0] = "hunter 22/x";
    qn_free(trace);
    memset(watched, 0, sizeof watched);
    assert_true(remnants >= 3);
}

static void *register_many(void *argument)
{
    for (int i = 0; i < 200; i++) {
        struct qn_secret *secret = qn_secret_new("thread-secret", 13);
        if (!secret || !qn_secret_found("a thread-secret", 15)) return argument;
        qn_secret_unref(secret);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    pthread_t threads[3];
    for (size_t i = 0; i < count_of(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, register_many, state), 0);
    }
    for (size_t i = 0; i < count_of(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_false(qn_secret_found("a thread-secret", 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw),     cmocka_unit_test(test_base64),
        cmocka_unit_test(test_percent), cmocka_unit_test(test_json),
        cmocka_unit_test(test_overlap), cmocka_unit_test(test_short),
        cmocka_unit_test(test_derived), cmocka_unit_test(test_failure_appends_nothing),
        cmocka_unit_test(test_torture), cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
