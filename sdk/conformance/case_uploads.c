/* SPDX-License-Identifier: 0BSD */
/*
 * Uploads: parts in any order, one commit or an abort, nothing seen before.
 */
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define IF_ABSENT PERSIST_BACKEND_IF_ABSENT

static void must_commit(struct test *t, const struct upload *u)
{
    expect_rc(t, "upload_commit", upload_commit(t, u, IF_ABSENT),
              PERSIST_BACKEND_OK);
    must_hold(t, u->key, u->data, u->len);
}

static void must_abort(struct test *t, const struct upload *u)
{
    expect_rc(t, "upload_abort", op_abort(t, u->key, u->id),
              PERSIST_BACKEND_OK);
}

static void in_order(struct test *t, uint32_t n_parts)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "f/object", key), n_parts)) {
        upload_send_all(t, &u);
        must_commit(t, &u);
    }
    upload_finish(&u);
}

static void one_part(struct test *t)
{
    in_order(t, 1);
}

static void three_parts(struct test *t)
{
    in_order(t, 3);
}

static void empty_object(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 1)) {
        u.last_len = u.len = 0;
        upload_send_all(t, &u);
        must_commit(t, &u);
    }
    upload_finish(&u);
}

static void any_order(struct test *t)
{
    static const uint32_t order[] = {3, 1, 4, 2};
    char key[KEY_CAP];
    struct upload u = {0};
    if (t->suite->limits.parallel_max == 1) {
        test_skip(t, "limits.parallel_max is 1");
        return;
    }
    if (upload_start(t, &u, test_key(t, "object", key), 4)) {
        for (size_t i = 0; i < 4; i++)
            expect_rc(t, "upload_part", upload_send(t, &u, order[i]),
                      PERSIST_BACKEND_OK);
        must_commit(t, &u);
    }
    upload_finish(&u);
}

static void sent_again(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        expect_rc(t, "upload_part", upload_send(t, &u, 1), PERSIST_BACKEND_OK);
        expect_rc(t, "the same part again", upload_send(t, &u, 1),
                  PERSIST_BACKEND_OK);
        expect_rc(t, "upload_part", upload_send(t, &u, 2), PERSIST_BACKEND_OK);
        expect_rc(t, "the last part again", upload_send(t, &u, 2),
                  PERSIST_BACKEND_OK);
        must_commit(t, &u);
    }
    upload_finish(&u);
}

static void invisible(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    struct listing l = {0};
    struct list_query q = {.prefix = t->prefix};
    if (upload_start(t, &u, test_key(t, "f/object", key), 2)) {
        must_be_absent(t, key);
        upload_send_all(t, &u);
        must_be_absent(t, key);
        expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
        expect(t, l.n == 0, "an unfinished upload is listed as %s",
               l.n ? l.items[0].key : "");
        must_commit(t, &u);
    }
    listing_finish(&l);
    upload_finish(&u);
}

static void commit_exists(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        must_put(t, key, "mine", 4, IF_ABSENT);
        expect_rc(t, "upload_commit", upload_commit(t, &u, IF_ABSENT),
                  PERSIST_BACKEND_EXISTS);
        must_hold(t, key, "mine", 4);
        must_abort(t, &u);
        must_hold(t, key, "mine", 4);
    }
    upload_finish(&u);
}

static void commit_replaces(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start_replacing(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        must_put(t, key, "old", 3, IF_ABSENT);
        expect_rc(t, "upload_commit", upload_commit(t, &u, 0),
                  PERSIST_BACKEND_OK);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

/* What a host does whose first commit's reply was lost. */
static void commit_again(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        must_commit(t, &u);
        /* OK is as true: the object is this very upload's. */
        int32_t rc = upload_commit(t, &u, IF_ABSENT);
        expect(t, rc == PERSIST_BACKEND_EXISTS || rc == PERSIST_BACKEND_OK,
               "the same commit again answered %s", status_name(rc));
        must_abort(t, &u);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

/* Parts 1 and 3, as though 2 had never been. */
static void commit_hole(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 3)) {
        expect_rc(t, "upload_part", upload_send(t, &u, 1), PERSIST_BACKEND_OK);
        if (t->suite->limits.parallel_max == 1)
            expect_rc(t, "upload_part", upload_send(t, &u, 2),
                      PERSIST_BACKEND_OK);
        expect_rc(t, "upload_part", upload_send(t, &u, 3), PERSIST_BACKEND_OK);
        u.receipts[1] = u.receipts[2];
        /* Neither size nor checksum: the offsets alone must tell. */
        struct persist_backend_commit_args args = {
            .struct_size = sizeof(args),
            .flags = IF_ABSENT,
            .key = key,
            .upload_id = u.id,
            .receipts = u.receipts,
            .n_receipts = 2,
            .receipt_size = sizeof(u.receipts[0]),
        };
        int32_t rc = op_commit(t, &args);
        expect(t, rc < 0, "a commit with a hole answered %s", status_name(rc));
        must_be_absent(t, key);
        must_abort(t, &u);
    }
    upload_finish(&u);
}

static void commit_wrong_size(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        struct persist_backend_commit_args args = {
            .struct_size = sizeof(args),
            .flags = IF_ABSENT,
            .key = key,
            .upload_id = u.id,
            .receipts = u.receipts,
            .n_receipts = u.n_parts,
            .receipt_size = sizeof(u.receipts[0]),
            .present = PERSIST_BACKEND_HAS_SIZE,
            .size = u.len + 1,
        };
        int32_t rc = op_commit(t, &args);
        expect(t, rc < 0, "a commit of a wrong size answered %s",
               status_name(rc));
        must_be_absent(t, key);
        must_abort(t, &u);
    }
    upload_finish(&u);
}

