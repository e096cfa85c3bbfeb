/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-sink: the far end of benchmarks. It counts what it gets, keeps nothing,
 * and gives what it is asked for, as fast as a loopback connection can.
 *
 *     http-sink [--port PORT] [--object-bytes N] [--etag TEXT]
 *               [--root FOLDER] [--keys N]
 *
 * Speaks enough of S3 and of GCS's JSON API for one client at a time to be
 * measured with another:
 *
 *   PUT           200 with an ETag; the body is discarded in the kernel; 412
 *                 for the object that proves create-if-absent
 *   POST ?uploads, POST ?uploadId=   the answers of a multipart upload
 *   POST ?uploadType=resumable       a session; PUTs to it 308 until the last
 *   GET, HEAD     N bytes of a fixed pattern, whole or a range; with --root
 *                 the file FOLDER/KEY of /BUCKET/KEY, and 404 where it is not
 *   GET ?list-type=2                 an empty listing; with --keys the names of
 *                 N snapshots of the session that is asked for, newest first,
 * in pages of up to 1,000 that were made before the first request GET /counts
 * requests, connections, bytes in and bytes out so far DELETE        204
 *
 * Prints "listening on PORT". On SIGTERM it prints what /counts answers and
 * ends.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_sink_pages.h"

#define HEAD_MAX ((size_t)32 << 10)
#define PATTERN ((size_t)1 << 20)

static struct {
    uint16_t port;
    uint64_t object_bytes;
    const char *etag;
    const char *root; /* or NULL */
    unsigned keys;
} options = {.object_bytes = (uint64_t)1 << 30,
             .etag = "0123456789abcdef0123456789abcdef"};

static atomic_ullong requests, connections, bytes_in, bytes_out;
static char *pattern; /* PATTERN bytes, twice */

struct peer {
    int fd;
    char head[HEAD_MAX + 1];
    size_t len;      /* bytes in head */
    size_t head_len; /* of which the present request's head */
};

/* ------------------------------------------------------------ reading them */

static bool take_head(struct peer *p)
{
    for (;;) {
        char *end;
        ssize_t n;

        p->head[p->len] = '\0';
        end = strstr(p->head, "\r\n\r\n");
        if (end != NULL) {
            p->head_len = (size_t)(end - p->head) + 4;
            return true;
        }
        n = p->len < HEAD_MAX
                ? recv(p->fd, p->head + p->len, HEAD_MAX - p->len, 0)
                : 0;
        if (n <= 0)
            return false;
        p->len += (size_t)n;
    }
}

static const char *header(const struct peer *p, const char *name)
{
    const char *at = strcasestr(p->head, name);

    return at != NULL && at < p->head + p->head_len ? at + strlen(name) : NULL;
}

static bool discard(int fd, uint64_t len)
{
    static char nowhere[1]; /* MSG_TRUNC: the kernel throws it away */

    while (len > 0) {
        size_t want = len < ((size_t)1 << 30) ? (size_t)len : (size_t)1 << 30;
        ssize_t n = recv(fd, nowhere, want, MSG_TRUNC);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        len -= (uint64_t)n;
    }
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

static bool answer(struct peer *p, const char *status, const char *headers,
                   const char *body)
{
    char text[4096];
    int n = snprintf(text, sizeof(text),
                     "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n%s", status,
                     headers, strlen(body), body);

    return n > 0 && (size_t)n < sizeof(text) &&
           send_all(p->fd, text, (size_t)n, 0);
}

/* "bytes=A-B", "bytes=A-", "bytes=-N" of an object of `total` bytes. */
static bool range_of(const char *text, uint64_t total, uint64_t *first,
                     uint64_t *last)
{
    char *end;

    *last = total - 1;
    if (*text == '-') {
        uint64_t n = strtoull(text + 1, &end, 10);

        *first = n < total ? total - n : 0;
        return true;
    }
    *first = strtoull(text, &end, 10);
    if (*end == '-' && end[1] >= '0' && end[1] <= '9') {
        uint64_t n = strtoull(end + 1, NULL, 10);

        if (n < *last)
            *last = n;
    }
    return *first <= *last;
}

static bool send_pattern(int fd, uint64_t first, uint64_t left)
{
    while (left > 0) {
        size_t part = left < PATTERN ? (size_t)left : PATTERN;

        if (!send_all(fd, pattern + first % PATTERN, part, 0))
            return false;
        first += part;
        left -= part;
    }
    return true;
}

static bool send_file(int fd, int file, uint64_t first, uint64_t left)
{
    off_t at = (off_t)first;

    while (left > 0) {
        size_t part = left < ((size_t)1 << 30) ? (size_t)left : (size_t)1 << 30;
        ssize_t n = sendfile(fd, file, &at, part);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        left -= (uint64_t)n;
    }
    return true;
}

/* FOLDER/KEY of the request's path /BUCKET/KEY; -1 where there is none. Names
 * with escapes are nobody's here. */
static int open_object(const struct peer *p, uint64_t *total)
{
    const char *path = strchr(p->head, ' ');
    const char *key = path != NULL ? strchr(path + 2, '/') : NULL;
    char name[4096];
    struct stat st;
    int fd;

    if (key == NULL ||
        (size_t)snprintf(name, sizeof(name), "%s/%.*s", options.root,
                         (int)strcspn(key + 1, " ?"), key + 1) >= sizeof(name))
        return -1;
    fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0)
        *total = (uint64_t)st.st_size;
    return fd;
}

