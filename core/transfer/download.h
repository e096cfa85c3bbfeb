/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From an object to its verified payload.
 *
 *     download_open(&request, &kind, &d, err)     tail, header: the metadata
 *     download_set_range(d, offset, length, err)  optional
 *     while (download_next(d, &data, &len, err) == 0 && len > 0)
 *         ...                                     data: until the next call
 *     download_close(d)
 *
 * Where a byte is, whose it is, and who moves it:
 *
 *   store
 *     │ ranged reads, pinned by etag          I/O executor, several at once
 *     ▼
 *   buffer       whole frames as they are     CRC-32C of them, in order:
 *     │          stored (readahead.h)         the caller's thread
 *     │ decode, the frame's own checksum      CPU executor, frames in any order
 *     ▼
 *   lane.out     a frame of payload ────────▶ SHA-256, in order   CPU executor
 *     │
 *     ▼ download_next                         the caller borrows it, in order
 *
 * A frame that holds its payload as it is (format/zstd_raw.h) stays where it
 * is: what is hashed and lent then are the pieces of it in the buffer.
 *
 * A lane is used again once the caller came for the next frame and its payload
 * is hashed, and a buffer is read into again once that holds for every frame in
 * it.  Nothing is copied on the way (but the beginnings of gzip members that go
 * over the end of a buffer).  A caller that takes nothing stops the reading.
 * Where there are no threads, or memory for one buffer only, the caller's
 * thread reads, decodes and hashes one frame after the other.
 *
 * Nothing is handed out before its own checksum held.  With the last piece of a
 * whole payload everything else has been checked too: the stored CRC-32C, the
 * payload's SHA-256, every size and count.  A ranged read checks the tail, the
 * header and the frames it needs, and neither of the two whole sums.
 *
 * Memory is reserved from the store's budget, once when the object is opened
 * and once when its frame size is known; that second time the first reservation
 * is given back before waiting, so two downloads never wait for each other.  At
 * most 1 MiB and the seek table are held uncounted then.
 *
 * A download belongs to one thread at a time.
 */
#ifndef PERSIST_TRANSFER_DOWNLOAD_H
#define PERSIST_TRANSFER_DOWNLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/store.h"
#include "format/metadata.h"
#include "runtime/executor.h"

struct download;

struct download_request {
    struct backend_store *store; /* outlives the download */
    struct persist_op *op;       /* the same */
    struct executor *cpu;        /* several frames at once; NULL: one by one */
    struct executor *io;         /* several reads at once; NULL: one by one */
    const char *key;             /* copied */
    bool metadata_only;          /* small reads; download_next is not to come */
    bool ranged;                 /* download_set_range is to come */
    bool shares;                 /* download_prepare is to come */
};

/* What lies at a key. */
enum download_kind {
    DOWNLOAD_SNAPSHOT = 1,
    DOWNLOAD_CLAIM,
    DOWNLOAD_TOMBSTONE
};

/*
 * Opens an object: one read where it is under 1 MiB (metadata_only: 64 KiB),
 * else two; more where the seek table is long.  *out stays NULL for a claim or
 * a tombstone.  CORRUPT, UNSUPPORTED, MEMORY, and what the store answers:
 * NOT_FOUND where there is no object, PRECONDITION where it was replaced
 * between the reads.
 */
int download_open(const struct download_request *request,
                  enum download_kind *out_kind, struct download **out,
                  struct persist_error *err);

/* Complete, with TRAILER and STORED_SIZE; the download's, until taken. */
const struct persist_metadata *download_metadata(const struct download *d);
struct persist_metadata *download_take_metadata(struct download *d);

/* Before the first download_next: only these bytes of the payload, cut at its
 * end.  INVALID where offset is behind the end. */
int download_set_range(struct download *d, uint64_t offset, uint64_t length,
                       struct persist_error *err);
/*
 * Before the first download_next, for who does other things between the pieces,
 * such as a save of what came: reserves now what download_next will need, and
 * leaves half of what is free to others.  That is planned for half of
 * memory_limit, or where others are at work for a quarter or an eighth.  As
 * download_next's codes.
 */
int download_prepare(struct download *d, struct persist_error *err);
/* Bytes download_next will give in all. */
uint64_t download_length(const struct download *d);

/* Before the first download_next: every piece is to be all that is wanted of a
 * frame, in memory as direct_alloc gives it, for writes past the page cache. */
void download_copies(struct download *d);

/* The next piece, of a frame at most, or *out_len 0 at the verified end.  After
 * an error, the same error. */
int download_next(struct download *d, const void **out, size_t *out_len,
                  struct persist_error *err);

/* One more piece, where it is there at once: of the same frame, so that it goes
 * when the one before it does.  false: download_next has to be asked. */
bool download_more(struct download *d, const void **out, size_t *out_len);

void download_close(struct download *d); /* NULL is fine */

/*
 * What lies at a key, by one small read: claims and tombstones are looked into
 * (CORRUPT where an object of such a size is none), snapshots are not.
 */
int download_peek(struct backend_store *store, struct persist_op *op,
                  const char *key, enum download_kind *out_kind,
                  struct persist_error *err);

/* Called with the header before anything else is checked; a negative return
 * ends the verification with that code. */
typedef int (*download_header_fn)(void *ctx, const struct persist_metadata *m,
                                  struct persist_error *err);

/*
 * Reads every stored byte of an object, front to back, and checks everything
 * there is to check, the payload's SHA-256 included (snapshot-format.md,
 * "Reading").  *out_metadata, NULL for a claim or a tombstone, is the caller's.
 */
int download_verify(const struct download_request *request,
                    download_header_fn header, void *ctx,
                    enum download_kind *out_kind,
                    struct persist_metadata **out_metadata,
                    struct persist_error *err);

#endif
