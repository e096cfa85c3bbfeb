/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a profile says of keys: a role on top of other keys, SSO, keys that
 * stand there, a program.  A profile that is the source of another's role is
 * asked for the keys that stand there first, so that it may be its own source.
 */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "s3/fixed.h"
#include "support/fail.h"

#define CHAIN_MAX 5 /* roles on top of each other */
#define DURATION_LEAST 900
#define DURATION_MOST 43200
#define DURATION_CHAINED 3600

/* The profiles on the way to the keys, the first one first. */
struct way {
    const char *profiles[CHAIN_MAX];
    size_t n;
};

static int32_t keys_of(struct asking *a, struct way *way,
                       struct s3_credentials *out, bool *out_is_role);

static void say_source(struct s3_credentials *out, const char *profile,
                       const char *what)
{
    (void)snprintf(out->source, sizeof(out->source), "profile %.60s (%.80s)",
                   profile, what);
}

/* ------------------------------------------------------ keys that stand there
 */

/* AWS's own tools take keys from such a file, and so do we; but it is said. */
static void note_exposed(struct asking *a, enum config_dialect file)
{
    const struct profile_files *f = a->files;
    bool first = file == CONFIG_CREDENTIALS;
    const struct smallfile_info *info =
        first ? &f->credentials_info : &f->config_info;

    if ((info->mode & 04) != 0)
        (void)snprintf(a->exposed, sizeof(a->exposed), "%.200s",
                       first ? f->credentials_path : f->config_path);
}

static int32_t static_in(struct asking *a, enum config_dialect file,
                         const char *profile, struct s3_credentials *out)
{
    const char *id, *secret, *token;
    int32_t rc = profile_find_in(a->files, file, profile, "aws_access_key_id",
                                 &id, a->err);

    if (rc == PERSIST_BACKEND_OK)
        rc = profile_find_in(a->files, file, profile, "aws_secret_access_key",
                             &secret, a->err);
    if (rc == PERSIST_BACKEND_OK)
        rc = profile_find_in(a->files, file, profile, "aws_session_token",
                             &token, a->err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (id == NULL && secret == NULL)
        return asking_absent(a, "profile %.80s holds no keys", profile);
    if (id == NULL || secret == NULL)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s has %s without %s in %.150s", profile,
                    id != NULL ? "aws_access_key_id" : "aws_secret_access_key",
                    id != NULL ? "aws_secret_access_key" : "aws_access_key_id",
                    file == CONFIG_CREDENTIALS ? a->files->credentials_path
                                               : a->files->config_path);
    note_exposed(a, file);
    say_source(out, profile, "keys");
    return asking_keys(a, out, id, secret, token, "profile");
}

static int32_t static_keys(struct asking *a, const char *profile,
                           struct s3_credentials *out)
{
    int32_t rc = static_in(a, CONFIG_CREDENTIALS, profile, out);

    return rc == SOURCE_ABSENT ? static_in(a, CONFIG_CONFIG, profile, out) : rc;
}

/* ---------------------------------------------------------------------- roles
 */

/* What a role's profile says. */
struct role_profile {
    struct role role;
    const char *source_profile, *credential_source, *token_file;
};

static int32_t read_duration(struct asking *a, const char *profile,
                             const char *text, uint32_t *out)
{
    uint64_t seconds;

    *out = 0;
    if (text == NULL)
        return PERSIST_BACKEND_OK;
    if (!fixed_parse_number(text, &seconds) || seconds < DURATION_LEAST ||
        seconds > DURATION_MOST)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: duration_seconds must be from %d to %d",
                    profile, DURATION_LEAST, DURATION_MOST);
    *out = (uint32_t)seconds;
    return PERSIST_BACKEND_OK;
}

static int32_t check_role(struct asking *a, const char *profile,
                          const struct role_profile *p, const char *mfa)
{
    int n = (p->source_profile != NULL) + (p->credential_source != NULL) +
            (p->token_file != NULL);

    if (n != 1)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: role_arn needs one of source_profile, "
                    "credential_source and web_identity_token_file, and has %s",
                    profile, n == 0 ? "none" : "several");
    if (mfa != NULL)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: mfa_serial wants a person to type a code; "
                    "use SSO or a credential_process instead",
                    profile);
    return PERSIST_BACKEND_OK;
}

static int32_t read_role(struct asking *a, const char *profile,
                         struct role_profile *p)
{
    const char *duration, *mfa;
    const struct {
        const char *key;
        const char **place;
    } wanted[] = {{"role_arn", &p->role.arn},
                  {"role_session_name", &p->role.session_name},
                  {"external_id", &p->role.external_id},
                  {"source_profile", &p->source_profile},
                  {"credential_source", &p->credential_source},
                  {"web_identity_token_file", &p->token_file},
                  {"duration_seconds", &duration},
                  {"mfa_serial", &mfa}};

    memset(p, 0, sizeof(*p));
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        int32_t rc = profile_find(a->files, profile, wanted[i].key,
                                  wanted[i].place, a->err);

        if (rc != PERSIST_BACKEND_OK)
            return rc;
        if (i == 0 && p->role.arn == NULL)
            return asking_absent(a, "profile %.80s has no role_arn", profile);
    }
    if (check_role(a, profile, p, mfa) != PERSIST_BACKEND_OK)
        return PERSIST_BACKEND_CONFIG;
    return read_duration(a, profile, duration, &p->role.duration_s);
}

static int32_t from_credential_source(struct asking *a, const char *profile,
                                      const char *name,
                                      struct s3_credentials *out)
{
    static const struct {
        const char *name;
        int32_t (*source)(struct asking *a, struct s3_credentials *out);
    } sources[] = {{"Environment", source_environment},
                   {"EcsContainer", source_container},
                   {"Ec2InstanceMetadata", source_instance}};

    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        int32_t rc;

