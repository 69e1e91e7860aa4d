#include "run/leaf.h"

#include <string.h>

#include "base/mem.h"
#include "run/failed.h"

#define FAILED_SHARE 8 /* failed records hold at most this part of a leaf's memory */

struct qn_early {
    struct qn_early *next;
    uint32_t page;
    struct qn_batch *batch; /* NULL: parked */
    size_t memory;
    struct qn_spool parked; /* its rows, its failures, its bytes, the bytes of its failures */
    size_t row_count, failure_count, size;
};

/* What accept reads: a batch, or a parked one loaded again. */
struct page_rows {
    uint32_t page;
    const struct qn_row *rows;
    size_t count;
    struct qn_bytes *bytes; /* NULL: no rows */
    size_t start;           /* what offsets of rows count from */
    const struct qn_failure *failures;
    const char *failed;
};

struct qn_leaf *qn_leaf_new(const struct qn_leaf_rules *rules, uint32_t id, int64_t from_ms, int64_t to_ms)
{
    struct qn_leaf *leaf = qn_calloc(1, sizeof *leaf);
    if (!leaf) return NULL;
    leaf->rules = rules;
    leaf->id = id;
    leaf->from_ms = from_ms;
    leaf->to_ms = to_ms;
    qn_hold_init(&leaf->rows, rules->pool, rules->memory);
    qn_spool_init(&leaf->failed, rules->pool, rules->memory / FAILED_SHARE);
    qn_spool_init(&leaf->keys, rules->pool, QN_SPOOL_BLOCK);
    qn_keyset_init(&leaf->seen, rules->pool);
    return leaf;
}

static void free_early(struct qn_leaf *leaf, struct qn_early *early)
{
    qn_batch_unref(early->batch);
    qn_spool_pool_give(leaf->rules->pool, early->memory);
    if (early->parked.pool) qn_spool_clear(&early->parked);
    qn_free(early);
}

void qn_leaf_free(struct qn_leaf *leaf)
{
    if (!leaf) return;
    while (leaf->early) {
        struct qn_early *early = leaf->early;
        leaf->early = early->next;
        free_early(leaf, early);
    }
    qn_hold_clear(&leaf->rows);
    qn_spool_clear(&leaf->failed);
    qn_spool_clear(&leaf->keys);
    qn_keyset_free(&leaf->seen);
    qn_disowned_free(leaf->disowned);
    qn_free(leaf->disorder);
    qn_free(leaf);
}

static int disown(struct qn_leaf *leaf, const struct qn_row *row, struct qn_err *err)
{
    leaf->facts.disowned++;
    if (!leaf->rules->key) return 0; /* without a key nobody can tell whether its owner has it */
    if (!leaf->disowned) leaf->disowned = qn_disowned_new(leaf->rules->pool);
    if (!leaf->disowned) return qn_fail(err, QN_ENOMEM, "out of memory for the disowned records of a leaf");
    return qn_disowned_add(leaf->disowned, (struct qn_disowned_entry){row->owner_ms, row->key}, err);
}

static int note_disorder(struct qn_leaf *leaf, uint32_t page, const struct qn_row *row, struct qn_err *err)
{
    char now[QN_TIME_TEXT_SIZE], last[QN_TIME_TEXT_SIZE];
    struct qn_err text;
    qn_time_format(row->owner_ms, 3, now);
    qn_time_format(leaf->owner_ms, 3, last);
    qn_fail(&text, QN_EINVAL, "the declared order is broken: owner %s comes after %s (page %u, record %u)", now, last,
            page, row->record + 1);
    leaf->disorder = qn_strdup(text.text);
    return leaf->disorder ? 0 : qn_fail(err, QN_ENOMEM, "out of memory");
}

static int check_order(struct qn_leaf *leaf, uint32_t page, const struct qn_row *row, struct qn_err *err)
{
    if (!leaf->rules->order || leaf->disorder) return 0;
    if (leaf->has_owner && row->owner_ms < leaf->owner_ms) return note_disorder(leaf, page, row, err);
    leaf->has_owner = true;
    leaf->owner_ms = row->owner_ms;
    return 0;
}

/* Does the record of this (first) row stay? A record without a key stays wherever it was seen, because nothing could
 * tell its loss; one whose time is outside the run's range goes, key or not. */
static int judge(struct qn_leaf *leaf, uint32_t page, const struct qn_row *row, bool *keep, struct qn_err *err)
{
    const struct qn_leaf_rules *rules = leaf->rules;
    bool has_key = row->flags & QN_ROW_HAS_KEY, has_owner = row->flags & QN_ROW_HAS_OWNER;
    *keep = false;
    leaf->facts.records++;
    if (rules->owner && has_owner) {
        if (row->owner_ms < rules->from_ms || row->owner_ms >= rules->to_ms) {
            leaf->facts.outside++;
            return 0;
        }
        bool elsewhere = row->owner_ms < leaf->from_ms || row->owner_ms >= leaf->to_ms;
        if (elsewhere && (has_key || !rules->key)) return disown(leaf, row, err);
    }
    if (rules->key && has_key) {
        int rc = qn_keyset_add(&leaf->seen, row->key, keep, err);
        if (rc < 0) return rc;
        if (!*keep) {
            leaf->facts.duplicates++;
            return 0;
        }
    }
    *keep = true;
    if (rules->key && !has_key) leaf->facts.no_key++;
    if (!has_owner) {
        if (rules->owner || rules->order) leaf->facts.no_owner++;
        return 0;
    }
    return check_order(leaf, page, row, err);
}

