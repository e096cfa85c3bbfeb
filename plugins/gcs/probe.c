/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person debugging a store wants to know.  Looks only: nothing is
 * written to the bucket.
 *
 * What is permitted is asked of iam/testPermissions, which needs no permission
 * itself; the bucket's own settings need storage.buckets.get, which a store
 * does not, so that not being shown them is no fault.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gcs/credentials/credentials.h"
#include "gcs/gcs.h"
#include "gcs/names.h"
#include "gcs/replies.h"
#include "gcs/request.h"
#include "gcs/status.h"
#include "support/fail.h"

#define SKEW_MAX_US INT64_C(240000000)

struct report {
    struct gcs_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_probe_args *args;
    bool stopped;
};

static void tell(struct report *p, uint32_t verdict, const char *name,
                 const char *value, const char *hint)
{
    const struct persist_backend_finding finding = {.struct_size =
                                                        sizeof(finding),
                                                    .verdict = verdict,
                                                    .name = name,
                                                    .value = value,
                                                    .hint = hint};

    if (!p->stopped)
        p->stopped = p->args->emit(p->args->emit_ctx, &finding) != 0;
}

static void tell_place(struct report *p)
{
    const struct gcs_options *o = &p->s->options;

    tell(p, PERSIST_BACKEND_FINDING_INFO, "endpoint", o->origin, NULL);
    tell(p, PERSIST_BACKEND_FINDING_INFO, "bucket", o->bucket, NULL);
    if (o->prefix[0] != '\0')
        tell(p, PERSIST_BACKEND_FINDING_INFO, "prefix", o->prefix, NULL);
    if (o->emulator)
        tell(p, PERSIST_BACKEND_FINDING_WARN, "emulator",
             "STORAGE_EMULATOR_HOST is set: requests go to an emulator, "
             "without credentials",
             "unset it to reach the service");
}

static int32_t tell_identity(struct report *p,
                             struct persist_backend_error *err)
{
    struct text source = {0}, identity = {0};
    int32_t rc = gcs_credentials_describe(p->s->credentials, p->call, &source,
                                          &identity, err);

    if (source.len > 0)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "credentials", text_str(&source),
             NULL);
    if (rc == PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "identity",
             identity.len > 0 ? text_str(&identity) : "not known", NULL);
    else if (rc != PERSIST_BACKEND_CANCELLED)
        tell(p, PERSIST_BACKEND_FINDING_FAIL, "identity", err->message,
             "see docs/gcs.md, \"Credentials\"");
    text_finish(&source);
    text_finish(&identity);
    return rc;
}

/* ------------------------------------------------------------ permissions */

static const struct {
    const char *name;
    const char *verb; /* what it is needed for */
    bool to_read;
} permissions[] = {
    {"storage.objects.list", "list, latest", true},
    {"storage.objects.get", "restore, verify", true},
    {"storage.objects.create", "save", false},
    {"storage.objects.delete", "delete, cleanup, replace a claim", false},
};
#define N_PERMISSIONS (sizeof(permissions) / sizeof(permissions[0]))

static void tell_permissions(struct report *p, const json_t *granted)
{
    for (size_t i = 0; i < N_PERMISSIONS; i++) {
        const json_t *value;
        size_t k;
        bool has = false;
        char text[160];

        json_array_foreach(granted, k, value) has =
            has || (json_is_string(value) &&
                    strcmp(json_string_value(value), permissions[i].name) == 0);
        (void)snprintf(text, sizeof(text), "%s: %s (%s)", permissions[i].name,
                       has ? "granted" : "not granted", permissions[i].verb);
        tell(p,
             has                      ? PERSIST_BACKEND_FINDING_OK
             : permissions[i].to_read ? PERSIST_BACKEND_FINDING_FAIL
                                      : PERSIST_BACKEND_FINDING_WARN,
             "permission", text,
             has ? NULL : "see docs/security.md for the roles a store needs");
    }
}

static int32_t probe_permissions(struct report *p,
                                 struct persist_backend_error *err)
{
    struct gcs_request q = {.method = "GET"};
    struct http_response r = {0};
    struct text path = {0}, query = {0};
    json_t *json = NULL;
    int32_t rc;

    names_bucket_path(&p->s->options, &path);
    text_add(&path, "/iam/testPermissions");
    for (size_t i = 0; i < N_PERMISSIONS; i++)
        text_addf(&query, "%spermissions=%s", i == 0 ? "" : "&",
                  permissions[i].name);
    q.path = text_str(&path);
    q.query = text_str(&query);
    rc = request_send(p->s, p->call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status == 200)
        json = json_parse_object(r.body.data, r.body.len);
    if (json != NULL)
        tell_permissions(p, json_object_get(json, "permissions"));
    else if (rc == PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "permission",
             "the service does not tell what is permitted", NULL);
    json_decref(json);
    http_response_finish(&r);
    text_finish(&path);
    text_finish(&query);
    return rc;
}

/* ----------------------------------------------------------------- listing */

