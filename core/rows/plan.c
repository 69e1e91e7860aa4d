#include "rows/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "json/select.h"
#include "rows/csv.h"
#include "rows/ndjson.h"

/* Cuts `wanted`, and white space before it, from the end of a path. */
static bool cut(const char *path, size_t *size, char wanted)
{
    if (*size == 0 || path[*size - 1] != wanted) return false;
    --*size;
    while (*size > 0 && strchr(" \t\r\n", path[*size - 1])) --*size;
    return true;
}

size_t qn_plan_array_path(const char *path)
{
    size_t size = strlen(path);
    bool brackets = cut(path, &size, ']');
    if (!cut(path, &size, '*') || !cut(path, &size, brackets ? '[' : '.')) return 0;
    return size > 0 && path[size - 1] != '.' ? size : 0; /* `..*` is one step and cannot be cut */
}

static int no_memory(struct qn_err *err)
{
    return qn_fail(err, QN_ENOMEM, "out of memory");
}

static int compile(const char *field, const char *text, bool singular, struct qn_path **out, struct qn_err *err)
{
    struct qn_err inner;
    int rc = qn_path_compile(text, strlen(text), out, &inner);
    if (rc < 0) return qn_fail_at(err, rc, inner.offset, "%s: %s", field, inner.text);
    if (singular && !qn_path_singular(*out)) {
        return qn_fail(err, QN_EINVAL, "%s: the path %s may select several nodes; it must name one", field, text);
    }
    return 0;
}

static int compile_records(struct qn_plan *plan, const struct qn_plan_spec *spec, struct qn_err *err)
{
    if (spec->record_levels == 0) return qn_fail(err, QN_EINVAL, "records: at least one path is needed");
    plan->records = qn_calloc(spec->record_levels, sizeof(struct qn_path *));
    if (!plan->records) return no_memory(err);
    plan->level_count = spec->record_levels;
    for (size_t i = 0; i < spec->record_levels; i++) {
        char field[32] = "records";
        if (spec->record_levels > 1) snprintf(field, sizeof field, "records[%zu]", i + 1);
        int rc = compile(field, spec->records[i], false, &plan->records[i], err);
        if (rc < 0) return rc;
    }
    size_t array = qn_plan_array_path(spec->records[0]);
    return array > 0 ? qn_path_compile(spec->records[0], array, &plan->present, err) : 0;
}

static int compile_facts(struct qn_plan *plan, const struct qn_plan_spec *spec, struct qn_err *err)
{
    if (spec->fact_count == 0) return 0;
    plan->facts = qn_calloc(spec->fact_count, sizeof(struct qn_path *));
    plan->fact_names = qn_calloc(spec->fact_count, sizeof(char *));
    if (!plan->facts || !plan->fact_names) return no_memory(err);
    plan->fact_count = spec->fact_count;
    for (size_t i = 0; i < spec->fact_count; i++) {
        char field[80];
        plan->fact_names[i] = qn_strdup(spec->facts[i].name);
        if (!plan->fact_names[i]) return no_memory(err);
        snprintf(field, sizeof field, "facts '%.60s'", spec->facts[i].name);
        int rc = compile(field, spec->facts[i].path, true, &plan->facts[i], err);
        if (rc < 0) return rc;
    }
    return 0;
}

static int compile_member(const char *name, char **out)
{
    struct qn_buf text;
    qn_buf_init(&text, QN_BUF_NO_CAP);
    int rc = qn_ndjson_name(&text, name);
    if (rc == 0 && !(*out = qn_strndup(text.data, text.size))) rc = QN_ENOMEM;
    qn_buf_free(&text);
    return rc;
}

