/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in mappings of their own.  A page per secret is dear (4 KiB) and
 * buys that MADV_DONTDUMP and mlock touch nothing else; there are few secrets.
 * mlock is best effort: an unprivileged process may lock little.
 * MADV_WIPEONFORK is deliberately not asked for: a fork+exec helper may need
 * the secret to hand it on, and the child's copy goes with its exec.
 */
#include "util/secret.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "posix/os.h"

struct secret {
    size_t map_len;
    size_t len;
    char bytes[];
};

void secret_wipe(void *memory, size_t len)
{
    if (memory && len > 0)
        os_wipe(memory, len);
}

struct secret *secret_create(const void *bytes, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (len > SIZE_MAX - sizeof(struct secret) - 1 - page)
        return NULL;
    size_t map_len = (sizeof(struct secret) + len + 1 + page - 1) / page * page;
    void *map = mmap(NULL, map_len, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return NULL;
    (void)mlock(map, map_len);
    os_hide_from_dumps(map, map_len);

    struct secret *s = map;
    s->map_len = map_len;
    s->len = len;
    if (bytes && len > 0)
        memcpy(s->bytes, bytes, len);
    s->bytes[len] = '\0';
    return s;
}

void secret_destroy(struct secret *s)
{
    if (!s)
        return;
    size_t map_len = s->map_len;
    secret_wipe(s, map_len);
    munmap(s, map_len);
}

const char *secret_reveal(const struct secret *s, size_t *out_len)
{
    if (out_len)
        *out_len = s->len;
    return s->bytes;
}

char *secret_edit(struct secret *s)
{
    return s->bytes;
}
