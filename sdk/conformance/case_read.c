/* SPDX-License-Identifier: 0BSD */
/*
 * read and head: every edge of a range, and the pinned etag.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define LEN UINT64_C(1000)
#define ROOM 3000

struct window {
    uint32_t mode;
    uint64_t offset;
    uint64_t len;
    uint64_t want_offset;
    uint64_t want_len;
};

/* The answer, byte for byte, and nothing behind it. */
static void check_window(struct test *t, const char *key, const uint8_t *data,
                         uint64_t data_len, const struct window *w)
{
    uint8_t buffer[ROOM];
    memset(buffer, 0xa5, sizeof(buffer));
    struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = w->mode,
        .key = key,
        .offset = w->offset,
        .buffer = buffer,
        .len = w->len,
    };
    struct persist_backend_read_result r;
    int32_t rc = op_read(t, &args, &r);
    if (!expect_rc(t, "read", rc, PERSIST_BACKEND_OK))
        return;
    expect(t, r.total == data_len, "total is %" PRIu64 ", not %" PRIu64,
           r.total, data_len);
    if (!expect(t, r.len == w->want_len,
                "read of %" PRIu64 " at %" PRIu64 " gave %" PRIu64
                " bytes, not %" PRIu64,
                w->len, w->offset, r.len, w->want_len))
        return;
    if (r.len)
        expect(t, r.offset == w->want_offset,
               "the bytes start at %" PRIu64 ", not %" PRIu64, r.offset,
               w->want_offset);
    expect(t, memcmp(buffer, data + w->want_offset, (size_t)r.len) == 0,
           "the bytes read are not those written");
    for (uint64_t i = w->len; i < ROOM; i++)
        if (!expect(t, buffer[i] == 0xa5, "read wrote behind its buffer"))
            return;
}

static void check_windows(struct test *t, uint64_t data_len,
                          const struct window *windows, size_t n)
{
    char key[KEY_CAP];
    uint8_t *data = test_bytes(data_len, 3);
    test_key(t, "object", key);
    must_put(t, key, data, data_len, 0);
    for (size_t i = 0; i < n && !t->failed; i++)
        check_window(t, key, data, data_len, &windows[i]);
    free(data);
}

#define RANGE PERSIST_BACKEND_READ_RANGE
#define SUFFIX PERSIST_BACKEND_READ_SUFFIX
#define RUN(t, len, windows)                                                   \
    check_windows((t), (len), (windows), sizeof(windows) / sizeof((windows)[0]))

static void range_inside(struct test *t)
{
    static const struct window windows[] = {
        {RANGE, 0, 1, 0, 1},
        {RANGE, 0, LEN, 0, LEN},
        {RANGE, 1, 1, 1, 1},
        {RANGE, 499, 2, 499, 2},
        {RANGE, LEN - 1, 1, LEN - 1, 1},
        {RANGE, 0, LEN - 1, 0, LEN - 1},
        {RANGE, 1, LEN - 1, 1, LEN - 1},
    };
    RUN(t, LEN, windows);
}

static void range_over_end(struct test *t)
{
    static const struct window windows[] = {
        {RANGE, 0, 2000, 0, LEN},
        {RANGE, 0, LEN + 1, 0, LEN},
        {RANGE, LEN - 1, 2, LEN - 1, 1},
        {RANGE, 500, 2000, 500, 500},
    };
    RUN(t, LEN, windows);
}

static void range_at_end(struct test *t)
{
    static const struct window windows[] = {
        {RANGE, LEN, 1, LEN, 0},        {RANGE, LEN, 2000, LEN, 0},
        {RANGE, LEN + 1, 1, LEN, 0},    {RANGE, LEN * 1000, 10, LEN, 0},
        {RANGE, INT64_MAX, 10, LEN, 0}, {RANGE, UINT64_MAX, 10, LEN, 0},
    };
    RUN(t, LEN, windows);
}

static void range_of_empty(struct test *t)
{
    static const struct window windows[] = {
        {RANGE, 0, 1, 0, 0},
        {RANGE, 0, 2000, 0, 0},
        {RANGE, 1, 1, 0, 0},
    };
    RUN(t, 0, windows);
}

