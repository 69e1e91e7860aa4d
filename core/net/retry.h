/* retry.h - the failure table: what is to be done after an attempt that did not succeed. Pure: told the time and the
 * chance.
 *
 * | what happened | verdict |
 * | --- | --- |
 * | network fault, broken body, 204, 408, 425, 500, 502, 5xx of gateways | WAIT, full-jitter exponential backoff,
 * `attempts`, `elapsed_ms` | | 429 | WAIT as Retry-After says, shared by all under the limit; no attempt is used; above
 * `max_wait_ms` DEFER | | 503 | WAIT max(`unavailable_ms`, Retry-After); no attempt is used; the circuit (below) ends
 * it | | 504 | two retries by backoff, then SPLIT | | 401 | AUTH (oauth.h decides); the third for one request END 4 |
 * | 403 | END 4 |
 * | 400 | END 5; about the size of the result or range: SPLIT; about an expired cursor: RESTART |
 * | 413, answer over the size cap | SPLIT |
 * | any other 4xx, 501, 3xx | FAIL at once |
 * | certificate, protocol, refused by a rule of ours | END 1 |
 *
 * 429 and 503 mean "later": when the time for the request is used up by them, the verdict is DEFER, not FAIL. A request
 * that must not be repeated (`safe` false) is repeated only if it surely never arrived, or was refused: 401, 408, 425,
 * 429, 503. Embedded by its owner; any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qn_retry_policy {
    uint64_t base_ms;        /* first backoff is at most this; it doubles */
    uint64_t cap_ms;         /* ... up to this */
    unsigned attempts;       /* with the first one */
    uint64_t elapsed_ms;     /* a request's retries end this long after its first attempt */
    uint64_t max_wait_ms;    /* a longer Retry-After of a 429 defers */
    uint64_t unavailable_ms; /* least wait after a 503 */
    bool jitter;             /* false: the whole backoff, for tests */
};

/* 1 s, 60 s, 6, 15 min, 180 s, 30 s, true. */
void qn_retry_policy_init(struct qn_retry_policy *policy);

struct qn_retry { /* one request; zero at the start */
    bool begun;
    uint64_t started_ms;
    unsigned attempts;         /* that count: failed ones which used an attempt */
    unsigned throttled;        /* answers 429 */
    unsigned unauthorized;     /* answers 401 to a token that was held */
    unsigned gateway_timeouts; /* answers 504 */
};

enum qn_outcome {
    QN_OUTCOME_STATUS,
    QN_OUTCOME_NETWORK,
    QN_OUTCOME_BODY,
    QN_OUTCOME_TOO_LARGE,
    QN_OUTCOME_TLS,
    QN_OUTCOME_DENIED
};

struct qn_attempt {
    enum qn_outcome outcome;
    int status;             /* for QN_OUTCOME_STATUS */
    int64_t retry_after_ms; /* -1: absent or nonsense */
    bool safe;              /* may be repeated */
    bool never_sent;        /* surely never reached the server */
    bool about_size;        /* 400 whose message says that the result or the range is too large */
    bool about_cursor;      /* 400 whose message says that the cursor is no longer good */
    bool stale_token;       /* 401 for a token that was dropped while this one was under way: no news of this request */
    double chance;          /* [0, 1) */
};

enum qn_action {
    QN_ACTION_WAIT,
    QN_ACTION_AUTH,
    QN_ACTION_SPLIT,
    QN_ACTION_RESTART,
    QN_ACTION_FAIL,
    QN_ACTION_DEFER,
    QN_ACTION_END
};

struct qn_verdict {
    enum qn_action action;
    uint64_t wait_ms; /* WAIT */
    bool shared;      /* WAIT: all who share the limit wait */
    int exit;         /* END: the run's exit status */
    const char *why;  /* FAIL, DEFER, SPLIT: which bound ended it; static; NULL: the answer itself */
};

void qn_retry_begin(struct qn_retry *retry, uint64_t now_ms); /* before the first attempt; again does nothing */
struct qn_verdict qn_retry_decide(struct qn_retry *retry, const struct qn_retry_policy *policy,
                                  const struct qn_attempt *attempt, uint64_t now_ms);
/* Does an error message say that the result or the range asked for is too large? It must name a thing (result, range,
 * interval, ...) and an excess (too large, exceeds, ...); a page size that is too large is a mistake in the query,
 * which no split mends. English words of known APIs; letter case does not matter. */
bool qn_retry_about_size(const char *message, size_t size);
/* Does it say that a cursor or page token has expired? */
bool qn_retry_about_cursor(const char *message, size_t size);

/* The circuit: after `open_after_ms` of nothing but 503 it opens, for good. Zero-initialised but for open_after_ms. */
struct qn_breaker {
    uint64_t open_after_ms;
    bool unavailable; /* nothing but 503 since since_ms */
    uint64_t since_ms;
    bool open;
};
/* One more outcome of any request of the run. */
void qn_breaker_note(struct qn_breaker *breaker, bool unavailable, uint64_t now_ms);
/* True once the circuit is open. Ask before sending, and after qn_breaker_left has passed. */
bool qn_breaker_open(struct qn_breaker *breaker, uint64_t now_ms);
/* Milliseconds until it opens if nothing else comes; UINT64_MAX: it is not about to. */
uint64_t qn_breaker_left(const struct qn_breaker *breaker, uint64_t now_ms);
