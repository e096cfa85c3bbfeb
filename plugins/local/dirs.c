/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders for writing.  A folder is walked to anew during every write, because
 * it may have been moved or removed; one walk is enough for all writes that had
 * begun.  What is remembered is that its name is on the medium, and the
 * descriptor by which those who write into it share their syncs (dirsync.c). An
 * inode number alone would not do: ext4 gives the number of a removed directory
 * to the next one at once.  An open descriptor pins it.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "posix/confine.h"
#include "posix/io.h"
#include "posix/os.h"

/* ------------------------------------------------------------------- handles
 */

static void destroy(struct local_dir *d)
{
    if (d->fd >= 0)
        posix_io->close(d->fd);
    dirsync_finish(&d->sync);
    free(d->path);
    free(d);
}

/* With one reference; fd stays the caller's where it fails. */
static struct local_dir *create(const char *folder, int fd,
                                const struct stat *st)
{
    struct local_dir *d = calloc(1, sizeof(*d));

    if (d == NULL)
        return NULL;
    d->path = strdup(folder);
    if (d->path == NULL || dirsync_init(&d->sync) != 0) {
        free(d->path);
        free(d);
        return NULL;
    }
    d->fd = fd;
    d->dev = st->st_dev;
    d->ino = st->st_ino;
    d->refs = 1;
    return d;
}

void dirs_release(struct local_store *s, struct local_dir *d)
{
    bool last;

    if (d == NULL)
        return;
    pthread_mutex_lock(&s->dirs_lock);
    last = --d->refs == 0;
    pthread_mutex_unlock(&s->dirs_lock);
    if (last)
        destroy(d);
}

/* --------------------------------------------------------------------- table
 */

/* Under dirs_lock: the slot of this path, or NULL. */
static struct local_dir **find_slot(struct local_store *s, const char *folder)
{
    for (int i = 0; i < LOCAL_KNOWN_DIRS; i++)
        if (s->known[i] != NULL && strcmp(s->known[i]->path, folder) == 0)
            return &s->known[i];
    return NULL;
}

/* Under dirs_lock: a free one, or that of the folder used longest ago. */
static struct local_dir **oldest_slot(struct local_store *s)
{
    struct local_dir **slot = &s->known[0];

    for (int i = 0; i < LOCAL_KNOWN_DIRS && *slot != NULL; i++)
        if (s->known[i] == NULL || s->known[i]->used < (*slot)->used)
            slot = &s->known[i];
    return slot;
}

/* Under dirs_lock: the known folder that fd is open on too, with a reference.
 */
static struct local_dir *find_known(struct local_store *s, const char *folder,
                                    const struct stat *st)
{
    struct local_dir **slot = find_slot(s, folder);

    if (slot == NULL || (*slot)->ino != st->st_ino ||
        (*slot)->dev != st->st_dev)
        return NULL;
    (*slot)->used = ++s->dirs_clock;
    (*slot)->refs++;
    return *slot;
}

struct local_dir *dirs_known(struct local_store *s, const char *folder)
{
    struct local_dir **slot, *d = NULL;

    pthread_mutex_lock(&s->dirs_lock);
    slot = find_slot(s, folder);
    if (slot != NULL && atomic_load(&(*slot)->unnamed)) {
        d = *slot;
        d->used = ++s->dirs_clock;
        d->refs++;
    }
    pthread_mutex_unlock(&s->dirs_lock);
    return d;
}

int dirs_find(struct local_dir *d, int root_fd, uint64_t since_ns)
{
    uint64_t began_ns;
    struct stat st;
    int rc;

    if (atomic_load(&d->found_ns) >= since_ns)
        return 0;
    began_ns = os_monotonic_ns();
    rc = confine_stat_dir(root_fd, d->path, &st);
    if (rc == 0 && (st.st_ino != d->ino || st.st_dev != d->dev))
        rc = -ENOENT;
    /* Another's may have begun later; then who wants that walks once more. */
    if (rc == 0)
        atomic_store(&d->found_ns, began_ns);
    return rc;
}

