/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listings: one page per request, checked entry by entry as the plugin emits
 * them, handed out one by one.
 *
 *     page 1: start_after ""    e1 e2 e3   more
 *     page 2: start_after e3    e4 e5      no more
 *
 * A page that is repeated starts empty again.  A store that cannot order is
 * read in one page, whatever its size up to a ceiling, and sorted here.  Keys
 * are not checked for spelling: what a foreign key means is the engine's
 * question.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/descriptor.h"
#include "backend/store_call.h"
#include "util/buf.h"
#include "util/error.h"
#include "util/text.h"

#define ENTRY_1_0 DESCRIPTOR_SIZE_THROUGH(struct persist_backend_entry, present)
#define PAGE_MAX 1000
/* Longer than any store's keys are; ends the reading of an endless one. */
#define KEY_LEN_MAX 8192
/* What an unordered listing may hold where there is no memory limit. */
#define UNORDERED_MAX_BYTES UINT64_C(134217728)

struct item {
    size_t key; /* offset into keys */
    uint64_t size;
    int64_t modified_us;
    bool has_modified;
    bool is_folder;
};

struct backend_list {
    struct backend_store *store;
    struct persist_op *op;
    char *prefix;
    struct buf after; /* start_after of the next page */
    bool by_folder;
    bool ordered;
    uint32_t page;

    struct buf keys; /* the page's keys, each with its NUL */
    struct item *items;
    size_t n_items;
    size_t cap;
    size_t next; /* the item to hand out */
    bool more;
    bool failed;
    bool listening; /* emit may be called: the op is running */

    uint64_t bytes_max; /* of keys and items together */
    const char *wrong;  /* what cannot be true of this page */
    bool memory;        /* ... or there is no memory for it */
    bool too_large;

    struct persist_backend_list_args args;
    struct persist_backend_list_result result;
    struct backend_entry entry; /* handed out */
};

/* ---------------------------------------------------------- one entry */

static const char *key_at(const struct backend_list *l, size_t i)
{
    return l->keys.data + l->items[i].key;
}

/* The key that has to be smaller than the next one. */
static const char *last_key(const struct backend_list *l)
{
    bool by_page = l->n_items > 0 && l->ordered;

    return by_page ? key_at(l, l->n_items - 1)
                   : (l->after.data ? l->after.data : "");
}

static const char *wrong_folder(const struct backend_list *l, const char *key,
                                bool is_folder)
{
    const char *rest = key + strlen(l->prefix);
    const char *slash = l->by_folder ? strchr(rest, '/') : NULL;

    if (is_folder && (!slash || slash[1] != '\0'))
        return "listed a folder that is none";
    if (!is_folder && slash)
        return "listed a key that belongs to a folder";
    return NULL;
}

static const char *wrong_entry(const struct backend_list *l,
                               const struct persist_backend_entry *e)
{
    if (!e || e->struct_size < ENTRY_1_0 || !e->key)
        return "listed an entry that is none";
    size_t len = strnlen(e->key, KEY_LEN_MAX + 1);
    if (len == 0 || len > KEY_LEN_MAX)
        return "listed a key that is empty or endless";
    if (strncmp(e->key, l->prefix, strlen(l->prefix)) != 0)
        return "listed a key outside the prefix";
    if (strcmp(e->key, last_key(l)) <= 0)
        return "listed keys out of order";
    if (l->ordered && l->n_items >= l->page)
        return "listed more entries than were asked for";
    return wrong_folder(l, e->key,
                        (e->flags & PERSIST_BACKEND_ENTRY_FOLDER) != 0);
}

static bool grow(struct backend_list *l)
{
    size_t cap = l->cap ? l->cap * 2 : 64;
    struct item *items = realloc(l->items, cap * sizeof(*items));

    if (!items)
        return false;
    l->items = items;
    l->cap = cap;
    return true;
}

static bool keep_entry(struct backend_list *l,
                       const struct persist_backend_entry *e)
{
    size_t len = strlen(e->key) + 1;
    struct item item = {
        .key = l->keys.len,
        .size = e->size,
        .has_modified = (e->present & PERSIST_BACKEND_HAS_MODIFIED) != 0,
        .is_folder = (e->flags & PERSIST_BACKEND_ENTRY_FOLDER) != 0,
    };

    item.modified_us = item.has_modified ? store_time_clean(e->modified_us) : 0;
    l->too_large =
        l->keys.len + len + (l->n_items + 1) * sizeof(item) > l->bytes_max;
    if (l->too_large)
        return false;
    buf_append(&l->keys, e->key, len);
    l->memory = buf_failed(&l->keys) || (l->n_items == l->cap && !grow(l));
    if (l->memory)
        return false;
    l->items[l->n_items++] = item;
    return true;
}

static int32_t emit(void *ctx, const struct persist_backend_entry *e)
{
    struct backend_list *l = ctx;

    if (!l->listening || l->wrong || l->memory || l->too_large)
        return 1;
    l->wrong = wrong_entry(l, e);
    return l->wrong || !keep_entry(l, e);
}

/* ----------------------------------------------------------- one page */

static void clear_page(struct backend_list *l)
{
    buf_clear(&l->keys);
    l->n_items = 0;
    l->next = 0;
    l->wrong = NULL;
    l->memory = false;
    l->too_large = false;
}

static int32_t attempt_list(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct backend_list *l = ctx;
    int32_t status;

    clear_page(l);
    l->args = (struct persist_backend_list_args){
        .struct_size = sizeof(l->args),
        .limit = l->page,
        .prefix = l->prefix,
        .start_after = l->after.data ? l->after.data : "",
        .delimiter = l->by_folder ? "/" : "",
        .emit = emit,
        .emit_ctx = l,
    };
    l->result =
        (struct persist_backend_list_result){.struct_size = sizeof(l->result)};
    l->listening = true;
    status = l->store->plugin->ops.list(l->store->handle, call, &l->args,
                                        &l->result, error);
    l->listening = false;
    return status;
}

