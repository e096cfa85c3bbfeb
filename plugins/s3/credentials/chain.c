/* SPDX-License-Identifier: Apache-2.0 */
/* The order of the sources. */
#include "s3/credentials/source.h"

#include <stdio.h>
#include <string.h>

#include "support/fail.h"

static const struct {
    const char *name;
    int32_t (*ask)(struct asking *a, struct s3_credentials *out);
} sources[N_SOURCES] = {
    [SOURCE_OPTIONS] = {"options", source_options},
    [SOURCE_NAMED_PROFILE] = {"profile option", source_named_profile},
    [SOURCE_ENVIRONMENT] = {"environment", source_environment},
    [SOURCE_WEB_IDENTITY] = {"web identity", source_web_identity},
    [SOURCE_PROFILE] = {"profile", source_profile},
    [SOURCE_CONTAINER] = {"container", source_container},
    [SOURCE_INSTANCE] = {"instance metadata", source_instance},
};

const char *chain_source_name(enum source_id id)
{
    return sources[id].name;
}

static int32_t ask(struct asking *a, enum source_id id,
                   struct s3_credentials *out, struct verdict *verdict)
{
    int32_t rc;

    a->why[0] = '\0';
    (void)snprintf(out->source, sizeof(out->source), "%s", sources[id].name);
    rc = sources[id].ask(a, out);
    verdict->is = VERDICT_USED;
    verdict->why[0] = '\0';
    if (rc == SOURCE_ABSENT) {
        verdict->is = VERDICT_ABSENT;
        memcpy(verdict->why, a->why, sizeof(verdict->why));
    } else if (rc != PERSIST_BACKEND_OK) {
        verdict->is = VERDICT_BROKEN;
        (void)snprintf(verdict->why, sizeof(verdict->why), "%.200s",
                       a->err->message);
    }
    if (rc != PERSIST_BACKEND_OK)
        s3_credentials_wipe(out);
    return rc;
}

static int32_t nobody(struct asking *a, const struct verdict *verdicts)
{
    return fail(a->err, PERSIST_BACKEND_AUTH,
                "no credentials: %s; instance metadata: %s. Set "
                "AWS_ACCESS_KEY_ID or the store's profile",
                verdicts[SOURCE_PROFILE].why, verdicts[SOURCE_INSTANCE].why);
}

int32_t chain_ask(struct asking *a, enum source_id only,
                  struct s3_credentials *out, enum source_id *out_source,
                  struct verdict verdicts[N_SOURCES])
{
    int32_t rc;

    if (only != N_SOURCES) {
        *out_source = only;
        rc = ask(a, only, out, &verdicts[only]);
        if (rc == SOURCE_ABSENT)
            return fail(a->err, PERSIST_BACKEND_AUTH,
                        "the keys came from %s, which has none any more: %s",
                        sources[only].name, a->why);
        return rc;
    }
    memset(verdicts, 0, sizeof(struct verdict) * N_SOURCES);
    for (int id = 0; id < N_SOURCES; id++) {
        rc = ask(a, (enum source_id)id, out, &verdicts[id]);
        *out_source = (enum source_id)id;
        if (rc != SOURCE_ABSENT)
            return rc;
    }
    return nobody(a, verdicts);
}
