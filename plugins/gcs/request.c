/* SPDX-License-Identifier: Apache-2.0 */
/* What all requests share; what answers mean is status.c's.  A call that is to
 * stop sends nothing any more: what was not sent was surely not done. */
#include "gcs/request.h"

#include <string.h>

#include "gcs/credentials/credentials.h"
#include "support/encode.h"
#include "support/fail.h"

/* The same as S3's. */
#define COMMIT_TIMEOUT_MS (10 * 60 * 1000)
#define N_OWN 2 /* Authorization, x-goog-user-project */

static void fill(const struct gcs_request *q, const char *url,
                 struct http_request *out)
{
    *out = (struct http_request){
        .method = q->method,
        .url = url,
        .writes = q->writes,
        .fresh = q->fresh,
        .no_stall_limit = q->may_think,
        .timeout_ms = q->may_think ? COMMIT_TIMEOUT_MS : 0,
        .into = q->into,
        .into_cap = q->into_cap,
        .body_max = q->body_max,
    };
    memcpy(out->body, q->body, sizeof(out->body));
}

static size_t count_headers(const struct gcs_request *q, const char **lines)
{
    size_t n = 0;

    while (n < GCS_REQUEST_HEADERS && q->headers[n] != NULL) {
        lines[n] = q->headers[n];
        n++;
    }
    return n;
}

static void make_url(const struct gcs_store *s, const struct gcs_request *q,
                     struct text *url)
{
    text_add(url, s->options.origin);
    text_add(url, q->path);
    if (q->query != NULL)
        text_addf(url, "?%s", q->query);
    if (s->options.user_project != NULL) {
        text_add(url, q->query != NULL ? "&userProject=" : "?userProject=");
        percent_encode(url, s->options.user_project,
                       strlen(s->options.user_project), false);
    }
}

/* One sending with the token of now. *out_generation: for invalidating it. */
static int32_t send_once(struct gcs_store *s,
                         const struct persist_backend_call *call,
                         const struct gcs_request *q, const char *url,
                         struct http_response *r, uint64_t *out_generation,
                         struct persist_backend_error *err)
{
    const char *lines[GCS_REQUEST_HEADERS + N_OWN];
    struct text token = {.secret = true}, project = {0};
    struct http_request request;
    int32_t rc;

    fill(q, url, &request);
    request.headers = lines;
    request.n_headers = count_headers(q, lines);
    rc = gcs_credentials_header(s->credentials, call, &token, &project,
                                out_generation, err);
    if (rc == PERSIST_BACKEND_OK && token.len > 0)
        lines[request.n_headers++] = text_str(&token);
    if (rc == PERSIST_BACKEND_OK && project.len > 0)
        lines[request.n_headers++] = text_str(&project);
    if (rc == PERSIST_BACKEND_OK)
        rc = http_perform(s->http, call, &request, r, err);
    text_finish(&token);
    text_finish(&project);
    return rc;
}

int32_t request_send(struct gcs_store *s,
                     const struct persist_backend_call *call,
                     const struct gcs_request *q, struct http_response *r,
                     struct persist_backend_error *err)
{
    struct text url = {0};
    uint64_t generation = 0;
    int32_t rc = gcs_check_call(s, call, err);

    make_url(s, q, &url);
    if (rc == PERSIST_BACKEND_OK && url.failed)
        rc = fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    if (rc == PERSIST_BACKEND_OK)
        rc = send_once(s, call, q, text_str(&url), r, &generation, err);
    if (rc == PERSIST_BACKEND_OK && r->status == 401 && generation != 0) {
        gcs_credentials_refused(s->credentials, generation);
        http_response_finish(r);
        *r = (struct http_response){0};
        rc = send_once(s, call, q, text_str(&url), r, &generation, err);
    }
    if (rc == PERSIST_BACKEND_OK && r->status >= 200 && r->status < 300 &&
        !http_is_page(r) && !http_names_page(r))
        atomic_store_explicit(&s->seen, true, memory_order_relaxed);
    text_finish(&url);
    return rc;
}

int32_t request_send_session(struct gcs_store *s,
                             const struct persist_backend_call *call,
                             const char *uri, const struct gcs_request *q,
                             struct http_response *r,
                             struct persist_backend_error *err)
{
    const char *lines[GCS_REQUEST_HEADERS];
    struct http_request request;
    int32_t rc;

    fill(q, uri, &request);
    request.headers = lines;
    request.n_headers = count_headers(q, lines);
    rc = gcs_check_call(s, call, err);
    return rc != PERSIST_BACKEND_OK
               ? rc
               : http_perform(s->http, call, &request, r, err);
}
