/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From options to settings.  Types, ranges and spelling are the host's work;
 * here is what it cannot know: which options contradict each other, and what
 * the environment and the profile add.
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "posix/os.h"
#include "support/encode.h"

#define MAX_TAGS 10 /* the service's limit */

static const struct persist_backend_value *
value_of(const struct persist_backend_config *config, enum s3_option option)
{
    return (const void *)((const char *)config->values +
                          (size_t)option * config->value_size);
}

bool settings_given(const struct persist_backend_config *config,
                    enum s3_option option)
{
    return (value_of(config, option)->flags & PERSIST_BACKEND_VALUE_SET) != 0;
}

/* --------------------------------------------------------------- text rules */

static bool all_of(const char *s, const char *allowed)
{
    return s[strspn(s, allowed)] == '\0';
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

/* What can be a label of a host name under the service's certificate. */
static bool bucket_is_label(const char *bucket)
{
    return strlen(bucket) >= 3 && url_label_ok(bucket);
}

static int32_t check_bucket(const char *bucket,
                            struct persist_backend_error *err)
{
    size_t len = bucket == NULL ? 0 : strlen(bucket);

    if (len == 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "bucket: an S3 store needs a bucket");
    if (strncmp(bucket, "arn:", 4) == 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "bucket = %.200s: access points are not supported; "
                    "give the bucket's name",
                    bucket);
    if (len > 7 && strcmp(bucket + len - 6, "--x-s3") == 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "bucket = %.200s: directory buckets (S3 Express) are not "
                    "supported",
                    bucket);
    if (len < 3 || len > S3_BUCKET_MAX ||
        !all_of(bucket, LOWER UPPER DIGITS ".-_") || bucket[0] == '.' ||
        strstr(bucket, "..") != NULL)
        return fail(
            err, PERSIST_BACKEND_CONFIG,
            "bucket = %.200s: that is no bucket's name (3 letters, digits "
            "or .-_ at least, without s3:// before it)",
            bucket);
    return PERSIST_BACKEND_OK;
}

/* No empty component, none of only dots, nothing a terminal would act on. */
static bool prefix_ok(const char *prefix, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i <= len; i++) {
        if (i < len && ((unsigned char)prefix[i] < 0x20 || prefix[i] == 0x7f))
            return false;
        if (i < len && prefix[i] != '/')
            continue;
        if (i == start || (i - start == 1 && prefix[start] == '.') ||
            (i - start == 2 && strncmp(prefix + start, "..", 2) == 0))
            return false;
        start = i + 1;
    }
    return true;
}

static int32_t make_prefix(struct s3_settings *set, const char *text,
                           struct persist_backend_error *err)
{
    size_t len = text == NULL ? 0 : strlen(text);

    if (len > 0 && text[len - 1] == '/')
        len--;
    if (text != NULL && text[0] == '/' && len == 0)
        len = 0; /* "/" is the bucket itself */
    else if (len > 0 && (len > S3_KEY_MAX / 2 || !prefix_ok(text, len)))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "prefix = %.200s: must be names with a slash between "
                    "them, of up to %d bytes",
                    text, S3_KEY_MAX / 2);
    set->prefix = malloc(len + 2);
    if (set->prefix == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    memcpy(set->prefix, len > 0 ? text : "", len);
    memcpy(set->prefix + len, "/", 2);
    if (len == 0)
        set->prefix[0] = '\0';
    return PERSIST_BACKEND_OK;
}

/* "name=value" each; the header wants them as a URL's query. */
static int32_t make_tags(struct s3_settings *set,
                         const struct persist_backend_value *value,
                         struct persist_backend_error *err)
{
    struct text tags = {0};

    if (value->n_items == 0)
        return PERSIST_BACKEND_OK;
    if (value->n_items > MAX_TAGS)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "tags: an object has %d at the most", MAX_TAGS);
    for (uint32_t i = 0; i < value->n_items; i++) {
        const char *item = value->items[i];
        const char *equals = strchr(item, '=');

        if (equals == NULL || equals == item) {
            text_finish(&tags);
            return fail(err, PERSIST_BACKEND_CONFIG,
                        "tags: \"%.100s\" is not name=value", item);
        }
        if (i > 0)
            text_add(&tags, "&");
        percent_encode(&tags, item, (size_t)(equals - item), false);
        text_add(&tags, "=");
        percent_encode(&tags, equals + 1, strlen(equals + 1), false);
    }
    if (!tags.failed)
        set->tags = strdup(text_str(&tags));
    text_finish(&tags);
    return set->tags != NULL
               ? PERSIST_BACKEND_OK
               : fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
}

/* ----------------------------------------------------------- contradictions */

struct rule {
    enum s3_option option;
    enum s3_option needs;
    const char *message;
};