        if (strcmp(sources[i].name, name) != 0)
            continue;
        rc = sources[i].source(a, out);
        if (rc == SOURCE_ABSENT)
            return fail(a->err, PERSIST_BACKEND_AUTH,
                        "profile %.80s: credential_source %s: %.200s", profile,
                        name, a->why);
        return rc;
    }
    return fail(a->err, PERSIST_BACKEND_CONFIG,
                "profile %.80s: credential_source must be Environment, "
                "EcsContainer or Ec2InstanceMetadata",
                profile);
}

/* One profile further on the way. */
static int32_t go_on(struct asking *a, struct way *way, const char *next)
{
    const char *from = way->profiles[way->n - 1];

    if (!profile_exists(a->files, next))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: source_profile %.80s does not exist", from,
                    next);
    if (way->n == CHAIN_MAX)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: more than %d source_profiles",
                    way->profiles[0], CHAIN_MAX - 1);
    way->profiles[way->n++] = next;
    return PERSIST_BACKEND_OK;
}

static bool was_passed(const struct way *way)
{
    for (size_t i = 0; i + 1 < way->n; i++)
        if (strcmp(way->profiles[i], way->profiles[way->n - 1]) == 0)
            return true;
    return false;
}

/* The keys that may assume the role. */
static int32_t source_keys(struct asking *a, struct way *way,
                           const char *profile, const struct role_profile *p,
                           struct s3_credentials *out, bool *out_is_role)
{
    int32_t rc;

    *out_is_role = false;
    if (p->credential_source != NULL)
        return from_credential_source(a, profile, p->credential_source, out);
    rc = go_on(a, way, p->source_profile);
    if (rc == PERSIST_BACKEND_OK)
        rc = keys_of(a, way, out, out_is_role);
    if (rc == SOURCE_ABSENT)
        rc = fail(a->err, PERSIST_BACKEND_CONFIG,
                  "profile %.80s: source_profile %.80s holds no keys", profile,
                  p->source_profile);
    return rc;
}

static int32_t role_keys(struct asking *a, struct way *way, const char *profile,
                         struct s3_credentials *out, bool *out_is_role)
{
    struct role_profile p;
    bool chained = false;
    int32_t rc = read_role(a, profile, &p);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    *out_is_role = true;
    if (p.token_file != NULL)
        return source_web_token(a, &p.role, p.token_file, out);
    rc = source_keys(a, way, profile, &p, out, &chained);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (chained && p.role.duration_s > DURATION_CHAINED)
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: a role assumed by a role lasts at most %d "
                    "seconds",
                    profile, DURATION_CHAINED);
    return sts_assume_role(a, &p.role, out, out);
}

/* ------------------------------------------------------------- the profile */

/* The keys of the last profile on the way. */
static int32_t keys_of(struct asking *a, struct way *way,
                       struct s3_credentials *out, bool *out_is_role)
{
    const char *profile = way->profiles[way->n - 1];
    int32_t rc = SOURCE_ABSENT;

    if (way->n > 1)
        rc = static_keys(a, profile, out);
    if (rc == SOURCE_ABSENT && was_passed(way))
        return fail(a->err, PERSIST_BACKEND_CONFIG,
                    "profile %.80s: source_profile comes back to %.80s",
                    way->profiles[0], profile);
    if (rc == SOURCE_ABSENT) {
        rc = role_keys(a, way, profile, out, out_is_role);
        if (rc == PERSIST_BACKEND_OK)
            say_source(out, profile, "role");
    }
    if (rc == SOURCE_ABSENT) {
        rc = source_sso(a, profile, out);
        if (rc == PERSIST_BACKEND_OK)
            say_source(out, profile, "SSO");
    }
    if (rc == SOURCE_ABSENT && way->n == 1)
        rc = static_keys(a, profile, out);
    if (rc == SOURCE_ABSENT) {
        rc = source_process(a, profile, out);
        if (rc == PERSIST_BACKEND_OK)
            say_source(out, profile, "credential_process");
    }
    return rc;
}

static int32_t ask_profile(struct asking *a, const char *name, bool must_exist,
                           struct s3_credentials *out)
{
    struct way way = {.profiles = {name}, .n = 1};
    const struct profile_files *f;
    bool is_role = false;
    int32_t rc = asking_files(a, &f);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    if (!profile_exists(f, name)) {
        if (must_exist)
            return fail(a->err, PERSIST_BACKEND_CONFIG,
                        "profile %.80s is in neither %.150s nor %.150s (where "
                        "it is called [profile NAME])",
                        name, f->credentials_path, f->config_path);
        return asking_absent(a,
                             "there is no profile \"%.80s\" in %.60s or "
                             "%.60s",
                             name, f->credentials_path, f->config_path);
    }
    rc = keys_of(a, &way, out, &is_role);
    if (rc == SOURCE_ABSENT)
        return asking_absent(a, "profile %.80s says nothing of keys", name);
    return rc;
}

int32_t source_named_profile(struct asking *a, struct s3_credentials *out)
{
    const char *name = a->options->profile;
    int32_t rc;

    if (name == NULL)
        return asking_absent(a, "the option profile is not set");
    rc = ask_profile(a, name, true, out);
    if (rc == SOURCE_ABSENT)
        return fail(a->err, PERSIST_BACKEND_CONFIG, "%s", a->why);
    return rc;
}

int32_t source_profile(struct asking *a, struct s3_credentials *out)
{
    return ask_profile(a, asking_profile(a),
                       asking_variable(a, "AWS_PROFILE") != NULL, out);
}
