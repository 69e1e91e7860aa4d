/* server.c - the page server that nginx cannot be: its answers wait, or share a rate.
 *
 *     server [--pages FOLDER] [--rate BYTES_A_SECOND] [--delay-ms N]
 *
 * Prints its port, and serves 127.0.0.1 until it is killed: /page?day=D&pageNumber=N is the file FOLDER/D/N.json;
 * /small?item=I&pages=P&pageNumber=N is a page of one record. --rate holds all connections together; what one does not
 * take, the others get. --delay-ms: an answer begins that long after its request. One thread, HTTP/1.1, keep-alive,
 * GET only, no pipelining: enough for the programs of the bench. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SLICE   ((size_t)64 << 10) /* what a connection is given at once when there is a rate */
#define TURN_NS 2000000            /* with a rate: the bucket is filled this often */

enum state { READING, DELAYED, SENDING, BLOCKED };

struct connection {
    int fd, file; /* file: -1 when the answer is all in head */
    enum state state;
    bool gone;
    char request[2048];
    size_t request_size;
    char head[512];
    size_t head_size, head_sent;
    off_t file_at, file_size;
    int64_t due_ns;
    struct connection *next; /* in the queue of its state: DELAYED or SENDING */
};

struct queue {
    struct connection *first, **end;
};

static const char *folder = ".";
static int64_t rate, delay_ns; /* 0: none */
static int poller;
static struct queue delayed = {.end = &delayed.first}, sending = {.end = &sending.first};

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void push(struct queue *queue, struct connection *connection)
{
    connection->next = NULL;
    *queue->end = connection;
    queue->end = &connection->next;
}

static struct connection *pop(struct queue *queue)
{
    struct connection *connection = queue->first;
    queue->first = connection->next;
    if (!queue->first) queue->end = &queue->first;
    return connection;
}

static void hang_up(struct connection *connection)
{
    if (connection->file >= 0) close(connection->file);
    close(connection->fd);
    free(connection);
}

static void watch(struct connection *connection, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};
    if (epoll_ctl(poller, operation, connection->fd, &event) < 0) fail("server: epoll_ctl");
}

/* The value of a name in the url query; "" when it is not there, or has a character that a page's name has not. */
static const char *argument(const char *query, const char *name, char *value, size_t size)
{
    size_t length = strlen(name);
    value[0] = 0;
    while (query && *query) {
        if (!strncmp(query, name, length) && query[length] == '=') {
            size_t end = strspn(query + length + 1, "0123456789-");
            if (end < size) snprintf(value, size, "%.*s", (int)end, query + length + 1);
            return value;
        }
        query = strchr(query, '&');
        if (query) query++;
    }
    return value;
}

static void answer_text(struct connection *connection, const char *status, const char *text)
{
    int size = snprintf(connection->head, sizeof connection->head,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
                        strlen(text), text);
    connection->head_size = (size_t)size;
}

static void answer_small(struct connection *connection, const char *query)
{
    char item[32], pages[32], number[32], text[160];
    argument(query, "item", item, sizeof item);
    argument(query, "pages", pages, sizeof pages);
    argument(query, "pageNumber", number, sizeof number);
    snprintf(text, sizeof text, "{\"items\":[{\"id\":\"%s-%s\"}],\"pageCount\":%s}", item, number,
             *pages ? pages : "1");
    answer_text(connection, "200 OK", text);
}

static void answer_page(struct connection *connection, const char *query)
{
    char day[32], number[32], path[1024];
    struct stat info;
    argument(query, "day", day, sizeof day);
    argument(query, "pageNumber", number, sizeof number);
    snprintf(path, sizeof path, "%s/%s/%s.json", folder, day, number);
    connection->file = open(path, O_RDONLY | O_CLOEXEC);
    if (connection->file < 0 || fstat(connection->file, &info) < 0) {
        answer_text(connection, "404 Not Found", "{}");
        return;
    }
    connection->file_size = info.st_size;
    connection->head_size = (size_t)snprintf(connection->head, sizeof connection->head,
                                             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                             "Content-Length: %lld\r\n\r\n",
                                             (long long)info.st_size);
}

static void prepare(struct connection *connection)
{
    char *target = connection->request + 4, *end = strchr(connection->request, '\r');
    *end = 0;
    connection->head_sent = 0;
    connection->file_at = connection->file_size = 0;
    char *query = strchr(target, '?');
    if (query) *query++ = 0;
    if (strncmp(connection->request, "GET ", 4) != 0)
        answer_text(connection, "405 Method Not Allowed", "{}");
    else if (!strncmp(target, "/page", 5))
        answer_page(connection, query);
    else if (!strncmp(target, "/small", 6))
        answer_small(connection, query);
    else
        answer_text(connection, "404 Not Found", "{}");
    connection->request_size = 0;
    connection->due_ns = delay_ns ? now_ns() + delay_ns : 0;
    connection->state = delay_ns ? DELAYED : SENDING;
    push(delay_ns ? &delayed : &sending, connection);
}

