/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a plugin's error to the caller's: texts made harmless, numbers copied,
 * what was attempted put in front, secrets scrubbed.  Does not decide what the
 * status is; store_call.c does.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/store_call.h"
#include "util/text.h"

bool store_text_ended(char *text, size_t len)
{
    bool ended = memchr(text, '\0', len) != NULL;

    text[len - 1] = '\0';
    return ended;
}

int64_t store_time_clean(int64_t us)
{
    if (us < TEXT_TIME_MIN_US)
        return TEXT_TIME_MIN_US;
    return us < TEXT_TIME_MAX_US ? us : TEXT_TIME_MAX_US;
}

struct store_verdict store_check_etag(char etag[PERSIST_BACKEND_ETAG_MAX])
{
    return store_bug(store_text_ended(etag, PERSIST_BACKEND_ETAG_MAX)
                         ? NULL
                         : "answered with an endless etag");
}

/* One line of printable UTF-8: a log and a terminal get it. */
void store_text_clean(char *text, size_t len)
{
    store_text_ended(text, len);
    bool utf8 = text_is_utf8(text, strlen(text));
    for (char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            *p = ' ';
        else if (c >= 0x80 && !utf8)
            *p = '?';
    }
}

void store_error_clean(struct persist_backend_error *e)
{
    store_text_clean(e->message, sizeof(e->message));
    store_text_clean(e->provider_code, sizeof(e->provider_code));
    store_text_clean(e->request_id, sizeof(e->request_id));
}

/* What is said where a backend fails without a word. */
static const char *default_reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        {PERSIST_E_NOT_FOUND, "it is not there"},
        {PERSIST_E_EXISTS, "it is already there"},
        {PERSIST_E_PRECONDITION, "the object changed"},
        {PERSIST_E_AUTH, "the credentials are missing, wrong or expired"},
        {PERSIST_E_DENIED, "permission denied"},
        {PERSIST_E_THROTTLED, "the store asks for fewer requests"},
        {PERSIST_E_TRANSIENT, "a passing failure"},
        {PERSIST_E_TIMEOUT, "it took too long"},
        {PERSIST_E_CANCELLED, "cancelled"},
        {PERSIST_E_CORRUPT, "the bytes differ from their checksum"},
        {PERSIST_E_NO_SPACE, "no space left"},
        {PERSIST_E_UNSUPPORTED, "the backend cannot do that"},
        {PERSIST_E_INVALID, "the store cannot take this argument"},
        {PERSIST_E_CONFIG, "the options are wrong"},
        {PERSIST_E_MEMORY, "out of memory"},
        {PERSIST_E_IO, "the medium failed"},
        {PERSIST_E_UNCERTAIN, "the answer was lost"},
        {PERSIST_E_NOT_DURABLE, "written, but a power loss may take it back"},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].status == status)
            return table[i].text;
    return "the backend failed and did not say why";
}

static void put_message(const struct store_failure *f, const char *reason,
                        struct persist_error *err)
{
    const char *doubt = f->status == PERSIST_E_UNCERTAIN
                            ? "it may or may not have happened: "
                            : "";
    uint64_t ms = f->elapsed_ns / 1000000;
    bool names_op = strncmp(reason, "cannot ", 7) == 0; /* "cannot read K:" */

    if (f->status == PERSIST_E_CANCELLED) /* the request does not matter */
        error_set(err, f->status, "%s", reason);
    else if (f->attempts < 2 && names_op)
        error_set(err, f->status, "%s%s", doubt, reason);
    else if (f->attempts < 2)
        error_set(err, f->status, "%s: %s%s", f->what, doubt, reason);
    else
        error_set(err, f->status,
                  "%s failed after %" PRIu32 " attempts in %" PRIu64 ".%" PRIu64
                  " s: %s%s",
                  f->what, f->attempts, ms / 1000, ms % 1000 / 100, doubt,
                  reason);
}

/* What a file system decides; services refuse without an errno value. */
static void hint_at_file_system(struct persist_error *err)
{
    if (err->hint[0])
        return;
    if (err->status == PERSIST_E_NO_SPACE &&
        (err->os_errno == ENOSPC || err->os_errno == EDQUOT))
        error_hint(err, "make room there; to delete a snapshot takes a few KiB "
                        "of it too, for its tombstone");
    if (err->status != PERSIST_E_DENIED)
        return;
    if (err->os_errno == EACCES)
        error_hint(err, "give user %u access there, with chown or chmod",
                   (unsigned)geteuid());
    else if (err->os_errno == EROFS)
        error_hint(err, "mount it for writing; a systemd unit names it in "
                        "ReadWritePaths=");
}

int store_error_fill(const struct backend_store *s,
                     const struct store_failure *failure,
                     struct persist_error *err)
{
    const struct persist_backend_error *e = failure->error;
    const char *reason = failure->reason;

    if (!err)
        return failure->status;
    if (!reason)
        reason =
            e && e->message[0] ? e->message : default_reason(failure->status);
    put_message(failure, reason, err);
    if (failure->starved)
        error_hint(err, "so many requests to this store failed lately that "
                        "they are not repeated for now; try again later");
    if (failure->key && failure->key[0])
        error_object(err, "%s", failure->key);
    err->attempts = failure->attempts;
    err->elapsed_ms = failure->elapsed_ns / 1000000;
    if (e) {
        if (e->present & PERSIST_BACKEND_ERROR_ERRNO)
            err->os_errno = e->os_errno;
        if (e->present & PERSIST_BACKEND_ERROR_HTTP_STATUS)
            err->http_status = e->http_status;
        snprintf(err->provider_code, sizeof(err->provider_code), "%s",
                 e->provider_code);
        snprintf(err->request_id, sizeof(err->request_id), "%s", e->request_id);
    }
    hint_at_file_system(err);
    if (s->env.log)
        log_redact(s->env.log, err->message);
    return failure->status;
}
