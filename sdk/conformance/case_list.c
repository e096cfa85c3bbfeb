/* SPDX-License-Identifier: 0BSD */
/*
 * list, compared with brute force over a set of keys chosen to sort badly.
 *
 * '%' '-' and '.' sort before '/', digits and letters behind it: a store that
 * walks directories by name gets that wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "suite.h"

static const char *const names[] = {
    "%41/x",       "a%2f/k",      "a-b/1",      "a-b/2", "a.b",     "a/1",
    "a/10",        "a/2",         "a/b%/x",     "a/b-c", "a/b.c/y", "a/b/c",
    "a/b/d/e",     "a/b/d/f",     "a/b0",       "a0",    "a_b/z",   "b",
    "c/d/e/f/g/h", "c/d/e/f/g-h", "c/d/e/f0/i", "dd/1",  "dd/2",    "dd/3",
    "z-/0",        "z/0",         "z0/0",
};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

struct model {
    char *keys[N_NAMES]; /* whole, in byte order */
};

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void model_init(struct test *t, struct model *m)
{
    char key[KEY_CAP];
    for (size_t i = 0; i < N_NAMES; i++) {
        test_key(t, names[i], key);
        m->keys[i] = must_alloc(strlen(key) + 1);
        memcpy(m->keys[i], key, strlen(key) + 1);
        must_put(t, key, "0123456789", strlen(names[i]) % 10, 0);
    }
    qsort(m->keys, N_NAMES, sizeof(m->keys[0]), by_bytes);
}

static void model_finish(struct model *m)
{
    for (size_t i = 0; i < N_NAMES; i++)
        free(m->keys[i]);
}

static uint64_t model_size(const struct test *t, const char *key)
{
    return (strlen(key) - strlen(t->prefix)) % 10;
}

/* The entries greater than start_after, without regard to the limit. */
static void model_list(const struct model *m, const struct list_query *q,
                       struct listing *out)
{
    out->items = must_alloc(N_NAMES * sizeof(*out->items));
    for (size_t i = 0; i < N_NAMES; i++) {
        const char *key = m->keys[i];
        size_t prefix_len = strlen(q->prefix), len = strlen(key);
        if (strncmp(key, q->prefix, prefix_len) != 0)
            continue;
        const char *cut = *q->delimiter ? strchr(key + prefix_len, '/') : NULL;
        if (cut)
            len = (size_t)(cut - key) + 1;
        char *entry = must_alloc(len + 1);
        memcpy(entry, key, len);
        entry[len] = '\0';
        bool seen = out->n && strcmp(out->items[out->n - 1].key, entry) == 0;
        if (seen || strcmp(entry, q->start_after) <= 0) {
            free(entry);
            continue;
        }
        out->items[out->n].key = entry;
        out->items[out->n].flags = cut ? PERSIST_BACKEND_ENTRY_FOLDER : 0;
        out->n++;
    }
}

static int by_key(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return strcmp(x->key, y->key);
}

static void check_entry(struct test *t, const struct listed *got,
                        const struct listed *want)
{
    expect(t, strcmp(got->key, want->key) == 0, "listed %s where %s belongs",
           got->key, want->key);
    expect(t, got->flags == want->flags, "%s is listed with flags %u, not %u",
           got->key, got->flags, want->flags);
    if (!got->flags)
        expect(t, got->size == model_size(t, want->key),
               "%s is listed with the wrong size", got->key);
    if (!got->flags && got->has_modified)
        must_be_now(t, got->key, got->modified_us);
}

