/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving: the four public calls, what a new snapshot says of itself, and how a
 * save ended.
 *
 * The requests are in save_steps.c, the rules about indices in owner.c, the
 * bytes in transfer/upload.
 */
#include "engine/save.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/open.h"
#include "engine/save_resume.h"
#include "format/snapshot.h"
#include "util/error.h"

const uint32_t save_known_flags =
    PERSIST_SAVE_INDEX | PERSIST_SAVE_AFTER | PERSIST_SAVE_LEVEL |
    PERSIST_SAVE_SKIP_UNCHANGED | PERSIST_SAVE_SIZE_HINT |
    PERSIST_SAVE_DRY_RUN | PERSIST_SAVE_TIMESTAMP | PERSIST_SAVE_RESUME;

/* ------------------------------------------------------------ what is asked
 */

static int no_such_level(enum codec codec, int level, struct persist_error *err)
{
    const struct codec_levels zstd = codec_levels(CODEC_ZSTD);
    const struct codec_levels gzip = codec_levels(CODEC_GZIP);

    return error_set(err, PERSIST_E_INVALID,
                     "%s has no level %d: zstd takes %d to %d, gzip %d to %d",
                     codec_name(codec), level, zstd.min, zstd.max, gzip.min,
                     gzip.max);
}

static int check_codec(struct saving *s, struct persist_error *err)
{
    int level;

    if (s->o.compression < PERSIST_COMPRESSION_DEFAULT ||
        s->o.compression > PERSIST_COMPRESSION_GZIP)
        return error_set(err, PERSIST_E_INVALID, "no compression number %d",
                         (int)s->o.compression);
    s->codec =
        s->o.compression == PERSIST_COMPRESSION_GZIP ? CODEC_GZIP : CODEC_ZSTD;
    level = s->o.flags & PERSIST_SAVE_LEVEL ? s->o.level
                                            : codec_level_default(s->codec);
    if (!codec_level_ok(s->codec, level))
        return no_such_level(s->codec, level, err);
    if (!s->o.frame_size)
        s->o.frame_size = FRAME_SIZE_DEFAULT;
    if (!codec_frame_size_ok(s->o.frame_size))
        return error_set(err, PERSIST_E_INVALID,
                         "frame_size must be a power of two from 64 KiB to 16 "
                         "MiB, not %" PRIu64,
                         s->o.frame_size);
    s->m.compression_algorithm = codec_name(s->codec);
    s->m.compression_level = level;
    s->m.frame_size = s->o.frame_size;
    return PERSIST_OK;
}

static int check_flagged(const struct persist_save_options *o,
                         struct persist_error *err)
{
    const struct flagged_member members[] = {
        {"index", PERSIST_SAVE_INDEX, "PERSIST_SAVE_INDEX", o->index != 0},
        {"after", PERSIST_SAVE_AFTER, "PERSIST_SAVE_AFTER", o->after != 0},
        {"level", PERSIST_SAVE_LEVEL, "PERSIST_SAVE_LEVEL", o->level != 0},
        {"size_hint", PERSIST_SAVE_SIZE_HINT, "PERSIST_SAVE_SIZE_HINT",
         o->size_hint != 0},
        {"timestamp_us", PERSIST_SAVE_TIMESTAMP, "PERSIST_SAVE_TIMESTAMP",
         o->timestamp_us != 0},
    };

    return engine_flagged(o->flags, members, sizeof members / sizeof *members,
                          err);
}

static int check_indices(const struct saving *s, struct persist_error *err)
{
    const struct persist_save_options *o = &s->o;
    const uint32_t in_address = PERSIST_ADDRESS_INDEX | PERSIST_ADDRESS_LATEST;

    if (s->target.address.present & in_address)
        return error_set(err, PERSIST_E_INVALID,
                         "a save is addressed to a session, not to an index: "
                         "it gets the next one");
    if ((o->flags & PERSIST_SAVE_INDEX && o->index > PERSIST_INDEX_MAX) ||
        (o->flags & PERSIST_SAVE_AFTER && o->after > PERSIST_INDEX_MAX))
        return error_set(err, PERSIST_E_INVALID, "an index is at most %" PRIu64,
                         PERSIST_INDEX_MAX);
    if (o->flags & PERSIST_SAVE_TIMESTAMP &&
        (o->timestamp_us < TEXT_TIME_MIN_US ||
         o->timestamp_us > TEXT_TIME_MAX_US))
        return error_set(err, PERSIST_E_INVALID,
                         "the timestamp lies outside the years 0000 to 9999");
    return PERSIST_OK;
}

