/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loading one file of Persist 0.1: bytes, gzip, JSON, content_hash.  Whether it
 * was imported before, and where it goes, is import.c.
 */
#include "engine/import_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/gunzip.h"
#include "posix/file.h"
#include "transfer/sha256.h"
#include "util/text.h"

/* Regular files only, and without waiting for a FIFO's writer. */
static int open_file(const char *path, uint64_t max, int *out_fd,
                     size_t *out_len, struct persist_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    *out_fd = fd;
    if (fd < 0)
        return error_errno(err, errno, "cannot open %s", path);
    if (fstat(fd, &st) != 0)
        return error_errno(err, errno, "cannot look at %s", path);
    if (S_ISDIR(st.st_mode)) {
        error_set(err, PERSIST_E_INVALID, "%s is a directory", path);
        error_hint(err, "name its files: %s/*.json.gz", path);
        return PERSIST_E_INVALID;
    }
    if (!S_ISREG(st.st_mode))
        return error_set(err, PERSIST_E_INVALID, "%s is not a file", path);
    if ((uint64_t)st.st_size > max)
        return error_set(err, PERSIST_E_MEMORY,
                         "%s has %" PRId64 " bytes, and there is memory for "
                         "%" PRIu64,
                         path, (int64_t)st.st_size, max);
    *out_len = (size_t)st.st_size;
    return PERSIST_OK;
}

static int read_packed(const char *path, uint64_t max, char **out,
                       size_t *out_len, struct persist_error *err)
{
    int fd = -1;
    int rc = open_file(path, max, &fd, out_len, err);

    if (rc == PERSIST_OK) {
        *out = malloc(*out_len + 1);
        if (!*out)
            rc = error_memory(err);
    }
    if (rc == PERSIST_OK) {
        int n = file_read_at(fd, *out, *out_len, 0, out_len);
        if (n != 0)
            rc = error_errno(err, -n, "cannot read %s", path);
    }
    if (fd >= 0)
        close(fd);
    return rc;
}

static int check_hash(const struct v1_snapshot *v, struct persist_error *err)
{
    struct sha256 *sha = sha256_create();
    uint8_t digest[32];
    char hex[65];

    if (!sha)
        return error_memory(err);
    int rc = sha256_update(sha, v->state, v->state_len);
    if (rc == PERSIST_OK)
        rc = sha256_final(sha, digest);
    sha256_destroy(sha);
    if (rc != PERSIST_OK)
        return error_set(err, rc, "SHA-256 failed");
    text_to_hex(digest, sizeof(digest), hex);
    if (strcmp(hex, v->content_hash) != 0)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the SHA-256 of agent_state is %s, and content_hash "
                         "says %s",
                         hex, v->content_hash);
    return PERSIST_OK;
}

static int parse(struct import_file *f, const char *packed, size_t len,
                 struct persist_error *err)
{
    int rc = gunzip(packed, len, &f->text, err);

    if (rc == PERSIST_OK)
        rc = v1_parse(f->text.data ? f->text.data : "", f->text.len, &f->v1,
                      err);
    if (rc == PERSIST_OK)
        rc = check_hash(&f->v1, err);
    return rc;
}

int import_file_load(struct import_file *f, const char *path, uint64_t max,
                     struct persist_error *err)
{
    char *packed = NULL;
    size_t len = 0;

    memset(f, 0, sizeof(*f));
    if (max > SIZE_MAX / 2)
        max = SIZE_MAX / 2;
    buf_init(&f->text, (size_t)max);
    int rc = read_packed(path, max, &packed, &len, err);
    if (rc == PERSIST_OK) {
        rc = parse(f, packed, len, err);
        if (rc != PERSIST_OK)
            error_prefix(err, "%s", path);
    }
    if (rc != PERSIST_OK)
        error_object(err, "%s", path);
    free(packed);
    return rc;
}

void import_file_finish(struct import_file *f)
{
    v1_finish(&f->v1);
    buf_finish(&f->text);
}
