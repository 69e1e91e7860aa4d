/* index.h - where the tokens of a JSON text begin.
 *
 * A scan finds the offset of every structural character ({ } [ ] : ,), of every opening quote and of the first
 * byte of every other run outside strings, and checks that the text is UTF-8, that every string is closed and
 * that no string holds a control character. It checks no grammar: build.c does. There are two scans with one
 * meaning, simdjson's (fast; says only that a text is wrong) and a scalar one (says where). Any thread. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" { /* err.h is plain C */
#endif

#include "base/err.h"

#define QN_INDEX_MAX_SIZE ((size_t)INT32_MAX - 64) /* a node marks strings with the bit above */

struct qn_index {
    const uint32_t *at; /* ascending offsets, and at[count] is the size of the text */
    size_t count;
    void *owner; /* freed by release */
    void (*release)(void *owner);
};

/* Both: size is at most QN_INDEX_MAX_SIZE. 0, QN_ESYNTAX or QN_ENOMEM; `out` needs freeing after 0 only, and is good
 * until the next scan of the same thread. */
typedef int qn_index_scan(const char *text, size_t size, struct qn_index *out, struct qn_err *err);
int qn_index_simd(const char *text, size_t size, struct qn_index *out, struct qn_err *err);
int qn_index_scalar(const char *text, size_t size, struct qn_index *out, struct qn_err *err);
void qn_index_free(struct qn_index *index);

#ifdef __cplusplus
}
#endif
