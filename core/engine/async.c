/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The asynchronous calls: each copies what it is given into a job whose body is
 * the blocking call of the same name, run on the I/O executor.
 *
 * Payload bytes are not copied; they belong to the library until the completion
 * is taken.  Waiting, order and life of jobs are queue.c's.
 * async_list.c has the listing.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/queue.h"
#include "engine/save.h"
#include "util/error.h"
#include "util/text.h"

/* ------------------------------------------------------------------- copies
 */

/* Replaces *text by a copy the job owns; false: no memory. */
static bool keep_text(struct job *job, const char **text)
{
    if (!*text)
        return true;
    char *copy = text_dup(*text);
    if (!copy)
        return false;
    job->texts[job->n_texts++] = copy;
    *text = copy;
    return true;
}

static int make_room(struct job *job, size_t n, struct persist_error *err)
{
    job->texts = calloc(n ? n : 1, sizeof *job->texts);
    return job->texts ? PERSIST_OK : error_memory(err);
}

static int copy_labels(struct job *job, struct persist_error *err)
{
    struct persist_save_options *o = &job->o.save;

    if (!o->n_labels)
        return PERSIST_OK;
    if (!o->labels)
        return error_set(err, PERSIST_E_MISUSE, "labels is NULL");
    job->labels = calloc(o->n_labels, sizeof *job->labels);
    if (!job->labels)
        return error_memory(err);
    for (size_t i = 0; i < o->n_labels; i++) {
        job->labels[i] = o->labels[i];
        if (!keep_text(job, &job->labels[i].key) ||
            !keep_text(job, &job->labels[i].value))
            return error_memory(err);
    }
    o->labels = job->labels;
    return PERSIST_OK;
}

static int copy_save(struct job *job, const struct persist_save_options *given,
                     struct persist_error *err)
{
    struct persist_save_options *o = &job->o.save;
    int rc = engine_options(o, sizeof *o, given, err);

    if (!rc && o->n_labels > SIZE_MAX / 4 / sizeof(char *))
        rc = error_set(err, PERSIST_E_INVALID, "too many labels");
    if (!rc)
        rc = make_room(job, 4 + 2 * o->n_labels, err);
    if (rc)
        return rc;
    o->struct_size = sizeof *o;
    job->timeout_ms = &o->timeout_ms;
    if (!keep_text(job, &o->description) || !keep_text(job, &o->schema) ||
        !keep_text(job, &o->content_type) || !keep_text(job, &o->parent_id))
        return error_memory(err);
    return copy_labels(job, err);
}

static int copy_restore(struct job *job,
                        const struct persist_restore_options *given,
                        struct persist_error *err)
{
    struct persist_restore_options *o = &job->o.restore;
    int rc = engine_options(o, sizeof *o, given, err);

    if (!rc)
        rc = make_room(job, 1, err);
    if (rc)
        return rc;
    o->struct_size = sizeof *o;
    job->timeout_ms = &o->timeout_ms;
    return keep_text(job, &o->require_schema) ? PERSIST_OK : error_memory(err);
}

static int copy_path(struct job *job, const char *path,
                     struct persist_error *err)
{
    if (!path)
        return error_set(err, PERSIST_E_MISUSE, "the path is NULL");
    job->path = text_dup(path);
    return job->path ? PERSIST_OK : error_memory(err);
}

static int refused(const struct persist_error *err)
{
    return err->status;
}

/* --------------------------------------------------------------------- save
 */

static void save_buffer(struct job *j, struct persist_error *err)
{
    j->result.status =
        persist_save_buffer(j->store, j->address, j->in, j->len, &j->o.save,
                            &j->result.metadata, err);
}

static void save_file(struct job *j, struct persist_error *err)
{
    j->result.status = persist_save_file(j->store, j->address, j->path,
                                         &j->o.save, &j->result.metadata, err);
}

static void save_fd(struct job *j, struct persist_error *err)
{
    j->result.status = persist_save_fd(j->store, j->address, j->fd, &j->o.save,
                                       &j->result.metadata, err);
}

int persist_save_buffer_async(struct persist_store *store, const char *address,
                              const void *data, size_t len,
                              const struct persist_save_options *options,
                              struct persist_queue *queue, void *user,
                              struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    j->in = data;
    j->len = len;
    return job_submit(j, copy_save(j, options, err), &j->o.save.op,
                      PERSIST_OP_SAVE, save_buffer, err);
}

int persist_save_file_async(struct persist_store *store, const char *address,
                            const char *path,
                            const struct persist_save_options *options,
                            struct persist_queue *queue, void *user,
                            struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return refused(err);
    rc = copy_path(j, path, err);
    if (!rc)
        rc = copy_save(j, options, err);
    return job_submit(j, rc, &j->o.save.op, PERSIST_OP_SAVE, save_file, err);
}

int persist_save_fd_async(struct persist_store *store, const char *address,
                          int fd, const struct persist_save_options *options,
                          struct persist_queue *queue, void *user,
                          struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    j->fd = fd;
    return job_submit(j, copy_save(j, options, err), &j->o.save.op,
                      PERSIST_OP_SAVE, save_fd, err);
}

