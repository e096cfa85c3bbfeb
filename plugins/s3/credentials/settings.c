/* SPDX-License-Identifier: Apache-2.0 */
/* Region and endpoints: what the environment and the profile say of them. */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "s3/partition.h"
#include "support/fail.h"
#include "support/url.h"

/* A service, as variables and as profiles spell it. */
static const struct service {
    const char *name;
    const char *variable;
    /* What is said for all services counts for this one too.  Not for SSO: a
     * bearer token is not for whoever runs the store. */
    bool shared;
} services[] = {
    {"s3", "AWS_ENDPOINT_URL_S3", true},
    {"sts", "AWS_ENDPOINT_URL_STS", true},
    {"sso", "AWS_ENDPOINT_URL_SSO", false},
    {"sso_oidc", "AWS_ENDPOINT_URL_SSO_OIDC", false},
};

static const struct service *service_of(const char *name)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++)
        if (strcmp(services[i].name, name) == 0)
            return &services[i];
    return NULL;
}

static int32_t copy(struct asking *a, char out[SETTING_MAX], const char *value,
                    const char *what)
{
    int n = snprintf(out, SETTING_MAX, "%s", value);

    if (n < 0 || n >= SETTING_MAX)
        return fail(a->err, PERSIST_BACKEND_CONFIG, "%s is too long", what);
    return PERSIST_BACKEND_OK;
}

/* A profile that was asked for by name has to exist. */
static int32_t check_profile(struct asking *a, const struct profile_files *f)
{
    const char *name = asking_profile(a);

    if (profile_exists(f, name))
        return PERSIST_BACKEND_OK;
    if (a->options->profile == NULL &&
        asking_variable(a, "AWS_PROFILE") == NULL)
        return PERSIST_BACKEND_NOT_FOUND;
    return fail(a->err, PERSIST_BACKEND_CONFIG,
                "profile %.80s is in neither %.150s nor %.150s (where it is "
                "called [profile NAME])",
                name, f->credentials_path, f->config_path);
}

/* A key of the profile in force. */
static int32_t from_profile(struct asking *a, const char *key,
                            const char **out_value)
{
    const struct profile_files *f;
    int32_t rc = asking_files(a, &f);

    *out_value = NULL;
    if (rc == PERSIST_BACKEND_OK)
        rc = check_profile(a, f);
    if (rc == PERSIST_BACKEND_OK)
        rc = profile_find(f, asking_profile(a), key, out_value, a->err);
    if (rc == PERSIST_BACKEND_OK && *out_value == NULL)
        rc = PERSIST_BACKEND_NOT_FOUND;
    return rc;
}

int32_t setting_region(struct asking *a, char out[SETTING_MAX],
                       const char **out_origin)
{
    static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    const char *value = NULL, *origin = "profile";
    int32_t rc;

    for (size_t i = 0; i < 2 && value == NULL; i++) {
        value = asking_variable(a, names[i]);
        if (value != NULL)
            origin = names[i];
    }
    if (value == NULL) {
        rc = from_profile(a, "region", &value);
        if (rc != PERSIST_BACKEND_OK)
            return rc;
    }
    if (!url_label_ok(value))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%s: %.80s is not the name of a region", origin, value);
    *out_origin = origin;
    return copy(a, out, value, origin);
}

/* endpoint_url of the service in the section that the profile's `services`
 * names. */
static int32_t from_services(struct asking *a, const struct service *s,
                             const char **out_value)
{
    const struct profile_files *f;
    const char *section;
    int32_t rc = from_profile(a, "services", &section);

    *out_value = NULL;
    if (rc == PERSIST_BACKEND_OK)
        rc = asking_files(a, &f);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    rc = profile_find_section(f, SECTION_SERVICES, section, s->name,
                              "endpoint_url", out_value, a->err);
    if (rc == PERSIST_BACKEND_OK && *out_value == NULL)
        rc = PERSIST_BACKEND_NOT_FOUND;
    return rc;
}

static int32_t find_endpoint(struct asking *a, const struct service *s,
                             const char **out_value, const char **out_origin)
{
    const char *ignored = NULL;
    int32_t rc;

    *out_origin = s->variable;
    *out_value = asking_variable(a, s->variable);
    if (*out_value == NULL && s->shared) {
        *out_origin = "AWS_ENDPOINT_URL";
        *out_value = asking_variable(a, "AWS_ENDPOINT_URL");
    }
    if (*out_value != NULL)
        return PERSIST_BACKEND_OK;
    *out_origin = "profile";
    rc = from_profile(a, "ignore_configured_endpoint_urls", &ignored);
    if (rc == PERSIST_BACKEND_OK && strcmp(ignored, "true") == 0)
        return PERSIST_BACKEND_NOT_FOUND;
    if (rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_NOT_FOUND)
        rc = from_services(a, s, out_value);
    if (rc == PERSIST_BACKEND_NOT_FOUND && s->shared)
        rc = from_profile(a, "endpoint_url", out_value);
    return rc;
}

int32_t setting_endpoint(struct asking *a, const char *service,
                         char out[SETTING_MAX], const char **out_origin)
{
    const struct service *s = service_of(service);
    const char *value;
    struct url url;
    int32_t rc;

    if (s == NULL)
        return fail(a->err, PERSIST_BACKEND_INTERNAL, "no service %.40s",
                    service);
    if (asking_is_true(a, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))
        return PERSIST_BACKEND_NOT_FOUND;
    rc = find_endpoint(a, s, &value, out_origin);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (url_parse(value, NULL, &url, NULL) != PERSIST_BACKEND_OK)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%s: the endpoint of %s is not a URL of http or https",
                    *out_origin, service);
    return copy(a, out, value, *out_origin);
}

static int32_t check_service_url(struct asking *a, const char *service,
                                 char *url_text)
{
    size_t len = strlen(url_text);
    struct url url;
    int32_t rc = url_parse(url_text, NULL, &url, a->err);

    if (rc != PERSIST_BACKEND_OK)
        return PERSIST_BACKEND_CONFIG;
    if (!url.tls && !url_host_is_loopback(url.host))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "the endpoint of %s must be https: keys are sent by it",
                    service);
    while (len > 0 && url_text[len - 1] == '/')
        url_text[--len] = '\0';
    return PERSIST_BACKEND_OK;
}

int32_t setting_service_url(struct asking *a, const char *service,
                            const char *prefix, const char *region,
                            char out[SETTING_MAX])
{
    const char *origin;
    int32_t rc = setting_endpoint(a, service, out, &origin);

    if (rc == PERSIST_BACKEND_OK)
        return check_service_url(a, service, out);
    if (rc != PERSIST_BACKEND_NOT_FOUND)
        return rc;
    if (!url_label_ok(region))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "%.80s is not the name of a region", region);
    (void)snprintf(out, SETTING_MAX, "https://%s.%s.%s", prefix, region,
                   partition_suffix(region));
    return PERSIST_BACKEND_OK;
}
