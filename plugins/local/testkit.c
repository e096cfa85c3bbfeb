/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: see testkit.h.  The host here counts, and never limits unasked. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/confine.h"
#include "posix/durable.h"
#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

atomic_long kit_blocks;
atomic_uint_fast64_t kit_peak;
atomic_long kit_alloc_limit = -1;
atomic_int kit_cancel_after = -1;
atomic_uint_fast64_t kit_now;
static atomic_uint_fast64_t bytes;

/* ------------------------------------------------------------------- host */

static void *host_alloc(void *host_store, uint64_t len)
{
    uint64_t *block, now, peak;

    (void)host_store;
    if (atomic_load(&kit_alloc_limit) == 0)
        return NULL;
    if (atomic_load(&kit_alloc_limit) > 0)
        atomic_fetch_sub(&kit_alloc_limit, 1);
    block = malloc((size_t)len + 16);
    if (block == NULL)
        return NULL;
    block[0] = len;
    atomic_fetch_add(&kit_blocks, 1);
    now = atomic_fetch_add(&bytes, len) + len;
    peak = atomic_load(&kit_peak);
    while (now > peak && !atomic_compare_exchange_weak(&kit_peak, &peak, now))
        ;
    return block + 2;
}

static void host_free(void *host_store, void *memory)
{
    uint64_t *block = memory;

    (void)host_store;
    if (memory == NULL)
        return;
    atomic_fetch_sub(&kit_blocks, 1);
    atomic_fetch_sub(&bytes, block[-2]);
    free(block - 2);
}

static uint64_t host_monotonic_ns(void)
{
    return atomic_load(&kit_now);
}

static int32_t host_random(void *out, uint64_t len)
{
    return getentropy(out, (size_t)len) == 0 ? OK : PERSIST_BACKEND_IO;
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    assert_non_null(call->host_call);
    if (atomic_load(&kit_cancel_after) < 0)
        return 0;
    return atomic_fetch_sub(&kit_cancel_after, 1) <= 0
               ? (atomic_store(&kit_cancel_after, 0), 1)
               : 0;
}

/* From the definition, so that it has nothing in common with the code under
 * test. */
static uint32_t crc_table[256];

__attribute__((constructor)) static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        crc_table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            crc_table[i] =
                (crc_table[i] >> 1) ^ (0x82f63b78u & (0u - (crc_table[i] & 1)));
    }
}

static uint32_t host_crc32c(uint32_t crc, const void *data, uint64_t len)
{
    const uint8_t *p = data;

    crc = ~crc;
    for (uint64_t i = 0; i < len; i++)
        crc = (crc >> 8) ^ crc_table[(crc ^ p[i]) & 255];
    return ~crc;
}

uint32_t kit_crc(const void *data, size_t len)
{
    return host_crc32c(0, data, len);
}

const struct persist_backend_host kit_host = {
    .struct_size = sizeof(kit_host),
    .abi_major = PERSIST_BACKEND_ABI_MAJOR,
    .version = "test",
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = host_monotonic_ns,
    .random = host_random,
    .is_cancelled = host_is_cancelled,
    .crc32c = host_crc32c,
};

/* ----------------------------------------------------------------- stores */

static const char *option_text(const char *const *options, const char *key)
{
    size_t len = strlen(key);

    for (; options != NULL && *options != NULL; options++)
        if (strncmp(*options, key, len) == 0 && (*options)[len] == '=')
            return *options + len + 1;
    return NULL;
}

int32_t kit_open(struct kit *k, const char *const *options, void **out)
{
    const struct persist_backend_descriptor *d =
        persist_backend_entry_v1(&kit_host);
    struct persist_backend_value values[8] = {{0}};
    struct persist_backend_config config = {.struct_size = sizeof(config),
                                            .n_values = d->n_options,
                                            .value_size = sizeof(values[0]),
                                            .values = values,
                                            .host_store = k,
                                            .store_name = "test"};

    k->ops = d->ops;
    k->error = (struct persist_backend_error){.struct_size = sizeof(k->error)};
    for (uint32_t i = 0; i < d->n_options; i++) {
        const struct persist_backend_option *o = &d->options[i];
        const char *text = option_text(options, o->key);

        values[i].key = o->key;
        if (text == NULL && (o->flags & PERSIST_BACKEND_REQUIRED) != 0)
            text = k->root;
        if (text == NULL)
            text = o->default_text;
        values[i].text = text;
        if (o->type == PERSIST_BACKEND_BOOL)
            values[i].number = text != NULL && strcmp(text, "true") == 0;
    }
    return d->ops->open(&kit_host, &config, out, &k->error);
}

void kit_reopen(struct kit *k, const char *const *options)
{
    k->ops->close(k->store);
    k->store = NULL;
    assert_int_equal(kit_open(k, options, &k->store), OK);
}

