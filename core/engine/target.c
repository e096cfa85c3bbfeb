/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an address to the key of one snapshot.
 *
 * An index that stands in the address is taken at its word: opening its key
 * tells what is there, and a request to ask first would only add a race.  Only
 * "the latest" is looked up here.
 */
#include "engine/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "transfer/download.h"

#define LATEST_PAGE                                                            \
    64 /* the first few indices hold a live one nearly always                  \
        */

int target_check_store(struct persist_store *store,
                       const struct persist_address *address,
                       struct persist_error *err)
{
    if (!(address->present & PERSIST_ADDRESS_STORE) ||
        strcmp(address->store, store->name) == 0)
        return PERSIST_OK;
    error_set(err, PERSIST_E_INVALID,
              "the address names store \"%s\", and this is store \"%s\"",
              address->store, store->name);
    error_object(err, "%s:", address->store);
    return PERSIST_E_INVALID;
}

int target_parse(struct persist_store *store, const char *text,
                 struct target *out, struct persist_error *err)
{
    struct persist_address *a = &out->address;

    *out = (struct target){.address = PERSIST_ADDRESS_INIT};
    if (!text)
        return error_set(err, PERSIST_E_MISUSE, "no address is given");
    int rc = persist_address_parse(text, a, err);
    if (rc == PERSIST_OK)
        rc = target_check_store(store, a, err);
    if (rc != PERSIST_OK)
        return rc;
    if (!(a->present & PERSIST_ADDRESS_AGENT))
        return error_set(err, PERSIST_E_INVALID,
                         "address \"%.200s\": no agent is named", text);
    if (!(a->present & PERSIST_ADDRESS_SESSION))
        memcpy(a->session, "default", sizeof("default"));
    out->has_index = (a->present & PERSIST_ADDRESS_INDEX) != 0;
    out->index = a->index;
    return key_session_prefix(a->agent, a->session, out->prefix, err);
}

void target_text(const struct target *t, const uint64_t *index,
                 char out[TARGET_TEXT_CAP])
{
    struct persist_address a = t->address;

    a.present = PERSIST_ADDRESS_AGENT | PERSIST_ADDRESS_SESSION;
    if (index) {
        a.present |= PERSIST_ADDRESS_INDEX;
        a.index = *index;
    }
    if (persist_address_format(&a, out, TARGET_TEXT_CAP, NULL) != PERSIST_OK)
        snprintf(out, TARGET_TEXT_CAP, "%s", t->prefix);
}

/* An index is passed over because its .snap has the size of a mark. It must be
 * one; gone meanwhile is fine. */
static int check_mark(struct persist_store *store, struct persist_op *op,
                      const char *key, struct persist_error *err)
{
    enum download_kind kind = DOWNLOAD_SNAPSHOT;
    int rc = download_peek(store->backend, op, key, &kind, err);

    if (rc == PERSIST_E_NOT_FOUND)
        return PERSIST_OK;
    if (rc != PERSIST_OK || kind != DOWNLOAD_SNAPSHOT)
        return rc;
    error_set(err, PERSIST_E_CORRUPT,
              "a claim or tombstone became something else while it was looked "
              "at");
    error_object(err, "%s", key);
    return PERSIST_E_CORRUPT;
}

int target_check_data_alone(struct persist_store *store, struct persist_op *op,
                            const char *key, struct persist_error *err)
{
    struct backend_head_answer answer;
    int rc = backend_head(store->backend, op, key, &answer, err);

    if (rc == PERSIST_E_NOT_FOUND)
        return PERSIST_OK;
    if (rc != PERSIST_OK)
        return rc;
    error_set(err, PERSIST_E_CORRUPT,
              "the object that decides this index is gone, its data is not");
    error_object(err, "%s", key);
    return PERSIST_E_CORRUPT;
}

/* OK with the key where the index is live; 1 to go on with the next one. */
static int judge(struct persist_store *store, struct persist_op *op,
                 const struct target *t, const struct index_state *s,
                 char key[KEY_CAP], struct persist_error *err)
{
    enum index_kind kind = index_state_kind(s);
    bool data = kind == INDEX_SNAPSHOT_DATA || kind == INDEX_DATA_ALONE;

    key_format(t->prefix, s->index, data ? KEY_DATA : KEY_SNAP, key);
    if (kind == INDEX_SNAPSHOT || kind == INDEX_SNAPSHOT_DATA)
        return PERSIST_OK;
    int rc = data ? target_check_data_alone(store, op, key, err)
                  : check_mark(store, op, key, err);
    return rc == PERSIST_OK ? 1 : rc;
}

static int nothing_found(const struct target *t, bool any,
                         struct persist_error *err)
{
    char text[TARGET_TEXT_CAP];

    target_text(t, NULL, text);
    error_set(err, PERSIST_E_NOT_FOUND,
              any ? "session \"%s\" has no snapshot any more"
                  : "there is no session \"%s\"",
              text);
    error_object(err, "%s", text);
    if (!any)
        error_hint(err, "list tells which agents and sessions there are");
    return PERSIST_E_NOT_FOUND;
}

int target_latest(struct persist_store *store, struct persist_op *op,
                  const struct target *t, struct index_state *out,
                  char out_key[KEY_CAP], struct persist_error *err)
{
    struct session_walk *walk = NULL;
    bool any = false;
    int rc = session_walk_open(store, op, t->prefix, LATEST_PAGE, &walk, err);

    if (rc != PERSIST_OK)
        return rc;
    for (;;) {
        rc = session_walk_next(walk, out, err);
        if (rc == 0)
            rc = nothing_found(t, any, err);
        if (rc < 0)
            break;
        any = true;
        rc = judge(store, op, t, out, out_key, err);
        if (rc <= 0)
            break;
    }
    session_walk_close(walk);
    return rc;
}

int target_locate(struct persist_store *store, struct persist_op *op,
                  const struct target *t, uint64_t *out_index,
                  char out_key[KEY_CAP], struct persist_error *err)
{
    struct index_state state = {.index = t->index};
    int rc = PERSIST_OK;

    if (t->has_index)
        key_format(t->prefix, t->index, KEY_SNAP, out_key);
    else
        rc = target_latest(store, op, t, &state, out_key, err);
    *out_index = state.index;
    return rc;
}
