/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders for writing.  A folder is walked to anew for every write, because it
 * may have been moved or removed; what is remembered is only that its name is
 * on the medium.  An inode number alone would not do: ext4 gives the number of
 * a removed directory to the next one at once.  An open descriptor pins it.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/io.h"

static bool is_known(struct local_store *s, const char *folder, int fd)
{
    struct stat st;
    bool known = false;

    if (folder[0] == '\0') /* the root itself is root.c's */
        return true;
    if (posix_io->fstat(fd, &st) != 0)
        return false;
    pthread_mutex_lock(&s->dirs_lock);
    for (int i = 0; i < LOCAL_KNOWN_DIRS && !known; i++) {
        struct local_known_dir *k = &s->known[i];

        known = k->path != NULL && k->ino == st.st_ino && k->dev == st.st_dev &&
                strcmp(k->path, folder) == 0;
        if (known)
            k->used = ++s->dirs_clock;
    }
    pthread_mutex_unlock(&s->dirs_lock);
    return known;
}

static void forget(struct local_known_dir *k)
{
    if (k->path == NULL)
        return;
    posix_io->close(k->fd);
    free(k->path);
    k->path = NULL;
}

/* Best effort: what is not remembered is synced again. */
static void remember(struct local_store *s, const char *folder, int fd)
{
    struct local_known_dir fresh = {.path = strdup(folder)};
    struct local_known_dir *slot;
    struct stat st;

    fresh.fd = posix_io->openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    if (fresh.path == NULL || fresh.fd < 0 ||
        posix_io->fstat(fresh.fd, &st) != 0) {
        if (fresh.fd >= 0)
            posix_io->close(fresh.fd);
        free(fresh.path);
        return;
    }
    fresh.dev = st.st_dev;
    fresh.ino = st.st_ino;
    pthread_mutex_lock(&s->dirs_lock);
    slot = &s->known[0];
    for (int i = 0; i < LOCAL_KNOWN_DIRS; i++) {
        struct local_known_dir *k = &s->known[i];

        if (k->path != NULL && strcmp(k->path, folder) == 0) {
            slot = k;
            break;
        }
        if (k->path == NULL || (slot->path != NULL && k->used < slot->used))
            slot = k;
    }
    forget(slot);
    fresh.used = ++s->dirs_clock;
    *slot = fresh;
    pthread_mutex_unlock(&s->dirs_lock);
}

/* Opens the deepest folder on the way that is known; *out_len of its path. */
static int open_known(struct local_store *s, int root_fd, const char *folder,
                      size_t *out_len, int *out_fd)
{
    char path[LOCAL_KEY_CAP];
    size_t len = strlen(folder);

    memcpy(path, folder, len + 1);
    for (;;) {
        int fd = -1, rc;

        while (len > 0 && path[len] != '/')
            len--;
        path[len] = '\0';
        rc = confine_open_dir(root_fd, path, &fd);
        if (rc == 0 && is_known(s, path, fd)) {
            *out_len = len;
            *out_fd = fd;
            return 0;
        }
        if (rc == 0)
            posix_io->close(fd);
        if (len == 0)
            return rc != 0 ? rc : -ENOENT;
        if (rc != 0 && rc != -ENOENT)
            return rc;
    }
}

/* From the deepest known folder down, one by one, remembering each. */
static int make_below(struct local_store *s, int root_fd, const char *folder,
                      int *out_fd)
{
    char path[LOCAL_KEY_CAP];
    size_t len = 0;
    int at = -1, rc = open_known(s, root_fd, folder, &len, &at);

    while (rc == 0 && folder[len] != '\0') {
        size_t start = folder[len] == '/' ? len + 1 : len;
        int next = -1;

        len = start + strcspn(folder + start, "/");
        memcpy(path, folder, len);
        path[len] = '\0';
        rc = confine_make_dir(at, path + start, s->dir_mode, &next);
        posix_io->close(at);
        at = next;
        if (rc == 0)
            remember(s, path, at);
    }
    if (rc == 0)
        *out_fd = at;
    return rc;
}

int dirs_make(struct local_store *s, int root_fd, const char *folder,
              int *out_fd)
{
    int rc = -ENOENT;

    for (int i = 0; i < LOCAL_VANISH_TRIES && rc == -ENOENT; i++) {
        int fd = -1;

        rc = confine_open_dir(root_fd, folder, &fd);
        if (rc == 0 && is_known(s, folder, fd)) {
            *out_fd = fd;
            return 0;
        }
        if (rc == 0)
            posix_io->close(fd);
        if (rc == 0 || rc == -ENOENT)
            rc = make_below(s, root_fd, folder, out_fd);
    }
    return rc;
}

void dirs_finish(struct local_store *s)
{
    for (int i = 0; i < LOCAL_KNOWN_DIRS; i++)
        forget(&s->known[i]);
}
