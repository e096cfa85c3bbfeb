/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleaning up: what no reader can ever need.
 *
 * Kinds of rubbish: leftovers and unfinished uploads, which the backend
 * knows, or a file of this user's that was to resume them; an object of a
 * doctor that was killed; and by walking sessions, claims that came to nothing,
 * tombstones, and data behind tombstones.  What of an index may go is owner.c's
 * decision, how old it is store_time.c's.  Before anything of a marker's size
 * is removed it is read: a snapshot cut to that size is damage, and evidence.
 *
 * A removal that fails is reported, and the rest goes on.
 */
#include "engine/instance.h"

#include <stdlib.h>
#include <string.h>

#include "engine/doctor_key.h"
#include "engine/identity.h"
#include "engine/owner.h"
#include "engine/resume_files.h"
#include "engine/store_time.h"
#include "posix/os.h"
#include "services/state.h"
#include "util/error.h"
#include "util/text.h"

#define PAGE 1000
#define HOUR_US (INT64_C(3600) * 1000000)
#define LEFTOVER_AGE_US HOUR_US
#define UPLOAD_AGE_US (HOUR_US * 24 * 7)

struct cleaning {
    struct persist_store *store;
    struct persist_op *op;
    struct persist_cleanup_options o;
    bool dry_run;
    bool has_limit; /* older_than_ms */
    int64_t limit_us;
    struct store_time time;
    char **open; /* keys of unfinished uploads */
    size_t n_open;
    size_t open_cap;
    bool open_unknown; /* they could not be listed: every claim stays */
    bool all_listed;   /* every upload there is was */
    uint64_t n_left;   /* uploads that are still there */
    char **known; /* keys of uploads that are somebody's, or reported already */
    size_t n_known;
    size_t known_cap;
    int first; /* the first failure */
    struct persist_error first_err;
    bool stopped; /* by the report */
};

static void note(struct cleaning *c, int rc, const struct persist_error *err)
{
    if (!rc || c->first)
        return;
    c->first = rc;
    c->first_err = *err;
}

static int report(struct cleaning *c, enum persist_cleanup_kind kind,
                  const char *object, uint64_t size, int64_t age_us, int status)
{
    const struct persist_cleanup_item item = {
        .struct_size = sizeof item,
        .kind = kind,
        .object = object,
        .size = size,
        .age_ms = age_us > 0 ? (uint64_t)age_us / 1000 : 0,
        .status = status,
    };
    int rc = c->o.report ? c->o.report(c->o.report_ctx, &item) : 0;

    c->stopped |= rc != 0;
    return rc;
}

/* ------------------------------------------------------------- leftovers */

static int keep_text(char ***list, size_t *n, size_t *cap, const char *text)
{
    if (*n == *cap) {
        size_t more = *cap ? *cap * 2 : 16;
        char **grown = realloc(*list, more * sizeof *grown);

        if (!grown)
            return PERSIST_E_MEMORY;
        *list = grown;
        *cap = more;
    }
    (*list)[*n] = text_dup(text);
    if (!(*list)[*n])
        return PERSIST_E_MEMORY;
    ++*n;
    return PERSIST_OK;
}

static int keep_open(struct cleaning *c, const char *key)
{
    return keep_text(&c->open, &c->n_open, &c->open_cap, key);
}

/* ---------------------------------------------------------- resumable ones
 */

/* By its key: a listing may know it under another id, as of S3. */
static bool is_known(const struct cleaning *c, const char *key)
{
    for (size_t i = 0; i < c->n_known; i++)
        if (strcmp(c->known[i], key) == 0)
            return true;
    return false;
}

/*
 * Whether nobody has gone on with it for `limit`.  Its file says since when, by
 * a clock that may be ahead now, or was then: so its claim must be as old by
 * the store's.  Written earlier than the file, and again every day, it also
 * says how old a file from the future is at the least.
 */
static bool is_forgotten(struct cleaning *c, const struct resume_file *f,
                         int64_t limit, int64_t *out_age_us)
{
    bool dated = f->age_us >= 0;
    struct backend_head_answer head;
    struct persist_error err = {0};
    int64_t age_us;
    int rc;

    *out_age_us = f->age_us;
    if (f->in_use || (dated && f->age_us < limit))
        return false;
    rc = backend_head(c->store->backend, c->op, f->claim, &head, &err);
    if (rc == PERSIST_E_NOT_FOUND)
        return true; /* and nobody can go on with it */
    note(c, rc, &err);
    if (rc || !head.has_modified)
        return !rc && dated;
    if (!dated)
        limit += (int64_t)(OWNER_RENEW_NS / 1000);
    age_us =
        store_time_now(&c->time, head.modified_us + limit) - head.modified_us;
    if (!dated)
        *out_age_us = age_us;
    return age_us >= limit;
}