static const struct rule pairs[] = {
    {S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY,
     "access_key_id is given without secret_access_key"},
    {S3_SECRET_ACCESS_KEY, S3_ACCESS_KEY_ID,
     "secret_access_key is given without access_key_id"},
    {S3_SESSION_TOKEN, S3_ACCESS_KEY_ID,
     "session_token is given without access_key_id"},
    {S3_LOCK_MODE, S3_LOCK_DAYS, "lock_mode is given without lock_days"},
    {S3_LOCK_DAYS, S3_LOCK_MODE, "lock_days is given without lock_mode"},
};

static const char *kms_problem(const struct s3_settings *set)
{
    const char *sse = set->text[S3_SSE];
    bool kms = sse != NULL && strncmp(sse, "aws:kms", 7) == 0;

    if (set->text[S3_KMS_KEY_ID] != NULL && !kms)
        return "kms_key_id needs sse = aws:kms";
    if (set->number[S3_BUCKET_KEY] != 0 && !kms)
        return "bucket_key needs sse = aws:kms";
    return NULL;
}

/* Header values: what the service's words are made of. */
static const char *word_problem(const struct s3_settings *set)
{
    static const char plain[] = LOWER UPPER DIGITS "+=,.@:/_-";
    const char *owner = set->text[S3_BUCKET_OWNER];

    if (owner != NULL && (strlen(owner) != 12 || !all_of(owner, DIGITS)))
        return "expected_bucket_owner must be an account id of 12 digits";
    if (set->text[S3_STORAGE_CLASS] != NULL &&
        !all_of(set->text[S3_STORAGE_CLASS], UPPER DIGITS "_"))
        return "storage_class is written in capitals: STANDARD_IA";
    if (set->text[S3_KMS_KEY_ID] != NULL &&
        (!all_of(set->text[S3_KMS_KEY_ID], plain) ||
         strlen(set->text[S3_KMS_KEY_ID]) > 2048))
        return "kms_key_id must be a key's id, alias or ARN";
    if (set->text[S3_ACCESS_KEY_ID] != NULL &&
        (!all_of(set->text[S3_ACCESS_KEY_ID], plain) ||
         strlen(set->text[S3_ACCESS_KEY_ID]) >= S3_ACCESS_KEY_MAX))
        return "access_key_id is no access key's id";
    if (set->text[S3_REGION] != NULL && !url_label_ok(set->text[S3_REGION]))
        return "region must be a name like eu-central-1";
    return NULL;
}

static int32_t check_options(const struct s3_settings *set,
                             const struct persist_backend_config *config,
                             struct persist_backend_error *err)
{
    const char *problem = NULL;

    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (problem == NULL && settings_given(config, pairs[i].option) &&
            !settings_given(config, pairs[i].needs))
            problem = pairs[i].message;
    if (problem == NULL && set->text[S3_ACCESS_KEY_ID] != NULL &&
        set->text[S3_PROFILE] != NULL)
        problem = "access_key_id and profile are two sources of credentials; "
                  "give one";
    if (problem == NULL)
        problem = kms_problem(set);
    if (problem == NULL)
        problem = word_problem(set);
    if (problem == NULL && set->text[S3_LOCK_MODE] != NULL &&
        set->checksum == S3_NEVER)
        problem = "lock_mode needs a checksum, and checksum = never";
    if (problem != NULL)
        return fail(err, PERSIST_BACKEND_CONFIG, "%s", problem);
    return PERSIST_BACKEND_OK;
}

/* ------------------------------------------------------------------ copying */

static enum s3_mode mode_of(const char *text)
{
    if (text != NULL && strcmp(text, "always") == 0)
        return S3_ALWAYS;
    return text != NULL && strcmp(text, "never") == 0 ? S3_NEVER : S3_AUTO;
}

int32_t settings_copy(struct s3_settings *set,
                      const struct persist_backend_config *config,
                      struct persist_backend_error *err)
{
    int32_t rc;

    if (config->n_values < S3_N_OPTIONS)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "the host passed %u values for %u options",
                    config->n_values, (unsigned)S3_N_OPTIONS);
    for (unsigned i = 0; i < S3_N_OPTIONS; i++) {
        const struct persist_backend_value *v = value_of(config, i);

        set->number[i] = v->number;
        if (v->text == NULL || (v->text[0] == '\0' && i != S3_PREFIX))
            continue;
        set->text[i] = strdup(v->text);
        if (set->text[i] == NULL)
            return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    }
    set->checksum = mode_of(set->text[S3_CHECKSUM]);
    set->sign_payload = mode_of(set->text[S3_SIGN_PAYLOAD]);
    set->check_replies = set->checksum != S3_NEVER;
    rc = check_bucket(set->text[S3_BUCKET], err);
    if (rc == PERSIST_BACKEND_OK)
        rc = make_prefix(set, set->text[S3_PREFIX], err);
    if (rc == PERSIST_BACKEND_OK)
        rc = make_tags(set, value_of(config, S3_TAGS), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = check_options(set, config, err);
    return rc;
}

