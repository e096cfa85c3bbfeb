/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's libcurl, a client's settings, and its pool.
 *
 * A handle is an easy handle and a multi handle with nothing else in it: the
 * multi handle keeps the connections and can sleep on the host's cancel
 * descriptor too.  Whoever has taken a handle has it alone, so that no lock is
 * held during a request.  Names and TLS sessions are shared by all handles of a
 * client.
 */
#include "support/http.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "posix/os.h"
#include "support/fail.h"
#include "support/http_private.h"
#include "support/secret.h"

#define CONNECT_TIMEOUT_MS 5000
#define STALL_TIMEOUT_MS 30000
#define STALL_BYTES_PER_S 1024
#define DNS_CACHE_S 60
#define IDLE_S 30
#define CA_CACHE_S 3600

/* ---------------------------------------------------------------- process */

static pthread_once_t process_once = PTHREAD_ONCE_INIT;
static CURLcode process_result;

/* libcurl writes the keys of its TLS sessions to the file that the environment
 * names, also where a program runs with more rights than whoever wrote that
 * environment. */
static bool may_begin(void)
{
    return !os_is_privileged() || getenv("SSLKEYLOGFILE") == NULL;
}

static void process_begin(void)
{
    process_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int32_t http_process_init(struct persist_backend_error *err)
{
    if (!may_begin())
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "SSLKEYLOGFILE is set, and this program has more rights "
                    "than its caller");
    (void)pthread_once(&process_once, process_begin);
    if (process_result == CURLE_OK)
        return PERSIST_BACKEND_OK;
    if (process_result == CURLE_OUT_OF_MEMORY)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    return fail(err, PERSIST_BACKEND_INTERNAL, "cannot initialise libcurl: %s",
                curl_easy_strerror(process_result));
}

/* ---------------------------------------------------------------- sharing */

static void share_lock(CURL *easy, curl_lock_data what, curl_lock_access how,
                       void *client)
{
    (void)easy;
    (void)how;
    (void)pthread_mutex_lock(
        &((struct http_client *)client)->share_locks[what]);
}

static void share_unlock(CURL *easy, curl_lock_data what, void *client)
{
    (void)easy;
    (void)pthread_mutex_unlock(
        &((struct http_client *)client)->share_locks[what]);
}

static bool share_begin(struct http_client *c)
{
    c->share = curl_share_init();
    return c->share != NULL &&
           curl_share_setopt(c->share, CURLSHOPT_LOCKFUNC, share_lock) == 0 &&
           curl_share_setopt(c->share, CURLSHOPT_UNLOCKFUNC, share_unlock) ==
               0 &&
           curl_share_setopt(c->share, CURLSHOPT_USERDATA, c) == 0 &&
           curl_share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS) ==
               0 &&
           curl_share_setopt(c->share, CURLSHOPT_SHARE,
                             CURL_LOCK_DATA_SSL_SESSION) == 0;
}

/* ----------------------------------------------------------------- client */

static bool copy_text(char **out, const char *s)
{
    if (s == NULL)
        return true;
    *out = strdup(s);
    return *out != NULL;
}

/* libcurl would take a proxy from the environment also where a program runs
 * with more rights than whoever wrote that environment. */
static const char *proxy_of(const struct http_config *config)
{
    if (config->proxy == NULL && os_is_privileged())
        return "";
    return config->proxy;
}

static bool copy_config(struct http_client *c, const struct http_config *config)
{
    c->host = config->host;
    c->host_store = config->host_store;
    c->connect_timeout_ms = config->connect_timeout_ms != 0
                                ? config->connect_timeout_ms
                                : CONNECT_TIMEOUT_MS;
    c->stall_timeout_ms = config->stall_timeout_ms != 0
                              ? config->stall_timeout_ms
                              : STALL_TIMEOUT_MS;
    c->stall_bytes_per_s = config->stall_bytes_per_s != 0
                               ? config->stall_bytes_per_s
                               : STALL_BYTES_PER_S;
    c->allow_http = config->allow_http;
    return copy_text(&c->user_agent, config->user_agent != NULL
                                         ? config->user_agent
                                         : "persist") &&
           copy_text(&c->ca_bundle, config->ca_bundle) &&
           copy_text(&c->proxy, proxy_of(config)) &&
           copy_text(&c->request_id_header, config->request_id_header) &&
           copy_text(&c->retry_after_ms_header, config->retry_after_ms_header);
}

int32_t http_client_create(const struct http_config *config,
                           struct http_client **out,
                           struct persist_backend_error *err)
{
    struct http_client *c;
    int32_t rc = http_process_init(err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (config->ca_bundle != NULL && access(config->ca_bundle, R_OK) != 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "cannot read the CA bundle %.300s", config->ca_bundle);
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    for (int i = 0; i < HTTP_SHARE_LOCKS; i++)
        (void)pthread_mutex_init(&c->share_locks[i], NULL);
    (void)pthread_mutex_init(&c->pool_lock, NULL);
    if (!copy_config(c, config) || !share_begin(c)) {
        http_client_destroy(c);
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    }
    *out = c;
    return PERSIST_BACKEND_OK;
}

void http_client_destroy(struct http_client *c)
{
    if (c == NULL)
        return;
    while (c->idle != NULL) {
        struct http_handle *h = c->idle;

        c->idle = h->next;
        http_handle_destroy(h);
    }
    if (c->share != NULL)
        (void)curl_share_cleanup(c->share);
    for (int i = 0; i < HTTP_SHARE_LOCKS; i++)
        (void)pthread_mutex_destroy(&c->share_locks[i]);
    (void)pthread_mutex_destroy(&c->pool_lock);
    free(c->user_agent);
    free(c->ca_bundle);
    if (c->proxy != NULL)
        secret_wipe_bytes(c->proxy, strlen(c->proxy));
    free(c->proxy);
    free(c->request_id_header);
    free(c->retry_after_ms_header);
    free(c);
}

/* ---------------------------------------------------------------- handles */

void http_handle_destroy(struct http_handle *h)
{
    if (h == NULL)
        return;
    if (h->easy != NULL)
        curl_easy_cleanup(h->easy);
    if (h->multi != NULL)
        (void)curl_multi_cleanup(h->multi);
    free(h->joined);
    free(h);
}

/* libcurl's own would stay open in every program that is started meanwhile. */
static curl_socket_t on_open(void *handle, curlsocktype purpose,
                             struct curl_sockaddr *a)
{
    struct http_handle *h = handle;
    int fd = os_socket(a->family, a->socktype, a->protocol);

