#include "sink/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "sink/output.h"
#include "sink/packer.h"

#define PIPE_BYTES (1 << 20)

struct mark { /* what there was before a leaf */
    uint64_t rows, bytes;
    char tail[2];
    size_t tail_size;
};

struct file_sink {
    struct qn_sink sink; /* first: the class sees this */
    enum qn_sink_format format;
    struct qn_output output;
    enum qn_compression compression;
    struct qn_packer *packer;     /* NULL: not compressed; else before output */
    struct qn_output_names names; /* of a file; empty for streams */
    char *name;                   /* of a stream, for messages */
    char tail[2];                 /* of a JSON array: the last bytes, which may be a comma that no row follows */
    size_t tail_size;
    bool in_leaf;
    struct mark mark; /* in a leaf */
    bool stream;
    bool ours; /* the descriptor is closed by us */
    bool over; /* published, kept or discarded */
    bool sealed, published, optional;
};

static struct file_sink *of(struct qn_sink *sink)
{
    return (struct file_sink *)sink;
}

static int add(struct file_sink *file, const char *data, size_t size, struct qn_err *err)
{
    int rc =
        file->packer ? qn_packer_add(file->packer, data, size, err) : qn_output_add(&file->output, data, size, err);
    if (rc == 0) file->sink.bytes_written += size;
    return rc;
}

static int closed(struct qn_err *err)
{
    return qn_fail(err, QN_ESTATE, "rows for an output that is closed");
}

static int leaf_begin(struct qn_sink *sink, uint64_t leaf, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    (void)leaf;
    if (file->over) return closed(err);
    file->mark = (struct mark){.rows = sink->rows_written, .bytes = sink->bytes_written, .tail_size = file->tail_size};
    memcpy(file->mark.tail, file->tail, sizeof file->tail);
    file->in_leaf = true;
    return 0;
}

static int leaf_undo(struct qn_sink *sink, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    if (!file->in_leaf) return 0;
    file->in_leaf = false;
    sink->rows_written = file->mark.rows;
    sink->bytes_written = file->mark.bytes;
    memcpy(file->tail, file->mark.tail, sizeof file->tail);
    file->tail_size = file->mark.tail_size;
    return qn_output_cut(&file->output, file->mark.bytes, err);
}

/* All but the last two bytes so far. */
static int add_array(struct file_sink *file, const char *data, size_t size, struct qn_err *err)
{
    char *tail = file->tail;
    size_t known = file->tail_size + size;
    size_t from_tail = known > sizeof file->tail ? known - sizeof file->tail : 0;
    if (from_tail > file->tail_size) from_tail = file->tail_size;
    int rc = add(file, tail, from_tail, err);
    memmove(tail, tail + from_tail, file->tail_size - from_tail);
    file->tail_size -= from_tail;
    size_t kept = sizeof file->tail - file->tail_size;
    if (kept > size) kept = size;
    if (rc == 0) rc = add(file, data, size - kept, err);
    memcpy(tail + file->tail_size, data + size - kept, kept);
    file->tail_size += kept;
    return rc;
}

static int rows(struct qn_sink *sink, const char *data, size_t size, uint64_t row_count, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    if (file->over) return closed(err);
    int rc = file->format == QN_SINK_JSON ? add_array(file, data, size, err) : add(file, data, size, err);
    if (rc == 0) sink->rows_written += row_count;
    return rc;
}

static int rows_of_file(struct qn_sink *sink, int fd, uint64_t offset, size_t size, uint64_t row_count,
                        struct qn_err *err)
{
    struct file_sink *file = of(sink);
    if (file->over) return closed(err);
    int rc = qn_output_add_file(&file->output, fd, offset, size, err);
    if (rc < 0) return rc;
    sink->bytes_written += size;
    sink->rows_written += row_count;
    return 0;
}

static int leaf_end(struct qn_sink *sink, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    file->in_leaf = false;
    if (file->packer) return qn_packer_leaf_end(file->packer, err);
    return file->stream ? qn_output_flush(&file->output, err) : 0;
}

/* The partial file is not synced here: nothing resumes from it, and publish syncs it before its name appears. For the
 * same reason a compressed output keeps its own time: where its blocks end must not depend on when leaves commit. */
static int commit(struct qn_sink *sink, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    return file->packer ? qn_packer_check(file->packer, err) : qn_output_flush(&file->output, err);
}

/* Everything is with the operating system. */
static int drain(struct file_sink *file, struct qn_err *err)
{
    int rc = file->packer ? qn_packer_finish(file->packer, err) : 0;
    return rc == 0 ? qn_output_flush(&file->output, err) : rc;
}

static struct qn_op *room(struct qn_sink *sink)
{
    struct file_sink *file = of(sink);
    return file->packer ? qn_packer_room(file->packer) : NULL;
}

static int close_output(struct file_sink *file)
{
    qn_packer_free(file->packer);
    file->packer = NULL;
    file->sink.output_bytes = file->output.written;
    qn_output_free(&file->output);
    file->over = true;
    int fd = file->output.fd;
    file->output.fd = -1;
    return file->ours && fd >= 0 ? close(fd) : 0;
}

