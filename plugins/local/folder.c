/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One folder's names, filtered while they are read and then sorted as keys
 * sort: a folder as its name with a slash behind it.  It looks at no file: the
 * directory tells the kind of each entry, except on file systems that do not.
 * Memory is the host's, and so within its limit.
 */
#include "local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "posix/io.h"

#define CHECK_EVERY 1024

/* Room for one more; *cap doubles. */
static int grow(const struct local_store *s, void **memory, size_t used,
                size_t *cap, size_t need)
{
    size_t wanted = *cap == 0 ? 4096 : *cap;
    void *grown;

    if (used + need <= *cap)
        return 0;
    while (wanted < used + need)
        wanted *= 2;
    grown = s->host->alloc(s->host_store, wanted);
    if (grown == NULL)
        return -ENOMEM;
    if (used > 0)
        memcpy(grown, *memory, used);
    s->host->free(s->host_store, *memory);
    *memory = grown;
    *cap = wanted;
    return 0;
}

static int add(struct folder *f, const struct local_store *s, const char *name,
               enum folder_kind kind)
{
    size_t len = strlen(name) + 1;
    void *entries = f->entries, *names = f->names;
    int rc = grow(s, &entries, f->n * sizeof(*f->entries), &f->entries_cap,
                  sizeof(*f->entries));

    f->entries = entries;
    if (rc == 0)
        rc = grow(s, &names, f->names_len, &f->names_cap, len);
    f->names = names;
    if (rc != 0)
        return rc;
    f->entries[f->n++] =
        (struct folder_entry){.at = f->names_len, .kind = kind};
    memcpy(f->names + f->names_len, name, len);
    f->names_len += len;
    return 0;
}

bool folder_kind_of(int dir_fd, const char *name, unsigned char type,
                    enum folder_kind *out)
{
    struct stat st;
    mode_t mode = type == DT_REG ? S_IFREG : S_IFDIR;

    if (type != DT_REG && type != DT_DIR) {
        if (type != DT_UNKNOWN ||
            posix_io->fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        mode = st.st_mode & S_IFMT;
    }
    *out = mode == S_IFDIR ? FOLDER_DIR : FOLDER_FILE;
    return mode == S_IFDIR || mode == S_IFREG;
}

static int compare(const void *a, const void *b)
{
    const struct folder_entry *x = a, *y = b;
    const unsigned char *p = (const void *)x->name, *q = (const void *)y->name;
    int cp, cq;

    for (; *p != '\0' && *p == *q; p++)
        q++;
    cp = *p != '\0' ? *p : x->kind == FOLDER_DIR ? '/' : 0;
    cq = *q != '\0' ? *q : y->kind == FOLDER_DIR ? '/' : 0;
    return cp - cq;
}

static int read_entries(struct folder *f, struct local_store *s,
                        const struct persist_backend_call *call, DIR *dir,
                        folder_filter_fn filter, void *ctx)
{
    struct persist_backend_error ignored = {.struct_size = 0};
    const struct dirent *e;
    unsigned n = 0;
    int rc = 0;

    for (errno = 0; rc == 0 && (e = readdir(dir)) != NULL; errno = 0) {
        enum folder_kind kind;

        if (++n % CHECK_EVERY == 0 && status_check(s, call, &ignored) != 0)
            rc = -ECANCELED;
        else if (folder_kind_of(dirfd(dir), e->d_name, e->d_type, &kind) &&
                 filter(ctx, e->d_name, kind))
            rc = add(f, s, e->d_name, kind);
    }
    if (rc == 0 && errno != 0)
        rc = -errno;
    atomic_fetch_add_explicit(&s->n_entries_read, n, memory_order_relaxed);
    return rc;
}

int folder_read(struct folder *f, struct local_store *s,
                const struct persist_backend_call *call, int dir_fd,
                folder_filter_fn filter, void *ctx)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 0);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int rc = dir == NULL ? -errno : 0;

    memset(f, 0, sizeof(*f));
    if (dir == NULL) {
        if (fd >= 0)
            posix_io->close(fd);
        return rc;
    }
    rc = read_entries(f, s, call, dir, filter, ctx);
    (void)closedir(dir);
    for (size_t i = 0; i < f->n; i++)
        f->entries[i].name = f->names + f->entries[i].at;
    if (f->n > 1)
        qsort(f->entries, f->n, sizeof(*f->entries), compare);
    if (rc != 0)
        folder_finish(f, s);
    return rc;
}

void folder_finish(struct folder *f, struct local_store *s)
{
    s->host->free(s->host_store, f->entries);
    s->host->free(s->host_store, f->names);
    memset(f, 0, sizeof(*f));
}
