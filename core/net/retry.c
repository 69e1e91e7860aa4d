/* retry.c - see retry.h. */
#include "net/retry.h"

#include <string.h>
#include <strings.h>

enum { MOST_UNAUTHORIZED = 3, MOST_GATEWAY_TIMEOUTS = 2 };

void qn_retry_policy_init(struct qn_retry_policy *policy)
{
    *policy = (struct qn_retry_policy){.base_ms = 1000,
                                       .cap_ms = 60000,
                                       .attempts = 6,
                                       .elapsed_ms = 900000,
                                       .max_wait_ms = 180000,
                                       .unavailable_ms = 30000,
                                       .jitter = true};
}

void qn_retry_begin(struct qn_retry *retry, uint64_t now_ms)
{
    if (retry->begun) return;
    retry->begun = true;
    retry->started_ms = now_ms;
}

static struct qn_verdict end(int exit_status)
{
    return (struct qn_verdict){.action = QN_ACTION_END, .exit = exit_status};
}

static struct qn_verdict verdict(enum qn_action action, const char *why)
{
    return (struct qn_verdict){.action = action, .why = why};
}

static bool time_is_used_up(const struct qn_retry *retry, const struct qn_retry_policy *policy, uint64_t wait_ms,
                            uint64_t now_ms)
{
    return now_ms - retry->started_ms + wait_ms > policy->elapsed_ms;
}

/* Full jitter: anything from 0 to the exponential bound. */
static uint64_t backoff_ms(const struct qn_retry_policy *policy, unsigned failures, double chance)
{
    uint64_t bound = policy->base_ms;
    for (unsigned i = 1; i < failures && bound < policy->cap_ms; i++) bound *= 2;
    if (bound > policy->cap_ms) bound = policy->cap_ms;
    return policy->jitter ? (uint64_t)((double)bound * chance) : bound;
}

static struct qn_verdict back_off(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                  const struct qn_attempt *attempt, uint64_t now_ms)
{
    if (++retry->attempts >= policy->attempts) return verdict(QN_ACTION_FAIL, "all attempts are used up");
    uint64_t wait_ms = backoff_ms(policy, retry->attempts, attempt->chance);
    if (time_is_used_up(retry, policy, wait_ms, now_ms))
        return verdict(QN_ACTION_FAIL, "the time for one request is used up");
    return (struct qn_verdict){.action = QN_ACTION_WAIT, .wait_ms = wait_ms};
}

/* 429 and 503: the API says "later", so what cannot wait that long is deferred. */
static struct qn_verdict wait_or_defer(const struct qn_retry *retry, const struct qn_retry_policy *policy,
                                       uint64_t wait_ms, bool shared, uint64_t now_ms)
{
    if (time_is_used_up(retry, policy, wait_ms, now_ms))
        return verdict(QN_ACTION_DEFER, "the time for one request is used up");
    return (struct qn_verdict){.action = QN_ACTION_WAIT, .wait_ms = wait_ms, .shared = shared};
}

/* Without a usable Retry-After a 429 backs off by how often it came. "Retry-After: 0" is obeyed once; a server that
 * repeats it would be asked in a tight loop, so from then on it counts as absent. */
static struct qn_verdict too_many(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                  const struct qn_attempt *attempt, uint64_t now_ms)
{
    retry->throttled++;
    bool usable = attempt->retry_after_ms > 0 || (attempt->retry_after_ms == 0 && retry->throttled == 1);
    if (!usable)
        return wait_or_defer(retry, policy, backoff_ms(policy, retry->throttled, attempt->chance), true, now_ms);
    uint64_t wait_ms = (uint64_t)attempt->retry_after_ms;
    if (wait_ms > policy->max_wait_ms) return verdict(QN_ACTION_DEFER, "it asks for a longer wait than max_wait");
    return wait_or_defer(retry, policy, wait_ms, true, now_ms);
}

static struct qn_verdict unavailable(const struct qn_retry *retry, const struct qn_retry_policy *policy,
                                     const struct qn_attempt *attempt, uint64_t now_ms)
{
    uint64_t wait_ms = policy->unavailable_ms;
    if (attempt->retry_after_ms > (int64_t)wait_ms) wait_ms = (uint64_t)attempt->retry_after_ms;
    return wait_or_defer(retry, policy, wait_ms, false, now_ms);
}

static struct qn_verdict gateway_timeout(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                         const struct qn_attempt *attempt, uint64_t now_ms)
{
    if (++retry->gateway_timeouts > MOST_GATEWAY_TIMEOUTS) return verdict(QN_ACTION_SPLIT, "three times");
    return back_off(retry, policy, attempt, now_ms);
}

static struct qn_verdict bad_request(const struct qn_attempt *attempt)
{
    if (attempt->about_size) return verdict(QN_ACTION_SPLIT, NULL);
    return attempt->about_cursor ? verdict(QN_ACTION_RESTART, NULL) : end(5);
}

