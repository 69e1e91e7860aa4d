/* maker.h - inside core/rows: makes the rows of a page, record by record. One thread. */
#pragma once

#include "json/select.h"
#include "rows/emit.h"
#include "rows/failures.h"
#include "rows/plan.h"

struct qn_maker {
    const struct qn_plan *plan;
    struct qn_doc *doc;                    /* borrowed: whose nodes the records are */
    const struct qn_rows_context *context; /* borrowed: set anew for each call of convert.h */
    struct qn_emit emit;
    struct qn_failures failures;
    struct qn_scratch scratch;
    struct qn_selected *selected; /* one a level, innermost first */
    qn_node *selected_of;         /* the record of that level that it was made of last */
    struct qn_value *values;      /* one a column */
    bool *found;                  /* the same: its path selected something in this page */
    size_t no_key, no_owner;
    uint32_t number; /* of the record at hand */
    struct qn_err err;
};

/* QN_ENOMEM; it is to be closed then, too. */
int qn_maker_open(struct qn_maker *maker, const struct qn_plan *plan, const struct qn_bytes *page);
/* The rows of one record, whose levels are outermost first. What qn_convert_rows says of failures; maker->err has the
 * text, or code 0. */
int qn_maker_record(struct qn_maker *maker, const qn_node *levels);
/* From now on the same number may be another node. */
void qn_maker_renumbered(struct qn_maker *maker);
/* What has been made; then it can only be closed. */
int qn_maker_batch(struct qn_maker *maker, struct qn_batch **out, struct qn_err *err);
void qn_maker_close(struct qn_maker *maker);
