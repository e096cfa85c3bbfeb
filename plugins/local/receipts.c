/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an upload's commit must prove: that every byte of the object has been
 * written by this upload, once, with the checksum it came with.  A receipt says
 * so for one part; without one a part does not count.
 */
#include "local.h"

#include <string.h>

static void put_u64(uint8_t *out, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* store's nonce, upload, offset, len, number, checksum: little endian */
static void format(const struct local_store *s, const struct local_upload *u,
                   uint64_t offset, uint64_t len, uint32_t number, uint32_t crc,
                   uint8_t out[RECEIPT_LEN])
{
    put_u64(out, s->nonce);
    put_u64(out + 8, u->number);
    put_u64(out + 16, offset);
    put_u64(out + 24, len);
    put_u64(out + 32, (uint64_t)crc << 32 | number);
}

void receipt_make(const struct local_store *s, const struct local_upload *u,
                  const struct persist_backend_part_args *part, uint32_t crc,
                  uint8_t out[RECEIPT_LEN])
{
    format(s, u, part->offset, part->len, part->number, crc, out);
}

static bool is_genuine(const struct local_store *s,
                       const struct local_upload *u,
                       const struct persist_backend_receipt *r)
{
    uint8_t expected[RECEIPT_LEN];

    format(s, u, r->offset, r->len, r->number, r->crc32c, expected);
    return r->receipt_len == RECEIPT_LEN &&
           memcmp(r->receipt, expected, RECEIPT_LEN) == 0;
}

int32_t receipts_check(const struct local_store *s,
                       const struct local_upload *u,
                       const struct persist_backend_commit_args *args,
                       uint64_t *out_size, struct persist_backend_error *err)
{
    uint64_t at = 0;
    uint32_t crc = 0, number = 0;

    for (uint32_t i = 0; i < args->n_receipts; i++) {
        const struct persist_backend_receipt *r =
            (const void *)((const char *)args->receipts +
                           (size_t)i * args->receipt_size);

        if (!is_genuine(s, u, r))
            return status_set(err, PERSIST_BACKEND_INVALID,
                              "cannot write %.300s: part %u has not been "
                              "written by this upload",
                              u->key, r->number);
        if (r->number <= number || r->offset != at)
            return status_set(err, PERSIST_BACKEND_INVALID,
                              "cannot write %.300s: part %u begins at %ju, not "
                              "at the end of the one before it",
                              u->key, r->number, (uintmax_t)r->offset);
        crc = crc_combine(crc, r->crc32c, r->len);
        at += r->len;
        number = r->number;
    }
    if (args->n_receipts == 0 ||
        ((args->present & PERSIST_BACKEND_HAS_SIZE) != 0 && args->size != at))
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "cannot write %.300s: the parts make %ju bytes, not "
                          "the whole object",
                          u->key, (uintmax_t)at);
    if ((args->present & PERSIST_BACKEND_HAS_CRC32C) != 0 &&
        args->crc32c != crc)
        return status_set(err, PERSIST_BACKEND_CORRUPT,
                          "cannot write %.300s: the parts do not have the "
                          "checksum of the whole object",
                          u->key);
    *out_size = at;
    return PERSIST_BACKEND_OK;
}
