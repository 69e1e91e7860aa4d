#include "lua/worker.h"

#include <stdio.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lua/bind_view.h"
#include "lua/budget.h"
#include "lua/row_table.h"
#include "lua/state.h"
#include "lua/values.h"

struct qn_worker {
    const struct qn_worker_setup *setup;
    struct qn_pool_thread *thread;
    uint64_t record;          /* that is looked at, from 1 */
    lua_State *L;             /* NULL without a script */
    bool wants_row;           /* the script looks at what columns found */
    struct qn_row_table back; /* a row on its way back */
};

/* Keys of the registry: the addresses count. */
static const char apply_key, columns_key, plain_key, where_key;

/* What one record's call needs, on the C stack of apply. */
struct call {
    struct qn_worker *worker;
    const struct qn_record *record;
    const struct qn_value *row;
    struct qn_emit *emit;
    struct qn_err *err;
    int rc;
};

/* opening */

static void push_script(lua_State *L, const struct qn_worker_setup *setup)
{
    lua_createtable(L, 0, 4);
    lua_pushstring(L, setup->script_name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, setup->script_path);
    lua_setfield(L, -2, "path");
    lua_pushlstring(L, setup->script_source, setup->script_size);
    lua_setfield(L, -2, "source");
    lua_pushstring(L, setup->script_dir);
    lua_setfield(L, -2, "dir");
}

static int open_script(lua_State *L)
{
    struct qn_worker *worker = lua_touserdata(L, 1);
    qn_lua_values_open(L);
    qn_row_table_push_columns(L, worker->setup->plan);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &columns_key);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "quern.worker");
    lua_call(L, 1, 1); /* [worker module] */
    lua_getfield(L, -1, "open");
    push_script(L, worker->setup);
    lua_pushstring(L, worker->setup->context);
    lua_call(L, 2, 2); /* [worker module, apply, wants row] */
    worker->wants_row = lua_toboolean(L, -1);
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &apply_key);
    lua_getfield(L, -1, "plain");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &plain_key);
    return 0;
}

/* A signal's handler: a call of C keeps the thread, and nothing can end it. */
static void lose_thread(void *thread)
{
    qn_pool_lose(thread);
}

static int open_state(struct qn_worker *worker, struct qn_err *err)
{
    const struct qn_worker_setup *setup = worker->setup;
    struct qn_state_options options = {.worker = true, .lib_dir = setup->lib_dir, .memory_limit = setup->memory_bytes};
    lua_State *L = worker->L = qn_state_new(&options, err);
    if (!L) return QN_ENOMEM;
    lua_pushcfunction(L, open_script); /* room for two values is there always */
    lua_pushlightuserdata(L, worker);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) {
        qn_budget_relax(L, &(struct qn_budget_stuck){setup->stuck_ms, lose_thread, worker->thread});
        return 0;
    }
    const char *text = lua_tostring(L, -1);
    return qn_fail(err, QN_ESCRIPT, "a worker cannot load %s: %s", setup->script_path, text ? text : "error");
}

void *qn_worker_open(void *context, struct qn_pool_thread *thread, struct qn_err *err)
{
    struct qn_worker *worker = qn_calloc(1, sizeof *worker);
    if (!worker) {
        qn_fail(err, QN_ENOMEM, "out of memory for a worker");
        return NULL;
    }
    worker->setup = context;
    worker->thread = thread;
    int rc = qn_row_table_init(&worker->back, worker->setup->plan);
    if (rc < 0) qn_fail(err, rc, "out of memory for a worker");
    if (rc == 0 && worker->setup->script_name) rc = open_state(worker, err);
    if (rc == 0) return worker;
    qn_worker_close(worker);
    return NULL;
}

void qn_worker_close(void *state)
{
    struct qn_worker *worker = state;
    if (worker->L) {
        qn_budget_stop(worker->L);
        qn_state_free(worker->L);
    }
    qn_row_table_free(&worker->back);
    qn_free(worker);
}

/* what is running */

struct stage {
    char what[QN_ERR_TEXT_SIZE]; /* "transform of x.lua" */
    const char *failed;          /* "transform failed" */
    const char *chunk;           /* its chunk name */
};

/* The query's transform, or the stage that quern.chain has put into `where`. Allocates nothing: after a memory error,
 * too. */
static struct stage stage_of(lua_State *L, const struct qn_worker_setup *setup)
{
    struct stage stage = {.failed = "transform failed", .chunk = setup->script_name};
    snprintf(stage.what, sizeof stage.what, "transform of %s", setup->script_path);
    int top = lua_gettop(L);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &where_key) == LUA_TTABLE && lua_rawgeti(L, -1, 1) == LUA_TTABLE) {
        int at = lua_gettop(L);
        lua_rawgeti(L, at, 1);
        lua_rawgeti(L, at, 2);
        lua_rawgeti(L, at, 3);
        snprintf(stage.what, sizeof stage.what, "%s", lua_tostring(L, at + 1));
        stage.failed = lua_tostring(L, at + 2); /* the stage keeps them alive */
        stage.chunk = lua_tostring(L, at + 3);
    }
    lua_settop(L, top);
    return stage;
}