static void read_request(struct connection *connection)
{
    size_t room = sizeof connection->request - 1 - connection->request_size;
    ssize_t size = read(connection->fd, connection->request + connection->request_size, room);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        hang_up(connection);
        return;
    }
    connection->request_size += (size_t)size;
    connection->request[connection->request_size] = 0;
    if (strstr(connection->request, "\r\n\r\n"))
        prepare(connection);
    else if ((size_t)size == room)
        hang_up(connection); /* a head that long is none of ours */
}

/* Sends at most `most` bytes; what was sent, or -1 when the connection is broken. */
static ssize_t send_some(struct connection *connection, size_t most)
{
    ssize_t size;
    if (connection->head_sent < connection->head_size) {
        size =
            send(connection->fd, connection->head + connection->head_sent,
                 connection->head_size - connection->head_sent, MSG_NOSIGNAL | (connection->file >= 0 ? MSG_MORE : 0));
        if (size > 0) connection->head_sent += (size_t)size;
    } else {
        size = sendfile(connection->fd, connection->file, &connection->file_at, most);
    }
    if (size < 0 && errno == EAGAIN) return 0;
    return size > 0 ? size : -1;
}

/* Gives the first of the queue its turn; the bytes that it took. */
static size_t serve_first(size_t most)
{
    struct connection *connection = pop(&sending);
    ssize_t size = connection->gone ? -1 : send_some(connection, most);
    if (size < 0) {
        hang_up(connection);
        return 0;
    }
    if (connection->head_sent == connection->head_size && connection->file_at == connection->file_size) {
        if (connection->file >= 0) close(connection->file);
        connection->file = -1;
        connection->state = READING;
    } else if (size == 0) {
        connection->state = BLOCKED;
        watch(connection, EPOLL_CTL_MOD, EPOLLOUT);
    } else {
        push(&sending, connection);
    }
    return (size_t)size;
}

static void accept_all(int listener)
{
    for (;;) {
        int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) return;
        struct connection *connection = calloc(1, sizeof *connection);
        if (!connection) fail("server");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connection->fd = fd;
        connection->file = -1;
        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static void on_event(struct connection *connection)
{
    if (connection->state == READING) {
        read_request(connection);
    } else if (connection->state == BLOCKED) {
        watch(connection, EPOLL_CTL_MOD, EPOLLIN);
        connection->state = SENDING;
        push(&sending, connection);
    } else {
        /* It has gone away while its answer waits: told when that is due. */
        connection->gone = true;
        if (epoll_ctl(poller, EPOLL_CTL_DEL, connection->fd, NULL) < 0) fail("server: epoll_ctl");
    }
}

/* What may be sent in this turn, with a rate: at most two turns' worth is saved up. */
static int64_t allowance(int64_t *filled_ns, int64_t left)
{
    int64_t now = now_ns(), most = rate * (2 * TURN_NS) / INT64_C(1000000000);
    left += (now - *filled_ns) * rate / INT64_C(1000000000);
    *filled_ns = now;
    return left < most ? left : most;
}

static int wait_ms(int64_t left)
{
    if (sending.first) return rate && left <= 0 ? TURN_NS / 1000000 : 0;
    if (!delayed.first) return -1;
    int64_t wait = delayed.first->due_ns - now_ns();
    return wait > 0 ? (int)((wait + 999999) / 1000000) : 0;
}

static void serve(int listener)
{
    struct epoll_event events[256];
    int64_t filled_ns = now_ns(), left = 0;
    for (;;) {
        int count = epoll_wait(poller, events, 256, wait_ms(left));
        if (count < 0 && errno != EINTR) fail("server: epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                on_event(events[i].data.ptr);
            else
                accept_all(listener);
        }
        for (int64_t now = delayed.first ? now_ns() : 0; delayed.first && delayed.first->due_ns <= now;) {
            struct connection *connection = pop(&delayed);
            connection->state = SENDING;
            push(&sending, connection);
        }
        if (rate) {
            left = allowance(&filled_ns, left);
            while (sending.first && left > 0) left -= (int64_t)serve_first(SLICE);
        } else {
            while (sending.first) serve_first((size_t)1 << 20);
        }
    }
}

static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) < 0 || listen(fd, 4096) < 0 ||
        getsockname(fd, (struct sockaddr *)&address, &size) < 0)
        fail("server");
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return fd;
}

int main(int argc, char **argv)
{
    struct rlimit files;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--pages")) folder = argv[i + 1];
        if (!strcmp(argv[i], "--rate")) rate = strtoll(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--delay-ms")) delay_ns = strtoll(argv[i + 1], NULL, 10) * 1000000;
    }
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_anywhere();
    struct epoll_event event = {.events = EPOLLIN};
    if (poller < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) < 0) fail("server: epoll");
    serve(listener);
}
