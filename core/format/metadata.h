/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON of header, trailer, claim and tombstone, and struct
 * persist_metadata.
 *
 * Encoding is canonical (snapshot-format.md, "Spelling"): the same metadata
 * gives the same bytes on every platform.  Decoding is strict: UTF-8, depth <=
 * 64 before the parser sees it, no duplicate keys, every known field of its
 * exact form; unknown fields are kept and ignored.
 */
#ifndef PERSIST_FORMAT_METADATA_H
#define PERSIST_FORMAT_METADATA_H

#include <persist/persist.h>

#include "util/buf.h"
#include "util/error.h"

/* Appends the header's JSON.  m may be the caller's own storage; format_version
 * is written as 2 whatever it says, labels are sorted, content_type NULL is
 * application/octet-stream.  INVALID: a field that no reader would accept (a
 * form, UTF-8, a label twice) or out's ceiling. */
int metadata_encode_header(const struct persist_metadata *m, struct buf *out,
                           struct persist_error *err);
/* At least as many bytes as that appends, by a few; the same complaints but
 * that of the ceiling. */
int metadata_header_bound(const struct persist_metadata *m, size_t *out,
                          struct persist_error *err);
/* Appends the trailer's JSON. */
int metadata_encode_trailer(const struct persist_metadata *m, struct buf *out,
                            struct persist_error *err);

/* Header JSON to metadata (without the trailer's fields).  CORRUPT; UNSUPPORTED
 * for a newer format_version (by number) or an unknown name in `requires` (by
 * name).  Freed with persist_metadata_free. */
int metadata_decode_header(const char *json, size_t len,
                           struct persist_metadata **out,
                           struct persist_error *err);
/* Adds the trailer's fields to m. */
int metadata_decode_trailer(const char *json, size_t len,
                            struct persist_metadata *m,
                            struct persist_error *err);

/* A deep copy of the fields of m, which may be the caller's own storage, to be
 * freed with persist_metadata_free.  Unknown fields of a decoded m are not
 * copied.  NULL: memory. */
struct persist_metadata *metadata_copy(const struct persist_metadata *m);
/* Bytes of memory that a copy takes. */
size_t metadata_memory(const struct persist_metadata *m);

struct marker { /* a claim or a tombstone */
    char snapshot_id[37];
    char time[28];
    char host[65]; /* cut to what fits */
};
#define CLAIM_LEN 256     /* bytes of the object */
#define TOMBSTONE_LEN 192 /* bytes of the object */

void claim_encode(const struct marker *m, char out[CLAIM_LEN]);
void tombstone_encode(const struct marker *m, char out[TOMBSTONE_LEN]);
/* CORRUPT where the object is not a valid one of its kind. */
int claim_decode(const void *object, size_t len, struct marker *out,
                 struct persist_error *err);
int tombstone_decode(const void *object, size_t len, struct marker *out,
                     struct persist_error *err);

#endif
