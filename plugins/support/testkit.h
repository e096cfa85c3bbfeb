/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of plugins/support: a host that counts, and a server that plays
 * back what a test wrote down.
 *
 * The server reads one request at a time per connection and answers it with the
 * next entry of the script, byte for byte.  It judges nothing.
 */
#ifndef PERSIST_SUPPORT_TESTKIT_H
#define PERSIST_SUPPORT_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
/* support/fail.h has a fail of its own, and cmocka's fail_msg uses the macro.
 */
#undef fail
#undef fail_msg
#define fail_msg(...)                                                          \
    (print_error(__VA_ARGS__), print_error("\n"), _fail(__FILE__, __LINE__))

#include <stdatomic.h>
#include <stdbool.h>

#include <persist/backend.h>

#define OK PERSIST_BACKEND_OK
#define TEST(name) cmocka_unit_test(name)
#define MS ((uint64_t)1000000)

/* ------------------------------------------------------------------- host */

extern const struct persist_backend_host kit_host;
extern atomic_long kit_blocks;         /* alloc without free */
extern atomic_bool kit_cancelled;      /* what is_cancelled answers */
extern atomic_int kit_cancel_fd;       /* -1: none */
extern atomic_bool kit_log_debug;      /* keep DEBUG lines */
extern atomic_int_fast64_t kit_wall;   /* wall_us */
extern atomic_uint_fast64_t kit_ahead; /* ns that kit_now runs ahead */
extern const char *kit_secret; /* value of every secret; NULL: not set */

void kit_reset(void);
/* All lines logged since kit_reset, "\n" behind each. */
const char *kit_logged(void);
/* The real monotonic clock and kit_ahead, which is the host's too. */
uint64_t kit_now(void);
struct persist_backend_call kit_call(void);

/* ----------------------------------------------------------------- server */

enum {
    THEN_KEEP,  /* the connection stays open */
    THEN_CLOSE, /* and is closed in order */
    THEN_RESET, /* and is reset */
    THEN_STALL, /* and nothing more happens until the server ends */
};

struct script {
    const char *bytes; /* of the reply; may be NULL */
    size_t len;        /* 0: strlen(bytes) */
    int then;          /* THEN_... */
    bool before_body;  /* answer as soon as the head is here */
    bool no_continue;  /* leave Expect unanswered */
    bool before_head;  /* act as soon as a byte is here */
    unsigned
        read_ms; /* before each 64 KiB of a body; the kernel keeps little */
    unsigned pause_ms; /* before answering */
    unsigned drip_ms;  /* between the bytes of the reply */
};

struct server;

/* Listens on a free port; plays `n` entries, which must live on. */
struct server *server_start(const struct script *entries, size_t n);
void server_stop(struct server *s);
/* "http://127.0.0.1:PORT/path", in the server's memory until the next call. */
const char *server_url(struct server *s, const char *path);
unsigned server_connections(struct server *s);
unsigned server_requests(struct server *s);
/* Head and body of the n-th request (from 0), NUL-terminated; NULL if fewer. */
const char *server_head(struct server *s, unsigned n);
const char *server_body(struct server *s, unsigned n, size_t *out_len);

#endif
