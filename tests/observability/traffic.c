/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Half an hour of a small service, in a second: saves, restores and looks on
 * two stores, with a bad quarter of an hour in the middle.  The library and
 * its numbers are real; the clock is not, so that every minute is the same on
 * every machine.
 *
 *     traffic START ROOT
 *
 * START is the Unix time of the first sample, ROOT an empty directory.  Prints
 * the instance's metrics every 15 s of that half hour, each behind a line
 * "@ UNIX-TIME", as OpenMetrics; the last once more as Prometheus text behind
 * "@ text".
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/instance.h"
#include "support/memory_backend.h"
#include "util/text.h"

#define STEP_S 15
#define STEPS 121
#define BAD_FROM 44 /* steps */
#define BAD_TO 76

/* ------------------------------------------------------------------- clock */

static atomic_uint_fast64_t now_ns; /* boot time */
static int64_t offset_us;           /* from there to Unix time */
static atomic_uint_fast64_t seed = 88172645463325252U;

static uint64_t next_random(void)
{
    uint64_t x = atomic_fetch_add(&seed, UINT64_C(0x9e3779b97f4a7c15));

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void pass(uint64_t ns)
{
    atomic_fetch_add(&now_ns, ns);
}

/* Nothing takes no time: what a local disk needs. */
static uint64_t boot_ns(void *ctx)
{
    (void)ctx;
    pass(20000 + next_random() % 400000);
    return atomic_load(&now_ns);
}

static int64_t wall_us(void *ctx)
{
    (void)ctx;
    return (int64_t)(atomic_load(&now_ns) / 1000) + offset_us;
}

static void sleep_ns(void *ctx, uint64_t ns, int wake_fd)
{
    (void)ctx;
    (void)wake_fd;
    pass(ns);
}

static int random_bytes(void *ctx, void *out, size_t len)
{
    unsigned char *at = out;

    (void)ctx;
    for (size_t i = 0; i < len; i++)
        at[i] = (unsigned char)next_random();
    return 0;
}

static const struct clock simulated = {.boot_ns = boot_ns,
                                       .wall_us = wall_us,
                                       .sleep_ns = sleep_ns,
                                       .random = random_bytes};

/* ----------------------------------------------------------------- trouble */

static atomic_bool bad;
static atomic_bool deny_abort;

/* A service far away: each request takes its time, some are refused. */
static int32_t far_away(void *ctx, const struct memory_event *event)
{
    uint64_t r = next_random() % 1000;
    uint64_t ms = strcmp(event->op, "put") == 0 ? 40 : 12;

    (void)ctx;
    if (event->phase != MEMORY_BEFORE)
        return 0;
    ms += r % 30;
    if (r > 950)
        ms *= 8;
    pass(ms * UINT64_C(1000000));
    if (atomic_load(&deny_abort) && strcmp(event->op, "upload_abort") == 0)
        return PERSIST_BACKEND_DENIED;
    if (atomic_load(&deny_abort) && strcmp(event->op, "upload_part") == 0)
        return PERSIST_BACKEND_DENIED;
    if (!atomic_load(&bad))
        return r == 500 ? PERSIST_BACKEND_TRANSIENT : 0;
    if (r < 300)
        return r % 3 ? PERSIST_BACKEND_THROTTLED : PERSIST_BACKEND_TRANSIENT;
    return r < 330 ? PERSIST_BACKEND_DENIED : 0;
}

/* ------------------------------------------------------------------ service */

static struct persist *p;
static struct persist_store *near_store, *far_store, *cold_store;
static const struct memory_control *memory;
static unsigned char *payload;
#define PAYLOAD_MAX ((size_t)3 << 20)

static void die(const char *what, const struct persist_error *err)
{
    (void)fprintf(stderr, "traffic: %s: %s\n", what, err->message);
    exit(1);
}

static struct persist_store *open_store(const char *name)
{
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    if (persist_open(p, name, &store, &err))
        die(name, &err);
    return store;
}

static void save(struct persist_store *store, const char *agent, size_t len,
                 bool gzip)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    size_t start = (size_t)next_random() % (PAYLOAD_MAX - len);

    o.compression =
        gzip ? PERSIST_COMPRESSION_GZIP : PERSIST_COMPRESSION_DEFAULT;
    persist_save_buffer(store, agent, payload + start, len, &o, NULL, NULL);
}

static void look_around(struct persist_store *store, const char *agent)
{
    struct persist_metadata *m = NULL;
    struct persist_listing *l = NULL;
    const struct persist_entry *entry;
    void *data = NULL;
    size_t len;
    int there;

    if (!persist_restore_buffer(store, agent, 0, NULL, &data, &len, NULL, NULL))
        persist_free(data);
    persist_exists(store, agent, &there, NULL);
    if (!persist_show(store, agent, &m, NULL))
        persist_metadata_free(m);
    if (persist_list(store, agent, NULL, &l, NULL))
        return;
    while (persist_listing_next(l, &entry, NULL) == 1)
        ;
    persist_listing_close(l);
}

