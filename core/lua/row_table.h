/* row_table.h - tables of named values as rows: what a transform answers and what quern.emit is given.
 *
 * Errors of a script are QN_ESCRIPT with a text that begins at the row ("its row has 'x', ..."); the caller says whose
 * row it is. One thread at a time. */
#pragma once

#include <lua.h>

#include "base/err.h"
#include "rows/arena.h"
#include "rows/convert.h"

struct qn_row_name;

struct qn_row_table {
    const struct qn_plan *plan;
    struct qn_arena arena;     /* texts of one row on its way: those that Lua does not keep */
    bool copies;               /* of this row, Lua keeps none */
    struct qn_value *values;   /* one a column */
    struct qn_row_name *names; /* columns by the address of their name in Lua */
    size_t name_mask;
};

int qn_row_table_init(struct qn_row_table *table, const struct qn_plan *plan); /* QN_ENOMEM; the plan is borrowed */
void qn_row_table_free(struct qn_row_table *table);
/* Pushes the table of columns that the function below needs: names by number (from 1), numbers (from 0) by name. May
 * raise. */
void qn_row_table_push_columns(lua_State *L, const struct qn_plan *plan);
/* Emits the row at index `row`; `columns` is the index of the table of columns, the same each time. May raise. */
int qn_row_table_emit(lua_State *L, struct qn_row_table *table, int columns, int row, struct qn_emit *emit,
                      struct qn_err *err);
