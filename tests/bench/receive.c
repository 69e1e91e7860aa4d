/* receive.c - the limit: what it costs to receive pages with libcurl's multi interface and nothing else, in one thread.
 *
 *     receive [--index] [--column PATH]... [--at-once N] < URLS
 *
 * --index: each page is indexed as quern indexes it. --column: and its records, $.conversations[*], become rows of CSV,
 * which are dropped. Prints "BYTES bytes, N answers". */
#include <curl/curl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/doc.h"
#include "rows/convert.h"

#define MOST_AT_ONCE 2048
#define MOST_COLUMNS 64

struct transfer {
    CURL *easy;
    struct qn_buf body;
};

static bool indexing;
static struct qn_plan *plan; /* NULL: no rows */
static unsigned long long bytes, answers;

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    if (transfer->body.capacity == 0) {
        curl_off_t length = -1;
        curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        if (length > 0) qn_buf_reserve(&transfer->body, (size_t)length + QN_BYTES_PADDING);
    }
    return qn_buf_add(&transfer->body, data, size * count) == 0 ? size * count : 0;
}

static void refuse(const char *why)
{
    fprintf(stderr, "receive: %s\n", why);
    exit(1);
}

static void make_rows(struct qn_bytes *page)
{
    static const struct qn_rows_context context = {.where = "a page"};
    struct qn_err err = {0};
    struct qn_page *indexed = NULL;
    struct qn_batch *batch = NULL;
    if (qn_convert_index(plan, page, &context, &indexed, &err) < 0) refuse(err.text);
    if (qn_convert_rows(indexed, &context, &batch, &err) < 0) refuse(err.text);
    qn_batch_unref(batch);
    qn_page_free(indexed);
}

static void make_index(struct qn_bytes *page)
{
    struct qn_err err = {0};
    struct qn_doc *doc = NULL;
    if (qn_doc_parse(page, &doc, &err) < 0) refuse(err.text);
    qn_doc_unref(doc);
}

static void finish(struct transfer *transfer)
{
    bytes += transfer->body.size;
    answers++;
    if (!plan && !indexing) {
        qn_buf_free(&transfer->body);
        return;
    }
    struct qn_bytes *page = qn_bytes_take(&transfer->body);
    if (plan)
        make_rows(page);
    else
        make_index(page);
    qn_bytes_unref(page);
}

static void plan_columns(char *const *paths, size_t count)
{
    static const char *const records[] = {"$.conversations[*]"};
    static char names[MOST_COLUMNS][24];
    struct qn_column_spec columns[MOST_COLUMNS];
    struct qn_err err = {0};
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "c%zu", i);
        columns[i] =
            (struct qn_column_spec){.name = names[i], .path = paths[i], .reduce = QN_REDUCE_FIRST, .round = -1};
    }
    struct qn_plan_spec spec = {
        .records = records, .record_levels = 1, .columns = columns, .column_count = count, .format = QN_FORMAT_CSV};
    if (qn_plan_new(&spec, &plan, &err) < 0) refuse(err.text);
}

static bool start(CURLM *multi, struct transfer *transfer)
{
    char line[1024];
    if (!fgets(line, sizeof line, stdin)) return false;
    line[strcspn(line, "\n")] = 0;
    curl_easy_setopt(transfer->easy, CURLOPT_URL, line);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_BUFFERSIZE, 512L << 10);
    curl_easy_setopt(transfer->easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(transfer->easy, CURLOPT_NOSIGNAL, 1L);
    curl_multi_add_handle(multi, transfer->easy);
    return true;
}

static void next(CURLM *multi, CURLMsg *message, size_t *running)
{
    struct transfer *transfer;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    if (message->data.result != CURLE_OK) refuse(curl_easy_strerror(message->data.result));
    curl_multi_remove_handle(multi, transfer->easy);
    finish(transfer);
    if (!start(multi, transfer)) (*running)--;
}

int main(int argc, char **argv)
{
    static struct transfer transfers[MOST_AT_ONCE];
    char *paths[MOST_COLUMNS];
    size_t at_once = 8, running = 0, columns = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--index")) indexing = true;
        if (!strcmp(argv[i], "--column") && i + 1 < argc && columns < MOST_COLUMNS) paths[columns++] = argv[++i];
        if (!strcmp(argv[i], "--at-once") && i + 1 < argc) at_once = strtoul(argv[++i], NULL, 10);
    }
    if (at_once > MOST_AT_ONCE) at_once = MOST_AT_ONCE;
    if (columns > 0) plan_columns(paths, columns);
    mallopt(M_MMAP_THRESHOLD, 64 << 20); /* freed blocks are kept for the next page */
    mallopt(M_TRIM_THRESHOLD, 256 << 20);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    for (; running < at_once; running++) {
        transfers[running].easy = curl_easy_init();
        qn_buf_init(&transfers[running].body, QN_BUF_NO_CAP);
        if (!start(multi, &transfers[running])) break;
    }
    while (running > 0) {
        int alive, left;
        curl_multi_perform(multi, &alive);
        for (CURLMsg *message; (message = curl_multi_info_read(multi, &left)) != NULL;) next(multi, message, &running);
        if (running > 0) curl_multi_poll(multi, NULL, 0, 1000, NULL);
    }
    qn_plan_unref(plan);
    printf("%llu bytes, %llu answers\n", bytes, answers);
    return 0;
}
