/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http-request: one request through plugins/support/http, for tests that play
 * the other side.
 *
 *     http-request [OPTION...] METHOD URL
 *
 *     --ca FILE      the CA bundle        --proxy URL    through that proxy
 *     --env-proxy    through the environment's
 *     --no-proxy     the request goes past every proxy
 *     --body BYTES   of a body            --writes       may change something
 *     --expect       waits for 100-continue
 *     --times N      that many requests   --allow-http
 *     --run LINE     runs that program first and prints what it prints
 *
 * Prints for each: "CODE STATUS may=0|1 length=N MESSAGE".  SIGPIPE is left as
 * it is by default: it would end the program.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/command.h"
#include "support/http.h"

static uint64_t host_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int64_t host_wall(void)
{
    return (int64_t)time(NULL) * 1000000;
}

static void host_log(void *store, uint32_t level, const char *message)
{
    (void)store, (void)level;
    (void)fprintf(stderr, "%s\n", message);
}

static int32_t host_log_enabled(void *store, uint32_t level)
{
    (void)store, (void)level;
    return getenv("HTTP_REQUEST_VERBOSE") != NULL;
}

static void *host_alloc(void *store, uint64_t len)
{
    (void)store;
    return malloc((size_t)len);
}

static void host_free(void *store, void *memory)
{
    (void)store;
    free(memory);
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    (void)call;
    return 0;
}

static const struct persist_backend_host host = {
    .struct_size = sizeof(host),
    .version = "test",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = host_now,
    .wall_us = host_wall,
    .is_cancelled = host_is_cancelled,
};

struct options {
    struct http_config config;
    struct http_request request;
    size_t body_len;
    unsigned times;
    const char *run;
};

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option known[] = {
        {"ca", required_argument, NULL, 'c'},
        {"proxy", required_argument, NULL, 'p'},
        {"env-proxy", no_argument, NULL, 'e'},
        {"no-proxy", no_argument, NULL, 'n'},
        {"body", required_argument, NULL, 'b'},
        {"writes", no_argument, NULL, 'w'},
        {"expect", no_argument, NULL, 'x'},
        {"times", required_argument, NULL, 't'},
        {"allow-http", no_argument, NULL, 'a'},
        {"run", required_argument, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (c == 'c')
            o->config.ca_bundle = optarg;
        else if (c == 'p')
            o->config.proxy = optarg;
        else if (c == 'e')
            o->config.proxy = NULL;
        else if (c == 'n')
            o->request.no_proxy = true;
        else if (c == 'b')
            o->body_len = strtoul(optarg, NULL, 10);
        else if (c == 'w')
            o->request.writes = true;
        else if (c == 'x')
            o->request.expect_continue = true;
        else if (c == 't')
            o->times = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'a')
            o->config.allow_http = true;
        else if (c == 'r')
            o->run = optarg;
        else
            exit(2);
    }
    if (argc - optind != 2)
        exit(2);
    o->request.method = argv[optind];
    o->request.url = argv[optind + 1];
}

static void perform(struct http_client *client, const struct options *o)
{
    struct persist_backend_call call = {.struct_size = sizeof(call),
                                        .attempt = 1};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct http_response r = {0};
    int32_t rc = http_perform(client, &call, &o->request, &r, &err);

    (void)printf("%d %d may=%d length=%zu %s\n", rc, r.status,
                 r.may_have_applied, r.body.len, err.message);
    (void)fflush(stdout);
    http_response_finish(&r);
}

static void run_program(const char *line)
{
    struct persist_backend_call call = {.struct_size = sizeof(call),
                                        .attempt = 1};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct command_words words = {0};
    struct secret out = {0};
    int32_t rc = command_split(line, &words, &err);

    if (rc == PERSIST_BACKEND_OK)
        rc = command_run(&host, &call, words.argv, NULL, 10000, 65536, &out,
                         &err);
    (void)printf("%d %s\n%s", rc, err.message, secret_text(&out));
    command_words_finish(&words);
    secret_wipe(&out);
}

int main(int argc, char **argv)
{
    struct options o = {.config = {.host = &host, .proxy = ""}, .times = 1};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct http_client *client = NULL;
    char *body;

    read_options(argc, argv, &o);
    if (o.run != NULL)
        run_program(o.run);
    body = calloc(1, o.body_len + 1);
    if (body == NULL)
        return 2;
    o.request.body[0] = (struct http_piece){body, o.body_len};
    if (http_client_create(&o.config, &client, &err) == PERSIST_BACKEND_OK)
        while (o.times-- > 0)
            perform(client, &o);
    else
        (void)printf("%s\n", err.message);
    http_client_destroy(client);
    free(body);
    /* A leak checker cannot look into a program with more rights, and ends it
     * before what was printed is out. */
    (void)fflush(stdout);
    return client != NULL ? 0 : 2;
}
