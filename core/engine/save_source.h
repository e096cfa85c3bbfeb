/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a save's payload comes from: memory, a file, a descriptor, or the
 * caller's own source, all as a struct upload_source.
 */
#ifndef PERSIST_ENGINE_SAVE_SOURCE_H
#define PERSIST_ENGINE_SAVE_SOURCE_H

#include "engine/instance.h"
#include "transfer/upload.h"
#include "util/buf.h"

struct save_source {
    struct upload_source up; /* ctx is this struct: it must not move */
    struct persist_source user;
    int fd;                      /* -1: none */
    bool owns_fd;                /* closed by finish */
    bool is_regular;             /* never blocks, and can be read twice */
    uint64_t start;              /* is_regular: where the payload starts */
    const char *path;            /* the caller's; NULL: a descriptor */
    const struct persist_op *op; /* what it waits under; set when the save
                                  begins */
    const struct clock *clock;
};

/* One of these; finish it also after a failure. */
int save_source_user(struct save_source *s, const struct persist_source *source,
                     struct persist_error *err);
int save_source_buffer(struct save_source *s, const void *data, size_t len,
                       struct persist_error *err);
int save_source_file(struct save_source *s, const char *path,
                     struct persist_error *err);
int save_source_fd(struct save_source *s, int fd, struct persist_error *err);
void save_source_finish(struct save_source *s);

/* Back to the start of the payload; only of memory and regular files. */
int save_source_rewind(struct save_source *s, struct persist_error *err);
/* Which file it is, and how it looks: is_regular only. */
struct save_source_look {
    uint64_t size;
    int64_t mtime_ns;
};
int save_source_identify(const struct save_source *s, struct buf *out_name,
                         struct save_source_look *out,
                         struct persist_error *err);

/* SHA-256 of the whole payload without consuming it, where that can be done:
 * *out_done. */
int save_source_hash(struct save_source *s, uint8_t out[32], bool *out_done,
                     struct persist_error *err);

#endif
