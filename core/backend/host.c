/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host services.  A plugin may pass anything here, so every function accepts
 * NULL and nonsense, and memory that is given back is checked for being ours.
 * Deliberately absent: sleep and retry, which are the core's alone.
 */
#include "backend/host.h"

#include <persist/version.h>
#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#include "backend/store_call.h"
#include "util/clock.h"
#include "util/crc32c.h"
#include "util/secret.h"

/* In front of every block, so that free knows what to release. */
struct block {
    alignas(max_align_t) struct budget *budget; /* NULL: not counted */
    uint64_t len;                               /* with this header */
    uint64_t mark;
};
#define BLOCK_MARK UINT64_C(0x7065727369737462)
#define BLOCK_FREED UINT64_C(0x66726565642d2d2d)

static enum log_level level_of(uint32_t level)
{
    return level >= PERSIST_BACKEND_LOG_ERROR &&
                   level <= PERSIST_BACKEND_LOG_DEBUG
               ? (enum log_level)level
               : LOG_DEBUG;
}

static void host_log(void *host_store, uint32_t level, const char *message)
{
    const struct backend_store *s = host_store;

    if (!s || !s->env.log || !message)
        return;
    log_line(s->env.log, level_of(level), message,
             log_text("backend", s->plugin->descriptor.name),
             log_text("store", s->name), LOG_END);
}

static int32_t host_log_enabled(void *host_store, uint32_t level)
{
    const struct backend_store *s = host_store;

    return s && s->env.log && log_enabled(s->env.log, level_of(level));
}

static void *host_alloc(void *host_store, uint64_t len)
{
    const struct backend_store *s = host_store;
    struct budget *budget = s ? s->env.budget : NULL;
    struct block *block = NULL;
    uint64_t whole = len + sizeof(*block);

    if (whole < len || whole > SIZE_MAX)
        return NULL;
    if (budget && budget_try(budget, whole) != PERSIST_OK)
        return NULL;
    block = malloc((size_t)whole);
    if (!block) {
        if (budget)
            budget_release(budget, whole);
        return NULL;
    }
    *block = (struct block){budget, whole, BLOCK_MARK};
    return block + 1;
}

static void host_free(void *host_store, void *memory)
{
    struct block *block = memory;

    if (!memory)
        return;
    block--;
    /* Leaking is the lesser evil next to freeing what is not ours. */
    if (block->mark != BLOCK_MARK) {
        host_log(host_store, PERSIST_BACKEND_LOG_ERROR,
                 "the backend freed memory that is not the host's");
        return;
    }
    block->mark = BLOCK_FREED;
    if (block->budget)
        budget_release(block->budget, block->len);
    free(block);
}

static uint64_t host_monotonic_ns(void)
{
    return clock_boot_ns(&clock_system);
}

static int64_t host_wall_us(void)
{
    return clock_wall_us(&clock_system);
}

static int32_t host_random(void *out, uint64_t len)
{
    if (!out && len)
        return PERSIST_BACKEND_INVALID;
    if (len > SIZE_MAX ||
        clock_system.random(clock_system.ctx, out, (size_t)len) != 0)
        return PERSIST_BACKEND_IO;
    return PERSIST_BACKEND_OK;
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    const struct host_call *host = call ? call->host_call : NULL;

    return host &&
           (cancel_is_set(&host->op->cancel) || cancel_is_set(host->also));
}

static int32_t host_cancel_fd(const struct persist_backend_call *call)
{
    const struct host_call *host = call ? call->host_call : NULL;
    int fd = host ? cancel_fd(&host->op->cancel) : -1;

    if (fd < 0 && host && host->also)
        fd = cancel_fd(host->also);
    return fd;
}

static int32_t host_secret(void *host_store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    const struct backend_store *s = host_store;
    const struct secret *secret = NULL;
    size_t len = 0;

    if (!s || !key || !out_len || (!out && cap))
        return PERSIST_BACKEND_INVALID;
    for (size_t i = 0; i < s->values.n; i++)
        if (strcmp(s->values.values[i].key, key) == 0)
            secret = s->values.secrets[i];
    if (!secret)
        return PERSIST_BACKEND_NOT_FOUND;
    const char *bytes = secret_reveal(secret, &len);
    *out_len = len;
    if (len > cap)
        return PERSIST_BACKEND_INVALID;
    if (len)
        memcpy(out, bytes, len);
    /* The NUL does not count; it is there where it fits. */
    if (cap > len)
        out[len] = '\0';
    return PERSIST_BACKEND_OK;
}

/* size_t is 32 bits wide on some machines, the ABI's lengths are not. */
static uint32_t host_crc32c(uint32_t crc, const void *data, uint64_t len)
{
    const char *p = data;

    while (len > 0) {
        size_t step = len > 0x40000000 ? 0x40000000 : (size_t)len;
        crc = crc32c(crc, p, step);
        p += step;
        len -= step;
    }
    return crc;
}

static const void *host_get_extension(const char *name)
{
    (void)name; /* 1.0 has none */
    return NULL;
}

static const struct persist_backend_host table = {
    .struct_size = sizeof(table),
    .abi_major = PERSIST_BACKEND_ABI_MAJOR,
    .abi_minor = PERSIST_BACKEND_ABI_MINOR,
    .version = PERSIST_VERSION,
    .log = host_log,
    .log_enabled = host_log_enabled,
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = host_monotonic_ns,
    .wall_us = host_wall_us,
    .random = host_random,
    .is_cancelled = host_is_cancelled,
    .cancel_fd = host_cancel_fd,
    .secret = host_secret,
    .crc32c = host_crc32c,
    .get_extension = host_get_extension,
};

const struct persist_backend_host *host_table(void)
{
    return &table;
}
