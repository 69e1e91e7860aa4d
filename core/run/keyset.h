/* keyset.h - the keys seen in a leaf: a hash set while the leaf is fetched, a sorted list once it is whole.
 *
 * The set is in memory while it is small, then in a mapped temporary file that has no name, so that a leaf of any
 * size takes little memory. A list is 16 bytes a key in a spool, looked up by binary search. Main thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "run/spool.h"

struct qn_keyset {
    struct qn_spool_pool *pool; /* whence the file; NULL: memory only */
    struct qn_hash *slots;      /* open addressing; {0, 0} is empty */
    size_t capacity;            /* of slots; 0 or a power of two */
    size_t count;               /* keys, the zero hash included */
    bool has_zero;
    bool mapped;
};

void qn_keyset_init(struct qn_keyset *set, struct qn_spool_pool *pool);
void qn_keyset_free(struct qn_keyset *set); /* empty and usable again */
/* *added is false if it was there. QN_ENOMEM, QN_EIO; then nothing has changed. */
int qn_keyset_add(struct qn_keyset *set, struct qn_hash key, bool *added, struct qn_err *err);
bool qn_keyset_has(const struct qn_keyset *set, struct qn_hash key);

/* Keys, sorted, in a spool that may hold other lists too. */
struct qn_keylist {
    uint64_t offset; /* in its spool */
    uint64_t count;
};
/* Appends the set's keys to a spool and empties the set, also after a failure. */
int qn_keyset_store(struct qn_keyset *set, struct qn_spool *spool, struct qn_keylist *out, struct qn_err *err);
/* Appends a list of one spool to another. */
int qn_keylist_copy(const struct qn_keylist *list, const struct qn_spool *from, struct qn_spool *to,
                    struct qn_keylist *out, struct qn_err *err);
int qn_keylist_has(const struct qn_keylist *list, const struct qn_spool *spool, struct qn_hash key, bool *found,
                   struct qn_err *err);
