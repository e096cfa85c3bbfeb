/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upload of a long save: begun, sent, committed, taken back; begun anew
 * where the store dropped it and the source can be read again; and left as it
 * is for a later process where the save is to be resumed (save_resume.c).
 *
 * Decides nothing about indices; the machine of owner.h does.
 */
#include "engine/save.h"

#include <string.h>

#include "engine/save_resume.h"
#include "util/error.h"

/* A store that drops every upload is broken; one that met another writer is
 * not. */
#define RESTARTS_MAX 3

/* ------------------------------------------------------------------ upload
 */

/* Between parts: the machine may want its claim renewed, or end. */
static int between_parts(void *ctx, struct persist_error *err)
{
    struct saving *s = ctx;
    struct owner_request r;
    struct owner_answer a;

    while (owner_save_next(&s->machine, save_now(s), &r)) {
        if (r.verb == OWNER_SEND_DATA)
            return PERSIST_OK;
        if (r.verb != OWNER_RENEW_CLAIM)
            break;
        memset(&a, 0, sizeof a);
        save_put_claim(s, r.index, false, &a);
        owner_save_feed(&s->machine, &a);
        save_resume_claimed(s);
    }
    if (s->failure) {
        *err = s->last;
        return s->failure;
    }
    return error_set(err, PERSIST_E_CONFLICT, "the claim has expired");
}

static int begin_upload(struct saving *s, struct persist_error *err)
{
    uint64_t expected;
    bool known = upload_expected(s->up, &expected);
    char key[KEY_CAP];
    int rc;

    key_format(s->target.prefix, s->machine.index, KEY_DATA, key);
    if (!known)
        log_line(s->store->p->log, LOG_INFO,
                 "uploading a payload of unknown size",
                 log_text("store", s->store->name),
                 log_text("object", log_basename(key)),
                 log_u64("at_most_bytes", upload_ceiling(s->up)), LOG_END);
    rc = save_resume_continue(s, key, &s->upload, err);
    if (rc || s->upload)
        return rc;
    rc = backend_upload_begin(s->store->backend, s->op, key,
                              known ? &expected : NULL, &s->upload, err);
    return rc ? rc : save_resume_begun(s, err);
}

static int send_all(struct saving *s, struct persist_error *err)
{
    int rc;

    s->m.snapshot_index = s->machine.index;
    save_resume_claimed(s);
    rc = begin_upload(s, err);
    if (rc)
        return rc;
    return upload_send(s->up, &s->m, s->upload, between_parts, s,
                       &s->object_size, &s->object_crc, err);
}

/* ----------------------------------------------------------------- once more
 */

static void drop_upload(struct saving *s)
{
    struct persist_error err = {0};
    char key[KEY_CAP];

    if (!s->upload)
        return;
    key_format(s->target.prefix, s->machine.index, KEY_DATA, key);
    if (backend_upload_abort(s->upload, &err))
        engine_warn(s->store,
                    "an upload could not be aborted; cleanup will find it", key,
                    &err);
    backend_upload_destroy(s->upload);
    s->upload = NULL;
}

static bool can_restart(const struct saving *s)
{
    return (s->source->up.in_memory || s->source->is_regular) &&
           s->n_restarts < RESTARTS_MAX;
}

/* Everything from the start, for the same index: the payload is read and
 * encoded again and goes to a new upload. */
static int restart(struct saving *s, struct persist_error *err)
{
    bool whole = false;
    int rc;

    s->n_restarts++;
    drop_upload(s);
    save_resume_dropped(s);
    upload_close(s->up);
    s->up = NULL;
    s->source->op = s->op;
    rc = save_source_rewind(s->source, err);
    if (!rc)
        rc = save_open_payload(s, err);
    if (!rc)
        rc = upload_fill(s->up, &whole, err);
    if (!rc && whole)
        rc = error_set(err, PERSIST_E_INVALID,
                       "the source has changed while it was saved");
    return rc;
}

