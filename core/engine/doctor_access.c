/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The requests the doctor makes, each for what it proves:
 *
 *     list      one page                          listing is permitted
 *     head      an object that is not there       "not there" is told
 *     write     put if absent, put if absent      created once, never twice
 *     head, read, list  what was written          the same bytes come back
 *     upload    begin, one part, abort            parts can be sent
 *     delete    then head                         gone
 *
 * They go to one object of a random name that is no agent's, and that is
 * deleted whatever happened in between.  A request that is not permitted does
 * not stop the others: a person wants to see everything that is missing at
 * once. Where the first one fails for what all have in common (credentials, the
 * bucket, the way there), the others would only say so again.
 */
#include "engine/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/doctor_key.h"
#include "util/crc32c.h"
#include "util/error.h"
#include "util/text.h"

#define SKEW_US (INT64_C(5) * 60 * 1000000)
#define UPLOAD_OLD_US (INT64_C(7) * 86400 * 1000000)
#define CLEAN_TIMEOUT_MS 10000

static const char text[] =
    "Persist doctor wrote this to see whether it can. It may be deleted.\n";
#define TEXT_LEN (sizeof text - 1)

struct access {
    struct doctor *d;
    struct backend_store *store;
    char key[DOCTOR_KEY_CAP];
    uint64_t began_ns;
    bool written; /* something may be there */
    bool refused; /* by a file system, which would refuse uploads too */
};

/* What to look at where a request is refused, by the op's name in the plugin's
 * terms; which permission that is, the backend's own pages know. */
static const struct {
    const char *name;
    const char *permission;
} permissions[] = {
    {"list", "listing objects (op list) below the store's prefix"},
    {"head", "reading an object's properties (op head)"},
    {"write", "creating objects (op put) below the store's prefix"},
    {"create-if-absent", "creating objects with a condition (op put, if "
                         "absent)"},
    {"read", "reading objects (op read) below the store's prefix"},
    {"upload", "uploads in parts (ops upload_begin, upload_part and "
               "upload_abort)"},
    {"delete", "deleting objects (op delete); saving and restoring work "
               "without it"},
    {"unfinished", "listing unfinished uploads (op list_uploads); only "
                   "cleanup needs it"},
};

static void advise(const char *name, int rc, struct persist_error *err)
{
    /* A file system knows no such permissions. */
    if (err->hint[0] || err->os_errno)
        return;
    if (rc == PERSIST_E_AUTH)
        error_hint(err, "check the store's credentials: which are in use is "
                        "in the group \"backend\"");
    if (rc != PERSIST_E_DENIED)
        return;
    for (size_t i = 0; i < sizeof permissions / sizeof permissions[0]; i++)
        if (strcmp(permissions[i].name, name) == 0)
            error_hint(err, "permit %s", permissions[i].permission);
}

static void start(struct access *a)
{
    a->began_ns = clock_boot_ns(a->d->p->clock);
}

/* The verdict of one request, with how long it took. */
static int told(struct access *a, const char *name, int rc, const char *what,
                struct persist_error *err)
{
    uint64_t ms = (clock_boot_ns(a->d->p->clock) - a->began_ns) / 1000000;
    char value[160];

    if (rc) {
        advise(name, rc, err);
        return doctor_fail(a->d, name, rc, err);
    }
    snprintf(value, sizeof value, "%s (%" PRIu64 " ms)", what, ms);
    return doctor_tell(a->d, PERSIST_FINDING_OK, name, value, NULL);
}

static int wrong(struct persist_error *err, int status, const char *what)
{
    return error_set(err, status, "%s", what);
}

/* ------------------------------------------------------------------- reads
 */

/* What fails every request alike. */
static bool is_everybodys(int rc)
{
    return rc == PERSIST_E_AUTH || rc == PERSIST_E_CONFIG ||
           rc == PERSIST_E_TRANSIENT || rc == PERSIST_E_THROTTLED ||
           rc == PERSIST_E_TIMEOUT;
}

