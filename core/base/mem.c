/* mem.c - see mem.h. Sizes are those that malloc_usable_size reports, so no header is needed. */
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static atomic_size_t current, peak, blocks;
static atomic_uint_fast64_t fail_countdown; /* 0: no failure planned; 1: the next allocation fails */
static atomic_bool fail_once;               /* ... and no other */

static bool planned_failure(void)
{
    uint_fast64_t left = atomic_load_explicit(&fail_countdown, memory_order_relaxed);
    while (left > 1) {
        if (atomic_compare_exchange_weak(&fail_countdown, &left, left - 1)) return false;
    }
    return left == 1 && (!atomic_load(&fail_once) || atomic_compare_exchange_strong(&fail_countdown, &left, 0));
}

static void count(void *ptr)
{
    size_t now = atomic_fetch_add(&current, malloc_usable_size(ptr)) + malloc_usable_size(ptr);
    size_t seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {}
    atomic_fetch_add(&blocks, 1);
}

static void uncount(void *ptr)
{
    atomic_fetch_sub(&current, malloc_usable_size(ptr));
    atomic_fetch_sub(&blocks, 1);
}

void *qn_malloc(size_t size)
{
    if (planned_failure()) return NULL;
    void *ptr = malloc(size ? size : 1);
    if (ptr) count(ptr);
    return ptr;
}

void *qn_calloc(size_t count_wanted, size_t size)
{
    size_t total;
    if (planned_failure() || __builtin_mul_overflow(count_wanted, size, &total)) return NULL;
    void *ptr = calloc(count_wanted ? count_wanted : 1, size ? size : 1);
    if (ptr) count(ptr);
    return ptr;
}

void *qn_realloc(void *ptr, size_t size)
{
    if (!ptr) return qn_malloc(size);
    if (size == 0) {
        qn_free(ptr);
        return NULL;
    }
    if (planned_failure()) return NULL;
    size_t before = malloc_usable_size(ptr);
    void *moved = realloc(ptr, size);
    if (!moved) return NULL;
    atomic_fetch_sub(&current, before);
    atomic_fetch_sub(&blocks, 1);
    count(moved);
    return moved;
}

void qn_free(void *ptr)
{
    if (!ptr) return;
    uncount(ptr);
    free(ptr);
}

char *qn_strndup(const char *text, size_t size)
{
    char *copy = qn_malloc(size + 1);
    if (!copy) return NULL;
    if (size) memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

char *qn_strdup(const char *text)
{
    return qn_strndup(text, strlen(text));
}

size_t qn_mem_current(void)
{
    return atomic_load(&current);
}

size_t qn_mem_peak(void)
{
    return atomic_load(&peak);
}

size_t qn_mem_blocks(void)
{
    return atomic_load(&blocks);
}

void qn_mem_reset_peak(void)
{
    atomic_store(&peak, atomic_load(&current));
}

void qn_mem_fail_after(uint64_t n)
{
    atomic_store(&fail_once, false);
    atomic_store(&fail_countdown, n);
}

void qn_mem_fail_once(uint64_t n)
{
    atomic_store(&fail_once, true);
    atomic_store(&fail_countdown, n);
}

bool qn_mem_fails(void)
{
    return atomic_load(&fail_countdown) > 0;
}
