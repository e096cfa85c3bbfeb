/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: see testkit.h. */
#include "support/testkit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------- host */

atomic_long kit_blocks;
atomic_bool kit_cancelled;
atomic_int kit_cancel_fd = -1;
atomic_bool kit_log_debug;
atomic_int_fast64_t kit_wall;
atomic_uint_fast64_t kit_ahead;
const char *kit_secret;
static char logged[1 << 20];
static size_t logged_len;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void host_log(void *store, uint32_t level, const char *message)
{
    int n;

    (void)store, (void)level;
    (void)pthread_mutex_lock(&log_lock);
    n = snprintf(logged + logged_len, sizeof(logged) - logged_len, "%s\n",
                 message);
    if (n > 0 && (size_t)n < sizeof(logged) - logged_len)
        logged_len += (size_t)n;
    (void)pthread_mutex_unlock(&log_lock);
}

static int32_t host_log_enabled(void *store, uint32_t level)
{
    (void)store;
    return level < PERSIST_BACKEND_LOG_DEBUG || atomic_load(&kit_log_debug);
}

static void *host_alloc(void *store, uint64_t len)
{
    (void)store;
    atomic_fetch_add(&kit_blocks, 1);
    return malloc((size_t)len);
}

static void host_free(void *store, void *memory)
{
    (void)store;
    if (memory != NULL)
        atomic_fetch_sub(&kit_blocks, 1);
    free(memory);
}

uint64_t kit_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec +
           atomic_load(&kit_ahead);
}

static int64_t host_wall(void)
{
    return atomic_load(&kit_wall);
}

static int32_t host_random(void *out, uint64_t len)
{
    return getentropy(out, (size_t)len) == 0 ? OK : PERSIST_BACKEND_IO;
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    (void)call;
    return atomic_load(&kit_cancelled);
}

static int32_t host_cancel_fd(const struct persist_backend_call *call)
{
    (void)call;
    return atomic_load(&kit_cancel_fd);
}

static int32_t host_secret(void *store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    (void)store, (void)key;
    if (kit_secret == NULL)
        return PERSIST_BACKEND_NOT_FOUND;
    *out_len = strlen(kit_secret);
    if (*out_len > cap)
        return PERSIST_BACKEND_INVALID;
    memcpy(out, kit_secret, (size_t)*out_len);
    return OK;
}

/* CRC-32C, bit by bit: RFC 3720, appendix B.4. */
static uint32_t host_crc32c(uint32_t crc, const void *data, uint64_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (uint64_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

const struct persist_backend_host kit_host = {
    .struct_size = sizeof(kit_host),
    .abi_major = PERSIST_BACKEND_ABI_MAJOR,
    .version = "test",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = kit_now,
    .wall_us = host_wall,
    .random = host_random,
    .is_cancelled = host_is_cancelled,
    .cancel_fd = host_cancel_fd,
    .secret = host_secret,
    .crc32c = host_crc32c,
};

void kit_reset(void)
{
    atomic_store(&kit_cancelled, false);
    atomic_store(&kit_cancel_fd, -1);
    atomic_store(&kit_log_debug, false);
    atomic_store(&kit_ahead, 0);
    atomic_store(&kit_wall, INT64_C(1369353600000000)); /* 2013-05-24 */
    kit_secret = NULL;
    logged_len = 0;
    logged[0] = '\0';
}

const char *kit_logged(void)
{
    return logged;
}

struct persist_backend_call kit_call(void)
{
    return (struct persist_backend_call){
        .struct_size = sizeof(struct persist_backend_call), .attempt = 1};
}

/* ----------------------------------------------------------------- server */

#define READ_PIECE ((size_t)64 << 10)
#define REQUESTS_MAX 4096
#define THREADS_MAX 256

struct heard {
    char *head, *body;
    size_t body_len;
};

struct server {
    const struct script *entries;
    size_t n_entries;
    int fd, stop[2];
    uint16_t port;
    char url[512];
    pthread_t acceptor, threads[THREADS_MAX];
    pthread_mutex_t lock;
    unsigned n_threads;  /* lock; the acceptor's to change */
    unsigned n_requests; /* lock */
    struct heard heard[REQUESTS_MAX];
};

struct peer {
    struct server *server;
    int fd;
    char buffer[70000];
    size_t len;
};

/* False once the server is to stop. */
static bool readable(struct server *s, int fd)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN},
                          {.fd = s->stop[0], .events = POLLIN}};

    while (poll(p, 2, -1) < 0 && errno == EINTR)
        ;
    return p[1].revents == 0;
}

static bool take_more(struct peer *p, char *out, size_t cap, size_t *len)
{
    ssize_t n;

    if (!readable(p->server, p->fd))
        return false;
    n = recv(p->fd, out + *len, cap - *len, 0);
    if (n <= 0)
        return false;
    *len += (size_t)n;
    return true;
}

static void pause_ms(struct server *s, unsigned ms)
{
    struct pollfd p = {.fd = s->stop[0], .events = POLLIN};

    if (ms > 0)
        (void)poll(&p, 1, (int)ms);
}

static void finish_connection(struct peer *p, int then)
{
    struct linger hard = {.l_onoff = 1, .l_linger = 0};

    if (then == THEN_STALL)
        pause_ms(p->server, 60000);
    if (then == THEN_RESET)
        (void)setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
}

