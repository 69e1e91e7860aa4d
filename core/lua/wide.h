/* wide.h - members of a document's wide objects, as views ask for them one after another.
 *
 * The first few looks into an object search it, then it gets a table (json/members.h). The last few objects are
 * remembered. One thread at a time. */
#pragma once

#include "json/doc.h"

#define QN_WIDE_MEMBERS 24 /* with fewer, searching is as fast */

struct qn_wide;

/* As qn_doc_find. wide: NULL at first, owned by the caller. */
bool qn_wide_find(struct qn_wide **wide, const struct qn_doc *doc, qn_node object, const char *name, size_t size,
                  qn_node *out);
void qn_wide_forget(struct qn_wide *wide); /* the document goes, the memory stays; NULL is fine */
void qn_wide_free(struct qn_wide *wide);   /* NULL is fine */