/* The upload is gone, or is not what the source is now. */
static bool upload_is_lost(const struct saving *s, int rc)
{
    return s->upload &&
           (rc == PERSIST_E_NOT_FOUND ||
            (rc == PERSIST_E_PRECONDITION && save_resume_continued(s)));
}

/* Before the commit nothing can be visible, so no answer may say that of the
 * save which a beginning or a part was given. */
static int definite(int rc, struct persist_error *err)
{
    if (rc == PERSIST_E_UNCERTAIN)
        rc = PERSIST_E_TRANSIENT;
    if (rc == PERSIST_E_NOT_DURABLE)
        rc = PERSIST_E_IO;
    err->status = rc;
    return rc;
}

void save_send(struct saving *s)
{
    struct persist_error err = {0};
    int rc = send_all(s, &err);

    if (upload_is_lost(s, rc) && can_restart(s) &&
        owner_save_again(&s->machine)) {
        memset(&err, 0, sizeof err);
        rc = restart(s, &err);
        if (!rc)
            return;
    }
    if (rc) {
        rc = definite(rc, &err);
        save_failed(s, rc, &err);
        owner_save_abort(&s->machine);
        return;
    }
    s->unchanged =
        save_is_unchanged(s, upload_sha256(s->up), upload_payload_len(s->up));
    if (s->unchanged)
        owner_save_abort(&s->machine);
    else
        owner_save_uploaded(&s->machine);
}

/* The store saw another write under way and dropped the upload with the commit
 * (object-stores.md 3.4); or, of a resumed one, it had dropped it before, or
 * holds something else than this run makes: of a part that was under way when
 * the earlier run ended nobody has a checksum. */
static bool upload_is_spent(const struct saving *s, int rc, bool maybe)
{
    return !maybe && (rc == PERSIST_E_PRECONDITION ||
                      ((rc == PERSIST_E_NOT_FOUND || rc == PERSIST_E_CORRUPT) &&
                       save_resume_continued(s)));
}

/* True: there is an answer to feed; false: it is sent again, or the machine has
 * been told to end. */
static bool settle_spent(struct saving *s, int *rc, struct persist_error *err)
{
    if (!can_restart(s) || !owner_save_again(&s->machine)) {
        error_prefix(err, "the store dropped the upload in favour of another "
                          "write, and the input cannot be read again");
        error_hint(err, "save it again");
        *rc = err->status = PERSIST_E_TRANSIENT;
        return true;
    }
    *rc = restart(s, err);
    if (*rc) {
        save_failed(s, *rc, err);
        owner_save_abort(&s->machine);
    }
    return false;
}

static int commit(struct saving *s, bool *out_maybe, struct persist_error *err)
{
    uint64_t first_ns =
        s->machine.commit_sent ? s->machine.commit_ns : save_now(s);
    struct persist_op op;
    int rc = save_check_claim(s, err);

    if (!rc)
        rc = save_resume_committing(s, err);
    if (!rc)
        rc = save_bound_op(s, first_ns + OWNER_REPEAT_NS, &op, err);
    if (rc)
        return rc;
    rc = backend_upload_commit(s->upload, &op, s->object_size, s->object_crc,
                               out_maybe, err);
    op_finish(&op);
    return rc;
}

void save_commit(struct saving *s, struct owner_answer *a)
{
    struct persist_error err = {0};
    bool maybe = false;
    int rc = commit(s, &maybe, &err);

    if (upload_is_spent(s, rc, maybe) && !settle_spent(s, &rc, &err))
        return;
    s->committed = rc == PERSIST_OK || rc == PERSIST_E_NOT_DURABLE;
    save_answer(s, rc, maybe, &err, a);
}

/* Also where the data was found to be there: after "exists" the upload is still
 * open. */
void save_end_upload(struct saving *s)
{
    if (s->upload && !s->committed && !s->left) {
        drop_upload(s);
        return;
    }
    backend_upload_destroy(s->upload);
    s->upload = NULL;
}