static void save_batch(struct job *j, struct persist_error *err)
{
    j->result.status =
        persist_save_batch(j->store, j->items, j->len, &j->o.batch, err);
}

int persist_save_batch_async(struct persist_store *store,
                             struct persist_batch_item *items, size_t n_items,
                             const struct persist_batch_options *options,
                             struct persist_queue *queue, void *user,
                             struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, NULL, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return refused(err);
    j->items = items;
    j->len = n_items;
    /* Where no thread comes to it in time nobody looks at them again. */
    save_batch_expects(items, n_items, PERSIST_E_TIMEOUT);
    rc = engine_options(&j->o.batch, sizeof j->o.batch, options, err);
    j->o.batch.struct_size = sizeof j->o.batch;
    j->timeout_ms = &j->o.batch.timeout_ms;
    return job_submit(j, rc, &j->o.batch.op, PERSIST_OP_SAVE_BATCH, save_batch,
                      err);
}

/* ------------------------------------------------------------------ restore
 */

static void restore_buffer(struct job *j, struct persist_error *err)
{
    j->result.status = persist_restore_buffer(
        j->store, j->address, j->len, &j->o.restore, &j->result.data,
        &j->result.data_len, &j->result.metadata, err);
}

static void restore_file(struct job *j, struct persist_error *err)
{
    j->result.status = persist_restore_file(
        j->store, j->address, j->path, &j->o.restore, &j->result.metadata, err);
}

static void restore_fd(struct job *j, struct persist_error *err)
{
    j->result.status = persist_restore_fd(
        j->store, j->address, j->fd, &j->o.restore, &j->result.metadata, err);
}

int persist_restore_buffer_async(struct persist_store *store,
                                 const char *address, size_t max_len,
                                 const struct persist_restore_options *options,
                                 struct persist_queue *queue, void *user,
                                 struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    j->len = max_len;
    return job_submit(j, copy_restore(j, options, err), &j->o.restore.op,
                      PERSIST_OP_RESTORE, restore_buffer, err);
}

int persist_restore_file_async(struct persist_store *store, const char *address,
                               const char *path,
                               const struct persist_restore_options *options,
                               struct persist_queue *queue, void *user,
                               struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return refused(err);
    rc = copy_path(j, path, err);
    if (!rc)
        rc = copy_restore(j, options, err);
    return job_submit(j, rc, &j->o.restore.op, PERSIST_OP_RESTORE, restore_file,
                      err);
}

int persist_restore_fd_async(struct persist_store *store, const char *address,
                             int fd,
                             const struct persist_restore_options *options,
                             struct persist_queue *queue, void *user,
                             struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    j->fd = fd;
    return job_submit(j, copy_restore(j, options, err), &j->o.restore.op,
                      PERSIST_OP_RESTORE, restore_fd, err);
}

/* ------------------------------------------- show exists verify delete list
 */

static void show(struct job *j, struct persist_error *err)
{
    j->result.status =
        persist_show(j->store, j->address, &j->result.metadata, err);
}

static void exists(struct job *j, struct persist_error *err)
{
    int answer = 0;

    j->result.status = persist_exists(j->store, j->address, &answer, err);
    j->result.exists = answer;
}

static void verify(struct job *j, struct persist_error *err)
{
    j->result.status = persist_verify(j->store, j->address, &j->o.verify,
                                      &j->result.metadata, err);
}

static void remove_one(struct job *j, struct persist_error *err)
{
    j->result.status = persist_delete(j->store, j->address, &j->o.remove,
                                      &j->result.index, err);
}

int persist_show_async(struct persist_store *store, const char *address,
                       struct persist_queue *queue, void *user,
                       struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    return job_submit(j, PERSIST_OK, NULL, PERSIST_OP_SHOW, show, err);
}

int persist_exists_async(struct persist_store *store, const char *address,
                         struct persist_queue *queue, void *user,
                         struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));

    if (!j)
        return refused(err);
    return job_submit(j, PERSIST_OK, NULL, PERSIST_OP_EXISTS, exists, err);
}

int persist_verify_async(struct persist_store *store, const char *address,
                         const struct persist_verify_options *options,
                         struct persist_queue *queue, void *user,
                         struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return refused(err);
    rc = engine_options(&j->o.verify, sizeof j->o.verify, options, err);
    j->o.verify.struct_size = sizeof j->o.verify;
    j->timeout_ms = &j->o.verify.timeout_ms;
    return job_submit(j, rc, &j->o.verify.op, PERSIST_OP_VERIFY, verify, err);
}

int persist_delete_async(struct persist_store *store, const char *address,
                         const struct persist_delete_options *options,
                         struct persist_queue *queue, void *user,
                         struct persist_error *err)
{
    struct persist_error own;
    struct job *j =
        job_create(store, address, queue, user, err ? err : (err = &own));
    int rc;

    if (!j)
        return refused(err);
    rc = engine_options(&j->o.remove, sizeof j->o.remove, options, err);
    j->o.remove.struct_size = sizeof j->o.remove;
    j->timeout_ms = &j->o.remove.timeout_ms;
    return job_submit(j, rc, &j->o.remove.op, PERSIST_OP_DELETE, remove_one,
                      err);
}
