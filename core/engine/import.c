/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Importing snapshots of Persist 0.1.
 *
 *     load every file      checked; what is kept of it is who, when and which
 *     sort                 by agent, session, time
 *     for each session     read what was imported before, once
 *       for each file      load it again, append it unless it is there
 *
 * Loading twice keeps one payload in memory at a time, however many files there
 * are.  An import that was interrupted is simply run again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/import_parse.h"
#include "engine/import_seen.h"
#include "util/text.h"

struct plan { /* one file that can be imported */
    const char *path;
    size_t position; /* among the arguments */
    char *agent;
    char *session;
    char *id;
    char *timestamp;
    char *content_hash;
    int64_t timestamp_us;
};

struct import {
    struct persist_store *store;
    struct persist_import_options options;
    struct engine_call call;
    struct persist_op *op;
    uint64_t deadline_ns; /* of the whole call; 0: none */
    struct plan *plans;
    size_t n_plans;
    /* the session at hand */
    struct target session;
    struct import_seen seen;
    int session_rc;
    struct persist_error session_err;
    /* the first failure */
    int failed;
    struct persist_error why;
};

/* ---------------------------------------------------------------- reporting
 */

/* What became of one file.  Negative: the report wants to stop. */
static int report(struct import *im, struct persist_import_item *item,
                  const struct persist_error *err)
{
    item->struct_size = sizeof(*item);
    if (item->status != PERSIST_OK) {
        item->error = err;
        if (im->failed == PERSIST_OK) {
            im->failed = item->status;
            im->why = *err;
        }
    }
    if (!im->options.report)
        return PERSIST_OK;
    int rc = im->options.report(im->options.report_ctx, item);
    return rc < 0 ? rc : PERSIST_OK;
}

static int report_failure(struct import *im, const char *path, int status,
                          const struct persist_error *err)
{
    struct persist_import_item item = {.status = status, .path = path};

    return report(im, &item, err);
}

/* ------------------------------------------------------------------ planning
 */

static void plan_finish(struct plan *p)
{
    free(p->agent);
    free(p->session);
    free(p->id);
    free(p->timestamp);
    free(p->content_hash);
}

/* Moves what is kept out of a loaded file. */
static void keep(struct plan *p, const char *path, size_t position,
                 struct v1_snapshot *v)
{
    *p = (struct plan){.path = path,
                       .position = position,
                       .agent = v->agent_id,
                       .session = v->session_id,
                       .id = v->snapshot_id,
                       .timestamp = v->timestamp,
                       .content_hash = v->content_hash,
                       .timestamp_us = v->timestamp_us};
    v->agent_id = NULL;
    v->session_id = NULL;
    v->snapshot_id = NULL;
    v->timestamp = NULL;
    v->content_hash = NULL;
}

static int by_session_and_time(const void *a, const void *b)
{
    const struct plan *x = a;
    const struct plan *y = b;
    int order = strcmp(x->agent, y->agent);

    if (order == 0)
        order = strcmp(x->session, y->session);
    if (order == 0)
        order = (x->timestamp_us > y->timestamp_us) -
                (x->timestamp_us < y->timestamp_us);
    if (order == 0) /* nanoseconds; 0.1 writes nine digits */
        order = strcmp(x->timestamp, y->timestamp);
    if (order == 0)
        order = (x->position > y->position) - (x->position < y->position);
    return order;
}

static int stopped(const struct import *im, struct persist_error *err)
{
    int rc = op_check(im->op, im->store->p->clock);

    if (rc == PERSIST_OK && im->deadline_ns &&
        clock_boot_ns(im->store->p->clock) >= im->deadline_ns)
        rc = PERSIST_E_TIMEOUT;
    if (rc == PERSIST_OK)
        return rc;
    return error_set(
        err, rc, rc == PERSIST_E_TIMEOUT ? "the deadline passed" : "cancelled");
}

static uint64_t memory_max(const struct import *im)
{
    return budget_limit(im->store->p->budget);
}