static int compare_labels(const void *a, const void *b)
{
    const struct persist_label *left = a, *right = b;

    return strcmp(left->key, right->key);
}

static int copy_labels(struct saving *s, struct persist_error *err)
{
    size_t i, n = s->o.n_labels;

    if (!n)
        return PERSIST_OK;
    if (!s->o.labels)
        return error_set(err, PERSIST_E_MISUSE, "labels is NULL");
    if (n > SNAPSHOT_HEADER_MAX / sizeof *s->labels)
        return error_set(err, PERSIST_E_INVALID, "%zu labels are too many", n);
    s->labels = calloc(n, sizeof *s->labels);
    if (!s->labels)
        return error_memory(err);
    memcpy(s->labels, s->o.labels, n * sizeof *s->labels);
    for (i = 0; i < n; i++)
        if (!s->labels[i].key || !s->labels[i].value || !s->labels[i].key[0])
            return error_set(err, PERSIST_E_INVALID, "label %zu has no %s", i,
                             s->labels[i].key && s->labels[i].key[0] ? "value"
                                                                     : "key");
    qsort(s->labels, n, sizeof *s->labels, compare_labels);
    for (i = 1; i < n; i++)
        if (!strcmp(s->labels[i - 1].key, s->labels[i].key))
            return error_set(err, PERSIST_E_INVALID,
                             "label \"%.100s\" is given twice",
                             s->labels[i].key);
    s->m.labels = s->labels;
    s->m.n_labels = n;
    return PERSIST_OK;
}

int save_rename(struct saving *s, struct persist_error *err)
{
    const struct clock *clock = s->store->p->clock;
    int64_t now_us = clock_wall_us(clock);
    uint8_t random[10];
    int rc;

    rc = clock->random(clock->ctx, random, sizeof random);
    if (rc)
        return error_errno(err, -rc, "no random numbers for a snapshot's id");
    text_uuid7(now_us, random, s->id);
    text_from_time(s->o.flags & PERSIST_SAVE_TIMESTAMP ? s->o.timestamp_us
                                                       : now_us,
                   s->time);
    return PERSIST_OK;
}

static int describe(struct saving *s, struct persist_error *err)
{
    struct persist_metadata *m = &s->m;
    int rc;

    rc = check_codec(s, err);
    if (!rc)
        rc = check_flagged(&s->o, err);
    if (!rc)
        rc = check_indices(s, err);
    if (!rc)
        rc = copy_labels(s, err);
    if (!rc)
        rc = save_rename(s, err);
    m->struct_size = sizeof *m;
    m->format_version = 2;
    m->snapshot_id = s->id;
    m->agent_id = s->target.address.agent;
    m->session_id = s->target.address.session;
    m->timestamp = s->time;
    m->parent_id = s->o.parent_id;
    m->content_type =
        s->o.content_type ? s->o.content_type : "application/octet-stream";
    m->schema = s->o.schema;
    m->description = s->o.description;
    m->producer_name = "persist";
    m->producer_version = PERSIST_VERSION;
    if (s->store->file_durability)
        m->present |= PERSIST_META_FILE_ONLY;
    return rc;
}

/* -------------------------------------------------- what is there already */

/* The snapshot a fence names, for its id.  Whether the fence holds is found
 * out by the listing that chooses the index. */
