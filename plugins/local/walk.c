/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree below the root in the order of keys, depth first.
 *
 *     path:    agent/ session/ 000000000000000/ 001-5.snap
 *     levels:  0      1        2
 *
 * A level is one folder: its names, sorted, and how far the walk has come.  A
 * folder is read only when the walk enters it, and entered only when something
 * in it can be wanted, so that the first page of a long listing reads few
 * folders.  Nothing is counted or rolled up here.
 */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/io.h"

/* Folders open at once; those further up are opened again on the way back. */
#define OPEN_LEVELS 32
#define PATH_CAP (LOCAL_KEY_CAP + 256)

struct level {
    int fd; /* -1: closed for now */
    struct folder folder;
    size_t next;
    size_t path_len; /* of the path with the slash; 0 for the root */
};

struct walk {
    struct local_store *s;
    const struct persist_backend_call *call;
    const struct walk_visitor *visitor;
    void *ctx;
    struct persist_backend_error *err;
    const char *start_after;
    int root_fd;
    struct level *levels;
    size_t n, cap;
    char path[PATH_CAP];
};

/* What is wanted of one folder. */
struct wanted {
    const struct walk *walk;
    const char *start; /* what names must start with */
    const char *after; /* what paths in this folder must be greater than */
    size_t room;       /* for a name, so that the key is not too long */
};

/* "name/" against after. *out_inside: after lies below that folder. */
static int compare_folder(const char *name, const char *after, bool *out_inside)
{
    size_t len = strlen(name);
    int c = strncmp(name, after, len);

    *out_inside = c == 0 && after[len] == '/';
    if (c != 0)
        return c;
    if (*out_inside)
        return after[len + 1] == '\0' ? 0 : -1;
    return '/' - (unsigned char)after[len];
}

static bool wants(void *ctx, const char *name, enum folder_kind kind)
{
    const struct wanted *w = ctx;
    const struct walk_visitor *visitor = w->walk->visitor;
    bool inside;
    int c;

    if (strncmp(name, w->start, strlen(w->start)) != 0 ||
        strlen(name) > w->room)
        return false;
    if (kind == FOLDER_FILE)
        return visitor->wants(name) && strcmp(name, w->after) > 0;
    if (!key_name_ok(name))
        return false;
    c = compare_folder(name, w->after, &inside);
    return c > 0 || (inside && visitor->folder == NULL);
}

static struct level *new_level(struct walk *w)
{
    if (w->n == w->cap) {
        size_t cap = w->cap == 0 ? 8 : 2 * w->cap;
        struct level *grown = realloc(w->levels, cap * sizeof(*grown));

        if (grown == NULL)
            return NULL;
        w->levels = grown;
        w->cap = cap;
    }
    return &w->levels[w->n];
}

static void close_level(struct level *l)
{
    if (l->fd >= 0)
        posix_io->close(l->fd);
    l->fd = -1;
}

static int32_t trouble(struct walk *w, int error)
{
    if (error == ECANCELED)
        return status_check(w->s, w->call, w->err);
    return status_key(w->s, w->err, error, "list", w->path);
}

/* Takes over fd. The folder's path stands in w->path. */
static int32_t enter(struct walk *w, int fd, size_t path_len, const char *start)
{
    struct level *l = new_level(w);
    struct wanted wanted = {.walk = w, .start = start, .after = ""};
    int c = strncmp(w->start_after, w->path, path_len);
    int rc = l == NULL ? -ENOMEM : 0;

    if (c == 0)
        wanted.after = w->start_after + path_len;
    if (path_len < LOCAL_KEY_MAX)
        wanted.room = LOCAL_KEY_MAX - path_len;
    if (rc == 0 && c > 0) /* everything here lies before */
        wanted.room = 0;
    atomic_fetch_add_explicit(&w->s->n_dirs_opened, 1, memory_order_relaxed);
    if (rc == 0) {
        *l = (struct level){.fd = fd, .path_len = path_len};
        rc = folder_read(&l->folder, w->s, w->call, fd, wants, &wanted);
    }
    if (rc != 0) {
        posix_io->close(fd);
        return trouble(w, -rc);
    }
    w->n++;
    if (w->n > OPEN_LEVELS)
        close_level(&w->levels[w->n - 1 - OPEN_LEVELS]);
    return PERSIST_BACKEND_OK;
}

static void leave(struct walk *w)
{
    struct level *l = &w->levels[--w->n];

    close_level(l);
    folder_finish(&l->folder, w->s);
}

