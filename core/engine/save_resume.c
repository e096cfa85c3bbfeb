/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See save_resume.h.  The file's bytes are resume_point.c's, the rules about
 * claims owner.c's.
 */
#include "engine/save_resume.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/identity.h"
#include "engine/open.h"
#include "engine/resume_point.h"
#include "format/snapshot.h"
#include "posix/os.h"
#include "services/state.h"
#include "util/error.h"

struct resume {
    struct resume_owner owner;
    char name[RESUME_NAME_CAP];
    int lock_fd;
    struct save_source_look look; /* of the source, now */
    bool adopted;                 /* this save goes on with the point's claim */
    bool continued;               /* ... and with its upload */
    pthread_mutex_t mutex;     /* parts are acknowledged on several threads */
    struct resume_point point; /* under mutex while they are */
    bool has_file;             /* under mutex */
    bool failed_to_write;      /* under mutex */
    size_t n_written;          /* receipts in the file; under mutex */
};

static const char *state_dir(const struct saving *s)
{
    return s->store->p->state_dir;
}

/* -------------------------------------------------------------------- file
 */

static void locked_write(struct saving *s)
{
    struct resume *r = s->resume;
    struct persist_error err = {0};
    struct buf bytes;
    int rc;

    r->point.updated_us = clock_wall_us(s->store->p->clock);
    buf_init(&bytes, STATE_PAYLOAD_MAX);
    rc = resume_encode(&r->owner, &r->point, &bytes)
             ? state_write(state_dir(s), r->name, bytes.data, bytes.len, &err)
             : error_memory(&err);
    if (bytes.data)
        os_wipe(bytes.data, bytes.len); /* the upload id */
    buf_finish(&bytes);
    if (rc && !r->failed_to_write)
        engine_warn(s->store,
                    "what is needed to resume could not be written down",
                    s->target.prefix, &err);
    r->failed_to_write = rc != PERSIST_OK;
    if (rc)
        return;
    r->has_file = true;
    r->n_written = r->point.n_receipts;
}

static void remove_file(struct saving *s)
{
    struct persist_error err = {0};

    if (s->resume->has_file &&
        state_remove(state_dir(s), s->resume->name, &err))
        engine_warn(s->store, "a file for resuming could not be removed",
                    s->target.prefix, &err);
    s->resume->has_file = false;
}

/* With many parts not after each one: the file is written as a whole. */
static void acknowledged(void *ctx, const struct backend_receipt *receipt)
{
    struct saving *s = ctx;
    struct resume *r = s->resume;

    pthread_mutex_lock(&r->mutex);
    if (resume_point_add(&r->point, receipt) &&
        r->point.n_receipts - r->n_written >= 1 + r->point.n_receipts / 256)
        locked_write(s);
    pthread_mutex_unlock(&r->mutex);
}

/* ----------------------------------------------------------------- opening
 */

static int check_possible(const struct saving *s, struct persist_error *err)
{
    if (!s->source->is_regular || !s->source->up.has_size) {
        error_set(err, PERSIST_E_INVALID,
                  "only a file can be resumed: this input cannot be read "
                  "again");
        error_hint(err, "write it to a file first, and save that");
        return PERSIST_E_INVALID;
    }
    if (state_dir(s))
        return PERSIST_OK;
    error_set(err, PERSIST_E_UNSUPPORTED,
              "there is no place to write down what is needed to resume");
    error_hint(err, "set XDG_STATE_HOME or HOME");
    return PERSIST_E_UNSUPPORTED;
}

static struct resume *create(void)
{
    struct resume *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    if (pthread_mutex_init(&r->mutex, NULL)) {
        free(r);
        return NULL;
    }
    r->lock_fd = -1;
    resume_owner_init(&r->owner);
    resume_point_init(&r->point);
    return r;
}