static int look_list(struct access *a)
{
    const struct backend_entry *entry = NULL;
    struct persist_error err = {0};
    struct backend_list *list = NULL;
    int rc;

    start(a);
    rc = backend_list_open(a->store, a->d->op, "", "", true, 1, &list, &err);
    if (!rc)
        rc = backend_list_next(list, &entry, &err);
    backend_list_close(list);
    a->d->blocked = is_everybodys(rc);
    return told(a, "list", rc > 0 ? 0 : rc,
                rc > 0 ? "permitted" : "permitted; the store is empty", &err);
}

static int pass_over_rest(struct doctor *d)
{
    static const char *const rest[] = {"head", "write",  "create-if-absent",
                                       "read", "upload", "delete"};
    int rc = 0;

    for (size_t i = 0; i < sizeof rest / sizeof rest[0] && !rc; i++)
        rc = doctor_pass_over(d, rest[i], "list");
    return rc;
}

static int look_absent(struct access *a)
{
    struct backend_head_answer answer;
    struct persist_error err = {0};
    int rc;

    start(a);
    rc = backend_head(a->store, a->d->op, a->key, &answer, &err);
    if (rc == PERSIST_E_NOT_FOUND)
        rc = PERSIST_OK;
    else if (!rc)
        rc = wrong(&err, PERSIST_E_INTERNAL,
                   "an object is there that nobody has written");
    return told(a, "head", rc, "an absent object is told from a denied one",
                &err);
}

/* ------------------------------------------------------------------ writes
 */

static int put(struct access *a, struct persist_error *err)
{
    const struct backend_put p = {
        .key = a->key, .data = text, .len = TEXT_LEN, .if_absent = true};
    bool maybe = false;
    int rc = backend_put(a->store, a->d->op, &p, &maybe, err);

    /* After a lost answer it is our own. */
    if (rc == PERSIST_E_EXISTS && maybe)
        rc = PERSIST_OK;
    a->written |= !rc || maybe || rc == PERSIST_E_NOT_DURABLE;
    return rc;
}

/* Services permit requests one by one; a file system refuses both alike. */
static bool is_file_systems(const struct persist_error *err)
{
    return err->status == PERSIST_E_DENIED && err->os_errno;
}

static int try_create(struct access *a)
{
    struct persist_error err = {0};
    int rc, end;

    start(a);
    rc = put(a, &err);
    a->refused = rc && is_file_systems(&err);
    end = told(a, "write", rc, "an object was created", &err);
    if (end || rc)
        return end;
    start(a);
    memset(&err, 0, sizeof err);
    const struct backend_put again = {
        .key = a->key, .data = text, .len = TEXT_LEN, .if_absent = true};
    rc = backend_put(a->store, a->d->op, &again, NULL, &err);
    if (rc == PERSIST_E_EXISTS) {
        rc = PERSIST_OK;
    } else if (!rc) {
        rc = wrong(&err, PERSIST_E_UNSUPPORTED,
                   "the store replaced an object where it was told to create "
                   "a new one: two writers would destroy each other's "
                   "snapshots");
        error_hint(&err, "use a service that supports conditional writes; "
                         "saving to this one is refused");
    }
    return told(a, "create-if-absent", rc, "a second creation is refused",
                &err);
}

static int tell_clock(struct access *a, const struct backend_head_answer *head)
{
    int64_t skew = head->modified_us - clock_wall_us(a->d->p->clock);
    bool off = skew > SKEW_US || skew < -SKEW_US;
    char value[64];

    if (!head->has_modified)
        return 0;
    snprintf(value, sizeof value, "%+" PRId64 " s against this machine's",
             skew / 1000000);
    return doctor_tell(a->d, off ? PERSIST_FINDING_WARN : PERSIST_FINDING_INFO,
                       "store-clock", value,
                       off ? "set the clock of this machine; services refuse "
                             "requests that are too far off"
                           : NULL);
}

