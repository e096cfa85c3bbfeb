/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: see testkit.h. */
#include "s3/credentials/testkit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/fail.h"

struct world world;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* Adds text to what stands in `to`, as far as it fits. */
#define ADD(to, from) add_text((to), sizeof(to), (from))
#define COPY(to, from) (void)snprintf((to), sizeof(to), "%s", (from))

static void add_text(char *to, size_t cap, const char *from)
{
    size_t len = strlen(to);

    (void)snprintf(to + len, cap - len, "%s", from);
}

/* -------------------------------------------------------------------- host */

static void host_log(void *store, uint32_t level, const char *message)
{
    (void)store;
    (void)level;
    ADD(world.logged, message);
}

static int32_t host_log_enabled(void *store, uint32_t level)
{
    (void)store;
    (void)level;
    return 1;
}

static uint64_t host_monotonic(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int64_t host_wall(void)
{
    return atomic_load(&world.now_us);
}

static int32_t host_random(void *out, uint64_t len)
{
    memset(out, 7, (size_t)len);
    return 0;
}

static int32_t host_cancelled(const struct persist_backend_call *call)
{
    (void)call;
    return 0;
}

static int32_t host_fd(const struct persist_backend_call *call)
{
    (void)call;
    return -1;
}

static int32_t host_secret(void *store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    (void)store;
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(world.secrets[i].name, key) != 0)
            continue;
        *out_len = strlen(world.secrets[i].value);
        if (*out_len > cap)
            return PERSIST_BACKEND_INVALID;
        memcpy(out, world.secrets[i].value, (size_t)*out_len);
        return 0;
    }
    return PERSIST_BACKEND_NOT_FOUND;
}

const struct persist_backend_host world_host = {
    .struct_size = sizeof(world_host),
    .abi_major = 1,
    .version = "test",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .monotonic_ns = host_monotonic,
    .wall_us = host_wall,
    .random = host_random,
    .is_cancelled = host_cancelled,
    .cancel_fd = host_fd,
    .secret = host_secret,
};

/* --------------------------------------------------------------------- env */

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    for (size_t i = 0; i < WORLD_MAX; i++)
        if (strcmp(world.variables[i].name, name) == 0)
            return world.variables[i].value;
    return NULL;
}

static int file_at(const char *path)
{
    for (int i = 0; i < 8; i++)
        if (strcmp(world.files[i].path, path) == 0)
            return i;
    return -1;
}

static int32_t read_small(void *ctx, const char *path, size_t max,
                          struct secret *out, struct smallfile_info *info,
                          struct persist_backend_error *err)
{
    int i = file_at(path);

    (void)ctx;
    if (i < 0)
        return fail(err, PERSIST_BACKEND_NOT_FOUND, "cannot open %s", path);
    if (strlen(world.files[i].text) > max)
        return fail(err, PERSIST_BACKEND_CONFIG, "%s is too long", path);
    if (info != NULL)
        *info = (struct smallfile_info){.uid = world.files[i].uid,
                                        .mode = world.files[i].mode};
    return secret_set(out, world.files[i].text, strlen(world.files[i].text));
}

static int32_t replace(void *ctx, const char *path, const void *bytes,
                       size_t len, struct persist_backend_error *err)
{
    char text[16384];

    (void)ctx;
    (void)err;
    assert_true(len < sizeof(text));
    memcpy(text, bytes, len);
    text[len] = '\0';
    world_file(path, text);
    return PERSIST_BACKEND_OK;
}

static int32_t run(void *ctx, const struct persist_backend_call *call,
                   char *const argv[], uint32_t timeout_ms, size_t max,
                   struct secret *out, struct persist_backend_error *err)
{
    (void)ctx;
    (void)call;
    (void)max;
    assert_int_not_equal(timeout_ms, 0);
    world.ran[0] = '\0';
    for (size_t i = 0; argv[i] != NULL; i++) {
        ADD(world.ran, i == 0 ? "" : "|");
        ADD(world.ran, argv[i]);
    }
    if (world.run_code != 0)
        return fail(err, world.run_code, "%s ended with 3", argv[0]);
    return secret_set(out, world.printed, strlen(world.printed));
}