static struct store_verdict check_list(void *ctx)
{
    const struct backend_list *l = ctx;

    if (l->memory)
        return store_verdict(PERSIST_E_MEMORY,
                             "listed more than there is memory for");
    if (l->too_large)
        return store_verdict(PERSIST_E_MEMORY,
                             "cannot list in order, and lists more than the "
                             "memory limit allows");
    if (!l->wrong && l->result.more && (l->n_items == 0 || !l->ordered))
        return store_verdict(PERSIST_E_CORRUPT,
                             "says that there is more and does not give it");
    return store_verdict(PERSIST_E_CORRUPT, l->wrong);
}

/* qsort has no context: sorted are pointers, and then the items. */
struct sorting {
    const char *key;
    struct item item;
};

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct sorting *)a)->key,
                  ((const struct sorting *)b)->key);
}

static int sort_page(struct backend_list *l, struct persist_error *err)
{
    struct sorting *order = NULL;
    bool twice = false;

    if (l->n_items < 2)
        return PERSIST_OK;
    order = malloc(l->n_items * sizeof(*order));
    if (!order)
        return error_memory(err);
    for (size_t i = 0; i < l->n_items; i++)
        order[i] = (struct sorting){key_at(l, i), l->items[i]};
    qsort(order, l->n_items, sizeof(*order), compare);
    for (size_t i = 0; i < l->n_items; i++) {
        l->items[i] = order[i].item;
        twice = twice || (i > 0 && strcmp(order[i - 1].key, order[i].key) == 0);
    }
    free(order);
    if (twice)
        return error_set(err, PERSIST_E_CORRUPT,
                         "list: backend %s listed a key twice",
                         l->store->plugin->descriptor.name);
    return PERSIST_OK;
}

static int fetch_page(struct backend_list *l, struct persist_error *err)
{
    struct store_call call = {.store = l->store,
                              .op = l->op,
                              .what = "list",
                              .counted_as = METRICS_LIST,
                              .key = l->prefix,
                              .ctx = l,
                              .attempt = attempt_list,
                              .check = check_list};
    int rc = PERSIST_OK;

    /* The page goes, and with it the key that the next one starts behind. */
    if (l->n_items > 0) {
        buf_clear(&l->after);
        buf_puts(&l->after, key_at(l, l->n_items - 1));
        if (buf_failed(&l->after))
            return error_memory(err);
    }
    rc = store_call(&call, err);
    if (rc == PERSIST_OK && !l->ordered)
        rc = sort_page(l, err);
    if (rc == PERSIST_OK)
        l->more = l->result.more != 0;
    return rc;
}

/* -------------------------------------------------------------- outside */

static int check_texts(const struct backend_store *s, const char *prefix,
                       const char *start_after, struct persist_error *err)
{
    if (strlen(prefix) <= KEY_LEN_MAX && strlen(start_after) <= KEY_LEN_MAX)
        return PERSIST_OK;
    return error_set(err, PERSIST_E_INVALID,
                     "store %s: a prefix longer than keys are", s->name);
}

int backend_list_open(struct backend_store *s, struct persist_op *op,
                      const char *prefix, const char *start_after,
                      bool by_folder, uint32_t page, struct backend_list **out,
                      struct persist_error *err)
{
    const char *after = start_after ? start_after : "";
    struct backend_list *l = NULL;
    int rc = check_texts(s, prefix, after, err);

    if (rc != PERSIST_OK)
        return rc;
    l = calloc(1, sizeof(*l));
    if (!l)
        return error_memory(err);
    l->store = s;
    l->op = op;
    l->by_folder = by_folder;
    l->ordered = (s->limits.flags & PERSIST_BACKEND_ORDERED_LISTING) != 0;
    l->page = page == 0 ? 1 : (page > PAGE_MAX ? PAGE_MAX : page);
    l->bytes_max =
        s->env.budget ? budget_limit(s->env.budget) / 2 : UNORDERED_MAX_BYTES;
    if (l->ordered)
        l->bytes_max = UINT64_MAX;
    l->more = true;
    buf_init(&l->keys, SIZE_MAX - 1);
    buf_init(&l->after, KEY_LEN_MAX);
    buf_puts(&l->after, after);
    l->prefix = text_dup(prefix);
    if (!l->prefix || buf_failed(&l->after)) {
        backend_list_close(l);
        return error_memory(err);
    }
    *out = l;
    return PERSIST_OK;
}

int backend_list_next(struct backend_list *l, const struct backend_entry **out,
                      struct persist_error *err)
{
    int rc = PERSIST_OK;

    if (l->failed)
        return error_set(err, PERSIST_E_MISUSE,
                         "list: asked to go on after a failure");
    while (l->next >= l->n_items && l->more && rc == PERSIST_OK)
        rc = fetch_page(l, err);
    if (rc != PERSIST_OK) {
        l->failed = true;
        return rc;
    }
    if (l->next >= l->n_items)
        return 0;
    const struct item *item = &l->items[l->next];
    l->entry = (struct backend_entry){.key = key_at(l, l->next),
                                      .size = item->size,
                                      .modified_us = item->modified_us,
                                      .has_modified = item->has_modified,
                                      .is_folder = item->is_folder};
    l->next++;
    *out = &l->entry;
    return 1;
}

void backend_list_close(struct backend_list *l)
{
    if (!l)
        return;
    buf_finish(&l->keys);
    buf_finish(&l->after);
    free(l->items);
    free(l->prefix);
    free(l);
}
