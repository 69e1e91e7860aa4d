/* bind_convert.c - quern.core.convert: plans, and workers that index pages and make rows of them.
 *
 * A call that waits owns a job. The Lua side holds it through a slot (a userdata that points to the job, or to
 * nothing); the pool holds it while it is out. Whoever lets go last frees it: the slot after an answer, `abandoned`
 * after a cancel. So a task may be cancelled, and a slot collected, at any moment. */
#include "lua/bind_convert.h"

#include <string.h>
#include <unistd.h>

#include <lauxlib.h>

#include "base/mem.h"
#include "engine/pool.h"
#include "lua/bind_view.h"
#include "lua/convert_plan.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"
#include "lua/worker.h"
#include "rows/convert.h"

#define WORKERS "quern.workers"
#define JOB     "quern.convert.job"
#define PAGE    "quern.convert.page"
#define BATCH   "quern.batch"

enum { DEFAULT_MEMORY_MB = 256, DEFAULT_INSTRUCTIONS = 10000000, MAX_THREADS = 64, SMALL_PAGE = 16 << 10 };

struct workers {
    struct qn_pool *pool; /* NULL once closed */
    struct qn_worker_setup setup;
    char *texts[6]; /* what setup's strings are copied into */
    unsigned threads_used, overtakes;
};

struct job {
    struct qn_pool_job base; /* first: a pool job is a job */
    struct job **slot;       /* the userdata's pointer to this; NULL once that is gone */
    struct qn_plan *plan;
    struct qn_bytes *bytes; /* index: in */
    struct qn_page *page;   /* index: out; rows: in */
    struct qn_worker_page about;
    char *where, *label, *chunk;
    struct qn_batch *batch; /* rows: out */
    int rc;
    struct qn_err err;
};

/* jobs */

static void free_job(struct job *job)
{
    if (!job || job->base.is_lost) return;
    qn_batch_unref(job->batch);
    qn_page_free(job->page);
    qn_bytes_unref(job->bytes);
    qn_plan_unref(job->plan);
    qn_free(job->where);
    qn_free(job->label);
    qn_free(job->chunk);
    qn_free(job);
}

static void abandoned(struct qn_pool_job *base)
{
    struct job *job = (struct job *)base;
    if (job->slot) *job->slot = NULL;
    free_job(job);
}

static void lost(struct qn_pool_job *base, void *state)
{
    struct job *job = (struct job *)base;
    job->rc = qn_worker_tell_stuck(state, job->about.where, &job->err);
}

static struct qn_rows_context context_of(const struct job *job)
{
    return (struct qn_rows_context){
        .where = job->about.where, .leaf = job->about.label, .page = (uint64_t)job->about.page};
}

static void work_index(struct qn_pool_job *base, void *state)
{
    struct job *job = (struct job *)base;
    struct qn_rows_context context = context_of(job);
    (void)state;
    job->rc = qn_convert_index(job->plan, job->bytes, &context, &job->page, &job->err);
}

/* A small page without a transform is converted here and now: the way to a worker and back takes longer. */
static bool is_small(size_t size, const struct qn_plan *plan)
{
    return size <= SMALL_PAGE && !qn_plan_has_transform(plan);
}

static void work_rows(struct qn_pool_job *base, void *state)
{
    struct job *job = (struct job *)base;
    job->rc = qn_worker_rows(state, job->page, &job->about, &job->batch, &job->err);
    qn_page_free(job->page); /* several times its text: it does not wait for the main thread */
    job->page = NULL;
}

/* Lets go of a job: frees it if it is home, else the pool will. */
static void release_job(struct job **slot)
{
    struct job *job = *slot;
    *slot = NULL;
    if (!job) return;
    job->slot = NULL;
    enum qn_op_state state = job->base.op.state;
    if (state == QN_OP_PENDING)
        qn_op_cancel(&job->base.op);
    else if (state != QN_OP_CANCELED)
        free_job(job);
}

static int l_job_gc(lua_State *L)
{
    release_job(luaL_checkudata(L, 1, JOB));
    return 0;
}

static struct workers *check_workers(lua_State *L)
{
    struct workers *workers = luaL_checkudata(L, 1, WORKERS);
    if (!workers->pool) luaL_error(L, "the workers are closed");
    return workers;
}

