/* SPDX-License-Identifier: Apache-2.0 */
/* Internal: what the prechecks of all formats do alike. */
#ifndef PERSIST_BACKEND_OBJECT_FILE_IMPL_H
#define PERSIST_BACKEND_OBJECT_FILE_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/object_file.h"

struct object_file {
    int fd;
    const char *path;
    uint64_t size;
    struct persist_error *err;
};

/* Asks for the size. */
int object_file_begin(struct object_file *f, int fd, const char *path,
                      struct persist_error *err);
/* CONFIG: not one for this process. */
static inline int object_file_refuse(const struct object_file *f,
                                     const char *why)
{
    error_set(f->err, PERSIST_E_CONFIG, "%s: %s", f->path, why);
    error_object(f->err, "%s", f->path);
    return PERSIST_E_CONFIG;
}

/* CONFIG: it was one, with the advice to install it again. */
static inline int object_file_damaged(const struct object_file *f,
                                      const char *why)
{
    object_file_refuse(f, why);
    error_hint(f->err, "the file is damaged or was cut short: install the "
                       "backend again");
    return PERSIST_E_CONFIG;
}

/* All len bytes, or damaged. */
int object_file_read(const struct object_file *f, void *out, size_t len,
                     uint64_t offset);

/* Whether [offset, offset + len) lies within size. */
static inline bool object_file_holds(uint64_t offset, uint64_t len,
                                     uint64_t size)
{
    return offset <= size && len <= size - offset;
}

#endif
