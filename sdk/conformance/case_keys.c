/* SPDX-License-Identifier: 0BSD */
/*
 * Keys that no host passes, and the limits a store declares.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

/* Out of the root, one way or another. */
static const char *const leaving[] = {
    "..",
    "../x",
    "../../etc/passwd",
    "a/..",
    "a/../b",
    "a/../../b",
    "a/b/../../../c",
    "/",
    "/x",
    "/etc/passwd",
    "//x",
    "a/b/..",
    "../",
    "a/../",
    "./../x",
    "..//x",
};
/* Inside, but not what a key is made of. */
static const char *const malformed[] = {
    "",      "a/",    "a//b",    "./a",
    "a/./b", "a/.",   ".",       ".x",
    "a/.x",  "a/b//", "...",     ".persist-tmp.x",
    "a//",   ".git",  "a/.../b", ".persist-tmp.0123456789abcdef/x",
};

/* rc of one op with a bad key; the prefix of the case is not in front. */
typedef int32_t (*key_op_fn)(struct test *t, const char *key);

static int32_t try_put(struct test *t, const char *key)
{
    return op_put(t, key, "x", 1, PERSIST_BACKEND_IF_ABSENT, NULL);
}

static int32_t try_begin(struct test *t, const char *key)
{
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    int32_t rc = op_begin(t, key, PERSIST_BACKEND_IF_ABSENT, id);
    if (rc == PERSIST_BACKEND_OK)
        op_abort(t, key, id);
    return rc;
}

static int32_t try_read(struct test *t, const char *key)
{
    char buffer[16];
    struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = PERSIST_BACKEND_READ_RANGE,
        .key = key,
        .buffer = buffer,
        .len = sizeof(buffer),
    };
    struct persist_backend_read_result r;
    return op_read(t, &args, &r);
}

static int32_t try_head(struct test *t, const char *key)
{
    return op_head(t, key, NULL);
}

static int32_t try_delete(struct test *t, const char *key)
{
    return op_delete(t, key, NULL);
}

static void refuse(struct test *t, const char *const *keys, size_t n,
                   key_op_fn op, const char *name)
{
    char below[KEY_CAP];
    for (size_t i = 0; i < n && !t->failed; i++) {
        int32_t rc = op(t, keys[i]);
        expect(t, rc == PERSIST_BACKEND_INVALID,
               "%s of the key '%s' answered %s, not invalid", name, keys[i],
               status_name(rc));
        if (!keys[i][0])
            continue;
        snprintf(below, sizeof(below), "%sx/%s", t->prefix, keys[i]);
        rc = op(t, below);
        expect(t, rc == PERSIST_BACKEND_INVALID,
               "%s of the key '%s' answered %s, not invalid", name, below,
               status_name(rc));
    }
}

#define REFUSE(t, keys, op, name)                                              \
    refuse((t), (keys), sizeof(keys) / sizeof((keys)[0]), (op), (name))

static void leaving_writes(struct test *t)
{
    REFUSE(t, leaving, try_put, "put");
    REFUSE(t, leaving, try_begin, "upload_begin");
    REFUSE(t, leaving, try_delete, "delete");
}

static void leaving_reads(struct test *t)
{
    REFUSE(t, leaving, try_read, "read");
    REFUSE(t, leaving, try_head, "head");
}

static void malformed_writes(struct test *t)
{
    REFUSE(t, malformed, try_put, "put");
    REFUSE(t, malformed, try_begin, "upload_begin");
    REFUSE(t, malformed, try_delete, "delete");
}

static void malformed_reads(struct test *t)
{
    REFUSE(t, malformed, try_read, "read");
    REFUSE(t, malformed, try_head, "head");
}

static void list_stays_inside(struct test *t)
{
    static const char *const outside[] = {"../", "/",  "/etc/", "a/../../",
                                          ".",   "..", "//"};
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++) {
        struct listing l = {0};
        struct list_query q = {.prefix = outside[i]};
        int32_t rc = op_list(t, &q, &l);
        expect(t, rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_INVALID,
               "list of the prefix '%s' answered %s", outside[i],
               status_name(rc));
        for (size_t k = 0; k < l.n; k++)
            expect(t, strcmp(l.items[k].key, ".persist-probe") == 0,
                   "list of the prefix '%s' shows %s", outside[i],
                   l.items[k].key);
        listing_finish(&l);
    }
}

const struct conformance_case cases_keys[] = {
    {"keys.leaving-the-root.writes-are-invalid", leaving_writes},
    {"keys.leaving-the-root.reads-are-invalid", leaving_reads},
    {"keys.malformed.writes-are-invalid", malformed_writes},
    {"keys.malformed.reads-are-invalid", malformed_reads},
    {"keys.list.stays-inside", list_stays_inside},
    {NULL, NULL},
};

/* ----------------------------------------------------------------- limits */