static struct qn_verdict unauthorized(struct qn_retry *retry, const struct qn_attempt *attempt)
{
    if (attempt->stale_token) return verdict(QN_ACTION_AUTH, NULL);
    return ++retry->unauthorized >= MOST_UNAUTHORIZED ? end(4) : verdict(QN_ACTION_AUTH, NULL);
}

static struct qn_verdict decide_status(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                       const struct qn_attempt *attempt, uint64_t now_ms)
{
    switch (attempt->status) {
    case 204:
    case 408:
    case 425:
    case 500:
    case 502: return back_off(retry, policy, attempt, now_ms);
    case 429: return too_many(retry, policy, attempt, now_ms);
    case 503: return unavailable(retry, policy, attempt, now_ms);
    case 504: return gateway_timeout(retry, policy, attempt, now_ms);
    case 401: return unauthorized(retry, attempt);
    case 403: return end(4);
    case 400: return bad_request(attempt);
    case 413: return verdict(QN_ACTION_SPLIT, NULL);
    default:
        if (attempt->status > 504)
            return back_off(retry, policy, attempt, now_ms); /* what gateways invent: passing faults */
        return verdict(QN_ACTION_FAIL, NULL);
    }
}

static struct qn_verdict decide(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                const struct qn_attempt *attempt, uint64_t now_ms)
{
    switch (attempt->outcome) {
    case QN_OUTCOME_NETWORK:
    case QN_OUTCOME_BODY: return back_off(retry, policy, attempt, now_ms);
    case QN_OUTCOME_TOO_LARGE: return verdict(QN_ACTION_SPLIT, NULL);
    case QN_OUTCOME_TLS:
    case QN_OUTCOME_DENIED: return end(1);
    case QN_OUTCOME_STATUS: break;
    }
    return decide_status(retry, policy, attempt, now_ms);
}

/* The server answered that it did not take the request up. */
static bool refused(const struct qn_attempt *attempt)
{
    static const int statuses[] = {401, 408, 425, 429, 503};
    if (attempt->outcome != QN_OUTCOME_STATUS) return false;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        if (attempt->status == statuses[i]) return true;
    }
    return false;
}

struct qn_verdict qn_retry_decide(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                  const struct qn_attempt *attempt, uint64_t now_ms)
{
    qn_retry_begin(retry, now_ms);
    struct qn_verdict result = decide(retry, policy, attempt, now_ms);
    bool repeats = result.action == QN_ACTION_WAIT || result.action == QN_ACTION_AUTH;
    if (repeats && !attempt->safe && !attempt->never_sent && !refused(attempt))
        return verdict(QN_ACTION_FAIL, "it must not be sent twice");
    return result;
}

static bool holds(const char *text, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= size; i++) {
        if (!strncasecmp(text + i, word, length)) return true;
    }
    return false;
}

static bool holds_one_of(const char *text, size_t size, const char *const *words)
{
    for (; *words; words++) {
        if (holds(text, size, *words)) return true;
    }
    return false;
}

bool qn_retry_about_size(const char *message, size_t size)
{
    static const char *const things[] = {"result", "range",  "interval",   "response",
                                         "period", "window", "pagination", NULL};
    static const char *const excesses[] = {"too large", "too big",     "too many",    "too long", "too wide",
                                           "exceed",    "larger than", "longer than", "maximum",  NULL};
    static const char *const others[] = {"page size", "pagesize", "page_size", NULL};
    return holds_one_of(message, size, things) && holds_one_of(message, size, excesses) &&
           !holds_one_of(message, size, others);
}

bool qn_retry_about_cursor(const char *message, size_t size)
{
    static const char *const things[] = {"cursor", "page token", "pagetoken", "page_token", "scroll", NULL};
    static const char *const ends[] = {"expire", "no longer", "stale", "timed out", "invalid", "not valid", NULL};
    return holds_one_of(message, size, things) && holds_one_of(message, size, ends);
}

void qn_breaker_note(struct qn_breaker *breaker, bool unavailable_now, uint64_t now_ms)
{
    if (unavailable_now && !breaker->unavailable) breaker->since_ms = now_ms;
    breaker->unavailable = unavailable_now;
}

uint64_t qn_breaker_left(const struct qn_breaker *breaker, uint64_t now_ms)
{
    if (breaker->open) return 0;
    if (!breaker->unavailable) return UINT64_MAX;
    uint64_t passed = now_ms - breaker->since_ms;
    return passed < breaker->open_after_ms ? breaker->open_after_ms - passed : 0;
}

bool qn_breaker_open(struct qn_breaker *breaker, uint64_t now_ms)
{
    if (qn_breaker_left(breaker, now_ms) == 0) breaker->open = true;
    return breaker->open;
}
