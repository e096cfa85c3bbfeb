/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims and tombstones: objects of a fixed length whose JSON is padded with
 * spaces before its closing brace.  Written without memory of its own, since a
 * claim that cannot be written has nobody to tell.  What they mean is the
 * engine's business.
 */
#include <string.h>

#include "format/envelope.h"
#include "format/fields.h"
#include "format/metadata.h"
#include "util/text.h"

/* Where the JSON of a marker is being written; room is kept for its end. */
struct cursor {
    char *at;
    char *end;
};

static void put(struct cursor *c, const char *text, size_t len)
{
    memcpy(c->at, text, len);
    c->at += len;
}

static void put_literal(struct cursor *c, const char *text)
{
    put(c, text, strlen(text));
}

/* Bytes of the UTF-8 character at text; 0 where there is none. */
static size_t character_len(const char *text, size_t len)
{
    for (size_t n = 1; n <= 4 && n <= len; n++) {
        if (text_is_utf8(text, n))
            return n;
    }
    return 0;
}

/* As many whole characters of host as there is room for.  Host names are the
 * system's and may be anything: bytes that are no text become '?'. */
static void put_host(struct cursor *c, const char *host, size_t len)
{
    char escaped[6];
    while (len > 0) {
        size_t n = character_len(host, len);
        const char *from = n ? host : "?";
        size_t n_out = n ? n : 1;
        if (n == 1) {
            n_out = json_escape((unsigned char)*host, escaped);
            from = escaped;
        }
        if (n_out > (size_t)(c->end - c->at))
            break;
        put(c, from, n_out);
        host += n ? n : 1;
        len -= n ? n : 1;
    }
}

static void encode(enum block_kind kind, const struct marker *m, char *out,
                   size_t len)
{
    uint8_t head[ENVELOPE_ZSTD_HEAD];
    char *json = out + sizeof(head);
    size_t json_len = len - sizeof(head);
    struct cursor c = {.at = json, .end = out + len - 2}; /* "} */
    put_literal(&c, "{\"snapshot_id\":\"");
    put(&c, m->snapshot_id, strnlen(m->snapshot_id, sizeof(m->snapshot_id)));
    put_literal(&c, "\",\"time\":\"");
    put(&c, m->time, strnlen(m->time, sizeof(m->time)));
    put_literal(&c, "\",\"host\":\"");
    put_host(&c, m->host, strnlen(m->host, sizeof(m->host)));
    put_literal(&c, "\"");
    memset(c.at, ' ', (size_t)(out + len - 1 - c.at));
    out[len - 1] = '}';
    envelope_head_put(kind, json, json_len, head);
    memcpy(out, head, sizeof(head));
}

void claim_encode(const struct marker *m, char out[CLAIM_LEN])
{
    encode(BLOCK_CLAIM, m, out, CLAIM_LEN);
}

void tombstone_encode(const struct marker *m, char out[TOMBSTONE_LEN])
{
    encode(BLOCK_TOMBSTONE, m, out, TOMBSTONE_LEN);
}

/* Another writer's host may be longer than ours: cut between characters. */
static void copy_host(const char *host, char out[65])
{
    size_t len = strlen(host);
    if (len > 64) {
        len = 64;
        while (len > 0 && !text_is_utf8(host, len))
            len--;
    }
    memcpy(out, host, len);
    out[len] = '\0';
}

static int read_fields(const char *what, const json_t *object,
                       struct marker *out, struct persist_error *err)
{
    const char *id = json_string_value(json_object_get(object, "snapshot_id"));
    const char *time = json_string_value(json_object_get(object, "time"));
    const char *host = json_string_value(json_object_get(object, "host"));
    if (!id || !text_is_uuid(id))
        return error_set(err, PERSIST_E_CORRUPT,
                         "the %s's snapshot_id is not a UUID", what);
    if (!time || !form_is_time(time))
        return error_set(err, PERSIST_E_CORRUPT, "the %s's time is not a time",
                         what);
    if (!host)
        return error_set(err, PERSIST_E_CORRUPT, "the %s names no host", what);
    memcpy(out->snapshot_id, id, sizeof(out->snapshot_id));
    memcpy(out->time, time, sizeof(out->time));
    copy_host(host, out->host);
    return PERSIST_OK;
}

static int decode(enum block_kind kind, const char *what, size_t right_len,
                  const void *object, size_t len, struct marker *out,
                  struct persist_error *err)
{
    const char *json = NULL;
    size_t json_len = 0;
    json_t *root = NULL;
    if (len != right_len)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the %s has %zu bytes instead of %zu", what, len,
                         right_len);
    int rc =
        envelope_open(CODEC_ZSTD, kind, object, len, &json, &json_len, err);
    if (rc)
        return rc;
    rc = json_read_object(what, json, json_len, &root, err);
    if (rc)
        return rc;
    rc = read_fields(what, root, out, err);
    json_decref(root);
    return rc;
}

int claim_decode(const void *object, size_t len, struct marker *out,
                 struct persist_error *err)
{
    return decode(BLOCK_CLAIM, "claim", CLAIM_LEN, object, len, out, err);
}

int tombstone_decode(const void *object, size_t len, struct marker *out,
                     struct persist_error *err)
{
    return decode(BLOCK_TOMBSTONE, "tombstone", TOMBSTONE_LEN, object, len, out,
                  err);
}
