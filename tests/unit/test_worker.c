/* test_worker.c - Lua transforms on workers: values there and back, errors and limits by name, the same rows whatever
 * the number of workers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "engine/pool.h"
#include "lua/worker.h"

static const char *const items[] = {"$.items[*]"};

#define CONTEXT "{\"params\":{\"queue\":\"q1\",\"list\":[1,2]},\"now_ms\":1704067200000}"

static struct qn_plan *plan_of(enum qn_format format)
{
    struct qn_err err = {0};
    struct qn_plan *plan = NULL;
    struct qn_column_spec columns[] = {
        {.name = "a", .path = "$.a", .round = -1},
        {.name = "b", .path = "$.b", .round = -1},
        {.name = "c", .round = -1},
    };
    struct qn_plan_spec spec = {.records = items,
                                .record_levels = 1,
                                .columns = columns,
                                .column_count = 3,
                                .has_transform = true,
                                .format = format};
    if (qn_plan_new(&spec, &plan, &err) < 0) fail_msg("%s", err.text);
    return plan;
}

static struct qn_worker_setup setup_of(struct qn_plan *plan, const char *script)
{
    return (struct qn_worker_setup){.script_name = "@test.lua",
                                    .script_path = "test.lua",
                                    .script_dir = ".",
                                    .script_source = script,
                                    .script_size = strlen(script),
                                    .context = CONTEXT,
                                    .memory_bytes = (size_t)32 << 20,
                                    .instructions = 10000000,
                                    .plan = plan};
}

static struct qn_page *index_text(struct qn_plan *plan, const char *text)
{
    struct qn_err err = {0};
    struct qn_page *page = NULL;
    struct qn_bytes *bytes = qn_bytes_new(text, strlen(text));
    if (qn_convert_index(plan, bytes, &(struct qn_rows_context){0}, &page, &err) < 0) fail_msg("%s", err.text);
    qn_bytes_unref(bytes);
    return page;
}

/* One page through one worker: the rows, or (if it fails) the error's text; freed by the next call. */
static const char *convert(const char *script, const char *page, enum qn_format format)
{
    static char text[4096];
    struct qn_err err = {0};
    size_t blocks = qn_mem_blocks();
    struct qn_plan *plan = plan_of(format);
    struct qn_worker_setup setup = setup_of(plan, script);
    struct qn_worker *worker = qn_worker_open(&setup, 0, &err);
    if (!worker) {
        snprintf(text, sizeof text, "%s", err.text);
    } else {
        struct qn_worker_page where = {
            .where = "leaf 1 page 2", .chunk = "{\"id\":\"1\",\"from\":\"2024-01-01\"}", .leaf = 1, .page = 2};
        struct qn_page *indexed = index_text(plan, page);
        struct qn_batch *batch = NULL;
        if (qn_worker_rows(worker, indexed, &where, &batch, &err) < 0) {
            assert_null(batch);
            snprintf(text, sizeof text, "%s", err.text);
        } else {
            snprintf(text, sizeof text, "%.*s", (int)qn_bytes_size(batch->bytes), qn_bytes_data(batch->bytes));
        }
        qn_batch_unref(batch);
        qn_page_free(indexed);
        qn_worker_close(worker);
    }
    qn_plan_unref(plan);
    assert_int_equal(qn_mem_blocks(), blocks);
    return text;
}

#define TRANSFORM(body) "return { transform = function(record, row, ctx)\n" body "\nend }"
#define ONE             "{\"items\":[{\"a\":1,\"b\":\"x\"}]}"
#define HERE            "leaf 1 page 2, record 1: "

static void test_rows(void **state)
{
    (void)state;
    static const char page[] = "{\"items\":[{\"a\":1,\"b\":\"x\"},{\"a\":2},{\"a\":3,\"b\":null}]}";
    assert_string_equal(convert(TRANSFORM("row.c = record.a * 2 return row"), page, QN_FORMAT_CSV),
                        "1,x,2\r\n2,,4\r\n3,,6\r\n");
    assert_string_equal(convert(TRANSFORM("if record.a ~= 2 then return row end"), page, QN_FORMAT_CSV),
                        "1,x,\r\n3,,\r\n");
    assert_string_equal(
        convert(TRANSFORM("local t = {} for i = 1, record.a - 1 do t[i] = { a = record.a, c = i } end return t"), page,
                QN_FORMAT_CSV),
        "2,,1\r\n3,,1\r\n3,,2\r\n");
    assert_string_equal(convert(TRANSFORM("return { c = row.b == nil, b = row.b }"), page, QN_FORMAT_NDJSON),
                        "{\"a\":null,\"b\":\"x\",\"c\":false}\n{\"a\":null,\"b\":null,\"c\":true}\n{\"a\":null,\"b\":"
                        "null,\"c\":false}\n");
    assert_string_equal(convert(TRANSFORM("return record"), "{\"items\":[{\"a\":1,\"c\":[1.5,{}]}]}", QN_FORMAT_NDJSON),
                        "{\"a\":1,\"b\":null,\"c\":[1.5,{}]}\n");
}