static int find_parent(struct saving *s, struct persist_error *err)
{
    struct target after = s->target;
    struct download *d = NULL;
    struct place place;
    int rc;

    if (!(s->o.flags & PERSIST_SAVE_AFTER) || s->o.parent_id)
        return PERSIST_OK;
    after.has_index = true;
    after.index = s->o.after;
    rc = open_snapshot(s->store, s->op, &after, OPEN_METADATA, &place, &d, err);
    if (rc == PERSIST_E_NOT_FOUND) {
        error_prefix(err, "there is nothing to come after");
        if (err)
            err->status = PERSIST_E_CONFLICT;
        return PERSIST_E_CONFLICT;
    }
    if (rc)
        return rc;
    memcpy(s->parent, download_metadata(d)->snapshot_id,
           strnlen(download_metadata(d)->snapshot_id, sizeof s->parent - 1));
    s->m.parent_id = s->parent;
    download_close(d);
    return PERSIST_OK;
}

static int conflict_above(const struct saving *s, uint64_t above, bool is_claim,
                          struct persist_error *err)
{
    error_set(err, PERSIST_E_CONFLICT,
              is_claim ? "index %" PRIu64 " is being saved since %" PRIu64
                       : "index %" PRIu64 " was saved since %" PRIu64,
              above, s->o.after);
    error_hint(err, "look at what is there now, then save after that");
    return PERSIST_E_CONFLICT;
}

/* With SKIP_UNCHANGED, what the latest snapshot says of itself.  One that is
 * damaged equals nothing. */
static int find_latest(struct saving *s, struct persist_error *err)
{
    struct download *d = NULL;
    struct place place;
    int rc;

    if (!(s->o.flags & PERSIST_SAVE_SKIP_UNCHANGED))
        return PERSIST_OK;
    rc = open_snapshot(s->store, s->op, &s->target, OPEN_METADATA, &place, &d,
                       err);
    if (rc == PERSIST_E_NOT_FOUND || rc == PERSIST_E_CORRUPT ||
        rc == PERSIST_E_UNSUPPORTED)
        return PERSIST_OK;
    if (rc)
        return rc;
    s->latest = download_take_metadata(d);
    download_close(d);
    return PERSIST_OK;
}

/* Where the payload can be read twice and has the latest's size, it is hashed
 * before anything is compressed or claimed. */
static int compare_early(struct saving *s, struct persist_error *err)
{
    uint8_t sha256[32];
    bool done = false;
    int rc;

    if (!s->latest || !s->source->up.has_size ||
        s->source->up.size != s->latest->uncompressed_size)
        return PERSIST_OK;
    rc = save_source_hash(s->source, sha256, &done, err);
    if (!rc && done)
        s->unchanged = save_is_unchanged(s, sha256, s->source->up.size);
    return rc;
}

/* ------------------------------------------------------------ how it ended
 */

static int fail_with_last(struct saving *s, struct persist_error *err)
{
    if (err)
        *err = s->last;
    return s->failure;
}

static void name_key(const struct saving *s, enum key_kind kind,
                     struct persist_error *err)
{
    char key[KEY_CAP];

    key_format(s->target.prefix, s->machine.index, kind, key);
    error_object(err, "%s", key);
}

/* An uncertain answer that was settled since: nothing was saved. */
static int fail_refused(struct saving *s, struct persist_error *err)
{
    int rc = fail_with_last(s, err);

    if (rc != PERSIST_E_UNCERTAIN)
        return rc;
    error_prefix(err, "nothing was saved, which has been made certain");
    if (err)
        err->status = PERSIST_E_TRANSIENT;
    return PERSIST_E_TRANSIENT;
}

/* The last answer stands for the doubt; a long save that never sent its commit
 * has certainly saved nothing. */
static int fail_unresolved(struct saving *s, struct persist_error *err)
{
    bool is_long = s->machine.is_long;

    if (is_long && !s->machine.commit_sent && s->failure != PERSIST_E_UNCERTAIN)
        return fail_with_last(s, err);
    fail_with_last(s, err);
    if (err && err->status != PERSIST_E_UNCERTAIN) {
        error_prefix(err, "it is not known whether the save has happened");
        err->status = PERSIST_E_UNCERTAIN;
    }
    name_key(s, is_long && s->machine.commit_sent ? KEY_DATA : KEY_SNAP, err);
    error_hint(err, "list the session before saving again");
    return PERSIST_E_UNCERTAIN;
}

