/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the two ends of an object: the header from its first bytes, and from
 * its last ones where everything lies.  Nothing here has seen the frames; what
 * is found is consistent in itself, and the frames must agree with it later.
 *
 *     zstd   ... | trailer | seek table: entries, u32 n, u8 0, u32 magic |
 *     gzip   ... | trailer | footer, 46 bytes |
 *
 * Counts are bounded by the object's size before anything is allocated.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "format/fields.h"
#include "format/layout.h"
#include "format/snapshot.h"
#include "format/zstd_frame.h"
#include "util/le.h"

/* The last bytes of an object, and what is known of it so far. */
struct ending {
    const uint8_t *data;
    size_t len;
    uint64_t object_size;
    uint64_t table_len; /* seek table or footer */
    uint64_t trailer_len;
};

static int corrupt(struct persist_error *err, const char *why)
{
    return error_set(err, PERSIST_E_CORRUPT, "%s", why);
}

/* ----------------------------------------------------------------- header */

static int header_agrees(enum codec codec, const struct persist_metadata *m,
                         struct persist_error *err)
{
    if (strcmp(m->compression_algorithm, codec_name(codec)) == 0)
        return PERSIST_OK;
    return error_set(err, PERSIST_E_CORRUPT,
                     "the header says %s in a container of %s",
                     m->compression_algorithm, codec_name(codec));
}

int snapshot_header_parse(const void *data, size_t len, uint64_t *out_need,
                          enum codec *out_codec, size_t *out_header_len,
                          struct persist_metadata **out,
                          struct persist_error *err)
{
    enum codec codec = CODEC_ZSTD;
    size_t header_len = 0;
    size_t json_len = 0;
    const char *json = NULL;
    struct persist_metadata *m = NULL;
    if (len < ENVELOPE_PEEK) {
        *out_need = ENVELOPE_PEEK;
        return 1;
    }
    int rc = envelope_identify(data, len, &codec, err);
    if (!rc)
        rc = envelope_measure(codec, BLOCK_HEADER, data, &header_len, err);
    if (rc)
        return rc;
    if (len < header_len) {
        *out_need = header_len;
        return 1;
    }
    rc = envelope_open(codec, BLOCK_HEADER, data, header_len, &json, &json_len,
                       err);
    if (!rc)
        rc = metadata_decode_header(json, json_len, &m, err);
    if (!rc)
        rc = header_agrees(codec, m, err);
    if (rc) {
        persist_metadata_free(m);
        return rc;
    }
    *out_codec = codec;
    *out_header_len = header_len;
    *out = m;
    return PERSIST_OK;
}

/* ---------------------------------------------------------------- trailer */

/* 1 where the suffix does not hold the last `want` bytes. */
static int need(const struct ending *e, uint64_t want, uint64_t *out_need)
{
    if (e->len >= want)
        return PERSIST_OK;
    *out_need = want;
    return 1;
}

static int read_trailer(const struct ending *e, struct snapshot_map *map,
                        struct persist_error *err)
{
    const uint8_t *data =
        e->data + e->len - (size_t)(e->table_len + e->trailer_len);
    const char *json = NULL;
    size_t json_len = 0;
    struct trailer trailer;
    int rc = envelope_open(map->codec, BLOCK_TRAILER, data,
                           (size_t)e->trailer_len, &json, &json_len, err);
    if (!rc)
        rc = trailer_decode(json, json_len, &trailer, err);
    if (rc)
        return rc;
    if (trailer.n_frames != map->n_frames)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the trailer counts %" PRIu64
                         " frames, the end of the object %" PRIu64,
                         trailer.n_frames, map->n_frames);
    map->trailer_json = malloc(json_len + 1);
    if (!map->trailer_json)
        return error_memory(err);
    memcpy(map->trailer_json, json, json_len);
    map->trailer_json[json_len] = '\0';
    map->trailer_json_len = json_len;
    map->payload_len = trailer.payload_len;
    map->stored_crc32c = trailer.stored_crc32c;
    memcpy(map->sha256, trailer.sha256, sizeof(map->sha256));
    return PERSIST_OK;
}

/* ------------------------------------------------------------------- gzip */

