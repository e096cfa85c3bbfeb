/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening a download: the tail says where everything lies, the header what it
 * is.  Moving the payload is frames.c, reading everything in order scan.c.
 *
 * Where the agent, session and index in the header should be those of the key
 * is not known here: engine/ asks.
 */
#include "transfer/download.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "transfer/again.h"

static void drop_tail(struct download *d)
{
    free(d->tail);
    d->tail = NULL;
    d->tail_len = 0;
}

/* Reads the tail: `want` last bytes, or the whole object where it is shorter.
 */
static int read_tail(struct download *d, size_t want, struct persist_error *err)
{
    int rc = object_reserve(&d->object, want, err);
    if (rc != PERSIST_OK)
        return rc;
    drop_tail(d);
    d->tail = malloc(want);
    if (!d->tail)
        return error_memory(err);
    return object_read_tail(&d->object, d->tail, want, &d->tail_len, err);
}

/* Parses the tail, reading a longer one where the seek table needs it. */
static int read_map(struct download *d, struct persist_error *err)
{
    for (;;) {
        uint64_t need = 0;
        int rc = snapshot_map_parse(d->tail, d->tail_len, d->object.total,
                                    &d->map, &need, err);
        if (rc <= 0) {
            d->has_map = rc == PERSIST_OK;
            return rc;
        }
        if (need <= d->tail_len || need > d->object.total)
            return error_set(err, PERSIST_E_INTERNAL,
                             "a snapshot's end wants %" PRIu64 " of %" PRIu64
                             " bytes",
                             need, d->object.total);
        /* The frames it lists take three times the table's bytes. */
        if (need > SIZE_MAX / 4)
            return error_memory(err);
        rc = object_reserve(&d->object, need * 4, err);
        if (rc == PERSIST_OK)
            rc = read_tail(d, (size_t)need, err);
        if (rc != PERSIST_OK)
            return rc;
    }
}

/* The first bytes of the object: in the tail where that is all of it, else in
 * the window, at least n of them. */
static int read_head(struct download *d, size_t n, const uint8_t **out,
                     size_t *out_len, struct persist_error *err)
{
    if (d->small) {
        *out = d->tail;
        *out_len = d->tail_len;
        return PERSIST_OK;
    }
    int rc = window_hold(d, 0, n, err);
    *out = d->window;
    *out_len = d->window_len;
    return rc;
}

/* Everything waits for the beginning.  Where many reads at once follow over a
 * network it had better be short. */
static bool is_long_way(const struct download *d)
{
    return d->object.total / 4 > window_limit(&d->object) &&
           !limits_are_a_disks(backend_store_limits(d->object.store));
}

/* How much of the beginning to read at once: the frames behind the header are
 * wanted too where the whole payload is. */
static size_t head_guess(const struct download *d, bool header_only)
{
    bool alone = header_only || is_long_way(d);
    uint64_t n = alone ? SNAPSHOT_SUFFIX : window_limit(&d->object);

    if (alone && d->map.codec == CODEC_ZSTD)
        n = d->map.header_len;
    return (size_t)(n < d->object.total ? n : d->object.total);
}

static int parse_head(struct download *d, size_t n, struct persist_error *err)
{
    enum codec codec = CODEC_ZSTD;

    for (;;) {
        const uint8_t *head = NULL;
        uint64_t need = 0;
        size_t len = 0;
        int rc = read_head(d, n, &head, &len, err);
        if (rc == PERSIST_OK)
            rc = snapshot_header_parse(head, len, &need, &codec, &d->header_len,
                                       &d->metadata, err);
        if (rc < 0)
            return rc;
        if (rc == PERSIST_OK)
            break;
        if (need <= len || need > d->object.total)
            return error_set(err, PERSIST_E_CORRUPT,
                             "the header is longer than the object");
        n = (size_t)need;
    }
    if (codec != d->map.codec)
        return error_set(err, PERSIST_E_CORRUPT,
                         "it begins as %s and ends as %s", codec_name(codec),
                         codec_name(d->map.codec));
    if (codec == CODEC_ZSTD && d->header_len != d->map.header_len)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the header has %zu bytes, the seek table says "
                         "%" PRIu64,
                         d->header_len, d->map.header_len);
    return PERSIST_OK;
}

