/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of plugins/support/http share among themselves:
 *
 *     http.c           the process, the client, its pool of handles
 *     http_perform.c   one request: options in, the loop, what became of it
 *     http_reply.c     receiving: header blocks, bodies; looking them up
 *     http_limits.c    deadline, cancellation, stalls; libcurl's codes
 *     http_log.c       libcurl's talk, without secrets, at DEBUG
 */
#ifndef PERSIST_SUPPORT_HTTP_PRIVATE_H
#define PERSIST_SUPPORT_HTTP_PRIVATE_H

#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "support/http.h"

#define HTTP_ORIGIN_MAX 300
/* Bodies up to this length go out in one piece with the headers. */
#define HTTP_SMALL_BODY ((uint64_t)60 << 10)
/* libcurl waits for 100-continue only behind larger bodies. */
#define HTTP_EXPECT_FROM ((uint64_t)1 << 20)
/* No sleep is longer: cancellation may come without a descriptor. */
#define HTTP_LOOK_MS 80
/* Header bytes of all heads of one request together: interim replies have one
 * each, and there may be any number of them. */
#define HTTP_HEADS_MAX (4 * HTTP_HEADERS_MAX)
/* Idle handles that are kept. */
#define HTTP_IDLE_MAX 128

/* Sockets of one handle that are known: libcurl keeps four connections, and may
 * try two addresses at once. */
#define HTTP_SOCKETS_MAX 8

enum { HTTP_SHARE_LOCKS = CURL_LOCK_DATA_LAST };

/* A libcurl handle, with the multi handle that holds its connections. */
struct http_handle {
    struct http_handle *next; /* pool_lock: idle ones */
    CURL *easy;
    CURLM *multi;
    char origin[HTTP_ORIGIN_MAX]; /* it last spoke to: "https://host:port" */
    char error[CURL_ERROR_SIZE];
    struct curl_slist lines[HTTP_REQUEST_HEADERS_MAX + 4];
    char *joined; /* HTTP_SMALL_BODY bytes for bodies of several pieces */
    int sockets[HTTP_SOCKETS_MAX]; /* open ones; n_sockets of them */
    unsigned n_sockets;
    bool large; /* buffers are set for large transfers */
    /* http_log.c: libcurl has told a part of a request's head, or of a line of
     * it. */
    bool log_in_head, log_in_line;
    struct http_client *client;
};

struct http_client {
    const struct persist_backend_host *host;
    void *host_store;
    char *user_agent, *ca_bundle, *proxy;
    char *request_id_header, *retry_after_ms_header;
    uint32_t connect_timeout_ms, stall_timeout_ms, stall_bytes_per_s;
    bool allow_http;
    CURLSH *share; /* names and TLS sessions */
    pthread_mutex_t share_locks[HTTP_SHARE_LOCKS];
    pthread_mutex_t pool_lock;
    struct http_handle *idle; /* pool_lock; latest first */
    unsigned n_idle;          /* pool_lock */
    atomic_bool replied;      /* somebody has answered in HTTP */
    atomic_bool expect_ignored;
    atomic_bool body_taken; /* the last large body that was asked for */
};

/* One request under way; lives on http_perform's stack. */
struct http_transfer {
    struct http_client *client;
    struct http_handle *handle;
    const struct persist_backend_call *call;
    const struct http_request *request;
    struct http_response *response;

    uint64_t body_len;
    uint64_t body_at;  /* handed to libcurl, in this try */
    bool body_begun;   /* some of the body was handed over */
    bool sent_whole;   /* the whole body was handed over once */
    unsigned n_tries;  /* requests begun on a connection */
    int local_port;    /* of that connection */
    bool expecting;    /* asked for 100-continue */
    bool was_expected; /* and got it */

    bool head_done; /* all headers of a final reply are here */
    bool to_into;   /* the body goes to request.into */
    size_t heads;   /* header bytes received */
    uint64_t received;

    int32_t stop; /* why a callback or limit ended it; OK: none did */
    const char *stop_why;

    uint64_t begin_ns;
    uint64_t mark_ns; /* when the present stall window began */
    int64_t mark_moved;
};

/* ------------------------------------------------------------------ http.c */

/* A handle of one's own, one that knows the origin where there is one. NULL:
 * out of memory. */
struct http_handle *http_pool_take(struct http_client *c, const char *origin);
void http_pool_give(struct http_client *c, struct http_handle *h);
void http_handle_destroy(struct http_handle *h);
/* The open socket with that local port; -1 where there is none.  (libcurl names
 * its active socket only once the transfer is over.) */
int http_handle_socket(const struct http_handle *h, int local_port);

/* ------------------------------------------------------------ http_reply.c */

size_t http_on_header(char *line, size_t size, size_t n, void *transfer);
size_t http_on_body(char *data, size_t size, size_t n, void *transfer);

/* ----------------------------------------------------------- http_limits.c */

/* The request may have reached the server as a whole. */
bool http_may_have_applied(const struct http_transfer *t);
/* OK and how long to sleep, or TIMEOUT or CANCELLED (stop and stop_why set). */
int32_t http_look(struct http_transfer *t, int *out_sleep_ms);
/* What a transfer came to, from libcurl's result and t->stop. */
int32_t http_outcome(struct http_transfer *t, CURLcode result,
                     struct persist_backend_error *err);

/* -------------------------------------------------------------- http_log.c */

/* Turns libcurl's talk on where the host keeps DEBUG. */
void http_log_attach(struct http_transfer *t);

#endif
