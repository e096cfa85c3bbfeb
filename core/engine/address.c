/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses: `[STORE:][AGENT[/SESSION][@INDEX|@latest]]`, text to parts and
 * back.
 *
 * The four separators never stand for themselves within a name, so the text is
 * split first and each part decoded after: a name that holds "%40latest" can
 * never become an index.  Whether the store is the one a call is made on is not
 * asked here (target.c).
 */
#include <inttypes.h>
#include <persist/persist.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "engine/instance.h"
#include "engine/key.h"
#include "util/text.h"

#define STORE_NAME_MAX 32 /* as the configuration's */
#define LEAST ENGINE_SIZE_TO(struct persist_address, session)

struct part { /* of an address text */
    const char *what;
    const char *text;
    size_t len;
};

static bool is_control(const char *text, size_t left)
{
    uint8_t c = (uint8_t)text[0];

    if (c < 0x20 || c == 0x7f)
        return true;
    /* C1, U+0080 to U+009F */
    return c == 0xc2 && left > 1 && (uint8_t)text[1] >= 0x80 &&
           (uint8_t)text[1] <= 0x9f;
}

static bool is_separator(char c)
{
    return c == '/' || c == ':' || c == '@' || c == '%';
}

static int refuse(struct persist_error *err, const char *text,
                  const struct part *part, const char *why)
{
    return error_set(err, PERSIST_E_INVALID,
                     "address \"%.200s\": %s %s (byte "
                     "%zu)",
                     text, part->what, why, (size_t)(part->text - text) + 1);
}

static int hex_value(char c)
{
    if (text_is_digit(c))
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One character of a name, decoded; NULL, or why it may not stand there. */
static const char *decode_byte(const char *text, size_t left, char *out,
                               size_t *out_len)
{
    *out = text[0];
    *out_len = 1;
    if (text[0] == '%') {
        int high = left > 2 ? hex_value(text[1]) : -1;
        int low = left > 2 ? hex_value(text[2]) : -1;
        if (high < 0 || low < 0)
            return "has a '%' without two hex digits behind it; a '%' itself "
                   "is written %25";
        *out = (char)(high << 4 | low);
        *out_len = 3;
        return *out ? NULL : "has a NUL in it";
    }
    if (text[0] == '/')
        return "has a '/' in it, which is written %2f";
    if (text[0] == ':')
        return "has a ':' in it, which is written %3a";
    if (text[0] == '@')
        return "has a '@' in it, which is written %40";
    if (is_control(text, left))
        return "has a control character in it, which is written %xx";
    return NULL;
}

static int parse_name(const char *text, const struct part *part,
                      char out[PERSIST_NAME_MAX + 1], struct persist_error *err)
{
    char encoded[KEY_NAME_CAP];
    size_t n = 0;

    if (part->len == 0)
        return refuse(err, text, part, "is empty");
    for (size_t i = 0, step = 0; i < part->len; i += step) {
        struct part here = {part->what, part->text + i, 0};
        char c = 0;
        const char *why = decode_byte(part->text + i, part->len - i, &c, &step);
        if (why)
            return refuse(err, text, &here, why);
        if (n == PERSIST_NAME_MAX)
            return refuse(err, text, part, "is over 255 bytes");
        out[n++] = c;
    }
    out[n] = '\0';
    if (!text_is_utf8(out, n))
        return refuse(err, text, part, "is not UTF-8");
    if (key_name_encode(out, encoded, err) != PERSIST_OK)
        return refuse(err, text, part,
                      "is over 255 bytes (others than a-z 0-9 . _ - count "
                      "three times)");
    return PERSIST_OK;
}

static bool is_store_name(const char *name, size_t len)
{
    if (len == 0 || len > STORE_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (!text_is_lower(c) && !text_is_digit(c) && c != '_' && c != '-')
            return false;
    }
    return true;
}

static int parse_store(const char *text, const struct part *part,
                       struct persist_address *out, struct persist_error *err)
{
    if (!is_store_name(part->text, part->len)) {
        int rc = refuse(err, text, part, "is not one (1 to 32 of a-z 0-9 _ -)");
        error_hint(err, "a ':' within an agent's name is written %%3a");
        return rc;
    }
    memcpy(out->store, part->text, part->len);
    out->store[part->len] = '\0';
    out->present |= PERSIST_ADDRESS_STORE;
    return PERSIST_OK;
}

static int parse_index(const char *text, const struct part *part,
                       struct persist_address *out, struct persist_error *err)
{
    if (strcmp(part->text, "latest") == 0) {
        out->present |= PERSIST_ADDRESS_LATEST;
        return PERSIST_OK;
    }
    if (part->len == 0)
        return refuse(err, text, part, "is empty");
    /* PERSIST_INDEX_MAX has 18 digits, all of them 9. */
    if (part->len > 18 && part->text[0] != '0' &&
        strspn(part->text, "0123456789") == part->len)
        return refuse(err, text, part, "is over 999999999999999999");
    if (!text_to_u64(part->text, &out->index))
        return refuse(err, text, part,
                      "is neither \"latest\" nor a number without leading "
                      "zeros; a '@' within a name is written %40");
    out->present |= PERSIST_ADDRESS_INDEX;
    return PERSIST_OK;
}

/* Everything behind "STORE:", which is not empty. */
static int parse_snapshot(const char *text, const char *rest,
                          struct persist_address *out,
                          struct persist_error *err)
{
    size_t len = strcspn(rest, "@");
    struct part agent = {"the agent's name", rest, strcspn(rest, "/@")};
    int rc = parse_name(text, &agent, out->agent, err);

    if (rc != PERSIST_OK)
        return rc;
    out->present |= PERSIST_ADDRESS_AGENT;
    if (agent.len < len) {
        struct part session = {"the session's name", rest + agent.len + 1,
                               len - agent.len - 1};
        rc = parse_name(text, &session, out->session, err);
        if (rc != PERSIST_OK)
            return rc;
        out->present |= PERSIST_ADDRESS_SESSION;
    }
    if (rest[len] == '\0')
        return PERSIST_OK;
    struct part index = {"the index", rest + len + 1, strlen(rest + len + 1)};
    return parse_index(text, &index, out, err);
}

int persist_address_parse(const char *text, struct persist_address *out,
                          struct persist_error *err)
{
    struct persist_address address = PERSIST_ADDRESS_INIT;
    int rc = PERSIST_OK;

    if (!text || !out || !engine_is_sized(out, LEAST))
        return error_set(err, PERSIST_E_MISUSE,
                         "persist_address_parse needs a text and an "
                         "initialised struct");
    const char *rest = text;
    size_t store_len = strcspn(text, ":/@");
    if (text[store_len] == ':') {
        struct part store = {"the store's name", text, store_len};
        rc = parse_store(text, &store, &address, err);
        rest = text + store_len + 1;
    }
    if (rc == PERSIST_OK && *rest)
        rc = parse_snapshot(text, rest, &address, err);
    if (rc == PERSIST_OK)
        engine_give(out, &address, sizeof(address));
    else
        error_object(err, "%s", text);
    return rc;
}

static void put_name(struct buf *out, const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        if (is_separator(name[i])) {
            buf_printf(out, "%%%02x", (unsigned)(uint8_t)name[i]);
        } else if (is_control(name + i, len - i)) {
            buf_printf(out, "%%%02x", (unsigned)(uint8_t)name[i]);
            if ((uint8_t)name[i] == 0xc2)
                buf_printf(out, "%%%02x", (unsigned)(uint8_t)name[++i]);
        } else {
            buf_putc(out, name[i]);
        }
    }
}

