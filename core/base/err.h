/* err.h - error codes and the struct that carries one with its text.
 *
 * A function that can fail returns 0 or a negative QN_E... code and, if the caller gave a
 * `struct qn_err`, writes there what went wrong, where, and what to do, in one line without a
 * trailing newline. A function that fails leaves nothing behind. Any thread. */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum {
    QN_OK = 0,
    QN_EINVAL = -1,    /* misuse or a malformed value from outside */
    QN_ENOMEM = -2,    /* allocation failed */
    QN_ESYNTAX = -3,   /* a text breaks its grammar; `offset` says where */
    QN_ERANGE = -4,    /* a number or time out of the representable range */
    QN_ELIMIT = -5,    /* a bound was passed; the text names the bound */
    QN_EIO = -6,       /* the operating system refused; text ends in strerror */
    QN_ECANCELED = -7, /* cancelled by its owner */
    QN_ETIMEDOUT = -8, /* a deadline passed */
    QN_ENOENT = -9,    /* no such thing */
    QN_EEXIST = -10,   /* there already, or in use by another process */
    QN_EDENIED = -11,  /* refused by a rule of ours (origin, insecure peer, sandbox) */
    QN_ESTATE = -12,   /* called at the wrong time */
    QN_ESCRIPT = -13,  /* a user's script raised */
    QN_EPIPE = -14,    /* the reader went away */
};

#define QN_ERR_TEXT_SIZE 768

struct qn_err {
    int code;
    size_t offset; /* byte offset (0-based) into the text that was parsed, where that makes sense */
    char text[QN_ERR_TEXT_SIZE];
};

/* Fills err (may be NULL) and returns code, so that callers can `return qn_fail(...)`. */
int qn_fail(struct qn_err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The same with an offset. */
int qn_fail_at(struct qn_err *err, int code, size_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for a failed system call: appends ": " and the text of errno_value. */
int qn_fail_errno(struct qn_err *err, int code, int errno_value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A static word for a code ("limit", "io"); "unknown" for anything else. */
const char *qn_err_name(int code);
