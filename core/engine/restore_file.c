/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring to a file, by the durable write of posix/: the target appears whole
 * and verified, or stays what it was.
 *
 *   directory of the path opened      symbolic links in it are the caller's
 *   what has the name is looked at    a link, directory, FIFO, device: refused;
 *                                     a file without OVERWRITE: EXISTS, early
 *   payload into an unnamed file      more than 64 MiB past the page cache; of
 *                                     what is not, write-back runs while the
 *                                     next frame decodes
 *   published                         link, which itself refuses a name that is
 *                                     taken, or rename over it
 *
 * Permissions are those any program's new file gets (0666 less the umask, read
 * from /proc because asking changes it; 0600 where that cannot be read), or
 * those of the file that is replaced; never setuid, setgid or sticky.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/restore.h"
#include "posix/direct.h"
#include "posix/durable.h"
#include "posix/file.h"
#include "posix/os.h"
#include "runtime/work.h"
#include "util/text.h"

#define WRITE_BACK_STEP (UINT64_C(8) << 20)
#define DIRTY_MAX (UINT64_C(64) << 20)
#define FLUSH_STEP (UINT64_C(32) << 20)

struct target_file {
    const char *path;
    char *dir; /* "." or what stands before the last slash */
    const char *name;
    int dir_fd;
    bool exists;
    mode_t mode;
};

struct file_sink {
    struct durable_write *w;
    struct direct_file direct;
    const char *path;
    uint64_t pos;
    uint64_t started; /* write-back was begun up to here */
    uint64_t settled; /* and waited for up to here */
    /* The device's cache is emptied meanwhile, so that the sync at the end
     * finds little. */
    struct work flush;
    struct executor *io; /* NULL: not */
    uint64_t flushed;    /* begun for all before here */
    int flush_rc;        /* of the last, after work_wait */
};

/* ------------------------------------------------------------------- target
 */

static int refuse(const struct target_file *f, const char *why,
                  struct persist_error *err)
{
    error_set(err, PERSIST_E_INVALID, "%s %s", f->path, why);
    error_object(err, "%s", f->path);
    return PERSIST_E_INVALID;
}

/* "a/b/c" to "a/b" and "c". */
static int split_path(struct target_file *f, struct persist_error *err)
{
    const char *slash = strrchr(f->path, '/');

    if (!*f->path)
        return error_set(err, PERSIST_E_INVALID, "the path is empty");
    f->name = slash ? slash + 1 : f->path;
    if (!slash) {
        f->dir = text_dup(".");
    } else if (slash == f->path) {
        f->dir = text_dup("/");
    } else {
        f->dir = text_dup(f->path);
        if (f->dir)
            f->dir[slash - f->path] = '\0';
    }
    if (!f->dir)
        return error_memory(err);
    if (!*f->name || strcmp(f->name, ".") == 0 || strcmp(f->name, "..") == 0)
        return refuse(f, "names a directory, not a file", err);
    return PERSIST_OK;
}

static int judge_existing(struct target_file *f, const struct stat *st,
                          bool overwrite, struct persist_error *err)
{
    static const struct {
        mode_t type;
        const char *why;
    } refused[] = {
        {S_IFLNK, "is a symbolic link, which a restore does not follow"},
        {S_IFDIR, "is a directory"},
        {S_IFIFO, "is a FIFO"},
        {S_IFSOCK, "is a socket"},
        {S_IFCHR, "is a device"},
        {S_IFBLK, "is a device"},
    };
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        if ((st->st_mode & S_IFMT) == refused[i].type)
            return refuse(f, refused[i].why, err);
    f->exists = true;
    f->mode = st->st_mode & 0777;
    if (overwrite)
        return PERSIST_OK;
    error_set(err, PERSIST_E_EXISTS, "%s is already there", f->path);
    error_hint(err, "give another name, or allow it to be overwritten");
    error_object(err, "%s", f->path);
    return PERSIST_E_EXISTS;
}

static int target_file_open(struct target_file *f, bool overwrite,
                            struct persist_error *err)
{
    struct stat st;
    mode_t mask = 0;
    int rc = split_path(f, err);