static void send_reply(struct peer *p, const struct script *e)
{
    size_t len = e->len != 0 ? e->len : e->bytes != NULL ? strlen(e->bytes) : 0;

    pause_ms(p->server, e->pause_ms);
    for (size_t at = 0; at < len;) {
        size_t n = e->drip_ms != 0 ? 1 : len - at;
        ssize_t sent = send(p->fd, e->bytes + at, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        at += (size_t)sent;
        pause_ms(p->server, e->drip_ms);
    }
}

static const struct script *next_entry(struct server *s, unsigned *out_n)
{
    const struct script *e;

    (void)pthread_mutex_lock(&s->lock);
    *out_n = s->n_requests;
    e = *out_n < s->n_entries ? &s->entries[*out_n] : NULL;
    if (s->n_requests < REQUESTS_MAX - 1)
        s->n_requests++;
    (void)pthread_mutex_unlock(&s->lock);
    return e;
}

static size_t body_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");

    return at != NULL ? strtoul(at + 17, NULL, 10) : 0;
}

/* The body of request n, what of it is in the buffer first. */
static bool take_body(struct peer *p, unsigned n, size_t want, size_t have_at,
                      unsigned read_ms)
{
    struct heard *h = &p->server->heard[n];
    size_t have = p->len - have_at;

    if (have > want)
        have = want;
    h->body = malloc(want + 1);
    memcpy(h->body, p->buffer + have_at, have);
    h->body_len = have;
    while (h->body_len < want) {
        size_t cap = want;

        pause_ms(p->server, read_ms);
        if (read_ms != 0 && want - h->body_len > READ_PIECE)
            cap = h->body_len + READ_PIECE;
        if (!take_more(p, h->body, cap, &h->body_len))
            return false;
    }
    h->body[want] = '\0';
    memmove(p->buffer, p->buffer + have_at + have, p->len - have_at - have);
    p->len -= have_at + have;
    return true;
}

/* One request and its reply; false: the connection is over. */
static bool serve_one(struct peer *p)
{
    const struct script *e;
    char *end;
    unsigned n;
    size_t head_len;

    while (p->len == 0)
        if (!take_more(p, p->buffer, sizeof(p->buffer) - 1, &p->len))
            return false;
    e = next_entry(p->server, &n);
    if (e == NULL || e->before_head) {
        if (e != NULL)
            send_reply(p, e);
        finish_connection(p, e != NULL ? e->then : THEN_RESET);
        return false;
    }
    for (;;) {
        p->buffer[p->len] = '\0';
        end = strstr(p->buffer, "\r\n\r\n");
        if (end != NULL)
            break;
        if (!take_more(p, p->buffer, sizeof(p->buffer) - 1, &p->len))
            return false;
    }
    head_len = (size_t)(end - p->buffer) + 4;
    p->server->heard[n].head = strndup(p->buffer, head_len);
    if (strcasestr(p->server->heard[n].head, "\r\nexpect: 100") != NULL &&
        !e->before_body && !e->no_continue)
        (void)send(p->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    if (!e->before_body &&
        !take_body(p, n, body_length(p->server->heard[n].head), head_len,
                   e->read_ms))
        return false;
    send_reply(p, e);
    finish_connection(p, e->then);
    return e->then == THEN_KEEP && !e->before_body;
}

static void *serve(void *peer)
{
    struct peer *p = peer;

    while (serve_one(p))
        ;
    (void)close(p->fd);
    free(p);
    return NULL;
}

static void *accept_all(void *server)
{
    struct server *s = server;

    while (readable(s, s->fd) && s->n_threads < THREADS_MAX) {
        struct peer *p = calloc(1, sizeof(*p));

        p->server = s;
        p->fd = accept(s->fd, NULL, NULL);
        if (p->fd < 0) {
            free(p);
            break;
        }
        (void)pthread_mutex_lock(&s->lock);
        if (pthread_create(&s->threads[s->n_threads], NULL, serve, p) == 0)
            s->n_threads++;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return NULL;
}

struct server *server_start(const struct script *entries, size_t n)
{
    struct server *s = calloc(1, sizeof(*s));
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int small = 16384;

    s->entries = entries;
    s->n_entries = n;
    (void)pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(pipe(s->stop), 0);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    for (size_t i = 0; i < n; i++)
        if (entries[i].read_ms != 0)
            assert_int_equal(
                setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)),
                0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, 64), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &len), 0);
    s->port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&s->acceptor, NULL, accept_all, s), 0);
    return s;
}

void server_stop(struct server *s)
{
    assert_int_equal(write(s->stop[1], "x", 1), 1);
    (void)pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->n_threads; i++)
        (void)pthread_join(s->threads[i], NULL);
    for (unsigned i = 0; i < REQUESTS_MAX; i++) {
        free(s->heard[i].head);
        free(s->heard[i].body);
    }
    (void)close(s->fd);
    (void)close(s->stop[0]);
    (void)close(s->stop[1]);
    free(s);
}

const char *server_url(struct server *s, const char *path)
{
    (void)snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u%s", s->port,
                   path);
    return s->url;
}

unsigned server_connections(struct server *s)
{
    unsigned n;

    (void)pthread_mutex_lock(&s->lock);
    n = s->n_threads;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned server_requests(struct server *s)
{
    unsigned n;

    (void)pthread_mutex_lock(&s->lock);
    n = s->n_requests;
    (void)pthread_mutex_unlock(&s->lock);
    return n;
}

const char *server_head(struct server *s, unsigned n)
{
    return n < server_requests(s) ? s->heard[n].head : NULL;
}

const char *server_body(struct server *s, unsigned n, size_t *out_len)
{
    *out_len = s->heard[n].body_len;
    return s->heard[n].body;
}
