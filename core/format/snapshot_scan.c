/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads an object front to back, however its bytes come, and checks all of
 * them.  The object is a row of units (header, frames, trailer); bytes are
 * gathered in `unit` until it is whole.  How many that are shows step by step:
 *
 *     START -> HEADER -> DATA (frame, frame, ... trailer) -> ENDING -> DONE
 *       \-> ALIEN: no snapshot; gathers a little more to say what it is
 *
 * Behind the trailer every byte is known beforehand and only compared.  The
 * payload's SHA-256 is the caller's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/layout.h"
#include "format/snapshot.h"
#include "format/zstd_frame.h"
#include "util/crc32c.h"
#include "util/le.h"

#define ZSTD_MAGIC_LEN 4

enum stage {
    STAGE_START,
    STAGE_ALIEN,
    STAGE_HEADER,
    STAGE_DATA,
    STAGE_ENDING,
    STAGE_DONE,
};

struct snapshot_scan {
    snapshot_header_fn header;
    snapshot_payload_fn payload;
    void *ctx;

    enum stage stage;
    enum codec codec;
    uint64_t offset;       /* where the unit begins in the object */
    struct buf unit;       /* what has come of it */
    size_t want;           /* go on when it holds so many bytes */
    struct zstd_walk walk; /* over a zstd frame under way */

    struct frame_decoder *decoder;
    uint8_t *plain[2]; /* a frame's payload each, frame_size bytes, in turn */
    unsigned n_plain;
    struct persist_metadata *m;

    uint32_t header_len;
    uint32_t crc; /* CRC-32C of all whole units */
    uint64_t payload_len;
    uint64_t n_frames;
    bool short_frame;
    struct buf entries; /* zstd: the seek table's, made anew */
    struct buf ending;  /* what must follow the trailer */
    size_t ending_pos;

    int failed; /* sticky */
    struct persist_error error;
};

struct snapshot_scan *snapshot_scan_create(snapshot_header_fn header,
                                           snapshot_payload_fn payload,
                                           void *ctx)
{
    struct snapshot_scan *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->header = header;
    s->payload = payload;
    s->ctx = ctx;
    s->want = ENVELOPE_PEEK;
    s->n_plain = 1;
    buf_init(&s->unit, frame_bound(CODEC_GZIP, FRAME_SIZE_MAX) +
                           frame_bound(CODEC_ZSTD, FRAME_SIZE_MAX));
    buf_init(&s->entries, (size_t)SEEK_ENTRIES_MAX * SEEK_ENTRY_LEN);
    buf_init(&s->ending,
             (size_t)SEEK_ENTRIES_MAX * SEEK_ENTRY_LEN + SEEK_OVERHEAD);
    return s;
}

void snapshot_scan_destroy(struct snapshot_scan *s)
{
    if (!s)
        return;
    frame_decoder_destroy(s->decoder);
    persist_metadata_free(s->m);
    for (unsigned i = 0; i < s->n_plain; i++)
        free(s->plain[i]);
    buf_finish(&s->unit);
    buf_finish(&s->entries);
    buf_finish(&s->ending);
    free(s);
}

void snapshot_scan_keep_payload(struct snapshot_scan *s)
{
    s->n_plain = 2;
}

static int corrupt(struct snapshot_scan *s, const char *why)
{
    return error_set(&s->error, PERSIST_E_CORRUPT, "at byte %" PRIu64 ": %s",
                     s->offset, why);
}

/* Says where; `rc` has been set by a deeper layer. */
static int at_offset(struct snapshot_scan *s, int rc)
{
    if (rc == PERSIST_E_CORRUPT)
        error_prefix(&s->error, "at byte %" PRIu64, s->offset);
    return rc;
}

/* The unit is whole and good; the next one begins. */
static void next_unit(struct snapshot_scan *s)
{
    s->crc = crc32c(s->crc, s->unit.data, s->unit.len);
    s->offset += s->unit.len;
    buf_clear(&s->unit);
    s->walk = (struct zstd_walk){0};
    s->want = s->codec == CODEC_ZSTD ? ZSTD_MAGIC_LEN : MEMBER_HEAD_LEN;
}

/* ----------------------------------------------------------------- header */

static int identify(struct snapshot_scan *s)
{
    return envelope_identify(s->unit.data, s->unit.len, &s->codec, &s->error);
}

static int advance_start(struct snapshot_scan *s)
{
    if (identify(s) != PERSIST_OK) {
        s->stage = STAGE_ALIEN;
        s->want = IDENTIFY_LEN;
        return PERSIST_OK;
    }
    s->stage = STAGE_HEADER;
    return envelope_measure(s->codec, BLOCK_HEADER, s->unit.data, &s->want,
                            &s->error);
}

