/* SPDX-License-Identifier: 0BSD */
/*
 * Statements, keys, bytes and uploads of the cases: see suite.h.
 */
#include "suite.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char *status_name(int32_t rc)
{
    static const char *const names[] = {
        "ok",      "not_found", "exists",      "precondition", "auth",
        "denied",  "throttled", "transient",   "timeout",      "cancelled",
        "corrupt", "no_space",  "unsupported", "invalid",      "config",
        "memory",  "io",        "uncertain",   "not_durable",  "internal"};
    return rc > 0 || rc < PERSIST_BACKEND_INTERNAL ? "a code of no meaning"
                                                   : names[-rc];
}

bool expect(struct test *t, bool holds, const char *format, ...)
{
    if (holds || t->failed)
        return holds;
    t->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(t->why, sizeof(t->why), format, args);
    va_end(args);
    return false;
}

bool expect_rc(struct test *t, const char *op, int32_t rc, int32_t want)
{
    return expect(t, rc == want, "%s answered %s, not %s%s%s%s", op,
                  status_name(rc), status_name(want), rc ? " (" : "",
                  rc ? t->detail : "", rc ? ")" : "");
}

void test_skip(struct test *t, const char *why)
{
    t->skipped = true;
    snprintf(t->why, sizeof(t->why), "%s", why);
}

void test_merge(struct test *t, const struct test *worker)
{
    if (worker->skipped)
        test_skip(t, worker->why);
    expect(t, !worker->failed, "%s", worker->why);
}

const char *test_key(const struct test *t, const char *name, char *out)
{
    snprintf(out, KEY_CAP, "%s%s", t->prefix, name);
    return out;
}

void *must_alloc(size_t len)
{
    void *memory = malloc(len ? len : 1);
    if (!memory) {
        fprintf(stderr, "persist-backend-conformance: out of memory\n");
        exit(2);
    }
    return memory;
}

uint8_t *test_bytes(uint64_t len, uint32_t seed)
{
    uint8_t *bytes = must_alloc((size_t)len);
    uint32_t x = seed * 2654435761U + 1;
    for (uint64_t i = 0; i < len; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        bytes[i] = (uint8_t)x;
    }
    return bytes;
}

/* ------------------------------------------------- ops with their statement */

#define REPEATS 4

bool again(struct test *t, int32_t rc, unsigned *n)
{
    if ((rc != PERSIST_BACKEND_TRANSIENT && rc != PERSIST_BACKEND_THROTTLED) ||
        *n == REPEATS)
        return false;
    long ms = 25L << (*n)++;
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
    atomic_fetch_add(&t->suite->n_repeated, 1);
    return true;
}

void must_put(struct test *t, const char *key, const void *data, uint64_t len,
              uint32_t flags)
{
    unsigned n = 0;
    int32_t rc;
    do
        rc = op_put(t, key, data, len, flags, NULL);
    while (again(t, rc, &n));
    expect_rc(t, "put", rc, PERSIST_BACKEND_OK);
}

void must_hold(struct test *t, const char *key, const void *data, uint64_t len)
{
    /* One byte of room more than there should be. */
    uint8_t *buffer = must_alloc((size_t)len + 1);
    struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = PERSIST_BACKEND_READ_RANGE,
        .key = key,
        .buffer = buffer,
        .len = len + 1,
    };
    struct persist_backend_read_result result;
    unsigned n = 0;
    int32_t rc;
    do
        rc = op_read(t, &args, &result);
    while (again(t, rc, &n));
    if (expect_rc(t, "read", rc, PERSIST_BACKEND_OK) &&
        expect(t, result.len == len && result.total == len,
               "the object is %" PRIu64 " bytes of %" PRIu64 ", not %" PRIu64,
               result.len, result.total, len))
        expect(t, memcmp(buffer, data, (size_t)len) == 0,
               "the bytes read are not those written");
    free(buffer);
}

void must_be_absent(struct test *t, const char *key)
{
    unsigned n = 0;
    int32_t rc;
    do
        rc = op_head(t, key, NULL);
    while (again(t, rc, &n));
    expect_rc(t, "head", rc, PERSIST_BACKEND_NOT_FOUND);
}

void must_delete(struct test *t, const char *key)
{
    unsigned n = 0;
    int32_t rc;
    do
        rc = op_delete(t, key, NULL);
    while (again(t, rc, &n));
    expect_rc(t, "delete", rc, PERSIST_BACKEND_OK);
}

