/* run_world.h - for the tests of sinks and runs: a folder of their own, and the proof that nothing is left of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

struct world {
    char dir[64];
    size_t blocks;
    int descriptors;
};

static inline int count_entries(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) n++;
    }
    if (d) closedir(d);
    return d ? n : -1;
}

static inline void world_open(struct world *world)
{
    strcpy(world->dir, "/tmp/quern-test-XXXXXX");
    assert_non_null(mkdtemp(world->dir));
    world->descriptors = count_entries("/proc/self/fd");
    world->blocks = qn_mem_blocks();
}

/* The folder is empty again, no memory is held, no descriptor is open. */
static inline void world_close(struct world *world)
{
    assert_int_equal(qn_mem_blocks(), world->blocks);
    assert_int_equal(count_entries("/proc/self/fd"), world->descriptors);
    assert_int_equal(count_entries(world->dir), 0);
    assert_int_equal(rmdir(world->dir), 0);
}

static inline const char *world_path(const struct world *world, const char *name, char *out)
{
    sprintf(out, "%s/%s", world->dir, name);
    return out;
}

/* The whole file as a string that the caller frees with free(); NULL if it is not there. */
static inline char *slurp(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    size_t size = 0, capacity = 1 << 16;
    char *text = malloc(capacity);
    for (size_t n; (n = fread(text + size, 1, capacity - size - 1, file)) > 0;) {
        size += n;
        if (capacity - size < 4096) text = realloc(text, capacity *= 2);
    }
    text[size] = 0;
    fclose(file);
    return text;
}

static inline void expect_file(const char *path, const char *text)
{
    char *found = slurp(path);
    assert_non_null(found);
    assert_string_equal(found, text);
    free(found);
    assert_int_equal(unlink(path), 0);
}