static void test_values(void **state)
{
    (void)state;
    static const struct {
        const char *body, *row;
    } samples[] = {
        {"row.c = 1.5 return row", "{\"a\":1,\"b\":\"x\",\"c\":1.5}\n"},
        {"row.c = 3.0 return row", "{\"a\":1,\"b\":\"x\",\"c\":3.0}\n"},
        {"row.c = math.mininteger return row", "{\"a\":1,\"b\":\"x\",\"c\":-9223372036854775808}\n"},
        {"row.c = require('quern').null return row", "{\"a\":1,\"b\":\"x\",\"c\":null}\n"},
        {"row.c = { z = 1, a = { 1, 2 } } return row", "{\"a\":1,\"b\":\"x\",\"c\":{\"a\":[1,2],\"z\":1}}\n"},
        {"row.c = record return row", "{\"a\":1,\"b\":\"x\",\"c\":{\"a\":1,\"b\":\"x\"}}\n"},
        {"row.c = 'text \"q\"' return row", "{\"a\":1,\"b\":\"x\",\"c\":\"text \\\"q\\\"\"}\n"},
        {"row.c = require('quern').number '1.00000000000000000001' return row",
         "{\"a\":1,\"b\":\"x\",\"c\":1.00000000000000000001}\n"},
        {"row.c = ctx.params.queue .. ctx.chunk.id .. ctx.page .. ctx.record return row",
         "{\"a\":1,\"b\":\"x\",\"c\":\"q1121\"}\n"},
        {"row.c = #ctx.params.list return row", "{\"a\":1,\"b\":\"x\",\"c\":2}\n"},
        {"row.c = os.time() return row", "{\"a\":1,\"b\":\"x\",\"c\":1704067200}\n"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char script[512];
        snprintf(script, sizeof script, TRANSFORM("%s"), samples[i].body);
        assert_string_equal(convert(script, ONE, QN_FORMAT_NDJSON), samples[i].row);
    }
    assert_string_equal(
        convert(TRANSFORM("return row"),
                "{\"items\":[{\"a\":12345678901234567890123,\"b\":{\"k\":[1,{}]}},{\"a\":-0.25,\"b\":[]},{\"a\":-7,"
                "\"b\":true}]}",
                QN_FORMAT_NDJSON),
        "{\"a\":12345678901234567890123,\"b\":{\"k\":[1,{}]},\"c\":null}\n{\"a\":-0.25,\"b\":[],\"c\":null}\n"
        "{\"a\":-7,\"b\":true,\"c\":null}\n");
}

/* A transform is given what it names. */
static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *script, *row;
    } samples[] = {
        {"return { transform = function() return { a = 5 } end }", "5,,\r\n"},
        {"return { transform = function(record) return { a = record.a, c = record.b } end }", "1,,x\r\n"},
        {"return { transform = function(record, row) row.c = record.a return row end }", "1,x,1\r\n"},
        {"return { transform = function(...) return { a = select('#', ...), b = select(2, ...).b } end }", "3,x,\r\n"},
        {"return { transform = function(_, ...) local row, ctx = ... row.c = ctx.page return row end }", "1,x,2\r\n"},
        {"return { transform = function(record) return record end }", "1,x,\r\n"},
        {"return { transform = function(record) return { record, { a = 2 }, record } end }", "1,x,\r\n2,,\r\n1,x,\r\n"},
        {"return { transform = function(r, row, ctx) return { setmetatable(row, { __index = { a = 9 } }), ctx.params } "
         "end }",
         HERE "transform of test.lua: its row has 'list', which is not among the columns: a, b, c"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        assert_string_equal(convert(samples[i].script, ONE, QN_FORMAT_CSV), samples[i].row);
}

/* Texts are written from where Lua keeps them, except when something may take them away before that. */
static void test_row_that_changes_meanwhile(void **state)
{
    (void)state;
    static const char meddling[] =
        TRANSFORM("local made = { a = ('x'):rep(60) .. record.a, b = ('y'):rep(60) .. record.a }\n"
                  "made.c = setmetatable({}, { __name = 'quern.instant', __tostring = function()\n"
                  "  made.a, made.b = nil, nil\n"
                  "  for i = 1, 20000 do local _ = ('z'):rep(61) .. i end\n"
                  "  return 'now' end })\n"
                  "return made");
    const char *text = convert(meddling, ONE, QN_FORMAT_CSV);
    assert_null(strchr(text, 'z'));
    assert_non_null(strstr(text, ",now\r\n"));
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *body, *error;
    } samples[] = {
        {"return record.none.more", HERE "transform failed at test.lua:2: attempt to index a nil value (field 'none')"},
        {"error('no such queue')", HERE "transform failed at test.lua:2: no such queue"},
        {"error('plain', 0)", HERE "transform failed at test.lua:2: plain"},
        {"error(setmetatable({}, { __tostring = function() return 'an object' end }))",
         HERE "transform failed at test.lua:2: an object"},
        {"row.zz = 1 row.other = 2 return row",
         HERE "transform of test.lua: its row has 'other', which is not among the columns: a, b, c"},
        {"row.c = print return row", HERE "transform of test.lua: column 'c': a function cannot be written into a row"},
        {"row.c = 0/0 return row", HERE "column 'c': NaN cannot be written"},
        {"return 5", HERE "transform of test.lua: it must return a row, a list of rows or nil, not a number"},
        {"return { row, 7 }", HERE "transform of test.lua: row 2 of its list is a number, not a table"},
        {"return { row, a = 1 }", HERE "transform of test.lua: its answer is neither a row nor a list of rows: it has "
                                       "both places and names, or gaps"},
        {"return { [true] = 1 }", HERE "transform of test.lua: a row's keys are column names, not a boolean"},
        {"ctx.params.x = 1",
         HERE "transform failed at test.lua:2: ctx cannot be changed; a transform keeps nothing from record to record"},
    };
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char script[512];
        snprintf(script, sizeof script, TRANSFORM("%s"), samples[i].body);
        assert_string_equal(convert(script, ONE, QN_FORMAT_NDJSON), samples[i].error);
    }
    const char *text = convert(TRANSFORM("kept = kept or record local x = kept.a return row"),
                               "{\"items\":[{\"a\":1},{\"a\":2}]}", QN_FORMAT_NDJSON);
    assert_non_null(strstr(text, "record 2: transform failed at test.lua:2:"));
}