    (void)purpose;
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (h->n_sockets < HTTP_SOCKETS_MAX)
        h->sockets[h->n_sockets++] = fd;
    return fd;
}

static int on_close(void *handle, curl_socket_t fd)
{
    struct http_handle *h = handle;

    for (unsigned i = 0; i < h->n_sockets; i++)
        if (h->sockets[i] == fd) {
            h->sockets[i] = h->sockets[--h->n_sockets];
            break;
        }
    return close(fd);
}

static int local_port_of(int fd)
{
    struct sockaddr_storage a = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(a);

    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return -1;
    if (a.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a)->sin_port);
    if (a.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a)->sin6_port);
    return -1;
}

int http_handle_socket(const struct http_handle *h, int local_port)
{
    for (unsigned i = 0; i < h->n_sockets; i++)
        if (local_port_of(h->sockets[i]) == local_port)
            return h->sockets[i];
    return -1;
}

static bool watch_sockets(struct http_handle *h)
{
    CURL *e = h->easy;

    return curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open) == 0 &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, h) == 0 &&
           curl_easy_setopt(e, CURLOPT_CLOSESOCKETFUNCTION, on_close) == 0 &&
           curl_easy_setopt(e, CURLOPT_CLOSESOCKETDATA, h) == 0;
}

/* What holds for every request.  libcurl answers UNKNOWN_OPTION, or copies a
 * text and can run out of memory. */
static bool set_common(CURL *e, const struct http_client *c)
{
    const struct {
        CURLoption option;
        long value;
    } longs[] = {
        {CURLOPT_NOSIGNAL, 1},
        {CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1},
        {CURLOPT_FOLLOWLOCATION, 0},
        {CURLOPT_PATH_AS_IS, 1},
        {CURLOPT_FAILONERROR, 0},
        {CURLOPT_SUPPRESS_CONNECT_HEADERS, 1},
        {CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2},
        {CURLOPT_SSL_VERIFYPEER, 1},
        {CURLOPT_SSL_VERIFYHOST, 2},
        {CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_S},
        {CURLOPT_TCP_KEEPALIVE, 1},
        {CURLOPT_TCP_KEEPIDLE, 30},
        {CURLOPT_TCP_KEEPINTVL, 10},
        {CURLOPT_MAXAGE_CONN, IDLE_S},
        {CURLOPT_DNS_SHUFFLE_ADDRESSES, 1},
        {CURLOPT_QUICK_EXIT, 1}, /* a hanging resolver holds up no cancel */
        {CURLOPT_EXPECT_100_TIMEOUT_MS, 1000},
    };
    bool ok = true;

    for (size_t i = 0; i < sizeof(longs) / sizeof(longs[0]); i++)
        ok = curl_easy_setopt(e, longs[i].option, longs[i].value) == 0 && ok;
    ok = curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https") == 0 && ok;
    ok = curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent) == 0 && ok;
    ok = curl_easy_setopt(e, CURLOPT_SHARE, c->share) == 0 && ok;
    if (c->ca_bundle != NULL)
        ok = curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_bundle) == 0 && ok;
    if (c->proxy != NULL)
        ok = curl_easy_setopt(e, CURLOPT_PROXY, c->proxy) == 0 && ok;
    return ok;
}

static struct http_handle *handle_create(struct http_client *c)
{
    struct http_handle *h = calloc(1, sizeof(*h));

    if (h == NULL)
        return NULL;
    h->client = c;
    h->easy = curl_easy_init();
    h->multi = curl_multi_init();
    if (h->easy == NULL || h->multi == NULL || !set_common(h->easy, c) ||
        !watch_sockets(h)) {
        http_handle_destroy(h);
        return NULL;
    }
    return h;
}

/* ------------------------------------------------------------------- pool */

/* The one that last spoke to that origin, else the latest. */
static struct http_handle **choose(struct http_client *c, const char *origin)
{
    for (struct http_handle **at = &c->idle; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->origin, origin) == 0)
            return at;
    return &c->idle;
}

struct http_handle *http_pool_take(struct http_client *c, const char *origin)
{
    struct http_handle **at, *h;

    (void)pthread_mutex_lock(&c->pool_lock);
    at = choose(c, origin);
    h = *at;
    if (h != NULL) {
        *at = h->next;
        c->n_idle--;
    }
    (void)pthread_mutex_unlock(&c->pool_lock);
    return h != NULL ? h : handle_create(c);
}

void http_pool_give(struct http_client *c, struct http_handle *h)
{
    (void)pthread_mutex_lock(&c->pool_lock);
    if (c->n_idle < HTTP_IDLE_MAX) {
        h->next = c->idle;
        c->idle = h;
        c->n_idle++;
        h = NULL;
    }
    (void)pthread_mutex_unlock(&c->pool_lock);
    http_handle_destroy(h);
}
