/* file.h - the sink that writes CSV, NDJSON or a JSON array into a file, a pipe or a device.
 *
 * A file is written as `.NAME.RUN.partial` beside its target (locked, created exclusively), and publish syncs it and
 * renames it over the target, so that a reader sees the old file or the whole new one. A target that is a symbolic
 * link is written through: the file at its end is replaced, the link stays. Two runs may write to one output at the
 * same time, because their ids differ; the one that publishes last wins.
 *
 * Pipes, devices and standard output (path NULL, "" or "-") are written leaf by leaf: what is written cannot be taken
 * back, nothing is kept, and a reader that goes away is QN_EPIPE.
 *
 * A compressed output is packed in blocks, on threads of its own (see packer.h), the same bytes for a file and for a
 * pipe. What a pipe's reader has seen lags behind by some blocks, as behind a compressor in the pipe. A terminal is
 * refused.
 *
 * CSV: the header line once, at open, also for an empty result. JSON: one row a line between "[" and "]"; the "]" is
 * written by publish alone, so a failed run never looks whole. Opening a sink makes the process ignore SIGPIPE and
 * SIGXFSZ unless somebody handles them. */
#pragma once

#include "base/compress.h"
#include "sink/sink.h"

struct qn_loop;

enum qn_sink_format { QN_SINK_CSV, QN_SINK_NDJSON, QN_SINK_JSON };

struct qn_file_sink_options {
    const char *path; /* NULL, "" or "-": standard output */
    enum qn_sink_format format;
    const char *header; /* the CSV header line with its line end; not NUL-terminated; NULL: none */
    size_t header_size;
    const char *run; /* id of the run, part of the partial file's name; no slash */
    enum qn_compression compression;
    struct qn_loop *loop; /* where it is compressed: outlives the sink; else NULL */
    unsigned threads;     /* that compress; 0: one */
    bool optional;        /* without rows nothing stays, and publish removes what stood under the name; a file only */
};

/* QN_EIO (names the path and what to do), QN_EEXIST (the same run writes there already), QN_EINVAL, QN_ENOMEM.
 * The caller frees the sink by its class's free. */
int qn_file_sink_open(const struct qn_file_sink_options *options, struct qn_sink **out, struct qn_err *err);
