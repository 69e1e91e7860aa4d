/* The embedding API on the runtime. */
#include "quern.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/secret.h"
#include "json/doc.h"
#include "json/write.h"
#include "lua/budget.h"
#include "lua/library.h"
#include "lua/quern_files.h"
#include "lua/quern_path.h"
#include "lua/runtime.h"

struct quern {
    char *lib_dir, *scripts_dir, *ca_file; /* NULL: not given */
    bool allow_insecure;
    void (*on_event)(void *user, const char *line, size_t size);
    const char *const *event_types;
    void *user;
    struct qn_buf result;
    _Atomic(struct qn_runtime *) runtime; /* while a call runs; read by quern_interrupt */
    volatile sig_atomic_t interrupted;
    int left;
};

const char *quern_version(void)
{
    return QN_VERSION;
}

int quern_home(char *out, size_t size)
{
    char root[4096];

    if (qn_quern_files(root, sizeof root, NULL) < 0 || strlen(root) >= size) return -1;
    memcpy(out, root, strlen(root) + 1);
    return 0;
}

static bool copy_text(char **to, const char *text)
{
    if (!text) return true;
    *to = qn_strdup(text);
    return *to != NULL;
}

struct quern *quern_new(const struct quern_options *options)
{
    struct quern_options none = {0};
    struct quern *q = qn_calloc(1, sizeof *q);

    if (!q) return NULL;
    if (!options) options = &none;
    qn_buf_init(&q->result, QN_BUF_NO_CAP);
    q->allow_insecure = options->allow_insecure;
    q->on_event = options->on_event;
    q->event_types = options->event_types;
    q->user = options->user;
    if (copy_text(&q->lib_dir, options->lib_dir) && copy_text(&q->scripts_dir, options->scripts_dir) &&
        copy_text(&q->ca_file, options->ca_file))
        return q;
    quern_free(q);
    return NULL;
}

int quern_free(struct quern *q)
{
    int left;

    if (!q) return 0;
    left = q->left;
    qn_buf_free(&q->result);
    qn_free(q->lib_dir);
    qn_free(q->scripts_dir);
    qn_free(q->ca_file);
    qn_free(q);
    return left;
}

void quern_interrupt(struct quern *q)
{
    struct qn_runtime *runtime;

    q->interrupted = 1;
    runtime = atomic_load(&q->runtime); /* lock-free for pointers: safe in a signal handler */
    if (runtime) qn_runtime_interrupt(runtime);
}

const char *quern_result(const struct quern *q)
{
    return q->result.size > 0 ? q->result.data : "{}";
}

/* Replaces the result by {"exit":N,"message":"..."}; returns N. */
static int answer(struct quern *q, int status, const char *message)
{
    struct qn_buf safe;

    qn_buf_init(&safe, QN_BUF_NO_CAP);
    qn_buf_clear(&q->result);
    if (qn_redact(&safe, message, strlen(message)) < 0 ||
        qn_buf_add_fmt(&q->result, "{\"exit\":%d,\"message\":", status) < 0 ||
        qn_json_string(&q->result, safe.data, safe.size) < 0 || qn_buf_add_byte(&q->result, '}') < 0 ||
        !qn_buf_cstr(&q->result))
        qn_buf_clear(&q->result);
    qn_buf_free(&safe);
    return status;
}

/* The text of a member of the options; "" if it is absent or not a string. NULL without memory. */
static const char *option_text(const struct qn_doc *doc, const char *name, struct qn_buf *out)
{
    qn_node node;

    if (qn_doc_find(doc, QN_ROOT, name, strlen(name), &node) && qn_doc_kind(doc, node) == QN_STRING &&
        qn_doc_string(doc, node, out) < 0)
        return NULL;
    return qn_buf_cstr(out);
}

static int call_path(struct quern *q, const struct qn_doc *options)
{
    struct qn_buf expression, file;
    struct qn_err err = {0};
    qn_node node;
    bool paths, usage = false;
    int status = 1;

    qn_buf_init(&expression, QN_BUF_NO_CAP);
    qn_buf_init(&file, QN_BUF_NO_CAP);
    paths = qn_doc_find(options, QN_ROOT, "paths", 5, &node) && qn_doc_kind(options, node) == QN_TRUE;
    if (!option_text(options, "expression", &expression) || !option_text(options, "file", &file)) {
        answer(q, 1, "out of memory");
    } else if (qn_quern_path(expression.data, file.size > 0 ? file.data : "-", paths, &q->result, &usage, &err) < 0) {
        status = answer(q, usage ? 2 : 1, err.text);
    } else if (!qn_buf_cstr(&q->result)) {
        answer(q, 1, "out of memory");
    } else {
        status = 0;
    }
    qn_buf_free(&expression);
    qn_buf_free(&file);
    return status;
}

/* Where the library's text and the scripts are: as given, else beside this program. No text is needed where the
 * compiled modules serve: `lib` stays empty. */
static int find_files(const struct quern *q, struct qn_buf *lib, struct qn_buf *scripts, struct qn_err *err)
{
    char root[4096];
    int rc = 0;

    if (q->lib_dir)
        snprintf(root, sizeof root, "%s/..", q->lib_dir);
    else
        rc = qn_quern_files(root, sizeof root, err);
    if (rc < 0) return rc;
    if (q->lib_dir)
        rc = qn_buf_add_str(lib, q->lib_dir);
    else if (!qn_library_fits(lua_ident))
        rc = qn_buf_add_fmt(lib, "%s/lua", root);
    if (rc == 0 && q->scripts_dir)
        rc = qn_buf_add_str(scripts, q->scripts_dir);
    else if (rc == 0)
        rc = qn_buf_add_fmt(scripts, "%s/scripts", root);
    if (rc == 0 && (!qn_buf_cstr(lib) || !qn_buf_cstr(scripts))) rc = QN_ENOMEM;
    return rc < 0 ? qn_fail(err, rc, "out of memory") : 0;
}

