/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spelling of keys.  Nothing here looks at a store.
 *
 * Decoding is "decode generously, encode again, compare": the encoder alone
 * says what the one spelling is, and the two cannot drift apart.
 */
#include "engine/key.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

#define GROUP_DIGITS 15
#define PLACE_DIGITS 3
#define ALL_DIGITS (GROUP_DIGITS + PLACE_DIGITS)
/* "/", "-", the index, ".snap" and NUL besides */
#define KEY_PLACE_CAP (ALL_DIGITS + 2 + TEXT_U64_LEN + 6)
#define GROUP_SIZE 1000 /* indices in one group folder */

static const char *const suffixes[] = {
    [KEY_SNAP] = ".snap", [KEY_DATA] = ".data"};

static bool is_plain(char c)
{
    return text_is_lower(c) || text_is_digit(c) || c == '.' || c == '_' ||
           c == '-';
}

/* The encoding of len raw bytes, its length, or 0 where it does not fit. */
static size_t encode(const char *name, size_t len, char out[KEY_NAME_CAP])
{
    size_t at = 0;

    for (size_t i = 0; i < len; i++) {
        bool plain = is_plain(name[i]) && !(i == 0 && name[i] == '.');
        if (at + (plain ? 1 : 3) > PERSIST_NAME_MAX)
            return 0;
        if (plain) {
            out[at++] = name[i];
            continue;
        }
        out[at++] = '%';
        text_to_hex(&name[i], 1, out + at);
        at += 2;
    }
    out[at] = '\0';
    return at;
}

int key_name_encode(const char *name, char out[KEY_NAME_CAP],
                    struct persist_error *err)
{
    size_t len = strlen(name);

    if (len == 0)
        return error_set(err, PERSIST_E_INVALID, "a name is empty");
    if (!text_is_utf8(name, len))
        return error_set(err, PERSIST_E_INVALID, "a name is not UTF-8");
    if (encode(name, len, out) == 0) {
        error_set(err, PERSIST_E_INVALID,
                  "a name is over %d bytes (it has %zu; other bytes than "
                  "a-z 0-9 . _ - count three times)",
                  PERSIST_NAME_MAX, len);
        return PERSIST_E_INVALID;
    }
    return PERSIST_OK;
}

bool key_name_decode(const char *encoded, size_t len, char out[KEY_NAME_CAP])
{
    char again[KEY_NAME_CAP];
    size_t n = 0;

    if (len == 0 || len > PERSIST_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = encoded[i];
        if (c == '%') {
            if (len - i < 3 || !text_from_hex(encoded + i + 1, 2, &c))
                return false;
            i += 2;
        }
        if (c == '\0')
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return text_is_utf8(out, n) && encode(out, n, again) == len &&
           memcmp(again, encoded, len) == 0;
}

int key_session_prefix(const char *agent, const char *session,
                       char out[KEY_CAP], struct persist_error *err)
{
    int rc = key_name_encode(agent, out, err);
    size_t len;

    if (rc != PERSIST_OK)
        return rc;
    len = strlen(out);
    out[len++] = '/';
    rc = key_name_encode(session, out + len, err);
    if (rc == PERSIST_OK)
        memcpy(out + len + strlen(out + len), "/", sizeof "/");
    return rc;
}

/* Without printf: every save and every read spells keys. */
void key_format(const char *prefix, uint64_t index, enum key_kind kind,
                char out[KEY_CAP])
{
    uint64_t place = PERSIST_INDEX_MAX - index;
    size_t len = strnlen(prefix, KEY_CAP - KEY_PLACE_CAP);

    memcpy(out, prefix, len);
    out = text_put_digits(out + len, place / GROUP_SIZE, GROUP_DIGITS, '/');
    out = text_put_digits(out, place % GROUP_SIZE, PLACE_DIGITS, '-');
    out += text_from_u64(index, out);
    memcpy(out, suffixes[kind], strlen(suffixes[kind]) + 1);
}

void key_group(const char *prefix, uint64_t index, char out[KEY_CAP])
{
    uint64_t place = PERSIST_INDEX_MAX - index;

    snprintf(out, KEY_CAP, "%s%0*" PRIu64 "/", prefix, GROUP_DIGITS,
             place / GROUP_SIZE);
}

/* The digits before the dash as one number; false where they are not. */
static bool read_place(const char *rest, uint64_t *out)
{
    uint64_t place = 0;

    for (int i = 0; i < ALL_DIGITS + 1; i++) {
        if (i == GROUP_DIGITS) {
            if (rest[i] != '/')
                return false;
            continue;
        }
        if (!text_is_digit(rest[i]))
            return false;
        place = place * 10 + (uint64_t)(rest[i] - '0');
    }
    *out = place;
    return true;
}

bool key_parse(const char *prefix, const char *key, uint64_t *out_index,
               enum key_kind *out_kind)
{
    size_t prefix_len = strlen(prefix);
    char digits[TEXT_U64_LEN];
    uint64_t place = 0;

    if (strncmp(key, prefix, prefix_len) != 0 ||
        !read_place(key + prefix_len, &place))
        return false;
    /* The place says all of the rest but the suffix. */
    uint64_t index = PERSIST_INDEX_MAX - place;
    size_t len = text_from_u64(index, digits);
    const char *rest = key + prefix_len + ALL_DIGITS + 1;
    if (rest[0] != '-' || strncmp(rest + 1, digits, len) != 0)
        return false;
    for (enum key_kind kind = KEY_SNAP; kind <= KEY_DATA; kind++) {
        if (strcmp(rest + 1 + len, suffixes[kind]) != 0)
            continue;
        *out_index = index;
        *out_kind = kind;
        return true;
    }
    return false;
}
