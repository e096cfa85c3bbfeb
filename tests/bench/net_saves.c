/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What do 4 KiB saves to S3 or GCS cost, 64 in flight?
 *
 * persist_save_buffer on 64 threads, signed to S3, against a sink on the
 * loopback (http_sink.c, gcs_sink.c) that counts and keeps nothing; beside it
 * `curl --parallel` with as many transfers of the same bytes, unsigned, which
 * is what one process can make of the sink at all.  Each save has to be one
 * request: the first one of a session, which looks at it, is made before the
 * clock starts.
 *
 * usage: bench_net_saves FOLDER ENDPOINT [ROUNDS [N [s3|gcs]]]
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { PAYLOAD = 4096, THREADS = 64 };

struct what {
    const char *folder, *endpoint, *backend;
    bool gcs;
    unsigned n;
};

struct worker {
    const struct what *what;
    struct persist_store *store;
    unsigned number, round;
};

/* ------------------------------------------------------------------ counts
 */

/* Requests that the sink has answered: GET /counts of "http://127.0.0.1:PORT",
 * which is counted itself once it is answered. */
static unsigned long requests(const char *endpoint)
{
    static const char text[] = "GET /counts HTTP/1.1\r\n\r\n";
    const char *port = strrchr(endpoint, ':');
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char reply[1024], *body = NULL;
    size_t len = 0;
    ssize_t n;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_port = htons((uint16_t)strtoul(port ? port + 1 : "", NULL, 10));
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL) < 0)
        bench_fail(endpoint);
    while (!body && len < sizeof(reply) - 1 &&
           (n = recv(fd, reply + len, sizeof(reply) - 1 - len, 0)) > 0) {
        len += (size_t)n;
        reply[len] = '\0';
        body = strstr(reply, " bytes out") ? strstr(reply, "\r\n\r\n") : NULL;
    }
    close(fd);
    if (!body)
        bench_fail("the sink's counts");
    return strtoul(body + 4, NULL, 10);
}

/* ----------------------------------------------------------------- library
 */

static struct persist_store *open_store(struct persist *p,
                                        const struct what *what)
{
    static const char *const s3[][2] = {
        {"bucket", "bench-bucket"},
        {"region", "us-east-1"},
        {"access_key_id", "AKIAIOSFODNN7EXAMPLE"},
        {"secret_access_key", "not-a-secret-of-anybody"},
        {NULL, NULL}};
    static const char *const gcs[][2] = {
        {"bucket", "bench-bucket"}, {"anonymous", "true"}, {NULL, NULL}};
    const char *const(*options)[2] = what->gcs ? gcs : s3;
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err;

    if (persist_store_builder_create(p, what->backend, &b, &err))
        bench_fail_persist(&err);
    for (size_t i = 0; options[i][0] != NULL; i++)
        persist_store_builder_set(b, options[i][0], options[i][1]);
    persist_store_builder_set(b, "endpoint", what->endpoint);
    if (persist_store_builder_build(b, &store, &err))
        bench_fail_persist(&err);
    return store;
}

static void save_one(const struct worker *w, unsigned seed)
{
    char payload[PAYLOAD], address[64];
    struct persist_error err;

    snprintf(address, sizeof(address), "bench/round-%u", w->round);
    bench_fill(payload, PAYLOAD, seed);
    if (persist_save_buffer(w->store, address, payload, PAYLOAD, NULL, NULL,
                            &err))
        bench_fail_persist(&err);
}

static void *save_share(void *ctx)
{
    const struct worker *w = ctx;

    bench_ready();
    for (unsigned i = w->number; i < w->what->n; i += THREADS)
        save_one(w, i);
    return NULL;
}

static double library(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    struct persist *p = bench_instance(0);
    struct persist_store *store = open_store(p, what);
    struct worker workers[THREADS];
    void *all[THREADS];
    unsigned long before, made;
    double s;

    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){what, store, i, round};
        all[i] = &workers[i];
    }
    save_one(&workers[0], what->n);
    before = requests(what->endpoint);
    s = bench_threads(THREADS, save_share, all);
    made = requests(what->endpoint) - before - 1; /* less the one that asked */
    if (made != what->n) {
        fprintf(stderr, "bench: %u saves made %lu requests\n", what->n, made);
        exit(1);
    }
    persist_close(store);
    persist_destroy(p);
    return s;
}

/* -------------------------------------------------------------------- curl
 */

static void write_transfers(const struct what *what, const char *folder)
{
    char path[4200], payload[PAYLOAD];
    FILE *f;

    bench_fill(payload, PAYLOAD, 1);
    snprintf(path, sizeof(path), "%s/payload", folder);
    f = fopen(path, "we");
    if (!f || fwrite(payload, 1, PAYLOAD, f) != PAYLOAD || fclose(f) != 0)
        bench_fail(path);
    snprintf(path, sizeof(path), "%s/transfers", folder);
    f = fopen(path, "we");
    if (!f)
        bench_fail(path);
    for (unsigned i = 0; i < what->n; i++)
        fprintf(f,
                "upload-file = \"%s/payload\"\n"
                "url = \"%s/%s/%u\"\n"
                "output = \"/dev/null\"\n",
                folder, what->endpoint, what->gcs ? "plain" : "bench-bucket",
                i);
    if (fclose(f) != 0)
        bench_fail(path);
}

static double curl(void *ctx, unsigned round)
{
    const struct what *what = ctx;
    char folder[4096], config[4200];
    double start;
    int status;
    pid_t pid;

    bench_folder(what->folder, "curl", round, folder);
    write_transfers(what, folder);
    snprintf(config, sizeof(config), "%s/transfers", folder);
    start = bench_now_s();
    pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);

        dup2(null, 1); /* its meter */
        dup2(null, 2);
        execlp("curl", "curl", "-q", "-s", "--parallel", "--parallel-max", "64",
               "--config", config, (char *)NULL);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("curl");
    return bench_now_s() - start;
}

int main(int argc, char **argv)
{
    struct what what = {.folder = argc > 1 ? argv[1] : NULL,
                        .endpoint = argc > 2 ? argv[2] : NULL,
                        .backend = argc > 5 ? argv[5] : "s3"};
    char question[200];
    struct bench b;

    if (argc < 3) {
        fprintf(stderr, "usage: %s FOLDER ENDPOINT [ROUNDS [N [s3|gcs]]]\n",
                argv[0]);
        return 2;
    }
    what.gcs = strcmp(what.backend, "gcs") == 0;
    what.n = bench_number(argc > 4 ? argv[4] : NULL, 1000);
    snprintf(question, sizeof(question),
             "%u saves of 4 KiB to %s, %d in flight", what.n,
             what.gcs ? "GCS" : "S3", THREADS);
    bench_init(&b, "net-saves", question,
               bench_number(argc > 3 ? argv[3] : NULL, 5));
    bench_side(&b, "persist_save_buffer", library, &what);
    bench_side(&b, "curl --parallel, unsigned", curl, &what);
    bench_run(&b);
    bench_tell(&b, "saves", what.n);
    return 0;
}
