/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the far ends of network benchmarks share: connections, requests taken
 * off them, bodies thrown away in the kernel, answers, counts.
 *
 *     sink_run(port, serve)      never returns; serve(peer) answers the request
 *                                whose head is in peer->head
 */
#ifndef BENCH_SINK_H
#define BENCH_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SINK_HEAD_MAX ((size_t)32 << 10)

struct sink_peer {
    int fd;
    char head[SINK_HEAD_MAX + 1];
    size_t len;      /* bytes in head */
    size_t head_len; /* of which the present request's head */
    size_t body_len; /* of its body, in head, once that was thrown away */
    uint64_t body;   /* its Content-Length; 0 once it was thrown away */
};

/* Answers one request, its body not yet read (what it leaves of it is thrown
 * away); false ends the connection. */
typedef bool (*sink_serve_fn)(struct sink_peer *p);

/* Prints "listening on PORT"; on SIGTERM what sink_counts says, and ends. */
void sink_run(uint16_t port, sink_serve_fn serve) __attribute__((noreturn));
/* Where it listens; 0 before sink_run. */
uint16_t sink_port(void);
/* "N requests, N connections, N bytes in, N bytes out" */
void sink_counts(char *out, size_t cap);

/* The value of a header of the request; name as "\r\nname:", in any case. */
const char *sink_header(const struct sink_peer *p, const char *name);
/* At least `want` bytes of the body (or all of it) into head, behind the
 * request's head; false where the connection broke. */
bool sink_peek_body(struct sink_peer *p, size_t want);
/* Throws away what has not been read of the body; the head stays. */
bool sink_discard_body(struct sink_peer *p);

bool sink_answer(struct sink_peer *p, const char *status, const char *headers,
                 const char *body);
/* more: a head, behind which bytes follow; else counted as bytes out. */
bool sink_send(struct sink_peer *p, const void *data, size_t len, bool more);
/* [first, first + len) of a file. */
bool sink_send_file(struct sink_peer *p, int file, uint64_t first,
                    uint64_t len);
/* "A-B", "A-" or "-N" of a Range, of an object of `size` bytes; false: nothing
 * lies there. */
bool sink_range(const char *text, uint64_t size, uint64_t *out_first,
                uint64_t *out_len);

#endif
