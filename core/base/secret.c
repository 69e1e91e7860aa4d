/* secret.c - see secret.h. Each secret registers the texts that would give it away; qn_redact looks for all of them,
 * in every way a URL or JSON may spell them. */
#include "base/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define SHORTEST 4 /* shorter values would redact half of every text */
#define FORMS    4 /* raw, and base64 at three alignments */

struct form {
    char *text;
    size_t size;
};

struct qn_secret {
    atomic_size_t refs;
    struct form value;
    struct form forms[FORMS]; /* what is searched for; text NULL where there is none */
    struct qn_secret *origin; /* what it was made of: known as long as this lives */
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
        unsigned word =
            (unsigned)data[i] << 16 | (left > 1 ? (unsigned)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0u);
        out[used++] = base64_digits[word >> 18];
        out[used++] = base64_digits[word >> 12 & 63];
        out[used++] = left > 1 ? base64_digits[word >> 6 & 63] : '=';
        out[used++] = left > 2 ? base64_digits[word & 63] : '=';
    }
    return used;
}

/* The base64 digits that every text holding the value at this alignment shows: those at the edges mix with neighbours.
 */
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
    size_t used = base64((unsigned char *)padded, padded_size, digits);
    size_t first = (alignment * 8 + 5) / 6, last = padded_size * 8 / 6; /* whole digits of the value alone */
    explicit_bzero(padded, padded_size);
    qn_free(padded);
    memmove(digits, digits + first, last - first);
    explicit_bzero(digits + (last - first), used - (last - first));
    *out = (struct form){digits, last - first};
    return 0;
}

static bool unreserved(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("-._~", c) != NULL;
}

/* application/x-www-form-urlencoded */
static int encode_form(const struct form *value, struct form *out)
{
    static const char hex[] = "0123456789ABCDEF";
    char *text = qn_malloc(value->size * 3 + 1);
    if (!text) return QN_ENOMEM;
    size_t used = 0;
    for (size_t i = 0; i < value->size; i++) {
        unsigned char c = (unsigned char)value->text[i];
        if (c != 0 && unreserved(c)) {
            text[used++] = (char)c;
        } else if (c == ' ') {
            text[used++] = '+';
        } else {
            text[used++] = '%';
            text[used++] = hex[c >> 4];
            text[used++] = hex[c & 15];
        }
    }
    *out = (struct form){text, used};
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
    return rc;
}

static void release(struct qn_secret *secret)
{
    for (int i = 0; i < FORMS; i++) wipe(&secret->forms[i]);
    wipe(&secret->value);
    qn_free(secret);
}

/* Takes text (wiped and freed on failure too). origin may be NULL. */
static struct qn_secret *adopt(char *text, size_t size, const struct qn_secret *origin)
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
    if (origin) secret->origin = qn_secret_ref((struct qn_secret *)origin); /* const is the value, not the count */
    pthread_mutex_lock(&lock);
    secret->next = registered;
    if (registered) registered->prev = secret;
    registered = secret;
    pthread_mutex_unlock(&lock);
    return secret;
}

struct qn_secret *qn_secret_new(const char *value, size_t size)
{
    return adopt(qn_strndup(value, size), size, NULL);
}

struct qn_secret *qn_secret_ref(struct qn_secret *secret)
{
    atomic_fetch_add_explicit(&secret->refs, 1, memory_order_relaxed);
    return secret;
}

static void unregister(struct qn_secret *secret)
{
    pthread_mutex_lock(&lock);
    if (secret->prev)
        secret->prev->next = secret->next;
    else
        registered = secret->next;
    if (secret->next) secret->next->prev = secret->prev;
    pthread_mutex_unlock(&lock);
}

void qn_secret_unref(struct qn_secret *secret)
{
    while (secret && atomic_fetch_sub_explicit(&secret->refs, 1, memory_order_acq_rel) == 1) {
        struct qn_secret *origin = secret->origin;
        unregister(secret);
        release(secret);
        secret = origin;
    }
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
    return adopt(text, size, secret);
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
    return adopt(text, used, secret);
}

