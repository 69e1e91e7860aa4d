/* bind_files.c - quern.core.files: the few looks at the file system that the library itself needs to find and read
 * scripts. Not offered to scripts. Main thread. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <lauxlib.h>
#include <lua.h>

#define MAX_SCRIPT_BYTES (16u << 20)
#define HANDLE_NAME      "quern.files.handle"

int luaopen_quern_core_files(lua_State *L);

/* What is open while a call may raise: closed by __gc. */
struct handle {
    FILE *file;
    DIR *dir;
};

static int handle_gc(lua_State *L)
{
    struct handle *handle = luaL_checkudata(L, 1, HANDLE_NAME);
    if (handle->file) fclose(handle->file);
    if (handle->dir) closedir(handle->dir);
    handle->file = NULL;
    handle->dir = NULL;
    return 0;
}

static struct handle *push_handle(lua_State *L)
{
    struct handle *handle = lua_newuserdatauv(L, sizeof *handle, 0);
    *handle = (struct handle){0};
    luaL_setmetatable(L, HANDLE_NAME);
    return handle;
}

static int fail_errno(lua_State *L, int error)
{
    lua_pushnil(L);
    lua_pushstring(L, strerror(error));
    return 2;
}

/* files.exists(path) -> boolean: something to read there, not a folder. */
static int l_files_exists(lua_State *L)
{
    struct stat status;
    lua_pushboolean(L, stat(luaL_checkstring(L, 1), &status) == 0 && !S_ISDIR(status.st_mode));
    return 1;
}

/* files.list(dir) -> names without hidden ones, in no order; or nil, text. */
static int l_files_list(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct handle *handle = push_handle(L);
    handle->dir = opendir(path);
    if (!handle->dir) return fail_errno(L, errno);
    lua_newtable(L);
    lua_Integer n = 0;
    for (struct dirent *entry; (entry = readdir(handle->dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        lua_pushstring(L, entry->d_name);
        lua_rawseti(L, -2, ++n);
    }
    closedir(handle->dir);
    handle->dir = NULL;
    return 1;
}

/* files.read(path) -> text, or nil, text. */
static int l_files_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct handle *handle = push_handle(L);
    handle->file = fopen(path, "rb");
    if (!handle->file) return fail_errno(L, errno);
    luaL_Buffer text;
    luaL_buffinit(L, &text);
    size_t total = 0, got;
    do {
        got = fread(luaL_prepbuffsize(&text, 65536), 1, 65536, handle->file);
        luaL_addsize(&text, got);
        total += got;
    } while (got == 65536 && total <= MAX_SCRIPT_BYTES);
    int error = total > MAX_SCRIPT_BYTES ? EFBIG : ferror(handle->file) ? EIO : 0;
    fclose(handle->file);
    handle->file = NULL;
    if (error) return fail_errno(L, error);
    luaL_pushresult(&text);
    return 1;
}

int luaopen_quern_core_files(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"exists", l_files_exists}, {"list", l_files_list}, {"read", l_files_read}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", handle_gc}, {"__close", handle_gc}, {NULL, NULL}};
    luaL_newmetatable(L, HANDLE_NAME);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
