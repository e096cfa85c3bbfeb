/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcs-sink: the far end of benchmarks of GCS.  It keeps nothing of what it gets
 * and gives files, as fast as a loopback connection can.
 *
 *     gcs-sink [--port PORT] [--root FOLDER]
 *
 *   POST .../o?uploadType=multipart  200, an object of the size and checksum
 *                                    that the metadata and the body state
 *   POST .../o?uploadType=resumable  a session
 *   PUT  ...?upload_id=N             308 with what is held, 400 where a chunk
 *                                    is not the next one or no multiple of 256
 *                                    KiB; 200 with the object at the end; the
 *                                    question "bytes * / *"
 *   DELETE ...?upload_id=N           499
 *   GET  .../o/NAME?alt=media        the file FOLDER/NAME, whole or a range
 *   GET  .../o/NAME                  its size
 *   GET  .../o                       nothing is listed
 *   PUT  /plain/...                  200: what any client can do at all
 *   GET  /plain/NAME                 the file FOLDER/NAME
 *   GET  /counts                     requests, connections, bytes so far
 *
 * Checksums are the client's own, given back: that they are right is for tests.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink.h"

#define CHUNK ((uint64_t)256 << 10)
#define SESSIONS 4096
#define METADATA_MAX ((size_t)8 << 10) /* of a multipart body */

static const char *root;
static atomic_ullong held[SESSIONS]; /* bytes, of each session */
static atomic_uint n_sessions;

/* ------------------------------------------------------------------ answers */

static bool refuse(struct sink_peer *p, const char *status)
{
    return sink_answer(p, status, "Content-Type: application/json\r\n",
                       "{\"error\":{\"message\":\"not what the sink takes\"}}");
}

static bool answer_object(struct sink_peer *p, uint64_t size, const char *crc)
{
    char body[300];

    (void)snprintf(body, sizeof(body),
                   "{\"kind\":\"storage#object\",\"generation\":\"1\","
                   "\"size\":\"%" PRIu64 "\",\"crc32c\":\"%.8s\"}",
                   size, crc);
    return sink_answer(p, "200 OK", "Content-Type: application/json\r\n", body);
}

/* ------------------------------------------------------------------ uploads */

/* metadata, then the bytes, each behind a line of boundary and its own head. */
static bool multipart(struct sink_peer *p)
{
    static const char crc_member[] = "\"crc32c\":";
    const char *body = p->head + p->head_len, *crc, *at, *boundary;
    size_t boundary_len;
    uint64_t before;
    char crc_text[9] = "";

    if (!sink_peek_body(p, METADATA_MAX))
        return false;
    boundary_len = strcspn(body, "\r");
    boundary = memmem(body + boundary_len, p->len - p->head_len - boundary_len,
                      body, boundary_len);
    at = boundary != NULL ? strstr(boundary, "\r\n\r\n") : NULL;
    crc = memmem(body, p->len - p->head_len, crc_member, strlen(crc_member));
    crc = crc != NULL ? strchr(crc + strlen(crc_member), '"') : NULL;
    if (at == NULL || crc == NULL)
        return sink_discard_body(p) && refuse(p, "400 Bad Request");
    memcpy(crc_text, crc + 1, 8);
    /* behind the bytes: "\r\n", the line again, "--\r\n" */
    before = (uint64_t)(at + 4 - body) + 2 + boundary_len + 4;
    if (before > p->body)
        return sink_discard_body(p) && refuse(p, "400 Bad Request");
    before = p->body - before;
    return sink_discard_body(p) && answer_object(p, before, crc_text);
}

static bool start(struct sink_peer *p)
{
    unsigned number = atomic_fetch_add(&n_sessions, 1);
    const char *host = sink_header(p, "\r\nhost: ");
    char line[400];

    if (number >= SESSIONS || host == NULL)
        return refuse(p, "503 Service Unavailable");
    (void)snprintf(line, sizeof(line),
                   "Location: http://%.*s/upload/storage/v1/b/b/o?"
                   "uploadType=resumable&upload_id=%u\r\n",
                   (int)strcspn(host, "\r"), host, number);
    return sink_discard_body(p) && sink_answer(p, "200 OK", line, "");
}

static bool answer_held(struct sink_peer *p, uint64_t now)
{
    char line[80] = "";

    if (now > 0)
        (void)snprintf(line, sizeof(line), "Range: bytes=0-%" PRIu64 "\r\n",
                       now - 1);
    return sink_answer(p, "308 Resume Incomplete", line, "");
}

