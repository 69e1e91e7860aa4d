/* retry.c - see retry.h. */
#include "net/retry.h"

#include <string.h>
#include <strings.h>

enum { MOST_UNAUTHORIZED = 3, MOST_GATEWAY_TIMEOUTS = 2 };

void qn_retry_policy_init(struct qn_retry_policy *policy)
{
    *policy = (struct qn_retry_policy){.base_ms = 1000, .cap_ms = 60000, .attempts = 6, .elapsed_ms = 900000,
                                       .max_wait_ms = 180000, .unavailable_ms = 30000, .jitter = true};
}

void qn_retry_begin(struct qn_retry *retry, uint64_t now_ms)
{
    if (retry->begun) return;
    retry->begun = true;
    retry->started_ms = now_ms;
}

static struct qn_verdict fail(const char *why)
{
    return (struct qn_verdict){.action = QN_ACTION_FAIL, .why = why};
}

static struct qn_verdict end(int exit_status)
{
    return (struct qn_verdict){.action = QN_ACTION_END, .exit = exit_status};
}

static struct qn_verdict wait_for(const struct qn_retry *retry, const struct qn_retry_policy *policy, uint64_t wait_ms, bool shared,
                                  uint64_t now_ms)
{
    if (now_ms - retry->started_ms + wait_ms > policy->elapsed_ms) return fail("the time for one request is used up");
    return (struct qn_verdict){.action = QN_ACTION_WAIT, .wait_ms = wait_ms, .shared = shared};
}

/* Full jitter: anything from 0 to the exponential bound. */
static uint64_t backoff_ms(const struct qn_retry_policy *policy, unsigned failures, double chance)
{
    uint64_t bound = policy->base_ms;
    for (unsigned i = 1; i < failures && bound < policy->cap_ms; i++) bound *= 2;
    if (bound > policy->cap_ms) bound = policy->cap_ms;
    return policy->jitter ? (uint64_t)((double)bound * chance) : bound;
}

static struct qn_verdict back_off(struct qn_retry *retry, const struct qn_retry_policy *policy, const struct qn_attempt *attempt,
                                  uint64_t now_ms)
{
    if (!attempt->safe && !attempt->never_sent) return fail("it must not be sent twice");
    if (++retry->attempts >= policy->attempts) return fail("all attempts are used up");
    return wait_for(retry, policy, backoff_ms(policy, retry->attempts, attempt->chance), false, now_ms);
}

/* 429 and 503: the server says when, or we wait at least `least`. */
static struct qn_verdict obey(const struct qn_retry *retry, const struct qn_retry_policy *policy, uint64_t wait_ms, bool shared,
                              uint64_t now_ms)
{
    if (wait_ms > policy->max_wait_ms) return (struct qn_verdict){.action = QN_ACTION_DEFER, .why = "it asks for a longer wait than allowed"};
    return wait_for(retry, policy, wait_ms, shared, now_ms);
}

/* Without a usable Retry-After a 429 backs off by how often it came, without using attempts. */
static struct qn_verdict too_many(struct qn_retry *retry, const struct qn_retry_policy *policy, const struct qn_attempt *attempt,
                                  uint64_t now_ms)
{
    uint64_t wait_ms = attempt->retry_after_ms >= 0 ? (uint64_t)attempt->retry_after_ms : 0;
    if (attempt->retry_after_ms < 0) wait_ms = backoff_ms(policy, ++retry->throttled, attempt->chance);
    return obey(retry, policy, wait_ms, true, now_ms);
}

static struct qn_verdict unavailable(const struct qn_retry *retry, const struct qn_retry_policy *policy,
                                     const struct qn_attempt *attempt, uint64_t now_ms)
{
    uint64_t wait_ms = policy->unavailable_ms;
    if (attempt->retry_after_ms > (int64_t)wait_ms) wait_ms = (uint64_t)attempt->retry_after_ms;
    return obey(retry, policy, wait_ms, false, now_ms);
}

static struct qn_verdict decide_status(struct qn_retry *retry, const struct qn_retry_policy *policy, const struct qn_attempt *attempt,
                                       uint64_t now_ms)
{
    switch (attempt->status) {
    case 204: case 408: case 425: case 500: case 502:
        return back_off(retry, policy, attempt, now_ms);
    case 429: return too_many(retry, policy, attempt, now_ms);
    case 503: return unavailable(retry, policy, attempt, now_ms);
    case 504:
        if (++retry->gateway_timeouts > MOST_GATEWAY_TIMEOUTS) return (struct qn_verdict){.action = QN_ACTION_SPLIT};
        return back_off(retry, policy, attempt, now_ms);
    case 401:
        if (++retry->unauthorized >= MOST_UNAUTHORIZED) return end(4);
        return (struct qn_verdict){.action = QN_ACTION_AUTH};
    case 403: return end(4);
    case 400: return attempt->about_size ? (struct qn_verdict){.action = QN_ACTION_SPLIT} : end(5);
    case 413: return (struct qn_verdict){.action = QN_ACTION_SPLIT};
    default:
        if (attempt->status > 504) return back_off(retry, policy, attempt, now_ms); /* 5xx that gateways invent: passing faults */
        return fail(NULL);
    }
}

struct qn_verdict qn_retry_decide(struct qn_retry *retry, const struct qn_retry_policy *policy, const struct qn_attempt *attempt,
                                  uint64_t now_ms)
{
    qn_retry_begin(retry, now_ms);
    switch (attempt->outcome) {
    case QN_OUTCOME_NETWORK: case QN_OUTCOME_BODY: return back_off(retry, policy, attempt, now_ms);
    case QN_OUTCOME_TOO_LARGE: return (struct qn_verdict){.action = QN_ACTION_SPLIT};
    case QN_OUTCOME_TLS: case QN_OUTCOME_DENIED: return end(1);
    case QN_OUTCOME_STATUS: break;
    }
    return decide_status(retry, policy, attempt, now_ms);
}

static bool holds(const char *text, size_t size, const char *word)
{
    size_t length = strlen(word);
    for (size_t i = 0; i + length <= size; i++) {
        if (!strncasecmp(text + i, word, length)) return true;
    }
    return false;
}

bool qn_retry_about_size(const char *message, size_t size)
{
    static const char *const things[] = {"result", "range", "interval", "window", "pagination", NULL};
    static const char *const excesses[] = {"too large", "too big", "too many", "too long", "exceed", "greater than", "maximum", NULL};
    bool thing = false, excess = false;
    for (int i = 0; things[i]; i++) thing = thing || holds(message, size, things[i]);
    for (int i = 0; excesses[i]; i++) excess = excess || holds(message, size, excesses[i]);
    return thing && excess;
}

bool qn_breaker_note(struct qn_breaker *breaker, bool unavailable_now, uint64_t open_after_ms, uint64_t now_ms)
{
    if (!unavailable_now) {
        breaker->unavailable = false;
    } else if (!breaker->unavailable) {
        breaker->unavailable = true;
        breaker->since_ms = now_ms;
    } else if (now_ms - breaker->since_ms >= open_after_ms) {
        breaker->open = true;
    }
    return breaker->open;
}