static int parse_gzip(struct ending *e, struct snapshot_map *map,
                      uint64_t *out_need, struct persist_error *err)
{
    const uint8_t *footer = e->data + e->len - FOOTER_LEN;
    struct buf again;
    map->trailer_offset = le_get64(footer + MEMBER_HEAD_LEN);
    map->n_frames = le_get64(footer + MEMBER_HEAD_LEN + 8);
    buf_init(&again, FOOTER_LEN);
    footer_put(&again, map->trailer_offset, map->n_frames);
    bool failed = buf_failed(&again);
    bool same = !failed && memcmp(again.data, footer, FOOTER_LEN) == 0;
    buf_finish(&again);
    if (failed)
        return error_memory(err);
    if (!same)
        return corrupt(err, "the footer is damaged");

    e->table_len = FOOTER_LEN;
    uint64_t before_footer = e->object_size - FOOTER_LEN;
    if (map->trailer_offset > before_footer)
        return corrupt(err, "the footer points behind the object");
    e->trailer_len = before_footer - map->trailer_offset;
    if (e->trailer_len > SNAPSHOT_TRAILER_MAX)
        return corrupt(err, "the trailer is longer than one may be");
    if (map->n_frames > map->trailer_offset / MEMBER_DATA_MIN)
        return corrupt(err, "the footer counts more frames than have room");
    int rc = need(e, e->table_len + e->trailer_len, out_need);
    return rc ? rc : read_trailer(e, map, err);
}

/* ------------------------------------------------------------------- zstd */

/* The seek table's own head and foot; OK once it and the longest trailer there
 * may be are in the suffix. */
static int measure_table(struct ending *e, struct snapshot_map *map,
                         uint64_t *out_need, struct persist_error *err)
{
    const uint8_t *footer = e->data + e->len - SEEK_FOOTER_LEN;
    uint64_t n = le_get32(footer);
    if (footer[4] != 0)
        return corrupt(err, "the seek table has flags it may not have");
    if (n < 2 || n > SEEK_ENTRIES_MAX)
        return corrupt(err, "the seek table counts an impossible number of "
                            "frames");
    e->table_len = n * SEEK_ENTRY_LEN + SEEK_OVERHEAD;
    map->n_frames = n - 2;
    if (e->table_len > e->object_size ||
        map->n_frames > (e->object_size - e->table_len) / ZSTD_FRAME_MIN)
        return corrupt(err, "the seek table counts more frames than have room");

    uint64_t both = e->table_len + SNAPSHOT_TRAILER_MAX;
    if (both > e->object_size)
        both = e->object_size;
    return need(e, both, out_need);
}

static int check_data_entry(const struct snapshot_frame *f, uint64_t i,
                            struct persist_error *err)
{
    if (f->payload_len > 0 && f->payload_len <= FRAME_SIZE_MAX &&
        f->stored_len >= ZSTD_FRAME_MIN &&
        f->stored_len <= frame_bound(CODEC_ZSTD, FRAME_SIZE_MAX))
        return PERSIST_OK;
    return error_set(err, PERSIST_E_CORRUPT,
                     "the seek table has an impossible frame %" PRIu64, i);
}

/* Fills map->frames.  The sums cannot overflow: 2^27 entries of 32 bits. */
static int read_entries(const uint8_t *entry, struct snapshot_map *map,
                        struct persist_error *err)
{
    uint64_t stored = map->header_len;
    uint64_t payload = 0;
    for (uint64_t i = 0; i < map->n_frames; i++, entry += SEEK_ENTRY_LEN) {
        struct snapshot_frame *f = &map->frames[i];
        f->stored_offset = stored;
        f->payload_offset = payload;
        f->stored_len = le_get32(entry);
        f->payload_len = le_get32(entry + 4);
        int rc = check_data_entry(f, i, err);
        if (rc)
            return rc;
        stored += f->stored_len;
        payload += f->payload_len;
    }
    if (stored != map->trailer_offset)
        return corrupt(err, "the seek table's stored sizes do not add up to "
                            "the object");
    if (payload != map->payload_len)
        return corrupt(err, "the seek table's payload sizes do not add up to "
                            "the trailer's");
    return PERSIST_OK;
}

/* First and last entry: header and trailer. */
static int read_ends(struct ending *e, const uint8_t *first,
                     struct snapshot_map *map, struct persist_error *err)
{
    const uint8_t *last = first + (map->n_frames + 1) * SEEK_ENTRY_LEN;
    map->header_len = le_get32(first);
    e->trailer_len = le_get32(last);
    if (le_get32(first + 4) != 0 || le_get32(last + 4) != 0)
        return corrupt(err, "the seek table gives header or trailer a payload");
    if (map->header_len < ENVELOPE_ZSTD_HEAD ||
        map->header_len > SNAPSHOT_HEADER_MAX ||
        e->trailer_len < ENVELOPE_ZSTD_HEAD ||
        e->trailer_len > SNAPSHOT_TRAILER_MAX)
        return corrupt(err, "the seek table gives header or trailer an "
                            "impossible size");
    if (e->object_size < map->header_len + e->trailer_len + e->table_len)
        return corrupt(err, "the object is shorter than its parts");
    map->trailer_offset = e->object_size - e->table_len - e->trailer_len;
    return PERSIST_OK;
}

