/* SPDX-License-Identifier: 0BSD */
/*
 * put, put_many and probe: one buffer becomes one object, all of it or nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

#define IF_ABSENT PERSIST_BACKEND_IF_ABSENT

static void round_trip(struct test *t, uint64_t len)
{
    char key[KEY_CAP];
    uint8_t *data = test_bytes(len, 1);
    test_key(t, "object", key);
    must_put(t, key, data, len, IF_ABSENT);
    must_hold(t, key, data, len);
    must_delete(t, key);
    free(data);
}

static void put_zero(struct test *t)
{
    round_trip(t, 0);
}

static void put_one(struct test *t)
{
    round_trip(t, 1);
}

static void put_large(struct test *t)
{
    uint64_t max = t->suite->limits.put_max;
    uint64_t len = (UINT64_C(1) << 20) + 12345;
    round_trip(t, max && max < len ? max : len);
}

static void put_every_byte(struct test *t)
{
    char key[KEY_CAP];
    uint8_t data[512];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(255 - i / 2);
    test_key(t, "bytes", key);
    must_put(t, key, data, sizeof(data), IF_ABSENT);
    must_hold(t, key, data, sizeof(data));
}

static void if_absent_exists(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "claim", key);
    must_put(t, key, "first", 5, IF_ABSENT);
    expect_rc(t, "the second put", op_put(t, key, "second", 6, IF_ABSENT, NULL),
              PERSIST_BACKEND_EXISTS);
    must_hold(t, key, "first", 5);
    /* The same bytes are no excuse: who asks must learn that it was taken. */
    expect_rc(t, "the same put again",
              op_put(t, key, "first", 5, IF_ABSENT, NULL),
              PERSIST_BACKEND_EXISTS);
}

static void if_absent_empty_exists(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "claim", key);
    must_put(t, key, "", 0, IF_ABSENT);
    expect_rc(t, "the second put", op_put(t, key, "x", 1, IF_ABSENT, NULL),
              PERSIST_BACKEND_EXISTS);
    must_hold(t, key, "", 0);
}

static void if_absent_after_delete(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "again", key);
    must_put(t, key, "first", 5, IF_ABSENT);
    must_delete(t, key);
    must_put(t, key, "second", 6, IF_ABSENT);
    must_hold(t, key, "second", 6);
}

static void replaces(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "object", key);
    must_put(t, key, "a long first value", 18, 0);
    must_put(t, key, "short", 5, 0);
    must_hold(t, key, "short", 5);
    must_put(t, key, "and a long one again", 20, 0);
    must_hold(t, key, "and a long one again", 20);
}

static void etag_changes(struct test *t)
{
    char key[KEY_CAP];
    char first[PERSIST_BACKEND_ETAG_MAX], second[PERSIST_BACKEND_ETAG_MAX];
    struct persist_backend_head_result head;
    test_key(t, "object", key);
    op_put(t, key, "one", 3, 0, first);
    if (!first[0]) {
        test_skip(t, "the store has no etags");
        return;
    }
    expect_rc(t, "head", op_head(t, key, &head), PERSIST_BACKEND_OK);
    expect(t, strcmp(first, head.etag) == 0,
           "put gave etag %s and head gives %s", first, head.etag);
    op_put(t, key, "two", 3, 0, second);
    expect(t, strcmp(first, second) != 0,
           "the etag %s is that of two different contents", first);
}

static void deep_key(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", key);
    must_put(t, key, "deep", 4, IF_ABSENT);
    must_hold(t, key, "deep", 4);
}

static void every_key_byte(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "abcdefghijklmnopqrstuvwxyz/0123456789._%-/%2e%2e/-rf/_", key);
    must_put(t, key, "k", 1, IF_ABSENT);
    must_hold(t, key, "k", 1);
}

/* Two spellings that a careless decoder takes for one. */
static void keys_are_literal(struct test *t)
{
    char plain[KEY_CAP], encoded[KEY_CAP];
    test_key(t, "a-b", plain);
    test_key(t, "a%2db", encoded);
    must_put(t, plain, "plain", 5, IF_ABSENT);
    must_put(t, encoded, "encoded", 7, IF_ABSENT);
    must_hold(t, plain, "plain", 5);
    must_hold(t, encoded, "encoded", 7);
}

static void probe_key(struct test *t)
{
    const char *key = ".persist-probe";
    int32_t rc = op_put(t, key, "persist", 7, IF_ABSENT, NULL);
    expect(t, rc == PERSIST_BACKEND_OK || rc == PERSIST_BACKEND_EXISTS,
           "put of .persist-probe answered %s", status_name(rc));
    expect_rc(t, "the second put",
              op_put(t, key, "persist", 7, IF_ABSENT, NULL),
              PERSIST_BACKEND_EXISTS);
    if (rc == PERSIST_BACKEND_OK)
        must_delete(t, key);
}