static int fail_conflict(struct saving *s, struct persist_error *err)
{
    const struct owner_save *m = &s->machine;

    switch (m->result) {
    case OWNER_TAKEN:
        return error_set(err, PERSIST_E_CONFLICT,
                         "index %" PRIu64 " is not next: %" PRIu64 " is",
                         m->wanted, m->other);
    case OWNER_NOT_AFTER:
        return conflict_above(s, m->other, m->other_is_claim, err);
    case OWNER_AFTER_GONE:
        return error_set(err, PERSIST_E_CONFLICT,
                         "there is no snapshot %" PRIu64 " to come after",
                         m->after);
    case OWNER_EXPIRED:
        return error_set(err, PERSIST_E_CONFLICT,
                         "the save stood still for more than 6 days, and "
                         "others may have taken it for dead");
    default:
        return error_set(err, PERSIST_E_CONFLICT,
                         "the session has used its last index");
    }
}

static int fail(struct saving *s, struct persist_error *err)
{
    char text[TARGET_TEXT_CAP];
    int rc;

    switch (s->machine.result) {
    case OWNER_REFUSED:
        return fail_refused(s, err);
    case OWNER_ABORTED:
        return fail_with_last(s, err);
    case OWNER_UNRESOLVED:
        return fail_unresolved(s, err);
    case OWNER_CLAIM_WEAK:
        rc = fail_with_last(s, err);
        error_prefix(err, "the claim of the index is not durable");
        if (err)
            err->status = PERSIST_E_IO;
        return rc ? PERSIST_E_IO : PERSIST_E_INTERNAL;
    case OWNER_LOST:
        error_set(err, PERSIST_E_INTERNAL,
                  "another snapshot lies under this save's claim: something "
                  "other than Persist writes to this store");
        name_key(s, KEY_DATA, err);
        return PERSIST_E_INTERNAL;
    default:
        rc = fail_conflict(s, err);
        target_text(&s->target, NULL, text);
        error_object(err, "%s", text);
        return rc;
    }
}

static int hand_over(struct saving *s, struct persist_metadata **out,
                     struct persist_error *err)
{
    if (!out)
        return PERSIST_OK;
    if (s->unchanged) {
        *out = s->latest;
        s->latest = NULL;
        (*out)->present |= PERSIST_META_UNCHANGED;
        return PERSIST_OK;
    }
    *out = s->described ? s->described : metadata_copy(&s->m);
    s->described = NULL;
    return *out ? PERSIST_OK : error_memory(err);
}

static void count_snapshot(const struct saving *s)
{
    bool packed = s->described != NULL;

    metrics_record_snapshot(
        s->store->p->metrics,
        s->codec == CODEC_GZIP ? METRICS_GZIP : METRICS_ZSTD,
        packed ? s->described->uncompressed_size : upload_payload_len(s->up),
        packed ? s->object_len : atomic_load(&s->op->stored_bytes));
}

int save_conclude(struct saving *s, struct persist_metadata **out,
                  struct persist_error *err)
{
    enum owner_result result = (enum owner_result)s->machine.result;
    bool done = s->dry_run && result == OWNER_ABORTED && !s->failure;
    int rc;

    if (s->unchanged && (done || result == OWNER_ABORTED))
        return hand_over(s, out, err);
    if (result != OWNER_SAVED && result != OWNER_SAVED_NOT_DURABLE && !done)
        return fail(s, err);
    if (!done)
        count_snapshot(s);
    rc = hand_over(s, out, err);
    /* The snapshot is there, whatever became of telling so. */
    if (rc || result != OWNER_SAVED_NOT_DURABLE)
        return rc;
    return fail_with_last(s, err);
}

/* Nothing is written; but "unchanged" must not hide that a fence or an index
 * does not hold, which a listing tells. */
static int conclude_unchanged(struct saving *s, struct persist_metadata **out,
                              struct persist_error *err)
{
    if (!(s->o.flags & (PERSIST_SAVE_AFTER | PERSIST_SAVE_INDEX)))
        return hand_over(s, out, err);
    save_run(s, true);
    return save_conclude(s, out, err);
}

