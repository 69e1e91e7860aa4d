/* net_world.h - what the tests of core/net share: a loop, and the proof that nothing is left of it. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "base/mem.h"
#include "engine/loop.h"
#include "engine/op.h"

struct world {
    struct qn_loop *loop;
    size_t blocks; /* live allocations before the loop was made */
};

static inline void world_open(struct world *world, struct qn_clock *(*make_clock)(void))
{
    world->blocks = qn_mem_blocks();
    world->loop = qn_loop_new(make_clock());
    assert_non_null(world->loop);
}

static inline void world_close(struct world *world)
{
    assert_int_equal(qn_loop_free(world->loop), 0);
    assert_int_equal(qn_mem_blocks(), world->blocks);
}

/* Turns until the op is no longer pending. */
static inline void world_wait(struct world *world, const struct qn_op *op)
{
    for (int i = 0; op->state == QN_OP_PENDING; i++) {
        assert_true(i < 100000);
        bool alive = qn_loop_turn(world->loop, true);
        assert_true(alive || op->state != QN_OP_PENDING);
    }
}
