/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a key may look like.  The host promises such keys; what it passes is
 * checked all the same, because here a key becomes a path.
 */
#include "local.h"

#include <limits.h>
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
    if (len > NAME_MAX || (p[len] != '\0' && p[len] != '/'))
        return 0;
    return len;
}

bool key_name_ok(const char *name)
{
    size_t len = name_len(name);

    return len != 0 && name[len] == '\0';
}

static int32_t refuse(const char *kind, const char *key,
                      struct persist_backend_error *err)
{
    return status_set(err, PERSIST_BACKEND_INVALID,
                      "the %s %.300s cannot be one of a local store", kind,
                      key);
}

int32_t key_check(const char *key, struct persist_backend_error *err)
{
    const char *p = key;

    if (strcmp(key, LOCAL_PROBE_KEY) == 0)
        return PERSIST_BACKEND_OK;
    for (;;) {
        size_t len = name_len(p);

        if (len == 0)
            return refuse("key", key, err);
        if (p[len] == '\0')
            break;
        p += len + 1;
    }
    return (size_t)(p - key) + strlen(p) <= LOCAL_KEY_MAX
               ? PERSIST_BACKEND_OK
               : refuse("key", key, err);
}

int32_t key_check_prefix(const char *prefix, struct persist_backend_error *err)
{
    const char *p = prefix;

    if (strlen(prefix) > LOCAL_KEY_MAX)
        return refuse("prefix", prefix, err);
    while (p[0] != '\0') {
        size_t len = name_len(p);

        if (len == 0)
            return refuse("prefix", prefix, err);
        p += len;
        if (p[0] == '/')
            p++;
    }
    return PERSIST_BACKEND_OK;
}

const char *key_split(const char *key, char folder[LOCAL_KEY_CAP])
{
    const char *slash = strrchr(key, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - key);

    memcpy(folder, key, len);
    folder[len] = '\0';
    return slash == NULL ? key : slash + 1;
}
