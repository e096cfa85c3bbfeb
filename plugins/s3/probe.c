/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person debugging the store wants to know.  Looks only: what may be
 * written and deleted is tried by the host, with objects of its own.  Every
 * trouble is a finding, none an error, so that one does not hide the next.
 */
#include "s3.h"

#include <string.h>

struct prober {
    struct s3_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_probe_args *args;
    bool stopped;
};

static void tell(struct prober *p, uint32_t verdict, const char *name,
                 const char *value, const char *hint)
{
    struct persist_backend_finding finding = {.struct_size = sizeof(finding),
                                              .verdict = verdict,
                                              .name = name,
                                              .value = value,
                                              .hint = hint};

    if (!p->stopped)
        p->stopped = p->args->emit(p->args->emit_ctx, &finding) != 0;
}

static void tell_endpoint(struct prober *p)
{
    const struct s3_settings *set = &p->s->set;
    char text[1024];
    struct fixed t = fixed_over(text, sizeof(text));

    endpoint_name(p->s, &t);
    fixed_add(&t, " (");
    fixed_add(&t, set->custom ? set->endpoint_origin : "Amazon S3");
    fixed_add(&t, ")");
    tell(p, PERSIST_BACKEND_FINDING_INFO, "endpoint", text, NULL);
    tell(p, PERSIST_BACKEND_FINDING_INFO, "addressing",
         set->path_style ? "path" : "virtual", NULL);
    if (!endpoint_is_tls(p->s))
        tell(p, PERSIST_BACKEND_FINDING_WARN, "encryption",
             "plain http: nothing is encrypted on the way",
             "use an https endpoint");
}

static void tell_region(struct prober *p)
{
    char text[256];
    struct fixed t = fixed_over(text, sizeof(text));
    const char *origin;
    char region[S3_REGION_CAP];

    endpoint_region(p->s, region);
    pthread_mutex_lock(&p->s->lock);
    origin = p->s->region_origin;
    pthread_mutex_unlock(&p->s->lock);
    fixed_add(&t, region);
    fixed_add(&t, " (");
    fixed_add(&t, origin);
    fixed_add(&t, ")");
    tell(p, PERSIST_BACKEND_FINDING_INFO, "region", text, NULL);
}

/* The offset of any reply; beyond 15 minutes S3 refuses signatures, and the
 * store has corrected for it. */
static void tell_clock(struct prober *p, const struct http_response *response)
{
    int64_t offset, size;
    char text[128];
    struct fixed t = fixed_over(text, sizeof(text));
    bool wrong;

    if (!http_clock_offset(response, p->s->host->wall_us(), &offset)) {
        tell(p, PERSIST_BACKEND_FINDING_WARN, "clock-skew",
             "the service does not tell its time", NULL);
        return;
    }
    size = (offset < 0 ? -offset : offset) / 1000000;
    wrong = size >= 240;
    fixed_add_number(&t, (uint64_t)size);
    fixed_add(&t, offset < 0 ? " s: this machine's clock is ahead"
                             : " s: this machine's clock is behind");
    tell(p, wrong ? PERSIST_BACKEND_FINDING_WARN : PERSIST_BACKEND_FINDING_OK,
         "clock-skew", size == 0 ? "none" : text,
         wrong ? "set the clock; S3 refuses requests that are 15 minutes off"
               : NULL);
}

static void tell_checksum(struct prober *p)
{
    static const char *const names[] = {[S3_CRC_WHOLE] = "CRC-32C",
                                        [S3_CRC_PARTS] = "CRC-32C of the parts",
                                        [S3_MD5] = "Content-MD5",
                                        [S3_SHA256] =
                                            "SHA-256 in the signature",
                                        [S3_UNCHECKED] = "none"};
    enum s3_checksum put = checksum_level(p->s, false);
    enum s3_checksum upload = checksum_level(p->s, true);
    char text[160];
    struct fixed t = fixed_over(text, sizeof(text));

    fixed_add(&t, names[put]);
    fixed_add(&t, "; uploads: ");
    fixed_add(&t, names[upload]);
    if (p->s->set.custom && p->s->set.checksum == S3_AUTO)
        fixed_add(&t, " (as learned so far)");
    tell(p, PERSIST_BACKEND_FINDING_INFO, "checksum", text, NULL);
}

/* One listing of one key: does the bucket answer, and may it be read? */
static void look_at_bucket(struct prober *p)
{
    struct s3_store *s = p->s;
    struct request r = {.method = "GET"};
    struct http_response response = {0};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    char hint[512];
    struct fixed h = fixed_over(hint, sizeof(hint));
    int32_t rc;

    request_pair(&r, "list-type", "2");
    request_pair(&r, "max-keys", "1");
    request_pair(&r, "prefix", s->set.prefix);
    rc = request_send(s, p->call, &r, &response, &err);
    if (rc == PERSIST_BACKEND_OK)
        tell_clock(p, &response);
    if (rc == PERSIST_BACKEND_OK && response.status != 200)
        rc = answer_fail(s, &response, "list", s->set.prefix, "s3:ListBucket",
                         &err);
    if (rc == PERSIST_BACKEND_OK && http_is_page(&response))
        rc = answer_odd(s, &response, PERSIST_BACKEND_CONFIG, "list",
                        s->set.prefix, "", &err);
    if (rc == PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_OK, "bucket", s->set.text[S3_BUCKET],
             NULL);
    fixed_add(&h, "allow s3:ListBucket on arn:aws:s3:::");
    fixed_add(&h, s->set.text[S3_BUCKET]);
    fixed_add(&h, " for the prefix ");
    fixed_add(&h, s->set.prefix);
    fixed_add(&h, "*");
    if (rc == PERSIST_BACKEND_AUTH && response.status == 0)
        tell(p, PERSIST_BACKEND_FINDING_INFO, "bucket",
             "not tried: there are no credentials", NULL);
    else if (rc != PERSIST_BACKEND_OK)
        tell(p, PERSIST_BACKEND_FINDING_FAIL, "bucket", err.message,
             rc == PERSIST_BACKEND_DENIED ? hint : NULL);
    http_response_finish(&response);
}

int32_t s3_probe(void *store, const struct persist_backend_call *call,
                 const struct persist_backend_probe_args *args,
                 struct persist_backend_probe_result *result,
                 struct persist_backend_error *err)
{
    struct prober p = {.s = store, .call = call, .args = args};
    int32_t rc = s3_credentials_describe(p.s->credentials, call, args->emit,
                                         args->emit_ctx, err);

    (void)result;
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    tell_endpoint(&p);
    look_at_bucket(&p);
    tell_region(&p); /* behind the request that may have corrected it */
    tell_checksum(&p);
    return PERSIST_BACKEND_OK;
}