static int32_t find_damaged(void *ctx, const struct memory_object_view *object)
{
    if (strncmp(object->key, "damaged/", 8) != 0)
        return 0;
    snprintf(ctx, 200, "%s", object->key);
    return 1;
}

static void meet_damage(void)
{
    char key[200] = "";

    memory->each("far", find_damaged, key);
    memory->poke("far", key, 600, "\xff\x00\xff", 3);
    persist_verify(far_store, "damaged", NULL, NULL, NULL);
}

static void one_step(int step)
{
    size_t small = 2000 + (size_t)next_random() % 60000;

    atomic_store(&bad, step >= BAD_FROM && step < BAD_TO);
    if (step == 0) {
        save(cold_store, "once", small, false);
        save(far_store, "damaged", small, false);
    }
    save(near_store, "writer", small, step % 4 == 0);
    save(far_store, "writer", small * 4, false);
    look_around(near_store, "writer");
    if (step % 2)
        look_around(far_store, "writer");
    if (step % 10 == 5)
        save(far_store, "archive", (size_t)1600 << 10, false);
    if (step % 20 == 7)
        persist_delete(near_store, "writer@latest", NULL, NULL, NULL);
    if (step % 30 == 20)
        persist_verify(near_store, "writer", NULL, NULL, NULL);
    if (step == 80)
        meet_damage();
    atomic_store(&deny_abort, step == 60);
    if (step == 60)
        save(far_store, "archive", (size_t)2 << 20, false);
    atomic_store(&deny_abort, false);
}

/* ------------------------------------------------------------------- output */

static int print(void *ctx, const void *data, size_t len,
                 struct persist_error *err)
{
    (void)ctx;
    (void)err;
    return fwrite(data, 1, len, stdout) == len ? PERSIST_OK : PERSIST_E_IO;
}

static void show(int32_t format)
{
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_error err = {0};

    sink.write = print;
    if (persist_metrics_render(p, format, &sink, &err))
        die("render", &err);
}

static void write_config(const char *root, char path[4096])
{
    FILE *f;

    snprintf(path, 4096, "%s.conf", root);
    f = fopen(path, "w");
    if (!f ||
        fprintf(f,
                "[store near]\nbackend = local\nroot = %s\n"
                "[store far]\nbackend = memory\nstore = far\nput_max = 1M\n"
                "part_max = 1M\n"
                "[store cold]\nbackend = memory\nstore = cold\n",
                root) < 0 ||
        fclose(f) != 0) {
        (void)fprintf(stderr, "traffic: cannot write %s\n", path);
        exit(1);
    }
}

static void open_all(const char *root)
{
    static const char *const dirs[] = {
        PERSIST_TEST_BINARY_DIR "/tests/backends", PERSIST_TEST_BACKENDS};
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};
    char config[4096];

    write_config(root, config);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.config_file = config;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 2;
    o.state_dir = "";
    if (engine_create_with(&o, &simulated, &p, &err))
        die("create", &err);
    near_store = open_store("near");
    far_store = open_store("far");
    cold_store = open_store("cold");
    memory = backend_store_plugin(far_store->backend)
                 ->descriptor.get_extension(MEMORY_CONTROL);
    memory->set_hook("far", far_away, NULL);
}

/* Compresses to about a half, as state does. */
static void fill_payload(void)
{
    payload = malloc(PAYLOAD_MAX);
    if (!payload)
        exit(1);
    for (size_t i = 0; i < PAYLOAD_MAX; i++)
        payload[i] = (unsigned char)("etaoinshrdlu {}\":,"[next_random() % 18]);
}

int main(int argc, char **argv)
{
    const uint64_t day_ns = UINT64_C(86400) * 1000000000;
    uint64_t start_s;

    if (argc != 3 || !text_to_u64(argv[1], &start_s)) {
        (void)fprintf(stderr, "usage: traffic START ROOT\n");
        return 2;
    }
    atomic_store(&now_ns, 10 * day_ns);
    offset_us = (int64_t)(start_s - 10 * UINT64_C(86400)) * 1000000;
    fill_payload();
    open_all(argv[2]);
    for (int step = 0; step < STEPS; step++) {
        uint64_t due_ns =
            10 * day_ns + (uint64_t)step * STEP_S * UINT64_C(1000000000);

        /* A step with retries may be late, as a scrape would not be. */
        if (atomic_load(&now_ns) < due_ns)
            atomic_store(&now_ns, due_ns);
        one_step(step);
        printf("@ %llu\n",
               (unsigned long long)(start_s + (uint64_t)step * STEP_S));
        show(PERSIST_METRICS_OPENMETRICS);
    }
    printf("@ text\n");
    show(PERSIST_METRICS_PROMETHEUS);
    persist_close(near_store);
    persist_close(far_store);
    persist_close(cold_store);
    persist_destroy(p);
    free(payload);
    return fflush(stdout) == 0 ? 0 : 1;
}
