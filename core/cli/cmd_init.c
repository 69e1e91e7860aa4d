/* quern init: a starter project, copied from examples/starter. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "json/write.h"
#include "quern.h"

#define MOST_FILES    16
#define EDITOR_FILE   ".luarc.json"
#define LIBRARY_THERE "\"../../lua\"" /* where the library is from examples/starter; replaced by its real place */

struct project {
    const char *dir;
    char home[PATH_MAX]; /* of quern: holds lua/ and examples/ */
    char names[MOST_FILES][NAME_MAX + 1];
    size_t count;
    size_t written; /* the first of the names, which exist by our doing */
    bool made_dir;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* "HOME/examples/starter", or with a name the file in it. */
static int template_path(const struct project *project, const char *name, char *out, size_t size)
{
    int length = snprintf(out, size, "%s/examples/starter%s%s", project->home, *name ? "/" : "", name);

    if (length >= 0 && (size_t)length < size) return CLI_OK;
    return cli_fail(CLI_FAILED, "the path of quern's examples is too long: %s", project->home);
}

static int target_path(const struct project *project, const char *name, char *out, size_t size)
{
    int length = snprintf(out, size, "%s/%s", project->dir, name);

    if (length >= 0 && (size_t)length < size) return CLI_OK;
    return cli_fail(CLI_USAGE, "the path is too long: %s", project->dir);
}

static int find_templates(struct project *project)
{
    char path[PATH_MAX];
    const struct dirent *entry;
    DIR *folder;
    int status;

    if (quern_home(project->home, sizeof project->home) < 0)
        return cli_fail(CLI_FAILED, "quern's own files are not beside the program; install quern with cmake --install");
    status = template_path(project, "", path, sizeof path);
    if (status != CLI_OK) return status;
    folder = opendir(path);
    if (!folder) return cli_fail(CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    while ((entry = readdir(folder)) != NULL && project->count < MOST_FILES) {
        struct stat about;
        status = template_path(project, entry->d_name, path, sizeof path);
        if (status != CLI_OK) break;
        if (stat(path, &about) == 0 && S_ISREG(about.st_mode))
            snprintf(project->names[project->count++], sizeof *project->names, "%s", entry->d_name);
    }
    closedir(folder);
    qsort(project->names, project->count, sizeof *project->names, by_name);
    if (status == CLI_OK && project->count == 0) status = cli_fail(CLI_FAILED, "no files in %s", path);
    return status;
}

/* Refuses a folder that holds any of the files, before anything is written. */
static int check_target(const struct project *project)
{
    char path[PATH_MAX], there[MOST_FILES * (NAME_MAX + 3)] = "";
    struct stat about;
    int status;

    if (stat(project->dir, &about) == 0 && !S_ISDIR(about.st_mode))
        return cli_fail(CLI_USAGE, "%s is there and is not a folder", project->dir);
    for (size_t i = 0; i < project->count; i++) {
        status = target_path(project, project->names[i], path, sizeof path);
        if (status != CLI_OK) return status;
        if (lstat(path, &about) != 0) continue;
        if (*there) strcat(there, ", "); /* fits: a name and two characters for each file */
        strcat(there, project->names[i]);
    }
    if (!*there) return CLI_OK;
    return cli_fail(CLI_USAGE, "%s already holds %s; nothing was written. Name another folder", project->dir, there);
}

static int read_template(const char *path, struct qn_buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    ssize_t n = 1;

    if (fd < 0) return cli_fail(CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    while (n > 0 && (rc = qn_buf_reserve(out, 4096)) == 0) {
        n = read(fd, out->data + out->size, 4096);
        if (n > 0) out->size += (size_t)n;
    }
    if (n < 0) rc = cli_fail(CLI_FAILED, "cannot read %s: %s", path, strerror(errno));
    close(fd);
    if (rc < 0) return cli_fail(CLI_FAILED, "out of memory");
    return rc;
}

/* The editor's settings name the folder of the library, which is known only here. */
static int set_library(const struct project *project, struct qn_buf *text)
{
    const char *at = qn_buf_cstr(text) ? strstr(text->data, LIBRARY_THERE) : NULL;
    struct qn_buf whole, library;
    int rc = 0;

    if (!at) return cli_fail(CLI_FAILED, "%s of quern's examples does not name the library", EDITOR_FILE);
    qn_buf_init(&whole, QN_BUF_NO_CAP);
    qn_buf_init(&library, QN_BUF_NO_CAP);
    rc = qn_buf_add_fmt(&library, "%s/lua", project->home);
    if (rc == 0) rc = qn_buf_add(&whole, text->data, (size_t)(at - text->data));
    if (rc == 0) rc = qn_json_string(&whole, library.data, library.size);
    if (rc == 0) rc = qn_buf_add_str(&whole, at + strlen(LIBRARY_THERE));
    qn_buf_free(&library);
    qn_buf_free(text);
    *text = whole;
    return rc < 0 ? cli_fail(CLI_FAILED, "out of memory") : CLI_OK;
}

/* A new file with this text. One that appeared meanwhile is not touched. */
static int write_new(const char *path, const struct qn_buf *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666), why = 0;
    size_t done = 0;

    if (fd < 0) return cli_fail(CLI_FAILED, "cannot write %s: %s", path, strerror(errno));
    while (done < text->size && why == 0) {
        ssize_t n = write(fd, text->data + done, text->size - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            why = errno;
    }
    if (close(fd) != 0 && why == 0) why = errno;
    if (why == 0) return CLI_OK;
    unlink(path);
    return cli_fail(CLI_FAILED, "cannot write %s: %s", path, strerror(why));
}

static int copy_one(const struct project *project, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];
    struct qn_buf text;
    int status = template_path(project, name, from, sizeof from);

    if (status == CLI_OK) status = target_path(project, name, to, sizeof to);
    if (status != CLI_OK) return status;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    status = read_template(from, &text);
    if (status == CLI_OK && !strcmp(name, EDITOR_FILE)) status = set_library(project, &text);
    if (status == CLI_OK) status = write_new(to, &text);
    qn_buf_free(&text);
    return status;
}

/* Takes back what was written. */
static void undo(const struct project *project)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < project->written; i++)
        if (target_path(project, project->names[i], path, sizeof path) == CLI_OK) unlink(path);
    if (project->made_dir) rmdir(project->dir);
}

