/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a key may look like.  The host promises such keys; what it passes is
 * checked all the same, and so is what a listing claims to have found.
 */
#include "s3.h"

#include <string.h>

/* Bytes of a key but the slash. By hand: ctype follows the locale. */
static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '%';
}

/* The length of the name at p, ended by a slash or the end; 0: no such name. */
static size_t name_len(const char *p)
{
    size_t len = 0;

    if (p[0] == '.')
        return 0;
    while (is_key_byte(p[len]))
        len++;
    return p[len] == '\0' || p[len] == '/' ? len : 0;
}

bool key_is_ours(const char *key, bool folder)
{
    const char *p = key;

    if (strcmp(key, S3_PROBE_KEY) == 0)
        return !folder;
    for (;;) {
        size_t len = name_len(p);

        if (len == 0)
            return false;
        if (p[len] == '\0')
            return !folder;
        p += len + 1;
        if (folder && p[0] == '\0')
            return true;
    }
}

int32_t key_check(const struct s3_store *s, const char *key,
                  struct persist_backend_error *err)
{
    if (!key_is_ours(key, false))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the key %.300s cannot be one of an S3 store", key);
    if (strlen(key) + strlen(s->set.prefix) > S3_KEY_MAX)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the key %.100s... is longer than S3 takes (%d bytes with "
                    "the prefix)",
                    key, S3_KEY_MAX);
    return PERSIST_BACKEND_OK;
}

int32_t key_check_prefix(const char *prefix, struct persist_backend_error *err)
{
    const char *p = prefix;

    while (p[0] != '\0') {
        size_t len = name_len(p);

        if (len == 0 || strlen(prefix) > S3_KEY_MAX)
            return fail(err, PERSIST_BACKEND_INVALID,
                        "the prefix %.300s cannot be one of an S3 store",
                        prefix);
        p += len;
        if (p[0] == '/')
            p++;
    }
    return PERSIST_BACKEND_OK;
}
