/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer/unpack.h"

#include <string.h>

#include "format/zstd_raw.h"
#include "util/crc32c.h"

static void copy(struct unpack *u)
{
    struct frame_payload p = u->payload;
    const void *piece;
    uint8_t *at = u->out;
    size_t n;

    while ((n = frame_payload_next(&p, &piece)) > 0) {
        memcpy(at, piece, n);
        at += n;
    }
}

static int decode(struct unpack *u, struct persist_error *err)
{
    u->is_raw = false;
    u->crc = crc32c(0, u->in, u->in_len);
    u->payload = (struct frame_payload){.at = u->out};
    return frame_decode(u->decoder, u->in, u->in_len, u->out, u->cap,
                        &u->payload.len, err);
}

int unpack_begin(struct unpack *u, struct persist_error *err)
{
    if (!frame_find_raw(u->decoder, u->in, u->in_len, u->cap, &u->payload))
        return decode(u, err);
    u->is_raw = true;
    if (u->copies)
        copy(u);
    return PERSIST_OK;
}

static int hash(const struct unpack *u, struct sha256 *sha256)
{
    struct frame_payload p = u->payload;
    const void *piece;
    int rc = PERSIST_OK;
    size_t n;

    while (sha256 && rc == PERSIST_OK &&
           (n = frame_payload_next(&p, &piece)) > 0)
        rc = sha256_update(sha256, piece, n);
    return rc;
}

/* What is copied is checked where it was copied to. */
static int check(struct unpack *u, struct sha256 *sha256, bool *holds)
{
    const void *copied = u->copies ? u->out : NULL;
    int rc;

    if (sha256)
        sha256_mark(sha256);
    rc = zstd_raw_check(u->in, u->in_len, u->payload, copied,
                        sha256 ? sha256_update_beside : NULL, sha256, &u->crc,
                        holds);
    if (!*holds && sha256)
        sha256_back(sha256);
    if (copied)
        u->payload =
            (struct frame_payload){.at = u->out, .len = u->payload.len};
    return rc;
}

int unpack_end(struct unpack *u, struct sha256 *sha256,
               struct persist_error *err)
{
    bool holds = false;
    int rc;

    if (u->is_raw) {
        rc = check(u, sha256, &holds);
        if (rc == PERSIST_OK && holds)
            return PERSIST_OK;
        if (rc == PERSIST_OK)
            rc = decode(u, err); /* which says what is wrong with it */
        if (rc != PERSIST_OK)
            return rc;
    }
    return hash(u, sha256) == PERSIST_OK
               ? PERSIST_OK
               : error_set(err, PERSIST_E_INTERNAL, "SHA-256 failed");
}
