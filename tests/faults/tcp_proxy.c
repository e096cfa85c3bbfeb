/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tcp-proxy: a link that is slow, narrow, or breaks.
 *
 *     tcp-proxy --to PORT [--port PORT] [--round-trip-ms N]
 *               [--bytes-per-second N] [--reset-every N]
 *
 * Listens on 127.0.0.1 and passes every connection on to 127.0.0.1:PORT.
 *
 *   --round-trip-ms     half of it is added each way
 *   --bytes-per-second  of each connection, each way
 *   --reset-every       each N-th connection is reset: in turn when the first
 *                       bytes of a request arrive, and instead of passing on
 *                       the first bytes of a reply
 *
 * Prints "listening on PORT" once it does.  Ends with SIGTERM.
 *
 * Each direction of a connection has two threads and a pipe between them: one
 * moves what has come into the pipe and notes when that much is due, one waits
 * for that time and moves it out.  What is under way is bounded, as on a real
 * link, so a writer that is faster than the link feels it.  splice copies
 * nothing: a link must not need the processor that its ends are measured with.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "support/loopback.h"

#define CHUNK ((size_t)128 << 10) /* 2.6 ms at 50 MB/s */
#define PIPE (1 << 20)            /* 20 ms at 50 MB/s */
#define RING 512
#define LATE_NS (5 * NS_PER_MS)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

enum breaks { WHOLE, BREAKS_REQUEST, BREAKS_REPLY };

static struct {
    uint16_t port, to;
    uint64_t one_way_ns, bytes_per_second, reset_every;
} options;

struct chunk { /* of what the pipe holds */
    uint64_t due_ns;
    size_t len;
};

struct connection;

/* One direction. */
struct lane {
    struct connection *connection;
    int from, to;
    int pipe[2]; /* each end is closed by the thread that uses it */
    bool breaks;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk ring[RING];
    unsigned first, n; /* lock */
    bool ended;        /* lock: nothing more will come */
};

struct connection {
    int client, server;
    struct lane lanes[2];
    atomic_bool broken; /* no orderly end */
    atomic_int threads; /* the last one frees it */
};

static uint64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / NS_PER_S),
                         .tv_nsec = (long)(ns % NS_PER_S)};

    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* Both ends of the connection see a reset. */
