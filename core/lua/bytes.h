/* bytes.h - shared bytes as Lua values: declared with the other shared types. */
#pragma once

#include "lua/luax.h"