static void consistent(struct test *t)
{
    const struct persist_backend_limits *l = &t->suite->limits;
    const uint64_t part_most = UINT64_C(1) << 48;
    expect(t, !l->part_max || l->part_min <= l->part_max,
           "part_min %" PRIu64 " is above part_max %" PRIu64, l->part_min,
           l->part_max);
    expect(t, !l->part_max || l->part_align <= l->part_max,
           "part_align is above part_max");
    expect(t, l->part_min <= part_most && l->part_align <= part_most,
           "no memory holds parts of part_min %" PRIu64 ", part_align %" PRIu64,
           l->part_min, l->part_align);
    expect(t, l->key_max == 0 || l->key_max >= 128,
           "key_max %u is too small for keys", l->key_max);
    expect(t, (l->flags & ~(uint32_t)63) == 0, "unknown bits in flags: %x",
           l->flags);
    expect(t, l->reserved == 0, "limits.reserved is not 0");
    expect(t, !l->object_max || !l->put_max || l->put_max <= l->object_max,
           "put_max is above object_max");
    expect(t, l->parts_max == 0 || l->parts_max >= 2,
           "parts_max %u makes no upload", l->parts_max);
}

static void same_again(struct test *t)
{
    struct persist_backend_limits now;
    expect_rc(t, "limits", op_limits(t, &now), PERSIST_BACKEND_OK);
    expect(t, memcmp(&now, &t->suite->limits, sizeof(now)) == 0,
           "limits of one store differ from call to call");
}

/* A key as long as is declared, of components as long as file systems take. */
static void longest_key(struct test *t)
{
    uint32_t max = t->suite->limits.key_max;
    size_t len = max && max < KEY_CAP - 1 ? max : 1024;
    char key[KEY_CAP];
    size_t at = strlen(test_key(t, "", key));
    for (; at < len; at++)
        key[at] = at % 200 == 199 && at + 1 < len ? '/' : 'k';
    key[len] = '\0';
    must_put(t, key, "long", 4, PERSIST_BACKEND_IF_ABSENT);
    must_hold(t, key, "long", 4);
    must_delete(t, key);
}

/* Longer than declared: refused, or stored; never under another name. */
static void key_too_long(struct test *t)
{
    uint32_t max = t->suite->limits.key_max;
    char key[KEY_CAP], shorter[KEY_CAP];
    if (max == 0 || max >= KEY_CAP - 1) {
        test_skip(t, "no limit on keys is declared");
        return;
    }
    size_t at = strlen(test_key(t, "", key));
    for (; at < max + 1; at++)
        key[at] = at % 200 == 199 && at + 1 < max ? '/' : 'k';
    key[max + 1] = '\0';
    memcpy(shorter, key, sizeof(key));
    shorter[max] = '\0';
    int32_t rc = op_put(t, key, "x", 1, PERSIST_BACKEND_IF_ABSENT, NULL);
    expect(t, rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_INVALID,
           "put of a key over key_max answered %s", status_name(rc));
    must_be_absent(t, shorter);
    if (rc == PERSIST_BACKEND_OK)
        must_hold(t, key, "x", 1);
}

static void largest_put(struct test *t)
{
    uint64_t max = t->suite->limits.put_max;
    char key[KEY_CAP];
    if (max == 0 || max > UINT64_C(64) << 20) {
        test_skip(t, "put_max is not declared, or above 64 MiB");
        return;
    }
    uint8_t *data = test_bytes(max, 5);
    test_key(t, "object", key);
    must_put(t, key, data, max, PERSIST_BACKEND_IF_ABSENT);
    must_hold(t, key, data, max);
    free(data);
}

static void smallest_parts(struct test *t)
{
    char key[KEY_CAP];
    const struct persist_backend_limits *l = &t->suite->limits;
    uint64_t align = l->part_align ? l->part_align : 1;
    uint64_t len = l->part_min ? l->part_min : 1;
    struct upload u;
    if (upload_start(t, &u, test_key(t, "object", key), 3)) {
        u.part_len = (len + align - 1) / align * align;
        u.last_len = 1;
        u.len = 2 * u.part_len + 1;
        upload_send_all(t, &u);
        expect_rc(t, "upload_commit",
                  upload_commit(t, &u, PERSIST_BACKEND_IF_ABSENT),
                  PERSIST_BACKEND_OK);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

static void unequal_parts(struct test *t)
{
    char key[KEY_CAP];
    const struct persist_backend_limits *l = &t->suite->limits;
    uint64_t step = l->part_align ? l->part_align : 1;
    struct upload u;
    if (l->flags & PERSIST_BACKEND_EQUAL_PARTS) {
        test_skip(t, "equal parts are declared");
        return;
    }
    if (upload_start(t, &u, test_key(t, "object", key), 2)) {
        /* The last is the larger one. */
        free(u.data);
        u.last_len = u.part_len + step + 1;
        u.len = u.part_len + u.last_len;
        u.data = test_bytes(u.len, 6);
        upload_send_all(t, &u);
        expect_rc(t, "upload_commit",
                  upload_commit(t, &u, PERSIST_BACKEND_IF_ABSENT),
                  PERSIST_BACKEND_OK);
        must_hold(t, key, u.data, u.len);
    }
    upload_finish(&u);
}

const struct conformance_case cases_limits[] = {
    {"limits.declared.consistent", consistent},
    {"limits.declared.same-again", same_again},
    {"limits.key.longest-is-taken", longest_key},
    {"limits.key.longer-is-not-another", key_too_long},
    {"limits.put.largest-is-taken", largest_put},
    {"limits.part.smallest-is-taken", smallest_parts},
    {"limits.part.unequal-are-taken", unequal_parts},
    {NULL, NULL},
};
