/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One configuration file.  The file is opened, judged by fstat of the open
 * descriptor, read whole into memory that is wiped, and handed to inih line by
 * line through its stream interface.
 *
 * The packaged inih splits lines at 200 bytes, cuts values at " ;" and section
 * names at 49 bytes and takes indented lines for continuations.  So it never
 * sees a line that config_line.c did not pass, and never a value: in its place
 * stands a token, the number of the line.  What inih reports has to agree with
 * what config_line.c saw; where they differ, the file is refused.  inih's
 * switches are process-wide variables of the application, so nothing here
 * relies on their values either.
 */
#include "services/config_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ini.h>

#include "util/secret.h"

struct reader {
    const struct config_handler *handler;
    struct config_position at;
    char *next; /* behind the line at hand */
    char *end;
    struct config_line line;
    char section[CONFIG_NAME_MAX + 1];
    bool pending; /* inih has the line's key and has not reported it yet */
    int rc;
    struct persist_error *err;
};

int config_error_at(struct persist_error *err, struct config_position at,
                    const char *hint, const char *format, ...)
{
    char text[400];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(err, PERSIST_E_CONFIG, "%s:%u: %s", at.path, at.line, text);
    error_object(err, "%s", at.path);
    if (hint)
        error_hint(err, "%s", hint);
    return PERSIST_E_CONFIG;
}

/* ------------------------------------------------------------------- lines */

static int differ(struct reader *r)
{
    return config_error_at(r->err, r->at, NULL,
                           "the INI parser reads this line differently");
}

/* The next line that says something; false at the end and after a failure. */
static bool next_line(struct reader *r)
{
    do {
        if (r->next >= r->end)
            return false;
        char *start = r->next;
        char *stop = memchr(start, '\n', (size_t)(r->end - start));
        if (!stop)
            stop = r->end; /* the NUL of the secret stands there */
        r->next = stop + 1;
        r->at.line++;
        if (!config_line_parse(start, (size_t)(stop - start), &r->line)) {
            r->rc = config_error_at(r->err, r->at, r->line.hint, "%s",
                                    r->line.problem);
            return false;
        }
    } while (r->line.kind == CONFIG_EMPTY);
    return true;
}

static int begin_section(struct reader *r, char *str, int size)
{
    snprintf(r->section, sizeof(r->section), "%s", r->line.name);
    int n = snprintf(str, (size_t)size, "[%s]\n", r->section);
    if (n >= size)
        return differ(r);
    return r->handler->section(r->handler->ctx, r->section, r->at, r->err);
}

static int begin_value(struct reader *r, char *str, int size)
{
    int n = snprintf(str, (size_t)size, "%s = %u\n", r->line.name, r->at.line);
    if (n >= size)
        return differ(r);
    if (r->section[0] == '\0')
        return config_error_at(
            r->err, r->at, "begin with [persist] or [store NAME]",
            "%s stands before the first section", r->line.name);
    r->pending = true;
    return PERSIST_OK;
}

/* inih's fgets. */
static char *give_line(char *str, int size, void *stream)
{
    struct reader *r = stream;

    if (r->rc == PERSIST_OK && r->pending)
        r->rc = differ(r);
    if (r->rc != PERSIST_OK || !next_line(r))
        return NULL;
    r->rc = r->line.kind == CONFIG_SECTION ? begin_section(r, str, size)
                                           : begin_value(r, str, size);
    return r->rc == PERSIST_OK ? str : NULL;
}

static int take_value(void *user, const char *section, const char *name,
                      const char *value
#if INI_HANDLER_LINENO
                      ,
                      int lineno
#endif
)
{
    struct reader *r = user;
    char token[16];

#if INI_HANDLER_LINENO
    (void)lineno;
#endif
    if (r->rc != PERSIST_OK)
        return 1;
    snprintf(token, sizeof(token), "%u", r->at.line);
    if (!r->pending || strcmp(section, r->section) != 0 ||
        strcmp(name, r->line.name) != 0 || strcmp(value, token) != 0) {
        r->rc = differ(r);
        return 1;
    }
    r->pending = false;
    r->rc = r->handler->value(r->handler->ctx, r->line.name, r->line.value,
                              r->at, r->err);
    return 1;
}