static void destroy(const char *dir, struct resume *r)
{
    state_unlock(dir, r->name, r->lock_fd);
    resume_owner_finish(&r->owner);
    resume_point_finish(&r->point);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static int name_it(struct saving *s, struct persist_error *err)
{
    struct resume *r = s->resume;
    int rc;

    backend_store_identity(s->store->backend, &r->owner.store);
    memcpy(r->owner.prefix, s->target.prefix, sizeof r->owner.prefix);
    rc = save_source_identify(s->source, &r->owner.source, &r->look, err);
    if (!rc && buf_failed(&r->owner.store))
        rc = error_memory(err);
    if (!rc)
        resume_owner_name(&r->owner, r->name);
    return rc;
}

static void reset_point(struct resume *r)
{
    resume_point_finish(&r->point);
    resume_point_init(&r->point);
}

/* True: there is a file of this very save. */
static bool read_file(struct saving *s)
{
    struct resume *r = s->resume;
    struct persist_error err = {0};
    struct resume_owner owner;
    struct buf bytes;
    bool good = false;
    int rc;

    buf_init(&bytes, STATE_PAYLOAD_MAX);
    resume_owner_init(&owner);
    rc = state_read(state_dir(s), r->name, &bytes, &err);
    if (!rc) {
        good = resume_decode(bytes.data, bytes.len, &owner, &r->point) &&
               resume_owner_equal(&owner, &r->owner);
        if (!good)
            error_set(&err, PERSIST_E_CORRUPT,
                      "it is of another version or another save");
    }
    if (!good && rc != PERSIST_E_NOT_FOUND)
        engine_warn(s->store, "a file for resuming is passed over",
                    s->target.prefix, &err);
    r->has_file = rc != PERSIST_E_NOT_FOUND;
    if (!good)
        reset_point(r);
    if (bytes.data)
        os_wipe(bytes.data, bytes.len);
    buf_finish(&bytes);
    resume_owner_finish(&owner);
    return good;
}

/* ----------------------------------------------- what the store says of it
 */

static int look_at(struct saving *s, enum key_kind kind, struct identity *out,
                   struct persist_error *err)
{
    char key[KEY_CAP];

    key_format(s->target.prefix, s->resume->point.index, kind, key);
    return identity_read(s->store, s->op, key, false, out, err);
}

static bool is_ours(const struct saving *s, const struct identity *i,
                    enum identity_kind kind)
{
    return i->kind == kind && strcmp(i->id, s->resume->point.snapshot_id) == 0;
}

static bool source_is_as_it_was(const struct resume *r)
{
    return r->look.size == r->point.source_size &&
           r->look.mtime_ns == r->point.source_mtime_ns;
}

static void note(const struct saving *s, const char *message)
{
    log_line(s->store->p->log, LOG_INFO, message,
             log_text("store", s->store->name),
             log_u64("index", s->resume->point.index), LOG_END);
}

static void abort_old_upload(struct saving *s)
{
    struct resume *r = s->resume;
    struct persist_error err = {0};
    char key[KEY_CAP];

    if (!r->point.upload_id[0])
        return;
    key_format(s->target.prefix, r->point.index, KEY_DATA, key);
    if (backend_remove_leftover(s->store->backend, s->op, key,
                                r->point.upload_id, &err))
        engine_warn(s->store,
                    "an old upload could not be aborted; cleanup will find it",
                    key, &err);
    os_wipe(r->point.upload_id, sizeof r->point.upload_id);
    r->point.n_receipts = 0;
}

/* What was begun leads nowhere.  bury: the claim is ours and young, so that a
 * tombstone over it lets fenced saves go on at once. */
static void give_up_old(struct saving *s, bool bury)
{
    struct resume *r = s->resume;
    struct persist_error err = {0};
    char key[KEY_CAP];

    abort_old_upload(s);
    key_format(s->target.prefix, r->point.index, KEY_SNAP, key);
    if (bury && save_put_tombstone(s, key, r->point.snapshot_id, false, &err))
        engine_warn(s->store, "an old claim could not be given up", key, &err);
    remove_file(s);
    reset_point(r);
    r->adopted = r->continued = false;
}

/* The header that this save would write under the old one's names. */
static bool header_is_as_it_was(struct saving *s)
{
    struct resume *r = s->resume;
    struct persist_metadata m = s->m;
    struct buf header;
    bool same;

    m.snapshot_id = r->point.snapshot_id;
    m.timestamp = r->point.time;
    m.snapshot_index = r->point.index;
    buf_init(&header, SNAPSHOT_HEADER_MAX);
    same = !snapshot_header_encode(s->codec, &m, &header, NULL) &&
           header.len == r->point.header.len &&
           memcmp(header.data, r->point.header.data, header.len) == 0;
    buf_finish(&header);
    return same &&
           (!(s->o.flags & PERSIST_SAVE_INDEX) || s->o.index == r->point.index);
}

/* From here on the save is the old one. */
static void adopt(struct saving *s)
{
    struct resume *r = s->resume;

    memcpy(s->id, r->point.snapshot_id, sizeof s->id);
    memcpy(s->time, r->point.time, sizeof s->time);
    r->adopted = true;
    r->continued = source_is_as_it_was(r);
    if (r->continued) {
        note(s, "going on with an interrupted upload");
        return;
    }
    note(s, "the source has changed since: its upload starts anew");
    abort_old_upload(s);
}

static int hand_over_finished(struct saving *s, struct persist_metadata **out,
                              struct persist_error *err)
{
    struct target t = s->target;
    struct download *d = NULL;
    struct place place;
    int rc;

    t.has_index = true;
    t.index = s->resume->point.index;
    rc = open_snapshot(s->store, s->op, &t, OPEN_METADATA, &place, &d, err);
    if (!rc && out)
        *out = download_take_metadata(d);
    download_close(d);
    return rc;
}

/* The earlier process had finished.  Its snapshot stays; it is this save's too
 * where nothing has changed since. */
static int found_finished(struct saving *s, bool *out_done,
                          struct persist_metadata **out,
                          struct persist_error *err)
{
    int rc = PERSIST_OK;

    if (header_is_as_it_was(s) && source_is_as_it_was(s->resume)) {
        note(s, "the interrupted save had finished");
        rc = hand_over_finished(s, out, err);
        *out_done = !rc;
    }
    if (!rc) {
        remove_file(s);
        reset_point(s->resume);
    }
    return rc;
}

static int found_claim(struct saving *s, const struct identity *snap)
{
    struct resume *r = s->resume;
    uint64_t age = resume_claim_age_ns(&r->point, s->store->p->clock);
    bool ours = is_ours(s, snap, IDENTITY_CLAIM);
    bool young = age <= OWNER_RESUME_NS;

    if (!ours || !young) {
        note(s, ours ? "an interrupted upload is too old to go on with"
                     : "the index of an interrupted upload is not ours any "
                       "more");
        give_up_old(s, false);
    } else if (!header_is_as_it_was(s)) {
        note(s, "an interrupted upload was begun with other options");
        give_up_old(s, true);
    } else if (r->point.commit_sent && !source_is_as_it_was(r)) {
        /* A commit that may still come would bring the old bytes under this
         * save's name; a tombstone wins over it. */
        note(s, "the source has changed since its upload was committed");
        give_up_old(s, true);
    } else {
        adopt(s);
    }
    return PERSIST_OK;
}

static int examine(struct saving *s, bool *out_done,
                   struct persist_metadata **out, struct persist_error *err)
{
    struct identity data = {0}, snap = {0};
    int rc = look_at(s, KEY_DATA, &data, err);

    if (!rc)
        rc = look_at(s, KEY_SNAP, &snap, err);
    if (rc)
        return rc;
    if (is_ours(s, &data, IDENTITY_SNAPSHOT) &&
        is_ours(s, &snap, IDENTITY_CLAIM))
        return found_finished(s, out_done, out, err);
    return found_claim(s, &snap);
}

int save_resume_open(struct saving *s, bool *out_done,
                     struct persist_metadata **out, struct persist_error *err)
{
    int rc;

    *out_done = false;
    if (!(s->o.flags & PERSIST_SAVE_RESUME) || s->dry_run)
        return PERSIST_OK;
    if (!(backend_store_limits(s->store->backend)->flags &
          PERSIST_BACKEND_RESUMABLE)) {
        log_line(s->store->p->log, LOG_INFO,
                 "this store cannot resume uploads: an interrupted save starts "
                 "anew",
                 log_text("store", s->store->name), LOG_END);
        return PERSIST_OK;
    }
    rc = check_possible(s, err);
    if (rc)
        return rc;
    s->resume = create();
    if (!s->resume)
        return error_memory(err);
    rc = name_it(s, err);
    if (!rc)
        rc =
            state_lock(state_dir(s), s->resume->name, &s->resume->lock_fd, err);
    if (rc || !read_file(s))
        return rc;
    return examine(s, out_done, out, err);
}

int save_resume_fits(struct saving *s, bool whole, struct persist_error *err)
{
    struct resume *r = s->resume;

    (void)err;
    if (!r || !r->adopted)
        return PERSIST_OK;
    /* It has shrunk to what one put takes, which has an index of its own; or it
     * is the latest anyway. */
    if (whole || s->unchanged) {
        give_up_old(s, true);
        return save_rename(s, err);
    }
    if (r->continued && upload_part_size(s->up) != r->point.part_size) {
        note(s, "parts have another size now: the upload starts anew");
        abort_old_upload(s);
        r->continued = false;
    }
    return PERSIST_OK;
}

uint64_t save_resume_part_size(const struct saving *s)
{
    return s->resume && s->resume->continued ? s->resume->point.part_size : 0;
}

/* ----------------------------------------------------------------- running
 */

bool save_resume_start(struct saving *s)
{
    struct resume *r = s->resume;

    if (!r || !r->adopted)
        return false;
    const struct owner_resume what = {
        .index = r->point.index,
        .now_ns = save_now(s),
        .age_ns = resume_claim_age_ns(&r->point, s->store->p->clock),
        .commit_sent = r->point.commit_sent,
    };
    owner_save_resume(&s->machine, &what);
    return true;
}

int save_resume_continue(struct saving *s, const char *key,
                         struct backend_upload **out, struct persist_error *err)
{
    struct resume *r = s->resume;
    int rc;

    *out = NULL;
    if (!r || !r->continued)
        return PERSIST_OK;
    rc = backend_upload_continue(s->store->backend, key, r->point.upload_id,
                                 r->point.receipts, r->point.n_receipts, out,
                                 err);
    if (!rc)
        backend_upload_watch(*out, acknowledged, s);
    return rc;
}

bool save_resume_continued(const struct saving *s)
{
    return s->resume && s->resume->continued;
}

static void note_claim(struct saving *s)
{
    struct resume_point *p = &s->resume->point;
    uint64_t now_ns = save_now(s);
    uint64_t age_ns = now_ns - s->machine.claim_ns;

    p->claim_boot_ns = s->machine.claim_ns;
    p->claim_us =
        clock_wall_us(s->store->p->clock) - (int64_t)(age_ns / 1000) - 1;
    resume_boot_id(p->boot_id);
}

int save_resume_begun(struct saving *s, struct persist_error *err)
{
    struct resume *r = s->resume;
    struct resume_point *p;
    const char *id;
    int rc;

    if (!r)
        return PERSIST_OK;
    p = &r->point;
    id = backend_upload_id(s->upload);
    note_claim(s);
    p->index = s->machine.index;
    p->commit_sent = s->machine.ghost;
    memcpy(p->snapshot_id, s->id, sizeof s->id);
    memcpy(p->time, s->time, sizeof s->time);
    p->source_size = r->look.size;
    p->source_mtime_ns = r->look.mtime_ns;
    p->part_size = upload_part_size(s->up);
    p->n_receipts = 0;
    memcpy(p->upload_id, id, strlen(id) + 1);
    buf_clear(&p->header);
    rc = snapshot_header_encode(s->codec, &s->m, &p->header, err);
    if (rc)
        return rc;
    pthread_mutex_lock(&r->mutex);
    locked_write(s);
    pthread_mutex_unlock(&r->mutex);
    backend_upload_watch(s->upload, acknowledged, s);
    return PERSIST_OK;
}

void save_resume_claimed(struct saving *s)
{
    if (!s->resume || !s->resume->has_file || s->machine.result)
        return;
    pthread_mutex_lock(&s->resume->mutex);
    note_claim(s);
    locked_write(s);
    pthread_mutex_unlock(&s->resume->mutex);
}

void save_resume_dropped(struct saving *s)
{
    if (!s->resume)
        return;
    s->resume->continued = false;
    s->resume->point.n_receipts = 0;
    os_wipe(s->resume->point.upload_id, sizeof s->resume->point.upload_id);
    remove_file(s);
}

/* A later process must know that the commit may have been sent: without that
 * word there must be no file. */
int save_resume_committing(struct saving *s, struct persist_error *err)
{
    struct resume *r = s->resume;
    int rc = PERSIST_OK;

    if (!r || (r->point.commit_sent && !r->failed_to_write))
        return PERSIST_OK;
    r->point.commit_sent = true;
    locked_write(s);
    if (!r->failed_to_write)
        return PERSIST_OK;
    if (r->has_file)
        rc = state_remove(state_dir(s), r->name, err);
    r->has_file = rc != PERSIST_OK;
    return rc;
}

/* --------------------------------------------------------------------- end
 */

static bool can_be_resumed(const struct saving *s)
{
    return s->resume && s->resume->has_file && !s->unchanged &&
           s->resume->point.upload_id[0];
}

bool save_resume_leaves(struct saving *s)
{
    if (!can_be_resumed(s) || !owner_save_leave(&s->machine))
        return false;
    s->left = true;
    return true;
}

void save_resume_settle(struct saving *s)
{
    if (can_be_resumed(s) && s->machine.result == OWNER_UNRESOLVED)
        s->left = true;
}

void save_resume_close(struct saving *s, struct persist_error *err)
{
    struct resume *r = s->resume;

    if (!r)
        return;
    /* The machine was never started: what was found stays as it is. */
    bool stays = s->left || (err && r->has_file && !s->machine.rules);
    if (s->left && r->n_written != r->point.n_receipts)
        locked_write(s);
    if (!stays)
        remove_file(s);
    if (err && stays && !err->hint[0])
        error_hint(err, "save the same file with the same options again to go "
                        "on where it stopped (--resume)");
    destroy(state_dir(s), r);
    s->resume = NULL;
}
