/* oauth.h - the life of one token: who fetches it, when it is renewed, what a 401 means. Pure: told the time.
 *
 * Tokens have generations, from 1. One asker is told to fetch, the others wait. A token is renewed before it expires, at
 * the smaller of 60 s and a tenth of its life. Embedded by its owner; one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct qn_oauth {
    uint64_t generation;  /* of the token held; 0: none yet */
    bool held;            /* the token may be used */
    bool fetching;
    bool accepted;        /* an API answer has accepted this generation */
    uint64_t renew_at_ms; /* monotonic */
};

enum qn_oauth_need { QN_OAUTH_HAVE, QN_OAUTH_FETCH, QN_OAUTH_WAIT };

/* FETCH: the caller fetches, and reports fetched or failed. */
enum qn_oauth_need qn_oauth_ask(struct qn_oauth *oauth, uint64_t now_ms);
/* expires_in_s: as the server said, negative: it did not (1 h). Clamped to 0 ... 48 h. */
void qn_oauth_fetched(struct qn_oauth *oauth, int64_t expires_in_s, uint64_t now_ms);
void qn_oauth_failed(struct qn_oauth *oauth);
void qn_oauth_accepted(struct qn_oauth *oauth, uint64_t generation);

enum qn_oauth_refusal { QN_OAUTH_REPLAY, QN_OAUTH_DENIED };
/* A 401 for a request sent with `generation`. REPLAY: ask again (the token of an older generation has been replaced, or this
 * one is dropped now). DENIED: a new token was refused before it was ever accepted. */
enum qn_oauth_refusal qn_oauth_refused(struct qn_oauth *oauth, uint64_t generation);