/* Pushes a slot with a new job that is not out yet. May raise. */
static struct job *push_job(lua_State *L, struct workers *workers, void (*work)(struct qn_pool_job *, void *))
{
    struct job **slot = lua_newuserdatauv(L, sizeof *slot, 1);
    *slot = NULL;
    luaL_setmetatable(L, JOB);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1); /* the pool lives as long as the slot */
    struct job *job = qn_calloc(1, sizeof *job);
    if (!job) {
        luaL_error(L, "not enough memory"); /* does not return */
        return NULL;
    }
    job->slot = slot;
    job->plan = qn_plan_ref(workers->setup.plan);
    job->base.work = work;
    job->base.abandoned = abandoned;
    job->base.lost = lost;
    *slot = job;
    return job;
}

/* results as userdata that own a reference */

/* Pushes an empty box of a type, to be filled when nothing can raise any more. */
static void **push_box(lua_State *L, const char *type)
{
    void **box = lua_newuserdatauv(L, sizeof *box, 0);
    *box = NULL;
    luaL_setmetatable(L, type);
    return box;
}

static int l_page_gc(lua_State *L)
{
    struct qn_page **box = luaL_checkudata(L, 1, PAGE);
    qn_page_free(*box);
    *box = NULL;
    return 0;
}

static int l_batch_gc(lua_State *L)
{
    struct qn_batch **box = luaL_checkudata(L, 1, BATCH);
    qn_batch_unref(*box);
    *box = NULL;
    return 0;
}

struct qn_batch *qn_lua_check_batch(lua_State *L, int index)
{
    struct qn_batch **box = luaL_checkudata(L, index, BATCH);
    luaL_argcheck(L, *box, index, "the batch is gone");
    return *box;
}

static void set_integer(lua_State *L, const char *name, size_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static int l_batch_counts(lua_State *L)
{
    const struct qn_batch *batch = qn_lua_check_batch(L, 1);
    lua_createtable(L, 0, 7);
    set_integer(L, "rows", batch->encoded_count);
    set_integer(L, "records", batch->record_count);
    set_integer(L, "bytes", qn_batch_encoded_size(batch));
    set_integer(L, "no_key", batch->no_key);
    set_integer(L, "no_owner", batch->no_owner);
    set_integer(L, "replaced", batch->replaced);
    set_integer(L, "failed", batch->failure_count);
    return 1;
}

/* pages */

/* A copy of a text field of the table at index; NULL if it is nil. May raise. */
static char *copy_field(lua_State *L, int index, const char *name, char **out)
{
    if (lua_getfield(L, index, name) != LUA_TNIL) {
        *out = qn_strdup(luaL_checkstring(L, -1));
        if (!*out) luaL_error(L, "not enough memory");
    }
    lua_pop(L, 1);
    return *out;
}

static int64_t integer_field(lua_State *L, int index, const char *name, int64_t fallback)
{
    lua_getfield(L, index, name);
    int64_t value = luaL_optinteger(L, -1, fallback);
    lua_pop(L, 1);
    return value;
}

/* What the table at index tells of a page. May raise; the job is its slot's by then. */
static void read_about(lua_State *L, int index, struct job *job)
{
    job->about.where = copy_field(L, index, "where", &job->where);
    job->about.label = copy_field(L, index, "label", &job->label);
    job->about.chunk = copy_field(L, index, "chunk", &job->chunk);
    job->about.leaf = integer_field(L, index, "leaf", 0);
    job->about.page = integer_field(L, index, "page", 1);
}

/* index */

static void push_facts(lua_State *L, struct job *job, void **box)
{
    const struct qn_facts *facts = qn_page_facts(job->page);
    char digest[33];
    lua_createtable(L, 0, 6); /* [..., box, facts] */
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "doc");
    lua_pushboolean(L, facts->records_present);
    lua_setfield(L, -2, "present");
    set_integer(L, "count", facts->record_count);
    set_integer(L, "items", facts->item_count);
    snprintf(digest, sizeof digest, "%016llx%016llx", (unsigned long long)facts->digest.hi,
             (unsigned long long)facts->digest.lo);
    lua_pushstring(L, digest);
    lua_setfield(L, -2, "digest");
    lua_createtable(L, 0, (int)facts->fact_count);
    for (size_t i = 0; i < facts->fact_count; i++) {
        if (facts->facts[i] == QN_NONE) continue;
        qn_view_push(L, qn_page_doc(job->page), facts->facts[i]); /* may raise */
        lua_setfield(L, -2, qn_plan_fact_name(job->plan, i));
    }
    lua_setfield(L, -2, "values");
    qn_page_read(job->page);
    *box = job->page;
    job->page = NULL;
}