static int each_resumable(void *ctx, const struct resume_file *f)
{
    struct cleaning *c = ctx;
    int64_t limit = c->has_limit ? c->limit_us : UPLOAD_AGE_US, age_us;
    struct persist_error err = {0};
    int rc = keep_text(&c->known, &c->n_known, &c->known_cap, f->key);

    if (rc)
        return rc;
    if (!is_forgotten(c, f, limit, &age_us)) {
        c->n_left++;
        return keep_open(c, f->key);
    }
    if (!c->dry_run)
        rc = backend_remove_leftover(c->store->backend, c->op, f->key,
                                     f->upload_id, &err);
    if (!rc && !c->dry_run)
        rc = state_remove(c->store->p->state_dir, f->name, &err);
    note(c, rc, &err);
    c->n_left += rc || c->dry_run;
    if (rc && keep_open(c, f->key))
        return PERSIST_E_MEMORY;
    return report(c, PERSIST_CLEANUP_UPLOAD, f->key, 0, age_us, rc);
}

/* --------------------------------------------------------- what is listed
 */

/* PRECONDITION: it is in use, however old it looks; then it is no leftover. */
static int remove_leftover(struct cleaning *c, const struct backend_leftover *l)
{
    struct persist_error err = {0};
    int rc;

    if (c->dry_run)
        return PERSIST_OK;
    rc = backend_remove_leftover(c->store->backend, c->op, l->key, l->upload_id,
                                 &err);
    if (rc != PERSIST_E_PRECONDITION)
        note(c, rc, &err);
    return rc;
}

/* Names of ours, a place of an index, or a doctor's.  A bucket may be shared:
 * the uploads of others are none of our business. */
static bool is_our_upload(const char *key)
{
    const char *agent_end = strchr(key, '/');
    const char *end = agent_end ? strchr(agent_end + 1, '/') : NULL;
    char prefix[KEY_CAP], doctor[DOCTOR_KEY_CAP], name[KEY_NAME_CAP];
    enum key_kind kind;
    uint64_t index;
    size_t len = strlen(key);

    if (!agent_end) {
        if (len <= 3 || len >= sizeof doctor ||
            strcmp(key + len - 3, "-up") != 0)
            return false;
        memcpy(doctor, key, len - 3);
        doctor[len - 3] = '\0';
        return doctor_is_key(doctor);
    }
    if (!end || len >= sizeof prefix)
        return false;
    memcpy(prefix, key, (size_t)(end - key) + 1);
    prefix[end - key + 1] = '\0';
    return key_name_decode(key, (size_t)(agent_end - key), name) &&
           key_name_decode(agent_end + 1, (size_t)(end - agent_end) - 1,
                           name) &&
           key_parse(prefix, key, &index, &kind);
}

static int each_leftover(void *ctx, const struct backend_leftover *l)
{
    bool is_upload = l->key[0] != '\0';
    struct cleaning *c = ctx;
    int64_t limit = is_upload ? UPLOAD_AGE_US : LEFTOVER_AGE_US;
    int64_t now_us, age;
    bool remove;
    int rc;

    if (is_upload && (!is_our_upload(l->key) || is_known(c, l->key)))
        return PERSIST_OK;
    if (c->has_limit)
        limit = c->limit_us;
    now_us = store_time_now(&c->time, l->modified_us + limit);
    age = now_us - l->modified_us;
    remove = l->has_modified && age >= limit;
    if (!remove) {
        c->n_left += is_upload;
        return is_upload ? keep_open(c, l->key) : PERSIST_OK;
    }
    rc = remove_leftover(c, l);
    c->n_left += is_upload && (rc || c->dry_run);
    if (rc && is_upload && keep_open(c, l->key))
        return PERSIST_E_MEMORY;
    if (rc == PERSIST_E_PRECONDITION)
        return PERSIST_OK;
    return report(c,
                  is_upload ? PERSIST_CLEANUP_UPLOAD : PERSIST_CLEANUP_LEFTOVER,
                  is_upload ? l->key : l->upload_id, l->size, age, rc);
}