/* a transform's answer */

/* [..., answer or row]: a view, or what stands in ctx, is copied into a table. */
static void make_plain(lua_State *L)
{
    int type = lua_type(L, -1);
    bool suspect = type == LUA_TUSERDATA;
    if (type == LUA_TTABLE && lua_getmetatable(L, -1)) {
        lua_pop(L, 1);
        suspect = true;
    }
    if (!suspect) return;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &plain_key);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}

/* [..., list at `list`]: rows and nothing else. */
static int emit_list(lua_State *L, struct call *call, int columns, int list)
{
    size_t count = lua_rawlen(L, list), seen = 0;
    for (lua_pushnil(L); lua_next(L, list); lua_pop(L, 1)) seen++;
    if (seen != count) {
        return qn_fail(call->err, QN_ESCRIPT,
                       "its answer is neither a row nor a list of rows: it has both places and names, or gaps");
    }
    int rc = 0;
    for (size_t i = 1; i <= count && rc == 0; i++) {
        lua_rawgeti(L, list, (lua_Integer)i);
        make_plain(L);
        if (!lua_istable(L, -1)) {
            return qn_fail(call->err, QN_ESCRIPT, "row %zu of its list is a %s, not a table", i, luaL_typename(L, -1));
        }
        rc = qn_row_table_emit(L, &call->worker->back, columns, lua_gettop(L), call->emit, call->err);
        lua_settop(L, list);
    }
    return rc;
}

static int emit_answer(lua_State *L, struct call *call, int columns)
{
    int answer = lua_gettop(L);
    if (lua_isnil(L, answer)) return 0;
    make_plain(L);
    if (!lua_istable(L, answer)) {
        return qn_fail(call->err, QN_ESCRIPT, "it must return a row, a list of rows or nil, not a %s",
                       luaL_typename(L, answer));
    }
    lua_pushnil(L);
    if (!lua_next(L, answer)) return 0; /* an empty table is an empty list of rows */
    lua_pop(L, 2);
    bool list = lua_rawgeti(L, answer, 1) != LUA_TNIL;
    lua_pop(L, 1);
    if (list) return emit_list(L, call, columns, answer);
    return qn_row_table_emit(L, &call->worker->back, columns, answer, call->emit, call->err);
}

static int take_answer(lua_State *L, struct call *call, int columns)
{
    int rc = emit_answer(L, call, columns);
    if (rc != QN_ESCRIPT || !call->err) return rc;
    struct stage stage = stage_of(L, call->worker->setup);
    struct qn_err problem = *call->err;
    return qn_fail(call->err, rc, "%s: %s", stage.what, problem.text);
}

/* one record */

static void push_row(lua_State *L, const struct call *call, int columns)
{
    size_t count = qn_plan_column_count(call->worker->setup->plan), found = 0;
    for (size_t i = 0; i < count; i++) found += call->row[i].kind != QN_VALUE_MISSING;
    lua_createtable(L, 0, (int)found);
    for (size_t i = 0; i < count; i++) {
        if (call->row[i].kind == QN_VALUE_MISSING) continue;
        lua_rawgeti(L, columns, (lua_Integer)i + 1);
        qn_lua_push_value(L, &call->row[i]);
        lua_rawset(L, -3);
    }
}

static int apply_protected(lua_State *L)
{
    struct call *call = lua_touserdata(L, 1);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &columns_key); /* [call, columns] */
    lua_rawgetp(L, LUA_REGISTRYINDEX, &apply_key);   /* [call, columns, apply] */
    qn_view_push(L, (struct qn_doc *)call->record->doc, call->record->node);
    if (call->worker->wants_row)
        push_row(L, call, 2);
    else
        lua_pushnil(L);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &where_key); /* [call, columns, apply, view, row, where] */
    lua_pushinteger(L, (lua_Integer)call->record->number + 1);
    lua_call(L, 4, 1); /* [call, columns, answer] */
    call->rc = take_answer(L, call, 2);
    return 0;
}

/* After an error that used up memory or instructions, is there room for the next record? A script may have put into its
 * upvalues what filled the state. */
static bool usable(lua_State *L)
{
    const struct qn_state *state = qn_state_of(L);
    size_t enough = state->memory_limit - state->memory_limit / 4;
    if (state->memory_limit == 0 || state->memory_used < enough) return true;
    lua_gc(L, LUA_GCCOLLECT, 0);
    return state->memory_used < enough;
}

/* [error] -> [text]: "x.lua:14: ..." where the script's own line that was running stands first. */
static int explain(lua_State *L)
{
    struct stage stage = stage_of(L, lua_touserdata(L, lua_upvalueindex(1)));
    lua_Debug at;
    bool found = false;
    for (int level = 1; !found && lua_getstack(L, level, &at); level++) {
        lua_getinfo(L, "Sl", &at);
        found = at.currentline > 0 && strcmp(at.source, stage.chunk) == 0;
    }
    const char *text = luaL_tolstring(L, 1, NULL); /* [error, text] */
    if (!found) return 1;
    const char *place = lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
    if (strncmp(text, place, strlen(place)) == 0) text += strlen(place);
    lua_pushfstring(L, "at %s%s", place, text);
    return 1;
}