static bool answer_bytes(struct peer *p, bool is_head, int file, uint64_t total)
{
    const char *range = header(p, "\r\nrange: bytes=");
    uint64_t first = 0, last = total - 1, left;
    char text[600];
    int n;

    if (total == 0 || (range != NULL && !range_of(range, total, &first, &last)))
        return answer(p, "416 Range Not Satisfiable", "", "");
    left = last - first + 1;
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 %s\r\nETag: \"%s\"\r\nContent-Range: bytes "
                 "%llu-%llu/%llu\r\nx-goog-generation: 1\r\n"
                 "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                 "Content-Length: %llu\r\n\r\n",
                 range != NULL ? "206 Partial Content" : "200 OK", options.etag,
                 (unsigned long long)first, (unsigned long long)last,
                 (unsigned long long)total, (unsigned long long)left);
    if (!send_all(p->fd, text, (size_t)n, is_head ? 0 : MSG_MORE) || is_head)
        return is_head;
    atomic_fetch_add(&bytes_out, left);
    return file >= 0 ? send_file(p->fd, file, first, left)
                     : send_pattern(p->fd, first, left);
}

static bool answer_get(struct peer *p, bool is_head)
{
    uint64_t total = options.object_bytes;
    int file = -1;
    bool ok;

    if (options.root != NULL && (file = open_object(p, &total)) < 0)
        return answer(p, "404 Not Found", "Content-Type: application/xml\r\n",
                      is_head ? ""
                              : "<?xml version=\"1.0\"?><Error><Code>NoSuchKey"
                                "</Code></Error>");
    ok = answer_bytes(p, is_head, file, total);
    if (file >= 0)
        (void)close(file);
    return ok;
}

static bool answer_list(struct peer *p)
{
    char *page = options.keys > 0 ? pages_answer(p->head) : NULL;
    char text[200];
    bool ok;
    int n;

    if (options.keys == 0)
        return answer(p, "200 OK", "Content-Type: application/xml\r\n",
                      "<?xml version=\"1.0\"?><ListBucketResult>"
                      "<IsTruncated>false</IsTruncated></ListBucketResult>");
    if (page == NULL)
        return false;
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 strlen(page));
    ok = send_all(p->fd, text, (size_t)n, MSG_MORE) &&
         send_all(p->fd, page, strlen(page), 0);
    free(page);
    return ok;
}

static int write_counts(char *out, size_t cap)
{
    return snprintf(out, cap,
                    "%llu requests, %llu connections, %llu bytes in, %llu "
                    "bytes out\n",
                    atomic_load(&requests), atomic_load(&connections),
                    atomic_load(&bytes_in), atomic_load(&bytes_out));
}

static bool answer_counts(struct peer *p)
{
    char text[200];

    (void)write_counts(text, sizeof(text));
    return answer(p, "200 OK", "", text);
}

static bool answer_commit(struct peer *p)
{
    char body[600];

    (void)snprintf(body, sizeof(body),
                   "<?xml version=\"1.0\"?><CompleteMultipartUploadResult>"
                   "<ETag>&quot;%s-2&quot;</ETag>"
                   "</CompleteMultipartUploadResult>",
                   options.etag);
    return answer(p, "200 OK", "Content-Type: application/xml\r\n", body);
}

/* A chunk of a resumable session: "bytes A-B/T" ends it where T is B + 1. */
static bool answer_chunk(struct peer *p)
{
    const char *range = header(p, "\r\ncontent-range: bytes ");
    unsigned long long first = 0, last = 0, total = 0;
    char text[128];

    if (range != NULL &&
        sscanf(range, "%llu-%llu/%llu", &first, &last, &total) == 2) {
        (void)snprintf(text, sizeof(text), "Range: bytes=0-%llu\r\n", last);
        return answer(p, "308 Resume Incomplete", text, "");
    }
    return answer(p, "200 OK", "Content-Type: application/json\r\n",
                  "{\"generation\":\"1\"}");
}

