/* sink.h - where rows go, leaf by leaf, in plan order. What follows a leaf_begin without its leaf_end is never
 * published or kept. Rows of a program belong to no leaf.
 *
 *     open; { leaf_begin; rows...; leaf_end | leaf_undo }...; commit (now and then); publish   or   discard / keep
 *
 * File sinks are in file.c, the sink of the tests in memory.c. Main thread only. Every function gives 0 or a
 * negative QN_E... with err filled (QN_EPIPE when the reader of a pipe went away). After a failure only
 * leaf_undo, keep, discard and free may be called. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct qn_op;
struct qn_sink;

struct qn_sink_class {
    /* The next bytes of the rows as the encoder wrote them, cut anywhere; row_count rows more are on their way. Of a
     * JSON array every row has its comma; the sink leaves the last one out. */
    int (*leaf_begin)(struct qn_sink *sink, uint64_t leaf, struct qn_err *err);
    int (*rows)(struct qn_sink *sink, const char *data, size_t size, uint64_t row_count, struct qn_err *err);
    /* The same out of a file, where takes_files says so. The file keeps these bytes as they are until it is closed:
     * what a pipe holds may be the file's own pages. */
    int (*rows_of_file)(struct qn_sink *sink, int fd, uint64_t offset, size_t size, uint64_t row_count,
                        struct qn_err *err);
    int (*leaf_end)(struct qn_sink *sink, struct qn_err *err);
    /* Instead of leaf_end, where can_undo says so: as if leaf_begin had not been called. Also after a failure of rows.
     */
    int (*leaf_undo)(struct qn_sink *sink, struct qn_err *err);
    /* What leaf_end closed is out of our hands: with the operating system, and durable where the sink can resume. What
     * is being compressed follows in its own time, and fails in a later call. */
    int (*commit)(struct qn_sink *sink, struct qn_err *err);
    /* May more rows come? NULL: yes. Else the sink is full, and the op completes when it takes more; it is for one
     * waiter. Rows that come all the same are taken, and hold the caller meanwhile. May be NULL: never full. */
    struct qn_op *(*room)(struct qn_sink *sink);
    /* Nothing is added any more: all of it is written and durable, only its name is missing. publish does it if nobody
     * did. */
    int (*seal)(struct qn_sink *sink, struct qn_err *err);
    int (*publish)(struct qn_sink *sink, struct qn_err *err); /* the run is whole: under its name */
    void (*withdraw)(struct qn_sink *sink);                   /* after publish: no, it is not; what can be removed is */
    void (*keep)(struct qn_sink *sink);                       /* incomplete: the partial file stays */
    void (*discard)(struct qn_sink *sink);                    /* nothing stays */
    const char *(*partial_path)(const struct qn_sink *sink);  /* "" when there is none */
    void (*free)(struct qn_sink *sink);                       /* without publish or keep: discards */
};
struct qn_sink {
    const struct qn_sink_class *class;
    uint64_t rows_written, bytes_written; /* taken from the callers; they may still sit in a buffer */
    bool can_undo;                        /* what a leaf has so far can be taken back; else leaf_undo is not called */
    bool takes_files;                     /* rows_of_file may be called */
    uint64_t output_bytes; /* what the operating system took, compressed or not, and still has; known at the end */
};

static inline struct qn_op *qn_sink_room(struct qn_sink *sink)
{
    return sink->class->room ? sink->class->room(sink) : NULL;
}
