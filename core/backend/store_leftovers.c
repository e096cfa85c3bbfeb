/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unfinished uploads and leftovers of writes that died.  The whole answer is
 * collected before anyone sees a part of it: a repeated request starts anew,
 * and who looks at a leftover may remove it, which is another op.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/descriptor.h"
#include "backend/store_call.h"
#include "util/error.h"
#include "util/text.h"

#define UPLOAD_1_0                                                             \
    DESCRIPTOR_SIZE_THROUGH(struct persist_backend_upload, modified_us)
#define KEY_LEN_MAX 8192
/* 100,000 of them are 10 to 20 MiB; the next run finds the others. */
#define LEFTOVERS_MAX 100000

struct item {
    char *key;
    char *id;
    struct backend_leftover view;
};

struct leftovers {
    struct backend_store *store;
    const char *prefix;
    struct item *items;
    size_t n;
    size_t cap;
    const char *wrong;
    bool memory;
    bool listening;
    struct persist_backend_list_uploads_args args;
    struct persist_backend_list_uploads_result result;
};

static void clear(struct leftovers *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->items[i].key);
        free(l->items[i].id);
    }
    l->n = 0;
    l->wrong = NULL;
    l->memory = false;
}

static const char *wrong_upload(const struct leftovers *l,
                                const struct persist_backend_upload *u)
{
    if (!u || u->struct_size < UPLOAD_1_0 || !u->key || !u->upload_id)
        return "listed a leftover that is none";
    if (strnlen(u->key, KEY_LEN_MAX + 1) > KEY_LEN_MAX)
        return "listed a leftover with an endless key";
    size_t len = strnlen(u->upload_id, PERSIST_BACKEND_UPLOAD_ID_MAX);
    if (len == 0 || len == PERSIST_BACKEND_UPLOAD_ID_MAX)
        return "listed a leftover whose upload id is empty or endless";
    if (u->key[0] && strncmp(u->key, l->prefix, strlen(l->prefix)) != 0)
        return "listed a leftover outside the prefix";
    return NULL;
}

static bool keep(struct leftovers *l, const struct persist_backend_upload *u)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct item *grown = realloc(l->items, cap * sizeof(*grown));
        if (!grown)
            return false;
        l->items = grown;
        l->cap = cap;
    }
    struct item item = {.key = text_dup(u->key), .id = text_dup(u->upload_id)};
    if (!item.key || !item.id) {
        free(item.key);
        free(item.id);
        return false;
    }
    item.view = (struct backend_leftover){
        .key = item.key,
        .upload_id = item.id,
        .size = u->present & PERSIST_BACKEND_HAS_SIZE ? u->size : 0,
        .has_modified = (u->present & PERSIST_BACKEND_HAS_MODIFIED) != 0};
    item.view.modified_us =
        item.view.has_modified ? store_time_clean(u->modified_us) : 0;
    l->items[l->n++] = item;
    return true;
}

static int32_t emit(void *ctx, const struct persist_backend_upload *u)
{
    struct leftovers *l = ctx;

    if (!l->listening || l->wrong || l->memory || l->n >= LEFTOVERS_MAX)
        return 1;
    l->wrong = wrong_upload(l, u);
    if (!l->wrong)
        l->memory = !keep(l, u);
    return l->wrong || l->memory;
}

static int32_t attempt_list(void *ctx, const struct persist_backend_call *call,
                            struct persist_backend_error *error)
{
    struct leftovers *l = ctx;
    int32_t status;

    clear(l);
    l->args = (struct persist_backend_list_uploads_args){.struct_size =
                                                             sizeof(l->args),
                                                         .prefix = l->prefix,
                                                         .emit = emit,
                                                         .emit_ctx = l};
    l->result = (struct persist_backend_list_uploads_result){
        .struct_size = sizeof(l->result)};
    l->listening = true;
    status = l->store->plugin->ops.list_uploads(l->store->handle, call,
                                                &l->args, &l->result, error);
    l->listening = false;
    return status;
}

static struct store_verdict check_list(void *ctx)
{
    const struct leftovers *l = ctx;

    if (l->memory)
        return store_verdict(PERSIST_E_MEMORY,
                             "listed more than there is memory for");
    return store_verdict(PERSIST_E_CORRUPT, l->wrong);
}

int backend_list_leftovers(struct backend_store *s, struct persist_op *op,
                           const char *prefix, backend_leftover_fn each,
                           void *ctx, struct persist_error *err)
{
    struct leftovers l = {.store = s, .prefix = prefix};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "list_uploads",
                              .counted_as = METRICS_LIST,
                              .key = prefix,
                              .ctx = &l,
                              .attempt = attempt_list,
                              .check = check_list};
    int rc;

    if (!s->plugin->ops.list_uploads)
        return error_set(err, PERSIST_E_UNSUPPORTED,
                         "backend %s cannot list unfinished uploads",
                         s->plugin->descriptor.name);
    rc = store_call(&call, err);
    for (size_t i = 0; i < l.n && rc == PERSIST_OK; i++)
        rc = each(ctx, &l.items[i].view);
    clear(&l);
    free(l.items);
    return rc;
}