static int plan_all(struct import *im, const char *const *paths, size_t n_paths,
                    struct persist_error *err)
{
    im->plans = calloc(n_paths ? n_paths : 1, sizeof(*im->plans));
    if (!im->plans)
        return error_memory(err);
    for (size_t i = 0; i < n_paths; i++) {
        struct persist_error why = {0};
        struct import_file file;
        int rc = stopped(im, err);
        if (rc != PERSIST_OK)
            return rc;
        rc = import_file_load(&file, paths[i], memory_max(im), &why);
        if (rc == PERSIST_OK)
            keep(&im->plans[im->n_plans++], paths[i], i, &file.v1);
        import_file_finish(&file);
        if (rc != PERSIST_OK)
            rc = report_failure(im, paths[i], rc, &why);
        if (rc != PERSIST_OK)
            return error_set(err, rc, "stopped by the report");
    }
    qsort(im->plans, im->n_plans, sizeof(*im->plans), by_session_and_time);
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- importing
 */

/* Makes the session of a file the one at hand.  Its failure is that of every
 * file in it. */
static void enter_session(struct import *im, const struct plan *p)
{
    struct persist_address *a = &im->session.address;

    import_seen_finish(&im->seen);
    im->session = (struct target){.address = PERSIST_ADDRESS_INIT};
    memset(&im->session_err, 0, sizeof(im->session_err));
    a->present = PERSIST_ADDRESS_AGENT | PERSIST_ADDRESS_SESSION;
    im->session_rc = key_session_prefix(p->agent, p->session,
                                        im->session.prefix, &im->session_err);
    if (im->session_rc != PERSIST_OK)
        return;
    /* They fit: their encodings do. */
    snprintf(a->agent, sizeof(a->agent), "%s", p->agent);
    snprintf(a->session, sizeof(a->session), "%s", p->session);
    im->session_rc = import_seen_read(&im->seen, im->store, im->op,
                                      &im->session, &im->session_err);
}

/* Milliseconds that are left of the call's; 0 where it has no limit. */
static uint64_t time_left_ms(const struct import *im)
{
    uint64_t now = clock_boot_ns(im->store->p->clock);

    if (im->deadline_ns == 0)
        return 0;
    return now < im->deadline_ns ? (im->deadline_ns - now) / 1000000 + 1 : 1;
}

static int append(struct import *im, const struct v1_snapshot *v,
                  struct persist_metadata **out, struct persist_error *err)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    char address[TARGET_TEXT_CAP];
    char index[24];
    const struct persist_label labels[] = {
        {IMPORT_LABEL_ID, v->snapshot_id},
        {"imported.index", index},
        {"imported.timestamp", v->timestamp},
    };

    snprintf(index, sizeof(index), "%" PRIu64, v->index);
    target_text(&im->session, NULL, address);
    o.flags = PERSIST_SAVE_TIMESTAMP;
    o.timestamp_us = v->timestamp_us;
    o.description = v->description;
    o.content_type = "application/json";
    o.labels = labels;
    o.n_labels = sizeof(labels) / sizeof(labels[0]);
    o.op = im->options.op;
    o.timeout_ms = time_left_ms(im);
    return persist_save_buffer(im->store, address, v->state, v->state_len, &o,
                               out, err);
}

/* Loads a file that was planned; CONFLICT where it is another by now. */
static int load_again(struct import *im, const struct plan *p,
                      struct import_file *file, struct persist_error *err)
{
    int rc = import_file_load(file, p->path, memory_max(im), err);

    if (rc != PERSIST_OK)
        return rc;
    if (strcmp(file->v1.agent_id, p->agent) == 0 &&
        strcmp(file->v1.session_id, p->session) == 0 &&
        strcmp(file->v1.snapshot_id, p->id) == 0 &&
        strcmp(file->v1.timestamp, p->timestamp) == 0 &&
        strcmp(file->v1.content_hash, p->content_hash) == 0)
        return PERSIST_OK;
    error_set(err, PERSIST_E_CONFLICT, "%s changed while it was imported",
              p->path);
    error_object(err, "%s", p->path);
    return PERSIST_E_CONFLICT;
}

/* Appends a file that is not there yet and notes its index. */
static int import_new(struct import *im, const struct plan *p,
                      uint64_t *out_index, struct persist_metadata **out,
                      struct persist_error *err)
{
    struct import_file file = {0};
    int rc = load_again(im, p, &file, err);