static int index_answer(lua_State *L)
{
    struct job **slot = luaL_checkudata(L, 4, JOB); /* [workers, bytes, about, slot] */
    struct job *job = *slot;
    if (!job) return luaL_error(L, "the workers were closed");
    if (job->rc < 0) {
        bool body = job->rc == QN_ESYNTAX || job->rc == QN_ELIMIT;
        int count = qn_lua_fail(L, body ? "body" : qn_err_name(job->rc), &job->err);
        release_job(slot);
        return count;
    }
    void **box = push_box(L, PAGE);
    push_facts(L, job, box);
    release_job(slot);
    return 1;
}

static int index_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    qn_wait_end(L);
    return index_answer(L);
}

static int l_workers_index(lua_State *L)
{
    struct workers *workers = check_workers(L);
    size_t size = 0;
    const char *text = NULL;
    struct qn_bytes *bytes = qn_lua_test_bytes(L, 2);
    if (!bytes) text = luaL_checklstring(L, 2, &size);
    if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
    qn_wait_check(L);
    lua_settop(L, 3);
    struct job *job = push_job(L, workers, work_index);
    if (!lua_isnil(L, 3)) read_about(L, 3, job);
    job->bytes = bytes ? qn_bytes_ref(bytes) : qn_bytes_new(text, size);
    if (!job->bytes) return luaL_error(L, "not enough memory");
    if (is_small(qn_bytes_size(job->bytes), job->plan)) {
        work_index(&job->base, NULL);
        return index_answer(L);
    }
    qn_pool_submit(workers->pool, &job->base);
    return qn_wait(L, &job->base.op, index_done, 0);
}

/* rows */

static int rows_answer(lua_State *L)
{
    struct job **slot = luaL_checkudata(L, 4, JOB); /* [workers, page, about, slot] */
    struct job *job = *slot;
    if (!job) return luaL_error(L, "the workers were closed");
    if (job->rc < 0) {
        int count = qn_lua_fail(L, "transform", &job->err);
        release_job(slot);
        return count;
    }
    void **box = push_box(L, BATCH);
    *box = job->batch;
    job->batch = NULL;
    release_job(slot);
    return 1;
}

static int rows_done(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    qn_wait_end(L);
    return rows_answer(L);
}

static int l_workers_rows(lua_State *L)
{
    struct workers *workers = check_workers(L);
    struct qn_page **page = luaL_checkudata(L, 2, PAGE);
    luaL_argcheck(L, *page, 2, "the page is gone");
    luaL_checktype(L, 3, LUA_TTABLE);
    qn_wait_check(L);
    lua_settop(L, 3);
    struct job *job = push_job(L, workers, work_rows);
    read_about(L, 3, job);
    job->base.urgent = true; /* a document is several times its page */
    job->page = *page;       /* taken: a page's memory does not wait for the collector */
    *page = NULL;
    const struct qn_doc *doc = qn_page_doc(job->page);
    if (qn_page_ready(job->page) || is_small(qn_doc_span(doc, QN_ROOT).size, job->plan)) {
        struct qn_rows_context context = context_of(job);
        job->rc = qn_convert_rows(job->page, &context, &job->batch, &job->err);
        return rows_answer(L);
    }
    qn_pool_submit(workers->pool, &job->base);
    return qn_wait(L, &job->base.op, rows_done, 0);
}

/* workers */

static void close_workers(struct workers *workers)
{
    if (workers->pool) {
        qn_pool_facts(workers->pool, &workers->threads_used, &workers->overtakes);
        qn_pool_free(workers->pool);
        workers->pool = NULL;
    }
    for (size_t i = 0; i < sizeof workers->texts / sizeof *workers->texts; i++) {
        qn_free(workers->texts[i]);
        workers->texts[i] = NULL;
    }
    qn_plan_unref(workers->setup.plan);
    workers->setup.plan = NULL;
}

static int l_workers_close(lua_State *L)
{
    close_workers(luaL_checkudata(L, 1, WORKERS));
    return 0;
}

static int l_workers_facts(lua_State *L)
{
    struct workers *workers = luaL_checkudata(L, 1, WORKERS);
    if (workers->pool) qn_pool_facts(workers->pool, &workers->threads_used, &workers->overtakes);
    lua_pushinteger(L, workers->threads_used);
    lua_pushinteger(L, workers->overtakes);
    return 2;
}

/* workers:threads() -> how many there are */
static int l_workers_threads(lua_State *L)
{
    lua_pushinteger(L, qn_pool_threads(check_workers(L)->pool));
    return 1;
}

/* The main thread is busy for a part of the time only: of two cores it needs no whole one. */
static unsigned default_threads(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores <= 2) return cores == 2 ? 2 : 1;
    return (unsigned)(cores < MAX_THREADS ? cores - 1 : MAX_THREADS);
}