static void wrong_checksum(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "object", key);
    struct persist_backend_put_args args = {
        .struct_size = sizeof(args),
        .flags = IF_ABSENT,
        .key = key,
        .data = "bytes",
        .len = 5,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = 0x12345678,
        .content_type = "application/octet-stream",
    };
    int32_t rc = op_put_args(t, &args, NULL);
    if (rc == PERSIST_BACKEND_OK) {
        must_hold(t, key, "bytes", 5);
        return;
    }
    expect_rc(t, "put with a wrong checksum", rc, PERSIST_BACKEND_CORRUPT);
    must_be_absent(t, key);
}

#define MANY 9

static void many_items(struct test *t, char keys[MANY][KEY_CAP],
                       struct persist_backend_put_args items[MANY])
{
    for (uint32_t i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), "d%u/o%u", i % 3, i);
        test_key(t, name, keys[i]);
        items[i] = (struct persist_backend_put_args){
            .struct_size = sizeof(items[i]),
            .flags = IF_ABSENT,
            .key = keys[i],
            .data = name,
            .len = i, /* the first is empty */
            .content_type = "application/octet-stream",
        };
    }
}

static void put_many_statuses(struct test *t)
{
    static char keys[MANY][KEY_CAP];
    struct persist_backend_put_args items[MANY];
    int32_t statuses[MANY];
    if (!t->suite->ops->put_many) {
        test_skip(t, "the backend has no put_many");
        return;
    }
    many_items(t, keys, items);
    for (uint32_t i = 0; i < MANY; i++)
        items[i].data = "012345678";
    must_put(t, keys[4], "taken", 5, IF_ABSENT);
    expect_rc(t, "put_many", op_put_many(t, items, MANY, statuses),
              PERSIST_BACKEND_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        bool taken = i == 4;
        expect(t,
               statuses[i] ==
                   (taken ? PERSIST_BACKEND_EXISTS : PERSIST_BACKEND_OK),
               "put_many answered %s for item %u", status_name(statuses[i]), i);
        must_hold(t, keys[i], taken ? "taken" : "012345678", taken ? 5 : i);
    }
}

static void put_many_replaces(struct test *t)
{
    static char keys[MANY][KEY_CAP];
    struct persist_backend_put_args items[MANY];
    int32_t statuses[MANY];
    if (!t->suite->ops->put_many) {
        test_skip(t, "the backend has no put_many");
        return;
    }
    many_items(t, keys, items);
    for (uint32_t i = 0; i < MANY; i++) {
        items[i].data = "012345678";
        items[i].flags = 0;
    }
    must_put(t, keys[4], "to be replaced", 14, IF_ABSENT);
    expect_rc(t, "put_many", op_put_many(t, items, MANY, statuses),
              PERSIST_BACKEND_OK);
    for (uint32_t i = 0; i < MANY; i++)
        expect(t, statuses[i] == PERSIST_BACKEND_OK,
               "put_many answered %s for item %u", status_name(statuses[i]), i);
    must_hold(t, keys[4], "0123", 4);
}

static void probe(struct test *t)
{
    uint32_t n = 0;
    if (!t->suite->ops->probe) {
        test_skip(t, "the backend has no probe");
        return;
    }
    expect_rc(t, "probe", op_probe(t, &n), PERSIST_BACKEND_OK);
    expect(t, n > 0, "probe found nothing to say");
}

const struct conformance_case cases_put[] = {
    {"semantics.put.zero-bytes", put_zero},
    {"semantics.put.one-byte", put_one},
    {"semantics.put.large", put_large},
    {"semantics.put.every-byte-value", put_every_byte},
    {"semantics.put.if-absent-answers-exists", if_absent_exists},
    {"semantics.put.if-absent-sees-empty-objects", if_absent_empty_exists},
    {"semantics.put.if-absent-after-delete", if_absent_after_delete},
    {"semantics.put.replaces", replaces},
    {"semantics.put.etag-changes-with-content", etag_changes},
    {"semantics.put.deep-key", deep_key},
    {"semantics.put.every-key-byte", every_key_byte},
    {"semantics.put.keys-are-literal", keys_are_literal},
    {"semantics.put.probe-key", probe_key},
    {"semantics.put.wrong-checksum-stores-nothing-wrong", wrong_checksum},
    {"semantics.put-many.status-of-each", put_many_statuses},
    {"semantics.put-many.replaces", put_many_replaces},
    {"semantics.probe.tells-something", probe},
    {NULL, NULL},
};