static int script_error(struct qn_worker *worker, int status, bool tripped, struct qn_err *err)
{
    lua_State *L = worker->L;
    const struct qn_worker_setup *setup = worker->setup;
    struct stage stage = stage_of(L, setup);
    if (status == LUA_ERRMEM) {
        return qn_fail(err, QN_ESCRIPT, "%s: the function %s ran out of memory (the limit is %zu MB)", stage.failed,
                       stage.what, setup->memory_bytes >> 20);
    }
    if (tripped) {
        return qn_fail(err, QN_ESCRIPT, "%s: the function %s ran more than %llu Lua instructions", stage.failed,
                       stage.what, (unsigned long long)setup->instructions);
    }
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error without a text";
    bool placed = strncmp(text, "at ", 3) == 0;
    return qn_fail(err, QN_ESCRIPT, "%s%s%s", stage.failed, placed ? " " : ": ", text);
}

/* No record can be judged any more in this state: the page fails, whatever becomes of single records. */
static int full(const struct qn_worker *worker, struct qn_err *err)
{
    struct qn_err why = *err;
    return qn_fail(err, QN_ELIMIT, "%s; what the script keeps leaves no room in its %zu MB", why.text,
                   worker->setup->memory_bytes >> 20);
}

static int apply(void *self, const struct qn_record *record, const struct qn_value *row, struct qn_emit *emit,
                 struct qn_err *err)
{
    struct qn_worker *worker = self;
    lua_State *L = worker->L;
    struct call call = {worker, record, row, emit, err, 0};
    worker->record = record->number + 1;
    /* [explain]: left there by begin_page */
    qn_view_scope_begin(L);
    struct qn_budget outer = qn_budget_begin(L, worker->setup->instructions);
    lua_pushcfunction(L, apply_protected);
    lua_pushlightuserdata(L, &call);
    int status = lua_pcall(L, 1, 0, 1);
    bool tripped = qn_budget_tripped(L);
    qn_budget_end(L, outer);
    qn_view_scope_end(L);
    int rc = status == LUA_OK ? call.rc : script_error(worker, status, tripped, err);
    lua_settop(L, 1);
    return rc == QN_ESCRIPT && !usable(L) ? full(worker, err) : rc;
}

/* one page */

static int begin_page(lua_State *L)
{
    const struct qn_worker *worker = lua_touserdata(L, 1);
    const struct qn_worker_page *page = lua_touserdata(L, 2);
    const char *chunk = page->chunk ? page->chunk : "{}";
    lua_createtable(L, 0, 6);
    lua_pushstring(L, chunk);
    lua_setfield(L, -2, "chunk");
    lua_pushinteger(L, page->leaf);
    lua_setfield(L, -2, "leaf");
    lua_pushinteger(L, page->page);
    lua_setfield(L, -2, "page");
    /* by what the chunk is, not by its number, which depends on the order in which chunks were split */
    lua_pushinteger(L, (lua_Integer)qn_hash_bytes(chunk, strlen(chunk)).lo);
    lua_setfield(L, -2, "seed");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &where_key);
    lua_pushlightuserdata(L, (void *)worker->setup);
    lua_pushcclosure(L, explain, 1);
    return 1;
}

int qn_worker_rows(struct qn_worker *worker, struct qn_page *page, const struct qn_worker_page *about,
                   struct qn_batch **out, struct qn_err *err)
{
    lua_State *L = worker->L;
    struct qn_transform transform = {worker, apply};
    struct qn_rows_context context = {
        .transform = L ? &transform : NULL, .where = about->where, .leaf = about->label, .page = (uint64_t)about->page};
    if (L) {
        lua_settop(L, 0);
        lua_pushcfunction(L, begin_page);
        lua_pushlightuserdata(L, worker);
        lua_pushlightuserdata(L, (void *)about);
        if (lua_pcall(L, 2, 1, 0) != LUA_OK) { /* [explain] or [error] */
            lua_settop(L, 0);
            return qn_fail(err, QN_ENOMEM, "%s: out of memory in the script's Lua state",
                           about->where ? about->where : "a page");
        }
    }
    int rc = qn_convert_rows(page, &context, out, err);
    if (L) lua_settop(L, 0);
    return rc;
}

int qn_worker_tell_stuck(const void *state, const char *where, struct qn_err *err)
{
    const struct qn_worker *worker = state;
    return qn_fail(
        err, QN_ESCRIPT,
        "%s, record %llu: transform failed: the transform of %s (or of a plugin) has run for %g s in calls that "
        "cannot be stopped; is it a text pattern with many repetitions?",
        where ? where : "a page", (unsigned long long)worker->record, worker->setup->script_path,
        (double)worker->setup->stuck_ms / 1000);
}
