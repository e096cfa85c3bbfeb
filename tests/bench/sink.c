/* SPDX-License-Identifier: Apache-2.0 */
/* A thread per connection; nothing is kept. */
#include "sink.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/loopback.h"

static atomic_ullong requests, connections, bytes_in, bytes_out;
static uint16_t listening_on;
static sink_serve_fn answerer;

uint16_t sink_port(void)
{
    return listening_on;
}

void sink_counts(char *out, size_t cap)
{
    (void)snprintf(out, cap,
                   "%llu requests, %llu connections, %llu bytes in, %llu bytes "
                   "out",
                   atomic_load(&requests), atomic_load(&connections),
                   atomic_load(&bytes_in), atomic_load(&bytes_out));
}

/* ------------------------------------------------------------------ reading */

static bool receive_more(struct sink_peer *p)
{
    ssize_t n;

    do
        n = p->len < SINK_HEAD_MAX
                ? recv(p->fd, p->head + p->len, SINK_HEAD_MAX - p->len, 0)
                : 0;
    while (n < 0 && errno == EINTR);
    if (n <= 0)
        return false;
    p->len += (size_t)n;
    p->head[p->len] = '\0';
    return true;
}

static bool take_head(struct sink_peer *p)
{
    const char *end, *length;

    p->head[p->len] = '\0';
    while ((end = strstr(p->head, "\r\n\r\n")) == NULL)
        if (!receive_more(p))
            return false;
    p->head_len = (size_t)(end - p->head) + 4;
    length = sink_header(p, "\r\ncontent-length:");
    p->body = length != NULL ? strtoull(length, NULL, 10) : 0;
    p->body_len = 0;
    return true;
}

const char *sink_header(const struct sink_peer *p, const char *name)
{
    const char *at = strcasestr(p->head, name);

    return at != NULL && at < p->head + p->head_len ? at + strlen(name) : NULL;
}

bool sink_peek_body(struct sink_peer *p, size_t want)
{
    if (want > p->body)
        want = (size_t)p->body;
    while (p->len - p->head_len < want)
        if (!receive_more(p))
            return false;
    return true;
}

bool sink_discard_body(struct sink_peer *p)
{
    static char nowhere[1]; /* MSG_TRUNC: the kernel throws it away */
    uint64_t have = p->len - p->head_len, left;

    if (p->body == 0)
        return true;
    if (have > p->body)
        have = p->body;
    for (left = p->body - have; left > 0;) {
        size_t want = left < ((size_t)1 << 30) ? (size_t)left : (size_t)1 << 30;
        ssize_t n = recv(p->fd, nowhere, want, MSG_TRUNC);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        left -= (uint64_t)n;
    }
    atomic_fetch_add(&bytes_in, p->body);
    p->body_len = (size_t)have;
    p->body = 0;
    return true;
}

/* What has been read behind the request is the next one's. */
static bool next_request(struct sink_peer *p)
{
    size_t whole;

    if (p->body > 0 && !sink_discard_body(p))
        return false;
    whole = p->head_len + p->body_len;
    p->len -= whole;
    memmove(p->head, p->head + whole, p->len);
    return true;
}

/* ---------------------------------------------------------------- answering */

static bool send_all(int fd, const char *data, size_t len, int flags)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL | flags);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

bool sink_answer(struct sink_peer *p, const char *status, const char *headers,
                 const char *body)
{
    char text[4096];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                     headers, strlen(body), body);

    return n > 0 && (size_t)n < sizeof(text) &&
           send_all(p->fd, text, (size_t)n, 0);
}

bool sink_send(struct sink_peer *p, const void *data, size_t len, bool more)
{
    if (!more)
        atomic_fetch_add(&bytes_out, len);
    return send_all(p->fd, data, len, more ? MSG_MORE : 0);
}

bool sink_send_file(struct sink_peer *p, int file, uint64_t first, uint64_t len)
{
    off_t at = (off_t)first;

    while (len > 0) {
        size_t part = len < ((size_t)1 << 30) ? (size_t)len : (size_t)1 << 30;
        ssize_t n = sendfile(p->fd, file, &at, part);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        atomic_fetch_add(&bytes_out, (unsigned long long)n);
        len -= (uint64_t)n;
    }
    return true;
}

bool sink_range(const char *text, uint64_t size, uint64_t *out_first,
                uint64_t *out_len)
{
    unsigned long long a = 0, b = size - 1;

    if (size == 0)
        return false;
    if (*text == '-') {
        a = strtoull(text + 1, NULL, 10);
        a = a < size ? size - a : 0;
    } else if (sscanf(text, "%llu-%llu", &a, &b) < 1 || a >= size) {
        return false;
    }
    if (b > size - 1)
        b = size - 1;
    *out_first = a;
    *out_len = b - a + 1;
    return true;
}

/* --------------------------------------------------------------------- life */

static void *serve(void *peer)
{
    struct sink_peer *p = peer;
    int on = 1;

    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
#ifdef TCP_CONGESTION
    /* BBR, where it is the default, paces what it sends by a timer: that would
     * be the machine's setting and not the client's cost. */
    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
#endif
    atomic_fetch_add(&connections, 1);
    while (take_head(p)) {
        atomic_fetch_add(&requests, 1);
        if (sink_header(p, "\r\nexpect: 100") != NULL &&
            !send_all(p->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, 0))
            break;
        if (!answerer(p) || !next_request(p))
            break;
    }
    (void)close(p->fd);
    free(p);
    return NULL;
}

static void *wait_for_end(void *set)
{
    char text[200];
    int number;

    (void)sigwait(set, &number);
    sink_counts(text, sizeof(text));
    (void)puts(text);
    (void)fflush(stdout);
    _exit(0);
}

static void start_thread(void *(*run)(void *), void *with)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, with) != 0)
        exit(1);
    (void)pthread_detach(thread);
}

void sink_run(uint16_t port, sink_serve_fn how)
{
    static sigset_t ends;
    int listener;

    answerer = how;
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    start_thread(wait_for_end, &ends);
    listener = loopback_listen("sink", port, &listening_on);
    for (;;) {
        struct sink_peer *p = calloc(1, sizeof(*p));

        if (p == NULL)
            exit(1);
        p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (p->fd >= 0)
            start_thread(serve, p);
        else
            free(p);
    }
}