static int compile_column(struct qn_plan *plan, const struct qn_plan_spec *spec, size_t i, struct qn_err *err)
{
    struct qn_err inner;
    const char *name = spec->columns[i].name;
    if (!name || !*name) return qn_fail(err, QN_EINVAL, "columns[%zu]: a column needs a name", i + 1);
    for (size_t k = 0; k < i; k++) {
        if (strcmp(plan->columns[k].name, name) == 0) {
            return qn_fail(err, QN_EINVAL, "columns[%zu] '%s': columns[%zu] has this name already", i + 1, name, k + 1);
        }
    }
    if (!spec->columns[i].path && !spec->has_transform) {
        return qn_fail(err, QN_EINVAL, "columns[%zu] '%s': a column without a path needs a transform to set it", i + 1,
                       name);
    }
    int rc = qn_column_init(&plan->columns[i], &spec->columns[i], plan->level_count, &inner);
    if (rc < 0) return qn_fail_at(err, rc, inner.offset, "columns[%zu] '%s': %s", i + 1, name, inner.text);
    plan->column_count = i + 1;
    return compile_member(name, &plan->members[i]) < 0 ? no_memory(err) : 0;
}

/* What one walk of a record of this level (0: innermost) selects. */
static int compile_selection(struct qn_plan *plan, size_t level, const struct qn_path **paths)
{
    size_t count = plan->column_count;
    bool any = false;
    for (size_t i = 0; i < count; i++)
        paths[i] = (size_t)plan->columns[i].level == level ? plan->columns[i].path : NULL;
    paths[count] = level == 0 ? plan->key : NULL;
    paths[count + 1] = level == 0 ? plan->owner : NULL;
    for (size_t i = 0; i < count + 2; i++) any |= paths[i] != NULL;
    return any ? qn_selection_new(paths, count + 2, &plan->selections[level]) : 0;
}

static int compile_selections(struct qn_plan *plan, struct qn_err *err)
{
    const struct qn_path **paths = qn_calloc(plan->column_count + 2, sizeof *paths);
    plan->selections = qn_calloc(plan->level_count, sizeof *plan->selections);
    int rc = paths && plan->selections ? 0 : QN_ENOMEM;
    for (size_t i = 0; i < plan->level_count && rc == 0; i++) rc = compile_selection(plan, i, paths);
    qn_free(paths);
    return rc < 0 ? no_memory(err) : 0;
}

/* May the rows be made while a page is indexed, and what may then be forgotten? */
static void find_array(struct qn_plan *plan)
{
    int depth = plan->present ? qn_path_names(plan->present, plan->array_names, QN_PLAN_MAX_NAMES) : -1;
    if (depth < 0 || plan->has_transform) return;
    plan->early = plan->fold = true;
    plan->array_depth = (size_t)depth;
    for (size_t i = 0; i < plan->fact_count; i++) {
        if (!qn_path_apart(plan->facts[i], plan->present)) plan->fold = false;
    }
}

static int check_shape(const struct qn_plan_spec *spec, struct qn_err *err)
{
    if (!spec->raw && spec->column_count == 0) {
        return qn_fail(err, QN_EINVAL, "columns: a row needs columns (a transform: the fields it sets), or raw = true");
    }
    if (spec->raw && (spec->column_count > 0 || spec->has_transform)) {
        return qn_fail(err, QN_EINVAL, "raw: a raw row is the record itself; it cannot have columns or a transform");
    }
    if (spec->raw && spec->format == QN_FORMAT_CSV) {
        return qn_fail(err, QN_EINVAL, "raw: raw rows are JSON; CSV needs columns");
    }
    return 0;
}

