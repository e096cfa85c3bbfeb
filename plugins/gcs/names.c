/* SPDX-License-Identifier: Apache-2.0 */
/* Spelling only: no request is made here. */
#include "gcs/names.h"

#include <string.h>

#include "gcs/gcs.h"
#include "support/encode.h"
#include "support/fail.h"

static bool component_ok(const char *s, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._%-";

    if (len == strlen(GCS_PROBE_KEY) && memcmp(s, GCS_PROBE_KEY, len) == 0)
        return true;
    if (len == 0 || s[0] == '.')
        return false;
    for (size_t i = 0; i < len; i++)
        if (s[i] == '\0' || strchr(allowed, s[i]) == NULL)
            return false;
    return true;
}

bool names_is_key(const char *name, bool folder)
{
    size_t len = strlen(name);

    if (folder) {
        if (len == 0 || name[len - 1] != '/')
            return false;
        len--;
    }
    while (true) {
        const char *slash = memchr(name, '/', len);
        size_t part = slash != NULL ? (size_t)(slash - name) : len;

        if (!component_ok(name, part))
            return false;
        if (slash == NULL)
            return true;
        name += part + 1;
        len -= part + 1;
    }
}

int32_t names_check_key(const struct gcs_options *o, const char *key,
                        struct persist_backend_error *err)
{
    if (!names_is_key(key, false))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "%.100s is no key that this backend takes",
                    names_tail(key));
    if (strlen(o->prefix) + strlen(key) > GCS_NAME_MAX)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "a key that is longer than the %d bytes an object's name "
                    "may have",
                    GCS_NAME_MAX);
    return PERSIST_BACKEND_OK;
}

bool names_bucket_ok(const char *bucket)
{
    static const char ends[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
    size_t len = strlen(bucket);

    return len >= 3 && len <= 222 && strspn(bucket, all) == len &&
           strchr(ends, bucket[0]) != NULL &&
           strchr(ends, bucket[len - 1]) != NULL &&
           strstr(bucket, "..") == NULL;
}

void names_bucket_path(const struct gcs_options *o, struct text *out)
{
    text_add(out, "/storage/v1/b/");
    percent_encode(out, o->bucket, strlen(o->bucket), false);
}

void names_list_path(const struct gcs_options *o, struct text *out)
{
    names_bucket_path(o, out);
    text_add(out, "/o");
}

void names_object_path(const struct gcs_options *o, const char *key,
                       struct text *out)
{
    names_list_path(o, out);
    text_add(out, "/");
    percent_encode(out, o->prefix, strlen(o->prefix), false);
    percent_encode(out, key, strlen(key), false);
}

void names_upload_path(const struct gcs_options *o, struct text *out)
{
    text_add(out, "/upload");
    names_list_path(o, out);
}

const char *names_tail(const char *key)
{
    const char *slash = strrchr(key, '/');

    return slash != NULL && slash[1] != '\0' ? slash + 1 : key;
}
