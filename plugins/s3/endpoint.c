/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request goes.  URL, Host header and signed path come from the same
 * texts, so that what is signed is what is sent.
 */
#include "s3.h"

#include <string.h>

#include "s3/partition.h"

static void add_service(const struct s3_store *s, const char *region,
                        struct fixed *out)
{
    if (s->set.custom) {
        fixed_add(out, s->set.endpoint.authority);
        return;
    }
    fixed_add(out, s->set.fips ? "s3-fips." : "s3.");
    if (s->set.dualstack)
        fixed_add(out, "dualstack.");
    fixed_add(out, region);
    fixed_add(out, ".");
    fixed_add(out, partition_suffix(region));
}

bool endpoint_is_tls(const struct s3_store *s)
{
    return !s->set.custom || s->set.endpoint.tls;
}

void endpoint_name(const struct s3_store *s, struct fixed *out)
{
    char region[S3_REGION_CAP];

    endpoint_region((struct s3_store *)s, region);
    fixed_add(out, endpoint_is_tls(s) ? "https://" : "http://");
    add_service(s, region, out);
    if (s->set.custom)
        fixed_add(out, s->set.endpoint.path);
}

int32_t endpoint_target(const struct s3_store *s, const char *region,
                        const char *key, const struct sign_pair *query,
                        size_t n_query, struct endpoint_target *out,
                        struct persist_backend_error *err)
{
    struct fixed authority = fixed_over(out->authority, sizeof(out->authority));
    struct fixed path = fixed_over(out->path, sizeof(out->path));
    struct fixed pairs = fixed_over(out->query, sizeof(out->query));
    struct fixed url = fixed_over(out->url, sizeof(out->url));
    const char *bucket = s->set.text[S3_BUCKET];

    if (!s->set.path_style) {
        fixed_add(&authority, bucket);
        fixed_add(&authority, ".");
    }
    add_service(s, region, &authority);

    if (s->set.custom)
        fixed_add(&path, s->set.endpoint.path);
    if (s->set.path_style) {
        fixed_add(&path, "/");
        fixed_encode(&path, bucket, FIXED_ENCODE_ALL);
    }
    if (key != NULL || path.len == 0)
        fixed_add(&path, "/");
    if (key != NULL) {
        fixed_encode(&path, s->set.prefix, FIXED_KEEP_SLASH);
        fixed_encode(&path, key, FIXED_KEEP_SLASH);
    }

    sign_query(&pairs, query, n_query);
    fixed_add(&url, endpoint_is_tls(s) ? "https://" : "http://");
    fixed_add(&url, out->authority);
    fixed_add(&url, out->path);
    if (n_query > 0)
        fixed_add(&url, "?");
    fixed_add(&url, out->query);
    if (!authority.ok || !path.ok || !pairs.ok || !url.ok)
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the request's address is longer than any service takes");
    return PERSIST_BACKEND_OK;
}

void endpoint_region(struct s3_store *s, char out[S3_REGION_CAP])
{
    pthread_mutex_lock(&s->lock);
    memcpy(out, s->region, S3_REGION_CAP);
    pthread_mutex_unlock(&s->lock);
}

bool endpoint_learn_region(struct s3_store *s, const char *used,
                           const char *named)
{
    if (!url_label_ok(named) || strcmp(used, named) == 0)
        return false;
    pthread_mutex_lock(&s->lock);
    memcpy(s->region, named, strlen(named) + 1);
    s->region_origin = "told by the service";
    pthread_mutex_unlock(&s->lock);
    return true;
}
