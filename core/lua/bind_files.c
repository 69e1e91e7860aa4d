/* bind_files.c - quern.core.files: what the library itself needs of the file system: finding and reading scripts, and
 * files of lines that only grow. Not offered to scripts. Main thread. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#include "lua/luax.h"

#define MAX_SCRIPT_BYTES (16u << 20)
#define HANDLE_NAME      "quern.files.handle"
#define LINES_NAME       "quern.files.lines"

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

/* ---- files of lines ---- */

struct lines {
    int fd;   /* -1: closed */
    bool cut; /* the last line lacks its line break: written by somebody who did not get to its end */
};

static int lines_gc(lua_State *L)
{
    struct lines *lines = luaL_checkudata(L, 1, LINES_NAME);
    if (lines->fd >= 0) close(lines->fd);
    lines->fd = -1;
    return 0;
}

/* Does a file that can be read end in the middle of a line? */
static bool ends_in_a_line(const char *path)
{
    struct stat status;
    char last = '\n';
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
        pread(fd, &last, 1, status.st_size - 1) != 1)
        last = '\n';
    close(fd);
    return last != '\n';
}

/* files.append(path) -> lines, or nil, text. A new file is the owner's alone (0600). */
static int l_files_append(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct lines *lines = lua_newuserdatauv(L, sizeof *lines, 0);
    *lines = (struct lines){.fd = -1};
    luaL_setmetatable(L, LINES_NAME);
    lines->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (lines->fd < 0) return fail_errno(L, errno);
    lines->cut = ends_in_a_line(path);
    return 1;
}

/* 0 or the errno. One write for the whole, so that lines of several programs do not mix. */
static int write_whole(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

/* lines:write(line) -> true, or nil, text. Secrets are redacted; the line break is added. */
static int lines_write(lua_State *L)
{
    struct lines *lines = luaL_checkudata(L, 1, LINES_NAME);
    size_t size;
    const char *line = luaL_checklstring(L, 2, &size);
    if (lines->fd < 0) return fail_errno(L, EBADF);
    struct qn_buf text;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    int error = 0;
    if ((lines->cut && qn_buf_add_byte(&text, '\n') < 0) || qn_redact(&text, line, size) < 0 ||
        qn_buf_add_byte(&text, '\n') < 0)
        error = ENOMEM;
    if (!error) error = write_whole(lines->fd, text.data, text.size);
    qn_buf_free(&text);
    if (error) return fail_errno(L, error);
    lines->cut = false;
    lua_pushboolean(L, true);
    return 1;
}

/* lines:sync() -> true, or nil, text: what was written is on the disk. */
static int lines_sync(lua_State *L)
{
    struct lines *lines = luaL_checkudata(L, 1, LINES_NAME);
    if (lines->fd < 0) return fail_errno(L, EBADF);
    if (fdatasync(lines->fd) != 0 && errno != EINVAL && errno != EROFS) /* EINVAL: a pipe or a terminal */
        return fail_errno(L, errno);
    lua_pushboolean(L, true);
    return 1;
}

int luaopen_quern_core_files(lua_State *L)
{
    static const luaL_Reg functions[] = {{"append", l_files_append},
                                         {"exists", l_files_exists},
                                         {"list", l_files_list},
                                         {"read", l_files_read},
                                         {NULL, NULL}};
    static const luaL_Reg lines_meta[] = {{"__gc", lines_gc}, {"__close", lines_gc}, {NULL, NULL}};
    static const luaL_Reg lines_methods[] = {
        {"close", lines_gc}, {"sync", lines_sync}, {"write", lines_write}, {NULL, NULL}};
    static const luaL_Reg meta[] = {{"__gc", handle_gc}, {"__close", handle_gc}, {NULL, NULL}};
    luaL_newmetatable(L, HANDLE_NAME);
    luaL_setfuncs(L, meta, 0);
    lua_pop(L, 1);
    qn_lua_new_type(L, LINES_NAME, lines_meta, lines_methods);
    luaL_newlib(L, functions);
    return 1;
}
