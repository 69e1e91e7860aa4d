/* multi.h - curl multi driven by libuv: one poll a socket, one timer, and nothing else.
 *
 * A transfer is an easy handle with a callback. While it runs it holds a debt on the loop (qn_loop_hold), so that
 * the loop knows something will happen and a virtual clock stands still. `done` is called from a turn of the loop,
 * outside every curl callback, after the handle was taken out of the multi: it may free the easy handle, the
 * transfer, or start another. Main thread only. */
#pragma once

#include "base/err.h"
#include "engine/loop.h"

struct qn_multi; /* opaque */

struct qn_multi_transfer { /* embedded by its owner */
    void *easy;            /* CURL *, set by the owner; its CURLOPT_PRIVATE belongs to the multi */
    void (*done)(struct qn_multi_transfer *transfer, int curl_code);
    bool running;   /* the multi's own from here */
    bool unwatched; /* no memory to watch its socket: ends with CURLE_OUT_OF_MEMORY */
    struct qn_multi_transfer *next_unwatched;
};

/* max_connections: at once, 0: no bound. */
int qn_multi_new(struct qn_loop *loop, unsigned max_connections, struct qn_multi **out, struct qn_err *err);
/* No transfer may be running. Handles are closed by the turns of the loop (or qn_loop_free) that follow. */
void qn_multi_free(struct qn_multi *multi);
/* Starts; done is never called from inside. */
int qn_multi_add(struct qn_multi *multi, struct qn_multi_transfer *transfer, struct qn_err *err);
/* Stops it without calling done; nothing if it is not running. Never from a curl callback. */
void qn_multi_remove(struct qn_multi *multi, struct qn_multi_transfer *transfer);