static int compare_texts(const void *a, const void *b)
{
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

/* OK goes on; the report's wish to stop is returned. */
static int clean_leftovers(struct cleaning *c, const char *prefix)
{
    struct persist_error err = {0};
    int rc;

    rc = resume_each_file(c->store, prefix, each_resumable, c, &err);
    if (c->stopped)
        return rc;
    if (rc && !err.message[0])
        error_set(&err, rc, "files for resuming could not be looked at");
    note(c, rc, &err);
    memset(&err, 0, sizeof err);
    rc = backend_list_leftovers(c->store->backend, c->op, prefix, each_leftover,
                                c, &err);
    if (c->stopped)
        return rc;
    if (rc && rc != PERSIST_E_UNSUPPORTED) {
        if (!err.message[0])
            error_set(&err, rc, "leftovers could not be listed");
        note(c, rc, &err);
        c->open_unknown = true;
    }
    c->all_listed = rc == PERSIST_OK && !prefix[0];
    if (c->n_open)
        qsort(c->open, c->n_open, sizeof *c->open, compare_texts);
    return PERSIST_OK;
}

static bool is_open(const struct cleaning *c, const char *key)
{
    return c->open_unknown ||
           (c->n_open &&
            bsearch(&key, c->open, c->n_open, sizeof *c->open, compare_texts));
}

/* --------------------------------------------------------------- one index
 */

/* Its size said what it is; its bytes must say so too. */
static int check_marker(struct cleaning *c, const char *key,
                        enum identity_kind expected, struct persist_error *err)
{
    struct identity identity;
    int rc;

    rc = identity_read(c->store, c->op, key, false, &identity, err);
    if (rc || identity.kind == expected || identity.kind == IDENTITY_NONE)
        return rc;
    if (identity.kind != IDENTITY_DAMAGED)
        error_set(err, PERSIST_E_CORRUPT,
                  "the object has another size than it was listed with");
    error_object(err, "%s", key);
    err->status = PERSIST_E_CORRUPT;
    return PERSIST_E_CORRUPT;
}

struct rubbish {
    const char *prefix;
    struct index_state state;
    int64_t age_us;
    struct owner_clean machine;
};

static int report_removal(struct cleaning *c, const struct rubbish *r,
                          enum owner_verb verb, int rc)
{
    bool is_data = verb == OWNER_DELETE_DATA;
    enum persist_cleanup_kind kind =
        is_data ? PERSIST_CLEANUP_REMNANT
        : index_state_kind(&r->state) == INDEX_CLAIM
            ? PERSIST_CLEANUP_CLAIM
            : PERSIST_CLEANUP_TOMBSTONE;
    char key[KEY_CAP];

    key_format(r->prefix, r->state.index, is_data ? KEY_DATA : KEY_SNAP, key);
    return report(c, kind, key,
                  is_data ? r->state.data_size : r->state.snap_size, r->age_us,
                  rc);
}

static int remove_one(struct cleaning *c, const struct rubbish *r,
                      enum owner_verb verb, struct persist_error *err)
{
    enum identity_kind expected = index_state_kind(&r->state) == INDEX_CLAIM
                                      ? IDENTITY_CLAIM
                                      : IDENTITY_TOMBSTONE;
    char key[KEY_CAP];
    int rc;

    key_format(r->prefix, r->state.index, KEY_SNAP, key);
    rc = check_marker(c, key, expected, err);
    if (rc || c->dry_run)
        return rc;
    if (verb == OWNER_DELETE_DATA)
        key_format(r->prefix, r->state.index, KEY_DATA, key);
    return backend_delete(c->store->backend, c->op, key, NULL, err);
}

static int run_rubbish(struct cleaning *c, struct rubbish *r)
{
    struct owner_request request;
    int rc;

    while (owner_clean_next(&r->machine, &request)) {
        struct persist_error err = {0};
        struct owner_answer a = {0};
        int status = remove_one(c, r, request.verb, &err);

        a.reply = status == PERSIST_OK              ? OWNER_OK
                  : status == PERSIST_E_UNCERTAIN   ? OWNER_UNCERTAIN
                  : status == PERSIST_E_NOT_DURABLE ? OWNER_NOT_DURABLE
                                                    : OWNER_FAILED;
        owner_clean_feed(&r->machine, &a);
        if (a.reply == OWNER_UNCERTAIN && !r->machine.result)
            continue; /* again */
        note(c, status, &err);
        rc = report_removal(c, r, request.verb, status);
        if (rc)
            return rc;
    }
    return PERSIST_OK;
}

static int clean_index(struct cleaning *c, const char *prefix,
                       const struct index_state *s, uint64_t highest)
{
    struct rubbish r = {.prefix = prefix, .state = *s};
    char key[KEY_CAP];
    int64_t now_us;

    key_format(prefix, s->index, KEY_DATA, key);
    now_us = store_time_now(&c->time, s->snap_modified_us + OWNER_AGE_US);
    r.age_us = now_us - s->snap_modified_us;
    owner_clean_init(&r.machine, OWNER_RULES_ALL, s, highest, now_us,
                     is_open(c, key));
    return run_rubbish(c, &r);
}

/* ---------------------------------------------------------------- sessions
 */

static bool is_marked(const struct index_state *s)
{
    enum index_kind kind = index_state_kind(s);

    return kind == INDEX_CLAIM || kind == INDEX_TOMBSTONE;
}

static int walk_session(struct cleaning *c, const char *prefix,
                        struct session_walk *w, struct persist_error *err)
{
    struct index_state s;
    uint64_t highest = 0;
    bool any = false;
    int rc, stop;

    while ((rc = session_walk_next(w, &s, err)) == 1) {
        if (!any)
            highest = s.index;
        any = true;
        store_time_see(&c->time, &s);
        stop = is_marked(&s) ? clean_index(c, prefix, &s, highest) : 0;
        if (stop)
            return stop;
        rc = op_check(c->op, c->store->p->clock);
        if (rc)
            return error_set(err, rc, "the cleanup was stopped");
    }
    return rc;
}

/* A session that cannot be listed does not stop the others; the caller's wish
 * and the end of the operation do. */
static int goes_on(struct cleaning *c, int rc, const struct persist_error *err)
{
    note(c, c->stopped ? PERSIST_OK : rc, err);
    return c->stopped || engine_stopped(rc) ? rc : PERSIST_OK;
}

static int clean_session(struct cleaning *c, const char *prefix)
{
    struct session_walk *w = NULL;
    struct persist_error err = {0};
    int rc;

    rc = session_walk_open(c->store, c->op, prefix, PAGE, &w, &err);
    if (!rc)
        rc = walk_session(c, prefix, w, &err);
    session_walk_close(w);
    return goes_on(c, rc, &err);
}

/* A doctor that was killed has left its object. */
static int clean_doctors(struct cleaning *c, const struct backend_entry *e)
{
    int64_t limit = c->has_limit ? c->limit_us : LEFTOVER_AGE_US;
    int64_t age =
        store_time_now(&c->time, e->modified_us + limit) - e->modified_us;
    struct persist_error err = {0};
    char key[DOCTOR_KEY_CAP];
    int rc = PERSIST_OK;

    if (!e->has_modified || age < limit)
        return PERSIST_OK;
    memcpy(key, e->key, strlen(e->key) + 1);
    uint64_t size = e->size;
    if (!c->dry_run)
        rc = backend_delete(c->store->backend, c->op, key, NULL, &err);
    note(c, rc, &err);
    return report(c, PERSIST_CLEANUP_LEFTOVER, key, size, age, rc);
}

/* Is this folder below prefix one that a name of ours gives? */
static bool is_our_folder(const char *prefix, const struct backend_entry *e)
{
    size_t skip = strlen(prefix), len = strlen(e->key);
    char name[KEY_NAME_CAP];

    return e->is_folder && len > skip + 1 && len < KEY_CAP &&
           key_name_decode(e->key + skip, len - skip - 1, name);
}

static int clean_folders(struct cleaning *c, const char *prefix, int depth);

static int each_folder(struct cleaning *c, const char *prefix, int depth,
                       struct backend_list *list, struct persist_error *err)
{
    const struct backend_entry *e = NULL;
    char folder[KEY_CAP];
    int rc;

    while ((rc = backend_list_next(list, &e, err)) == 1) {
        if (!*prefix && !e->is_folder && doctor_is_key(e->key)) {
            rc = clean_doctors(c, e);
            if (rc)
                return rc;
        }
        if (!is_our_folder(prefix, e))
            continue;
        memcpy(folder, e->key, strlen(e->key) + 1);
        rc = depth ? clean_folders(c, folder, depth - 1)
                   : clean_session(c, folder);
        if (rc)
            return rc;
    }
    return rc;
}

/* depth 1: prefix holds agents, 0: sessions. */
static int clean_folders(struct cleaning *c, const char *prefix, int depth)
{
    struct backend_list *list = NULL;
    struct persist_error err = {0};
    int rc;

    rc = backend_list_open(c->store->backend, c->op, prefix, "", true, PAGE,
                           &list, &err);
    if (!rc)
        rc = each_folder(c, prefix, depth, list, &err);
    backend_list_close(list);
    return goes_on(c, rc, &err);
}

/* ---------------------------------------------------------------- one call
 */

static int parse_scope(struct cleaning *c, const char *text,
                       char prefix[KEY_CAP], int *out_depth,
                       struct persist_error *err)
{
    struct persist_address a = PERSIST_ADDRESS_INIT;
    char agent[KEY_NAME_CAP];
    int rc;

    prefix[0] = '\0';
    *out_depth = 1;
    if (!text || !*text)
        return PERSIST_OK;
    rc = persist_address_parse(text, &a, err);
    if (!rc)
        rc = target_check_store(c->store, &a, err);
    if (rc)
        return rc;
    if (a.present & (PERSIST_ADDRESS_INDEX | PERSIST_ADDRESS_LATEST))
        return error_set(err, PERSIST_E_INVALID,
                         "cleanup works on a store, an agent or a session, not "
                         "on one snapshot");
    if (!(a.present & PERSIST_ADDRESS_AGENT))
        return PERSIST_OK;
    if (a.present & PERSIST_ADDRESS_SESSION) {
        *out_depth = -1;
        return key_session_prefix(a.agent, a.session, prefix, err);
    }
    *out_depth = 0;
    rc = key_name_encode(a.agent, agent, err);
    if (rc)
        return rc;
    memcpy(prefix, agent, strlen(agent));
    memcpy(prefix + strlen(agent), "/", 2);
    return PERSIST_OK;
}

static int clean(struct cleaning *c, const char *address,
                 struct persist_error *err)
{
    char prefix[KEY_CAP];
    int depth, rc;

    rc = parse_scope(c, address, prefix, &depth, err);
    if (!rc && !c->dry_run)
        rc = backend_store_check_writable(c->store->backend, c->op, err);
    if (rc)
        return rc;
    rc = clean_leftovers(c, prefix);
    /* Only a look at everything tells how many there are. */
    if (!rc && c->all_listed)
        metrics_set_uploads(c->store->counted, c->n_left);
    if (!rc)
        rc = depth < 0 ? clean_session(c, prefix)
                       : clean_folders(c, prefix, depth);
    if (c->stopped)
        return error_set(err, rc, "stopped by the report");
    if (c->first && err)
        *err = c->first_err;
    return c->first ? c->first : rc;
}

static void free_open(struct cleaning *c)
{
    size_t i;

    for (i = 0; i < c->n_open; i++)
        free(c->open[i]);
    free(c->open);
    for (i = 0; i < c->n_known; i++) {
        os_wipe(c->known[i], strlen(c->known[i]));
        free(c->known[i]);
    }
    free(c->known);
}

int persist_cleanup(struct persist_store *store, const char *address,
                    const struct persist_cleanup_options *options,
                    struct persist_error *err)
{
    struct cleaning c = {.store = store};
    struct persist_error own_err = {0};
    struct engine_call call;
    struct flagged_member age = {"older_than_ms", PERSIST_CLEANUP_OLDER_THAN,
                                 "PERSIST_CLEANUP_OLDER_THAN", false};
    int rc;

    rc = engine_options(&c.o, sizeof c.o, options, err);
    if (!rc)
        rc = engine_flags(c.o.flags,
                          PERSIST_CLEANUP_DRY_RUN | PERSIST_CLEANUP_OLDER_THAN,
                          err);
    age.is_set = c.o.older_than_ms != 0;
    if (!rc)
        rc = engine_flagged(c.o.flags, &age, 1, err);
    if (!rc && c.o.older_than_ms > INT64_MAX / 2000)
        rc = error_set(err, PERSIST_E_INVALID, "older_than_ms is too large");
    if (!rc)
        rc = engine_begin(store, OPERATION_CLEANUP, c.o.op, c.o.timeout_ms,
                          &call, &c.op, err);
    if (rc)
        return rc;
    c.dry_run = c.o.flags & PERSIST_CLEANUP_DRY_RUN;
    call.rehearsal = c.dry_run;
    c.has_limit = c.o.flags & PERSIST_CLEANUP_OLDER_THAN;
    c.limit_us = (int64_t)c.o.older_than_ms * 1000;
    c.time =
        (struct store_time){.store = store, .op = c.op, .read_only = c.dry_run};
    rc = clean(&c, address, &own_err);
    engine_end(&call, rc);
    free_open(&c);
    if (rc && err)
        *err = own_err;
    return rc;
}