int kit_setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));

    assert_non_null(k);
    k->base = scratch_make();
    k->root = strdup(scratch_join(k->base, "root"));
    assert_int_equal(mkdir(k->root, 0700), 0);
    k->call = (struct persist_backend_call){.struct_size = sizeof(k->call),
                                            .attempt = 1,
                                            .host_call = &k->host_call};
    atomic_store(&kit_alloc_limit, -1);
    atomic_store(&kit_cancel_after, -1);
    atomic_store(&kit_now, 0);
    atomic_store(&kit_peak, 0);
    durable_forget();
    confine_force_fallback(false);
    io_fault_install();
    assert_int_equal(kit_open(k, NULL, &k->store), OK);
    *state = k;
    return 0;
}

int kit_setup_fallback(void **state)
{
    int rc = kit_setup(state);

    confine_force_fallback(true);
    return rc;
}

/* Who has been announced has come or withdrawn: others would wait for him. */
static void expect_nobody_near(const struct syncgroup *g)
{
    assert_int_equal(g->n_coming, 0);
    assert_int_equal(g->n_out, 0);
    assert_int_equal(g->n_waiting, 0);
    assert_false(g->watched);
}

int kit_teardown(void **state)
{
    struct kit *k = *state;

    expect_nobody_near(kit_group(k));
    k->ops->close(k->store);
    assert_int_equal(atomic_load(&kit_blocks), 0);
    assert_int_equal(io_fault_resynced(), 0);
    io_fault_remove();
    confine_force_fallback(false);
    posix_io_force_syncfs_reports(-1);
    scratch_remove(k->base);
    free(k->root);
    free(k);
    return 0;
}

/* -------------------------------------------------------------------- ops */

/* What an op answers is in the closed set, and a failure says one line. */
static int32_t told(struct kit *k, int32_t rc)
{
    assert_in_range(-rc, 0, 19);
    if (rc != OK) {
        assert_int_not_equal(k->error.message[0], '\0');
        assert_null(strchr(k->error.message, '\n'));
    }
    return rc;
}

static struct persist_backend_error *fresh_error(struct kit *k)
{
    k->error = (struct persist_backend_error){.struct_size = sizeof(k->error)};
    return &k->error;
}

int32_t kit_put(struct kit *k, const char *key, const char *text,
                uint32_t flags)
{
    struct persist_backend_put_args args = {
        .struct_size = sizeof(args),
        .flags = flags,
        .key = key,
        .data = text,
        .len = strlen(text),
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = kit_crc(text, strlen(text)),
        .content_type = "application/octet-stream"};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};

    return told(
        k, k->ops->put(k->store, &k->call, &args, &result, fresh_error(k)));
}

int32_t kit_delete(struct kit *k, const char *key, uint32_t *out_was)
{
    struct persist_backend_delete_args args = {.struct_size = sizeof(args),
                                               .key = key};
    struct persist_backend_delete_result result = {.struct_size =
                                                       sizeof(result)};
    int32_t rc = k->ops->delete_object(k->store, &k->call, &args, &result,
                                       fresh_error(k));

    if (out_was != NULL)
        *out_was = result.was;
    return told(k, rc);
}

int32_t kit_head(struct kit *k, const char *key,
                 struct persist_backend_head_result *out)
{
    struct persist_backend_head_args args = {.struct_size = sizeof(args),
                                             .key = key};
    struct persist_backend_head_result own;

    if (out == NULL)
        out = &own;
    *out = (struct persist_backend_head_result){.struct_size = sizeof(*out)};
    return told(k,
                k->ops->head(k->store, &k->call, &args, out, fresh_error(k)));
}

char *kit_read(struct kit *k, const char *key, int32_t *out_rc)
{
    static char buffer[1 << 20];
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = PERSIST_BACKEND_READ_RANGE,
                                             .key = key,
                                             .buffer = buffer,
                                             .len = sizeof(buffer) - 1};
    struct persist_backend_read_result result = {.struct_size = sizeof(result)};
    int32_t rc = told(
        k, k->ops->read(k->store, &k->call, &args, &result, fresh_error(k)));

    if (out_rc != NULL)
        *out_rc = rc;
    if (rc != OK)
        return NULL;
    assert_int_equal(result.len, result.total);
    buffer[result.len] = '\0';
    return strdup(buffer);
}

void kit_holds(struct kit *k, const char *key, const char *text)
{
    int32_t rc;
    char *found = kit_read(k, key, &rc);

    assert_int_equal(rc, OK);
    assert_string_equal(found, text);
    free(found);
}

static int32_t take_entry(void *ctx, const struct persist_backend_entry *entry)
{
    struct kit_list *l = ctx;

    assert_int_equal(entry->struct_size, sizeof(*entry));
    if (l->n == l->cap) {
        l->cap = l->cap == 0 ? 64 : 2 * l->cap;
        l->entries = realloc(l->entries, l->cap * sizeof(*l->entries));
        assert_non_null(l->entries);
    }
    (void)snprintf(l->entries[l->n].key, LOCAL_KEY_CAP, "%s", entry->key);
    l->entries[l->n].folder =
        (entry->flags & PERSIST_BACKEND_ENTRY_FOLDER) != 0;
    l->entries[l->n].size = entry->size;
    if (!l->entries[l->n].folder)
        assert_true(entry->present & PERSIST_BACKEND_HAS_MODIFIED);
    l->n++;
    return l->n == l->stop_at;
}