static void note_request(const struct http_request *r, char *request)
{
    size_t i = world.n_asked;

    assert_true(i < 16);
    world.n_asked++;
    COPY(world.asked[i].request, request);
    world.asked[i].headers[0] = world.asked[i].body[0] = '\0';
    for (size_t k = 0; k < r->n_headers; k++) {
        ADD(world.asked[i].headers, r->headers[k]);
        ADD(world.asked[i].headers, "\n");
    }
    if (r->body[0].len > 0)
        (void)strncat(world.asked[i].body, r->body[0].data,
                      (size_t)r->body[0].len);
    world.asked[i].no_proxy = r->no_proxy;
    world.asked[i].timeout_ms = r->timeout_ms;
}

static int answer_to(const char *request)
{
    for (int i = 0; i < 16; i++)
        if (!world.answers[i].used &&
            strcmp(world.answers[i].request, request) == 0)
            return i;
    return -1;
}

/* "Name: value" as http_header finds it. */
static void add_header(struct http_response *response, const char *line)
{
    const char *colon = strchr(line, ':');

    if (colon == NULL)
        return;
    text_add_bytes(&response->headers, line, (size_t)(colon - line));
    text_add_bytes(&response->headers, "", 1);
    text_add(&response->headers, colon + 2);
    text_add_bytes(&response->headers, "", 1);
}

static int32_t fetch(void *ctx, const struct persist_backend_call *call,
                     const struct http_request *r,
                     struct http_response *response,
                     struct persist_backend_error *err)
{
    char request[2048];
    int i;

    (void)ctx;
    (void)call;
    atomic_fetch_add(&world.n_fetches, 1);
    if (atomic_load(&world.fetch_delay_ms) > 0)
        (void)usleep((useconds_t)atomic_load(&world.fetch_delay_ms) * 1000);
    (void)snprintf(request, sizeof(request), "%s %s", r->method, r->url);
    (void)pthread_mutex_lock(&lock);
    note_request(r, request);
    i = answer_to(request);
    if (i >= 0)
        world.answers[i].used = !world.answers[i].keep;
    (void)pthread_mutex_unlock(&lock);
    if (i < 0)
        return fail(err, PERSIST_BACKEND_TRANSIENT, "no server for %s",
                    request);
    if (world.answers[i].status == 0)
        return fail(err, world.answers[i].code, "the transport failed");
    response->status = world.answers[i].status;
    text_add(&response->body, world.answers[i].body);
    add_header(response, world.answers[i].header);
    return PERSIST_BACKEND_OK;
}

static const struct s3_credentials_env env = {.get = get,
                                              .read = read_small,
                                              .write = replace,
                                              .run = run,
                                              .fetch = fetch};

/* ------------------------------------------------------------------- world */

void world_reset(void)
{
    s3_credentials_destroy(world.provider);
    memset(&world, 0, sizeof(world));
    atomic_store(&world.now_us, WORLD_NOW_US);
    world_variable("HOME", "/home/u");
    world.options.env = &env;
}

void world_variable(const char *name, const char *value)
{
    size_t i = 0;

    while (world.variables[i].name[0] != '\0' &&
           strcmp(world.variables[i].name, name) != 0)
        i++;
    COPY(world.variables[i].name, name);
    COPY(world.variables[i].value, value);
}

void world_secret(const char *key, const char *value)
{
    size_t i = 0;

    while (world.secrets[i].name[0] != '\0' &&
           strcmp(world.secrets[i].name, key) != 0)
        i++;
    COPY(world.secrets[i].name, key);
    COPY(world.secrets[i].value, value);
}

void world_file(const char *path, const char *text)
{
    int i = file_at(path);

    if (i < 0)
        i = file_at("");
    assert_true(i >= 0);
    assert_true(strlen(text) < sizeof(world.files[i].text));
    COPY(world.files[i].path, path);
    COPY(world.files[i].text, text);
    world.files[i].uid = geteuid();
    world.files[i].mode = 0600;
}

