/* SPDX-License-Identifier: 0BSD */
/*
 * Objects as files: see folder.h.
 *
 * A key's '/' is spelled ',', which no key holds; temps start with ".w-".  The
 * folder is opened for every op, so that a store that has gone away is a
 * failure of that op and never a missing object.
 */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMP_PREFIX ".w-"
#define KEY_BYTES "abcdefghijklmnopqrstuvwxyz0123456789._/%-"

int32_t folder_answer(struct persist_backend_error *error, int32_t rc,
                      const char *message)
{
    snprintf(error->message, sizeof(error->message), "%s", message);
    return rc;
}

/* ENOENT becomes IO here.  Where it means that the object is not there, the
 * function says so itself: NOT_FOUND is never a guess. */
int32_t folder_failed(struct persist_backend_error *error, const char *message)
{
    static const int32_t table[][2] = {
        {EEXIST, PERSIST_BACKEND_EXISTS},   {EACCES, PERSIST_BACKEND_DENIED},
        {EPERM, PERSIST_BACKEND_DENIED},    {EROFS, PERSIST_BACKEND_DENIED},
        {ENOSPC, PERSIST_BACKEND_NO_SPACE}, {EDQUOT, PERSIST_BACKEND_NO_SPACE},
        {ENOMEM, PERSIST_BACKEND_MEMORY}};
    error->present |= PERSIST_BACKEND_ERROR_ERRNO;
    error->os_errno = errno;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i][0] == error->os_errno)
            return folder_answer(error, table[i][1], message);
    return folder_answer(error, PERSIST_BACKEND_IO, message);
}

static int is_key(const char *key)
{
    size_t len = strlen(key);
    if (strcmp(key, ".persist-probe") == 0)
        return 1;
    if (len >= FOLDER_NAME_CAP || strspn(key, KEY_BYTES) != len)
        return 0;
    for (const char *part = key; part; part = strchr(part, '/')) {
        part += part != key;
        if (*part == '.' || *part == '/' || *part == '\0')
            return 0;
    }
    return 1;
}

static int is_temp(const char *name)
{
    return strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0 &&
           !strchr(name, '/');
}

static void spell(char *out, const char *in, char from, char to)
{
    do
        *out++ = *in == from ? to : *in;
    while (*in++);
}

static int32_t open_root(const struct folder *f, int *dir,
                         struct persist_backend_error *error)
{
    *dir = open(f->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *dir < 0 ? folder_failed(error, "opening the root failed") : 0;
}

/* The folder, and the file of a key in it. */
static int32_t enter(const struct folder *f, const char *key,
                     char name[FOLDER_NAME_CAP], int *dir,
                     struct persist_backend_error *error)
{
    if (!is_key(key))
        return folder_answer(error, PERSIST_BACKEND_INVALID, "not a key");
    spell(name, key, '/', ',');
    return open_root(f, dir, error);
}

static int32_t open_file(int dir, const char *name, int flags, int *fd,
                         struct stat *st, struct persist_backend_error *error)
{
    *fd = openat(dir, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0 && errno == ENOENT)
        return folder_answer(error, PERSIST_BACKEND_NOT_FOUND, "not there");
    if (*fd < 0)
        return folder_failed(error, "opening the file failed");
    if (fstat(*fd, st) == 0)
        return 0;
    close(*fd);
    return folder_failed(error, "looking at the file failed");
}

int32_t folder_begin(const struct folder *f, char temp[FOLDER_NAME_CAP],
                     struct persist_backend_error *error)
{
    uint64_t random[2];
    int dir, fd;
    int32_t rc = f->host->random(random, sizeof(random));
    if (rc)
        return folder_answer(error, rc, "no random numbers for a name");
    rc = open_root(f, &dir, error);
    if (rc)
        return rc;
    snprintf(temp, FOLDER_NAME_CAP, TEMP_PREFIX "%016" PRIx64 "%016" PRIx64,
             random[0], random[1]);
    fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd))
        rc = folder_failed(error, "creating a file failed");
    close(dir);
    return rc;
}

static int32_t write_all(int fd, const char *data, uint64_t len, uint64_t at,
                         struct persist_backend_error *error)
{
    while (len > 0) {
        ssize_t n = pwrite(fd, data, (size_t)len, (off_t)at);
        if (n < 0 && errno != EINTR)
            return folder_failed(error, "writing failed");
        if (n > 0) {
            data += n;
            at += (uint64_t)n;
            len -= (uint64_t)n;
        }
    }
    return 0;
}

static int32_t open_temp(int dir, const char *temp, int *fd, struct stat *st,
                         struct persist_backend_error *error)
{
    if (!is_temp(temp))
        return folder_answer(error, PERSIST_BACKEND_INVALID, "not an upload");
    return open_file(dir, temp, O_RDWR, fd, st, error);
}

int32_t folder_write(const struct folder *f, const char *temp, const void *data,
                     uint64_t len, uint64_t at,
                     struct persist_backend_error *error)
{
    struct stat st;
    int dir, fd;
    int32_t rc = open_root(f, &dir, error);
    if (rc)
        return rc;
    rc = open_temp(dir, temp, &fd, &st, error);
    if (!rc) {
        rc = write_all(fd, data, len, at, error);
        if (close(fd) && !rc)
            rc = folder_failed(error, "closing the file failed");
    }
    close(dir);
    return rc;
}

