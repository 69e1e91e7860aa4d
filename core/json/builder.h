/* builder.h - inside core/json: nodes made of the tokens that a scan has found. One thread. */
#pragma once

#include "json/doc_internal.h"

enum qn_want { /* what a text must go on with */
               QN_WANT_VALUE,
               QN_WANT_FIRST_VALUE,
               QN_WANT_KEY,
               QN_WANT_FIRST_KEY,
               QN_WANT_COLON,
               QN_WANT_BEHIND_VALUE
};

struct qn_frame {
    uint32_t node;     /* the opening node */
    uint32_t children; /* of the container around it, before it */
    char closer;       /* of the container around it */
};

struct qn_builder {
    const char *text;
    size_t size;
    const uint32_t *at;               /* the token at hand (index.h) */
    struct qn_doc_node *nodes, *node; /* all, and the next one */
    struct qn_doc *doc;               /* whose nodes they are */
    struct qn_doc_watch *watch;       /* NULL: none */
    size_t slash;                     /* the first backslash that was not passed yet; size: none is left */
    uint32_t depth;
    struct qn_frame open[QN_DOC_MAX_DEPTH];
    struct qn_err *err;
};

/* At the first token, with room for the nodes of all, which are the doc's from now on. QN_ENOMEM. */
int qn_builder_init(struct qn_builder *b, struct qn_doc *doc, const struct qn_index *index, struct qn_err *err);
void qn_builder_done(struct qn_builder *b);

/* One value, whole, with the white space behind it. QN_ESYNTAX, QN_ELIMIT (depth). */
int qn_builder_value(struct qn_builder *b, enum qn_want want);
/* What containers consist of: an opening byte; a key with its colon; a comma; a closing byte. Each with the white space
 * behind it. */
int qn_builder_open(struct qn_builder *b, enum qn_want behind);
int qn_builder_key(struct qn_builder *b, enum qn_want want);
int qn_builder_byte(struct qn_builder *b, enum qn_want behind);
int qn_builder_close(struct qn_builder *b, uint32_t children);
/* Nothing but white space from `end` to the token at hand? */
int qn_builder_gap(struct qn_builder *b, enum qn_want want, size_t end);
/* QN_ESYNTAX with what was wanted at `offset`. */
int qn_builder_unexpected(struct qn_builder *b, enum qn_want want, size_t offset);