void dirs_forget(struct local_store *s, struct local_dir *d)
{
    struct local_dir **slot;

    pthread_mutex_lock(&s->dirs_lock);
    slot = find_slot(s, d->path);
    if (slot == NULL || *slot != d)
        slot = NULL;
    else
        *slot = NULL;
    pthread_mutex_unlock(&s->dirs_lock);
    if (slot != NULL)
        dirs_release(s, d);
}

/* Its name is on the medium.  Takes fd over; who was faster is used instead.
 * 0 or -errno. */
static int remember(struct local_store *s, const char *folder, int fd,
                    struct local_dir **out)
{
    struct local_dir *fresh = NULL, *old = NULL, *known, **slot;
    struct stat st;
    int rc = posix_io->fstat(fd, &st) == 0 ? 0 : -errno;

    if (rc == 0 && (fresh = create(folder, fd, &st)) == NULL)
        rc = -ENOMEM;
    if (rc != 0) {
        posix_io->close(fd);
        return rc;
    }
    pthread_mutex_lock(&s->dirs_lock);
    known = find_known(s, folder, &st);
    if (known == NULL) {
        slot = find_slot(s, folder);
        if (slot == NULL)
            slot = oldest_slot(s);
        old = *slot;
        *slot = fresh;
        fresh->used = ++s->dirs_clock;
        fresh->refs++;
    }
    pthread_mutex_unlock(&s->dirs_lock);
    *out = known != NULL ? known : fresh;
    if (known != NULL)
        destroy(fresh);
    dirs_release(s, old);
    return 0;
}

/* The handle of what fd, which it takes over, is open on; -ENOENT where the
 * folder's name is not known to be on the medium. */
static int adopt(struct local_store *s, const char *folder, int fd,
                 struct local_dir **out)
{
    struct stat st;
    int rc;

    if (posix_io->fstat(fd, &st) != 0) {
        rc = -errno;
        posix_io->close(fd);
        return rc;
    }
    pthread_mutex_lock(&s->dirs_lock);
    *out = find_known(s, folder, &st);
    pthread_mutex_unlock(&s->dirs_lock);
    if (*out == NULL && folder[0] == '\0') /* the root's own is root.c's */
        return remember(s, folder, fd, out);
    posix_io->close(fd);
    return *out != NULL ? 0 : -ENOENT;
}

/* ---------------------------------------------------------------------- walk
 */

/* Opens the deepest folder on the way that is known; *out_len of its path. */
static int open_known(struct local_store *s, int root_fd, const char *folder,
                      size_t *out_len, struct local_dir **out)
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
        if (rc == 0)
            rc = adopt(s, path, fd, out);
        *out_len = len;
        if (rc != -ENOENT || len == 0)
            return rc;
    }
}

/* From the deepest known folder down, one by one, remembering each. */
static int make_below(struct local_store *s, int root_fd, const char *folder,
                      struct local_dir **out)
{
    char path[LOCAL_KEY_CAP];
    size_t len = 0;
    struct local_dir *at = NULL, *next = NULL;
    int rc = open_known(s, root_fd, folder, &len, &at);

    while (at != NULL && folder[len] != '\0') {
        size_t start = folder[len] == '/' ? len + 1 : len;
        int fd = -1;

        len = start + strcspn(folder + start, "/");
        memcpy(path, folder, len);
        path[len] = '\0';
        rc = confine_make_dir(at->fd, path + start, s->dir_mode, &fd);
        if (rc == 0)
            rc = remember(s, path, fd, &next);
        dirs_release(s, at);
        at = rc == 0 ? next : NULL;
    }
    *out = at;
    return rc == 0 && at == NULL ? -EIO : rc;
}

int dirs_open(struct local_store *s, int root_fd, const char *folder,
              struct local_dir **out)
{
    int rc = -ENOENT;

    *out = NULL;
    for (int i = 0; i < LOCAL_VANISH_TRIES && rc == -ENOENT; i++) {
        int fd = -1;

        rc = confine_open_dir(root_fd, folder, &fd);
        if (rc == 0)
            rc = adopt(s, folder, fd, out);
        if (rc == -ENOENT)
            rc = make_below(s, root_fd, folder, out);
    }
    return rc;
}

void dirs_finish(struct local_store *s)
{
    for (int i = 0; i < LOCAL_KNOWN_DIRS; i++) {
        dirs_release(s, s->known[i]);
        s->known[i] = NULL;
    }
}
