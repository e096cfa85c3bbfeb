/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table, and what the host cannot check: that options fit each other.
 * Makes no request and reads no file.
 */
#include "gcs/options.h"

#include <stdlib.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/names.h"
#include "support/fail.h"
#include "support/text.h"

enum option {
    BUCKET,
    PREFIX,
    ENDPOINT,
    SERVICE_ACCOUNT_JSON,
    ANONYMOUS,
    USER_PROJECT,
    KMS_KEY_NAME,
    STORAGE_CLASS,
    CHUNK_SIZE,
    RETENTION_MODE,
    RETAIN_FOR,
    EVENT_BASED_HOLD,
    TEMPORARY_HOLD,
    UNIVERSE_DOMAIN,
    CA_BUNDLE,
    PROXY,
    CONNECT_TIMEOUT,
    STALL_TIMEOUT,
    ALLOW_HTTP,
};

#define MIN_MAX (PERSIST_BACKEND_HAS_MIN | PERSIST_BACKEND_HAS_MAX)
#define DAY_MS ((int64_t)24 * 60 * 60 * 1000)

static const char *const storage_classes[] = {"standard", "nearline",
                                              "coldline", "archive", NULL};
static const char *const retention_modes[] = {"none", "unlocked", "locked",
                                              NULL};

const struct persist_backend_option gcs_option_table[GCS_N_OPTIONS] = {
    [BUCKET] = {.key = "bucket",
                .help = "The bucket; it must exist",
                .since = "0.2.0",
                .type = PERSIST_BACKEND_STRING,
                .flags = PERSIST_BACKEND_REQUIRED},
    [PREFIX] = {.key = "prefix",
                .help = "What the names of all objects of this store start "
                        "with; a slash is added",
                .since = "0.2.0",
                .type = PERSIST_BACKEND_STRING},
    [ENDPOINT] = {.key = "endpoint",
                  .help = "Another address of the service (default: "
                          "https://storage.googleapis.com, or the environment "
                          "variable STORAGE_EMULATOR_HOST)",
                  .since = "0.2.0",
                  .type = PERSIST_BACKEND_URL},
    [SERVICE_ACCOUNT_JSON] =
        {.key = "service_account_json",
         .help = "The text of a credential file (default: Application Default "
                 "Credentials)",
         .since = "0.2.0",
         .type = PERSIST_BACKEND_SECRET},
    [ANONYMOUS] = {.key = "anonymous",
                   .default_text = "false",
                   .help = "Send requests without credentials",
                   .since = "0.2.0",
                   .type = PERSIST_BACKEND_BOOL},
    [USER_PROJECT] = {.key = "user_project",
                      .help = "The project that pays for requests",
                      .since = "0.2.0",
                      .type = PERSIST_BACKEND_STRING},
    [KMS_KEY_NAME] = {.key = "kms_key_name",
                      .help = "Encrypt objects with this key (projects/P/"
                              "locations/L/keyRings/R/cryptoKeys/K)",
                      .since = "0.2.0",
                      .type = PERSIST_BACKEND_STRING},
    [STORAGE_CLASS] = {.key = "storage_class",
                       .choices = storage_classes,
                       .help = "Storage class of objects (default: the "
                               "bucket's)",
                       .since = "0.2.0",
                       .type = PERSIST_BACKEND_CHOICE},
    [CHUNK_SIZE] = {.key = "chunk_size",
                    .default_text = "64M",
                    .help = "The largest chunk of a resumable upload, in "
                            "multiples of 256K",
                    .since = "0.2.0",
                    .type = PERSIST_BACKEND_SIZE,
                    .min = (int64_t)GCS_CHUNK_ALIGN,
                    .max = INT64_C(1) << 30,
                    .flags = MIN_MAX},
    [RETENTION_MODE] = {.key = "retention_mode",
                        .default_text = "none",
                        .choices = retention_modes,
                        .help = "Object retention that saved objects get",
                        .since = "0.2.0",
                        .type = PERSIST_BACKEND_CHOICE},
    [RETAIN_FOR] = {.key = "retain_for",
                    .help = "How long retention_mode keeps an object from "
                            "being deleted or replaced",
                    .since = "0.2.0",
                    .type = PERSIST_BACKEND_DURATION,
                    .min = 60000,
                    .max = 36500 * DAY_MS,
                    .flags = MIN_MAX},
    [EVENT_BASED_HOLD] = {.key = "event_based_hold",
                          .default_text = "false",
                          .help = "Put saved objects under an event-based hold",
                          .since = "0.2.0",
                          .type = PERSIST_BACKEND_BOOL},
    [TEMPORARY_HOLD] = {.key = "temporary_hold",
                        .default_text = "false",
                        .help = "Put saved objects under a temporary hold",
                        .since = "0.2.0",
                        .type = PERSIST_BACKEND_BOOL},
    [UNIVERSE_DOMAIN] = {.key = "universe_domain",
                         .help = "The Cloud the bucket lives in (default: "
                                 "the environment variable "
                                 "GOOGLE_CLOUD_UNIVERSE_DOMAIN, or "
                                 "googleapis.com)",
                         .since = "0.2.0",
                         .type = PERSIST_BACKEND_STRING},
    [CA_BUNDLE] = {.key = "ca_bundle",
                   .help = "File with the certificates that are trusted "
                           "(default: the system's)",
                   .since = "0.2.0",
                   .type = PERSIST_BACKEND_PATH},
    [PROXY] = {.key = "proxy",
               .help = "Proxy for all requests (default: the environment's "
                       "https_proxy and no_proxy)",
               .since = "0.2.0",
               .type = PERSIST_BACKEND_URL},
    [CONNECT_TIMEOUT] = {.key = "connect_timeout",
                         .default_text = "5s",
                         .help = "How long name lookup, connecting and TLS "
                                 "may take",
                         .since = "0.2.0",
                         .type = PERSIST_BACKEND_DURATION,
                         .min = 100,
                         .max = 600000,
                         .flags = MIN_MAX},
    [STALL_TIMEOUT] = {.key = "stall_timeout",
                       .default_text = "30s",
                       .help = "How long a transfer may make no progress",
                       .since = "0.2.0",
                       .type = PERSIST_BACKEND_DURATION,
                       .min = 100,
                       .max = 3600000,
                       .flags = MIN_MAX},
    [ALLOW_HTTP] = {.key = "allow_http",
                    .default_text = "false",
                    .help = "Permit an endpoint without TLS that is not on "
                            "this machine",
                    .since = "0.2.0",
                    .type = PERSIST_BACKEND_BOOL},
};

