/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backend says of itself to a person who looks for trouble.  Its
 * findings are collected first, because a repeated request starts anew; texts
 * are made printable, cut, and scrubbed of secrets before anyone sees them.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/descriptor.h"
#include "backend/store_call.h"
#include "util/error.h"

#define FINDING_1_0                                                            \
    DESCRIPTOR_SIZE_THROUGH(struct persist_backend_finding, hint)
#define FINDINGS_MAX 256 /* more than that nobody reads */

struct findings {
    struct backend_store *store;
    struct backend_finding *items;
    size_t n;
    size_t cap;
    const char *wrong;
    bool memory;
    bool listening;
    struct persist_backend_probe_args args;
    struct persist_backend_probe_result result;
};

static const char *wrong_finding(const struct persist_backend_finding *f)
{
    if (!f || f->struct_size < FINDING_1_0 || !f->name || !f->value ||
        f->verdict > PERSIST_BACKEND_FINDING_FAIL)
        return "found what is no finding";
    return NULL;
}

static void take_text(const struct backend_store *s, char *out, size_t cap,
                      const char *text)
{
    size_t len = strnlen(text, cap - 1);

    memcpy(out, text, len);
    /* Cut within a character: it goes as a whole. */
    while (text[len] && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    out[len] = '\0';
    store_text_clean(out, cap);
    if (s->env.log)
        log_redact(s->env.log, out);
}

static bool keep(struct findings *l, const struct persist_backend_finding *f)
{
    struct backend_finding *item;

    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct backend_finding *grown =
            realloc(l->items, cap * sizeof(*l->items));
        if (!grown)
            return false;
        l->items = grown;
        l->cap = cap;
    }
    item = &l->items[l->n++];
    memset(item, 0, sizeof(*item));
    item->verdict = f->verdict;
    take_text(l->store, item->name, sizeof(item->name), f->name);
    take_text(l->store, item->value, sizeof(item->value), f->value);
    if (f->hint)
        take_text(l->store, item->hint, sizeof(item->hint), f->hint);
    return true;
}

static int32_t emit(void *ctx, const struct persist_backend_finding *f)
{
    struct findings *l = ctx;

    if (!l->listening || l->wrong || l->memory || l->n >= FINDINGS_MAX)
        return 1;
    l->wrong = wrong_finding(f);
    if (!l->wrong)
        l->memory = !keep(l, f);
    return l->wrong || l->memory;
}

static int32_t attempt_probe(void *ctx, const struct persist_backend_call *call,
                             struct persist_backend_error *error)
{
    struct findings *l = ctx;
    int32_t status;

    l->n = 0;
    l->wrong = NULL;
    l->memory = false;
    l->args = (struct persist_backend_probe_args){
        .struct_size = sizeof(l->args), .emit = emit, .emit_ctx = l};
    l->result =
        (struct persist_backend_probe_result){.struct_size = sizeof(l->result)};
    l->listening = true;
    status = l->store->plugin->ops.probe(l->store->handle, call, &l->args,
                                         &l->result, error);
    l->listening = false;
    return status;
}

static struct store_verdict check_probe(void *ctx)
{
    const struct findings *l = ctx;

    if (l->memory)
        return store_verdict(PERSIST_E_MEMORY,
                             "found more than there is memory for");
    return store_bug(l->wrong);
}

int backend_probe(struct backend_store *s, struct persist_op *op,
                  backend_finding_fn each, void *ctx, struct persist_error *err)
{
    struct findings l = {.store = s};
    struct store_call call = {.store = s,
                              .op = op,
                              .what = "probe",
                              .counted_as = METRICS_EXISTS,
                              .key = "",
                              .ctx = &l,
                              .attempt = attempt_probe,
                              .check = check_probe};
    int rc, stop = 0;

    if (!s->plugin->ops.probe)
        return error_set(err, PERSIST_E_UNSUPPORTED,
                         "backend %s says nothing of itself",
                         s->plugin->descriptor.name);
    rc = store_call(&call, err);
    for (size_t i = 0; i < l.n && !stop; i++)
        stop = each(ctx, &l.items[i]);
    free(l.items);
    return stop ? stop : rc;
}