static int make(struct project *project)
{
    int status = CLI_OK;

    if (mkdir(project->dir, 0777) == 0)
        project->made_dir = true;
    else if (errno != EEXIST)
        return cli_fail(CLI_FAILED, "cannot make the folder %s: %s", project->dir, strerror(errno));
    for (size_t i = 0; i < project->count && status == CLI_OK; i++) {
        status = copy_one(project, project->names[i]);
        if (status == CLI_OK) project->written++;
    }
    if (status != CLI_OK) undo(project);
    return status;
}

static void print_next(const struct project *project)
{
    printf("made %s:", project->dir);
    for (size_t i = 0; i < project->count; i++) printf(" %s", project->names[i]);
    printf("\n\nnext, type\n");
    if (strcmp(project->dir, ".") != 0) printf("  cd %s\n", project->dir);
    printf("  cp .env.sample .env\n"
           "  quern emulate --port 8080 &\n"
           "  quern run query.lua --env-file .env -o conversations.csv\n");
}

static int run(const struct cli_args *args)
{
    static struct project project; /* PATH_MAX and names: rather large for the stack */
    int status;

    if (args->word_count == 0) return cli_fail(CLI_USAGE, "init where? Give the name of a folder: quern init my_query");
    project = (struct project){.dir = args->words[0]};
    if (!*project.dir) return cli_fail(CLI_USAGE, "the folder's name is empty");
    status = find_templates(&project);
    if (status == CLI_OK) status = check_target(&project);
    if (status == CLI_OK) status = make(&project);
    if (status != CLI_OK) return status;
    print_next(&project);
    return cli_finish_output(CLI_OK);
}

static const struct cli_option options[] = {CLI_HELP_OPTION, {0}};

const struct cli_command cli_init = {
    .name = "init",
    .words = "DIR",
    .most_words = 1,
    .summary = "make a starter project: a query, its environment, settings for the editor",
    .options = options,
    .more = "DIR may exist, if it holds none of the files. The query runs as it stands against quern emulate.\n\n"
            "  quern init my_query\n",
    .run = run,
};