static const struct persist_backend_value *
value_of(const struct persist_backend_config *config, enum option option)
{
    return (const void *)((const char *)config->values +
                          (size_t)option * config->value_size);
}

static const char *text_of(const struct persist_backend_config *config,
                           enum option option)
{
    const char *text = value_of(config, option)->text;

    return text != NULL && text[0] != '\0' ? text : NULL;
}

static int32_t copy(char **out, const char *text,
                    struct persist_backend_error *err)
{
    if (text == NULL)
        return PERSIST_BACKEND_OK;
    *out = strdup(text);
    return *out != NULL ? PERSIST_BACKEND_OK
                        : fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
}

/* ------------------------------------------------------------- single ones */

static int32_t apply_bucket(struct gcs_options *o, const char *text,
                            struct persist_backend_error *err)
{
    if (text == NULL || !names_bucket_ok(text))
        return fail(
            err, PERSIST_BACKEND_CONFIG,
            "bucket = %.80s: not a name that a bucket can have (without "
            "gs:// before it)",
            text == NULL ? "" : text);
    return copy(&o->bucket, text, err);
}

/* A prefix is made of components as keys are, but with any letters. */
static const char *wrong_prefix(const char *prefix)
{
    if (prefix[0] == '/' || strstr(prefix, "//") != NULL)
        return "an empty component";
    for (const char *at = prefix; at != NULL && *at != '\0';) {
        size_t len = strcspn(at, "/");

        if ((len == 1 && at[0] == '.') ||
            (len == 2 && at[0] == '.' && at[1] == '.'))
            return "a component that is . or ..";
        at = at[len] == '/' ? at + len + 1 : NULL;
    }
    for (const char *at = prefix; *at != '\0'; at++)
        if ((unsigned char)*at < 0x20 || (unsigned char)*at == 0x7f)
            return "a control character";
    return strlen(prefix) > 512 ? "more than 512 bytes" : NULL;
}