static int try_head(struct access *a)
{
    struct backend_head_answer answer = {0};
    struct persist_error err = {0};
    int rc, end;

    start(a);
    rc = backend_head(a->store, a->d->op, a->key, &answer, &err);
    if (!rc && answer.size != TEXT_LEN)
        rc = wrong(&err, PERSIST_E_CORRUPT,
                   "the object has another size than it was written with");
    end = told(a, "head", rc, "the object is there", &err);
    return end || rc ? end : tell_clock(a, &answer);
}

static int try_read(struct access *a)
{
    char buffer[TEXT_LEN + 1];
    const struct backend_read read = {
        .key = a->key, .buffer = buffer, .len = sizeof buffer};
    struct backend_read_answer answer;
    struct persist_error err = {0};
    int rc;

    start(a);
    rc = backend_read(a->store, a->d->op, &read, &answer, &err);
    if (!rc && (answer.len != TEXT_LEN || memcmp(buffer, text, TEXT_LEN) != 0))
        rc = wrong(&err, PERSIST_E_CORRUPT,
                   "other bytes came back than were written");
    return told(a, "read", rc, "the same bytes came back", &err);
}

static int try_list(struct access *a)
{
    const struct backend_entry *entry = NULL;
    struct persist_error err = {0};
    struct backend_list *list = NULL;
    int rc;

    start(a);
    rc =
        backend_list_open(a->store, a->d->op, a->key, "", true, 1, &list, &err);
    if (!rc)
        rc = backend_list_next(list, &entry, &err);
    if (rc == 1 && entry)
        rc = strcmp(entry->key, a->key) == 0
                 ? PERSIST_OK
                 : wrong(&err, PERSIST_E_CORRUPT,
                         "another object was listed than was asked for");
    else if (!rc)
        rc = wrong(&err, PERSIST_E_CORRUPT,
                   "the object that was just written is not listed");
    backend_list_close(list);
    return told(a, "list", rc, "what was written is listed", &err);
}

static int send_part(struct access *a, struct backend_upload *upload,
                     struct persist_error *err)
{
    const struct backend_part part = {
        .data = text,
        .len = TEXT_LEN,
        .number = 1,
        .crc32c = crc32c(0, text, TEXT_LEN),
        .is_last = true,
    };

    return backend_upload_part(upload, a->d->op, &part, err);
}

/* At another key: some services refuse a taken one when an upload begins. */
static int try_upload(struct access *a)
{
    const uint64_t size = TEXT_LEN;
    struct persist_error err = {0}, abort_err = {0};
    struct backend_upload *upload = NULL;
    char key[DOCTOR_KEY_CAP + 4];
    int rc, aborted;

    snprintf(key, sizeof key, "%s-up", a->key);
    start(a);
    rc = backend_upload_begin(a->store, a->d->op, key, &size, &upload, &err);
    if (rc)
        return told(a, "upload", rc, "", &err);
    rc = send_part(a, upload, &err);
    aborted = backend_upload_abort(upload, &abort_err);
    backend_upload_destroy(upload);
    if (!rc && aborted) {
        rc = aborted;
        err = abort_err;
        error_hint(&err, "what could not be aborted stays until `persist "
                         "cleanup` or a lifecycle rule removes it");
    }
    return told(a, "upload", rc, "a part was sent and taken back", &err);
}

/* An operation of its own: the key is cleaned up also where the examination was
 * stopped. */
static int delete_key(struct access *a, struct persist_error *err)
{
    struct persist_op op;
    int rc = op_init(&op, NULL);

    if (rc)
        return error_errno(err, -rc, "delete");
    op_start(&op, a->d->p->clock, CLEAN_TIMEOUT_MS);
    rc = backend_delete(a->store, &op, a->key, NULL, err);
    op_finish(&op);
    return rc;
}