static int parse_zstd(struct ending *e, struct snapshot_map *map,
                      uint64_t *out_need, struct persist_error *err)
{
    int rc = measure_table(e, map, out_need, err);
    if (rc)
        return rc;
    const uint8_t *table = e->data + e->len - (size_t)e->table_len;
    if (le_get32(table) != SKIPPABLE_SEEK ||
        le_get32(table + 4) != e->table_len - SKIPPABLE_HEAD_LEN)
        return corrupt(err, "the seek table does not begin like one");
    rc = read_ends(e, table + SKIPPABLE_HEAD_LEN, map, err);
    if (!rc)
        rc = read_trailer(e, map, err);
    if (rc)
        return rc;
    map->frames = calloc((size_t)map->n_frames + 1, sizeof(*map->frames));
    if (!map->frames)
        return error_memory(err);
    return read_entries(table + SKIPPABLE_HEAD_LEN + SEEK_ENTRY_LEN, map, err);
}

/* -------------------------------------------------------------------- map */

static bool ends_like_gzip(const struct ending *e)
{
    uint16_t data_len = 0;
    return e->len >= FOOTER_LEN &&
           member_head_get(e->data + e->len - FOOTER_LEN, MEMBER_FOOTER,
                           &data_len);
}

/* Neither kind of end: says what the object is, as far as it can be seen. */
static int refuse_end(const struct ending *e, struct persist_error *err)
{
    enum codec codec;
    if (e->len == e->object_size) {
        int rc = envelope_identify(e->data, e->len, &codec, err);
        if (rc)
            return rc;
    }
    return corrupt(err, "the end of the snapshot is missing or damaged");
}

int snapshot_map_parse(const void *suffix, size_t len, uint64_t object_size,
                       struct snapshot_map *out, uint64_t *out_need,
                       struct persist_error *err)
{
    struct ending e = {.data = suffix, .len = len, .object_size = object_size};
    struct snapshot_map map = {.object_size = object_size};
    if (len > object_size)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a suffix of %zu bytes of an object of %" PRIu64, len,
                         object_size);
    if (len < object_size && len < IDENTIFY_LEN) {
        *out_need =
            object_size < SNAPSHOT_SUFFIX ? object_size : SNAPSHOT_SUFFIX;
        return 1;
    }

    int rc = PERSIST_OK;
    if (len >= SEEK_OVERHEAD && le_get32(e.data + len - 4) == SEEK_MAGIC) {
        map.codec = CODEC_ZSTD;
        rc = parse_zstd(&e, &map, out_need, err);
    } else if (ends_like_gzip(&e)) {
        map.codec = CODEC_GZIP;
        rc = parse_gzip(&e, &map, out_need, err);
    } else {
        rc = refuse_end(&e, err);
    }
    if (rc) {
        snapshot_map_finish(&map);
        return rc;
    }
    *out = map;
    return PERSIST_OK;
}

int snapshot_map_check(const struct snapshot_map *map,
                       const struct persist_metadata *header,
                       struct persist_error *err)
{
    uint64_t size = header->frame_size;
    uint64_t n = map->payload_len / size + (map->payload_len % size != 0);
    int rc = header_agrees(map->codec, header, err);
    if (rc)
        return rc;
    if (n != map->n_frames)
        return error_set(err, PERSIST_E_CORRUPT,
                         "%" PRIu64 " frames of %" PRIu64
                         " bytes cannot hold %" PRIu64 " bytes",
                         map->n_frames, size, map->payload_len);
    for (uint64_t i = 0; map->frames && i < n; i++) {
        uint64_t left = map->payload_len - i * size;
        if (map->frames[i].payload_len == (left < size ? left : size))
            continue;
        return error_set(
            err, PERSIST_E_CORRUPT,
            "the seek table gives frame %" PRIu64 " a wrong payload size", i);
    }
    return PERSIST_OK;
}

void snapshot_map_finish(struct snapshot_map *map)
{
    free(map->frames);
    free(map->trailer_json);
    map->frames = NULL;
    map->trailer_json = NULL;
}