static int32_t apply_prefix(struct gcs_options *o, const char *text,
                            struct persist_backend_error *err)
{
    struct text whole = {0};
    const char *wrong = text != NULL ? wrong_prefix(text) : NULL;

    if (wrong != NULL)
        return fail(err, PERSIST_BACKEND_CONFIG, "prefix: %s", wrong);
    text_add(&whole, text != NULL ? text : "");
    if (whole.len > 0 && whole.data[whole.len - 1] != '/')
        text_add(&whole, "/");
    int32_t rc = whole.failed
                     ? fail(err, PERSIST_BACKEND_MEMORY, "out of memory")
                     : copy(&o->prefix, text_str(&whole), err);
    text_finish(&whole);
    return rc;
}

static int32_t apply_storage_class(struct gcs_options *o, const char *text,
                                   struct persist_backend_error *err)
{
    int32_t rc = copy(&o->storage_class, text, err);

    for (char *at = o->storage_class; at != NULL && *at != '\0'; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    return rc;
}

/* projects/P/locations/L/keyRings/R/cryptoKeys/K: five slashes would do for a
 * service that checks it too, but a typo is better told now. */
static bool kms_ok(const char *name)
{
    static const char *const words[] = {"projects/", "locations/", "keyRings/",
                                        "cryptoKeys/"};

    for (size_t i = 0; i < 4; i++) {
        size_t word = strlen(words[i]);
        if (strncmp(name, words[i], word) != 0)
            return false;
        size_t len = strcspn(name + word, "/");
        name += word + len;
        if (len == 0 || (i < 3 && *name != '/'))
            return false;
        name += i < 3;
    }
    return *name == '\0';
}

static int32_t apply_kms(struct gcs_options *o, const char *text,
                         struct persist_backend_error *err)
{
    if (text != NULL && !kms_ok(text))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "kms_key_name: must be projects/P/locations/L/keyRings/R/"
                    "cryptoKeys/K");
    return copy(&o->kms_key_name, text, err);
}

static int32_t apply_retention(struct gcs_options *o,
                               const struct persist_backend_config *config,
                               struct persist_backend_error *err)
{
    const char *mode = text_of(config, RETENTION_MODE);
    const struct persist_backend_value *keep = value_of(config, RETAIN_FOR);

    o->retention = mode == NULL || strcmp(mode, "none") == 0 ? GCS_RETAIN_NOT
                   : strcmp(mode, "locked") == 0             ? GCS_RETAIN_LOCKED
                                                 : GCS_RETAIN_UNLOCKED;
    o->retain_for_ms = keep->flags != 0 ? keep->number : 0;
    if ((o->retention != GCS_RETAIN_NOT) != (o->retain_for_ms > 0))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "retention_mode and retain_for belong together: one is set "
                    "and the other is not");
    return PERSIST_BACKEND_OK;
}

/* ---------------------------------------------------------------- endpoint */

static bool is_domain(const char *text)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789.-";

    return text[0] != '\0' && strlen(text) < 200 &&
           strspn(text, allowed) == strlen(text) && text[0] != '.' &&
           strchr(text, '.') != NULL;
}

static int32_t apply_universe(struct gcs_options *o, const char *text,
                              gcs_getenv_fn env,
                              struct persist_backend_error *err)
{
    if (text == NULL)
        text = env("GOOGLE_CLOUD_UNIVERSE_DOMAIN");
    if (text == NULL || text[0] == '\0')
        text = "googleapis.com";
    if (!is_domain(text))
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "universe_domain: not a domain in lower case");
    return copy(&o->universe, text, err);
}

static int32_t apply_endpoint(struct gcs_options *o, const char *text,
                              gcs_getenv_fn env,
                              struct persist_backend_error *err)
{
    const char *emulator = env("STORAGE_EMULATOR_HOST");
    struct text origin = {0};
    int32_t rc;

