/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Temporaries of writes that died.  Most writes never have one: their file has
 * no name until it is whole.  A temporary whose lock is held belongs to a
 * running write, of this or another process: it is listed (its age tells) and
 * cannot be removed.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/io.h"

struct search {
    const struct persist_backend_list_uploads_args *args;
    struct persist_backend_error *err;
};

static bool is_temp(const char *name)
{
    return strncmp(name, DURABLE_TEMP_PREFIX, strlen(DURABLE_TEMP_PREFIX)) == 0;
}

/* What it takes from the disk: reserved space has no size yet. */
static uint64_t occupied(const struct stat *st)
{
    uint64_t blocks = (uint64_t)st->st_blocks * 512;
    uint64_t size = (uint64_t)st->st_size;

    return blocks > size ? blocks : size;
}

static int32_t list_temp(void *ctx, int dir_fd, const char *name,
                         const char *path)
{
    const struct search *search = ctx;
    char id[PERSIST_BACKEND_UPLOAD_ID_MAX];
    struct persist_backend_upload upload = {
        .struct_size = sizeof(upload),
        .present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED,
        .key = "",
        .upload_id = id};
    struct stat st;

    if (posix_io->fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT
                   ? PERSIST_BACKEND_OK
                   : status_errno(search->err, errno, "look at", path);
    if (!S_ISREG(st.st_mode))
        return PERSIST_BACKEND_OK;
    upload.size = occupied(&st);
    upload.modified_us = modified_us(&st);
    (void)snprintf(id, sizeof(id), LEFTOVER_ID "%s", path);
    return search->args->emit(search->args->emit_ctx, &upload) != 0
               ? WALK_STOP
               : PERSIST_BACKEND_OK;
}

int32_t local_list_uploads(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_list_uploads_args *args,
                           struct persist_backend_list_uploads_result *result,
                           struct persist_backend_error *err)
{
    static const struct walk_visitor temps = {.wants = is_temp,
                                              .file = list_temp};
    struct search search = {.args = args, .err = err};

    (void)result;
    return walk_tree(store, call, args->prefix, "", &temps, &search, err);
}

bool leftover_id_ok(const char *id)
{
    return strncmp(id, LEFTOVER_ID, strlen(LEFTOVER_ID)) == 0;
}

/* "tmp:agent/session/.persist-tmp.0123" to its folder and name; hostile ones
 * are refused here, and the walk would not follow them either. */
static const char *parse_id(const char *id, char folder[LOCAL_KEY_CAP],
                            struct persist_backend_error *err)
{
    const char *path = id + strlen(LEFTOVER_ID);
    const char *slash = strrchr(path, '/');

    if (slash == NULL) {
        folder[0] = '\0';
        return is_temp(path) ? path : NULL;
    }
    if (slash == path || slash - path > LOCAL_KEY_MAX || !is_temp(slash + 1))
        return NULL;
    (void)key_split(path, folder);
    return key_check(folder, err) == PERSIST_BACKEND_OK ? slash + 1 : NULL;
}

int32_t leftover_remove(struct local_store *s, const char *id,
                        struct persist_backend_error *err)
{
    char folder[LOCAL_KEY_CAP];
    const char *name = parse_id(id, folder, err);
    int root_fd = -1, dir_fd = -1, rc;
    int32_t status;

    if (name == NULL)
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.300s is not the id of a leftover", id);
    status = root_get(s, false, &root_fd, err);
    if (status == PERSIST_BACKEND_NOT_FOUND)
        return PERSIST_BACKEND_OK;
    if (status != PERSIST_BACKEND_OK)
        return status;
    rc = confine_open_dir(root_fd, folder, &dir_fd);
    if (rc == 0) {
        rc = durable_remove_temp(dir_fd, name);
        posix_io->close(dir_fd);
    }
    if (rc == 0 || rc == -ENOENT)
        return PERSIST_BACKEND_OK;
    if (rc == -EBUSY)
        return status_set(err, PERSIST_BACKEND_PRECONDITION,
                          "%.300s belongs to a write that is running",
                          id + strlen(LEFTOVER_ID));
    if (rc == -EINVAL)
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "%.300s is not a leftover of a write",
                          id + strlen(LEFTOVER_ID));
    return status_errno(err, -rc, "remove", id + strlen(LEFTOVER_ID));
}
