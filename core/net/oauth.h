/* oauth.h - the life of one token: who fetches it, when it is renewed, what a 401 means. Pure: told the time.
 *
 * Tokens have generations, from 1. One asker is told to fetch; meanwhile the others use the old token while it lasts,
 * or wait. A token is renewed before it expires, at the smaller of 60 s and a tenth of its life. A zeroed struct is a
 * good one. Embedded by its owner; one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct qn_oauth {
    uint64_t generation; /* of the token held; 0: none yet */
    bool held;           /* the token may be used, until expires_at_ms */
    bool fetching;
    bool accepted;        /* an API answer has accepted this generation */
    bool dropped;         /* a 401 ended the last generation */
    bool replacement;     /* ... and this one was fetched for that */
    bool proven;          /* some generation was accepted: the credentials are good */
    unsigned refusals;    /* replacements refused before they were accepted, with no answer between that accepted any */
    uint64_t renew_at_ms; /* monotonic */
    uint64_t expires_at_ms;
};

enum qn_oauth_need { QN_OAUTH_HAVE, QN_OAUTH_FETCH, QN_OAUTH_WAIT };

/* FETCH: the caller fetches, and reports fetched or failed. */
enum qn_oauth_need qn_oauth_ask(struct qn_oauth *oauth, uint64_t now_ms);
#define QN_OAUTH_UNSAID INT64_MIN
/* expires_in_s: as the server said, or QN_OAUTH_UNSAID (1 h). Clamped to 0 ... 48 h. since_ms: when the token request
 * was sent, so that the token's life is never thought longer than the server's. */
void qn_oauth_fetched(struct qn_oauth *oauth, int64_t expires_in_s, uint64_t since_ms);
void qn_oauth_failed(struct qn_oauth *oauth);
void qn_oauth_accepted(struct qn_oauth *oauth, uint64_t generation);
/* False: that token was dropped or replaced meanwhile; a 401 for it tells nothing new. */
bool qn_oauth_holds(const struct qn_oauth *oauth, uint64_t generation);

enum qn_oauth_refusal { QN_OAUTH_REPLAY, QN_OAUTH_DENIED };
/* A 401 for a request sent with `generation`. REPLAY: ask again (the token of an older generation has been replaced, or
 * this one is dropped now, and one asker fetches for all). DENIED: the token that replaced a refused one was itself
 * refused before it was ever accepted; where an earlier generation was accepted, three such replacements with no
 * accepted answer between. */
enum qn_oauth_refusal qn_oauth_refused(struct qn_oauth *oauth, uint64_t generation);
