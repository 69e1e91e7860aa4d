/* runner.c - runs the Lua tests: each test in a runtime of its own, with virtual time and a simulated transport.
 *
 *     quern-lua-tests [--gc-stress] [--starve] [--self-check] [--events] [LIB_DIR HARNESS_DIR FILE...]
 *
 * Without arguments it runs every *_test.lua of this folder.
 *
 * A file is run once to learn its tests, then once a test with that test's number. After each test the runtime is
 * freed, and tasks, handles and bytes that are left fail the test. --self-check leaks on purpose and passes only if
 * that is noticed. --starve runs each test again and again, each time with another allocation that fails: whatever the
 * test makes of it, nothing may be left behind. Prints a line a test and, last, "N passed, N failed". */
#include <glob.h>
#include <lauxlib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/runtime.h"

#define START_WALL_MS 1704067200000 /* 2024-01-01T00:00:00Z */

static const char *lib_dir, *harness_dir;
static bool gc_stress, starve, self_check, verbose;

struct outcome {
    int tests; /* how many the file declares */
    char name[256];
    char failure[2048];
    bool left_behind; /* tasks, handles or memory */
    bool starved;     /* the allocation that was to fail did */
};

static void print_event(void *user, const char *line, size_t size)
{
    lua_State *L = user ? *(lua_State **)user : NULL;
    if (verbose) fprintf(stderr, "%.*s\n", (int)size, line);
    if (!L) return;
    /* the harness keeps the lines of the running test in a registry table */
    if (lua_checkstack(L, 4) && lua_getfield(L, LUA_REGISTRYINDEX, "harness.events") == LUA_TTABLE) {
        lua_pushlstring(L, line, size);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_pop(L, 1);
}

static int l_events(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, "harness.events");
    return 1;
}

static int l_setenv(lua_State *L)
{
    if (lua_isnoneornil(L, 2))
        unsetenv(luaL_checkstring(L, 1));
    else
        setenv(luaL_checkstring(L, 1), luaL_checkstring(L, 2), 1);
    return 0;
}

static int l_memory(lua_State *L)
{
    if (lua_toboolean(L, 1)) qn_mem_reset_peak();
    lua_pushinteger(L, (lua_Integer)qn_mem_current());
    lua_pushinteger(L, (lua_Integer)qn_mem_peak());
    return 2;
}

/* [path, number]: loads the harness and the file, and leaves the function that runs test `number` (0: counts them). */
static int prepare(lua_State *L)
{
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, "harness.events");
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "path");
    lua_pushfstring(L, "%s;%s/?.lua", lua_tostring(L, -1), harness_dir);
    lua_setfield(L, -3, "path");
    lua_settop(L, 2);
    lua_pushcfunction(L, l_events);
    lua_setglobal(L, "harness_events");
    lua_pushcfunction(L, l_setenv);
    lua_setglobal(L, "harness_setenv");
    lua_pushcfunction(L, l_memory);
    lua_setglobal(L, "harness_memory");
    if (gc_stress) lua_gc(L, LUA_GCINC, 1, 1000, 0); /* a collector that never rests */
    if (luaL_loadstring(L, "local path, number = ...\n"
                           "local harness = require 'harness'\n"
                           "return function() harness_result = harness.run(path, number) end") != LUA_OK)
        return lua_error(L);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    lua_call(L, 2, 1);
    return 1;
}

static void note(struct outcome *outcome, const char *format, const char *text)
{
    size_t used = strlen(outcome->failure);
    snprintf(outcome->failure + used, sizeof outcome->failure - used, format, text);
}

static void read_result(lua_State *L, struct outcome *outcome)
{
    if (lua_getglobal(L, "harness_result") == LUA_TTABLE) {
        lua_getfield(L, -1, "count");
        outcome->tests = (int)lua_tointeger(L, -1);
        lua_getfield(L, -2, "name");
        snprintf(outcome->name, sizeof outcome->name, "%s", lua_isstring(L, -1) ? lua_tostring(L, -1) : "?");
        lua_getfield(L, -3, "failure");
        if (lua_isstring(L, -1)) note(outcome, "%s", lua_tostring(L, -1));
        lua_pop(L, 3);
    }
    lua_pop(L, 1);
}

