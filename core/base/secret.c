/* secret.c - see secret.h. Each secret registers the texts that would give it away; qn_redact looks for all of them. */
#include "base/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define SHORTEST 4 /* shorter values would redact half of every text */
#define FORMS    7 /* raw, base64 at three alignments, percent-encoded upper, lower, and form (+) */

struct form {
    char *text;
    size_t size;
};

struct qn_secret {
    atomic_size_t refs;
    struct form value;
    struct form forms[FORMS]; /* what is searched for; text NULL where there is none */
    struct qn_secret *prev, *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct qn_secret *registered; /* under lock */

static void wipe(struct form *form)
{
    if (form->text) explicit_bzero(form->text, form->size);
    qn_free(form->text);
    *form = (struct form){0};
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t base64(const unsigned char *data, size_t size, char *out)
{
    size_t used = 0;
    for (size_t i = 0; i < size; i += 3) {
        unsigned left = size - i > 2 ? 3 : (unsigned)(size - i);
        unsigned word = (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0u);
        out[used++] = base64_digits[word >> 18];
        out[used++] = base64_digits[word >> 12 & 63];
        out[used++] = left > 1 ? base64_digits[word >> 6 & 63] : '=';
        out[used++] = left > 2 ? base64_digits[word & 63] : '=';
    }
    return used;
}

/* The base64 digits that every text holding the value at this alignment shows: those at the edges mix with neighbours. */
static int base64_form(const struct form *value, unsigned alignment, struct form *out)
{
    size_t padded_size = alignment + value->size;
    char *padded = qn_calloc(1, padded_size);
    char *digits = qn_malloc(padded_size / 3 * 4 + 8);
    if (!padded || !digits) {
        qn_free(padded);
        qn_free(digits);
        return QN_ENOMEM;
    }
    memcpy(padded + alignment, value->text, value->size);
    base64((unsigned char *)padded, padded_size, digits);
    size_t first = (alignment * 8 + 5) / 6, last = padded_size * 8 / 6; /* whole digits of the value alone */
    explicit_bzero(padded, padded_size);
    qn_free(padded);
    if (last < first + SHORTEST) {
        qn_free(digits);
        return 0;
    }
    memmove(digits, digits + first, last - first);
    *out = (struct form){digits, last - first};
    return 0;
}

static bool unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;
}

/* Percent-encoded; space as '+' where plus is set. Equal to the value: no form of its own. */
static int percent_form(const struct form *value, const char *hex, bool plus, struct form *out)
{
    char *text = qn_malloc(value->size * 3 + 1);
    if (!text) return QN_ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < value->size; i++) {
        unsigned char c = (unsigned char)value->text[i];
        if (c != 0 && unreserved(c)) {
            text[used++] = (char)c;
        } else if (plus && c == ' ') {
            text[used++] = '+';
        } else {
            text[used++] = '%';
            text[used++] = hex[c >> 4];
            text[used++] = hex[c & 15];
        }
    }
    *out = (struct form){text, used};
    if (used == value->size && memcmp(text, value->text, used) == 0) wipe(out);
    return 0;
}

static int make_forms(struct qn_secret *secret)
{
    const struct form *value = &secret->value;
    if (value->size < SHORTEST) return 0;
    secret->forms[0] = (struct form){qn_strndup(value->text, value->size), value->size};
    int rc = secret->forms[0].text ? 0 : QN_ENOMEM;
    for (unsigned alignment = 0; rc == 0 && alignment < 3; alignment++) {
        rc = base64_form(value, alignment, &secret->forms[1 + alignment]);
    }
    if (rc == 0) rc = percent_form(value, "0123456789ABCDEF", false, &secret->forms[4]);
    if (rc == 0) rc = percent_form(value, "0123456789abcdef", false, &secret->forms[5]);
    if (rc == 0) rc = percent_form(value, "0123456789ABCDEF", true, &secret->forms[6]);
    return rc;
}

static void release(struct qn_secret *secret)
{
    for (int i = 0; i < FORMS; i++) wipe(&secret->forms[i]);
    wipe(&secret->value);
    qn_free(secret);
}