/* "bytes A-B/T", "bytes A-B" with an open end, "bytes * /T", the question. */
static bool chunk(struct sink_peer *p, unsigned number)
{
    const char *range = sink_header(p, "\r\ncontent-range: bytes ");
    const char *hash = sink_header(p, "\r\nx-goog-hash: crc32c=");
    unsigned long long first = 0, last = 0, total = 0;
    uint64_t now = atomic_load(&held[number]), body = p->body;
    bool ends, has_bytes;
    char crc[9] = "";

    if (range == NULL)
        return refuse(p, "400 Bad Request");
    has_bytes = sscanf(range, "%llu-%llu/", &first, &last) == 2;
    ends = sscanf(strchr(range, '/') != NULL ? strchr(range, '/') + 1 : "",
                  "%llu", &total) == 1;
    if (hash != NULL)
        memcpy(crc, hash, 8);
    if (!sink_discard_body(p))
        return false;
    if (has_bytes && (first != now || last + 1 - first != body ||
                      (!ends && body % CHUNK != 0)))
        return refuse(p, "400 Bad Request");
    now += has_bytes ? body : 0;
    atomic_store(&held[number], now);
    return ends && now == total ? answer_object(p, now, crc)
                                : answer_held(p, now);
}

static bool session(struct sink_peer *p, const char *id)
{
    unsigned long number = strtoul(id, NULL, 10);

    if (number >= atomic_load(&n_sessions) || number >= SESSIONS)
        return sink_discard_body(p) && refuse(p, "404 Not Found");
    if (strncmp(p->head, "DELETE ", 7) == 0)
        return sink_discard_body(p) &&
               sink_answer(p, "499 Client Closed Request", "", "");
    return chunk(p, (unsigned)number);
}

/* ---------------------------------------------------------------- downloads */

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* The file of a name as it stands in a path; -1 where there is none. */
static int open_named(const char *name, uint64_t *size)
{
    char path[4096];
    size_t n = (size_t)snprintf(path, sizeof(path), "%s/", root);
    struct stat st;
    int fd;

    for (; *name != ' ' && *name != '?' && n + 1 < sizeof(path); name++) {
        int byte = *name;

        if (byte == '%' && hex(name[1]) >= 0 && hex(name[2]) >= 0) {
            byte = hex(name[1]) * 16 + hex(name[2]);
            name += 2;
        }
        path[n++] = (char)byte;
    }
    path[n] = '\0';
    fd = strstr(path, "/../") == NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0 && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))) {
        (void)close(fd);
        return -1;
    }
    if (fd >= 0)
        *size = (uint64_t)st.st_size;
    return fd;
}

static bool answer_bytes(struct sink_peer *p, int file, uint64_t size)
{
    const char *range = sink_header(p, "\r\nrange: bytes=");
    uint64_t first = 0, len = size;
    char head[500];

    if (range != NULL && !sink_range(range, size, &first, &len))
        return sink_answer(p, "416 Range Not Satisfiable", "", "");
    (void)snprintf(head, sizeof(head),
                   "HTTP/1.1 %s\r\nContent-Range: bytes %" PRIu64 "-%" PRIu64
                   "/%" PRIu64 "\r\nx-goog-generation: 1\r\n"
                   "Content-Length: %" PRIu64 "\r\n\r\n",
                   range != NULL ? "206 Partial Content" : "200 OK", first,
                   first + len - 1, size, len);
    return sink_send(p, head, strlen(head), true) &&
           sink_send_file(p, file, first, len);
}

static bool get_named(struct sink_peer *p, const char *name, bool media)
{
    uint64_t size = 0;
    int file = root != NULL ? open_named(name, &size) : -1;
    bool good;

    if (file < 0)
        good = refuse(p, "404 Not Found");
    else if (media)
        good = answer_bytes(p, file, size);
    else
        good = answer_object(p, size, "AAAAAA==");
    if (file >= 0)
        (void)close(file);
    return good;
}

static bool get(struct sink_peer *p)
{
    const char *name = strstr(p->head, "/o/"), *end = strchr(p->head, '\r');
    char counts[200];

    if (strncmp(p->head, "GET /counts ", 12) == 0) {
        sink_counts(counts, sizeof(counts));
        return sink_answer(p, "200 OK", "", counts);
    }
    if (strncmp(p->head, "GET /plain/", 11) == 0)
        return get_named(p, p->head + 11, true);
    if (name != NULL && name < end)
        return get_named(p, name + 3, strstr(p->head, "alt=media") != NULL);
    return sink_answer(p, "200 OK", "Content-Type: application/json\r\n",
                       "{\"kind\":\"storage#objects\"}") &&
           sink_discard_body(p);
}

static bool serve(struct sink_peer *p)
{
    const char *id = strstr(p->head, "upload_id="), *end;

    end = strchr(p->head, '\r');
    if (id != NULL && id < end)
        return session(p, id + 10);
    if (strncmp(p->head, "GET ", 4) == 0)
        return get(p);
    if (strncmp(p->head, "PUT /plain/", 11) == 0)
        return sink_discard_body(p) && sink_answer(p, "200 OK", "", "");
    if (strstr(p->head, "uploadType=resumable") != NULL)
        return start(p);
    if (strstr(p->head, "uploadType=multipart") != NULL)
        return multipart(p);
    return sink_discard_body(p) && refuse(p, "404 Not Found");
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"root", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    uint16_t port = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'p')
            port = (uint16_t)strtoul(optarg, NULL, 10);
        else if (c == 'r')
            root = optarg;
        else
            return 2;
    }
    sink_run(port, serve);
}