/* ----------------------------------------------------------- one by itself */

int save_open_payload(struct saving *s, struct persist_error *err)
{
    struct upload_what what = {
        .pool = s->store->pool,
        .store = s->store->backend,
        .op = s->op,
        .codec = s->codec,
        .level = s->m.compression_level,
        .frame_size = (uint32_t)s->o.frame_size,
        .cpu = s->store->p->cpu,
        .io = s->store->p->io,
        .part_size = save_resume_part_size(s),
        .size_estimate =
            s->o.flags & PERSIST_SAVE_SIZE_HINT ? s->o.size_hint : 0,
    };
    int rc;

    /* The longest header there can be, and every complaint about it. */
    s->m.snapshot_index = PERSIST_INDEX_MAX;
    rc = snapshot_header_bound(s->codec, &s->m, &what.header_max, err);
    if (rc)
        return rc;
    rc = upload_open(&what, &s->source->up, &s->up, err);
    if (!rc)
        s->source->op = upload_op(s->up);
    return rc;
}

static int save_all(struct saving *s, struct persist_metadata **out,
                    struct persist_error *err)
{
    bool whole = false, done = false;
    int rc;

    trace_stage(s->op->trace, "prepare");
    rc = find_parent(s, err);
    if (!rc)
        rc = find_latest(s, err);
    if (!rc)
        rc = compare_early(s, err);
    if (!rc && s->unchanged)
        return conclude_unchanged(s, out, err);
    if (!rc)
        rc = save_resume_open(s, &done, out, err);
    if (rc || done)
        return rc;
    if (!rc)
        rc = save_open_payload(s, err);
    if (!rc && !s->dry_run)
        rc = backend_store_check_writable(s->store->backend, s->op, err);
    trace_stage(s->op->trace, "compress");
    if (!rc)
        rc = upload_fill(s->up, &whole, err);
    if (rc)
        return rc;
    s->unchanged = whole && save_is_unchanged(s, upload_sha256(s->up),
                                              upload_payload_len(s->up));
    rc = save_resume_fits(s, whole, err);
    if (rc)
        return rc;
    if (s->unchanged)
        return conclude_unchanged(s, out, err);
    trace_stage(s->op->trace, whole ? "store" : "upload");
    save_run(s, whole);
    return save_conclude(s, out, err);
}

/* ------------------------------------------------------------ of a batch */

/* The object leaves the upload, which held the texts of the trailer. */
static int keep_object(struct saving *s, struct persist_error *err)
{
    const void *object;
    int rc = upload_object(s->up, &s->m, &object, &s->object_len, err);

    if (rc)
        return rc;
    s->object = malloc(s->object_len);
    s->described = metadata_copy(&s->m);
    if (!s->object || !s->described)
        return error_memory(err);
    memcpy(s->object, object, s->object_len);
    return PERSIST_OK;
}

static void drop_object(struct saving *s)
{
    free(s->object);
    persist_metadata_free(s->described);
    s->object = NULL;
    s->described = NULL;
}

int save_pack(struct saving *s, uint64_t index, bool *out_whole,
              struct persist_error *err)
{
    int rc;

    *out_whole = true;
    if (s->object && s->described->snapshot_index == index)
        return PERSIST_OK;
    drop_object(s);
    rc = save_open_payload(s, err);
    if (!rc)
        rc = upload_fill(s->up, out_whole, err);
    s->m.snapshot_index = index;
    if (!rc && *out_whole)
        rc = keep_object(s, err);
    upload_close(s->up);
    s->up = NULL;
    s->m.content_hash = s->m.stored_crc32c = NULL;
    return rc;
}

int save_describe(struct saving *s, const char *address,
                  struct persist_error *err)
{
    int rc = target_parse(s->store, address, &s->target, err);

    return rc ? rc : describe(s, err);
}

void save_finish(struct saving *s)
{
    upload_close(s->up);
    drop_object(s);
    persist_metadata_free(s->latest);
    free(s->labels);
}

/* --------------------------------------------------------------- all of it */

