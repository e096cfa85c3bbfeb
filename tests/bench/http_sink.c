/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-sink: the far end of benchmarks. It counts what it gets, keeps nothing,
 * and gives what it is asked for, as fast as a loopback connection can.
 *
 *     http-sink [--port PORT] [--object-bytes N] [--etag TEXT]
 *               [--root FOLDER] [--keys N]
 *
 * Speaks enough of S3 for one client at a time to be measured with another:
 *
 *   PUT           200 with an ETag; the body is discarded in the kernel; 412
 *                 for the object that proves create-if-absent
 *   POST ?uploads, POST ?uploadId=   the answers of a multipart upload
 *   GET, HEAD     N bytes of a fixed pattern, whole or a range; with --root
 *                 the file FOLDER/KEY of /BUCKET/KEY, and 404 where it is not
 *   GET ?list-type=2                 an empty listing; with --keys the names of
 *                                    N snapshots of the session that is asked
 *                                    for, newest first, in pages of up to 1,000
 *                                    that were made before the first request
 *   GET /counts   requests, connections, bytes in and bytes out so far
 *   DELETE        204
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http_sink_pages.h"
#include "sink.h"

#define PATTERN ((size_t)1 << 20)

static struct {
    uint16_t port;
    uint64_t object_bytes;
    const char *etag;
    const char *root; /* or NULL */
    unsigned keys;
} options = {.object_bytes = (uint64_t)1 << 30,
             .etag = "0123456789abcdef0123456789abcdef"};

static char *pattern; /* PATTERN bytes, twice */

static bool send_pattern(struct sink_peer *p, uint64_t first, uint64_t left)
{
    while (left > 0) {
        size_t part = left < PATTERN ? (size_t)left : PATTERN;

        if (!sink_send(p, pattern + first % PATTERN, part, false))
            return false;
        first += part;
        left -= part;
    }
    return true;
}

/* FOLDER/KEY of the request's path /BUCKET/KEY; -1 where there is none. Names
 * with escapes are nobody's here. */
static int open_object(const struct sink_peer *p, uint64_t *total)
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

static bool answer_bytes(struct sink_peer *p, bool is_head, int file,
                         uint64_t total)
{
    const char *range = sink_header(p, "\r\nrange: bytes=");
    uint64_t first = 0, len = total;
    char text[600];

    if (total == 0 ||
        (range != NULL && !sink_range(range, total, &first, &len)))
        return sink_answer(p, "416 Range Not Satisfiable", "", "");
    (void)snprintf(
        text, sizeof(text),
        "HTTP/1.1 %s\r\nETag: \"%s\"\r\nContent-Range: bytes %" PRIu64
        "-%" PRIu64 "/%" PRIu64
        "\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        "Content-Length: %" PRIu64 "\r\n\r\n",
        range != NULL ? "206 Partial Content" : "200 OK", options.etag, first,
        first + len - 1, total, len);
    if (!sink_send(p, text, strlen(text), !is_head) || is_head)
        return is_head;
    return file >= 0 ? sink_send_file(p, file, first, len)
                     : send_pattern(p, first, len);
}

static bool answer_get(struct sink_peer *p, bool is_head)
{
    uint64_t total = options.object_bytes;
    int file = -1;
    bool ok;

    if (options.root != NULL && (file = open_object(p, &total)) < 0)
        return sink_answer(
            p, "404 Not Found", "Content-Type: application/xml\r\n",
            is_head ? ""
                    : "<?xml version=\"1.0\"?><Error><Code>NoSuchKey"
                      "</Code></Error>");
    ok = answer_bytes(p, is_head, file, total);
    if (file >= 0)
        (void)close(file);
    return ok;
}

static bool answer_list(struct sink_peer *p)
{
    char *page = options.keys > 0 ? pages_answer(p->head) : NULL;
    char text[200];
    bool ok;
    int n;

    if (options.keys == 0)
        return sink_answer(
            p, "200 OK", "Content-Type: application/xml\r\n",
            "<?xml version=\"1.0\"?><ListBucketResult>"
            "<IsTruncated>false</IsTruncated></ListBucketResult>");
    if (page == NULL)
        return false;
    n = snprintf(text, sizeof(text),
                 "HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"
                 "Content-Length: %zu\r\n\r\n",
                 strlen(page));
    ok = sink_send(p, text, (size_t)n, true) &&
         sink_send(p, page, strlen(page), false);
    free(page);
    return ok;
}

static bool answer_counts(struct sink_peer *p)
{
    char text[200];

    sink_counts(text, sizeof(text));
    return sink_answer(p, "200 OK", "", text);
}

static bool answer_commit(struct sink_peer *p)
{
    char body[600];

    (void)snprintf(body, sizeof(body),
                   "<?xml version=\"1.0\"?><CompleteMultipartUploadResult>"
                   "<ETag>&quot;%s-2&quot;</ETag>"
                   "</CompleteMultipartUploadResult>",
                   options.etag);
    return sink_answer(p, "200 OK", "Content-Type: application/xml\r\n", body);
}

static bool answer_post(struct sink_peer *p)
{
    if (strstr(p->head, "?uploads") != NULL)
        return sink_answer(
            p, "200 OK", "Content-Type: application/xml\r\n",
            "<?xml version=\"1.0\"?><InitiateMultipartUploadResult>"
            "<UploadId>sink</UploadId>"
            "</InitiateMultipartUploadResult>");
    return answer_commit(p);
}

static bool answer_put(struct sink_peer *p)
{
    char text[128];

    if (strstr(p->head, "/.persist-probe ") != NULL)
        return sink_answer(
            p, "412 Precondition Failed", "Content-Type: application/xml\r\n",
            "<?xml version=\"1.0\"?><Error><Code>PreconditionFailed"
            "</Code></Error>");
    (void)snprintf(text, sizeof(text), "ETag: \"%s\"\r\n", options.etag);
    return sink_answer(p, "200 OK", text, "");
}

static bool answer_any(struct sink_peer *p)
{
    if (strncmp(p->head, "PUT ", 4) == 0)
        return answer_put(p);
    if (strncmp(p->head, "POST ", 5) == 0)
        return answer_post(p);
    if (strncmp(p->head, "DELETE ", 7) == 0)
        return sink_answer(p, "204 No Content", "", "");
    if (strncmp(p->head, "GET /counts ", 12) == 0)
        return answer_counts(p);
    if (strstr(p->head, "list-type=2") != NULL)
        return answer_list(p);
    return answer_get(p, strncmp(p->head, "HEAD ", 5) == 0);
}

/* The head is answered from once the body has gone. */
static bool serve(struct sink_peer *p)
{
    return sink_discard_body(p) && answer_any(p);
}

/* --------------------------------------------------------------------- life */

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

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"object-bytes", required_argument, NULL, 'o'},
        {"etag", required_argument, NULL, 'e'},
        {"root", required_argument, NULL, 'r'},
        {"keys", required_argument, NULL, 'k'},
        {NULL, 0, NULL, 0}};
    int c;

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
    sink_run(options.port, serve);
}
