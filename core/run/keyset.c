#include "run/keyset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

#define FIRST_SLOTS  ((size_t)256)
#define MEMORY_SLOTS ((size_t)64 << 10) /* 1 MB; a larger table is mapped */

static bool is_zero(struct qn_hash key)
{
    return key.hi == 0 && key.lo == 0;
}

static bool equal(struct qn_hash a, struct qn_hash b)
{
    return a.hi == b.hi && a.lo == b.lo;
}

static bool less(struct qn_hash a, struct qn_hash b)
{
    return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}

void qn_keyset_init(struct qn_keyset *set, struct qn_spool_pool *pool)
{
    *set = (struct qn_keyset){.pool = pool};
}

static void free_slots(struct qn_hash *slots, size_t capacity, bool mapped)
{
    if (mapped)
        munmap(slots, capacity * sizeof *slots);
    else
        qn_free(slots);
}

void qn_keyset_free(struct qn_keyset *set)
{
    if (set->slots) free_slots(set->slots, set->capacity, set->mapped);
    qn_keyset_init(set, set->pool);
}

/* The file's space is reserved first: a full disk is an error here, not a SIGBUS later. */
static int map_slots(struct qn_spool_pool *pool, size_t size, struct qn_hash **out, struct qn_err *err)
{
    int fd = qn_spool_pool_file(pool, err);
    if (fd < 0) return fd;
    int failed;
    do failed = posix_fallocate(fd, 0, (off_t)size);
    while (failed == EINTR);
    void *memory = failed ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!failed && memory == MAP_FAILED) failed = errno;
    close(fd);
    if (failed) {
        return qn_fail_errno(err, QN_EIO, failed,
                             "cannot spool %zu MB of keys; free space beside the output or set TMPDIR", size >> 20);
    }
    *out = memory;
    return 0;
}

static int new_slots(struct qn_keyset *set, size_t capacity, struct qn_hash **slots, bool *mapped, struct qn_err *err)
{
    *mapped = set->pool && capacity > MEMORY_SLOTS;
    if (*mapped) return map_slots(set->pool, capacity * sizeof **slots, slots, err);
    *slots = qn_calloc(capacity, sizeof **slots);
    return *slots ? 0 : qn_fail(err, QN_ENOMEM, "out of memory for the keys of a leaf");
}

/* The slot of the key, or the empty one where it belongs. */
static size_t probe(const struct qn_hash *slots, size_t capacity, struct qn_hash key)
{
    size_t slot = (size_t)key.lo & (capacity - 1);
    while (!is_zero(slots[slot]) && !equal(slots[slot], key)) slot = (slot + 1) & (capacity - 1);
    return slot;
}

static int grow(struct qn_keyset *set, struct qn_err *err)
{
    size_t capacity = set->capacity > 0 ? set->capacity * 2 : FIRST_SLOTS;
    struct qn_hash *slots;
    bool mapped;
    int rc = new_slots(set, capacity, &slots, &mapped, err);
    if (rc < 0) return rc;
    for (size_t i = 0; i < set->capacity; i++) {
        if (!is_zero(set->slots[i])) slots[probe(slots, capacity, set->slots[i])] = set->slots[i];
    }
    if (set->slots) free_slots(set->slots, set->capacity, set->mapped);
    set->slots = slots;
    set->capacity = capacity;
    set->mapped = mapped;
    return 0;
}

int qn_keyset_add(struct qn_keyset *set, struct qn_hash key, bool *added, struct qn_err *err)
{
    if (is_zero(key)) {
        *added = !set->has_zero;
        set->count += *added;
        set->has_zero = true;
        return 0;
    }
    size_t slot = set->capacity > 0 ? probe(set->slots, set->capacity, key) : 0;
    *added = set->capacity == 0 || is_zero(set->slots[slot]);
    if (!*added) return 0;
    if (set->count >= set->capacity / 2) {
        int rc = grow(set, err);
        if (rc < 0) return rc;
        slot = probe(set->slots, set->capacity, key);
    }
    set->slots[slot] = key;
    set->count++;
    return 0;
}

bool qn_keyset_has(const struct qn_keyset *set, struct qn_hash key)
{
    if (is_zero(key)) return set->has_zero;
    return set->capacity > 0 && !is_zero(set->slots[probe(set->slots, set->capacity, key)]);
}

static void swap(struct qn_hash *a, struct qn_hash *b)
{
    struct qn_hash t = *a;
    *a = *b;
    *b = t;
}

static void sift(struct qn_hash *keys, size_t root, size_t count)
{
    for (size_t child; (child = 2 * root + 1) < count; root = child) {
        if (child + 1 < count && less(keys[child], keys[child + 1])) child++;
        if (!less(keys[root], keys[child])) return;
        swap(&keys[root], &keys[child]);
    }
}

/* In place, because qsort may take as much memory again, and never quadratic, whatever keys an API makes up. */
static void sort(struct qn_hash *keys, size_t count)
{
    for (size_t i = count / 2; i > 0; i--) sift(keys, i - 1, count);
    for (size_t i = count; i > 1; i--) {
        swap(&keys[0], &keys[i - 1]);
        sift(keys, 0, i - 1);
    }
}

int qn_keyset_store(struct qn_keyset *set, struct qn_spool *spool, struct qn_keylist *out, struct qn_err *err)
{
    struct qn_hash zero = {0, 0};
    size_t count = 0;
    for (size_t i = 0; i < set->capacity; i++) {
        if (!is_zero(set->slots[i])) set->slots[count++] = set->slots[i];
    }
    sort(set->slots, count);
    *out = (struct qn_keylist){.offset = spool->size, .count = set->count};
    int rc = set->has_zero ? qn_spool_add(spool, &zero, sizeof zero, err) : 0;
    if (rc == 0) rc = qn_spool_add(spool, set->slots, count * sizeof *set->slots, err);
    qn_keyset_free(set);
    return rc;
}

int qn_keylist_copy(const struct qn_keylist *list, const struct qn_spool *from, struct qn_spool *to,
                    struct qn_keylist *out, struct qn_err *err)
{
    struct qn_hash keys[256];
    *out = (struct qn_keylist){.offset = to->size, .count = list->count};
    int rc = 0;
    for (uint64_t done = 0; rc == 0 && done < list->count;) {
        uint64_t left = list->count - done;
        size_t n = left < 256 ? (size_t)left : 256;
        rc = qn_spool_read(from, list->offset + done * sizeof *keys, keys, n * sizeof *keys, err);
        if (rc == 0) rc = qn_spool_add(to, keys, n * sizeof *keys, err);
        done += n;
    }
    return rc;
}

int qn_keylist_has(const struct qn_keylist *list, const struct qn_spool *spool, struct qn_hash key, bool *found,
                   struct qn_err *err)
{
    uint64_t low = 0, high = list->count;
    *found = false;
    while (low < high && !*found) {
        uint64_t middle = low + (high - low) / 2;
        struct qn_hash at;
        int rc = qn_spool_read(spool, list->offset + middle * sizeof at, &at, sizeof at, err);
        if (rc < 0) return rc;
        *found = equal(at, key);
        if (less(at, key))
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}
