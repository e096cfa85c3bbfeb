/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One restore, whatever it ends in: a sink, a file, a buffer, a reader.
 *
 *     restore_open(&r, store, address, options, err)
 *     while (restore_next(&r, &data, &len, err) == 0 && len > 0)
 *         ...
 *     restore_close(&r, rc)    in any case
 */
#ifndef PERSIST_ENGINE_RESTORE_H
#define PERSIST_ENGINE_RESTORE_H

#include "engine/open.h"

struct restore {
    struct persist_store *store;
    struct engine_call call;
    struct persist_op *op;
    bool begun; /* engine_begin */
    struct persist_restore_options options;
    struct target target;
    struct place place;
    struct download *download;
};

/* known: the flags this call takes. */
int restore_open(struct restore *r, struct persist_store *store,
                 const char *address,
                 const struct persist_restore_options *options, uint32_t known,
                 struct persist_error *err);
/* The same for a caller who does other things between the pieces: all memory is
 * reserved when it returns, and leaves room for those (download_prepare). */
int restore_open_shared(struct restore *r, struct persist_store *store,
                        const char *address,
                        const struct persist_restore_options *options,
                        uint32_t known, struct persist_error *err);
int restore_next(struct restore *r, const void **out, size_t *out_len,
                 struct persist_error *err);
/* Every piece to a sink's write. */
int restore_run(struct restore *r, const struct persist_sink *sink,
                struct persist_error *err);
/* The metadata to the caller, where it is wanted. */
void restore_give_metadata(struct restore *r, struct persist_metadata **out);
/* status: how it ended. */
void restore_close(struct restore *r, int status);

#endif
