/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the store honour create-if-absent?  Where the backend cannot know (an
 * S3 look-alike), it is tried before the first write: `.persist-probe` is put
 * if absent.  "Exists" proves it in one request; "written" proves nothing yet,
 * a second put must say "exists".  The object stays, so that the next process
 * pays one request.
 *
 * That it does is remembered for the life of the store, and for 30 days in the
 * user's state directory, under the backend and every option that is no secret:
 * a place is where its options point, and which of them decide that only the
 * plugin knows.  A store that says its options do not tell where it is
 * (PERSIST_BACKEND_PLACE_FROM_OUTSIDE) is not remembered beyond its life: the
 * next process may be sent to a service that was never asked.  That create-if-
 * absent is not honoured is found out anew each time.  Threads that
 * ask at once all try: the test is as good in the company of others.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/store_call.h"
#include "services/state.h"
#include "util/error.h"
#include "util/le.h"

#define REMEMBER_US (INT64_C(30) * 86400 * 1000000)
#define IDENTITY_MAX ((size_t)64 << 10)
#define PROBE_KEY ".persist-probe"
#define PROBE_TEXT                                                             \
    "Persist tests with this object that the store creates objects only "      \
    "where "                                                                   \
    "there is none. Leave it here.\n"

static int refuse(const struct backend_store *s, struct persist_error *err)
{
    error_set(err, PERSIST_E_UNSUPPORTED,
              "store %s cannot be written to: it replaces an object where it "
              "was told to create a new one, so that two writers would destroy "
              "each other's snapshots",
              s->name);
    error_object(err, PROBE_KEY);
    error_hint(err, "use a service that supports conditional writes "
                    "(If-None-Match)");
    return PERSIST_E_UNSUPPORTED;
}

static int put_probe(struct backend_store *s, struct persist_op *op,
                     struct persist_error *err)
{
    const struct backend_put put = {.key = PROBE_KEY,
                                    .data = PROBE_TEXT,
                                    .len = sizeof(PROBE_TEXT) - 1,
                                    .if_absent = true};

    return backend_put(s, op, &put, NULL, err);
}

/* ------------------------------------------------------------------ memory
 */

static void add_text(struct buf *out, const char *text)
{
    buf_printf(out, "%zu:", strlen(text));
    buf_puts(out, text);
}

static void add_value(struct buf *out, const struct persist_backend_value *v)
{
    add_text(out, v->key);
    if (v->text)
        add_text(out, v->text);
    for (uint32_t i = 0; i < v->n_items; i++)
        add_text(out, v->items[i]);
    buf_printf(out, "=%" PRId64 ";", v->number);
}

void backend_store_identity(const struct backend_store *s, struct buf *out)
{
    add_text(out, s->plugin->descriptor.name);
    for (size_t i = 0; i < s->values.n; i++)
        if (s->plugin->options[i].type != PERSIST_BACKEND_SECRET)
            add_value(out, &s->values.values[i]);
}

uint64_t backend_hash(uint64_t hash, const void *data, size_t len)
{
    const unsigned char *bytes = data;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* The file holds the whole identity, so that two that hash alike only make each
 * other ask. */
static void probe_name(const struct buf *identity, char out[32])
{
    snprintf(out, 32, "probe/%016" PRIx64,
             backend_hash(BACKEND_HASH_START, identity->data, identity->len));
}

/* A file of the future is one from before a clock was set back. */
static bool is_fresh(const struct backend_store *s, const struct buf *file)
{
    int64_t now_us = clock_wall_us(s->env.clock);
    int64_t then_us = (int64_t)le_get64(file->data);

    return then_us <= now_us && then_us > now_us - REMEMBER_US;
}

/* Whether another process with the same options is at the same place. */
static bool can_be_remembered(const struct backend_store *s)
{
    return s->env.state_dir &&
           !(s->limits.flags & PERSIST_BACKEND_PLACE_FROM_OUTSIDE);
}

static bool is_remembered(const struct backend_store *s)
{
    struct buf identity, file;
    char name[32];
    bool yes = false;

    if (!can_be_remembered(s))
        return false;
    buf_init(&identity, IDENTITY_MAX);
    buf_init(&file, IDENTITY_MAX + 8);
    backend_store_identity(s, &identity);
    if (!buf_failed(&identity)) {
        probe_name(&identity, name);
        yes = state_read(s->env.state_dir, name, &file, NULL) == PERSIST_OK &&
              file.len == identity.len + 8 &&
              memcmp(file.data + 8, identity.data, identity.len) == 0 &&
              is_fresh(s, &file);
    }
    buf_finish(&identity);
    buf_finish(&file);
    return yes;
}

/* What cannot be written down is asked again. */
static void remember(const struct backend_store *s)
{
    struct persist_error err = {0};
    struct buf identity, file;
    char name[32];
    uint8_t now[8];

    if (!can_be_remembered(s))
        return;
    le_put64(now, (uint64_t)clock_wall_us(s->env.clock));
    buf_init(&identity, IDENTITY_MAX);
    buf_init(&file, IDENTITY_MAX + 8);
    backend_store_identity(s, &identity);
    buf_append(&file, now, sizeof now);
    buf_append(&file, identity.data, identity.len);
    if (!buf_failed(&identity) && !buf_failed(&file)) {
        probe_name(&identity, name);
        if (state_write(s->env.state_dir, name, file.data, file.len, &err) &&
            s->env.log)
            log_line(s->env.log, LOG_DEBUG,
                     "that the store may be written to is not remembered",
                     log_text("store", s->name), log_text("error", err.message),
                     LOG_END);
    }
    buf_finish(&identity);
    buf_finish(&file);
}

int backend_store_check_writable(struct backend_store *s, struct persist_op *op,
                                 struct persist_error *err)
{
    struct persist_error own = {0};
    int known = atomic_load(&s->writable);
    int rc = PERSIST_OK;

    if (!(s->limits.flags & PERSIST_BACKEND_CHECK_IF_ABSENT) ||
        known == STORE_WRITABLE_YES)
        return PERSIST_OK;
    if (known == STORE_WRITABLE_NO)
        return refuse(s, err);
    if (is_remembered(s)) {
        atomic_store(&s->writable, STORE_WRITABLE_YES);
        return PERSIST_OK;
    }
    for (int i = 0; i < 2 && rc == PERSIST_OK; i++)
        rc = put_probe(s, op, &own);
    if (rc == PERSIST_E_EXISTS) {
        atomic_store(&s->writable, STORE_WRITABLE_YES);
        remember(s);
        return PERSIST_OK;
    }
    if (rc == PERSIST_OK) {
        atomic_store(&s->writable, STORE_WRITABLE_NO);
        return refuse(s, err);
    }
    if (err)
        *err = own;
    if (rc == PERSIST_E_DENIED && err && !err->hint[0])
        error_hint(err, "permit creating " PROBE_KEY ": the first save to a "
                        "store tries with it that nothing is replaced");
    return rc;
}
