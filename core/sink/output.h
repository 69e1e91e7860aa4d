/* output.h - inside core/sink: buffered bytes to a file descriptor, and the names of an output. Main thread. */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QN_OUTPUT_BUFFER ((size_t)256 << 10)

struct qn_output {
    int fd;
    char *buffer;     /* QN_OUTPUT_BUFFER bytes */
    size_t used;      /* of the buffer, not yet handed over */
    uint64_t written; /* bytes the operating system took */
    const char *name; /* for messages; borrowed */
};

int qn_output_init(struct qn_output *output, int fd, const char *name, struct qn_err *err);
void qn_output_free(struct qn_output *output); /* drops what is buffered; does not close the descriptor */
/* Writes whole however the descriptor answers: short writes go on, EINTR and EAGAIN (after a poll) try again.
 * QN_EPIPE when the reader went away, else QN_EIO with the name and how many bytes there are. */
int qn_output_add(struct qn_output *output, const char *data, size_t size, struct qn_err *err);
/* The same out of a file, by the system without a copy of ours where it can. */
int qn_output_add_file(struct qn_output *output, int fd, uint64_t offset, size_t size, struct qn_err *err);
int qn_output_flush(struct qn_output *output, struct qn_err *err);
/* Of a file: takes back what stands beyond its first `size` bytes, buffered or written. Nothing if there are not so
 * many, because writing failed. */
int qn_output_cut(struct qn_output *output, uint64_t size, struct qn_err *err);

/* Where an output really goes. */
struct qn_output_names {
    char target[PATH_MAX];    /* the file, symbolic links followed */
    char directory[PATH_MAX]; /* of the target; "." if it has none */
    char partial[PATH_MAX];   /* DIRECTORY/.NAME.RUN.partial */
};

/* Follows path's links (a dangling one too) and names the partial file beside the file at their end. */
int qn_output_names(const char *path, const char *run, struct qn_output_names *out, struct qn_err *err);
/* A write that cannot be done must be an errno, not a signal: ignores SIGPIPE and SIGXFSZ where nobody handles them. */
void qn_output_quiet_signals(void);