/* Rows that stand side by side and all stay: one piece. */
struct stretch {
    uint64_t offset, size, rows;
};

static int flush(struct qn_leaf *leaf, const struct page_rows *page, struct stretch *stretch, struct qn_err *err)
{
    if (stretch->rows == 0) return 0;
    struct qn_sink *sink = leaf->sink;
    size_t offset = page->start + (size_t)stretch->offset, size = (size_t)stretch->size;
    int rc = sink ? sink->class->rows(sink, qn_bytes_data(page->bytes) + offset, size, stretch->rows, err)
                  : qn_hold_add(&leaf->rows, page->bytes, offset, size, stretch->rows, err);
    leaf->facts.rows += stretch->rows;
    *stretch = (struct stretch){0, 0, 0};
    return rc;
}

static int put(struct qn_leaf *leaf, const struct page_rows *page, struct stretch *stretch, const struct qn_row *row,
               struct qn_err *err)
{
    if (stretch->rows == 0 || row->offset != stretch->offset + stretch->size) {
        int rc = flush(leaf, page, stretch, err);
        if (rc < 0) return rc;
        stretch->offset = row->offset;
    }
    stretch->size += row->size;
    stretch->rows++;
    return 0;
}

static int put_failed(struct qn_leaf *leaf, const struct page_rows *page, size_t failure, struct qn_err *err)
{
    leaf->facts.failed++;
    return qn_failed_add(&leaf->failed, &page->failures[failure], page->failed, err);
}

static int accept(struct qn_leaf *leaf, const struct page_rows *page, struct qn_err *err)
{
    struct stretch stretch = {0, 0, 0};
    bool keep = false;
    int rc = 0;
    size_t failure = 0;
    for (size_t i = 0; rc == 0 && i < page->count; i++) {
        const struct qn_row *row = &page->rows[i];
        if (row->flags & QN_ROW_FIRST) rc = judge(leaf, page->page, row, &keep, err);
        if (rc == 0 && keep && row->size > 0) rc = put(leaf, page, &stretch, row, err);
        if (!(row->flags & QN_ROW_FAILED)) continue;
        if (rc == 0 && keep) rc = put_failed(leaf, page, failure, err);
        failure++;
    }
    if (rc == 0) rc = flush(leaf, page, &stretch, err);
    leaf->pages++;
    return rc;
}

static int accept_batch(struct qn_leaf *leaf, uint32_t number, const struct qn_batch *batch, struct qn_err *err)
{
    struct page_rows page = {.page = number, .rows = batch->rows, .count = batch->row_count, .bytes = batch->bytes};
    page.failures = batch->failures;
    if (batch->failed) page.failed = qn_bytes_data(batch->failed);
    return accept(leaf, &page, err);
}

/* What was parked, in one place again. */
static struct qn_bytes *load_parked(const struct qn_early *early, struct qn_err *err)
{
    struct qn_buf buf;
    qn_buf_init(&buf, QN_BUF_NO_CAP);
    size_t size = (size_t)early->parked.size;
    int rc = qn_buf_reserve(&buf, size + QN_BYTES_PADDING);
    if (rc == 0 && qn_spool_read(&early->parked, 0, buf.data, size, err) == 0) {
        buf.size = size;
        struct qn_bytes *bytes = qn_bytes_take(&buf);
        if (bytes) return bytes;
        rc = QN_ENOMEM;
    }
    if (rc < 0) qn_fail(err, QN_ENOMEM, "out of memory for a page of %zu bytes", size);
    qn_buf_free(&buf);
    return NULL;
}

static int accept_parked(struct qn_leaf *leaf, struct qn_early *early, struct qn_err *err)
{
    size_t rows_size = early->row_count * sizeof(struct qn_row);
    size_t failures_size = early->failure_count * sizeof(struct qn_failure);
    struct qn_err why = {0};
    struct qn_bytes *bytes = load_parked(early, &why);
    if (!bytes) {
        if (err) *err = why;
        return why.code;
    }
    const char *memory = qn_bytes_data(bytes);
    struct page_rows page = {.page = early->page, .rows = (const void *)memory, .count = early->row_count};
    page.failures = (const void *)(memory + rows_size);
    page.bytes = bytes;
    page.start = rows_size + failures_size;
    page.failed = memory + page.start + early->size;
    int rc = accept(leaf, &page, err);
    qn_bytes_unref(bytes);
    return rc;
}