static void name_saved(const struct saving *s, struct engine_call *call)
{
    char key[KEY_CAP];

    key_format(s->target.prefix, s->m.snapshot_index, KEY_SNAP, key);
    engine_call_object(call, key);
}

/* What was stopped is the save, whichever object it had come to. */
static void name_address(const struct saving *s, int rc,
                         struct persist_error *err)
{
    char text[TARGET_TEXT_CAP];

    if (!rc || !err || (err->object[0] && !engine_stopped(rc)))
        return;
    target_text(&s->target, NULL, text);
    error_object(err, "%s", text);
}

int save_one(struct persist_store *store, struct persist_op *op,
             struct engine_call *call, const char *address,
             struct save_source *source, const struct persist_save_options *o,
             struct persist_metadata **out, struct persist_error *err)
{
    struct saving *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return error_memory(err);
    s->store = store;
    s->source = source;
    s->op = op;
    s->o = *o;
    s->dry_run = s->o.flags & PERSIST_SAVE_DRY_RUN;
    source->op = op;
    source->clock = store->p->clock;
    rc = save_describe(s, address, err);
    if (!rc)
        rc = save_all(s, out, err);
    name_address(s, rc, err);
    save_resume_close(s, rc ? err : NULL);
    if (!rc && call && !s->unchanged)
        name_saved(s, call);
    save_finish(s);
    free(s);
    return rc;
}

static int save(struct persist_store *store, const char *address,
                struct save_source *source,
                const struct persist_save_options *options,
                struct persist_metadata **out, struct persist_error *err)
{
    struct persist_save_options o;
    struct persist_error own_err = {0};
    struct engine_call call;
    struct persist_op *op;
    int rc;

    rc = engine_options(&o, sizeof o, options, &own_err);
    if (!rc)
        rc = engine_flags(o.flags, save_known_flags, &own_err);
    if (!rc)
        rc = engine_begin(store, OPERATION_SAVE, o.op, o.timeout_ms, &call, &op,
                          &own_err);
    if (!rc) {
        call.rehearsal = o.flags & PERSIST_SAVE_DRY_RUN;
        rc = save_one(store, op, &call, address, source, &o, out, &own_err);
        engine_end(&call, rc);
    }
    if (rc && err)
        *err = own_err;
    return rc;
}

/* Of a source that was just made, or was not (made). */
static int save_from(struct persist_store *store, const char *address,
                     struct save_source *s, int made,
                     const struct persist_save_options *options,
                     struct persist_metadata **out, struct persist_error *err)
{
    int rc = made;

    if (out)
        *out = NULL;
    if (!rc)
        rc = save(store, address, s, options, out, err);
    save_source_finish(s);
    return rc;
}

/* ------------------------------------------------------------ public calls
 */

int persist_save(struct persist_store *store, const char *address,
                 const struct persist_source *source,
                 const struct persist_save_options *options,
                 struct persist_metadata **out_metadata,
                 struct persist_error *err)
{
    struct save_source s;

    return save_from(store, address, &s, save_source_user(&s, source, err),
                     options, out_metadata, err);
}

int persist_save_buffer(struct persist_store *store, const char *address,
                        const void *data, size_t len,
                        const struct persist_save_options *options,
                        struct persist_metadata **out_metadata,
                        struct persist_error *err)
{
    struct save_source s;

    return save_from(store, address, &s, save_source_buffer(&s, data, len, err),
                     options, out_metadata, err);
}

int persist_save_file(struct persist_store *store, const char *address,
                      const char *path,
                      const struct persist_save_options *options,
                      struct persist_metadata **out_metadata,
                      struct persist_error *err)
{
    struct save_source s;

    return save_from(store, address, &s, save_source_file(&s, path, err),
                     options, out_metadata, err);
}

int persist_save_fd(struct persist_store *store, const char *address, int fd,
                    const struct persist_save_options *options,
                    struct persist_metadata **out_metadata,
                    struct persist_error *err)
{
    struct save_source s;

    return save_from(store, address, &s, save_source_fd(&s, fd, err), options,
                     out_metadata, err);
}
