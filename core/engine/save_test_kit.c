/* SPDX-License-Identifier: Apache-2.0 */
/* Test only; see save_test_kit.h. */
#include "engine/save_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"

const char *rig_state_dir;

/* ------------------------------------------------------------------- clock
 */

static uint64_t boot_ns(void *ctx)
{
    struct rig *r = ctx;

    return atomic_load(&r->boot_ns);
}

static int64_t wall_us(void *ctx)
{
    struct rig *r = ctx;

    return atomic_load(&r->wall_us);
}

static void sleep_ns(void *ctx, uint64_t ns, int wake_fd)
{
    struct rig *r = ctx;

    (void)wake_fd;
    atomic_fetch_add(&r->boot_ns, ns);
    atomic_fetch_add(&r->wall_us, (int64_t)(ns / 1000));
}

static int random_bytes(void *ctx, void *out, size_t len)
{
    struct rig *r = ctx;
    uint8_t *bytes = out;
    size_t i;

    for (i = 0; i < len; i++) {
        uint64_t x = atomic_fetch_add(&r->random, 1);

        x = (x + 1) * UINT64_C(0x9e3779b97f4a7c15);
        bytes[i] = (uint8_t)(x >> 56);
    }
    return 0;
}

void rig_set_store_time(struct rig *r)
{
    r->memory->set_now(r->id, atomic_load(&r->wall_us));
}

void rig_one_by_one(struct rig *r)
{
    executor_destroy(r->p->io);
    r->p->io = NULL;
}

void rig_pass_days(struct rig *r, int days)
{
    atomic_fetch_add(&r->boot_ns,
                     (uint64_t)days * 86400 * UINT64_C(1000000000));
    atomic_fetch_add(&r->wall_us, days * RIG_DAY_US);
    rig_set_store_time(r);
}

/* ------------------------------------------------------------------ faults
 */

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && strcmp(text + n - m, suffix) == 0;
}

static bool matches(struct rig_fault *f, const struct memory_event *e)
{
    uint32_t phase = f->phase ? f->phase : MEMORY_BEFORE;
    uint32_t at = f->at ? f->at : 1;
    uint32_t times = f->times ? f->times : 1;

    if (e->phase != phase || (strcmp(f->op, "any") && strcmp(f->op, e->op)) ||
        (f->suffix && !ends_with(e->key, f->suffix)) ||
        (f->actor && strcmp(f->actor, e->actor)))
        return false;
    f->seen++;
    return f->seen >= at && f->seen - at < times;
}

static int32_t hook(void *ctx, const struct memory_event *event)
{
    struct rig *r = ctx;
    void (*then[RIG_FAULTS])(void *);
    void *ctxs[RIG_FAULTS];
    size_t i, n = 0;
    int32_t status = 0;

    if (event->phase == MEMORY_BEFORE)
        atomic_fetch_add(&r->calls, 1);
    pthread_mutex_lock(&r->mutex);
    for (i = 0; i < r->n_faults; i++) {
        if (!matches(&r->faults[i], event))
            continue;
        if (!status)
            status = r->faults[i].status;
        if (r->faults[i].then) {
            then[n] = r->faults[i].then;
            ctxs[n++] = r->faults[i].ctx;
        }
    }
    pthread_mutex_unlock(&r->mutex);
    for (i = 0; i < n; i++)
        then[i](ctxs[i]);
    return status;
}

void rig_fault(struct rig *r, struct rig_fault fault)
{
    pthread_mutex_lock(&r->mutex);
    assert_true(r->n_faults < RIG_FAULTS);
    r->faults[r->n_faults++] = fault;
    pthread_mutex_unlock(&r->mutex);
}

void rig_no_faults(struct rig *r)
{
    pthread_mutex_lock(&r->mutex);
    r->n_faults = 0;
    pthread_mutex_unlock(&r->mutex);
}

/* -------------------------------------------------------------------- life
 */

static void keep_line(void *ctx, int level, const char *line, size_t len)
{
    struct rig *r = ctx;

    (void)level;
    pthread_mutex_lock(&r->log_mutex);
    buf_append(&r->log, line, len);
    buf_putc(&r->log, '\n');
    pthread_mutex_unlock(&r->log_mutex);
}

struct persist_store *rig_again(struct rig *r, const char *actor,
                                const char *const *settings)
{
    struct persist_store_builder *b = NULL;
    struct persist_store *store = NULL;
    struct persist_error err = {0};

    assert_ok(persist_store_builder_create(r->p, "memory", &b, &err), &err);
    persist_store_builder_set(b, "store", r->id);
    persist_store_builder_set(b, "actor", actor);
    for (; settings && *settings; settings += 2)
        persist_store_builder_set(b, settings[0], settings[1]);
    assert_ok(persist_store_builder_build(b, &store, &err), &err);
    return store;
}

