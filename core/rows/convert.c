#include "rows/convert.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "rows/maker.h"
#include "rows/records.h"
#include "rows/text.h"

/* The rows of most pages are made while the page is indexed, record by record, when a record's text and nodes are in
 * the processor's cache and its nodes need not be kept. Where that cannot be (struct qn_plan: early) they are made of
 * the whole document. */
struct qn_page {
    struct qn_plan *plan;
    struct qn_doc *doc;     /* NULL: not there yet, or let go of */
    struct qn_bytes *bytes; /* the doc's, which holds them; borrowed while it is made */
    struct qn_facts facts;
    struct qn_hasher *hasher; /* of the text's first `hashed` bytes */
    size_t hashed;
    struct qn_records records;
    struct qn_maker maker;
    enum {
        UNMADE,
        MAKING,
        DONE
    } rows; /* MAKING: the maker is open; DONE: rc, and with it the batch or the maker's err */
    int rc;
    bool whole; /* every record was made into rows: a failure is the page's */
    struct qn_batch *batch;
    uint64_t replaced; /* lone surrogates in the rows */
};

static bool space(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* What a body that is no JSON looks like instead. */
static int refuse_body(struct qn_bytes *bytes, int rc, const struct qn_err *why, struct qn_err *err)
{
    char excerpt[QN_EXCERPT_SIZE];
    const char *text = qn_bytes_data(bytes), *end = text + qn_bytes_size(bytes);
    if (rc == QN_ENOMEM) return qn_fail(err, rc, "out of memory while the body was indexed");
    if (end - text >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) text += 3;
    while (text < end && space(*text)) text++;
    if (text == end) return qn_fail(err, rc, "the body is empty");
    if (*text == '<') {
        size_t size = (size_t)(end - text);
        const char *name = size >= 5 && strncasecmp(text, "<?xml", 5) == 0 ? "XML" : "HTML";
        return qn_fail(err, rc, "the body is %s, not JSON (starts '%s')", name, qn_text_excerpt(text, size, excerpt));
    }
    if (rc != QN_ESYNTAX) return qn_fail_at(err, rc, why->offset, "the body cannot be read: %s", why->text);
    return qn_fail_at(err, rc, why->offset, "the body is not JSON: %s at byte %zu", why->text, why->offset);
}

/* rows */

/* What went wrong with the rows, and where. Messages count records from 1, as Lua does. */
static int tell(const struct qn_page *page, const char *where, struct qn_err *err)
{
    const struct qn_err *why = &page->maker.err;
    const char *text = page->rc == QN_ELIMIT ? "records: the path selects more than 16 million nodes" : "out of memory";
    if (why->code != 0 && page->whole) text = why->text;
    if (why->code == 0 || page->whole)
        return qn_fail(err, page->rc, "%s%s%s", where ? where : "", where ? ": " : "", text);
    return qn_fail(err, page->rc, "%s%srecord %lu: %s", where ? where : "", where ? ", " : "",
                   (unsigned long)page->maker.number + 1, why->text);
}

static int begin_rows(struct qn_page *page, const struct qn_rows_context *context)
{
    page->rows = MAKING;
    page->rc = qn_maker_open(&page->maker, page->plan, page->bytes);
    page->maker.context = context;
    page->maker.doc = page->doc;
    return page->rc;
}

static void drop_rows(struct qn_page *page)
{
    if (page->rows == MAKING) qn_maker_close(&page->maker);
    page->rows = UNMADE;
    page->rc = 0;
}

static void finish_rows(struct qn_page *page)
{
    if (page->rc == 0) {
        page->rc = qn_maker_batch(&page->maker, &page->batch, &page->maker.err);
        page->whole = true;
    }
    if (page->rc == 0) page->batch->replaced = (size_t)page->replaced;
    qn_maker_close(&page->maker);
    page->rows = DONE;
}

/* early: the records are shown while the page is indexed */

/* The digest goes on to `end`, which has just been looked at. */
static void hash_to(struct qn_page *page, size_t end)
{
    qn_hasher_add(page->hasher, qn_bytes_data(page->bytes) + page->hashed, end - page->hashed);
    page->hashed = end;
}

/* After the first failure records are only counted. */
static int see_record(void *self, const qn_node *levels)
{
    struct qn_page *page = self;
    page->facts.record_count++;
    if (page->rc == 0) page->rc = qn_maker_record(&page->maker, levels);
    return 0;
}

static void see_item(void *self, const struct qn_doc *doc, qn_node item)
{
    struct qn_page *page = self;
    struct qn_span text = qn_doc_span(doc, item);
    hash_to(page, (size_t)(text.data + text.size - qn_bytes_data(page->bytes)));
    page->facts.item_count++;
    page->maker.doc = (struct qn_doc *)doc; /* which only its count of replaced characters changes */
    if (page->rc == 0) qn_maker_renumbered(&page->maker);
    int rc = qn_records_below(&page->records, doc, item, see_record, page, page->rc == 0 ? &page->maker.err : NULL);
    if (page->rc == 0) page->rc = rc;
}

static void forget_items(void *self)
{
    struct qn_page *page = self;
    const struct qn_rows_context *context = page->maker.context;
    page->facts.item_count = page->facts.record_count = 0;
    drop_rows(page);
    begin_rows(page, context);
}

/* index: bytes -> document and facts */

static int count_record(void *count, const qn_node *levels)
{
    (void)levels;
    ++*(size_t *)count;
    return 0;
}

/* The outermost records; the innermost are counted. */
static int count_items(const struct qn_plan *plan, const struct qn_doc *doc, struct qn_facts *facts)
{
    facts->item_count = facts->record_count;
    if (plan->level_count == 1) return 0;
    struct qn_nodes list;
    qn_nodes_init(&list);
    int rc = qn_path_select(plan->records[0], doc, QN_ROOT, &list);
    facts->item_count = list.count;
    qn_nodes_free(&list);
    return rc;
}

static int count_records(struct qn_page *page)
{
    int rc = qn_records_all(&page->records, page->doc, count_record, &page->facts.record_count, NULL);
    return rc < 0 ? rc : count_items(page->plan, page->doc, &page->facts);
}

static int read_facts(struct qn_page *page)
{
    const struct qn_plan *plan = page->plan;
    struct qn_facts *facts = &page->facts;
    int rc = qn_records_present(plan, page->doc);
    if (rc < 0) return rc;
    facts->records_present = rc > 0;
    rc = page->rows == UNMADE ? count_records(page) : 0;
    if (rc < 0 || plan->fact_count == 0) return rc;
    facts->facts = qn_calloc(plan->fact_count, sizeof *facts->facts);
    if (!facts->facts) return QN_ENOMEM;
    facts->fact_count = plan->fact_count;
    for (size_t i = 0; i < plan->fact_count; i++) facts->facts[i] = qn_path_one(plan->facts[i], page->doc, QN_ROOT);
    return 0;
}

static int parse(struct qn_page *page, const struct qn_rows_context *context, struct qn_err *err)
{
    const struct qn_plan *plan = page->plan;
    if (!plan->early) return qn_doc_parse(page->bytes, &page->doc, err);
    struct qn_doc_watch watch = {.names = plan->array_names,
                                 .count = plan->array_depth,
                                 .fold = plan->fold,
                                 .element = see_item,
                                 .forget = forget_items,
                                 .self = page};
    int rc = begin_rows(page, context);
    if (rc < 0) return qn_fail(err, rc, "out of memory");
    rc = qn_doc_parse_watched(page->bytes, &watch, &page->doc, err);
    page->maker.doc = page->doc;
    if (rc == 0 && !watch.shown) drop_rows(page);
    return rc;
}

static int index_page(struct qn_page *page, const struct qn_rows_context *context, struct qn_err *err)
{
    struct qn_err why = {0};
    page->hasher = qn_hasher_new();
    int rc = qn_records_init(&page->records, page->plan);
    if (rc < 0 || !page->hasher) return qn_fail(err, QN_ENOMEM, "out of memory");
    rc = parse(page, context, &why);
    if (rc < 0) return refuse_body(page->bytes, rc, &why, err);
    hash_to(page, qn_bytes_size(page->bytes));
    page->facts.digest = qn_hasher_hash(page->hasher);
    page->replaced = qn_doc_replaced(page->doc);
    rc = read_facts(page);
    if (rc == QN_ELIMIT) return qn_fail(err, rc, "records: the path selects more than 16 million nodes");
    if (rc < 0) return qn_fail(err, rc, "out of memory while the page's records were counted");
    /* lines that stay in the page get their ends when nobody else reads it any more */
    if (page->rows == MAKING && !page->maker.emit.page) finish_rows(page);
    return 0;
}

int qn_convert_index(struct qn_plan *plan, struct qn_bytes *bytes, const struct qn_rows_context *context,
                     struct qn_page **out, struct qn_err *err)
{
    struct qn_page *page = qn_calloc(1, sizeof *page);
    *out = NULL;
    if (!page) return qn_fail(err, QN_ENOMEM, "out of memory");
    page->plan = qn_plan_ref(plan);
    page->bytes = bytes;
    int rc = index_page(page, context, err);
    if (rc < 0)
        qn_page_free(page);
    else
        *out = page;
    return rc;
}

/* rows: page, context -> batch */

static int make_record(void *self, const qn_node *levels)
{
    struct qn_page *page = self;
    return qn_maker_record(&page->maker, levels);
}

static void make_rows(struct qn_page *page, const struct qn_rows_context *context)
{
    uint64_t before = qn_doc_replaced(page->doc);
    begin_rows(page, context);
    if (page->rc == 0) {
        page->rc = qn_records_all(&page->records, page->doc, make_record, page, &page->maker.err);
        page->replaced = qn_doc_replaced(page->doc) - before;
    }
}

int qn_convert_rows(struct qn_page *page, const struct qn_rows_context *context, struct qn_batch **out,
                    struct qn_err *err)
{
    *out = NULL;
    if (page->plan->has_transform && (!context->transform || !context->transform->apply)) {
        return qn_fail(err, QN_EINVAL, "the plan has a transform, the context has none");
    }
    if (page->rows == UNMADE) make_rows(page, context);
    if (page->rows == MAKING) finish_rows(page);
    if (page->rc < 0) return tell(page, context->where, err);
    *out = page->batch;
    page->batch = NULL;
    return 0;
}

/* pages */

const struct qn_facts *qn_page_facts(const struct qn_page *page)
{
    return &page->facts;
}

struct qn_doc *qn_page_doc(const struct qn_page *page)
{
    return page->doc;
}

bool qn_page_ready(const struct qn_page *page)
{
    return page->rows == DONE;
}

void qn_page_read(struct qn_page *page)
{
    if (page->rows != DONE) return;
    qn_doc_unref(page->doc);
    page->doc = NULL;
}

void qn_page_free(struct qn_page *page)
{
    if (!page) return;
    drop_rows(page);
    qn_batch_unref(page->batch);
    qn_records_free(&page->records);
    qn_hasher_free(page->hasher);
    qn_free(page->facts.facts);
    qn_doc_unref(page->doc);
    qn_plan_unref(page->plan);
    qn_free(page);
}