int32_t kit_list(struct kit *k, const char *prefix, const char *start_after,
                 const char *delimiter, uint32_t limit, struct kit_list *out)
{
    struct persist_backend_list_args args = {.struct_size = sizeof(args),
                                             .limit = limit,
                                             .prefix = prefix,
                                             .start_after = start_after,
                                             .delimiter = delimiter,
                                             .emit = take_entry,
                                             .emit_ctx = out};
    struct persist_backend_list_result result = {.struct_size = sizeof(result)};
    int32_t rc;

    out->n = 0;
    rc = k->ops->list(k->store, &k->call, &args, &result, fresh_error(k));
    out->more = result.more != 0;
    return told(k, rc);
}

void kit_list_finish(struct kit_list *l)
{
    free(l->entries);
    *l = (struct kit_list){0};
}

/* ---------------------------------------------------------------- uploads */

int32_t kit_begin(struct kit *k, struct kit_upload *u, const char *key,
                  uint32_t flags, uint64_t size)
{
    struct persist_backend_begin_args args = {
        .struct_size = sizeof(args),
        .flags = flags,
        .key = key,
        .present = size != 0 ? PERSIST_BACKEND_HAS_SIZE : 0,
        .size = size,
        .content_type = "application/octet-stream"};
    struct persist_backend_begin_result result = {.struct_size =
                                                      sizeof(result)};
    int32_t rc;

    memset(u, 0, sizeof(*u));
    u->key = key;
    rc = k->ops->upload_begin(k->store, &k->call, &args, &result,
                              fresh_error(k));
    memcpy(u->id, result.upload_id, sizeof(u->id));
    return told(k, rc);
}

int32_t kit_part_at(struct kit *k, struct kit_upload *u, uint32_t number,
                    uint64_t offset, const void *data, uint64_t len)
{
    struct persist_backend_part_args args = {
        .struct_size = sizeof(args),
        .key = u->key,
        .upload_id = u->id,
        .offset = offset,
        .data = data,
        .len = len,
        .number = number,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = kit_crc(data, (size_t)len)};
    struct persist_backend_part_result result = {.struct_size = sizeof(result)};
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    int32_t rc =
        k->ops->upload_part(k->store, &k->call, &args, &result, &error);

    if (rc != OK || number == 0 || number > 16)
        return rc;
    memcpy(u->proofs[number - 1], result.receipt, result.receipt_len);
    u->receipts[number - 1] =
        (struct persist_backend_receipt){.offset = offset,
                                         .len = len,
                                         .number = number,
                                         .crc32c = args.crc32c,
                                         .receipt_len = result.receipt_len,
                                         .receipt = u->proofs[number - 1]};
    return rc;
}

int32_t kit_part(struct kit *k, struct kit_upload *u, const void *data,
                 uint64_t len)
{
    int32_t rc = kit_part_at(k, u, u->n + 1, u->at, data, len);

    if (rc == OK) {
        u->n++;
        u->at += len;
    }
    return rc;
}

int32_t kit_commit(struct kit *k, struct kit_upload *u, uint32_t flags)
{
    struct persist_backend_commit_args args = {.struct_size = sizeof(args),
                                               .flags = flags,
                                               .key = u->key,
                                               .upload_id = u->id,
                                               .receipts = u->receipts,
                                               .n_receipts = u->n,
                                               .receipt_size =
                                                   sizeof(u->receipts[0])};
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};

    return told(k, k->ops->upload_commit(k->store, &k->call, &args, &result,
                                         fresh_error(k)));
}

int32_t kit_abort(struct kit *k, const char *key, const char *id)
{
    struct persist_backend_abort_args args = {
        .struct_size = sizeof(args), .key = key, .upload_id = id};

    return told(
        k, k->ops->upload_abort(k->store, &k->call, &args, fresh_error(k)));
}

struct syncgroup *kit_group(struct kit *k)
{
    struct local_store *s = k->store;

    return &s->group;
}

/* ---------------------------------------------------------------- patience */

void kit_wait_until(struct kit_waiter *w, uint64_t deadline_ns)
{
    static const struct local_store store = {.host = &kit_host};
    static int host_call;

    w->call = (struct persist_backend_call){
        .struct_size = sizeof(w->call),
        .present = deadline_ns != 0 ? PERSIST_BACKEND_CALL_DEADLINE : 0,
        .deadline_ns = deadline_ns,
        .attempt = 1,
        .host_call = &host_call};
    w->waiter = (struct local_waiter){.store = &store, .call = &w->call};
}

void kit_hang_here(void *hang)
{
    struct kit_hang *h = hang;

    if (atomic_fetch_add(&h->n_calls, 1) + 1 != h->nth)
        return;
    atomic_store(&h->reached, true);
    for (int i = 0; i < 20000 && !atomic_load(&h->released); i++)
        usleep(1000);
    atomic_store(&h->gave_up, !atomic_load(&h->released));
}

void kit_await(struct kit_hang *hang)
{
    while (!atomic_load(&hang->reached))
        usleep(1000);
}

bool kit_release(struct kit_hang *hang)
{
    atomic_store(&hang->released, true);
    return !atomic_load(&hang->gave_up);
}
