/* memory.h - the store of runs that need not outlive their process: an interrupted run runs again. */
#pragma once

#include "store/store.h"

/* NULL without memory. Freed by its class's free. */
struct qn_store *qn_memory_store_new(void);