int qn_plan_new(const struct qn_plan_spec *spec, struct qn_plan **out, struct qn_err *err)
{
    int rc = check_shape(spec, err);
    if (rc < 0) return rc;
    struct qn_plan *plan = qn_calloc(1, sizeof *plan);
    if (!plan) return no_memory(err);
    atomic_init(&plan->references, 1);
    plan->raw = spec->raw;
    plan->has_transform = spec->has_transform;
    plan->format = spec->format;
    plan->csv_safe = spec->csv_safe;
    plan->on_error = spec->on_error;
    rc = compile_records(plan, spec, err);
    if (rc == 0 && spec->key) rc = compile("key", spec->key, true, &plan->key, err);
    if (rc == 0 && spec->owner) rc = compile("owner", spec->owner, true, &plan->owner, err);
    if (rc == 0) rc = compile_facts(plan, spec, err);
    if (rc == 0 && spec->column_count > 0) {
        plan->columns = qn_calloc(spec->column_count, sizeof *plan->columns);
        plan->members = qn_calloc(spec->column_count, sizeof *plan->members);
        plan->found = qn_calloc(spec->column_count, sizeof *plan->found);
        if (!plan->columns || !plan->members || !plan->found) rc = no_memory(err);
    }
    for (size_t i = 0; i < spec->column_count && rc == 0; i++) rc = compile_column(plan, spec, i, err);
    if (rc == 0) rc = compile_selections(plan, err);
    if (rc == 0) find_array(plan);
    if (rc < 0) {
        qn_plan_unref(plan);
        return rc;
    }
    *out = plan;
    return 0;
}

struct qn_plan *qn_plan_ref(struct qn_plan *plan)
{
    atomic_fetch_add_explicit(&plan->references, 1, memory_order_relaxed);
    return plan;
}

void qn_plan_unref(struct qn_plan *plan)
{
    if (!plan || atomic_fetch_sub_explicit(&plan->references, 1, memory_order_acq_rel) != 1) return;
    for (size_t i = 0; i < plan->level_count; i++) {
        qn_path_free(plan->records[i]);
        if (plan->selections) qn_selection_free(plan->selections[i]);
    }
    for (size_t i = 0; i < plan->fact_count; i++) {
        qn_path_free(plan->facts[i]);
        qn_free(plan->fact_names[i]);
    }
    for (size_t i = 0; i < plan->column_count; i++) {
        qn_column_done(&plan->columns[i]);
        qn_free(plan->members[i]);
    }
    qn_path_free(plan->present);
    qn_path_free(plan->key);
    qn_path_free(plan->owner);
    qn_free(plan->records);
    qn_free(plan->facts);
    qn_free(plan->fact_names);
    qn_free(plan->columns);
    qn_free(plan->selections);
    qn_free(plan->members);
    qn_free(plan->found);
    qn_free(plan);
}

size_t qn_plan_column_count(const struct qn_plan *plan)
{
    return plan->column_count;
}

const char *qn_plan_column_name(const struct qn_plan *plan, size_t column)
{
    return plan->columns[column].name;
}

bool qn_plan_column_found(const struct qn_plan *plan, size_t column)
{
    const struct qn_column *one = &plan->columns[column];
    if (!one->path || one->has_default || one->reduce == QN_REDUCE_COUNT) return true;
    return atomic_load_explicit(&plan->found[column], memory_order_relaxed);
}

size_t qn_plan_fact_count(const struct qn_plan *plan)
{
    return plan->fact_count;
}

const char *qn_plan_fact_name(const struct qn_plan *plan, size_t fact)
{
    return plan->fact_names[fact];
}

bool qn_plan_has_transform(const struct qn_plan *plan)
{
    return plan->has_transform;
}

enum qn_format qn_plan_format(const struct qn_plan *plan)
{
    return plan->format;
}

int qn_plan_header(const struct qn_plan *plan, struct qn_buf *out)
{
    if (plan->format != QN_FORMAT_CSV) return 0;
    int rc = 0;
    for (size_t i = 0; i < plan->column_count && rc == 0; i++) {
        if (i > 0) rc = qn_buf_add_byte(out, ',');
        if (rc == 0) rc = qn_csv_text(out, plan->columns[i].name, strlen(plan->columns[i].name), plan->csv_safe);
    }
    return rc < 0 ? rc : qn_buf_add(out, "\r\n", 2);
}