void world_file_mode(const char *path, uint32_t uid, uint32_t mode)
{
    int i = file_at(path);

    world.files[i].uid = uid;
    world.files[i].mode = mode;
}

const char *world_text_of(const char *path)
{
    int i = file_at(path);

    return i < 0 ? NULL : world.files[i].text;
}

static size_t n_answers(void)
{
    size_t i = 0;

    while (i < 16 && world.answers[i].request[0] != '\0')
        i++;
    assert_true(i < 16);
    return i;
}

void world_answer(const char *request, int32_t status, const char *body)
{
    size_t i = n_answers();

    assert_true(strlen(body) < sizeof(world.answers[i].body));
    COPY(world.answers[i].request, request);
    COPY(world.answers[i].body, body);
    world.answers[i].status = status;
}

void world_fails(const char *request, int32_t code)
{
    size_t i = n_answers();

    COPY(world.answers[i].request, request);
    world.answers[i].code = code;
}

void world_header(const char *line)
{
    COPY(world.answers[n_answers() - 1].header, line);
}

void world_keep(void)
{
    world.answers[n_answers() - 1].keep = true;
}

static const struct persist_backend_call call = {.struct_size = sizeof(call),
                                                 .attempt = 1};

static void create(void)
{
    if (world.provider != NULL)
        return;
    assert_int_equal(s3_credentials_create(&world_host, NULL, &world.options,
                                           &world.provider, &world.err),
                     PERSIST_BACKEND_OK);
}

int32_t world_get(void)
{
    world.err =
        (struct persist_backend_error){.struct_size = sizeof(world.err)};
    create();
    return s3_credentials_get(world.provider, &call, &world.keys, &world.err);
}

static int32_t emit(void *ctx, const struct persist_backend_finding *f)
{
    size_t len = strlen(world.findings);

    (void)ctx;
    (void)snprintf(world.findings + len, sizeof(world.findings) - len,
                   "%u %s: %s\n", f->verdict, f->name, f->value);
    return 0;
}

int32_t world_describe(void)
{
    world.err =
        (struct persist_backend_error){.struct_size = sizeof(world.err)};
    create();
    world.findings[0] = '\0';
    return s3_credentials_describe(world.provider, &call, emit, NULL,
                                   &world.err);
}

/* fail_msg, which would want cmocka's fail. */
#define wrong(...)                                                             \
    do {                                                                       \
        print_error("ERROR: " __VA_ARGS__);                                    \
        print_error("\n");                                                     \
        _fail(__FILE__, __LINE__);                                             \
    } while (0)

void world_expect(int32_t code, const char *message)
{
    int32_t rc = world_get();

    if (rc != code || strstr(world.err.message, message) == NULL)
        wrong("answered %d \"%s\", not %d \"%s\"", rc, world.err.message, code,
              message);
    assert_null(strstr(world.err.message, "S3CRET"));
    assert_string_equal(world.keys.secret_access_key, "");
}

void world_expect_keys(const char *id, const char *secret, const char *token)
{
    int32_t rc = world_get();

    if (rc != PERSIST_BACKEND_OK)
        wrong("answered %d \"%s\"", rc, world.err.message);
    assert_string_equal(world.keys.access_key_id, id);
    assert_string_equal(world.keys.secret_access_key, secret);
    assert_string_equal(world.keys.session_token, token);
}

const char *world_sts(const char *action, const char *id,
                      const char *expiration)
{
    static char text[2048];

    (void)snprintf(
        text, sizeof(text),
        "<%sResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
        "<%sResult><Credentials><AccessKeyId>%s</AccessKeyId>"
        "<SecretAccessKey>roleS3CRET</SecretAccessKey>"
        "<SessionToken>roleTOKEN</SessionToken><Expiration>%s</Expiration>"
        "</Credentials></%sResult></%sResponse>",
        action, action, id, expiration, action, action);
    return text;
}

const char *world_handed(const char *id, const char *expiration)
{
    static char text[1024];

    (void)snprintf(text, sizeof(text),
                   "{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\","
                   "\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"hostS3CRET\","
                   "\"Token\":\"hostTOKEN\",\"Expiration\":\"%s\"}",
                   id, expiration);
    return text;
}