static void discard(struct qn_sink *sink)
{
    struct file_sink *file = of(sink);
    if (file->over) return;
    if (!file->stream) unlink(file->names.partial); /* before the lock goes with the descriptor */
    file->names.partial[0] = 0;
    close_output(file);
    if (!file->stream) file->sink.output_bytes = 0;
}

static int finish(struct file_sink *file, struct qn_err *err)
{
    int rc = 0;
    if (file->format == QN_SINK_JSON) {
        rc = file->tail_size > 0 ? add(file, "\n]\n", 3, err) : add(file, "]\n", 2, err);
    }
    return rc == 0 ? drain(file, err) : rc;
}

/* A rename lasts only when its directory is synced. File systems that cannot sync one say EINVAL. */
static int sync_directory(struct file_sink *file, struct qn_err *err)
{
    int fd = open(file->names.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return 0; /* a directory we may write but not read */
    int failed = fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? errno : 0;
    close(fd);
    if (!failed) return 0;
    return qn_fail_errno(err, QN_EIO, failed, "'%s' is written, but its directory could not be synced",
                         file->names.target);
}

static int seal(struct qn_sink *sink, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    if (file->sealed) return 0;
    int rc = finish(file, err);
    if (rc < 0) return rc;
    if (!file->stream && fsync(file->output.fd) < 0) {
        return qn_fail_errno(err, QN_EIO, errno, "cannot sync '%s' (%llu bytes)", file->names.partial,
                             (unsigned long long)file->output.written);
    }
    file->sealed = true;
    return 0;
}

/* Nothing to publish: what an earlier run left under the name would be taken for this one's. */
static int publish_nothing(struct file_sink *file, struct qn_err *err)
{
    bool removed = unlink(file->names.target) == 0;
    if (!removed && errno != ENOENT) {
        return qn_fail_errno(err, QN_EIO, errno, "cannot remove '%s' of an earlier run", file->names.target);
    }
    discard(&file->sink);
    return removed ? sync_directory(file, err) : 0;
}

static int publish_file(struct file_sink *file, struct qn_err *err)
{
    if (rename(file->names.partial, file->names.target) < 0) {
        return qn_fail_errno(err, QN_EIO, errno, "cannot rename '%s' to '%s'", file->names.partial, file->names.target);
    }
    file->names.partial[0] = 0; /* from here on nothing may be unlinked */
    file->published = true;
    return sync_directory(file, err);
}

static int publish(struct qn_sink *sink, struct qn_err *err)
{
    struct file_sink *file = of(sink);
    if (file->over) return qn_fail(err, QN_ESTATE, "publish of an output that is closed");
    int rc = seal(sink, err);
    if (rc == 0 && !file->stream && file->optional && sink->rows_written == 0) {
        rc = publish_nothing(file, err);
        if (rc == 0) return 0;
    } else if (rc == 0 && !file->stream)
        rc = publish_file(file, err);
    if (rc < 0) {
        discard(sink);
        return rc;
    }
    if (close_output(file) < 0 && errno != EINTR) {
        const char *name = file->stream ? file->name : file->names.target;
        return qn_fail_errno(err, QN_EIO, errno, "cannot close '%s'", name);
    }
    return 0;
}

static void withdraw(struct qn_sink *sink)
{
    struct file_sink *file = of(sink);
    if (file->published) unlink(file->names.target);
    file->published = false;
}

static void keep(struct qn_sink *sink)
{
    struct file_sink *file = of(sink);
    if (file->over) return;
    if (file->in_leaf && sink->can_undo) leaf_undo(sink, NULL);
    if (file->optional && sink->rows_written == 0) {
        discard(sink);
        return;
    }
    drain(file, NULL); /* what fits is kept; the run has failed already */
    close_output(file);
}

static const char *partial_path(const struct qn_sink *sink)
{
    return ((const struct file_sink *)sink)->names.partial;
}

static void free_sink(struct qn_sink *sink)
{
    struct file_sink *file = of(sink);
    discard(sink);
    qn_free(file->name);
    qn_free(file);
}

static const struct qn_sink_class file_class = {
    .leaf_begin = leaf_begin,
    .rows = rows,
    .rows_of_file = rows_of_file,
    .leaf_end = leaf_end,
    .leaf_undo = leaf_undo,
    .commit = commit,
    .room = room,
    .seal = seal,
    .publish = publish,
    .withdraw = withdraw,
    .keep = keep,
    .discard = discard,
    .partial_path = partial_path,
    .free = free_sink,
};

static int refuse_open(const char *path, const struct qn_output_names *names, int error, struct qn_err *err)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return qn_fail_errno(err, QN_EIO, error,
                             "cannot write '%s': create the directory '%s' or choose another output", path,
                             names->directory);
    case EACCES:
    case EPERM:
    case EROFS:
        return qn_fail_errno(err, QN_EIO, error,
                             "cannot write '%s': make the directory '%s' writable or choose another "
                             "output",
                             path, names->directory);
    case EEXIST:
        return qn_fail(err, QN_EEXIST, "cannot write '%s': '%s' is there already; remove it if no run writes to it",
                       path, names->partial);
    default: return qn_fail_errno(err, QN_EIO, error, "cannot create '%s'; choose another output", names->partial);
    }
}

