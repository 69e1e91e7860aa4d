/* err.c - see err.h. */
#include "base/err.h"

#include <stdio.h>
#include <string.h>

static int fill(struct qn_err *err, int code, size_t offset, const char *format, va_list args)
{
    if (err) {
        err->code = code;
        err->offset = offset;
        vsnprintf(err->text, sizeof err->text, format, args);
    }
    return code;
}

int qn_fail(struct qn_err *err, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, 0, format, args);
    va_end(args);
    return code;
}

int qn_fail_at(struct qn_err *err, int code, size_t offset, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, offset, format, args);
    va_end(args);
    return code;
}

int qn_fail_errno(struct qn_err *err, int code, int errno_value, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fill(err, code, 0, format, args);
    va_end(args);
    if (err) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errno_value));
    }
    return code;
}

const char *qn_err_name(int code)
{
    static const char *const names[] = {
        [0] = "ok",
        [-QN_EINVAL] = "invalid",
        [-QN_ENOMEM] = "memory",
        [-QN_ESYNTAX] = "syntax",
        [-QN_ERANGE] = "range",
        [-QN_ELIMIT] = "limit",
        [-QN_EIO] = "io",
        [-QN_ECANCELED] = "cancelled",
        [-QN_ETIMEDOUT] = "timeout",
        [-QN_ENOENT] = "missing",
        [-QN_EEXIST] = "exists",
        [-QN_EDENIED] = "denied",
        [-QN_ESTATE] = "state",
        [-QN_ESCRIPT] = "script",
        [-QN_EPIPE] = "pipe",
    };
    if (code > 0 || code < QN_EPIPE) return "unknown";
    return names[-code];
}