/* The options with "scripts_dir" before the caller's members (of duplicates the last wins). */
static int with_folder(const struct qn_doc *options, const struct qn_buf *scripts, struct qn_buf *out)
{
    struct qn_span span = qn_doc_span(options, QN_ROOT);
    int rc = qn_buf_add_str(out, "{\"scripts_dir\":");

    if (rc == 0) rc = qn_json_string(out, scripts->data, scripts->size);
    if (rc == 0 && qn_doc_first(options, QN_ROOT) != QN_NONE) rc = qn_buf_add_byte(out, ',');
    if (rc == 0) rc = qn_buf_add(out, span.data + 1, span.size - 1);
    return rc == 0 && !qn_buf_cstr(out) ? QN_ENOMEM : rc;
}

static int exit_of(const char *result, size_t size)
{
    struct qn_bytes *bytes = qn_bytes_new(result, size);
    struct qn_doc *doc = NULL;
    int64_t status = 1;
    qn_node node;

    if (bytes && qn_doc_parse(bytes, &doc, NULL) == 0 && qn_doc_find(doc, QN_ROOT, "exit", 4, &node) &&
        qn_doc_integer(doc, node, &status) != QN_INTEGER_EXACT)
        status = 1;
    qn_doc_unref(doc);
    qn_bytes_unref(bytes);
    return status >= 0 && status <= 255 ? (int)status : 1;
}

/* The result is the Lua function's, redacted once more, with the most memory this process has used so far. */
static int take_result(struct quern *q, const char *text)
{
    size_t size = strlen(text);
    bool members = size > 2 && text[0] == '{';

    qn_buf_clear(&q->result);
    if ((members && qn_buf_add_fmt(&q->result, "{\"memory_peak_bytes\":%zu,", qn_mem_peak()) < 0) ||
        qn_redact(&q->result, text + members, size - members) < 0 || !qn_buf_cstr(&q->result))
        return answer(q, 1, "out of memory");
    return exit_of(q->result.data, q->result.size);
}

/* Runs quern.main's function of that name in a runtime of its own. */
static int call_main(struct quern *q, const char *command, const struct qn_buf *lib, const char *options)
{
    struct qn_runtime_options how = {
        .lib_dir = lib->size > 0 ? lib->data : NULL,
        .ca_file = q->ca_file,
        .allow_insecure = q->allow_insecure,
        .on_event = q->on_event,
        .event_types = q->event_types,
        .user = q->user,
    };
    struct qn_runtime *runtime = NULL;
    struct qn_err err = {0};
    char *result = NULL;
    int status, rc;

    if (q->interrupted) {
        q->interrupted = 0;
        return answer(q, 130, "interrupted before it began");
    }
    if (qn_runtime_new(&how, &runtime, &err) < 0) return answer(q, 1, err.text);
    atomic_store(&q->runtime, runtime);
    if (q->interrupted) qn_runtime_interrupt(runtime);
    qn_budget_relax(runtime->L, NULL);
    rc = qn_runtime_main(runtime, "quern.main", command, options, &result, &err);
    if (rc == QN_ECANCELED || (rc < 0 && q->interrupted))
        status = answer(q, 130, "interrupted; run again");
    else if (rc < 0)
        status = answer(q, 1, err.text);
    else
        status = take_result(q, result);
    qn_free(result);
    atomic_store(&q->runtime, NULL);
    q->interrupted = 0;
    qn_budget_stop(runtime->L);
    q->left += qn_runtime_free(runtime);
    return status;
}

static bool known(const char *command)
{
    static const char *const commands[] = {"run", "plan", "list", "serve"};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(commands[i], command)) return true;
    return false;
}

static int call_script(struct quern *q, const char *command, const struct qn_doc *options)
{
    struct qn_buf lib, scripts, text;
    struct qn_err err = {0};
    int status;

    qn_buf_init(&lib, QN_BUF_NO_CAP);
    qn_buf_init(&scripts, QN_BUF_NO_CAP);
    qn_buf_init(&text, QN_BUF_NO_CAP);
    if (find_files(q, &lib, &scripts, &err) < 0)
        status = answer(q, 1, err.text);
    else if (with_folder(options, &scripts, &text) < 0)
        status = answer(q, 1, "out of memory");
    else
        status = call_main(q, command, &lib, text.data);
    qn_buf_free(&lib);
    qn_buf_free(&scripts);
    qn_buf_free(&text);
    return status;
}

int quern_call(struct quern *q, const char *command, const char *options_json)
{
    struct qn_bytes *bytes = qn_bytes_new(options_json ? options_json : "{}", options_json ? strlen(options_json) : 2);
    struct qn_doc *options = NULL;
    struct qn_err err = {0};
    char message[QN_ERR_TEXT_SIZE + 64];
    int status;

    qn_buf_clear(&q->result);
    if (!bytes) {
        status = answer(q, 1, "out of memory");
    } else if (qn_doc_parse(bytes, &options, &err) < 0) {
        snprintf(message, sizeof message, "the options of the call are not JSON: %s", err.text);
        status = answer(q, 2, message);
    } else if (qn_doc_kind(options, QN_ROOT) != QN_OBJECT) {
        status = answer(q, 2, "the options of the call are not a JSON object");
    } else if (!strcmp(command, "path")) {
        status = call_path(q, options);
    } else if (known(command)) {
        status = call_script(q, command, options);
    } else {
        status = answer(q, 2, "no such command; run, plan, list, serve and path are");
    }
    qn_doc_unref(options);
    qn_bytes_unref(bytes);
    return status;
}