    *out_index = im->seen.next;
    if (rc == PERSIST_OK && !(im->options.flags & PERSIST_IMPORT_DRY_RUN)) {
        rc = append(im, &file.v1, out, err);
        if (*out)
            *out_index = (*out)->snapshot_index;
    }
    if (rc == PERSIST_OK || *out) {
        int added = import_seen_add(&im->seen, p->id, p->content_hash,
                                    *out_index, NULL);
        if (added != PERSIST_OK && rc == PERSIST_OK)
            im->session_rc = error_memory(&im->session_err);
    }
    import_file_finish(&file);
    return rc;
}

static int import_one(struct import *im, const struct plan *p,
                      struct persist_error *err)
{
    struct persist_import_item item = {.path = p->path};
    struct persist_metadata *metadata = NULL;
    char address[TARGET_TEXT_CAP];
    uint64_t index = 0;

    if (im->session_rc != PERSIST_OK)
        *err = im->session_err;
    item.status = im->session_rc;
    if (item.status == PERSIST_OK) {
        item.skipped =
            import_seen_find(&im->seen, p->id, p->content_hash, &index);
        if (!item.skipped)
            item.status = import_new(im, p, &index, &metadata, err);
    }
    if (item.status == PERSIST_OK || metadata) {
        target_text(&im->session, &index, address);
        item.address = address;
        item.metadata = metadata;
    }
    int rc = report(im, &item, err);
    persist_metadata_free(metadata);
    if (rc != PERSIST_OK)
        return error_set(err, rc, "stopped by the report");
    return engine_stopped(item.status) ? item.status : PERSIST_OK;
}

static int import_all(struct import *im, struct persist_error *err)
{
    for (size_t i = 0; i < im->n_plans; i++) {
        const struct plan *p = &im->plans[i];
        bool same = i > 0 && strcmp(p[-1].agent, p->agent) == 0 &&
                    strcmp(p[-1].session, p->session) == 0;
        struct persist_error why = {0};
        int rc = stopped(im, err);
        if (rc != PERSIST_OK)
            return rc;
        if (!same)
            enter_session(im, p);
        rc = import_one(im, p, &why);
        if (rc != PERSIST_OK) {
            if (err)
                *err = why;
            return rc;
        }
    }
    return PERSIST_OK;
}

static int check_arguments(const char *const *paths, size_t n_paths,
                           struct persist_error *err)
{
    if (!paths && n_paths > 0)
        return error_set(err, PERSIST_E_MISUSE, "paths is NULL");
    for (size_t i = 0; i < n_paths; i++)
        if (!paths[i])
            return error_set(err, PERSIST_E_MISUSE, "a path is NULL");
    return PERSIST_OK;
}

int persist_import(struct persist_store *store, const char *const *paths,
                   size_t n_paths, const struct persist_import_options *options,
                   struct persist_error *err)
{
    struct import im = {.store = store};

    int rc = engine_options(&im.options, sizeof(im.options), options, err);
    if (rc == PERSIST_OK)
        rc = engine_flags(im.options.flags, PERSIST_IMPORT_DRY_RUN, err);
    if (rc == PERSIST_OK)
        rc = check_arguments(paths, n_paths, err);
    if (rc == PERSIST_OK)
        rc = engine_begin(store, OPERATION_IMPORT, im.options.op,
                          im.options.timeout_ms, &im.call, &im.op, err);
    if (rc != PERSIST_OK)
        return rc;
    /* The saves start the caller's op anew, and its deadline with it. */
    im.deadline_ns = im.op->deadline_ns;
    im.call.rehearsal = im.options.flags & PERSIST_IMPORT_DRY_RUN;
    rc = plan_all(&im, paths, n_paths, err);
    if (rc == PERSIST_OK)
        rc = import_all(&im, err);
    if (rc == PERSIST_OK && im.failed != PERSIST_OK) {
        rc = im.failed;
        if (err)
            *err = im.why;
    }
    for (size_t i = 0; i < im.n_plans; i++)
        plan_finish(&im.plans[i]);
    free(im.plans);
    import_seen_finish(&im.seen);
    engine_end(&im.call, rc);
    return rc;
}
