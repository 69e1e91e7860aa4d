/* quern_files.h - where the Lua library and the scripts that ship are. */
#pragma once

#include "base/err.h"

/* The folder that holds lua/quern/init.lua and scripts/: beside an installed program or library (../share/quern), or
 * the source tree for a program that lies in its build tree. Writes it to out. QN_ENOENT names what was tried. */
int qn_quern_files(char *out, size_t size, struct qn_err *err);
