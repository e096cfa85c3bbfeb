/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One signed request.  Everything it is made of stands on the stack of the
 * calling thread; the session token is wiped with it.
 *
 * A refusal that the reply itself cures is cured once: another region, a clock
 * that is wrong, a token that has expired.  All are 3xx and 4xx: the request
 * was surely not carried out.  No Location is ever followed.
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "support/secret.h"

/* Amazon takes 15 minutes; a bare 403 is suspicious from here on. */
#define SUSPICIOUS_OFFSET_US ((int64_t)4 * 60 * 1000000)
#define LINES_CAP 24576

enum cure { CURE_NONE = 0, CURE_REGION = 1, CURE_CLOCK = 2, CURE_TOKEN = 4 };

/* All of one sending: on the heap, 70 KiB. */
struct sending {
    struct s3_credentials keys;
    struct endpoint_target target;
    char region[S3_REGION_CAP];
    char date[SIGN_DATE_CAP];
    char sha256[SIGN_SHA256_CAP];
    char authorization[SIGN_AUTHORIZATION_CAP];
    struct sign_header headers[SIGN_MAX_HEADERS];
    size_t n_headers;
    char lines[LINES_CAP]; /* what http_perform is given */
    size_t lines_len;      /* the most that was ever written */
    const char *line_at[HTTP_REQUEST_HEADERS_MAX];
    size_t n_lines;
};

void request_pair(struct request *r, const char *name, const char *value)
{
    r->query[r->n_query++] = (struct sign_pair){name, value};
}

void request_header(struct request *r, const char *name, const char *value)
{
    r->headers[r->n_headers++] = (struct sign_header){name, value};
}

int64_t store_now_us(const struct s3_store *s)
{
    return s->host->wall_us() + atomic_load(&s->clock_offset_us);
}

static bool is_payload_signed(const struct s3_store *s, const struct request *r)
{
    if (!r->is_data || s->set.sign_payload == S3_ALWAYS)
        return true;
    if (s->set.sign_payload == S3_NEVER)
        return false;
    return r->sign_data || !endpoint_is_tls(s);
}

static void add_header(struct sending *g, const char *name, const char *value)
{
    g->headers[g->n_headers++] = (struct sign_header){name, value};
}

/* Everything that is signed. */
static void collect_headers(const struct s3_store *s, const struct request *r,
                            struct sending *g)
{
    g->n_headers = 0;
    for (size_t i = 0; i < r->n_headers; i++)
        g->headers[g->n_headers++] = r->headers[i];
    add_header(g, "host", g->target.authority);
    add_header(g, "x-amz-content-sha256", g->sha256);
    add_header(g, "x-amz-date", g->date);
    if (g->keys.session_token[0] != '\0')
        add_header(g, "x-amz-security-token", g->keys.session_token);
    if (s->set.text[S3_BUCKET_OWNER] != NULL)
        add_header(g, "x-amz-expected-bucket-owner",
                   s->set.text[S3_BUCKET_OWNER]);
    if (s->set.number[S3_REQUEST_PAYER] != 0)
        add_header(g, "x-amz-request-payer", "requester");
}

static void add_line(struct sending *g, struct fixed *out, const char *name,
                     const char *value)
{
    g->line_at[g->n_lines++] = out->at + out->len;
    fixed_add(out, name);
    fixed_add(out, ": ");
    fixed_add(out, value);
    fixed_add_bytes(out, "", 1); /* each line is a text of its own */
}

static bool write_lines(struct sending *g)
{
    struct fixed out = fixed_over(g->lines, sizeof(g->lines));

    g->n_lines = 0;
    for (size_t i = 0; i < g->n_headers; i++)
        add_line(g, &out, g->headers[i].name, g->headers[i].value);
    add_line(g, &out, "authorization", g->authorization);
    /* Bytes as they are stored: nothing on the way may pack them. */
    add_line(g, &out, "accept-encoding", "identity");
    if (out.len > g->lines_len)
        g->lines_len = out.len;
    return out.ok;
}

/* Wipes what is secret, keys and the token among the lines: not all 70 KiB,
 * which would be a twentieth of a small put. */
static void sending_destroy(struct sending *g)
{
    if (g == NULL)
        return;
    s3_credentials_wipe(&g->keys);
    secret_wipe_bytes(g->lines, g->lines_len);
    free(g);
}