/* One page against the model; returns where the next page starts. */
static size_t check_page(struct test *t, const struct listing *got,
                         const struct listing *want, size_t at, uint32_t limit)
{
    bool ordered =
        (t->suite->limits.flags & PERSIST_BACKEND_ORDERED_LISTING) != 0;
    size_t left = want->n - at;
    if (!ordered) {
        if (got->n > 0)
            qsort(got->items, got->n, sizeof(*got->items), by_key);
        expect(t, got->n == left && !got->more,
               "%zu entries in the one page, not %zu", got->n, left);
    } else {
        expect(t, got->n <= limit, "%zu entries in a page of %u", got->n,
               limit);
        expect(t, got->n > 0 || left == 0, "a page without entries");
        expect(t, got->more == (got->n < left),
               "more is %d after %zu of %zu entries", got->more, at + got->n,
               want->n);
    }
    for (size_t i = 0; i < got->n && i < left && !t->failed; i++)
        check_entry(t, &got->items[i], &want->items[at + i]);
    expect(t, got->n <= left, "listed %s, which does not belong there",
           got->n > left ? got->items[left].key : "");
    return at + got->n;
}

/* All pages of a query, each begun after the last entry of the one before. */
static void check_query(struct test *t, const struct model *m,
                        const struct list_query *query)
{
    struct listing want = {0};
    struct list_query q = *query;
    char start[KEY_CAP];
    size_t at = 0;
    bool more = true;
    snprintf(start, sizeof(start), "%s", q.start_after);
    q.start_after = start;
    model_list(m, query, &want);
    while (more && !t->failed) {
        struct listing got = {0};
        expect_rc(t, "list", op_list(t, &q, &got), PERSIST_BACKEND_OK);
        at = check_page(t, &got, &want, at, q.limit);
        more = got.more && got.n;
        if (got.n)
            snprintf(start, sizeof(start), "%s", got.items[got.n - 1].key);
        listing_finish(&got);
    }
    expect(t, t->failed || at == want.n, "%zu of %zu entries listed", at,
           want.n);
    listing_finish(&want);
}

static const char *const prefixes[] = {
    "",    "a",       "a/",   "a/b",     "a/b/",   "a-",
    "a.b", "b",       "c/d",  "c/d/e/f", "dd/",    "dd/2",
    "z",   "nothing", "a/b/", "%",       "a/b/d/", "zz/zz",
};
#define N_PREFIXES (sizeof(prefixes) / sizeof(prefixes[0]))

static void check_prefixes(struct test *t, const char *delimiter,
                           uint32_t limit)
{
    struct model m;
    char prefix[KEY_CAP];
    model_init(t, &m);
    for (size_t i = 0; i < N_PREFIXES && !t->failed; i++) {
        struct list_query q = {
            .prefix = test_key(t, prefixes[i], prefix),
            .start_after = "",
            .delimiter = delimiter,
            .limit = limit,
        };
        check_query(t, &m, &q);
    }
    model_finish(&m);
}

static void flat(struct test *t)
{
    check_prefixes(t, "", 1000);
}

static void folders(struct test *t)
{
    check_prefixes(t, "/", 1000);
}

static void pages_of_one(struct test *t)
{
    check_prefixes(t, "", 1);
}

static void pages_of_three(struct test *t)
{
    check_prefixes(t, "", 3);
}

static void folder_pages(struct test *t)
{
    check_prefixes(t, "/", 1);
    check_prefixes(t, "/", 2);
}

/* From every key there is, and from beside it. */
static void check_starts(struct test *t, const char *delimiter)
{
    static const char *const tails[] = {"", "!", "/", "~", "0"};
    struct model m;
    char start[KEY_CAP + 8], prefix[KEY_CAP];
    model_init(t, &m);
    for (size_t i = 0; i < N_NAMES * 5 && !t->failed; i++) {
        struct list_query q = {
            .prefix = test_key(t, i % 2 ? "a" : "", prefix),
            .start_after = start,
            .delimiter = delimiter,
            .limit = 7,
        };
        snprintf(start, sizeof(start), "%s%s", m.keys[i / 5], tails[i % 5]);
        check_query(t, &m, &q);
    }
    model_finish(&m);
}

static void starts(struct test *t)
{
    check_starts(t, "");
}

static void folder_starts(struct test *t)
{
    check_starts(t, "/");
}