static int read_metadata(struct download *d, bool header_only,
                         struct persist_error *err)
{
    int rc = parse_head(d, head_guess(d, header_only), err);
    if (rc == PERSIST_OK)
        rc = snapshot_map_check(&d->map, d->metadata, err);
    if (rc == PERSIST_OK)
        rc = metadata_decode_trailer(d->map.trailer_json,
                                     d->map.trailer_json_len, d->metadata, err);
    if (rc != PERSIST_OK)
        return rc;
    d->metadata->compressed_size = d->object.total;
    d->metadata->present |= PERSIST_META_STORED_SIZE;
    d->frame_size = (uint32_t)d->metadata->frame_size;
    d->range_end = d->map.payload_len;
    d->whole = true;
    return PERSIST_OK;
}

static int open_once(const struct download_request *request, bool *again,
                     enum download_kind *out_kind, struct download **out,
                     struct persist_error *err)
{
    size_t first = request->metadata_only ? SNAPSHOT_SUFFIX : SNAPSHOT_SMALL;
    struct download *d = calloc(1, sizeof(*d));

    *out = NULL;
    if (!d)
        return error_memory(err);
    d->cpu = request->cpu;
    if (request->io && executor_limit(request->io) > 0)
        d->io = request->io;
    int rc = object_init(&d->object, request, err);
    d->object.again = *again;
    if (rc == PERSIST_OK)
        rc = read_tail(d, first, err);
    if (rc == PERSIST_OK)
        rc = object_kind(&d->object, d->tail, d->tail_len, out_kind, err);
    if (rc != PERSIST_OK || *out_kind != DOWNLOAD_SNAPSHOT)
        goto out;
    rc = read_map(d, err);
    if (rc != PERSIST_OK)
        goto out;
    d->small = d->tail_len == d->object.total;
    if (!d->small)
        drop_tail(d);
    rc = read_metadata(d, request->metadata_only || request->ranged, err);
    if (rc == PERSIST_OK) {
        *out = d;
        d = NULL;
    }
out:
    *again = d && again_is_worth(&d->object, rc);
    if (*again)
        again_tell(&d->object, "head or tail", 0);
    else if (*out)
        (*out)->object.again = false; /* the frames' turn */
    download_close(d);
    return rc;
}

int download_open(const struct download_request *request,
                  enum download_kind *out_kind, struct download **out,
                  struct persist_error *err)
{
    bool again = false;
    int rc = open_once(request, &again, out_kind, out, err);

    return again ? open_once(request, &again, out_kind, out, err) : rc;
}

const struct persist_metadata *download_metadata(const struct download *d)
{
    return d->metadata;
}

struct persist_metadata *download_take_metadata(struct download *d)
{
    struct persist_metadata *m = d->metadata;

    d->metadata = NULL;
    return m;
}

int download_set_range(struct download *d, uint64_t offset, uint64_t length,
                       struct persist_error *err)
{
    uint64_t size = d->map.payload_len;

    if (offset > size)
        return error_set(err, PERSIST_E_INVALID,
                         "the range begins at byte %" PRIu64
                         ", and the payload has %" PRIu64,
                         offset, size);
    d->range_start = offset;
    d->range_end = length < size - offset ? offset + length : size;
    d->whole = d->range_start == 0 && d->range_end == size;
    return PERSIST_OK;
}

void download_copies(struct download *d)
{
    d->copies = true;
}

uint64_t download_length(const struct download *d)
{
    return d->range_end - d->range_start;
}

void download_close(struct download *d)
{
    if (!d)
        return;
    if (d->has_map)
        snapshot_map_finish(&d->map);
    persist_metadata_free(d->metadata);
    lanes_destroy(d->lanes); /* they use bytes of the reads */
    readahead_destroy(d->reads);
    frame_decoder_destroy(d->decoder);
    sha256_destroy(d->sha);
    free(d->payload);
    free(d->window);
    free(d->tail);
    object_finish(&d->object);
    free(d);
}