struct qn_secret *qn_secret_form(const struct qn_secret *secret)
{
    struct form encoded;
    if (encode_form(&secret->value, &encoded) < 0) return NULL;
    return adopt(encoded.text, encoded.size, secret);
}

/* ---- looking for them ---- */

enum spelling { PLAIN, IN_URL, IN_JSON };

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* The number of `digits` hexadecimal digits; -1 if they are none. */
static int hex_number(const char *text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        int digit = hex_value(text[i]);
        if (digit < 0) return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* How many bytes of text spell this byte in JSON by an escape; 0: none. */
static size_t json_escape(const char *text, size_t size, unsigned char byte)
{
    static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (size >= 6 && text[1] == 'u') return byte < 0x80 && hex_number(text + 2, 4) == byte ? 6 : 0;
    const char *letter = size >= 2 ? memchr(letters, text[1], sizeof letters - 1) : NULL;
    return letter && (unsigned char)meant[letter - letters] == byte ? 2 : 0;
}

/* How many bytes at the beginning of text spell this byte; 0: they do not. */
static size_t spelled(const char *text, size_t size, unsigned char byte, enum spelling spelling)
{
    if (size == 0) return 0;
    if (spelling == IN_URL && text[0] == '%' && size >= 3) {
        int value = hex_number(text + 1, 2);
        if (value >= 0) return value == byte ? 3 : 0;
    }
    if (spelling == IN_URL && text[0] == '+' && byte == ' ') return 1;
    if (spelling == IN_URL && ((text[0] == '-' && byte == '+') || (text[0] == '_' && byte == '/')))
        return 1; /* base64url */
    if (spelling == IN_JSON && text[0] == '\\') return json_escape(text, size, byte);
    return (unsigned char)text[0] == byte;
}

static size_t form_at(const struct form *form, const char *text, size_t size, enum spelling spelling)
{
    size_t used = 0;
    for (size_t i = 0; i < form->size; i++) {
        size_t n = spelled(text + used, size - used, (unsigned char)form->text[i], spelling);
        if (n == 0) return 0;
        used += n;
    }
    return used;
}

/* The longest text that stands here and spells a form; 0 if none. Under lock. */
static size_t match_at(const char *text, size_t size)
{
    size_t longest = 0;
    for (const struct qn_secret *s = registered; s; s = s->next) {
        for (int i = 0; i < FORMS && s->forms[i].text; i++) {
            if (text[0] != s->forms[i].text[0] && !strchr("%\\+-_", text[0])) continue; /* most bytes end here */
            for (enum spelling spelling = PLAIN; spelling <= IN_JSON; spelling++) {
                size_t found = form_at(&s->forms[i], text, size, spelling);
                if (found > longest) longest = found;
            }
        }
    }
    return longest;
}

int qn_redact(struct qn_buf *out, const char *text, size_t size)
{
    if (size == 0) return 0; /* text may be NULL */
    static const char mark[] = "[redacted]";
    int rc = 0;
    size_t before = out->size, end = 0; /* end: of what is copied or redacted */
    pthread_mutex_lock(&lock);
    for (size_t i = 0; rc == 0 && registered && i < size; i++) {
        size_t found = match_at(text + i, size - i);
        if (!found) continue;
        if (i >= end) { /* what overlaps the last one shares its mark */
            rc = qn_buf_add(out, text + end, i - end);
            if (rc == 0) rc = qn_buf_add(out, mark, sizeof mark - 1);
        }
        if (i + found > end) end = i + found;
    }
    pthread_mutex_unlock(&lock);
    if (rc == 0) rc = qn_buf_add(out, text + end, size - end);
    if (rc < 0) out->size = before;
    return rc;
}

bool qn_secret_found(const char *text, size_t size)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; !found && registered && i < size; i++) found = match_at(text + i, size - i) > 0;
    pthread_mutex_unlock(&lock);
    return found;
}