/* A start before the prefix is no limit, one behind it leaves nothing. */
static void starts_outside(struct test *t)
{
    struct model m;
    char start[KEY_CAP], prefix[KEY_CAP];
    model_init(t, &m);
    struct list_query q = {.prefix = test_key(t, "b", prefix),
                           .start_after = test_key(t, "a", start),
                           .delimiter = "",
                           .limit = 10};
    check_query(t, &m, &q);
    test_key(t, "zzz", start);
    check_query(t, &m, &q);
    q.start_after = "";
    check_query(t, &m, &q);
    model_finish(&m);
}

static void nothing_is_ok(struct test *t)
{
    struct listing l = {0};
    char prefix[KEY_CAP];
    static const char *const empties[] = {"none", "none/", "no/such/folder/"};
    for (size_t i = 0; i < 3; i++) {
        struct list_query q = {.prefix = test_key(t, empties[i], prefix),
                               .delimiter = i ? "/" : ""};
        expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
        expect(t, l.n == 0 && !l.more, "a prefix of nothing lists something");
        listing_finish(&l);
    }
}

static void emit_stops(struct test *t)
{
    struct model m;
    model_init(t, &m);
    struct listing l = {.stop_after = 3};
    struct list_query q = {.prefix = t->prefix};
    expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
    expect(t, l.n_emitted == 3, "%zu entries after emit said stop at 3",
           l.n_emitted);
    listing_finish(&l);
    model_finish(&m);
}

static void sees_writes(struct test *t)
{
    char key[KEY_CAP];
    test_key(t, "f/object", key);
    for (int i = 0; i < 5; i++) {
        struct listing l = {0};
        struct list_query q = {.prefix = t->prefix};
        must_put(t, key, "x", 1, PERSIST_BACKEND_IF_ABSENT);
        expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
        expect(t, l.n == 1, "an object just written is not listed");
        listing_finish(&l);
        must_delete(t, key);
        expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
        expect(t, l.n == 0, "an object just deleted is listed");
        listing_finish(&l);
    }
}

/* A store with real folders may show one that its last key has left: then it is
 * a folder, and empty however it is looked into. */
static void emptied_folder(struct test *t)
{
    char key[KEY_CAP], folder[KEY_CAP];
    struct listing l = {0}, below = {0};
    struct list_query q = {.prefix = t->prefix, .delimiter = "/"};
    struct list_query inside = {.prefix = test_key(t, "f/", folder)};
    test_key(t, "f/g/h/object", key);
    must_put(t, key, "x", 1, PERSIST_BACKEND_IF_ABSENT);
    must_delete(t, key);
    expect_rc(t, "list", op_list(t, &q, &l), PERSIST_BACKEND_OK);
    expect(t, l.n <= 1 && !l.more, "%zu entries of one emptied folder", l.n);
    if (l.n)
        expect(t,
               l.items[0].flags == PERSIST_BACKEND_ENTRY_FOLDER &&
                   strcmp(l.items[0].key, folder) == 0,
               "an emptied folder is listed as %s", l.items[0].key);
    expect_rc(t, "list inside", op_list(t, &inside, &below),
              PERSIST_BACKEND_OK);
    expect(t, below.n == 0, "an emptied folder holds %s",
           below.n ? below.items[0].key : "");
    listing_finish(&l);
    listing_finish(&below);
}

const struct conformance_case cases_list[] = {
    {"list.flat.matches-brute-force", flat},
    {"list.folders.match-brute-force", folders},
    {"list.pages.of-one", pages_of_one},
    {"list.pages.of-three", pages_of_three},
    {"list.pages.of-folders", folder_pages},
    {"list.start-after.matches-brute-force", starts},
    {"list.start-after.with-folders", folder_starts},
    {"list.start-after.outside-the-prefix", starts_outside},
    {"list.prefix.of-nothing-is-ok", nothing_is_ok},
    {"list.emit.stops-the-listing", emit_stops},
    {"list.sees.own-writes", sees_writes},
    {"list.folders.emptied-hold-nothing", emptied_folder},
    {NULL, NULL},
};
