#include "lua/quern_files.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "quern.h"

/* The file this code was loaded from: libquern, or the program it is linked into. */
static bool own_file(char *out)
{
    Dl_info info;
    void *address = NULL;
    const char *(*function)(void) = quern_version;

    memcpy(&address, &function, sizeof address); /* C has no cast from function to object pointers */
    if (dladdr(address, &info) && info.dli_fname && strstr(info.dli_fname, ".so") && realpath(info.dli_fname, out))
        return true;
    return realpath("/proc/self/exe", out) != NULL;
}

static bool holds_library(const char *root)
{
    char file[PATH_MAX];

    return snprintf(file, sizeof file, "%s/lua/quern/init.lua", root) < (int)sizeof file && access(file, R_OK) == 0;
}

static void parent(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash) *slash = 0;
}

int qn_quern_files(char *out, size_t size, struct qn_err *err)
{
    char file[PATH_MAX], folder[PATH_MAX];

    if (!own_file(file)) return qn_fail(err, QN_ENOENT, "cannot tell where quern is installed");
    if (!strncmp(file, QN_BINARY_DIR "/", sizeof QN_BINARY_DIR) && holds_library(QN_SOURCE_DIR)) {
        snprintf(out, size, "%s", QN_SOURCE_DIR);
        return 0;
    }
    snprintf(folder, sizeof folder, "%s", file);
    for (int up = 0; up < 3; up++) { /* bin/quern, lib/libquern.so, lib/x86_64-linux-gnu/libquern.so */
        parent(folder);
        if (snprintf(out, size, "%s/share/quern", folder) < (int)size && holds_library(out)) return 0;
    }
    return qn_fail(
        err, QN_ENOENT,
        "quern's scripts and its library are not beside %s (../share/quern); install quern with cmake --install", file);
}
