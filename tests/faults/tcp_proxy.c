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
 * Each direction of a connection has two threads and a ring of chunks between
 * them: one reads and stamps each chunk with the time it is due, one waits for
 * that time and writes.  What is under way is bounded, as on a real link, so a
 * writer that is faster than the link feels it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
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

#define CHUNK ((size_t)64 << 10)
#define RING 64
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

enum breaks { WHOLE, BREAKS_REQUEST, BREAKS_REPLY };

static struct {
    uint16_t port, to;
    uint64_t one_way_ns, bytes_per_second, reset_every;
} options;

struct chunk {
    uint64_t due_ns;
    size_t len;
    char *bytes;
};

struct connection;

/* One direction. */
struct lane {
    struct connection *connection;
    int from, to;
    bool breaks;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct chunk ring[RING];
    unsigned first, n; /* lock */
    bool ended;        /* lock: nothing more will come, or can be written */
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
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < RING; j++)
            free(c->lanes[i].ring[j].bytes);
    free(c);
}

/* The slot to fill, or NULL where the lane is over. */
static struct chunk *wait_for_room(struct lane *l)
{
    struct chunk *slot = NULL;

    (void)pthread_mutex_lock(&l->lock);
    while (l->n == RING && !l->ended)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    if (!l->ended)
        slot = &l->ring[(l->first + l->n) % RING];
    (void)pthread_mutex_unlock(&l->lock);
    if (slot != NULL && slot->bytes == NULL)
        slot->bytes = malloc(CHUNK);
    return slot != NULL && slot->bytes != NULL ? slot : NULL;
}

static void *read_lane(void *lane)
{
    struct lane *l = lane;
    uint64_t free_ns = 0; /* when the narrow link has room again */

    for (;;) {
        struct chunk *slot = wait_for_room(l);
        ssize_t n = slot != NULL ? recv(l->from, slot->bytes, CHUNK, 0) : 0;
        uint64_t now = now_ns();

        if (n <= 0)
            break;
        if (l->breaks) {
            break_connection(l->connection);
            break;
        }
        slot->len = (size_t)n;
        if (options.bytes_per_second > 0) {
            free_ns = (free_ns > now ? free_ns : now) +
                      (uint64_t)n * NS_PER_S / options.bytes_per_second;
            now = free_ns;
        }
        slot->due_ns = now + options.one_way_ns;
        (void)pthread_mutex_lock(&l->lock);
        l->n++;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
    }
    end_lane(l);
    leave(l->connection);
    return NULL;
}

static bool send_all(int fd, const char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

/* The oldest chunk; NULL once the lane is over and empty. */
static struct chunk *wait_for_chunk(struct lane *l)
{
    struct chunk *slot = NULL;

    (void)pthread_mutex_lock(&l->lock);
    while (l->n == 0 && !l->ended)
        (void)pthread_cond_wait(&l->changed, &l->lock);
    if (l->n > 0)
        slot = &l->ring[l->first];
    (void)pthread_mutex_unlock(&l->lock);
    return slot;
}

static void *write_lane(void *lane)
{
    struct lane *l = lane;
    struct chunk *slot;

    while ((slot = wait_for_chunk(l)) != NULL) {
        sleep_until(slot->due_ns);
        if (!send_all(l->to, slot->bytes, slot->len)) {
            (void)shutdown(l->from, SHUT_RD);
            break;
        }
        (void)pthread_mutex_lock(&l->lock);
        l->first = (l->first + 1) % RING;
        l->n--;
        (void)pthread_cond_broadcast(&l->changed);
        (void)pthread_mutex_unlock(&l->lock);
    }
    end_lane(l);
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

static void begin_lane(struct connection *c, int i, bool breaks)
{
    struct lane *l = &c->lanes[i];
    int on = 1;

    l->connection = c;
    l->from = i == 0 ? c->client : c->server;
    l->to = i == 0 ? c->server : c->client;
    l->breaks = breaks;
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->changed, NULL);
    (void)setsockopt(l->to, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static void start_thread(void *(*run)(void *), struct lane *l)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, l) != 0) {
        (void)fprintf(stderr, "tcp-proxy: no thread\n");
        exit(1);
    }
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
    listener = loopback_listen("tcp-proxy", options.port, &port);
    for (;;) {
        int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0)
            begin_connection(client, fate(++n));
        else if (errno != EINTR && errno != ECONNABORTED)
            return 1;
    }
}
