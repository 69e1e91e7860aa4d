#include "net/multi.h"

#include <curl/curl.h>
#include <uv.h>

#include "base/mem.h"

struct qn_multi {
    struct qn_loop *loop;
    CURLM *handle;
    uv_timer_t timer;
    struct qn_multi_transfer *unwatched; /* sockets without a watch: found inside curl, ended by collect */
};

/* One watched socket. Made by the socket callback, freed when libuv has closed the poll. */
struct watch {
    uv_poll_t poll;
    struct qn_multi *multi;
    curl_socket_t socket;
    int events; /* UV_READABLE | UV_WRITABLE, as curl asked last */
};

static void end(struct qn_multi *multi, struct qn_multi_transfer *transfer, CURLcode code)
{
    qn_multi_remove(multi, transfer);
    transfer->done(transfer, code);
    /* Timers of libuv run before its poll, which must not sleep on while a result waits to be looked at. */
    qn_loop_wake(multi->loop);
}

/* Takes every finished transfer out. Must follow each curl_multi_socket_action: nothing else tells. */
static void collect(struct qn_multi *multi)
{
    CURLMsg *message;
    int left;
    while (multi->unwatched) end(multi, multi->unwatched, CURLE_OUT_OF_MEMORY);
    while ((message = curl_multi_info_read(multi->handle, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        /* The message dies with the removal: copy first. */
        CURL *easy = message->easy_handle;
        CURLcode code = message->data.result;
        struct qn_multi_transfer *transfer = NULL;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
        end(multi, transfer, code);
    }
}

static void act(struct qn_multi *multi, curl_socket_t socket, int flags)
{
    int running;
    curl_multi_socket_action(multi->handle, socket, flags, &running);
    collect(multi);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int curl_flags(int events)
{
    return (events & UV_READABLE ? CURL_CSELECT_IN : 0) | (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *watch = poll->data;
    struct qn_multi *multi = watch->multi;
    curl_socket_t socket = watch->socket;
    if (status >= 0) {
        act(multi, socket, curl_flags(events));
        return;
    }
    /* libuv stops a poll that reports an error. If curl goes on with the socket (it may read what arrived before a
     * reset), it must be watched again; a closing handle means curl gave it up, and watch is then still valid. The
     * wanted events go along, for with the error alone curl would not read what is there. */
    act(multi, socket, CURL_CSELECT_ERR | curl_flags(watch->events));
    if (!uv_is_closing((uv_handle_t *)poll) && !uv_is_active((uv_handle_t *)poll))
        uv_poll_start(poll, watch->events, on_poll);
}

static void on_watch_closed(uv_handle_t *handle)
{
    qn_free(handle->data);
}

static struct watch *watch_new(struct qn_multi *multi, curl_socket_t socket)
{
    struct watch *watch = qn_calloc(1, sizeof *watch);
    if (!watch) return NULL;
    if (uv_poll_init_socket(qn_loop_uv(multi->loop), &watch->poll, socket) < 0) {
        qn_free(watch); /* a failed init registers nothing */
        return NULL;
    }
    watch->poll.data = watch;
    watch->multi = multi;
    watch->socket = socket;
    if (curl_multi_assign(multi->handle, socket, watch) != CURLM_OK) {
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        return NULL;
    }
    return watch;
}

/* Only this transfer ends. Failing the callback instead would fail every transfer of the multi, and none at once. */
static void give_up(struct qn_multi *multi, CURL *easy)
{
    struct qn_multi_transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer);
    if (!transfer || transfer->unwatched) return;
    transfer->unwatched = true;
    transfer->next_unwatched = multi->unwatched;
    multi->unwatched = transfer;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *user, void *socket_user)
{
    struct qn_multi *multi = user;
    struct watch *watch = socket_user;
    if (what == CURL_POLL_REMOVE) {
        if (!watch) return 0;
        /* Stopped at once: curl closes the socket next, and the number may come back before the close callback. */
        uv_poll_stop(&watch->poll);
        curl_multi_assign(multi->handle, socket, NULL);
        uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        return 0;
    }
    if (!watch) watch = watch_new(multi, socket);
    if (!watch) {
        give_up(multi, easy);
        return 0;
    }
    watch->events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!watch->events)
        uv_poll_stop(&watch->poll);
    else if (uv_poll_start(&watch->poll, watch->events, on_poll) < 0)
        give_up(multi, easy);
    return 0;
}

/* Only sets the timer: acting here would enter curl from inside curl. */
static int on_set_timer(CURLM *handle, long timeout_ms, void *user)
{
    (void)handle;
    struct qn_multi *multi = user;
    if (timeout_ms < 0) {
        uv_timer_stop(&multi->timer);
        return 0;
    }
    uv_update_time(qn_loop_uv(multi->loop));
    return uv_timer_start(&multi->timer, on_timer, (uint64_t)timeout_ms, 0) < 0 ? -1 : 0;
}

int qn_multi_new(struct qn_loop *loop, unsigned max_connections, struct qn_multi **out, struct qn_err *err)
{
    struct qn_multi *multi = qn_calloc(1, sizeof *multi);
    if (!multi) return qn_fail(err, QN_ENOMEM, "out of memory");
    multi->loop = loop;
    multi->handle = curl_multi_init();
    if (!multi->handle) {
        qn_free(multi);
        return qn_fail(err, QN_ENOMEM, "out of memory");
    }
    uv_timer_init(qn_loop_uv(loop), &multi->timer); /* cannot fail */
    multi->timer.data = multi;
    curl_multi_setopt(multi->handle, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi->handle, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->handle, CURLMOPT_TIMERFUNCTION, on_set_timer);
    curl_multi_setopt(multi->handle, CURLMOPT_TIMERDATA, multi);
    curl_multi_setopt(multi->handle, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(multi->handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_connections);
    /* Idle connections kept; curl's own default shrinks with the number of running transfers. */
    curl_multi_setopt(multi->handle, CURLMOPT_MAXCONNECTS, max_connections ? (long)max_connections : 32L);
    *out = multi;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    qn_free(handle->data);
}

void qn_multi_free(struct qn_multi *multi)
{
    if (!multi) return;
    /* Closes the kept connections, and calls on_socket and on_set_timer while it does. */
    curl_multi_cleanup(multi->handle);
    uv_timer_stop(&multi->timer);
    uv_close((uv_handle_t *)&multi->timer, on_timer_closed);
}

int qn_multi_add(struct qn_multi *multi, struct qn_multi_transfer *transfer, struct qn_err *err)
{
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    CURLMcode code = curl_multi_add_handle(multi->handle, transfer->easy);
    if (code != CURLM_OK) return qn_fail(err, QN_ENOMEM, "cannot start a transfer: %s", curl_multi_strerror(code));
    transfer->running = true;
    qn_loop_hold(multi->loop, 1);
    return 0;
}

void qn_multi_remove(struct qn_multi *multi, struct qn_multi_transfer *transfer)
{
    if (!transfer->running) return;
    transfer->running = false;
    if (transfer->unwatched) {
        struct qn_multi_transfer **at = &multi->unwatched;
        while (*at != transfer) at = &(*at)->next_unwatched;
        *at = transfer->next_unwatched;
        transfer->unwatched = false;
    }
    curl_multi_remove_handle(multi->handle, transfer->easy);
    qn_loop_hold(multi->loop, -1);
}
