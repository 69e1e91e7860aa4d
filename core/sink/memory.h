/* memory.h - the sink of the tests: rows in memory, with the calls noted and failures on demand. */
#pragma once

#include "base/buf.h"
#include "sink/sink.h"

enum qn_memory_sink_end { QN_MEMORY_OPEN, QN_MEMORY_PUBLISHED, QN_MEMORY_KEPT, QN_MEMORY_DISCARDED };

struct qn_memory_sink {
    struct qn_sink sink;            /* first: pass &memory->sink */
    struct qn_buf bytes;            /* rows as they came */
    struct qn_buf calls;            /* "begin 1\nrows 12\nend\ncommit\n" ... */
    uint64_t mark_rows, mark_bytes; /* before the leaf at hand */
    bool note_calls;
    bool drop;             /* count the bytes, do not hold them */
    uint64_t fail_at_rows; /* rows() that fails with fail_code, from 1; 0: none */
    int fail_code;
    uint64_t rows_calls;
    struct qn_op *full; /* what room() answers from full_at_rows calls of rows() on; NULL: there is room */
    uint64_t full_at_rows;
    enum qn_memory_sink_end end;
};

/* Embedded by the test. class->free drops the memory, not the struct. */
void qn_memory_sink_init(struct qn_memory_sink *memory);