static struct sending *sending_create(void)
{
    struct sending *g = malloc(sizeof(*g));

    if (g != NULL)
        g->lines_len = 0;
    return g;
}

static int32_t prepare(struct s3_store *s,
                       const struct persist_backend_call *call,
                       const struct request *r, struct sending *g,
                       struct persist_backend_error *err)
{
    struct sign_request to_sign = {.method = r->method,
                                   .path = g->target.path,
                                   .query = g->target.query,
                                   .headers = g->headers,
                                   .payload_sha256 = g->sha256,
                                   .date = g->date,
                                   .region = g->region,
                                   .service = "s3",
                                   .access_key_id = g->keys.access_key_id,
                                   .secret_access_key =
                                       g->keys.secret_access_key};
    int32_t rc = s3_credentials_get(s->credentials, call, &g->keys, err);

    if (rc != PERSIST_BACKEND_OK)
        return rc;
    endpoint_region(s, g->region);
    rc = endpoint_target(s, g->region, r->key, r->query, r->n_query, &g->target,
                         err);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    sign_date(store_now_us(s), g->date);
    if (is_payload_signed(s, r))
        sign_sha256(r->body, (size_t)r->body_len, g->sha256);
    else
        memcpy(g->sha256, SIGN_UNSIGNED, sizeof(SIGN_UNSIGNED));
    collect_headers(s, r, g);
    to_sign.n_headers = g->n_headers;
    if (sign_request(&s->signer, &to_sign, g->authorization) != 0 ||
        !write_lines(g))
        return fail(err, PERSIST_BACKEND_INVALID,
                    "the request's headers are longer than any service takes");
    return PERSIST_BACKEND_OK;
}

static int32_t perform(struct s3_store *s,
                       const struct persist_backend_call *call,
                       const struct request *r, const struct sending *g,
                       struct http_response *response,
                       struct persist_backend_error *err)
{
    struct http_request h = {.method = r->method,
                             .url = g->target.url,
                             .headers = g->line_at,
                             .n_headers = g->n_lines,
                             .body = {{r->body, r->body_len}},
                             .writes = r->writes,
                             .expect_continue = r->expect_continue,
                             .no_stall_limit = r->no_stall_limit,
                             .timeout_ms = r->timeout_ms,
                             .allow_http = s->set.number[S3_ALLOW_HTTP] != 0,
                             .into = r->into,
                             .into_cap = r->into_cap,
                             .body_max = r->body_max};

    return http_perform(s->http, call, &h, response, err);
}

/* ------------------------------------------------------------------- cures */

static int32_t send_once(struct s3_store *s,
                         const struct persist_backend_call *call,
                         const struct request *r, struct sending *g,
                         struct http_response *response,
                         struct persist_backend_error *err)
{
    int32_t rc;

    http_response_finish(response);
    memset(response, 0, sizeof(*response));
    rc = prepare(s, call, r, g, err);
    return rc == PERSIST_BACKEND_OK ? perform(s, call, r, g, response, err)
                                    : rc;
}

/* A reply without a body and without the header: HEAD of the bucket carries it
 * whatever one may do there. */
static bool ask_region(struct s3_store *s,
                       const struct persist_backend_call *call,
                       const char *used)
{
    const struct request r = {.method = "HEAD"};
    struct persist_backend_error ignored = {.struct_size = sizeof(ignored)};
    struct http_response response = {0};
    struct sending *g = sending_create();
    const char *named = NULL;
    bool learned;

    if (g != NULL &&
        send_once(s, call, &r, g, &response, &ignored) == PERSIST_BACKEND_OK)
        named = http_header(&response, "x-amz-bucket-region");
    learned = named != NULL && endpoint_learn_region(s, used, named);
    http_response_finish(&response);
    sending_destroy(g);
    return learned;
}

static bool cure_region(struct s3_store *s,
                        const struct persist_backend_call *call,
                        const struct request *r, const struct sending *g,
                        const struct http_response *response,
                        const struct answer *answer)
{
    const char *named = http_header(response, "x-amz-bucket-region");
    int32_t status = response->status;

    if (status != 301 && status != 307 && status != 400)
        return false;
    if (named == NULL && answer->region[0] != '\0')
        named = answer->region;
    if (named != NULL)
        return endpoint_learn_region(s, g->region, named);
    if (status == 301 || strcmp(r->method, "HEAD") == 0)
        return r->key != NULL && ask_region(s, call, g->region);
    return false;
}