static int accept_waiting(struct qn_leaf *leaf, struct qn_err *err)
{
    int rc = 0;
    while (rc == 0 && leaf->early && leaf->early->page == leaf->pages + 1) {
        struct qn_early *early = leaf->early;
        leaf->early = early->next;
        rc = early->batch ? accept_batch(leaf, early->page, early->batch, err) : accept_parked(leaf, early, err);
        free_early(leaf, early);
    }
    return rc;
}

static int add_bytes(struct qn_spool *spool, const struct qn_bytes *bytes, struct qn_err *err)
{
    return bytes ? qn_spool_add(spool, qn_bytes_data(bytes), qn_bytes_size(bytes), err) : 0;
}

static int park(struct qn_leaf *leaf, struct qn_early *early, const struct qn_batch *batch, struct qn_err *err)
{
    qn_spool_init(&early->parked, leaf->rules->pool, 0);
    early->row_count = batch->row_count;
    early->failure_count = batch->failure_count;
    early->size = batch->bytes ? qn_bytes_size(batch->bytes) : 0;
    int rc = qn_spool_add(&early->parked, batch->rows, batch->row_count * sizeof *batch->rows, err);
    if (rc == 0) {
        rc = qn_spool_add(&early->parked, batch->failures, batch->failure_count * sizeof *batch->failures, err);
    }
    if (rc == 0) rc = add_bytes(&early->parked, batch->bytes, err);
    if (rc == 0) rc = add_bytes(&early->parked, batch->failed, err);
    return rc == 0 ? qn_spool_seal(&early->parked, err) : rc;
}

static int repeated(const struct qn_leaf *leaf, uint32_t page, struct qn_err *err)
{
    return qn_fail(err, QN_EEXIST, "page %u of leaf %u came twice", page, leaf->id);
}

static int wait_for_turn(struct qn_leaf *leaf, uint32_t page, struct qn_batch *batch, struct qn_err *err)
{
    struct qn_early **place = &leaf->early;
    while (*place && (*place)->page < page) place = &(*place)->next;
    if (*place && (*place)->page == page) return repeated(leaf, page, err);
    struct qn_early *early = qn_calloc(1, sizeof *early);
    if (!early) return qn_fail(err, QN_ENOMEM, "out of memory for an early page");
    early->page = page;
    size_t memory = qn_batch_memory(batch);
    if (memory <= leaf->rules->memory && qn_spool_pool_has_room(leaf->rules->pool, memory)) {
        early->batch = qn_batch_ref(batch);
        early->memory = memory;
        qn_spool_pool_take(leaf->rules->pool, memory);
    } else {
        int rc = park(leaf, early, batch, err);
        if (rc < 0) {
            free_early(leaf, early);
            return rc;
        }
    }
    early->next = *place;
    *place = early;
    return 0;
}

int qn_leaf_add(struct qn_leaf *leaf, uint32_t page, struct qn_batch *batch, struct qn_err *err)
{
    if (page <= leaf->pages) return repeated(leaf, page, err);
    if (page > leaf->pages + 1) return wait_for_turn(leaf, page, batch, err);
    int rc = accept_batch(leaf, page, batch, err);
    return rc == 0 ? accept_waiting(leaf, err) : rc;
}

int qn_leaf_finish(struct qn_leaf *leaf, uint32_t pages, struct qn_err *err)
{
    if (leaf->pages != pages || leaf->early) {
        return qn_fail(err, QN_ESTATE, "leaf %u has %u pages of %u in their order", leaf->id, leaf->pages, pages);
    }
    int rc = qn_hold_seal(&leaf->rows, err);
    if (rc == 0) rc = qn_spool_seal(&leaf->failed, err);
    if (rc == 0 && leaf->rules->key && leaf->rules->owner) {
        rc = qn_keyset_store(&leaf->seen, &leaf->keys, &leaf->key_list, err);
    }
    qn_keyset_free(&leaf->seen);
    if (rc == 0) rc = qn_spool_seal(&leaf->keys, err);
    if (leaf->disowned) qn_disowned_seal(leaf->disowned);
    return rc;
}

int qn_leaf_has(const struct qn_leaf *leaf, struct qn_hash key, bool *found, struct qn_err *err)
{
    return qn_keylist_has(&leaf->key_list, &leaf->keys, key, found, err);
}

int qn_leaf_deliver(struct qn_leaf *leaf, struct qn_sink *sink, struct qn_err *err)
{
    int rc = leaf->sink ? 0 : sink->class->leaf_begin(sink, leaf->id, err);
    leaf->sink = sink;
    if (rc < 0) return rc;
    do {
        leaf->delivering = qn_sink_room(sink) != NULL;
        if (leaf->delivering) return 1;
        rc = qn_hold_deliver(&leaf->rows, sink, err);
    } while (rc > 0);
    qn_hold_clear(&leaf->rows);
    return rc;
}