static bool answer_post(struct peer *p)
{
    char text[128];

    if (strstr(p->head, "uploadType=resumable") != NULL) {
        (void)snprintf(text, sizeof(text),
                       "Location: http://127.0.0.1:%u/session\r\n",
                       options.port);
        return answer(p, "200 OK", text, "");
    }
    if (strstr(p->head, "?uploads") != NULL)
        return answer(p, "200 OK", "Content-Type: application/xml\r\n",
                      "<?xml version=\"1.0\"?><InitiateMultipartUploadResult>"
                      "<UploadId>sink</UploadId>"
                      "</InitiateMultipartUploadResult>");
    if (strstr(p->head, "?uploadId") != NULL)
        return answer_commit(p);
    return answer(p, "200 OK", "Content-Type: application/json\r\n",
                  "{\"generation\":\"1\"}");
}

static bool answer_put(struct peer *p)
{
    char text[128];

    if (strncmp(p->head, "PUT /session", 12) == 0)
        return answer_chunk(p);
    if (strstr(p->head, "/.persist-probe ") != NULL)
        return answer(p, "412 Precondition Failed",
                      "Content-Type: application/xml\r\n",
                      "<?xml version=\"1.0\"?><Error><Code>PreconditionFailed"
                      "</Code></Error>");
    (void)snprintf(text, sizeof(text), "ETag: \"%s\"\r\n", options.etag);
    return answer(p, "200 OK", text, "");
}

static bool answer_any(struct peer *p)
{
    if (strncmp(p->head, "PUT ", 4) == 0)
        return answer_put(p);
    if (strncmp(p->head, "POST ", 5) == 0)
        return answer_post(p);
    if (strncmp(p->head, "DELETE ", 7) == 0)
        return answer(p, "204 No Content", "", "");
    if (strncmp(p->head, "GET /counts ", 12) == 0)
        return answer_counts(p);
    if (strstr(p->head, "list-type=2") != NULL)
        return answer_list(p);
    return answer_get(p, strncmp(p->head, "HEAD ", 5) == 0);
}

static bool serve_one(struct peer *p)
{
    const char *text;
    uint64_t body, have;

    if (!take_head(p))
        return false;
    text = header(p, "\r\ncontent-length:");
    body = text != NULL ? strtoull(text, NULL, 10) : 0;
    have = p->len - p->head_len < body ? p->len - p->head_len : body;
    if (header(p, "\r\nexpect: 100") != NULL &&
        !send_all(p->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25, 0))
        return false;
    if (!discard(p->fd, body - have) || !answer_any(p))
        return false;
    atomic_fetch_add(&requests, 1);
    atomic_fetch_add(&bytes_in, body);
    p->len -= p->head_len + (size_t)have;
    memmove(p->head, p->head + p->head_len + have, p->len);
    return true;
}

static void *serve(void *peer)
{
    struct peer *p = peer;
    int on = 1;

    (void)setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    atomic_fetch_add(&connections, 1);
    while (serve_one(p))
        ;
    (void)close(p->fd);
    free(p);
    return NULL;
}

/* --------------------------------------------------------------------- life */

static int listen_on(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        perror("http-sink: listen");
        exit(1);
    }
    options.port = ntohs(a.sin_port);
    (void)printf("listening on %u\n", options.port);
    (void)fflush(stdout);
    return fd;
}

static void *wait_for_end(void *set)
{
    char text[200];
    int number;

    (void)sigwait(set, &number);
    (void)write_counts(text, sizeof(text));
    (void)fputs(text, stdout);
    (void)fflush(stdout);
    _exit(0);
}

static void make_pattern(void)
{
    uint64_t x = 88172645463325252u;

    pattern = malloc(2 * PATTERN);
    if (pattern == NULL)
        exit(1);
    for (size_t i = 0; i < PATTERN; i += 8) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        memcpy(pattern + i, &x, 8);
    }
    memcpy(pattern + PATTERN, pattern, PATTERN);
}

static void start_thread(void *(*run)(void *), void *with)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run, with) != 0)
        exit(1);
    (void)pthread_detach(thread);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"object-bytes", required_argument, NULL, 'o'},
        {"etag", required_argument, NULL, 'e'},
        {"root", required_argument, NULL, 'r'},
        {"keys", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0}};
    static sigset_t ends;
    int c, listener;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'p')
            options.port = (uint16_t)strtoul(optarg, NULL, 10);
        else if (c == 'o')
            options.object_bytes = strtoull(optarg, NULL, 10);
        else if (c == 'e')
            options.etag = optarg;
        else if (c == 'r')
            options.root = optarg;
        else if (c == 'k')
            options.keys = (unsigned)strtoul(optarg, NULL, 10);
        else
            return 2;
    }
    make_pattern();
    pages_make(options.keys);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGTERM);
    (void)sigaddset(&ends, SIGINT);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    start_thread(wait_for_end, &ends);
    listener = listen_on(options.port);
    for (;;) {
        struct peer *p = calloc(1, sizeof(*p));

        if (p == NULL)
            return 1;
        p->fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (p->fd >= 0)
            start_thread(serve, p);
        else
            free(p);
    }
}
