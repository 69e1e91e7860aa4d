/* members.c - see members.h. */
#include "json/members.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "json/doc_internal.h"

enum { STEPS = 8 }; /* a member, on average, while a table is made: more, and somebody chose the names */

void qn_members_init(struct qn_members *members)
{
    *members = (struct qn_members){.object = QN_NONE};
}

void qn_members_free(struct qn_members *members)
{
    qn_free(members->places);
    qn_members_init(members);
}

static bool reserve(struct qn_members *members, size_t count)
{
    size_t wanted = 16;
    while (wanted < 2 * count) wanted *= 2;
    if (wanted > members->capacity) {
        uint32_t *places = qn_malloc(wanted * sizeof *places);
        if (!places) return false;
        qn_free(members->places);
        members->places = places;
        members->capacity = wanted;
    }
    members->mask = wanted - 1;
    memset(members->places, 0, wanted * sizeof *members->places);
    return true;
}

static bool is_name(const struct qn_doc *doc, qn_node key, const char *name, size_t size)
{
    struct qn_span text = qn_doc_content(doc, key);
    return text.size == size && memcmp(text.data, name, size) == 0;
}

/* The place of the key of that name, or the free one that it would take. */
static uint32_t *place_of(const struct qn_members *members, const struct qn_doc *doc, const char *name, size_t size,
                          size_t *steps)
{
    size_t at = qn_hash_bytes(name, size).lo & members->mask;
    while (members->places[at] && !is_name(doc, members->places[at], name, size)) {
        at = (at + 1) & members->mask;
        ++*steps;
    }
    return &members->places[at];
}

bool qn_members_of(struct qn_members *members, const struct qn_doc *doc, qn_node object)
{
    size_t count = qn_doc_count(doc, object), steps = 0;
    members->object = QN_NONE;
    if (qn_doc_kind(doc, object) != QN_OBJECT || !reserve(members, count)) return false;
    const qn_node end = doc->nodes[object].skip;
    for (qn_node key = object + 1; key != end; key = qn_doc_behind(doc, key + 1)) {
        struct qn_span name = qn_doc_content(doc, key);
        if (qn_doc_escaped(doc, key) || steps > STEPS * count) return false;
        *place_of(members, doc, name.data, name.size, &steps) = key; /* the last of duplicates wins */
    }
    members->object = object;
    return true;
}

bool qn_members_find(const struct qn_members *members, const struct qn_doc *doc, const char *name, size_t size,
                     qn_node *out)
{
    size_t steps = 0;
    qn_node key = *place_of(members, doc, name, size, &steps);
    if (key) *out = key + 1;
    return key != 0;
}