/* What a walk passes over: gone, or made a link by somebody, since its name was
 * read. */
static bool has_vanished(int rc)
{
    return rc == -ENOENT || rc == -ENOTDIR || rc == -ELOOP;
}

/* Opens the top folder again where that is due. */
static int reopen(struct walk *w, struct level *l)
{
    char saved;
    int rc;

    if (l->fd >= 0)
        return 0;
    if (l->path_len == 0)
        return confine_open_dir(w->root_fd, "", &l->fd);
    saved = w->path[l->path_len - 1];
    w->path[l->path_len - 1] = '\0';
    rc = confine_open_dir(w->root_fd, w->path, &l->fd);
    w->path[l->path_len - 1] = saved;
    return rc;
}

static int32_t visit_folder(struct walk *w, int dir_fd, size_t path_len)
{
    int fd = -1, rc;
    size_t name_at = w->levels[w->n - 1].path_len;

    if (w->visitor->folder != NULL) {
        w->path[path_len] = '/';
        w->path[path_len + 1] = '\0';
        return w->visitor->folder(w->ctx, w->path);
    }
    rc = confine_open_dir(dir_fd, w->path + name_at, &fd);
    if (has_vanished(rc))
        return PERSIST_BACKEND_OK;
    if (rc != 0)
        return trouble(w, -rc);
    w->path[path_len] = '/';
    w->path[path_len + 1] = '\0';
    rc = status_check(w->s, w->call, w->err);
    if (rc != PERSIST_BACKEND_OK) {
        posix_io->close(fd);
        return rc;
    }
    return enter(w, fd, path_len + 1, "");
}

/* The next entry of the deepest folder, or back up. */
static int32_t step(struct walk *w)
{
    struct level *l = &w->levels[w->n - 1];
    const struct folder_entry *e;
    size_t len;
    int rc;

    if (l->next == l->folder.n) {
        leave(w);
        return PERSIST_BACKEND_OK;
    }
    e = &l->folder.entries[l->next++];
    rc = reopen(w, l);
    if (has_vanished(rc)) {
        leave(w);
        return PERSIST_BACKEND_OK;
    }
    if (rc != 0)
        return trouble(w, -rc);
    len = strlen(e->name);
    memcpy(w->path + l->path_len, e->name, len + 1);
    if (e->kind == FOLDER_DIR)
        return visit_folder(w, l->fd, l->path_len + len);
    return w->visitor->file(w->ctx, l->fd, e->name, w->path);
}

/* The folder part of the prefix; the rest is how names in it must start. */
static int32_t enter_first(struct walk *w, const char *prefix)
{
    char folder[LOCAL_KEY_CAP];
    const char *rest = key_split(prefix, folder);
    size_t len = (size_t)(rest - prefix);
    int fd = -1, rc = confine_open_dir(w->root_fd, folder, &fd);

    if (rc != 0)
        return status_walk(w->s, w->err, -rc, "list", folder,
                           PERSIST_BACKEND_NOT_FOUND);
    if (len == 0 && root_is_gone(w->s)) {
        posix_io->close(fd);
        return status_walk(w->s, w->err, ENOENT, "list", folder,
                           PERSIST_BACKEND_NOT_FOUND);
    }
    memcpy(w->path, prefix, len);
    w->path[len] = '\0';
    return enter(w, fd, len, rest);
}

int32_t walk_tree(struct local_store *s,
                  const struct persist_backend_call *call, const char *prefix,
                  const char *start_after, const struct walk_visitor *visitor,
                  void *ctx, struct persist_backend_error *err)
{
    struct walk *w = calloc(1, sizeof(*w));
    int32_t rc;

    if (w == NULL)
        return status_set(err, PERSIST_BACKEND_MEMORY, "out of memory");
    w->s = s;
    w->call = call;
    w->visitor = visitor;
    w->ctx = ctx;
    w->err = err;
    w->start_after = start_after;
    rc = key_check_prefix(prefix, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = status_check(s, call, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = root_get(s, false, &w->root_fd, err);
    if (rc == PERSIST_BACKEND_OK)
        rc = enter_first(w, prefix);
    while (rc == PERSIST_BACKEND_OK && w->n > 0)
        rc = step(w);
    while (w->n > 0)
        leave(w);
    free(w->levels);
    free(w);
    return rc == WALK_STOP || rc == PERSIST_BACKEND_NOT_FOUND
               ? PERSIST_BACKEND_OK
               : rc;
}
