/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: scratch directories. See scratch.h; does not try to be fast. */
#include "posix/scratch.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void require(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    abort();
}

char *scratch_make(void)
{
    const char *base = getenv("TMPDIR");
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/persist-test.XXXXXX",
                   base != NULL && base[0] == '/' ? base : "/tmp");
    require(mkdtemp(path) != NULL, "mkdtemp");
    return strdup(path);
}

const char *scratch_join(const char *dir, const char *name)
{
    static _Thread_local char paths[4][2 * PATH_MAX];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

static void empty_dir(int fd)
{
    DIR *dir = fdopendir(fd);
    const struct dirent *e;

    require(dir != NULL, "fdopendir");
    if (!dir)
        return;
    while ((e = readdir(dir)) != NULL) {
        int sub;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), e->d_name, 0) == 0)
            continue;
        sub = openat(dirfd(dir), e->d_name,
                     O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub < 0 && fchmodat(dirfd(dir), e->d_name, 0700, 0) == 0)
            sub = openat(dirfd(dir), e->d_name,
                         O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (sub >= 0)
            empty_dir(sub);
        (void)unlinkat(dirfd(dir), e->d_name, AT_REMOVEDIR);
    }
    (void)closedir(dir);
}

void scratch_remove_tree(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd >= 0)
        empty_dir(fd);
    (void)rmdir(path);
}

void scratch_remove(char *path)
{
    scratch_remove_tree(path);
    free(path);
}

int scratch_open_dir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    require(fd >= 0, path);
    return fd;
}

void scratch_write(const char *dir, const char *name, const char *text)
{
    int fd = open(scratch_join(dir, name),
                  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    require(fd >= 0, name);
    require(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write");
    require(close(fd) == 0, "close");
}

char *scratch_read(const char *dir, const char *name)
{
    int fd = open(scratch_join(dir, name), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *text;

    if (fd < 0)
        return NULL;
    require(fstat(fd, &st) == 0, "fstat");
    text = calloc(1, (size_t)st.st_size + 1);
    require(text != NULL, "calloc");
    require(read(fd, text, (size_t)st.st_size) == st.st_size, "read");
    (void)close(fd);
    return text;
}

static unsigned count(const char *path, const char *prefix, bool deep)
{
    DIR *dir = opendir(path);
    const struct dirent *e;
    unsigned n = 0;

    require(dir != NULL, path);
    while ((e = readdir(dir)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
        if (deep && e->d_type == DT_DIR) {
            char sub[PATH_MAX];

            (void)snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
            n += count(sub, prefix, true);
        }
    }
    (void)closedir(dir);
    return n;
}

unsigned scratch_count(const char *dir)
{
    return count(dir, "", false);
}

unsigned scratch_count_temps(const char *dir)
{
    return count(dir, ".persist-tmp.", true);
}

unsigned scratch_open_fds(void)
{
    const char *list =
        access("/proc/self/fd", R_OK) == 0 ? "/proc/self/fd" : "/dev/fd";

    return count(list, "", false);
}

int scratch_as_nobody(const char *dir, void (*body)(void *ctx), void *ctx)
{
    int status;
    pid_t child;

    if (geteuid() == 0)
        require(chown(dir, 65534, 65534) == 0, "chown");
    (void)fflush(NULL);
    child = fork();
    require(child >= 0, "fork");
    if (child == 0) {
        if (geteuid() == 0)
            require(setgid(65534) == 0 && setuid(65534) == 0, "setuid");
        body(ctx);
        _exit(0);
    }
    require(waitpid(child, &status, 0) == child, "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
