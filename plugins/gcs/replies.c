/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing JSON; no request is made here. */
#include "gcs/replies.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/dates.h"
#include "support/encode.h"

/* ------------------------------------------------------------------- values */

/* jansson recurses, and makes 200 bytes and more of the three that an empty
 * object is written in: how deep, and how many values, is decided before it
 * starts. */
static bool shape_ok(const char *text, size_t len)
{
    unsigned depth = 0, values = 0;
    bool in_string = false;

    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            if (++depth > GCS_JSON_DEPTH || ++values > GCS_JSON_VALUES)
                return false;
        } else if (c == ',') {
            if (++values > GCS_JSON_VALUES)
                return false;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        }
    }
    return true;
}

json_t *json_parse_object(const char *text, size_t len)
{
    json_t *json;

    if (text == NULL || len == 0 || !shape_ok(text, len))
        return NULL;
    json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    if (json != NULL && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

const char *json_text(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static bool parse_u64(const char *text, uint64_t *out)
{
    uint64_t value = 0;

    if (text == NULL || text[0] == '\0')
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        unsigned digit = (unsigned)(*text - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool json_u64(const json_t *o, const char *name, uint64_t *out)
{
    const json_t *value = json_object_get(o, name);

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    return parse_u64(json_string_value(value), out);
}

/* ------------------------------------------------------------------- object */

static bool object_from(const json_t *json, struct gcs_object *out)
{
    const char *crc = json_text(json, "crc32c");
    const char *updated = json_text(json, "updated");
    uint64_t generation;

    *out = (struct gcs_object){0};
    if (!json_u64(json, "size", &out->size) ||
        !json_u64(json, "generation", &generation))
        return false;
    (void)snprintf(out->generation, sizeof(out->generation), "%" PRIu64,
                   generation);
    if (crc != NULL) {
        out->has_crc32c = crc_decode(crc, &out->crc32c);
        if (!out->has_crc32c)
            return false;
    }
    out->has_updated =
        updated != NULL && date_parse_rfc3339(updated, &out->updated_us);
    return true;
}

bool reply_object(const char *text, size_t len, struct gcs_object *out)
{
    json_t *json = json_parse_object(text, len);
    bool ok = json != NULL && object_from(json, out);

    json_decref(json);
    return ok;
}

/* ----------------------------------------------------------------- problems */

/* One printable line of at most cap - 1 bytes, cut between characters. */
static void copy_line(char *out, size_t cap, const char *text, size_t len)
{
    size_t at = 0;

    for (size_t i = 0; i < len && at + 1 < cap; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c < 0x20 || c == 0x7f)
            c = ' ';
        if (c == ' ' && (at == 0 || out[at - 1] == ' '))
            continue;
        out[at++] = (char)c;
    }
    while (at > 0 && out[at - 1] == ' ')
        at--;
    if (at + 1 == cap) /* perhaps inside a character */
        while (at > 0 && ((unsigned char)out[at - 1] & 0x80) != 0)
            at--;
    out[at] = '\0';
}

static void copy_text(char *out, size_t cap, const char *text)
{
    if (text != NULL)
        copy_line(out, cap, text, strlen(text));
}

/* {"error": {"message", "errors": [{"reason", "message"}]}}; token endpoints
 * say {"error": "invalid_grant", "error_description": ...}. */
static bool problem_from_json(const char *text, size_t len,
                              struct gcs_problem *out)
{
    json_t *json = json_parse_object(text, len);
    const json_t *error = json_object_get(json, "error");
    const json_t *first = json_array_get(json_object_get(error, "errors"), 0);

    if (json_is_object(error)) {
        copy_text(out->reason, sizeof(out->reason), json_text(first, "reason"));
        if (out->reason[0] == '\0')
            copy_text(out->reason, sizeof(out->reason),
                      json_text(error, "status"));
        copy_text(out->message, sizeof(out->message),
                  json_text(error, "message"));
    } else if (json_is_string(error)) {
        copy_text(out->reason, sizeof(out->reason), json_string_value(error));
        copy_text(out->message, sizeof(out->message),
                  json_text(json, "error_description"));
    }
    json_decref(json);
    return json != NULL;
}

/* What stands between <name> and the next tag; searched for, not parsed: it
 * goes into a message and decides nothing. */
static bool between_tags(const char *text, size_t len, const char *open,
                         char *out, size_t cap)
{
    size_t open_len = strlen(open);

    for (size_t i = 0; i + open_len <= len; i++) {
        if (memcmp(text + i, open, open_len) != 0)
            continue;
        const char *start = text + i + open_len;
        const char *end = memchr(start, '<', len - i - open_len);
        if (end == NULL)
            return false;
        copy_line(out, cap, start, (size_t)(end - start));
        return true;
    }
    return false;
}

static bool problem_from_xml(const char *text, size_t len,
                             struct gcs_problem *out)
{
    bool found =
        between_tags(text, len, "<Code>", out->reason, sizeof(out->reason));

    if (!between_tags(text, len, "<Details>", out->message,
                      sizeof(out->message)))
        (void)between_tags(text, len, "<Message>", out->message,
                           sizeof(out->message));
    return found;
}

void reply_problem(const char *text, size_t len, struct gcs_problem *out)
{
    *out = (struct gcs_problem){{0}, {0}};
    if (text == NULL || len == 0)
        return;
    if (problem_from_json(text, len, out) || problem_from_xml(text, len, out))
        return;
    if (text[0] != '<') /* HTML of a proxy is no help */
        copy_line(out->message, sizeof(out->message), text, len);
}

/* -------------------------------------------------------------------- pages */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct gcs_entry *)a)->name,
                  ((const struct gcs_entry *)b)->name);
}