static int advance_header(struct snapshot_scan *s)
{
    uint64_t unused = 0;
    size_t header_len = 0;
    int rc = snapshot_header_parse(s->unit.data, s->unit.len, &unused,
                                   &s->codec, &header_len, &s->m, &s->error);
    if (rc)
        return rc;
    if (s->header)
        rc = s->header(s->ctx, s->m, &s->error);
    if (rc < 0)
        return rc;
    s->decoder = frame_decoder_create(s->codec, (uint32_t)s->m->frame_size);
    if (!s->decoder)
        return error_memory(&s->error);
    for (unsigned i = 0; i < s->n_plain; i++) {
        s->plain[i] = malloc((size_t)s->m->frame_size);
        if (!s->plain[i])
            return error_memory(&s->error);
    }
    s->header_len = (uint32_t)header_len;
    s->stage = STAGE_DATA;
    next_unit(s);
    return PERSIST_OK;
}

/* ----------------------------------------------------------------- frames */

static bool is_frame(const struct snapshot_scan *s)
{
    uint16_t unused = 0;
    if (s->codec == CODEC_ZSTD)
        return le_get32(s->unit.data) == ZSTD_FRAME_MAGIC;
    return member_head_get((const uint8_t *)s->unit.data, MEMBER_DATA, &unused);
}

/* OK: the frame is whole; 1: s->want bytes are needed; CORRUPT. */
static int measure_frame(struct snapshot_scan *s)
{
    int rc = 1;
    if (s->codec == CODEC_ZSTD) {
        rc =
            zstd_walk(&s->walk, s->unit.data, s->unit.len, &s->want, &s->error);
    } else if (s->unit.len < MEMBER_DATA_HEAD_LEN) {
        s->want = MEMBER_DATA_HEAD_LEN;
    } else {
        s->want = le_get32(s->unit.data + MEMBER_HEAD_LEN);
        if (s->want < MEMBER_DATA_MIN)
            return error_set(&s->error, PERSIST_E_CORRUPT,
                             "a member says it is shorter than it can be");
        rc = s->unit.len < s->want;
    }
    if (rc >= 0 && s->want > frame_bound(s->codec, (size_t)s->m->frame_size))
        return error_set(&s->error, PERSIST_E_CORRUPT,
                         "a frame is longer than one may be");
    return rc;
}

static int take_frame(struct snapshot_scan *s)
{
    uint8_t *plain = s->plain[s->n_frames % s->n_plain];
    size_t len = 0;
    if (s->short_frame)
        return corrupt(s, "a frame follows one that was the last");
    if (s->n_frames >= SEEK_ENTRIES_MAX - 2)
        return corrupt(s, "there are more frames than may be");
    int rc = frame_decode(s->decoder, s->unit.data, s->unit.len, plain,
                          (size_t)s->m->frame_size, &len, &s->error);
    if (rc)
        return at_offset(s, rc);
    if (s->codec == CODEC_ZSTD)
        seek_entry_put(&s->entries, (uint32_t)s->unit.len, (uint32_t)len);
    if (buf_failed(&s->entries))
        return error_memory(&s->error);
    s->n_frames++;
    s->payload_len += len;
    s->short_frame = len < s->m->frame_size;
    if (s->payload)
        rc = s->payload(s->ctx, plain, len, &s->error);
    if (rc < 0)
        return rc;
    next_unit(s);
    return PERSIST_OK;
}

/* ---------------------------------------------------------------- trailer */

static int measure_trailer(struct snapshot_scan *s)
{
    s->want = ENVELOPE_PEEK;
    if (s->unit.len < s->want)
        return 1;
    int rc = envelope_measure(s->codec, BLOCK_TRAILER, s->unit.data, &s->want,
                              &s->error);
    return rc ? rc : s->unit.len < s->want;
}

/* What the trailer says against what has been seen. */
static int check_trailer(struct snapshot_scan *s)
{
    char crc[9];
    (void)snprintf(crc, sizeof(crc), "%08" PRIx32, s->crc);
    if (s->m->frame_count != s->n_frames)
        return corrupt(s, "the trailer counts other frames than there are");
    if (s->m->uncompressed_size != s->payload_len)
        return corrupt(s, "the trailer gives another payload size than was "
                          "found");
    if (strcmp(s->m->stored_crc32c, crc) != 0)
        return corrupt(s, "the trailer's stored_crc32c does not match the "
                          "bytes before it");
    return PERSIST_OK;
}