/* Runs one test (number 0: only counts). hungry: which allocation of the test fails; 0: none. */
static struct outcome run(const char *path, int number, uint64_t hungry)
{
    struct outcome outcome = {0};
    struct qn_err err = {.text = ""};
    struct qn_runtime *runtime = NULL;
    static lua_State *state;
    state = NULL;
    size_t blocks = qn_mem_blocks();
    void *leak = NULL;
    struct qn_runtime_options options = {.lib_dir = lib_dir,
                                         .simulated = true,
                                         .start_wall_ms = START_WALL_MS,
                                         .seed = 1,
                                         .turn_instructions = 100000000,
                                         .on_event = print_event,
                                         .user = &state};
    if (qn_runtime_new(&options, &runtime, &err) < 0) {
        note(&outcome, "cannot make a runtime: %s", err.text);
        return outcome;
    }
    state = runtime->L;
    lua_pushcfunction(runtime->L, prepare);
    lua_pushstring(runtime->L, path);
    lua_pushinteger(runtime->L, number);
    if (lua_pcall(runtime->L, 2, 1, 0) != LUA_OK) {
        note(&outcome, "%s", lua_tostring(runtime->L, -1));
        lua_pop(runtime->L, 1);
    } else {
        qn_mem_fail_once(hungry);
        if (qn_runtime_run(runtime, &err) < 0) note(&outcome, "%s", err.text);
        outcome.starved = hungry > 0 && !qn_mem_fails();
        qn_mem_fail_once(0);
    }
    read_result(runtime->L, &outcome);
    if (lua_gettop(runtime->L) != 0) note(&outcome, "%s", "values were left on the main stack");
    if (self_check && number > 0) leak = qn_malloc(1); /* the leak that must be noticed */
    state = NULL;
    int left = qn_runtime_free(runtime);
    char text[64];
    snprintf(text, sizeof text, "%d", left);
    if (left) note(&outcome, " left behind: %s tasks or handles", text);
    snprintf(text, sizeof text, "%zu", qn_mem_blocks() - blocks);
    if (qn_mem_blocks() != blocks) note(&outcome, " left behind: %s blocks of memory", text);
    outcome.left_behind = left || qn_mem_blocks() != blocks;
    qn_free(leak);
    return outcome;
}

/* Without memory a test may fail, but not leak. Each failure comes a hundredth later than the one before. */
static struct outcome run_hungry(const char *path, int number)
{
    struct outcome outcome;
    uint64_t hungry = 1;
    do {
        outcome = run(path, number, hungry);
        if (outcome.left_behind) {
            char text[64];
            snprintf(text, sizeof text, "%llu", (unsigned long long)hungry);
            note(&outcome, " when allocation %s failed", text);
            return outcome;
        }
        hungry += hungry / 100 + 1;
    } while (outcome.starved);
    outcome.failure[0] = 0; /* files that hungry runs left may be in the way of the last one */
    return outcome;
}

static void run_file(const char *path, int *passed, int *failed)
{
    const char *file = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    struct outcome counted = run(path, 0, 0);
    if (counted.failure[0]) {
        printf("not ok %s: %s\n", file, counted.failure);
        ++*failed;
        return;
    }
    for (int i = 1; i <= counted.tests; i++) {
        struct outcome outcome = starve ? run_hungry(path, i) : run(path, i, 0);
        bool ok = self_check ? strstr(outcome.failure, "blocks of memory") != NULL : !outcome.failure[0];
        printf("%s %s: %s\n", ok ? "ok" : "not ok", file, outcome.name);
        if (!ok) printf("    %s\n", outcome.failure[0] ? outcome.failure : "the leak was not noticed");
        fflush(stdout);
        ++*(ok ? passed : failed);
    }
}

static void run_folder(int *passed, int *failed)
{
    glob_t found;
    if (glob(QN_TESTS_DIR "/*_test.lua", 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) run_file(found.gl_pathv[i], passed, failed);
    globfree(&found);
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0, at = 1;
    signal(SIGPIPE, SIG_IGN);
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (!strcmp(argv[at], "--gc-stress"))
            gc_stress = true;
        else if (!strcmp(argv[at], "--starve"))
            starve = true;
        else if (!strcmp(argv[at], "--self-check"))
            self_check = true;
        else if (!strcmp(argv[at], "--events"))
            verbose = true;
        else
            return fprintf(stderr, "quern-lua-tests: no option %s\n", argv[at]), 2;
    }
    if (at < argc && at + 2 >= argc) {
        fprintf(stderr, "usage: quern-lua-tests [--gc-stress] [--starve] [--self-check] [--events] [LIB_DIR "
                        "HARNESS_DIR FILE...]\n");
        return 2;
    }
    lib_dir = at < argc ? argv[at] : QN_LIBRARY_DIR;
    harness_dir = at < argc ? argv[at + 1] : QN_TESTS_DIR;
    for (int i = at + 2; i < argc; i++) run_file(argv[i], &passed, &failed);
    if (at >= argc) run_folder(&passed, &failed);
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
