/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last bytes of a snapshot, which depend on nothing but lengths and counts:
 * seek table (zstd) or footer member (gzip).  The writer appends them, readers
 * make them anew and compare every byte.
 */
#ifndef PERSIST_FORMAT_LAYOUT_H
#define PERSIST_FORMAT_LAYOUT_H

#include "format/envelope.h"
#include "format/gzip_member.h"
#include "util/buf.h"

#define SEEK_MAGIC UINT32_C(0x8F92EAB1)
#define SEEK_ENTRY_LEN 8
#define SEEK_FOOTER_LEN 9
#define SEEK_OVERHEAD (SKIPPABLE_HEAD_LEN + SEEK_FOOTER_LEN)
/* ZSTD_SEEKABLE_MAXFRAMES of the published format, header and trailer
 * included. */
#define SEEK_ENTRIES_MAX UINT32_C(0x8000000)

#define FOOTER_DATA_LEN 20
#define FOOTER_LEN (MEMBER_HEAD_LEN + FOOTER_DATA_LEN + MEMBER_EMPTY_TAIL_LEN)

/* The smallest stored frame of a codec. */
size_t layout_frame_min(enum codec codec);

void seek_entry_put(struct buf *entries, uint32_t stored_len,
                    uint32_t payload_len);
/* entries: those of the data frames, as seek_entry_put wrote them. */
void seek_table_put(struct buf *out, uint32_t header_len,
                    const struct buf *entries, uint32_t trailer_len);
void footer_put(struct buf *out, uint64_t trailer_offset, uint64_t n_frames);

#endif
