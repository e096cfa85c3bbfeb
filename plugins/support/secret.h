/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text that wipes itself.  No formatter takes the type; it is left out of
 * core dumps where the system can do that, and never leaves traces of older
 * values behind.  Zeroed memory is an empty secret.
 */
#ifndef PERSIST_SUPPORT_SECRET_H
#define PERSIST_SUPPORT_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#define SECRET_MAX ((size_t)1 << 20)

struct secret {
    char *bytes; /* NUL-terminated; NULL while empty */
    size_t len;
    size_t mapped; /* bytes of the mapping behind it */
};

/* MEMORY, or INVALID where it is longer than SECRET_MAX. */
int32_t secret_set(struct secret *s, const void *bytes, size_t len);
/* Value of a SECRET option; NOT_FOUND where it is not set. */
int32_t secret_from_host(struct secret *s,
                         const struct persist_backend_host *host,
                         void *host_store, const char *key);
/* "" while empty. Valid until the secret changes. */
const char *secret_text(const struct secret *s);
bool secret_equal(const struct secret *a, const struct secret *b);
/* Wipes and gives the memory back. */
void secret_wipe(struct secret *s);
/* A wiping of any memory that the compiler keeps. */
void secret_wipe_bytes(void *bytes, size_t len);

#endif