static int take_trailer(struct snapshot_scan *s)
{
    const char *json = NULL;
    size_t json_len = 0;
    int rc = envelope_open(s->codec, BLOCK_TRAILER, s->unit.data, s->unit.len,
                           &json, &json_len, &s->error);
    if (!rc)
        rc = metadata_decode_trailer(json, json_len, s->m, &s->error);
    if (rc)
        return at_offset(s, rc);
    rc = check_trailer(s);
    if (rc)
        return rc;
    if (s->codec == CODEC_ZSTD)
        seek_table_put(&s->ending, s->header_len, &s->entries,
                       (uint32_t)s->unit.len);
    else
        footer_put(&s->ending, s->offset, s->n_frames);
    if (buf_failed(&s->ending))
        return error_memory(&s->error);
    s->stage = STAGE_ENDING;
    next_unit(s);
    return PERSIST_OK;
}

/* ------------------------------------------------------------------- feed */

static int advance_data(struct snapshot_scan *s)
{
    bool frame = is_frame(s);
    int rc = frame ? measure_frame(s) : measure_trailer(s);
    if (rc < 0)
        return at_offset(s, rc);
    if (rc == 1)
        return PERSIST_OK;
    return frame ? take_frame(s) : take_trailer(s);
}

static int advance(struct snapshot_scan *s)
{
    switch (s->stage) {
    case STAGE_START:
        return advance_start(s);
    case STAGE_ALIEN:
        return identify(s);
    case STAGE_HEADER:
        return advance_header(s);
    case STAGE_DATA:
        return advance_data(s);
    case STAGE_ENDING:
    case STAGE_DONE:
        break;
    }
    return error_set(&s->error, PERSIST_E_INTERNAL, "a scan past its end");
}

/* Gathers up to s->want bytes; *out_used of them. */
static int gather(struct snapshot_scan *s, const char *data, size_t len,
                  size_t *out_used)
{
    size_t n = s->want - s->unit.len;
    if (n > len)
        n = len;
    buf_append(&s->unit, data, n);
    if (buf_failed(&s->unit))
        return error_memory(&s->error);
    *out_used = n;
    return s->unit.len < s->want ? PERSIST_OK : advance(s);
}

static int compare_ending(struct snapshot_scan *s, const char *data, size_t len,
                          size_t *out_used)
{
    size_t n = s->ending.len - s->ending_pos;
    if (n > len)
        n = len;
    if (memcmp(s->ending.data + s->ending_pos, data, n) != 0)
        return corrupt(s, s->codec == CODEC_ZSTD
                              ? "the seek table is not that of the frames"
                              : "the footer is not that of the members");
    s->ending_pos += n;
    s->offset += n;
    if (s->ending_pos == s->ending.len)
        s->stage = STAGE_DONE;
    *out_used = n;
    return PERSIST_OK;
}

static int feed(struct snapshot_scan *s, const char *data, size_t len)
{
    while (len > 0) {
        size_t used = 0;
        int rc = PERSIST_OK;
        if (s->stage == STAGE_DONE)
            rc = corrupt(s, "bytes follow the end of the snapshot");
        else if (s->stage == STAGE_ENDING)
            rc = compare_ending(s, data, len, &used);
        else
            rc = gather(s, data, len, &used);
        if (rc < 0)
            return rc;
        data += used;
        len -= used;
    }
    return PERSIST_OK;
}

/* What failed stays failed. */
static int conclude(struct snapshot_scan *s, int rc, struct persist_error *err)
{
    s->failed = rc;
    if (rc && err)
        *err = s->error;
    return rc;
}

int snapshot_scan_feed(struct snapshot_scan *s, const void *data, size_t len,
                       struct persist_error *err)
{
    return conclude(s, s->failed ? s->failed : feed(s, data, len), err);
}

static int check_end(struct snapshot_scan *s)
{
    static const char *const cut[] = {
        [STAGE_HEADER] = "the object is cut short in its header",
        [STAGE_DATA] = "the object is cut short before its trailer's end",
        [STAGE_ENDING] = "the object is cut short in its last bytes",
    };
    if (s->stage == STAGE_DONE)
        return PERSIST_OK;
    if (s->stage == STAGE_START || s->stage == STAGE_ALIEN)
        return identify(s);
    return corrupt(s, cut[s->stage]);
}

int snapshot_scan_end(struct snapshot_scan *s, struct persist_metadata **out,
                      struct persist_error *err)
{
    int rc = s->failed ? s->failed : check_end(s);
    if (!rc && !s->m)
        rc = error_set(&s->error, PERSIST_E_INTERNAL, "a scan ended twice");
    if (rc)
        return conclude(s, rc, err);
    s->m->compressed_size = s->offset;
    s->m->present |= PERSIST_META_STORED_SIZE;
    *out = s->m;
    s->m = NULL;
    return PERSIST_OK;
}