static void abort_discards(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        must_abort(t, &u);
        must_be_absent(t, key);
        int32_t rc = upload_commit(t, &u, IF_ABSENT);
        expect(t, rc < 0, "a commit after the abort answered %s",
               status_name(rc));
        must_be_absent(t, key);
    }
    upload_finish(&u);
}

static void abort_idempotent(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        must_abort(t, &u);
        must_abort(t, &u);
        must_abort(t, &u);
    }
    upload_finish(&u);
}

static void abort_after_commit(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        must_commit(t, &u);
        must_abort(t, &u);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

static void part_after_abort(struct test *t)
{
    char key[KEY_CAP];
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        must_abort(t, &u);
        int32_t rc = upload_send(t, &u, 1);
        expect(t, rc < 0, "a part after the abort answered %s",
               status_name(rc));
    }
    upload_finish(&u);
}

static void two_of_one_key(struct test *t)
{
    char key[KEY_CAP];
    struct upload first, second = {0};
    bool both = upload_start(t, &first, test_key(t, "object", key), 2) &&
                upload_start(t, &second, key, 3);
    if (both) {
        expect(t, strcmp(first.id, second.id) != 0,
               "two uploads have the id %s", first.id);
        upload_send_all(t, &first);
        upload_send_all(t, &second);
        must_commit(t, &second);
        expect_rc(t, "the second commit", upload_commit(t, &first, IF_ABSENT),
                  PERSIST_BACKEND_EXISTS);
        must_abort(t, &first);
        must_hold(t, key, second.data, second.len);
    }
    upload_finish(&first);
    upload_finish(&second);
}

static bool is_upload_of(const struct listed *item, const char *key)
{
    return strcmp(item->key, key) == 0 || !item->key[0];
}

static size_t find_upload(const struct listing *l, const char *key)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += is_upload_of(&l->items[i], key);
    return n;
}

/* The newest of them: leftovers without a key may be anybody's. */
static void dated_now(struct test *t, const struct listing *l, const char *key)
{
    const struct listed *newest = NULL;
    for (size_t i = 0; i < l->n; i++) {
        const struct listed *item = &l->items[i];
        if (is_upload_of(item, key) && item->has_modified &&
            (!newest || item->modified_us > newest->modified_us))
            newest = item;
    }
    if (newest)
        must_be_now(t, "an upload", newest->modified_us);
}

static void listed_until_aborted(struct test *t)
{
    char key[KEY_CAP];
    struct upload u = {0};
    struct listing before = {0}, after = {0};
    if (!t->suite->ops->list_uploads) {
        test_skip(t, "the backend has no list_uploads");
        return;
    }
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        upload_send_all(t, &u);
        expect_rc(t, "list_uploads", op_list_uploads(t, t->prefix, &before),
                  PERSIST_BACKEND_OK);
        dated_now(t, &before, key);
        must_abort(t, &u);
        expect_rc(t, "list_uploads", op_list_uploads(t, t->prefix, &after),
                  PERSIST_BACKEND_OK);
        /* A store whose ids die with the process need not list its own. */
        if (t->suite->limits.flags & PERSIST_BACKEND_RESUMABLE)
            expect(t, find_upload(&before, key) > 0,
                   "list_uploads does not show an unfinished upload");
        expect(t, find_upload(&after, key) == 0,
               "list_uploads shows an upload that was aborted");
    }
    listing_finish(&before);
    listing_finish(&after);
    upload_finish(&u);
}

static void resumed_elsewhere(struct test *t)
{
    char key[KEY_CAP];
    struct upload u = {0};
    struct persist_backend_error error;
    void *own = t->store, *other = NULL;
    if (!(t->suite->limits.flags & PERSIST_BACKEND_RESUMABLE)) {
        test_skip(t, "uploads are not declared resumable");
        return;
    }
    expect_rc(t, "open", op_open(t->suite, &t->suite->config, &other, &error),
              PERSIST_BACKEND_OK);
    if (other && upload_start(t, &u, test_key(t, "object", key), 2)) {
        expect_rc(t, "upload_part", upload_send(t, &u, 1), PERSIST_BACKEND_OK);
        t->store = other;
        expect_rc(t, "upload_part", upload_send(t, &u, 2), PERSIST_BACKEND_OK);
        must_commit(t, &u);
        t->store = own;
        must_hold(t, key, u.data, u.len);
    }
    if (other)
        t->suite->ops->close(other);
    upload_finish(&u);
}

const struct conformance_case cases_uploads[] = {
    {"uploads.commit.one-part", one_part},
    {"uploads.commit.three-parts", three_parts},
    {"uploads.commit.empty-object", empty_object},
    {"uploads.part.any-order", any_order},
    {"uploads.part.sent-again", sent_again},
    {"uploads.part.after-abort-fails", part_after_abort},
    {"uploads.begin.invisible-before-commit", invisible},
    {"uploads.begin.two-of-one-key", two_of_one_key},
    {"uploads.commit.if-absent-answers-exists", commit_exists},
    {"uploads.commit.replaces", commit_replaces},
    {"uploads.commit.again-answers-exists", commit_again},
    {"uploads.commit.hole-fails", commit_hole},
    {"uploads.commit.wrong-size-fails", commit_wrong_size},
    {"uploads.abort.discards", abort_discards},
    {"uploads.abort.idempotent", abort_idempotent},
    {"uploads.abort.after-commit-keeps", abort_after_commit},
    {"uploads.list.until-aborted", listed_until_aborted},
    {"uploads.resume.from-another-store", resumed_elsewhere},
    {NULL, NULL},
};
