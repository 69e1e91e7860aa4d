/* mem.h - the one allocator: malloc with a count, a peak and, for tests, planned failures.
 *
 * Every byte quern's C code and its Lua states use comes from here, so that tests can prove that
 * nothing is left and that memory is flat. Any thread; the counters are atomic. Nothing here
 * raises or aborts: NULL means "no memory". qn_free(NULL) is fine. */
#pragma once

#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

void *qn_malloc(size_t size);
void *qn_calloc(size_t count, size_t size); /* zeroed; checks count * size for overflow */
void *qn_realloc(void *ptr, size_t size);   /* size 0 frees and returns NULL */
void qn_free(void *ptr);
char *qn_strdup(const char *text);
char *qn_strndup(const char *text, size_t size); /* always NUL-terminated */

size_t qn_mem_current(void); /* bytes allocated now (usable sizes) */
size_t qn_mem_peak(void);    /* highest value of current since the last reset */
size_t qn_mem_blocks(void);  /* live allocations */
void qn_mem_reset_peak(void);
/* Tests: the n-th allocation from now fails (1 = the next), and so do all after it until
 * qn_mem_fail_after(0) clears it. fail_once: only the n-th fails. */
void qn_mem_fail_after(uint64_t n);
void qn_mem_fail_once(uint64_t n);
bool qn_mem_fails(void); /* a failure is planned, and has not come yet or goes on */
