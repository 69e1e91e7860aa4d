/* bind_env.c - quern.core.env: named variables, and env files that never override the environment.
 *
 * An env file holds lines NAME=value; blank lines and lines that begin with # are skipped, "export " before a name is
 * allowed, a value may stand in single or double quotes. Nothing is expanded. */
#include "lua/bind_env.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "lua/luax.h"
#include "lua/runtime.h"
#include "lua/state.h"

struct variable {
    struct variable *next;
    char *value; /* points into name's memory */
    char name[];
};

struct qn_env {
    struct variable *first;
};

static void free_variable(struct variable *variable)
{
    explicit_bzero(variable->value, strlen(variable->value));
    qn_free(variable);
}

void qn_env_free(struct qn_env *env)
{
    if (!env) return;
    for (struct variable *v = env->first, *next; v; v = next) {
        next = v->next;
        free_variable(v);
    }
    qn_free(env);
}

static const char *find(lua_State *L, const char *name)
{
    const char *value = getenv(name);
    if (value) return value;
    struct qn_env *env = qn_runtime_of(L)->env;
    for (struct variable *v = env ? env->first : NULL; v; v = v->next) {
        if (!strcmp(v->name, name)) return v->value;
    }
    return NULL;
}

/* env.get(name) -> text or nil */
static int l_env_get(lua_State *L)
{
    qn_state_check_loaded(L, "the environment");
    lua_pushstring(L, find(L, luaL_checkstring(L, 1)));
    return 1;
}

/* env.secret(name) -> secret or nil; the text itself never enters Lua */
static int l_env_secret(lua_State *L)
{
    qn_state_check_loaded(L, "the environment");
    const char *value = find(L, luaL_checkstring(L, 1));
    if (!value) return 0;
    struct qn_secret **slot = qn_lua_new_secret(L);
    *slot = qn_secret_new(value, strlen(value));
    return *slot ? 1 : luaL_error(L, "out of memory");
}

static bool is_name(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        bool letter = (text[i] >= 'A' && text[i] <= 'Z') || (text[i] >= 'a' && text[i] <= 'z') || text[i] == '_';
        if (!letter && (i == 0 || text[i] < '0' || text[i] > '9')) return false;
    }
    return size > 0;
}

/* One line into the list; false: malformed. */
static bool add_line(struct qn_env *env, char *line, bool *memory)
{
    line += strspn(line, " \t");
    size_t size = strcspn(line, "\r\n");
    line[size] = '\0';
    if (size == 0 || line[0] == '#') return true;
    if (!strncmp(line, "export ", 7)) line += 7 + strspn(line + 7, " \t");
    char *equals = strchr(line, '=');
    if (!equals || !is_name(line, (size_t)(equals - line))) return false;
    char *value = equals + 1;
    size_t value_size = strlen(value);
    while (value_size > 0 && (value[value_size - 1] == ' ' || value[value_size - 1] == '\t')) value_size--;
    if (value_size >= 2 && (value[0] == '"' || value[0] == '\'') && value[value_size - 1] == value[0]) {
        value++;
        value_size -= 2;
    }
    size_t name_size = (size_t)(equals - line);
    struct variable *variable = qn_malloc(sizeof *variable + name_size + value_size + 2);
    if (!variable) {
        *memory = false;
        return false;
    }
    memcpy(variable->name, line, name_size);
    variable->name[name_size] = '\0';
    variable->value = variable->name + name_size + 1;
    memcpy(variable->value, value, value_size);
    variable->value[value_size] = '\0';
    variable->next = env->first; /* of repeated names the last wins */
    env->first = variable;
    return true;
}

static int read_lines(struct qn_env *env, FILE *file, struct qn_err *err)
{
    char *line = NULL;
    size_t room = 0;
    bool memory = true;
    int number = 0, rc = 0;
    while (rc == 0 && getline(&line, &room, file) >= 0) {
        number++;
        if (add_line(env, line, &memory)) continue;
        rc = memory ? qn_fail(err, QN_ESYNTAX, "line %d is not NAME=value", number)
                    : qn_fail(err, QN_ENOMEM, "out of memory");
    }
    if (rc == 0 && ferror(file)) rc = qn_fail_errno(err, QN_EIO, errno, "cannot be read");
    if (line) explicit_bzero(line, room);
    free(line);
    return rc;
}

/* env.load(path) -> true | nil, err */
static int l_env_load(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct qn_runtime *runtime = qn_runtime_of(L);
    struct qn_err err = {.text = ""};
    if (!runtime->env) runtime->env = qn_calloc(1, sizeof *runtime->env);
    if (!runtime->env) return luaL_error(L, "out of memory");
    FILE *file = fopen(path, "r");
    if (!file) {
        qn_fail(&err, QN_ENOENT, "%s", strerror(errno));
        return qn_lua_fail(L, "usage", &err);
    }
    int rc = read_lines(runtime->env, file, &err);
    fclose(file);
    if (rc < 0) return qn_lua_fail(L, "usage", &err);
    lua_pushboolean(L, true);
    return 1;
}

int luaopen_quern_core_env(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"get", l_env_get}, {"secret", l_env_secret}, {"load", l_env_load}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}
