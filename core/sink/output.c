#include "sink/output.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_LINKS 40 /* as Linux does */

int qn_output_init(struct qn_output *output, int fd, const char *name, struct qn_err *err)
{
    *output = (struct qn_output){.fd = fd, .name = name};
    output->buffer = qn_malloc(QN_OUTPUT_BUFFER);
    return output->buffer ? 0 : qn_fail(err, QN_ENOMEM, "out of memory for the output buffer of '%s'", name);
}

void qn_output_free(struct qn_output *output)
{
    qn_free(output->buffer);
    output->buffer = NULL;
    output->used = 0;
}

static int refuse(const struct qn_output *output, int error, struct qn_err *err)
{
    if (error == EPIPE) return qn_fail(err, QN_EPIPE, "the reader of '%s' went away", output->name);
    const char *advice = "";
    if (error == ENOSPC || error == EDQUOT) advice = "; free space or choose another output";
    if (error == EFBIG) advice = "; raise the limit on file sizes (ulimit -f) or choose another output";
    return qn_fail_errno(err, QN_EIO, error, "cannot write '%s' beyond %llu bytes%s", output->name,
                         (unsigned long long)output->written, advice);
}

/* A slow reader slows the run; one that leaves is the next write's EPIPE. */
static void wait_for_reader(const struct qn_output *output)
{
    struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
    poll(&ready, 1, -1);
}

static int write_all(struct qn_output *output, const char *data, size_t size, struct qn_err *err)
{
    while (size > 0) {
        ssize_t n = write(output->fd, data, size);
        if (n >= 0) {
            data += n;
            size -= (size_t)n;
            output->written += (uint64_t)n;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            wait_for_reader(output);
        } else if (errno != EINTR) {
            return refuse(output, errno, err);
        }
    }
    return 0;
}

int qn_output_flush(struct qn_output *output, struct qn_err *err)
{
    size_t size = output->used;
    output->used = 0; /* after a failure nothing is written twice */
    return write_all(output, output->buffer, size, err);
}

int qn_output_add(struct qn_output *output, const char *data, size_t size, struct qn_err *err)
{
    if (size > QN_OUTPUT_BUFFER - output->used) {
        int rc = qn_output_flush(output, err);
        if (rc < 0) return rc;
    }
    if (size >= QN_OUTPUT_BUFFER) return write_all(output, data, size, err);
    if (size > 0) memcpy(output->buffer + output->used, data, size);
    output->used += size;
    return 0;
}

/* Through the buffer, which is empty, for outputs that the system cannot send a file to. */
static int copy_file(struct qn_output *output, int fd, uint64_t offset, size_t size, struct qn_err *err)
{
    int rc = 0;
    while (rc == 0 && size > 0) {
        ssize_t n = pread(fd, output->buffer, size < QN_OUTPUT_BUFFER ? size : QN_OUTPUT_BUFFER, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return qn_fail_errno(err, QN_EIO, n < 0 ? errno : EIO, "cannot read the rows that wait");
        rc = write_all(output, output->buffer, (size_t)n, err);
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return rc;
}

int qn_output_add_file(struct qn_output *output, int fd, uint64_t offset, size_t size, struct qn_err *err)
{
    int rc = qn_output_flush(output, err);
    off_t at = (off_t)offset;
    while (rc == 0 && size > 0) {
        ssize_t n = sendfile(output->fd, fd, &at, size);
        if (n > 0) {
            size -= (size_t)n;
            output->written += (uint64_t)n;
        } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for_reader(output);
        } else if (n == 0 || errno == EINVAL || errno == ENOSYS || errno == EOVERFLOW) {
            return copy_file(output, fd, (uint64_t)at, size, err); /* such as a file opened for appending */
        } else if (errno != EINTR) {
            return refuse(output, errno, err);
        }
    }
    return rc;
}

int qn_output_cut(struct qn_output *output, uint64_t size, struct qn_err *err)
{
    if (size >= output->written) {
        uint64_t kept = size - output->written;
        if (kept < output->used) output->used = (size_t)kept;
        return 0;
    }
    output->used = 0;
    if (ftruncate(output->fd, (off_t)size) < 0 || lseek(output->fd, (off_t)size, SEEK_SET) < 0) {
        return qn_fail_errno(err, QN_EIO, errno, "cannot cut '%s' back to %llu bytes", output->name,
                             (unsigned long long)size);
    }
    output->written = size;
    return 0;
}

static int too_long(const char *path, struct qn_err *err)
{
    return qn_fail_errno(err, QN_EIO, ENAMETOOLONG, "cannot write '%s'; choose a shorter name", path);
}

/* "" stays "." and "/name" has "/". */
static void directory_of(const char *path, char *directory)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        strcpy(directory, ".");
        return;
    }
    size_t size = slash == path ? 1 : (size_t)(slash - path);
    memcpy(directory, path, size);
    directory[size] = 0;
}

static int join(char *out, const char *directory, const char *name)
{
    const char *slash = directory[strlen(directory) - 1] == '/' ? "" : "/";
    int n = snprintf(out, PATH_MAX, "%s%s%s", directory, slash, name);
    return n > 0 && n < PATH_MAX ? 0 : -1;
}

/* Link by link, so that a link to a file that is not there yet names that file, as open would. */
static int follow(const char *path, char *out, struct qn_err *err)
{
    char link[PATH_MAX], directory[PATH_MAX];
    if (strlen(path) >= PATH_MAX) return too_long(path, err);
    strcpy(out, path);
    for (int i = 0; i < MAX_LINKS; i++) {
        struct stat st;
        if (lstat(out, &st) < 0 || !S_ISLNK(st.st_mode)) return 0;
        ssize_t n = readlink(out, link, sizeof link - 1);
        if (n < 0) return qn_fail_errno(err, QN_EIO, errno, "cannot read the link '%s'", out);
        link[n] = 0;
        directory_of(out, directory);
        if (link[0] == '/')
            strcpy(out, link);
        else if (join(out, directory, link) < 0)
            return too_long(path, err);
    }
    return qn_fail_errno(err, QN_EIO, ELOOP, "cannot write '%s'; its links lead nowhere", path);
}

int qn_output_names(const char *path, const char *run, struct qn_output_names *out, struct qn_err *err)
{
    int rc = follow(path, out->target, err);
    if (rc < 0) return rc;
    const char *slash = strrchr(out->target, '/');
    const char *name = slash ? slash + 1 : out->target;
    if (*name == 0) {
        return qn_fail(err, QN_EINVAL, "the output '%s' names a directory; name a file in it", path);
    }
    directory_of(out->target, out->directory);
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, ".%s.%s.partial", name, run);
    if (n < 0 || n > NAME_MAX || join(out->partial, out->directory, partial) < 0) return too_long(path, err);
    return 0;
}

static void quiet(int number)
{
    struct sigaction now;
    if (sigaction(number, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL) {
        signal(number, SIG_IGN);
    }
}

void qn_output_quiet_signals(void)
{
    quiet(SIGPIPE);
    quiet(SIGXFSZ);
}