void settings_finish(struct s3_settings *set)
{
    for (unsigned i = 0; i < S3_N_OPTIONS; i++)
        free(set->text[i]);
    free(set->prefix);
    free(set->tags);
}

/* ------------------------------------------- the environment and the profile
 */

static bool env_is(const char *name, const char *value)
{
    const char *text = os_getenv(name);

    return text != NULL && fixed_same_word(text, value);
}

/* The SDKs' switches, where the option was not given. */
static void take_environment(struct s3_settings *set,
                             const struct persist_backend_config *config)
{
    set->fips = env_is("AWS_USE_FIPS_ENDPOINT", "true");
    set->dualstack = env_is("AWS_USE_DUALSTACK_ENDPOINT", "true");
    if (!settings_given(config, S3_CHECKSUM) &&
        set->text[S3_LOCK_MODE] == NULL &&
        env_is("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required"))
        set->checksum = S3_NEVER;
    if (!settings_given(config, S3_CHECKSUM) &&
        env_is("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required"))
        set->check_replies = false;
}

static int32_t take_endpoint(struct s3_store *s,
                             struct persist_backend_error *err)
{
    struct s3_settings *set = &s->set;
    char found[2048];
    const char *text = set->text[S3_ENDPOINT];
    int32_t rc;

    set->endpoint_origin = "option endpoint";
    if (text == NULL) {
        rc = s3_credentials_endpoint(s->credentials, "s3", found, sizeof(found),
                                     &set->endpoint_origin, err);
        if (rc == PERSIST_BACKEND_NOT_FOUND)
            return PERSIST_BACKEND_OK;
        if (rc != PERSIST_BACKEND_OK)
            return rc;
        text = found;
    }
    set->custom = true;
    if (url_parse(text, NULL, &set->endpoint, err) != PERSIST_BACKEND_OK)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "the endpoint (%s) is no URL of a service: "
                    "https://host or https://host:port",
                    set->endpoint_origin);
    if (!set->endpoint.tls && set->number[S3_ALLOW_HTTP] == 0 &&
        !url_host_is_loopback(set->endpoint.host))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "endpoint http://%s: data would cross the network in the "
                    "clear; use https, or say allow_http = true",
                    set->endpoint.authority);
    return PERSIST_BACKEND_OK;
}

static int32_t take_region(struct s3_store *s,
                           struct persist_backend_error *err)
{
    const char *text = s->set.text[S3_REGION];
    char found[S3_REGION_CAP];
    int32_t rc;

    s->region_origin = "option region";
    if (text == NULL) {
        rc = s3_credentials_region(s->credentials, found, sizeof(found),
                                   &s->region_origin, err);
        if (rc == PERSIST_BACKEND_NOT_FOUND) {
            (void)fixed_copy(found, sizeof(found), "us-east-1");
            s->region_origin = "default";
        } else if (rc != PERSIST_BACKEND_OK) {
            return rc;
        }
        text = found;
    }
    if (!url_label_ok(text))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "the region (%s) must be a name like eu-central-1",
                    s->region_origin);
    /* A label has 63 bytes at the most. */
    (void)fixed_copy(s->region, sizeof(s->region), text);
    return PERSIST_BACKEND_OK;
}

/* Virtual hosts need a bucket that is one DNS label: no wildcard certificate
 * covers two, and no address has a name in front. */
static int32_t choose_addressing(struct s3_settings *set,
                                 struct persist_backend_error *err)
{
    const char *word = set->text[S3_ADDRESSING];
    const char *bucket = set->text[S3_BUCKET];
    bool has_names = !set->custom || !set->endpoint.is_ip;

    if (word != NULL && strcmp(word, "virtual") == 0) {
        if (!has_names)
            return fail(err, PERSIST_BACKEND_CONFIG,
                        "addressing = virtual needs an endpoint with a name, "
                        "not an address");
        if (!bucket_is_label(bucket))
            return fail(err, PERSIST_BACKEND_CONFIG,
                        "addressing = virtual: %.100s cannot be part of a "
                        "host name; say addressing = path",
                        bucket);
        return PERSIST_BACKEND_OK;
    }
    /* Other services seldom have a name for each bucket. */
    set->path_style = (word != NULL && strcmp(word, "path") == 0) ||
                      set->custom || !bucket_is_label(bucket);
    return PERSIST_BACKEND_OK;
}

int32_t settings_apply(struct s3_store *s,
                       const struct persist_backend_config *config,
                       struct persist_backend_error *err)
{
    int32_t rc;

    take_environment(&s->set, config);
    rc = take_endpoint(s, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = take_region(s, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = choose_addressing(&s->set, err);
    return rc;
}
