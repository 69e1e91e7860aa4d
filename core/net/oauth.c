/* oauth.c - see oauth.h. */
#include "net/oauth.h"

#define HOUR_S 3600

enum qn_oauth_need qn_oauth_ask(struct qn_oauth *oauth, uint64_t now_ms)
{
    if (oauth->held && now_ms < oauth->renew_at_ms) return QN_OAUTH_HAVE;
    if (oauth->fetching) return QN_OAUTH_WAIT;
    oauth->fetching = true;
    return QN_OAUTH_FETCH;
}

void qn_oauth_fetched(struct qn_oauth *oauth, int64_t expires_in_s, uint64_t now_ms)
{
    if (expires_in_s < 0) expires_in_s = HOUR_S;
    if (expires_in_s > 48 * HOUR_S) expires_in_s = 48 * HOUR_S;
    uint64_t life_ms = (uint64_t)expires_in_s * 1000;
    uint64_t margin_ms = life_ms / 10 < 60000 ? life_ms / 10 : 60000;
    oauth->generation++;
    oauth->held = true;
    oauth->fetching = false;
    oauth->accepted = false;
    oauth->renew_at_ms = now_ms + life_ms - margin_ms;
}

void qn_oauth_failed(struct qn_oauth *oauth)
{
    oauth->fetching = false;
}

void qn_oauth_accepted(struct qn_oauth *oauth, uint64_t generation)
{
    if (generation == oauth->generation) oauth->accepted = true;
}

enum qn_oauth_refusal qn_oauth_refused(struct qn_oauth *oauth, uint64_t generation)
{
    if (generation != oauth->generation || !oauth->held) return QN_OAUTH_REPLAY;
    oauth->held = false;
    return oauth->accepted ? QN_OAUTH_REPLAY : QN_OAUTH_DENIED;
}
