/* Any bytes as a page: rows that are made while it is indexed are the rows of the whole document, or fail alike. */
#include <stdlib.h>
#include <string.h>

#include "rows/convert.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) abort();                                                                                     \
    } while (0)

#define COUNT(list) (sizeof(list) / sizeof *(list))

enum { EARLY, LATE, WAYS };

/* The same records, by a path that leads to an array and by one that does not say so. */
static const char *const ways[WAYS][2] = {{"$.items[*]", "$.d[*]"}, {"$.items[?1==1]", "$.d[*]"}};

static struct qn_plan *plan_of(int way, size_t levels, bool raw)
{
    struct qn_column_spec columns[] = {
        {.name = "a", .path = "$.a", .round = -1},
        {.name = "n", .path = "$.n", .as = QN_AS_NUMBER, .round = 2},
        {.name = "all", .path = "$..b", .reduce = QN_REDUCE_LIST, .round = -1},
        {.name = "g", .path = "$.g", .round = -1, .level = (int)levels - 1},
    };
    struct qn_fact_spec facts[] = {{"total", "$.total"}};
    struct qn_plan_spec spec = {.records = ways[way],
                                .record_levels = levels,
                                .columns = columns,
                                .column_count = raw ? 0 : COUNT(columns),
                                .facts = facts,
                                .fact_count = COUNT(facts),
                                .key = "$.a",
                                .raw = raw,
                                .format = QN_FORMAT_NDJSON,
                                .on_error = QN_ON_ERROR_QUARANTINE};
    struct qn_plan *plan = NULL;
    REQUIRE(qn_plan_new(&spec, &plan, NULL) == 0);
    return plan;
}

struct outcome {
    int rc;
    size_t records, items;
    struct qn_batch *batch;
    struct qn_err err;
};

static struct outcome convert(int way, size_t levels, bool raw, const uint8_t *data, size_t size)
{
    static const struct qn_rows_context context = {.where = "here", .leaf = "leaf", .page = 1};
    struct outcome outcome = {0};
    struct qn_plan *plan = plan_of(way, levels, raw);
    struct qn_bytes *bytes = qn_bytes_new(data, size);
    struct qn_page *page = NULL;
    REQUIRE(bytes);
    outcome.rc = qn_convert_index(plan, bytes, &context, &page, &outcome.err);
    qn_bytes_unref(bytes);
    if (outcome.rc == 0) {
        outcome.records = qn_page_facts(page)->record_count;
        outcome.items = qn_page_facts(page)->item_count;
        outcome.rc = qn_convert_rows(page, &context, &outcome.batch, &outcome.err);
    }
    qn_page_free(page);
    qn_plan_unref(plan);
    return outcome;
}

static bool same_bytes(const struct qn_bytes *a, const struct qn_bytes *b)
{
    if (!a || !b) return a == b;
    return qn_bytes_size(a) == qn_bytes_size(b) && memcmp(qn_bytes_data(a), qn_bytes_data(b), qn_bytes_size(a)) == 0;
}

static bool same_row(const struct qn_batch *a, const struct qn_batch *b, size_t row)
{
    const struct qn_row *x = &a->rows[row], *y = &b->rows[row];
    return x->record == y->record && x->size == y->size && x->flags == y->flags && x->key.lo == y->key.lo &&
           memcmp(qn_bytes_data(a->bytes) + x->offset, qn_bytes_data(b->bytes) + y->offset, x->size) == 0;
}

static void compare(const struct outcome *a, const struct outcome *b)
{
    REQUIRE(a->rc == b->rc && a->records == b->records && a->items == b->items);
    if (a->rc < 0) {
        REQUIRE(strcmp(a->err.text, b->err.text) == 0);
        return;
    }
    REQUIRE(a->batch->row_count == b->batch->row_count && a->batch->record_count == a->records);
    REQUIRE(a->batch->failure_count == b->batch->failure_count && same_bytes(a->batch->failed, b->batch->failed));
    REQUIRE(a->batch->replaced == b->batch->replaced);
    for (size_t row = 0; row < a->batch->row_count; row++) REQUIRE(same_row(a->batch, b->batch, row));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int i = 0; i < 4; i++) {
        struct outcome early = convert(EARLY, 1 + (size_t)i % 2, i > 1, data, size);
        struct outcome late = convert(LATE, 1 + (size_t)i % 2, i > 1, data, size);
        compare(&early, &late);
        qn_batch_unref(early.batch);
        qn_batch_unref(late.batch);
    }
    return 0;
}
