/* oauth.c - see oauth.h. */
#include "net/oauth.h"

#define HOUR_S 3600
#define MOST_REFUSALS                                                                                                  \
    3 /* an API that answers 401 at random must not end a run whose credentials are known to be good */

enum qn_oauth_need qn_oauth_ask(struct qn_oauth *oauth, uint64_t now_ms)
{
    if (oauth->held && now_ms < oauth->renew_at_ms) return QN_OAUTH_HAVE;
    if (oauth->fetching) return oauth->held && now_ms < oauth->expires_at_ms ? QN_OAUTH_HAVE : QN_OAUTH_WAIT;
    oauth->fetching = true;
    return QN_OAUTH_FETCH;
}

void qn_oauth_fetched(struct qn_oauth *oauth, int64_t expires_in_s, uint64_t since_ms)
{
    if (expires_in_s == QN_OAUTH_UNSAID) expires_in_s = HOUR_S;
    if (expires_in_s < 0) expires_in_s = 0;
    if (expires_in_s > 48 * HOUR_S) expires_in_s = 48 * HOUR_S;
    uint64_t life_ms = (uint64_t)expires_in_s * 1000;
    uint64_t margin_ms = life_ms / 10 < 60000 ? life_ms / 10 : 60000;
    oauth->generation++;
    oauth->held = true;
    oauth->fetching = false;
    oauth->accepted = false;
    oauth->replacement = oauth->dropped;
    oauth->dropped = false;
    oauth->expires_at_ms = since_ms + life_ms;
    oauth->renew_at_ms = oauth->expires_at_ms - margin_ms;
}

void qn_oauth_failed(struct qn_oauth *oauth)
{
    oauth->fetching = false;
}

void qn_oauth_accepted(struct qn_oauth *oauth, uint64_t generation)
{
    oauth->proven = true;
    oauth->refusals = 0; /* even if that token has been dropped since: the API takes what these credentials fetch */
    if (generation == oauth->generation) oauth->accepted = true;
}

bool qn_oauth_holds(const struct qn_oauth *oauth, uint64_t generation)
{
    return oauth->held && generation == oauth->generation;
}

enum qn_oauth_refusal qn_oauth_refused(struct qn_oauth *oauth, uint64_t generation)
{
    if (!qn_oauth_holds(oauth, generation)) return QN_OAUTH_REPLAY;
    oauth->held = false;
    oauth->dropped = true;
    if (oauth->accepted || !oauth->replacement) return QN_OAUTH_REPLAY;
    return ++oauth->refusals >= (oauth->proven ? MOST_REFUSALS : 1) ? QN_OAUTH_DENIED : QN_OAUTH_REPLAY;
}