static int parse(const char *path, struct secret *content, size_t len,
                 const struct config_handler *handler,
                 struct persist_error *err)
{
    static const char bom[] = "\xef\xbb\xbf";
    char *text = secret_edit(content);
    struct reader r = {.handler = handler,
                       .at = {.path = path},
                       .next = text,
                       .end = text + len,
                       .err = err};

    if (len >= 3 && memcmp(text, bom, 3) == 0)
        r.next += 3;
    int ini_rc = ini_parse_stream(give_line, &r, take_value, &r);
    if (r.rc == PERSIST_OK && (ini_rc != 0 || r.pending))
        r.rc = ini_rc == -2 ? error_memory(err) : differ(&r);
    return r.rc;
}

/* ------------------------------------------------------------------- files */

int config_open_regular(const char *path, struct stat *out)
{
    /* A FIFO must not hang, nor a terminal become ours.  Symbolic links are
     * followed: /etc is full of them, and the file itself is judged. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return -errno;
    if (fstat(fd, out) == 0 && S_ISREG(out->st_mode))
        return fd;
    close(fd);
    return -EINVAL;
}

void config_file_judge(struct config_file *file, const struct stat *st)
{
    bool group_writes =
        (st->st_mode & S_IWGRP) && st->st_gid != 0 && st->st_gid != getegid();

    file->public = (st->st_mode & S_IROTH) != 0;
    file->foreign = st->st_uid != 0 && st->st_uid != geteuid();
    file->shared = (st->st_mode & S_IWOTH) != 0 || group_writes;
}

/* Until the end of the file, or until cap bytes are there. */
static int read_all(int fd, char *text, size_t cap, size_t *out_len)
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, text + len, cap - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    *out_len = len;
    return 0;
}

static int cannot_read(const char *path, int errno_value,
                       struct persist_error *err)
{
    error_errno(err, errno_value, "cannot read the configuration file %s",
                path);
    error_object(err, "%s", path);
    if (err)
        err->status = PERSIST_E_CONFIG;
    return PERSIST_E_CONFIG;
}

static int refuse(const char *path, const char *why, struct persist_error *err)
{
    error_set(err, PERSIST_E_CONFIG, "the configuration file %s %s", path, why);
    error_object(err, "%s", path);
    return PERSIST_E_CONFIG;
}

/* *out_fd stays -1 where there is no file and none has to be. */
static int open_file(struct config_file *file, bool must_exist, int *out_fd,
                     size_t *out_size, struct persist_error *err)
{
    struct stat st = {0};

    int fd = config_open_regular(file->path, &st);
    if ((fd == -ENOENT || fd == -ENOTDIR) && !must_exist)
        return PERSIST_OK;
    if (fd == -EINVAL)
        return refuse(file->path, "is not a regular file", err);
    if (fd < 0)
        return cannot_read(file->path, -fd, err);
    if (st.st_size > CONFIG_FILE_MAX) {
        close(fd);
        return refuse(file->path, "is larger than 1 MiB", err);
    }
    file->read = true;
    config_file_judge(file, &st);
    *out_fd = fd;
    *out_size = (size_t)st.st_size;
    return PERSIST_OK;
}

int config_read_file(struct config_file *file, bool must_exist,
                     const struct config_handler *handler,
                     struct persist_error *err)
{
    size_t size = 0, len = 0;
    int fd = -1;

    int rc = open_file(file, must_exist, &fd, &size, err);
    if (rc != PERSIST_OK || fd < 0)
        return rc;
    /* One byte more than there should be shows a file that grew. */
    struct secret *content = secret_create(NULL, size + 1);
    if (!content) {
        rc = error_memory(err);
        goto out;
    }
    rc = read_all(fd, secret_edit(content), size + 1, &len);
    if (rc != 0)
        rc = cannot_read(file->path, -rc, err);
    else if (len > size)
        rc = refuse(file->path, "grew while it was read", err);
    else
        rc = parse(file->path, content, len, handler, err);
out:
    secret_destroy(content);
    close(fd);
    return rc;
}