static void test_limits(void **state)
{
    (void)state;
    const char *text =
        convert(TRANSFORM("while true do pcall(function() while true do end end) end"), ONE, QN_FORMAT_CSV);
    assert_string_equal(text, HERE "transform failed: the function transform of test.lua ran more than 10000000 Lua "
                                   "instructions");
    static const char *const endless[] = {
        "while true do end",
        "goto on ::on:: goto on",
        "local function again() return again() end again()",
        "coroutine.wrap(function() while true do end end)()",
        "local co = coroutine.create(function() while true do coroutine.yield() end end) while true do "
        "coroutine.resume(co) end",
        "coroutine.wrap(function() coroutine.wrap(function() while true do pcall(error) end end)() end)()",
        "(('x'):gsub('.', function() while true do end end))",
        "table.sort({ 1, 2, 3 }, function() while true do end end)",
        "local _ = setmetatable({}, { __index = function() while true do end end }).x",
        "while true do local _ = record.a end",
        "for _ = 1, math.huge do for _ in ipairs { 1, 2 } do end end",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        char script[512];
        snprintf(script, sizeof script, TRANSFORM("%s%s"), endless[i][0] == '(' ? "local _ = " : "", endless[i]);
        text = convert(script, ONE, QN_FORMAT_CSV);
        assert_string_equal(text,
                            HERE "transform failed: the function transform of test.lua ran more than 10000000 Lua "
                                 "instructions");
    }
    text = convert(TRANSFORM("local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end"), ONE, QN_FORMAT_CSV);
    assert_string_equal(text, HERE
                        "transform failed: the function transform of test.lua ran out of memory (the limit is 32 MB)");
}

