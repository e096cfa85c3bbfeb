/* SPDX-License-Identifier: Apache-2.0 */
/* See object_file_impl.h. */
#include "backend/object_file_impl.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

int object_file_begin(struct object_file *f, int fd, const char *path,
                      struct persist_error *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return error_errno(err, errno, "cannot examine %s", path);
    *f = (struct object_file){
        .fd = fd, .path = path, .size = (uint64_t)st.st_size, .err = err};
    return PERSIST_OK;
}

int object_file_read(const struct object_file *f, void *out, size_t len,
                     uint64_t offset)
{
    size_t done = 0;

    if (!object_file_holds(offset, len, f->size))
        return object_file_damaged(f, "is shorter than its headers say");
    while (done < len) {
        ssize_t n = pread(f->fd, (char *)out + done, len - done,
                          (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return error_errno(f->err, errno, "cannot read %s", f->path);
        if (n == 0)
            return object_file_damaged(f, "became shorter while it was read");
        done += (size_t)n;
    }
    return PERSIST_OK;
}