    if (rc != PERSIST_OK)
        return rc;
    f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->dir_fd < 0) {
        rc = error_errno(err, errno, "cannot open the directory %s", f->dir);
        error_object(err, "%s", f->dir);
        return rc;
    }
    f->mode = os_umask(&mask) ? 0666 & ~mask : 0600;
    if (fstatat(f->dir_fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return judge_existing(f, &st, overwrite, err);
    if (errno == ENOENT)
        return PERSIST_OK;
    rc = error_errno(err, errno, "cannot look at %s", f->path);
    error_object(err, "%s", f->path);
    return rc;
}

static void target_file_close(struct target_file *f)
{
    if (f->dir_fd >= 0)
        close(f->dir_fd);
    free(f->dir);
}

/* ------------------------------------------------------------------ writing
 */

static int failed(const char *path, int rc, const char *what,
                  struct persist_error *err)
{
    rc = error_errno(err, -rc, "%s %s", what, path);
    error_object(err, "%s", path);
    return rc;
}

/* Keeps the disk busy while the next frame is decoded, and the bytes that the
 * last sync has to wait for few. */
static int write_back(struct file_sink *s)
{
    int rc = 0;

    if (s->pos - s->started >= WRITE_BACK_STEP) {
        rc = durable_write_back(s->w, s->started, s->pos - s->started, false);
        s->started = s->pos;
    }
    if (rc == 0 && s->pos - s->settled > DIRTY_MAX) {
        uint64_t len = DIRTY_MAX / 2;
        rc = durable_write_back(s->w, s->settled, len, true);
        s->settled += len;
    }
    return rc;
}

static void flush(struct work *w)
{
    struct file_sink *s =
        (struct file_sink *)((char *)w - offsetof(struct file_sink, flush));

    s->flush_rc = durable_flush(s->w);
}

/* One at a time, for what the last one did not see. */
static int start_flush(struct file_sink *s)
{
    if (!s->io || s->pos - s->flushed < FLUSH_STEP || !work_is_over(&s->flush))
        return 0;
    work_wait(&s->flush);
    if (s->flush_rc != 0)
        return s->flush_rc;
    s->flushed = s->pos;
    work_start(&s->flush, s->io, flush);
    return 0;
}

static int end_flush(struct file_sink *s)
{
    work_wait(&s->flush);
    return s->flush_rc;
}

static int write_file(void *ctx, const void *data, size_t len,
                      struct persist_error *err)
{
    struct file_sink *s = ctx;
    size_t done = 0;
    int rc = direct_write(&s->direct, data, len, s->pos, &done);

    if (rc == 0 && done < len)
        rc = durable_write_at(s->w, (const char *)data + done, len - done,
                              s->pos + done);
    s->pos += len;
    if (rc == 0)
        rc = write_back(s);
    if (rc == 0)
        rc = start_flush(s);
    return rc == 0 ? PERSIST_OK : failed(s->path, rc, "cannot write", err);
}

static int publish(struct durable_write *w, const struct target_file *f,
                   bool overwrite, uint64_t size, struct persist_error *err)
{
    int rc = durable_publish(
        w, f->name, overwrite ? DURABLE_REPLACE : DURABLE_IF_ABSENT, size);

    if (rc == -EEXIST) {
        error_set(err, PERSIST_E_EXISTS, "%s appeared during the restore",
                  f->path);
        error_object(err, "%s", f->path);
        return PERSIST_E_EXISTS;
    }
    if (rc == DURABLE_NOT_SYNCED) {
        error_set(err, PERSIST_E_NOT_DURABLE,
                  "%s is there and whole, but its directory could not be "
                  "synced: a power loss may take it back",
                  f->path);
        error_object(err, "%s", f->path);
        return PERSIST_E_NOT_DURABLE;
    }
    return rc == 0 ? PERSIST_OK : failed(f->path, rc, "cannot finish", err);
}

/* Makes room for the payload; a longer one than 64 MiB goes past the page
 * cache, because only less is soon read again. */
static int begin(struct file_sink *s, const struct target_file *f, bool replace,
                 uint64_t size, struct persist_error *err)
{
    int rc = durable_begin(s->w, f->dir_fd, f->mode, replace);

    if (rc != 0)
        return failed(f->path, rc, "cannot create", err);
    if (size > 0)
        rc = durable_reserve(s->w, size);
    if (rc == 0 && size > DIRTY_MAX)
        direct_open(&s->direct, s->w->fd, size);
    return rc == 0 ? PERSIST_OK
                   : failed(f->path, rc, "cannot make room for", err);
}

static int run(struct restore *r, const struct target_file *f,
               struct persist_error *err)
{
    bool overwrite = (r->options.flags & PERSIST_RESTORE_OVERWRITE) != 0;
    struct durable_write w = {.dir_fd = f->dir_fd, .fd = -1};
    struct file_sink s = {
        .w = &w, .direct = {.fd = -1}, .path = f->path, .io = r->store->p->io};
    struct persist_sink sink = PERSIST_SINK_INIT;
    int rc = work_init(&s.flush);

    if (rc != 0)
        return failed(f->path, rc, "cannot restore to", err);
    sink.write = write_file;
    sink.ctx = &s;
    rc =
        begin(&s, f, overwrite && f->exists, download_length(r->download), err);
    if (s.direct.fd >= 0)
        download_copies(r->download);
    if (rc == PERSIST_OK)
        rc = restore_run(r, &sink, err);
    int flush_rc = end_flush(&s);
    if (rc == PERSIST_OK && flush_rc != 0)
        rc = failed(f->path, flush_rc, "cannot write", err);
    if (rc == PERSIST_OK)
        rc = publish(&w, f, overwrite, s.pos, err);
    direct_close(&s.direct);
    durable_discard(&w);
    work_finish(&s.flush);
    return rc;
}

int persist_restore_file(struct persist_store *store, const char *address,
                         const char *path,
                         const struct persist_restore_options *options,
                         struct persist_metadata **out_metadata,
                         struct persist_error *err)
{
    const uint32_t known = PERSIST_RESTORE_RANGE | PERSIST_RESTORE_OVERWRITE;
    struct target_file f = {.path = path, .dir_fd = -1};
    struct persist_restore_options o;
    struct restore r = {0};
    int rc;

    if (out_metadata)
        *out_metadata = NULL;
    if (!path)
        return error_set(err, PERSIST_E_MISUSE, "the path is NULL");
    rc = engine_options(&o, sizeof(o), options, err);
    if (rc == PERSIST_OK)
        rc = target_file_open(&f, (o.flags & PERSIST_RESTORE_OVERWRITE) != 0,
                              err);
    if (rc == PERSIST_OK)
        rc = restore_open(&r, store, address, options, known, err);
    if (rc == PERSIST_OK)
        rc = run(&r, &f, err);
    if (rc == PERSIST_OK || rc == PERSIST_E_NOT_DURABLE)
        restore_give_metadata(&r, out_metadata);
    restore_close(&r, rc);
    target_file_close(&f);
    return rc;
}