/* INVALID where no text parses to this. */
static int check_parts(const struct persist_address *a,
                       struct persist_error *err)
{
    const uint32_t behind_agent = PERSIST_ADDRESS_SESSION |
                                  PERSIST_ADDRESS_INDEX |
                                  PERSIST_ADDRESS_LATEST;
    char encoded[KEY_NAME_CAP];
    int rc = PERSIST_OK;

    if ((a->present & PERSIST_ADDRESS_STORE) &&
        !is_store_name(a->store, strnlen(a->store, sizeof(a->store))))
        return error_set(err, PERSIST_E_INVALID, "not a store's name");
    if ((a->present & behind_agent) && !(a->present & PERSIST_ADDRESS_AGENT))
        return error_set(err, PERSIST_E_INVALID,
                         "a session or an index without an agent");
    if ((a->present & PERSIST_ADDRESS_INDEX) &&
        ((a->present & PERSIST_ADDRESS_LATEST) || a->index > PERSIST_INDEX_MAX))
        return error_set(err, PERSIST_E_INVALID,
                         "an index over 999999999999999999, or with latest");
    if ((a->present & PERSIST_ADDRESS_AGENT) &&
        (memchr(a->agent, 0, sizeof(a->agent)) == NULL ||
         (rc = key_name_encode(a->agent, encoded, err)) != PERSIST_OK))
        return rc ? rc : error_set(err, PERSIST_E_INVALID, "agent without end");
    if ((a->present & PERSIST_ADDRESS_SESSION) &&
        (memchr(a->session, 0, sizeof(a->session)) == NULL ||
         (rc = key_name_encode(a->session, encoded, err)) != PERSIST_OK))
        return rc ? rc
                  : error_set(err, PERSIST_E_INVALID, "session without end");
    return PERSIST_OK;
}

int persist_address_format(const struct persist_address *address, char *out,
                           size_t cap, struct persist_error *err)
{
    struct persist_address known;
    struct buf text;

    if (!address || !out || !engine_is_sized(address, LEAST))
        return error_set(err, PERSIST_E_MISUSE,
                         "persist_address_format needs an initialised struct "
                         "and room for the text");
    int rc = engine_options(&known, sizeof(known), address, err);
    if (rc == PERSIST_OK)
        rc = check_parts(&known, err);
    if (rc != PERSIST_OK)
        return rc;
    address = &known;
    buf_init(&text, cap ? cap - 1 : 0);
    buf_puts(&text, "");
    if (address->present & PERSIST_ADDRESS_STORE)
        buf_printf(&text, "%s:", address->store);
    if (address->present & PERSIST_ADDRESS_AGENT)
        put_name(&text, address->agent);
    if (address->present & PERSIST_ADDRESS_SESSION) {
        buf_putc(&text, '/');
        put_name(&text, address->session);
    }
    if (address->present & PERSIST_ADDRESS_INDEX)
        buf_printf(&text, "@%" PRIu64, address->index);
    if (address->present & PERSIST_ADDRESS_LATEST)
        buf_puts(&text, "@latest");
    if (!text.data)
        rc = error_memory(err);
    else if (cap == 0 || buf_failed(&text))
        rc = error_set(err, PERSIST_E_INVALID,
                       "the address does not fit into %zu bytes", cap);
    else
        memcpy(out, text.data, text.len + 1);
    buf_finish(&text);
    return rc;
}