    if (text == NULL && emulator != NULL && emulator[0] != '\0') {
        o->emulator = true;
        rc = url_parse(emulator, "http", &o->endpoint, err);
    } else if (text != NULL) {
        rc = url_parse(text, "https", &o->endpoint, err);
    } else {
        text_addf(&origin, "https://storage.%s", o->universe);
        rc = url_parse(text_str(&origin), NULL, &o->endpoint, err);
    }
    if (rc == PERSIST_BACKEND_INVALID)
        rc = PERSIST_BACKEND_CONFIG;
    if (rc == PERSIST_BACKEND_OK && !o->endpoint.tls && !o->allow_http &&
        !url_host_is_loopback(o->endpoint.host))
        rc = fail(err, PERSIST_BACKEND_CONFIG,
                  "the endpoint is plain http to another machine: allow_http = "
                  "true would permit it");
    text_clear(&origin);
    text_addf(&origin, "%s://%s%s", o->endpoint.tls ? "https" : "http",
              o->endpoint.authority, o->endpoint.path);
    if (rc == PERSIST_BACKEND_OK && origin.failed)
        rc = fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (rc == PERSIST_BACKEND_OK)
        rc = copy(&o->origin, text_str(&origin), err);
    text_finish(&origin);
    return rc;
}

/* ----------------------------------------------------------------- outside */

static void apply_numbers(struct gcs_options *o,
                          const struct persist_backend_host *host,
                          const struct persist_backend_config *config)
{
    uint64_t len = 0;
    char none[1];
    int32_t rc =
        host->secret(config->host_store, "service_account_json", none, 0, &len);

    o->has_service_json = rc != PERSIST_BACKEND_NOT_FOUND;
    o->anonymous = value_of(config, ANONYMOUS)->number != 0;
    o->allow_http = value_of(config, ALLOW_HTTP)->number != 0;
    o->event_based_hold = value_of(config, EVENT_BASED_HOLD)->number != 0;
    o->temporary_hold = value_of(config, TEMPORARY_HOLD)->number != 0;
    o->chunk_size = (uint64_t)value_of(config, CHUNK_SIZE)->number;
    o->connect_timeout_ms = (uint32_t)value_of(config, CONNECT_TIMEOUT)->number;
    o->stall_timeout_ms = (uint32_t)value_of(config, STALL_TIMEOUT)->number;
}

static int32_t check_together(const struct gcs_options *o,
                              struct persist_backend_error *err)
{
    if (o->chunk_size % GCS_CHUNK_ALIGN != 0)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "chunk_size: must be a multiple of 256K");
    if (o->anonymous && o->has_service_json)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "anonymous and service_account_json contradict each other");
    return PERSIST_BACKEND_OK;
}

int32_t gcs_options_apply(struct gcs_options *o,
                          const struct persist_backend_host *host,
                          const struct persist_backend_config *config,
                          gcs_getenv_fn env, struct persist_backend_error *err)
{
    int32_t rc;

    if (config->n_values < GCS_N_OPTIONS)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "the host passed %u values for %u options",
                    config->n_values, (unsigned)GCS_N_OPTIONS);
    apply_numbers(o, host, config);
    rc = apply_bucket(o, text_of(config, BUCKET), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_prefix(o, text_of(config, PREFIX), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_universe(o, text_of(config, UNIVERSE_DOMAIN), env, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_endpoint(o, text_of(config, ENDPOINT), env, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_kms(o, text_of(config, KMS_KEY_NAME), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_storage_class(o, text_of(config, STORAGE_CLASS), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = apply_retention(o, config, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = copy(&o->user_project, text_of(config, USER_PROJECT), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = copy(&o->ca_bundle, text_of(config, CA_BUNDLE), err);
    if (rc == PERSIST_BACKEND_OK)
        rc = copy(&o->proxy, text_of(config, PROXY), err);
    return rc == PERSIST_BACKEND_OK ? check_together(o, err) : rc;
}

void gcs_options_finish(struct gcs_options *o)
{
    free(o->bucket);
    free(o->prefix);
    free(o->origin);
    free(o->kms_key_name);
    free(o->storage_class);
    free(o->user_project);
    free(o->ca_bundle);
    free(o->proxy);
    free(o->universe);
    *o = (struct gcs_options){0};
}
