/* members.h - finding members of a wide object by name without a look at each: a table by hash, made once.
 *
 * An object of few members is searched faster than it is hashed (qn_doc_find). The memory is kept for the next object.
 * One thread at a time; the document must outlive what is asked. */
#pragma once

#include "json/doc.h"

struct qn_members {
    qn_node object;   /* QN_NONE: of none */
    uint32_t *places; /* of keys, by hash; 0: free */
    size_t mask, capacity;
};

void qn_members_init(struct qn_members *members);
void qn_members_free(struct qn_members *members);
/* Makes the table of an object. False: without memory, or the object is not fit for one (escaped names, or names that
 * hash alike); then it is of none. */
bool qn_members_of(struct qn_members *members, const struct qn_doc *doc, qn_node object);
/* As qn_doc_find in the object that the table is of. */
bool qn_members_find(const struct qn_members *members, const struct qn_doc *doc, const char *name, size_t size,
                     qn_node *out);