void rig_open(struct rig *r, uint64_t memory_limit, const char *const *settings)
{
    static const char *const dirs[] = {PERSIST_TEST_BINARY_DIR
                                       "/tests/backends"};
    static atomic_uint count;
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_error err = {0};

    memset(r, 0, sizeof *r);
    snprintf(r->id, sizeof r->id, "rig-%u", atomic_fetch_add(&count, 1));
    buf_init(&r->log, 1 << 22);
    pthread_mutex_init(&r->log_mutex, NULL);
    pthread_mutex_init(&r->mutex, NULL);
    r->clock = (struct clock){boot_ns, wall_us, sleep_ns, random_bytes, r};
    atomic_store(&r->boot_ns, UINT64_C(864000) * 1000000000);
    atomic_store(&r->wall_us, RIG_START_US);
    o.flags = PERSIST_NO_CONFIG_FILES | PERSIST_NO_ENVIRONMENT;
    o.backend_dirs = dirs;
    o.n_backend_dirs = 1;
    o.memory_limit = memory_limit;
    o.log = keep_line;
    o.log_ctx = r;
    o.state_dir = rig_state_dir ? rig_state_dir : "";
    assert_ok(engine_create_with(&o, &r->clock, &r->p, &err), &err);
    r->store = rig_again(r, "main", settings);
    r->memory = backend_store_plugin(r->store->backend)
                    ->descriptor.get_extension(MEMORY_CONTROL);
    assert_non_null(r->memory);
    r->memory->reset(r->id);
    r->memory->set_hook(r->id, hook, r);
    rig_set_store_time(r);
}

void rig_close(struct rig *r)
{
    assert_int_equal(budget_used(r->p->budget), 0);
    persist_close(r->store);
    persist_destroy(r->p);
    r->memory->reset(r->id);
    buf_finish(&r->log);
    pthread_mutex_destroy(&r->log_mutex);
    pthread_mutex_destroy(&r->mutex);
}

int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    rig_open(r, 0, NULL);
    *state = r;
    return 0;
}

int rig_teardown(void **state)
{
    rig_close(*state);
    free(*state);
    return 0;
}

/* ------------------------------------------------------------------ objects
 */

void rig_key(uint64_t index, enum key_kind kind, char out[KEY_CAP])
{
    key_format("a/default/", index, kind, out);
}

uint64_t rig_size(struct rig *r, uint64_t index, enum key_kind kind)
{
    char key[KEY_CAP], byte;
    uint64_t len = 0;

    rig_key(index, kind, key);
    return r->memory->get(r->id, key, &byte, 1, &len) ? 0 : len;
}

bool rig_has(struct rig *r, uint64_t index, enum key_kind kind)
{
    return rig_size(r, index, kind) != 0;
}

uint64_t rig_objects(struct rig *r)
{
    return r->memory->n_objects(r->id);
}

static void put_marker(struct rig *r, uint64_t index, const char *object,
                       size_t len)
{
    char key[KEY_CAP];

    rig_key(index, KEY_SNAP, key);
    assert_int_equal(r->memory->set(r->id, key, object, len), 0);
}

static const struct marker someone = {
    "018f3c1e-5a70-7c3d-9b1e-0123456789ab",
    "2026-11-23T04:19:24.642210Z",
    "elsewhere",
};

void rig_put_claim(struct rig *r, uint64_t index)
{
    char claim[CLAIM_LEN];

    claim_encode(&someone, claim);
    put_marker(r, index, claim, sizeof claim);
}

void rig_put_tombstone(struct rig *r, uint64_t index)
{
    char tombstone[TOMBSTONE_LEN];

    tombstone_encode(&someone, tombstone);
    put_marker(r, index, tombstone, sizeof tombstone);
}

void rig_save(struct rig *r, const char *text, uint64_t index)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};

    assert_ok(
        persist_save_buffer(r->store, "a", text, strlen(text), NULL, &m, &err),
        &err);
    assert_int_equal(m->snapshot_index, index);
    persist_metadata_free(m);
}

void rig_expect(struct rig *r, const char *address, const void *data,
                size_t len)
{
    struct persist_error err = {0};
    void *got = NULL;
    size_t got_len = 0;

    assert_ok(persist_restore_buffer(r->store, address, 0, NULL, &got, &got_len,
                                     NULL, &err),
              &err);
    assert_int_equal(got_len, len);
    assert_true(len == 0 || memcmp(got, data, len) == 0);
    persist_free(got);
}

uint8_t *rig_noise(size_t len, uint32_t seed)
{
    uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    uint8_t *out = malloc(len ? len : 1);
    size_t i;

    assert_non_null(out);
    for (i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        out[i] = (uint8_t)(x >> 32);
    }
    return out;
}