/* The server's Date against the clock the request was signed by. */
static bool cure_clock(struct s3_store *s, const struct request *r,
                       const struct http_response *response,
                       const struct answer *answer)
{
    int64_t offset, used = atomic_load(&s->clock_offset_us);
    bool said = strcmp(answer->code, "RequestTimeTooSkewed") == 0;
    bool silent = (response->status == 403 || response->status == 400) &&
                  strcmp(r->method, "HEAD") == 0;

    if ((!said && !silent) ||
        !http_clock_offset(response, s->host->wall_us(), &offset))
        return false;
    if (offset - used < SUSPICIOUS_OFFSET_US &&
        used - offset < SUSPICIOUS_OFFSET_US)
        return false;
    atomic_store(&s->clock_offset_us, offset);
    return true;
}

static bool cure_token(struct s3_store *s, const struct request *r,
                       const struct sending *g,
                       const struct http_response *response,
                       const struct answer *answer)
{
    static const char *const words[] = {"ExpiredToken", "ExpiredTokenException",
                                        "InvalidToken", "TokenRefreshRequired"};
    /* A HEAD's refusal has no body to say it in. */
    bool silent = response->status == 400 && strcmp(r->method, "HEAD") == 0 &&
                  g->keys.session_token[0] != '\0';

    if (silent) {
        s3_credentials_invalidate(s->credentials, g->keys.generation);
        return true;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(answer->code, words[i]) == 0) {
            s3_credentials_invalidate(s->credentials, g->keys.generation);
            return true;
        }
    return false;
}

/* What of `left` the reply cures. */
static unsigned find_cure(struct s3_store *s,
                          const struct persist_backend_call *call,
                          const struct request *r, const struct sending *g,
                          const struct http_response *response, unsigned left)
{
    struct answer answer;

    if (response->status < 300 || response->status >= 500)
        return CURE_NONE;
    answer_read(response, &answer);
    if ((left & CURE_REGION) && cure_region(s, call, r, g, response, &answer))
        return CURE_REGION;
    if ((left & CURE_CLOCK) && cure_clock(s, r, response, &answer))
        return CURE_CLOCK;
    if ((left & CURE_TOKEN) && cure_token(s, r, g, response, &answer))
        return CURE_TOKEN;
    return CURE_NONE;
}

/* A call that is to stop sends nothing; one that was stopped behind a write
 * cannot say that nothing was written. */
static int32_t check_call(const struct s3_store *s,
                          const struct persist_backend_call *call,
                          struct persist_backend_error *err)
{
    if (s->host->is_cancelled(call) != 0)
        return fail(err, PERSIST_BACKEND_CANCELLED, "cancelled");
    if ((call->present & PERSIST_BACKEND_CALL_DEADLINE) &&
        s->host->monotonic_ns() >= call->deadline_ns)
        return fail(err, PERSIST_BACKEND_TIMEOUT, "the deadline has passed");
    return PERSIST_BACKEND_OK;
}

int32_t request_send(struct s3_store *s,
                     const struct persist_backend_call *call,
                     const struct request *r, struct http_response *response,
                     struct persist_backend_error *err)
{
    struct sending *g = sending_create();
    unsigned left = CURE_REGION | CURE_CLOCK | CURE_TOKEN;
    unsigned cured = CURE_NONE;
    int32_t rc = PERSIST_BACKEND_INTERNAL;

    if (g == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    do {
        left &= ~cured;
        rc = check_call(s, call, err);
        if (rc == PERSIST_BACKEND_OK)
            rc = send_once(s, call, r, g, response, err);
        cured = rc == PERSIST_BACKEND_OK
                    ? find_cure(s, call, r, g, response, left)
                    : CURE_NONE;
    } while (cured != CURE_NONE);
    if (rc == PERSIST_BACKEND_OK && response->status >= 200 &&
        response->status < 300 && !answer_is_page(response))
        atomic_store(&s->bucket_seen, true);
    if (rc == PERSIST_BACKEND_CANCELLED && r->writes &&
        response->may_have_applied)
        rc = PERSIST_BACKEND_UNCERTAIN;
    sending_destroy(g);
    return rc;
}