/* A wide object's table is of its own record. */
static void test_wide_records(void **state)
{
    (void)state;
    struct qn_buf page, wanted;
    qn_buf_init(&page, QN_BUF_NO_CAP);
    qn_buf_init(&wanted, QN_BUF_NO_CAP);
    for (int record = 0; record < 8; record++) {
        int sum = 0, count = 20 + record * 3;
        assert_int_equal(qn_buf_add_str(&page, record > 0 ? ",{\"a\":0" : "{\"items\":[{\"a\":0"), 0);
        for (int i = 0; i < count; i++) {
            sum += record * i;
            assert_int_equal(qn_buf_add_fmt(&page, ",\"m%d\":%d", i * (record % 2 ? 1 : 2), record * i), 0);
        }
        assert_int_equal(qn_buf_add_byte(&page, '}'), 0);
        assert_int_equal(qn_buf_add_fmt(&wanted, "%d,,\r\n", sum), 0);
    }
    assert_int_equal(qn_buf_add_str(&page, "]}"), 0);
    assert_string_equal(convert("return { transform = function(record) local sum = 0 for i = 0, 99 do sum = sum + "
                                "(record['m' .. i] or 0) end return { a = sum } end }",
                                qn_buf_cstr(&page), QN_FORMAT_CSV),
                        qn_buf_cstr(&wanted));
    qn_buf_free(&page);
    qn_buf_free(&wanted);
}

/* Long, but within its budget; and the record after one that was ended is none the worse for it. */
static void test_long_records(void **state)
{
    (void)state;
    static const char script[] =
        TRANSFORM("local n = 0 for i = 1, record.a do n = n + i % 7 end return { a = record.a, c = n }");
    assert_string_equal(convert(script, "{\"items\":[{\"a\":1000000},{\"a\":3},{\"a\":1500000}]}", QN_FORMAT_CSV),
                        "1000000,,2999998\r\n3,,6\r\n1500000,,4500000\r\n");
}

static void test_scripts_refused(void **state)
{
    (void)state;
    const char *text = convert("return { transform = 5 }", ONE, QN_FORMAT_CSV);
    assert_ptr_equal(strstr(text, "a worker cannot load test.lua: test.lua does not return a query with a transform"),
                     text);
    text = convert("return {", ONE, QN_FORMAT_CSV);
    assert_ptr_equal(strstr(text, "a worker cannot load test.lua: "), text);
    assert_non_null(strstr(text, "test.lua:1:"));
    text = convert("error 'at load'", ONE, QN_FORMAT_CSV);
    assert_ptr_equal(strstr(text, "a worker cannot load test.lua: test.lua:1: at load"), text);
}

/* order: pages of very different sizes through 1, 2 and 4 workers */

enum { PAGES = 48 };

struct page_job {
    struct qn_pool_job base;
    struct qn_page *page;
    struct qn_worker_page about;
    struct qn_batch *batch;
    struct qn_err err;
    int rc;
};

static void work(struct qn_pool_job *base, void *state)
{
    struct page_job *job = (struct page_job *)base;
    job->rc = qn_worker_rows(state, job->page, &job->about, &job->batch, &job->err);
}

static void never(struct qn_pool_job *job)
{
    (void)job;
    fail_msg("nothing was cancelled");
}

static void fill_page(struct qn_buf *text, int page)
{
    int records = 1 + (page * 7919) % 97;
    qn_buf_clear(text);
    assert_int_equal(qn_buf_add_str(text, "{\"items\":["), 0);
    for (int i = 0; i < records; i++) {
        assert_int_equal(qn_buf_add_fmt(text, "%s{\"a\":%d,\"b\":\"p%d\"}", i > 0 ? "," : "", i, page), 0);
    }
    assert_int_equal(qn_buf_add_str(text, "]}"), 0);
}