/* The one request every store must be allowed; tells the clock too. */
static int32_t probe_listing(struct report *p,
                             struct persist_backend_error *err)
{
    const struct gcs_asked asked = {
        .verb = "list", .key = "", .subject = GCS_BUCKET};
    struct gcs_request q = {.method = "GET",
                            .query = "maxResults=1&fields=nextPageToken"};
    struct http_response r = {0};
    struct text path = {0};
    int64_t offset = 0;
    char text[80];
    int32_t rc;

    names_list_path(&p->s->options, &path);
    q.path = text_str(&path);
    rc = request_send(p->s, p->call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status != 200)
        rc = status_refused(p->s->http, &asked, &r, err);
    if (rc == PERSIST_BACKEND_OK && http_is_page(&r))
        rc = status_garbled(&asked, p->s->seen, &r, err);
    if (rc == PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_OK, "listing", "permitted", NULL);
    else if (rc != PERSIST_BACKEND_CANCELLED)
        tell(p, PERSIST_BACKEND_FINDING_FAIL, "listing", err->message, NULL);
    if (http_clock_offset(&r, p->s->host->wall_us(), &offset)) {
        bool off = offset > SKEW_MAX_US || offset < -SKEW_MAX_US;

        (void)snprintf(text, sizeof(text), "%" PRId64 " s", offset / 1000000);
        tell(p, off ? PERSIST_BACKEND_FINDING_WARN : PERSIST_BACKEND_FINDING_OK,
             "clock-skew", text,
             off ? "tokens that are signed here are refused when this clock is "
                   "wrong"
                 : NULL);
    }
    http_response_finish(&r);
    text_finish(&path);
    return rc;
}

/* ------------------------------------------------------------------ bucket */

static void tell_retention(struct report *p, const json_t *bucket)
{
    const json_t *policy = json_object_get(bucket, "retentionPolicy");
    uint64_t seconds = 0;
    char text[80];

    if (!json_is_object(policy) ||
        !json_u64(policy, "retentionPeriod", &seconds))
        return;
    (void)snprintf(
        text, sizeof(text), "%" PRIu64 " s%s", seconds,
        json_is_true(json_object_get(policy, "isLocked")) ? ", locked" : "");
    tell(p, PERSIST_BACKEND_FINDING_INFO, "retention-policy", text,
         "younger objects can be neither deleted nor replaced");
}

static void tell_bucket(struct report *p, const json_t *bucket)
{
    const json_t *soft = json_object_get(bucket, "softDeletePolicy");
    const json_t *versioning = json_object_get(bucket, "versioning");
    const char *location = json_text(bucket, "location");
    const char *class = json_text(bucket, "storageClass");
    uint64_t seconds = 0;
    char text[80];

    if (location != NULL)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "location", location, NULL);
    if (class != NULL)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "storage-class", class, NULL);
    if (json_is_true(json_object_get(versioning, "enabled")))
        tell(p, PERSIST_BACKEND_FINDING_INFO, "versioning",
             "on: deleted and replaced objects are kept and paid for", NULL);
    if (json_is_object(soft) &&
        json_u64(soft, "retentionDurationSeconds", &seconds) && seconds > 0) {
        (void)snprintf(text, sizeof(text),
                       "deleted objects are kept for %" PRIu64 " s", seconds);
        tell(p, PERSIST_BACKEND_FINDING_INFO, "soft-delete", text, NULL);
    }
    tell_retention(p, bucket);
}

static int32_t probe_bucket(struct report *p, struct persist_backend_error *err)
{
    struct gcs_request q = {
        .method = "GET",
        .query = "fields=location,storageClass,versioning,softDeletePolicy,"
                 "retentionPolicy"};
    struct http_response r = {0};
    struct text path = {0};
    json_t *json = NULL;
    int32_t rc;

    names_bucket_path(&p->s->options, &path);
    q.path = text_str(&path);
    rc = request_send(p->s, p->call, &q, &r, err);
    if (rc == PERSIST_BACKEND_OK && r.status == 200)
        json = json_parse_object(r.body.data, r.body.len);
    if (json != NULL)
        tell_bucket(p, json);
    else if (rc == PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "bucket-settings",
             "not shown to this account (storage.buckets.get)", NULL);
    json_decref(json);
    http_response_finish(&r);
    text_finish(&path);
    return rc;
}

int32_t gcs_probe(void *store, const struct persist_backend_call *call,
                  const struct persist_backend_probe_args *args,
                  struct persist_backend_probe_result *result,
                  struct persist_backend_error *err)
{
    struct report p = {.s = store, .call = call, .args = args};
    int32_t rc;

    (void)result;
    tell_place(&p);
    tell(&p, PERSIST_BACKEND_FINDING_INFO, "create-if-absent",
         "native (ifGenerationMatch=0)", NULL);
    tell(&p, PERSIST_BACKEND_FINDING_INFO, "unfinished-uploads",
         "cannot be listed by this service; it forgets them after a week",
         NULL);
    rc = tell_identity(&p, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = probe_listing(&p, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = probe_permissions(&p, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = probe_bucket(&p, err);
    /* What was found wrong has been told: that is no failure of the probe. */
    return rc == PERSIST_BACKEND_CANCELLED || rc == PERSIST_BACKEND_MEMORY
               ? rc
               : PERSIST_BACKEND_OK;
}