static int try_delete(struct access *a)
{
    struct backend_head_answer answer;
    struct persist_error err = {0}, head_err = {0};
    int rc, there;

    start(a);
    rc = delete_key(a, &err);
    if (rc) {
        error_object(&err, "%s", a->key);
    } else {
        there = backend_head(a->store, a->d->op, a->key, &answer, &head_err);
        if (!there)
            rc = wrong(&err, PERSIST_E_INTERNAL,
                       "the object is still there after it was deleted");
    }
    return told(a, "delete", rc, "the object is gone", &err);
}

static int try_all(struct access *a)
{
    int rc = try_create(a);

    if (!rc && a->written)
        rc = try_head(a);
    if (!rc && a->written)
        rc = try_read(a);
    if (!rc && a->written)
        rc = try_list(a);
    if (!rc)
        rc = a->refused ? doctor_pass_over(a->d, "upload", "write")
                        : try_upload(a);
    if (a->written) { /* also where nothing else is to be done */
        int end = try_delete(a);
        rc = rc ? rc : end;
    }
    return rc;
}

int doctor_access(struct doctor *d)
{
    struct access a = {.d = d, .store = d->store->backend};
    int rc = doctor_key(d->p->clock, a.key);

    if (rc) {
        struct persist_error err = {0};

        error_errno(&err, -rc, "no random numbers for a name");
        return doctor_fail(d, "name", err.status, &err);
    }
    rc = look_list(&a);
    if (!rc && d->blocked)
        return pass_over_rest(d);
    if (!rc)
        rc = look_absent(&a);
    if (rc)
        return rc;
    if (d->look_only)
        return doctor_tell(d, PERSIST_FINDING_INFO, "write",
                           "not tried: nothing is to be written", NULL);
    return try_all(&a);
}

/* ----------------------------------------------------------------- uploads
 */

struct uploads {
    uint64_t n;
    uint64_t n_old;
    uint64_t bytes;
    int64_t now_us;
    int64_t oldest_us; /* of the ages */
};

static int count_upload(void *ctx, const struct backend_leftover *l)
{
    struct uploads *u = ctx;
    int64_t age = l->has_modified ? u->now_us - l->modified_us : 0;

    u->n++;
    u->bytes += l->size;
    if (age > u->oldest_us)
        u->oldest_us = age;
    if (age >= UPLOAD_OLD_US)
        u->n_old++;
    return 0;
}

static int tell_uploads(struct doctor *d, const struct uploads *u)
{
    char size[16], value[160];

    if (!u->n)
        return doctor_tell(d, PERSIST_FINDING_OK, "unfinished", "none", NULL);
    text_from_size(u->bytes, size);
    snprintf(value, sizeof value,
             "%" PRIu64 " with %s, the oldest %" PRId64 " hours old, %" PRIu64
             " older than 7 days",
             u->n, size, u->oldest_us / 3600000000, u->n_old);
    return doctor_tell(
        d, u->n_old ? PERSIST_FINDING_WARN : PERSIST_FINDING_INFO, "unfinished",
        value,
        u->n_old ? "`persist cleanup --dry-run` shows what can go" : NULL);
}

int doctor_uploads(struct doctor *d)
{
    struct uploads u = {.now_us = clock_wall_us(d->p->clock)};
    struct persist_error err = {0};

    if (d->blocked)
        return doctor_pass_over(d, "unfinished", "list");
    int rc = backend_list_leftovers(d->store->backend, d->op, "", count_upload,
                                    &u, &err);
    if (rc == PERSIST_E_UNSUPPORTED)
        return doctor_tell(d, PERSIST_FINDING_INFO, "unfinished",
                           "the backend cannot list them", NULL);
    if (rc) {
        advise("unfinished", rc, &err);
        return doctor_fail(d, "unfinished", rc, &err);
    }
    return tell_uploads(d, &u);
}