/* All rows in page order after the pages went through `threads` workers. */
static void convert_all(unsigned threads, struct qn_buf *out)
{
    static const char script[] =
        TRANSFORM("local t = {} for i = 1, 1 + record.a % 3 do"
                  " t[i] = { a = record.a, b = row.b .. '/' .. i, c = math.random(1000000) } end return t");
    static struct page_job jobs[PAGES];
    struct qn_err err = {0};
    struct qn_buf text;
    struct qn_pool *pool = NULL;
    unsigned used, overtakes;
    struct qn_plan *plan = plan_of(QN_FORMAT_CSV);
    struct qn_worker_setup setup = setup_of(plan, script);
    struct qn_loop *loop = qn_loop_new(qn_clock_real());
    struct qn_pool_options options = {
        .threads = threads, .open = qn_worker_open, .close = qn_worker_close, .context = &setup};
    if (qn_pool_new(loop, &options, &pool, &err) < 0) fail_msg("%s", err.text);
    qn_buf_init(&text, QN_BUF_NO_CAP);
    for (int i = 0; i < PAGES; i++) {
        fill_page(&text, i);
        jobs[i] = (struct page_job){.base = {.work = work, .abandoned = never},
                                    .about = {.where = "a page", .chunk = "{}", .page = i + 1}};
        jobs[i].page = index_text(plan, qn_buf_cstr(&text));
        qn_pool_submit(pool, &jobs[i].base);
    }
    while (qn_pool_load(pool) > 0) qn_loop_turn(loop, true);
    for (int i = 0; i < PAGES; i++) {
        if (jobs[i].rc < 0) fail_msg("%s", jobs[i].err.text);
        assert_int_equal(qn_buf_add(out, qn_bytes_data(jobs[i].batch->bytes), qn_bytes_size(jobs[i].batch->bytes)), 0);
        qn_batch_unref(jobs[i].batch);
        qn_page_free(jobs[i].page);
    }
    qn_pool_facts(pool, &used, &overtakes);
    if (threads > 1) assert_true(used > 1);
    qn_pool_free(pool);
    qn_buf_free(&text);
    assert_int_equal(qn_loop_free(loop), 0);
    qn_plan_unref(plan);
}

static void test_any_number_of_workers_gives_the_same(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    struct qn_buf first, other;
    qn_buf_init(&first, QN_BUF_NO_CAP);
    qn_buf_init(&other, QN_BUF_NO_CAP);
    convert_all(1, &first);
    assert_true(first.size > 10000);
    for (unsigned threads = 2; threads <= 4; threads *= 2) {
        qn_buf_clear(&other);
        convert_all(threads, &other);
        assert_int_equal(other.size, first.size);
        assert_memory_equal(other.data, first.data, first.size);
    }
    qn_buf_free(&first);
    qn_buf_free(&other);
    assert_int_equal(qn_mem_blocks(), blocks);
}

/* A worker opened and used while the n-th allocation fails: rows, or an error and nothing left. */
static bool survives(uint64_t n)
{
    struct qn_err err = {0};
    struct qn_plan *plan = plan_of(QN_FORMAT_NDJSON);
    struct qn_worker_setup setup =
        setup_of(plan, TRANSFORM("row.c = { record, tostring(row.a) .. 'x' } return { row, row }"));
    static const char text[] = "{\"items\":[{\"a\":1,\"b\":[1,{}]},{\"a\":1e400,\"b\":\"\\u00e9\"}]}";
    struct qn_worker_page about = {.where = "a page", .chunk = "{}", .page = 1};
    struct qn_batch *batch = NULL;
    struct qn_page *page = index_text(plan, text);
    qn_mem_fail_after(n);
    struct qn_worker *worker = qn_worker_open(&setup, 0, &err);
    int rc = worker ? qn_worker_rows(worker, page, &about, &batch, &err) : QN_ENOMEM;
    qn_mem_fail_after(0);
    if (rc < 0) assert_true(err.text[0] != '\0');
    qn_batch_unref(batch);
    if (worker) {
        batch = NULL;
        qn_page_free(page);
        page = index_text(plan, text);
        if (rc < 0 && qn_worker_rows(worker, page, &about, &batch, &err) < 0)
            fail_msg("it does not recover: %s", err.text);
        qn_batch_unref(batch);
        qn_worker_close(worker);
    }
    qn_page_free(page);
    qn_plan_unref(plan);
    return rc == 0;
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    size_t blocks = qn_mem_blocks();
    for (uint64_t n = 1; !survives(n); n += 1 + n / 40) {
        assert_int_equal(qn_mem_blocks(), blocks);
        assert_true(n < 1000000);
    }
    assert_int_equal(qn_mem_blocks(), blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_row_that_changes_meanwhile),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_wide_records),
        cmocka_unit_test(test_long_records),
        cmocka_unit_test(test_scripts_refused),
        cmocka_unit_test(test_memory_that_runs_out),
        cmocka_unit_test(test_any_number_of_workers_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