static int lock(struct file_sink *file, const char *path, struct qn_err *err)
{
    if (flock(file->output.fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return 0; /* some systems have no locks */
    return qn_fail(err, QN_EEXIST, "cannot write '%s': another run holds '%s'", path, file->names.partial);
}

static int open_file(struct file_sink *file, const char *path, const char *run, struct qn_err *err)
{
    int rc = qn_output_names(path, run, &file->names, err);
    struct stat st;
    bool exists = rc == 0 && stat(file->names.target, &st) == 0;
    if (exists && access(file->names.target, W_OK) < 0) {
        rc = qn_fail_errno(err, QN_EIO, errno, "cannot replace '%s'; make it writable or choose another output", path);
    }
    int fd = -1;
    if (rc == 0) {
        fd = open(file->names.partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0) rc = refuse_open(path, &file->names, errno, err);
    }
    if (rc < 0) {
        file->names.partial[0] = 0; /* not ours to unlink */
        return rc;
    }
    file->output.fd = fd;
    if (exists) (void)fchmod(fd, st.st_mode & 0777); /* the old file's permissions; not worth a failure */
    file->output.name = file->names.partial;
    return lock(file, path, err);
}

static int open_stream(struct file_sink *file, const char *path, struct qn_err *err)
{
    file->stream = true;
    file->ours = path != NULL;
    file->name = qn_strdup(path ? path : "standard output");
    if (!file->name) return qn_fail(err, QN_ENOMEM, "out of memory for the output");
    file->output.name = file->name;
    file->output.fd = path ? open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY) : STDOUT_FILENO;
    if (file->output.fd < 0) {
        return qn_fail_errno(err, QN_EIO, errno, "cannot write '%s'; choose another output", path);
    }
    fcntl(file->output.fd, F_SETPIPE_SZ, PIPE_BYTES); /* fewer turns between us and a reader; not worth a failure */
    if (file->compression == QN_COMPRESSION_NONE || !isatty(file->output.fd)) return 0;
    return qn_fail(err, QN_EINVAL, "compressed rows are not for a terminal: send them to a file or a pipe");
}

static int open_any(struct file_sink *file, const char *path, const char *run, struct qn_err *err)
{
    struct stat st;
    if (!path || *path == 0 || strcmp(path, "-") == 0) return open_stream(file, NULL, err);
    file->ours = true;
    if (stat(path, &st) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return qn_fail_errno(err, QN_EIO, EISDIR, "cannot write '%s'; name a file in it", path);
        }
        if (!S_ISREG(st.st_mode)) return open_stream(file, path, err);
    }
    return open_file(file, path, run, err);
}

static int begin(struct file_sink *file, const struct qn_file_sink_options *options, struct qn_err *err)
{
    int fd = file->output.fd;
    int rc = qn_output_init(&file->output, fd, file->stream ? file->name : file->names.partial, err);
    if (rc == 0 && file->compression != QN_COMPRESSION_NONE) {
        const struct qn_packer_options packer = {
            .loop = options->loop,
            .output = &file->output,
            .compression = file->compression,
            .threads = options->threads > 0 ? options->threads : 1,
        };
        rc = qn_packer_new(&packer, &file->packer, err);
    }
    if (rc < 0) return rc;
    if (options->format == QN_SINK_JSON) return add(file, "[\n", 2, err);
    if (options->format == QN_SINK_CSV && options->header) return add(file, options->header, options->header_size, err);
    return 0;
}

int qn_file_sink_open(const struct qn_file_sink_options *options, struct qn_sink **out, struct qn_err *err)
{
    if (!options->run || *options->run == 0 || strchr(options->run, '/')) {
        return qn_fail(err, QN_EINVAL, "the id of a run must not be empty or hold a slash");
    }
    struct file_sink *file = qn_calloc(1, sizeof *file);
    if (!file) return qn_fail(err, QN_ENOMEM, "out of memory for the output");
    file->sink.class = &file_class;
    file->format = options->format;
    file->optional = options->optional;
    file->compression = options->compression;
    file->output.fd = -1;
    qn_output_quiet_signals();
    int rc = open_any(file, options->path, options->run, err);
    file->sink.takes_files = options->format != QN_SINK_JSON && file->compression == QN_COMPRESSION_NONE;
    file->sink.can_undo = !file->stream && file->compression == QN_COMPRESSION_NONE;
    if (rc == 0) rc = begin(file, options, err);
    if (rc < 0) {
        free_sink(&file->sink);
        return rc;
    }
    *out = &file->sink;
    return 0;
}
