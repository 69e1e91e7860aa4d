/* base_world.h - what the tests of core/base and core/engine share: cmocka, and failing each allocation in turn. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

#define count_of(array) (sizeof(array) / sizeof *(array))

/* attempt does its work, frees everything and answers 0, or leaves nothing behind and answers QN_ENOMEM. It is run
 * with the first allocation failing, then the second, and so on until it passes. Answers how many failures it met. */
static inline unsigned torture(int (*attempt)(void))
{
    size_t blocks = qn_mem_blocks(), bytes = qn_mem_current();
    for (unsigned n = 1;; n++) {
        qn_mem_fail_after(n);
        int rc = attempt();
        qn_mem_fail_after(0);
        assert_int_equal(qn_mem_blocks(), blocks);
        assert_int_equal(qn_mem_current(), bytes);
        if (rc == 0) return n - 1;
        assert_int_equal(rc, QN_ENOMEM);
        assert_true(n < 10000);
    }
}
