/* batch.h - the encoded rows of one page, row-addressable.
 *
 * Made by convert.h on a worker, then immutable; reference-counted (atomic). The sequencer reads `rows` to
 * drop and count without decoding; a sink writes runs of bytes. Row texts are stored back to back, each
 * with its terminator: CSV "\r\n", NDJSON "\n", a row of a JSON array ",\n" (the sink drops the last). The first need
 * not stand at the beginning: raw lines may be what is left of their page. */
#pragma once

#include "base/buf.h"
#include "base/hash.h"

enum {
    QN_ROW_HAS_KEY = 1,
    QN_ROW_HAS_OWNER = 2,
    QN_ROW_FIRST = 4, /* first row of its record */
    QN_ROW_FAILED = 8 /* its record could not be converted: an empty row */
};

struct qn_row {
    uint64_t offset; /* into the batch's bytes */
    uint32_t size;
    uint32_t record;    /* 0-based number of the record in its page */
    struct qn_hash key; /* of the key's decoded value; if QN_ROW_HAS_KEY */
    int64_t owner_ms;   /* if QN_ROW_HAS_OWNER */
    uint32_t flags;
};

/* A record that failed, where the plan goes on without it (convert.h): one JSON object with its line break,
 * `{"leaf":"...","page":1,"record":3,"reason":"..."` and then `,"value":...}` or, where nobody wants the record, `}`.
 */
struct qn_failure {
    uint64_t offset; /* into the batch's `failed` */
    uint32_t size;   /* with the line break */
    uint32_t head;   /* of it: what stands before the value */
};

/* A record that made no row (transform answered nil, or it failed) still takes part in key and owner checks: it is a
 * row with size 0. A record that made several rows has them in order; only the first carries QN_ROW_FIRST. The n-th
 * row with QN_ROW_FAILED belongs to the n-th failure. */
struct qn_batch {
    struct qn_bytes *bytes;
    struct qn_row *rows;
    size_t row_count;        /* entries of `rows` */
    size_t encoded_count;    /* entries with size > 0 */
    size_t record_count;     /* records of the page */
    size_t no_key, no_owner; /* records that lack them, where the query declares them */
    size_t replaced;         /* lone surrogates written as U+FFFD */
    struct qn_bytes *failed; /* NULL: nothing failed */
    struct qn_failure *failures;
    size_t failure_count;
};

struct qn_batch *qn_batch_ref(struct qn_batch *batch);
void qn_batch_unref(struct qn_batch *batch); /* NULL is fine */
size_t qn_batch_memory(const struct qn_batch *batch);
size_t qn_batch_encoded_size(const struct qn_batch *batch); /* bytes of all rows */