static bool add_item(struct gcs_page *page, const json_t *item)
{
    struct gcs_entry *e = &page->entries[page->n];
    const char *updated = json_text(item, "updated");

    *e = (struct gcs_entry){.name = json_text(item, "name")};
    if (e->name == NULL || !json_u64(item, "size", &e->size))
        return false;
    e->has_updated =
        updated != NULL && date_parse_rfc3339(updated, &e->updated_us);
    page->n++;
    return true;
}

static bool add_folder(struct gcs_page *page, const json_t *prefix)
{
    const char *name = json_string_value(prefix);

    if (name == NULL)
        return false;
    page->entries[page->n++] = (struct gcs_entry){.name = name, .folder = true};
    return true;
}

int32_t reply_page(const char *text, size_t len, struct gcs_page *out)
{
    const json_t *items, *prefixes;
    size_t i, n;
    const json_t *value;

    *out = (struct gcs_page){.json = json_parse_object(text, len)};
    if (out->json == NULL)
        return PERSIST_BACKEND_IO;
    items = json_object_get(out->json, "items");
    prefixes = json_object_get(out->json, "prefixes");
    if ((items != NULL && !json_is_array(items)) ||
        (prefixes != NULL && !json_is_array(prefixes)))
        return PERSIST_BACKEND_IO;
    n = json_array_size(items) + json_array_size(prefixes);
    out->entries = calloc(n + 1, sizeof(*out->entries));
    if (out->entries == NULL)
        return PERSIST_BACKEND_MEMORY;
    json_array_foreach(
        items, i, value) if (!add_item(out, value)) return PERSIST_BACKEND_IO;
    json_array_foreach(
        prefixes, i,
        value) if (!add_folder(out, value)) return PERSIST_BACKEND_IO;
    qsort(out->entries, out->n, sizeof(*out->entries), by_name);
    out->next_token = json_text(out->json, "nextPageToken");
    if (out->next_token != NULL && out->next_token[0] == '\0')
        out->next_token = NULL;
    return PERSIST_BACKEND_OK;
}

void reply_page_finish(struct gcs_page *page)
{
    free(page->entries);
    json_decref(page->json);
    *page = (struct gcs_page){0};
}

/* ------------------------------------------------------------------ writing */

static bool set_text(json_t *json, const char *name, const char *value)
{
    return value == NULL ||
           json_object_set_new(json, name, json_string(value)) == 0;
}

static bool set_true(json_t *json, const char *name, bool value)
{
    return !value || json_object_set_new(json, name, json_true()) == 0;
}

static bool set_retention(const struct gcs_options *o, int64_t now_us,
                          json_t *json)
{
    bool locked = o->retention == GCS_RETAIN_LOCKED;
    char until[21];

    if (o->retention == GCS_RETAIN_NOT)
        return true;
    date_format_rfc3339(now_us + o->retain_for_ms * 1000, until);
    return json_object_set_new(json, "retention",
                               json_pack("{s:s, s:s}", "mode",
                                         locked ? "Locked" : "Unlocked",
                                         "retainUntilTime", until)) == 0;
}

static bool set_name(const struct gcs_options *o, const char *key, json_t *json)
{
    struct text name = {0};
    bool ok;

    text_add(&name, o->prefix);
    text_add(&name, key);
    ok = !name.failed && set_text(json, "name", text_str(&name));
    text_finish(&name);
    return ok;
}

int32_t metadata_write(const struct gcs_options *o, const char *key,
                       const char *content_type, const uint32_t *crc32c,
                       int64_t now_us, struct text *out)
{
    json_t *json = json_object();
    char *dump = NULL;
    char crc[9];
    bool ok;

    if (crc32c != NULL)
        crc_encode(*crc32c, crc);
    /* no-transform: never to be decompressed on the way (transcoding). */
    ok = json != NULL && set_name(o, key, json) &&
         set_text(json, "contentType", content_type) &&
         set_text(json, "cacheControl", "no-transform") &&
         set_text(json, "crc32c", crc32c != NULL ? crc : NULL) &&
         set_text(json, "storageClass", o->storage_class) &&
         set_true(json, "eventBasedHold", o->event_based_hold) &&
         set_true(json, "temporaryHold", o->temporary_hold) &&
         set_retention(o, now_us, json);
    if (ok)
        dump = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (dump == NULL)
        return PERSIST_BACKEND_INVALID;
    text_add(out, dump);
    free(dump);
    return out->failed ? PERSIST_BACKEND_MEMORY : PERSIST_BACKEND_OK;
}
