/* served.h - one request inside the server: what server.c and served.c share. Internal to core/net.
 *
 * A request is owned by its connection (from qn_served_new until qn_served_detach) and by the queue, later its taker.
 * While its connection sleeps its socket is watched, because the daemon does not see a client leave then. */
#pragma once

#include <microhttpd.h>

#include "net/server.h"

struct qn_served_watch; /* the poll of the socket */

struct qn_served_list {
    struct qn_served *first, *last;
};

struct qn_served {
    struct qn_loop *loop;
    void (*resumed)(void *user); /* the daemon must be run soon */
    void *user;
    struct MHD_Connection *connection; /* NULL once it has ended */
    struct qn_served_watch *watch;     /* NULL: not watched */
    struct qn_served_list *queue;      /* NULL: taken, or not whole yet */
    struct qn_served_list *all;        /* NULL once the connection has ended */
    struct qn_served *next;            /* in the queue */
    struct qn_served *all_prev, *all_next;
    unsigned owners;
    bool asleep;                     /* the connection is suspended */
    bool answered, abort, too_large; /* abort: the daemon shall drop the connection */
    struct MHD_Response *response;   /* until the daemon has taken it */
    int status;
    char *method; /* NULL until the head was read */
    char *target; /* "path\0query" */
    const char *path, *query;
    struct qn_header *headers;
    size_t header_count;
    struct qn_buf body;
};

/* A request whose target is known; listed in all. NULL without memory. */
struct qn_served *qn_served_new(struct qn_loop *loop, struct qn_served_list *all, struct MHD_Connection *connection,
                                const char *target, void (*resumed)(void *user), void *user);
/* Copies method and headers. False without memory. */
bool qn_served_read_head(struct qn_served *served, const char *method);
/* More body; past the cap (or without memory) too_large is set and the body is dropped. */
void qn_served_collect(struct qn_served *served, const char *data, size_t size);
/* Puts the connection to sleep and the request into the queue, which becomes an owner. */
void qn_served_enqueue(struct qn_served *served, struct qn_served_list *queue);
/* Takes it out of its queue; the queue's ownership passes to the caller. */
void qn_served_unqueue(struct qn_served *served);
/* Lets the daemon call its handler again, which finds the answer or the wish to abort. */
void qn_served_wake(struct qn_served *served);
/* The connection has ended: gives up its ownership; whoever took the request keeps what can be read. */
void qn_served_detach(struct qn_served *served);
