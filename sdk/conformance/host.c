/* SPDX-License-Identifier: 0BSD */
/*
 * The services of a host, as small as they can be and still be checked.
 */
#include "host.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define STORE_MAGIC UINT64_C(0x73746f7265000001)
#define CALL_MAGIC UINT64_C(0x63616c6c00000001)
#define BLOCK_MAGIC UINT64_C(0x626c6f636b000001)

bool host_verbose;
atomic_llong host_blocks;
atomic_llong host_bad_handles;
atomic_llong host_bad_logs;

/* In front of every block given out. */
union block {
    struct {
        uint64_t magic;
        void *store;
    } head;
    max_align_t align;
};

static bool good_store(void *host_store)
{
    const struct host_store *s = host_store;
    if (!s || s->magic == STORE_MAGIC)
        return true;
    atomic_fetch_add(&host_bad_handles, 1);
    return false;
}

static struct host_call *good_call(const struct persist_backend_call *call)
{
    struct host_call *c = call ? call->host_call : NULL;
    if (c && c->magic == CALL_MAGIC)
        return c;
    atomic_fetch_add(&host_bad_handles, 1);
    return NULL;
}

static void host_log(void *host_store, uint32_t level, const char *message)
{
    if (!good_store(host_store))
        return;
    if (level < PERSIST_BACKEND_LOG_ERROR ||
        level > PERSIST_BACKEND_LOG_DEBUG || !message || strchr(message, '\n'))
        atomic_fetch_add(&host_bad_logs, 1);
    else if (host_verbose)
        fprintf(stderr, "# log %u: %s\n", level, message);
}

static int32_t host_log_enabled(void *host_store, uint32_t level)
{
    /* Every level is asked for, so that every line is checked. */
    (void)level;
    return good_store(host_store);
}

static void *host_alloc(void *host_store, uint64_t len)
{
    if (!good_store(host_store) || len > SIZE_MAX / 2)
        return NULL;
    union block *b = malloc(sizeof(*b) + (size_t)len);
    if (!b)
        return NULL;
    b->head.magic = BLOCK_MAGIC;
    b->head.store = host_store;
    /* Not zeroed, and not by luck either. */
    memset(b + 1, 0xa5, (size_t)len);
    atomic_fetch_add(&host_blocks, 1);
    return b + 1;
}

static void host_free(void *host_store, void *memory)
{
    if (!memory)
        return;
    union block *b = (union block *)memory - 1;
    if (b->head.magic != BLOCK_MAGIC || b->head.store != host_store) {
        atomic_fetch_add(&host_bad_handles, 1);
        return;
    }
    b->head.magic = 0;
    atomic_fetch_sub(&host_blocks, 1);
    free(b);
}

static uint64_t host_monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static int64_t host_wall_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int32_t host_random(void *out, uint64_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        size_t n = len < 256 ? (size_t)len : 256;
        if (getentropy(at, n) != 0)
            return PERSIST_BACKEND_INTERNAL;
        at += n;
        len -= n;
    }
    return PERSIST_BACKEND_OK;
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    struct host_call *c = good_call(call);
    return c && atomic_load(&c->cancelled);
}

static int32_t host_cancel_fd(const struct persist_backend_call *call)
{
    struct host_call *c = good_call(call);
    return c ? c->fds[0] : -1;
}

static int32_t host_secret(void *host_store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    struct host_store *s = host_store;
    if (!s || !good_store(s))
        return PERSIST_BACKEND_NOT_FOUND;
    for (size_t i = 0; i < s->config->n; i++) {
        const char *secret = s->config->secrets[i];
        if (!secret || strcmp(s->config->options[i]->key, key) != 0)
            continue;
        *out_len = strlen(secret);
        if (*out_len > cap)
            return PERSIST_BACKEND_INVALID;
        memcpy(out, secret, (size_t)*out_len);
        return PERSIST_BACKEND_OK;
    }
    return PERSIST_BACKEND_NOT_FOUND;
}

static uint32_t crc_table[8][256]; /* [k][b]: b and k zero bytes behind it */

static void make_crc_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (UINT32_C(0x82f63b78) & (0U - (crc & 1U)));
        crc_table[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (int b = 0; b < 256; b++) {
            uint32_t before = crc_table[k - 1][b];
            crc_table[k][b] = (before >> 8) ^ crc_table[0][before & 0xff];
        }
}

/* Eight bytes a step: bit by bit it took half the time of a suite. */
static uint32_t host_crc32c(uint32_t crc, const void *data, uint64_t len)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const uint8_t *at = data;

    pthread_once(&once, make_crc_table);
    crc = ~crc;
    for (; len >= 8; at += 8, len -= 8) {
        crc ^= at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
               (uint32_t)at[3] << 24;
        crc = crc_table[7][crc & 0xff] ^ crc_table[6][crc >> 8 & 0xff] ^
              crc_table[5][crc >> 16 & 0xff] ^ crc_table[4][crc >> 24] ^
              crc_table[3][at[4]] ^ crc_table[2][at[5]] ^ crc_table[1][at[6]] ^
              crc_table[0][at[7]];
    }
    for (; len > 0; at++, len--)
        crc = (crc >> 8) ^ crc_table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

static const void *host_get_extension(const char *name)
{
    (void)name;
    return NULL;
}

const struct persist_backend_host *host_services(void)
{
    static const struct persist_backend_host services = {
        .struct_size = sizeof(services),
        .abi_major = PERSIST_BACKEND_ABI_MAJOR,
        .abi_minor = PERSIST_BACKEND_ABI_MINOR,
        .version = "conformance",
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
    return &services;
}

void host_store_init(struct host_store *s, const struct config *config)
{
    s->magic = STORE_MAGIC;
    s->config = config;
}

void host_call_init(struct host_call *c)
{
    c->magic = CALL_MAGIC;
    atomic_init(&c->cancelled, false);
    if (pipe(c->fds) != 0)
        c->fds[0] = c->fds[1] = -1;
}

void host_call_cancel(struct host_call *c)
{
    atomic_store(&c->cancelled, true);
    if (c->fds[1] >= 0 && write(c->fds[1], "", 1) != 1)
        fprintf(stderr, "# the cancel pipe is full\n");
}

void host_call_finish(struct host_call *c)
{
    if (c->fds[0] >= 0) {
        close(c->fds[0]);
        close(c->fds[1]);
    }
    c->magic = 0;
}