/* linkat never replaces: that is the atomic create-if-absent. */
static int32_t give_name(int dir, int fd, const char *temp, const char *name,
                         int if_absent, struct persist_backend_error *error)
{
    if (fsync(fd))
        return folder_failed(error, "syncing the object failed");
    if (if_absent ? linkat(dir, temp, dir, name, 0)
                  : renameat(dir, temp, dir, name))
        return folder_failed(error, "naming the object failed");
    if (if_absent)
        unlinkat(dir, temp, 0);
    if (fsync(dir) == 0)
        return 0;
    folder_failed(error, "visible, but syncing the folder failed");
    return PERSIST_BACKEND_NOT_DURABLE;
}

int32_t folder_publish(const struct folder *f, const char *temp,
                       const char *key, uint64_t size, int if_absent,
                       char *etag, struct persist_backend_error *error)
{
    char name[FOLDER_NAME_CAP];
    struct stat st;
    int dir, fd;
    int32_t rc = enter(f, key, name, &dir, error);
    if (rc)
        return rc;
    rc = open_temp(dir, temp, &fd, &st, error);
    if (!rc) {
        rc = (uint64_t)st.st_size == size
                 ? give_name(dir, fd, temp, name, if_absent, error)
                 : folder_answer(error, PERSIST_BACKEND_INVALID,
                                 "the parts are not of that size");
        close(fd);
        folder_etag(&st, etag);
    }
    close(dir);
    return rc;
}

static int32_t remove_name(int dir, const char *name, uint32_t *was,
                           struct persist_backend_error *error)
{
    *was = PERSIST_BACKEND_WAS_THERE;
    if (unlinkat(dir, name, 0) == 0)
        return fsync(dir) ? folder_failed(error, "syncing failed") : 0;
    *was = PERSIST_BACKEND_WAS_ABSENT;
    return errno == ENOENT ? 0 : folder_failed(error, "removing failed");
}

int32_t folder_remove_object(const struct folder *f, const char *key,
                             uint32_t *was, struct persist_backend_error *error)
{
    char name[FOLDER_NAME_CAP];
    int dir;
    int32_t rc = enter(f, key, name, &dir, error);
    if (rc)
        return rc;
    rc = remove_name(dir, name, was, error);
    close(dir);
    return rc;
}

int32_t folder_remove_temp(const struct folder *f, const char *temp,
                           struct persist_backend_error *error)
{
    uint32_t was;
    int dir;
    if (!is_temp(temp))
        return folder_answer(error, PERSIST_BACKEND_INVALID, "not an upload");
    int32_t rc = open_root(f, &dir, error);
    if (rc)
        return rc;
    rc = remove_name(dir, temp, &was, error);
    close(dir);
    return rc;
}

int32_t folder_open(const struct folder *f, const char *key, int *fd,
                    struct stat *st, struct persist_backend_error *error)
{
    char name[FOLDER_NAME_CAP];
    int dir;
    int32_t rc = enter(f, key, name, &dir, error);
    if (rc)
        return rc;
    rc = open_file(dir, name, O_RDONLY, fd, st, error);
    close(dir);
    return rc;
}

struct timespec folder_mtime(const struct stat *st)
{
#ifdef __APPLE__
    return st->st_mtimespec;
#else
    return st->st_mtim;
#endif
}

/* The inode changes with every publish, the time where an inode is reused. */
void folder_etag(const struct stat *st, char etag[PERSIST_BACKEND_ETAG_MAX])
{
    struct timespec mtime = folder_mtime(st);

    snprintf(etag, PERSIST_BACKEND_ETAG_MAX, "%ju-%jd.%09ld",
             (uintmax_t)st->st_ino, (intmax_t)mtime.tv_sec,
             (long)mtime.tv_nsec);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int32_t add_name(struct folder_names *out, const char *file)
{
    char key[FOLDER_NAME_CAP];
    char **grown = realloc(out->names, (out->n + 1) * sizeof(*grown));
    if (!grown)
        return PERSIST_BACKEND_MEMORY;
    out->names = grown;
    spell(key, file, ',', '/');
    grown[out->n] = strdup(key);
    return grown[out->n] ? (out->n++, 0) : PERSIST_BACKEND_MEMORY;
}

/* Other names are none of ours: somebody's README, or lost+found where the
 * folder is the top of a file system. */
static int is_object(DIR *dir, const char *file)
{
    char key[FOLDER_NAME_CAP];
    struct stat st;
    if (file[0] == '.' || strlen(file) >= sizeof(key))
        return 0;
    spell(key, file, ',', '/');
    return is_key(key) &&
           fstatat(dirfd(dir), file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(st.st_mode);
}

static int32_t read_names(DIR *dir, int temps, struct folder_names *out,
                          struct persist_backend_error *error)
{
    struct dirent *entry;
    int32_t rc = 0;
    while (errno = 0, !rc && (entry = readdir(dir)))
        if (temps ? is_temp(entry->d_name) : is_object(dir, entry->d_name))
            rc = add_name(out, entry->d_name);
    if (!rc && errno)
        rc = folder_failed(error, "reading the folder failed");
    if (out->n)
        qsort(out->names, out->n, sizeof(*out->names), by_bytes);
    return rc;
}

int32_t folder_list(const struct folder *f, int temps, struct folder_names *out,
                    struct persist_backend_error *error)
{
    int fd;
    int32_t rc = open_root(f, &fd, error);
    if (rc)
        return rc;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return PERSIST_BACKEND_MEMORY;
    }
    rc = read_names(dir, temps, out, error);
    closedir(dir);
    return rc;
}

void folder_names_finish(struct folder_names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
}

int32_t folder_stat_temp(const struct folder *f, const char *temp,
                         struct stat *st, struct persist_backend_error *error)
{
    int dir, fd;
    int32_t rc = open_root(f, &dir, error);
    if (rc)
        return rc;
    rc = open_temp(dir, temp, &fd, st, error);
    if (!rc)
        close(fd);
    close(dir);
    return rc;
}