void must_be_now(struct test *t, const char *what, int64_t modified_us)
{
    int64_t day_us = INT64_C(86400) * 1000000;
    int64_t now_us = t->suite->host->wall_us();
    expect(t, modified_us > now_us - day_us && modified_us < now_us + day_us,
           "modified_us %" PRId64
           " of %s is more than a day from now, %" PRId64,
           modified_us, what, now_us);
}

/* ---------------------------------------------------------------- uploads */

#define PART_MAX (UINT64_C(64) << 20)

static uint64_t plan_part(const struct persist_backend_limits *l)
{
    uint64_t len = l->part_min > 1000 ? l->part_min : 1000;
    uint64_t align = l->part_align ? l->part_align : 1;
    return (len + align - 1) / align * align;
}

static bool start(struct test *t, struct upload *u, const char *key,
                  uint32_t n_parts, uint32_t flags)
{
    const struct persist_backend_limits *l = &t->suite->limits;
    memset(u, 0, sizeof(*u));
    if (l->parts_max && n_parts > l->parts_max) {
        test_skip(t, "limits.parts_max is too small");
        return false;
    }
    if (l->part_min > PART_MAX || l->part_align > PART_MAX) {
        test_skip(t, "limits ask for parts above 64 MiB");
        return false;
    }
    u->key = key;
    u->n_parts = n_parts;
    u->part_len = plan_part(l);
    u->last_len = 7; /* less than any part_min but that of none */
    u->len = u->part_len * (n_parts - 1) + u->last_len;
    u->data = test_bytes(u->len, n_parts);
    int32_t rc = op_begin(t, key, flags, u->id);
    return expect_rc(t, "upload_begin", rc, PERSIST_BACKEND_OK) &&
           expect(t, u->id[0] != '\0', "upload_begin gave an empty id");
}

bool upload_start(struct test *t, struct upload *u, const char *key,
                  uint32_t n_parts)
{
    return start(t, u, key, n_parts, PERSIST_BACKEND_IF_ABSENT);
}

bool upload_start_replacing(struct test *t, struct upload *u, const char *key,
                            uint32_t n_parts)
{
    return start(t, u, key, n_parts, 0);
}

int32_t upload_send(struct test *t, struct upload *u, uint32_t number)
{
    uint64_t offset = u->part_len * (number - 1);
    bool last = number == u->n_parts;
    struct persist_backend_part_args args = {
        .struct_size = sizeof(args),
        .is_last = last,
        .key = u->key,
        .upload_id = u->id,
        .offset = offset,
        .data = u->data + offset,
        .len = last ? u->last_len : u->part_len,
        .number = number,
        .present = PERSIST_BACKEND_HAS_CRC32C,
    };
    args.crc32c = t->suite->host->crc32c(0, args.data, args.len);
    struct persist_backend_part_result result;
    int32_t rc = op_part(t, &args, &result);
    if (rc)
        return rc;
    memcpy(u->bytes[number - 1], result.receipt, result.receipt_len);
    u->receipts[number - 1] = (struct persist_backend_receipt){
        .offset = offset,
        .len = args.len,
        .number = number,
        .crc32c = args.crc32c,
        .receipt_len = result.receipt_len,
        .receipt = u->bytes[number - 1],
    };
    return PERSIST_BACKEND_OK;
}

void upload_send_all(struct test *t, struct upload *u)
{
    for (uint32_t i = 1; i <= u->n_parts && !t->failed; i++)
        expect_rc(t, "upload_part", upload_send(t, u, i), PERSIST_BACKEND_OK);
}

int32_t upload_commit(struct test *t, const struct upload *u, uint32_t flags)
{
    struct persist_backend_commit_args args = {
        .struct_size = sizeof(args),
        .flags = flags,
        .key = u->key,
        .upload_id = u->id,
        .receipts = u->receipts,
        .n_receipts = u->n_parts,
        .receipt_size = sizeof(u->receipts[0]),
        .present = PERSIST_BACKEND_HAS_CRC32C | PERSIST_BACKEND_HAS_SIZE,
        .crc32c = t->suite->host->crc32c(0, u->data, u->len),
        .size = u->len,
    };
    return op_commit(t, &args);
}

void upload_finish(struct upload *u)
{
    free(u->data);
    u->data = NULL;
}
