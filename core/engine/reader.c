/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot as a stream that the caller pulls.  The same checks as a restore:
 * bytes come after their frame's checksum, the end after everything matched.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/restore.h"

struct persist_reader {
    struct restore restore;
    const char *piece; /* what is left of the current one */
    size_t piece_len;
    bool ended;
    int failed;
    struct persist_error why;
};

int persist_reader_open(struct persist_store *store, const char *address,
                        const struct persist_restore_options *options,
                        struct persist_reader **out, struct persist_error *err)
{
    struct persist_reader *reader = NULL;

    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    reader = calloc(1, sizeof(*reader));
    if (!reader)
        return error_memory(err);
    int rc = restore_open_shared(&reader->restore, store, address, options,
                                 PERSIST_RESTORE_RANGE, err);
    if (rc != PERSIST_OK) {
        reader->failed = rc;
        persist_reader_close(reader);
        return rc;
    }
    *out = reader;
    return PERSIST_OK;
}

/* The next piece, once the current one is used up. */
static int refill(struct persist_reader *reader)
{
    const void *data = NULL;

    if (reader->piece_len > 0 || reader->ended)
        return PERSIST_OK;
    reader->failed =
        restore_next(&reader->restore, &data, &reader->piece_len, &reader->why);
    reader->piece = data;
    reader->ended = reader->failed == PERSIST_OK && reader->piece_len == 0;
    return reader->failed;
}

int persist_reader_read(struct persist_reader *reader, void *out, size_t cap,
                        size_t *out_len, struct persist_error *err)
{
    if (!reader || !out_len || (!out && cap > 0))
        return error_set(err, PERSIST_E_MISUSE,
                         "the reader, out or out_len is NULL");
    *out_len = 0;
    if (cap == 0) /* 0 bytes would read as the end */
        return error_set(err, PERSIST_E_MISUSE, "cap is 0");
    int rc = engine_check(reader->restore.store->p, err);
    if (rc != PERSIST_OK)
        return rc;
    if (reader->failed == PERSIST_OK)
        refill(reader);
    if (reader->failed != PERSIST_OK) {
        if (err)
            *err = reader->why;
        return reader->failed;
    }
    size_t n = reader->piece_len < cap ? reader->piece_len : cap;
    if (n > 0)
        memcpy(out, reader->piece, n);
    reader->piece += n;
    reader->piece_len -= n;
    *out_len = n;
    return PERSIST_OK;
}

const struct persist_metadata *
persist_reader_metadata(const struct persist_reader *reader)
{
    return reader ? download_metadata(reader->restore.download) : NULL;
}

void persist_reader_close(struct persist_reader *reader)
{
    if (!reader ||
        (reader->restore.begun && engine_call_is_forked(&reader->restore.call)))
        return;
    restore_close(&reader->restore, reader->failed);
    free(reader);
}