static void suffix_inside(struct test *t)
{
    static const struct window windows[] = {
        {SUFFIX, 0, 1, LEN - 1, 1},
        {SUFFIX, 0, 500, 500, 500},
        {SUFFIX, 0, LEN, 0, LEN},
        /* The offset means nothing here. */
        {SUFFIX, 77, 10, LEN - 10, 10},
    };
    RUN(t, LEN, windows);
}

static void suffix_larger(struct test *t)
{
    static const struct window windows[] = {
        {SUFFIX, 0, LEN + 1, 0, LEN},
        {SUFFIX, 0, 2000, 0, LEN},
    };
    RUN(t, LEN, windows);
}

static void suffix_of_empty(struct test *t)
{
    static const struct window windows[] = {
        {SUFFIX, 0, 1, 0, 0},
        {SUFFIX, 0, 2000, 0, 0},
    };
    RUN(t, 0, windows);
}

static int32_t read_pinned(struct test *t, const char *key, const char *etag,
                           struct persist_backend_read_result *out)
{
    char buffer[64];
    struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = PERSIST_BACKEND_READ_RANGE,
        .key = key,
        .buffer = buffer,
        .len = sizeof(buffer),
        .etag = etag,
    };
    return op_read(t, &args, out);
}

static void etag_pins(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_read_result first, again;
    test_key(t, "object", key);
    must_put(t, key, "one", 3, 0);
    expect_rc(t, "read", read_pinned(t, key, NULL, &first), PERSIST_BACKEND_OK);
    if (!first.etag[0]) {
        test_skip(t, "the store has no etags");
        return;
    }
    expect_rc(t, "the pinned read", read_pinned(t, key, first.etag, &again),
              PERSIST_BACKEND_OK);
    expect(t, strcmp(first.etag, again.etag) == 0,
           "the etag of an unchanged object changed");
    must_put(t, key, "two", 3, 0);
    expect_rc(t, "the pinned read after a replace",
              read_pinned(t, key, first.etag, &again),
              PERSIST_BACKEND_PRECONDITION);
    expect_rc(t, "the free read", read_pinned(t, key, NULL, &again),
              PERSIST_BACKEND_OK);
}

static void etag_pin_of_recreated(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_read_result first, again;
    test_key(t, "object", key);
    must_put(t, key, "one", 3, 0);
    expect_rc(t, "read", read_pinned(t, key, NULL, &first), PERSIST_BACKEND_OK);
    if (!first.etag[0]) {
        test_skip(t, "the store has no etags");
        return;
    }
    must_delete(t, key);
    int32_t rc = read_pinned(t, key, first.etag, &again);
    expect(t,
           rc == PERSIST_BACKEND_NOT_FOUND ||
               rc == PERSIST_BACKEND_PRECONDITION,
           "the pinned read of a deleted object answered %s", status_name(rc));
    must_put(t, key, "two", 3, 0);
    expect_rc(t, "the pinned read of a new object",
              read_pinned(t, key, first.etag, &again),
              PERSIST_BACKEND_PRECONDITION);
}

static void read_not_found(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_read_result r;
    test_key(t, "nothing/here", key);
    expect_rc(t, "read", read_pinned(t, key, NULL, &r),
              PERSIST_BACKEND_NOT_FOUND);
}

/* A folder is no object. */
static void read_folder_not_found(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_read_result r;
    must_put(t, test_key(t, "folder/object", key), "x", 1, 0);
    test_key(t, "folder", key);
    expect_rc(t, "read of a folder", read_pinned(t, key, NULL, &r),
              PERSIST_BACKEND_NOT_FOUND);
    must_be_absent(t, key);
}

static void head_size(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_head_result head;
    struct persist_backend_read_result r;
    test_key(t, "object", key);
    must_put(t, key, "12345", 5, 0);
    expect_rc(t, "head", op_head(t, key, &head), PERSIST_BACKEND_OK);
    expect(t, head.size == 5, "head says %" PRIu64 " bytes of 5", head.size);
    expect_rc(t, "read", read_pinned(t, key, NULL, &r), PERSIST_BACKEND_OK);
    expect(t, strcmp(head.etag, r.etag) == 0, "head's etag %s is not read's %s",
           head.etag, r.etag);
}

