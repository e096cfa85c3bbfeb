/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets live in mappings of their own, whole pages, so that MADV_DONTDUMP can
 * keep them out of core dumps without touching anything else.
 */
#include "support/secret.h"

#include <openssl/crypto.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix/os.h"

void secret_wipe_bytes(void *bytes, size_t len)
{
    if (bytes != NULL && len > 0)
        OPENSSL_cleanse(bytes, len);
}

void secret_wipe(struct secret *s)
{
    if (s->bytes != NULL) {
        secret_wipe_bytes(s->bytes, s->mapped);
        (void)munmap(s->bytes, s->mapped);
    }
    *s = (struct secret){0};
}

/* Room for len bytes and a NUL. */
static int32_t map(struct secret *out, size_t len)
{
    long page = sysconf(_SC_PAGESIZE);
    size_t unit = page > 0 ? (size_t)page : 4096;
    void *memory;

    *out = (struct secret){0};
    if (len > SECRET_MAX)
        return PERSIST_BACKEND_INVALID;
    out->mapped = (len + 1 + unit - 1) / unit * unit;
    memory = mmap(NULL, out->mapped, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return PERSIST_BACKEND_MEMORY;
    os_hide_from_dumps(memory, out->mapped);
    out->bytes = memory;
    out->len = len;
    return PERSIST_BACKEND_OK;
}

int32_t secret_set(struct secret *s, const void *bytes, size_t len)
{
    struct secret fresh;
    int32_t rc = map(&fresh, len);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (len > 0)
        memcpy(fresh.bytes, bytes, len);
    secret_wipe(s);
    *s = fresh;
    return PERSIST_BACKEND_OK;
}

int32_t secret_from_host(struct secret *s,
                         const struct persist_backend_host *host,
                         void *host_store, const char *key)
{
    struct secret fresh;
    uint64_t len = 4000;
    int32_t rc;

    do { /* it may have grown between two looks */
        uint64_t cap = len;

        rc = map(&fresh, (size_t)cap);
        if (rc != PERSIST_BACKEND_OK)
            return rc;
        rc = host->secret(host_store, key, fresh.bytes, cap, &len);
        if (rc == PERSIST_BACKEND_OK && len <= cap) {
            fresh.bytes[len] = '\0';
            fresh.len = (size_t)len;
            secret_wipe(s);
            *s = fresh;
            return rc;
        }
        secret_wipe(&fresh);
        if (rc == PERSIST_BACKEND_INVALID && len <= cap)
            return rc;
    } while (rc == PERSIST_BACKEND_INVALID && len <= SECRET_MAX);
    return rc;
}

const char *secret_text(const struct secret *s)
{
    return s->bytes != NULL ? s->bytes : "";
}

bool secret_equal(const struct secret *a, const struct secret *b)
{
    return a->len == b->len &&
           (a->len == 0 || CRYPTO_memcmp(a->bytes, b->bytes, a->len) == 0);
}