/* [options at 1, ..., workers on top]: copies the script, so that every worker loads the same bytes. May raise. */
static void read_script(lua_State *L, struct workers *workers)
{
    struct qn_worker_setup *setup = &workers->setup;
    if (lua_getfield(L, 1, "script") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    int script = lua_gettop(L);
    size_t size;
    luaL_checktype(L, script, LUA_TTABLE);
    setup->script_path = copy_field(L, script, "path", &workers->texts[0]);
    setup->script_dir = copy_field(L, script, "dir", &workers->texts[1]);
    lua_getfield(L, script, "source");
    const char *source = luaL_checklstring(L, -1, &size);
    workers->texts[2] = qn_strndup(source, size);
    if (!workers->texts[2]) luaL_error(L, "not enough memory");
    setup->script_source = workers->texts[2];
    setup->script_size = size;
    setup->script_name = copy_field(L, script, "name", &workers->texts[3]);
    if (!setup->script_name || !setup->script_path || !setup->script_dir) {
        luaL_error(L, "a script needs name, path and dir");
    }
    lua_settop(L, script - 1);
}

static int l_workers(lua_State *L)
{
    struct qn_err err = {0};
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct workers *workers = lua_newuserdatauv(L, sizeof *workers, 0); /* [options, workers] */
    memset(workers, 0, sizeof *workers);
    luaL_setmetatable(L, WORKERS);
    struct qn_worker_setup *setup = &workers->setup;
    lua_getfield(L, 1, "plan");
    setup->plan = qn_plan_ref(qn_lua_check_plan(L, -1));
    lua_pop(L, 1);
    read_script(L, workers);
    setup->context = copy_field(L, 1, "context", &workers->texts[4]);
    if (!setup->context) setup->context = "{}";
    setup->lib_dir = qn_runtime_of(L)->lib_dir;
    setup->memory_bytes = (size_t)integer_field(L, 1, "memory", (int64_t)DEFAULT_MEMORY_MB << 20);
    setup->instructions = (uint64_t)integer_field(L, 1, "instructions", DEFAULT_INSTRUCTIONS);
    setup->stuck_ms = (uint64_t)integer_field(L, 1, "stuck_ms", QN_BUDGET_STUCK_MS);
    int64_t threads = integer_field(L, 1, "threads", default_threads());
    luaL_argcheck(L, threads >= 1 && threads <= MAX_THREADS, 1, "threads must be 1 to 64");
    if (qn_plan_has_transform(setup->plan) && !setup->script_name)
        luaL_error(L, "a plan with a transform needs its script");
    struct qn_pool_options options = {
        .threads = (unsigned)threads, .open = qn_worker_open, .close = qn_worker_close, .context = setup};
    if (qn_pool_new(qn_runtime_of(L)->loop, &options, &workers->pool, &err) < 0) {
        workers->pool = NULL;
        return qn_lua_fail(L, "script", &err);
    }
    return 1;
}

/* module */

static int l_plan(lua_State *L)
{
    return qn_lua_new_plan(L);
}

static const luaL_Reg job_meta[] = {{"__gc", l_job_gc}, {NULL, NULL}};
static const luaL_Reg page_meta[] = {{"__gc", l_page_gc}, {NULL, NULL}};
static const luaL_Reg batch_meta[] = {{"__gc", l_batch_gc}, {NULL, NULL}};
static const luaL_Reg batch_methods[] = {{"counts", l_batch_counts}, {NULL, NULL}};
static const luaL_Reg workers_meta[] = {{"__gc", l_workers_close}, {"__close", l_workers_close}, {NULL, NULL}};
static const luaL_Reg workers_methods[] = {
    {"index", l_workers_index},     {"rows", l_workers_rows},   {"facts", l_workers_facts},
    {"threads", l_workers_threads}, {"close", l_workers_close}, {NULL, NULL},
};
static const luaL_Reg functions[] = {{"plan", l_plan}, {"workers", l_workers}, {NULL, NULL}};

int luaopen_quern_core_convert(lua_State *L)
{
    qn_lua_new_type(L, JOB, job_meta, NULL);
    qn_lua_new_type(L, PAGE, page_meta, NULL);
    qn_lua_new_type(L, BATCH, batch_meta, batch_methods);
    qn_lua_new_type(L, WORKERS, workers_meta, workers_methods);
    qn_lua_open_plan(L);
    luaL_newlib(L, functions);
    return 1;
}