static void break_connection(struct connection *c)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    atomic_store(&c->broken, true);
    (void)setsockopt(c->client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    (void)setsockopt(c->server, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    (void)shutdown(c->server, SHUT_RDWR);
    (void)shutdown(c->client, SHUT_RD);
}

static void end_lane(struct lane *l)
{
    (void)pthread_mutex_lock(&l->lock);
    l->ended = true;
    (void)pthread_cond_broadcast(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
}

static void leave(struct connection *c)
{
    if (atomic_fetch_sub(&c->threads, 1) > 1)
        return;
    (void)close(c->client);
    (void)close(c->server);
    free(c);
}

/* When the link has taken that much; what a sleep was too long is made up
 * for. */
static uint64_t taken(uint64_t free_ns, size_t len)
{
    uint64_t now = now_ns();

    if (options.bytes_per_second == 0)
        return now;
    if (free_ns < now - LATE_NS)
        free_ns = now;
    return free_ns + len * NS_PER_S / options.bytes_per_second;
}

static void add_chunk(struct lane *l, size_t len, uint64_t due_ns)
{
    (void)pthread_mutex_lock(&l->lock);
    while (l->n == RING)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    l->ring[(l->first + l->n) % RING] = (struct chunk){due_ns, len};
    if (l->n++ == 0)
        (void)pthread_cond_signal(&l->changed);
    (void)pthread_mutex_unlock(&l->lock);
}

/* Up to `most` bytes from a socket to a pipe or back; 0 at the end, or where an
 * end has gone. The kernel holds the pipe for as long as a splice waits for a
 * socket, so sockets do not block and are waited for here. */
static size_t move(int from, int to, size_t most, struct pollfd socket)
{
    ssize_t n;

    while ((n = splice(from, NULL, to, NULL, most, SPLICE_F_MOVE)) < 0)
        if (errno == EAGAIN)
            (void)poll(&socket, 1, -1);
        else if (errno != EINTR)
            return 0;
    return (size_t)n;
}

static void *read_lane(void *lane)
{
    struct lane *l = lane;
    uint64_t free_ns = 0; /* when the narrow link has room again */
    size_t n;

    while ((n = move(l->from, l->pipe[1], CHUNK,
                     (struct pollfd){.fd = l->from, .events = POLLIN})) > 0) {
        if (l->breaks) {
            break_connection(l->connection);
            break;
        }
        free_ns = taken(free_ns, n);
        add_chunk(l, n, free_ns + options.one_way_ns);
        /* What comes meanwhile is taken at once, and not segment by segment:
         * each wakes two threads. */
        if (options.bytes_per_second > 0)
            sleep_until(free_ns);
    }
    (void)close(l->pipe[1]);
    end_lane(l);
    leave(l->connection);
    return NULL;
}

/* The oldest chunk; false once the lane is over and empty. */
static bool take_chunk(struct lane *l, struct chunk *out)
{
    bool there;

    (void)pthread_mutex_lock(&l->lock);
    while (l->n == 0 && !l->ended)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    there = l->n > 0;
    if (there) {
        *out = l->ring[l->first];
        l->first = (l->first + 1) % RING;
        if (l->n-- == RING)
            (void)pthread_cond_signal(&l->changed);
    }
    (void)pthread_mutex_unlock(&l->lock);
    return there;
}

/* What goes out after a failure of the other end has nowhere to go, and is
 * taken all the same: the reader must not wait for room. */
static void *write_lane(void *lane)
{
    struct lane *l = lane;
    struct chunk chunk;
    bool whole = true;

    while (take_chunk(l, &chunk)) {
        if (whole)
            sleep_until(chunk.due_ns);
        for (size_t n = 1; whole && chunk.len > 0; chunk.len -= n) {
            n = move(l->pipe[0], l->to, chunk.len,
                     (struct pollfd){.fd = l->to, .events = POLLOUT});
            whole = n > 0;
        }
        if (!whole && l->pipe[0] >= 0) {
            (void)shutdown(l->from, SHUT_RD);
            (void)close(l->pipe[0]);
            l->pipe[0] = -1;
        }
    }
    if (l->pipe[0] >= 0)
        (void)close(l->pipe[0]);
    if (!atomic_load(&l->connection->broken))
        (void)shutdown(l->to, SHUT_WR);
    leave(l->connection);
    return NULL;
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static void fatal(const char *what)
{
    perror(what);
    exit(1);
}

static void begin_lane(struct connection *c, int i, bool breaks)
{
    struct lane *l = &c->lanes[i];
    int on = 1;

    l->connection = c;
    l->from = i == 0 ? c->client : c->server;
    l->to = i == 0 ? c->server : c->client;
    l->breaks = breaks;
    if (pipe2(l->pipe, O_CLOEXEC) != 0)
        fatal("tcp-proxy: pipe2");
    /* Where it may not be so large the link is slower. */
    (void)fcntl(l->pipe[0], F_SETPIPE_SZ, PIPE);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->changed, NULL);
    (void)fcntl(l->to, F_SETFL, O_NONBLOCK);
    (void)setsockopt(l->to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void start_thread(void *(*run)(void *), struct lane *l)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, l) != 0)
        fatal("tcp-proxy: thread");
    (void)pthread_detach(thread);
}

static void begin_connection(int client, enum breaks breaks)
{
    struct connection *c = calloc(1, sizeof(*c));

    if (c == NULL)
        exit(1);
    c->client = client;
    c->server = connect_to(options.to);
    if (c->server < 0) {
        (void)close(client);
        free(c);
        return;
    }
    atomic_init(&c->threads, 4);
    begin_lane(c, 0, breaks == BREAKS_REQUEST);
    begin_lane(c, 1, breaks == BREAKS_REPLY);
    for (int i = 0; i < 2; i++) {
        start_thread(read_lane, &c->lanes[i]);
        start_thread(write_lane, &c->lanes[i]);
    }
}

static enum breaks fate(uint64_t number)
{
    if (options.reset_every == 0 || number % options.reset_every != 0)
        return WHOLE;
    return number / options.reset_every % 2 == 1 ? BREAKS_REQUEST
                                                 : BREAKS_REPLY;
}

static uint64_t number(const char *text)
{
    char *end;
    unsigned long long n = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        (void)fprintf(stderr, "tcp-proxy: not a number: %s\n", text);
        exit(2);
    }
    return n;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"to", required_argument, NULL, 't'},
        {"round-trip-ms", required_argument, NULL, 'd'},
        {"bytes-per-second", required_argument, NULL, 'b'},
        {"reset-every", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'p')
            options.port = (uint16_t)number(optarg);
        else if (c == 't')
            options.to = (uint16_t)number(optarg);
        else if (c == 'd')
            options.one_way_ns = number(optarg) * NS_PER_MS / 2;
        else if (c == 'b')
            options.bytes_per_second = number(optarg);
        else if (c == 'r')
            options.reset_every = number(optarg);
        else
            exit(2);
    }
    if (options.to == 0 || optind != argc) {
        (void)fprintf(stderr, "usage: tcp-proxy --to PORT [--port PORT] "
                              "[--round-trip-ms N] [--bytes-per-second N] "
                              "[--reset-every N]\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    uint64_t n = 0;
    int listener;
    uint16_t port;

    read_options(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    listener = loopback_listen("tcp-proxy", options.port, &port);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0)
            begin_connection(client, fate(++n));
        else if (errno != EINTR && errno != ECONNABORTED)
            return 1;
    }
}
