/* What can be said of a compiled path without a document. */
#include <string.h>

#include "json/path_internal.h"

bool qn_path_singular(const struct qn_path *path)
{
    return path->query.singular;
}

bool qn_path_of_object(const struct qn_path *path)
{
    const struct qn_segment *first = path->query.segments;
    if (!first || first->descendant) return false;
    for (const struct qn_selector *selector = first->selectors; selector; selector = selector->next) {
        if (selector->kind != QN_SELECT_NAME) return false;
    }
    return true;
}

static bool one_name(const struct qn_segment *segment)
{
    return segment->single && segment->selectors->kind == QN_SELECT_NAME;
}

int qn_path_names(const struct qn_path *path, struct qn_span *names, size_t room)
{
    size_t count = 0;
    for (const struct qn_segment *at = path->query.segments; at; at = at->next) {
        if (count == room || !one_name(at)) return -1;
        names[count++] = at->selectors->name;
    }
    return (int)count;
}

bool qn_path_apart(const struct qn_path *a, const struct qn_path *b)
{
    const struct qn_segment *x = a->query.segments, *y = b->query.segments;
    for (; x && y && one_name(x) && one_name(y); x = x->next, y = y->next) {
        struct qn_span one = x->selectors->name, other = y->selectors->name;
        if (one.size != other.size || memcmp(one.data, other.data, one.size) != 0) return true;
    }
    return false;
}
