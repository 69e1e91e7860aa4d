/* wide.c - see wide.h. */
#include "lua/wide.h"

#include "base/mem.h"
#include "json/members.h"

enum { SEEN = 4, SEARCHES = 4 }; /* so many searches pay for a table, even if it is never used */

struct seen {
    qn_node object;
    unsigned searches;
    struct qn_members members; /* of the object, once there were enough, if it is fit */
};

struct qn_wide {
    struct seen seen[SEEN];
    unsigned next; /* to be replaced */
};

static struct qn_wide *make(void)
{
    struct qn_wide *wide = qn_calloc(1, sizeof *wide);
    for (int i = 0; wide && i < SEEN; i++) qn_members_init(&wide->seen[i].members);
    qn_wide_forget(wide);
    return wide;
}

static struct seen *seen_of(struct qn_wide *wide, qn_node object)
{
    for (int i = 0; i < SEEN; i++) {
        if (wide->seen[i].object == object) return &wide->seen[i];
    }
    struct seen *seen = &wide->seen[wide->next++ % SEEN];
    seen->object = object;
    seen->searches = 0;
    seen->members.object = QN_NONE;
    return seen;
}

bool qn_wide_find(struct qn_wide **wide, const struct qn_doc *doc, qn_node object, const char *name, size_t size,
                  qn_node *out)
{
    if (!*wide) *wide = make();
    if (!*wide) return qn_doc_find(doc, object, name, size, out);
    struct seen *seen = seen_of(*wide, object);
    if (seen->searches <= SEARCHES && seen->searches++ == SEARCHES) qn_members_of(&seen->members, doc, object);
    if (seen->members.object == object) return qn_members_find(&seen->members, doc, name, size, out);
    return qn_doc_find(doc, object, name, size, out);
}

void qn_wide_forget(struct qn_wide *wide)
{
    for (int i = 0; wide && i < SEEN; i++) wide->seen[i].object = wide->seen[i].members.object = QN_NONE;
}

void qn_wide_free(struct qn_wide *wide)
{
    for (int i = 0; wide && i < SEEN; i++) qn_members_free(&wide->seen[i].members);
    qn_free(wide);
}