static void head_modified(struct test *t)
{
    char key[KEY_CAP];
    struct persist_backend_head_result head;
    test_key(t, "object", key);
    must_put(t, key, "12345", 5, 0);
    expect_rc(t, "head", op_head(t, key, &head), PERSIST_BACKEND_OK);
    if (!(head.present & PERSIST_BACKEND_HAS_MODIFIED)) {
        test_skip(t, "the store tells no modified time");
        return;
    }
    must_be_now(t, "head", head.modified_us);
}

static void head_not_found(struct test *t)
{
    char key[KEY_CAP];
    must_be_absent(t, test_key(t, "nothing", key));
    must_be_absent(t, test_key(t, "no/such/folder", key));
    must_put(t, test_key(t, "object", key), "x", 1, 0);
    must_be_absent(t, test_key(t, "objec", key));
    must_be_absent(t, test_key(t, "object2", key));
    must_be_absent(t, test_key(t, "object/below", key));
}

const struct conformance_case cases_read[] = {
    {"semantics.read.range-inside", range_inside},
    {"semantics.read.range-over-the-end", range_over_end},
    {"semantics.read.range-at-and-behind-the-end", range_at_end},
    {"semantics.read.range-of-empty-object", range_of_empty},
    {"semantics.read.suffix-inside", suffix_inside},
    {"semantics.read.suffix-larger-than-object", suffix_larger},
    {"semantics.read.suffix-of-empty-object", suffix_of_empty},
    {"semantics.read.etag-pins-a-version", etag_pins},
    {"semantics.read.etag-of-a-deleted-object", etag_pin_of_recreated},
    {"semantics.read.not-found", read_not_found},
    {"semantics.read.folder-is-no-object", read_folder_not_found},
    {"semantics.head.size-and-etag", head_size},
    {"semantics.head.modified-time", head_modified},
    {"semantics.head.not-found", head_not_found},
    {NULL, NULL},
};

/* ----------------------------------------------------------------- delete */

static void delete_removes(struct test *t)
{
    char key[KEY_CAP], other[KEY_CAP];
    uint32_t was = 99;
    test_key(t, "f/object", key);
    test_key(t, "f/object2", other);
    must_put(t, key, "x", 1, 0);
    must_put(t, other, "y", 1, 0);
    expect_rc(t, "delete", op_delete(t, key, &was), PERSIST_BACKEND_OK);
    expect(t,
           was == PERSIST_BACKEND_WAS_THERE ||
               was == PERSIST_BACKEND_WAS_UNKNOWN,
           "delete of an object said it was not there (%u)", was);
    must_be_absent(t, key);
    must_hold(t, other, "y", 1);
}

static void delete_idempotent(struct test *t)
{
    char key[KEY_CAP];
    uint32_t was = 99;
    test_key(t, "object", key);
    must_put(t, key, "x", 1, 0);
    must_delete(t, key);
    expect_rc(t, "the second delete", op_delete(t, key, &was),
              PERSIST_BACKEND_OK);
    expect(t,
           was == PERSIST_BACKEND_WAS_ABSENT ||
               was == PERSIST_BACKEND_WAS_UNKNOWN,
           "delete of nothing said it was there (%u)", was);
}

static void delete_never_was(struct test *t)
{
    char key[KEY_CAP];
    must_delete(t, test_key(t, "no/such/folder/object", key));
}

static void delete_folder(struct test *t)
{
    char key[KEY_CAP], folder[KEY_CAP];
    test_key(t, "folder/object", key);
    test_key(t, "folder", folder);
    must_put(t, key, "x", 1, 0);
    must_delete(t, folder);
    must_hold(t, key, "x", 1);
}

const struct conformance_case cases_delete[] = {
    {"semantics.delete.removes-one-object", delete_removes},
    {"semantics.delete.idempotent", delete_idempotent},
    {"semantics.delete.of-what-never-was", delete_never_was},
    {"semantics.delete.leaves-folders", delete_folder},
    {NULL, NULL},
};