/* Takes text (wiped and freed on failure too). */
static struct qn_secret *adopt(char *text, size_t size)
{
    if (!text) return NULL;
    struct qn_secret *secret = qn_calloc(1, sizeof *secret);
    struct form value = {text, size};
    if (!secret) {
        wipe(&value);
        return NULL;
    }
    atomic_init(&secret->refs, 1);
    secret->value = value;
    if (make_forms(secret) < 0) {
        release(secret);
        return NULL;
    }
    pthread_mutex_lock(&lock);
    secret->next = registered;
    if (registered) registered->prev = secret;
    registered = secret;
    pthread_mutex_unlock(&lock);
    return secret;
}

struct qn_secret *qn_secret_new(const char *value, size_t size)
{
    return adopt(qn_strndup(value, size), size);
}

struct qn_secret *qn_secret_ref(struct qn_secret *secret)
{
    atomic_fetch_add_explicit(&secret->refs, 1, memory_order_relaxed);
    return secret;
}

void qn_secret_unref(struct qn_secret *secret)
{
    if (!secret || atomic_fetch_sub_explicit(&secret->refs, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_lock(&lock);
    if (secret->prev) secret->prev->next = secret->next;
    else registered = secret->next;
    if (secret->next) secret->next->prev = secret->prev;
    pthread_mutex_unlock(&lock);
    release(secret);
}

const char *qn_secret_value(const struct qn_secret *secret, size_t *size)
{
    *size = secret->value.size;
    return secret->value.text;
}

struct qn_secret *qn_secret_concat(const char *prefix, size_t prefix_size, const struct qn_secret *secret,
                                   const char *suffix, size_t suffix_size)
{
    size_t size = prefix_size + secret->value.size + suffix_size;
    char *text = qn_malloc(size + 1);
    if (!text) return NULL;
    if (prefix_size) memcpy(text, prefix, prefix_size);
    memcpy(text + prefix_size, secret->value.text, secret->value.size);
    if (suffix_size) memcpy(text + prefix_size + secret->value.size, suffix, suffix_size);
    text[size] = '\0';
    return adopt(text, size);
}

struct qn_secret *qn_secret_basic(const struct qn_secret *secret, const char *user, size_t user_size)
{
    size_t size = user_size + 1 + secret->value.size;
    struct form pair = {qn_malloc(size), size};
    char *text = qn_malloc(size / 3 * 4 + 8);
    if (!pair.text || !text) {
        wipe(&pair);
        qn_free(text);
        return NULL;
    }
    if (user_size) memcpy(pair.text, user, user_size);
    pair.text[user_size] = ':';
    memcpy(pair.text + user_size + 1, secret->value.text, secret->value.size);
    size_t used = base64((unsigned char *)pair.text, size, text);
    wipe(&pair);
    text[used] = '\0';
    return adopt(text, used);
}

struct qn_secret *qn_secret_form(const struct qn_secret *secret)
{
    struct form encoded = {0};
    if (percent_form(&secret->value, "0123456789ABCDEF", true, &encoded) < 0) return NULL;
    if (!encoded.text) return qn_secret_new(secret->value.text, secret->value.size);
    char *text = qn_strndup(encoded.text, encoded.size);
    size_t size = encoded.size;
    wipe(&encoded);
    return adopt(text, size);
}

/* The longest form that stands at the beginning of text; 0 if none. Under lock. */
static size_t match_at(const char *text, size_t size)
{
    size_t longest = 0;
    for (const struct qn_secret *s = registered; s; s = s->next) {
        for (int i = 0; i < FORMS; i++) {
            const struct form *form = &s->forms[i];
            if (form->text && form->size > longest && form->size <= size && form->text[0] == text[0] &&
                memcmp(form->text, text, form->size) == 0) {
                longest = form->size;
            }
        }
    }
    return longest;
}

int qn_redact(struct qn_buf *out, const char *text, size_t size)
{
    static const char mark[] = "[redacted]";
    int rc = 0;
    size_t start = 0;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; rc == 0 && registered && i < size;) {
        size_t found = match_at(text + i, size - i);
        if (!found) {
            i++;
            continue;
        }
        rc = qn_buf_add(out, text + start, i - start);
        if (rc == 0) rc = qn_buf_add(out, mark, sizeof mark - 1);
        start = i += found;
    }
    pthread_mutex_unlock(&lock);
    return rc == 0 ? qn_buf_add(out, text + start, size - start) : rc;
}

bool qn_secret_found(const char *text, size_t size)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; !found && registered && i < size; i++) found = match_at(text + i, size - i) > 0;
    pthread_mutex_unlock(&lock);
    return found;
}
