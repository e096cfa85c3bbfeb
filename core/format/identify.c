/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells by its first bytes what an object is, so that whoever meets the wrong
 * one learns which it is.  Does not check anything a reader checks later.
 */
#include <string.h>

#include "format/envelope.h"
#include "format/gunzip.h"
#include "format/gzip_member.h"
#include "util/le.h"

#define SKIPPABLE_HEADER UINT32_C(0x184D2A50)
#define SKIPPABLE_MARKER UINT32_C(0x184D2A52)
#define GZIP_MAGIC 0x8b1f

/* Persist 0.1 wrote {"metadata":{...},"agent_state":...} through gzip. */
static const char v1_start[] = "{\"metadata\":";

static bool is_v1(const uint8_t *data, size_t len)
{
    uint8_t start[64];
    size_t want = sizeof(v1_start) - 1;
    size_t n = gunzip_start(data, len, start, sizeof(start));
    size_t matched = 0;
    for (size_t i = 0; i < n && matched < want; i++) {
        if (start[i] == (uint8_t)v1_start[matched])
            matched++;
        else if (start[i] != ' ' && start[i] != '\n')
            return false;
    }
    return matched == want;
}

static int identify_marker(const uint8_t *p, struct persist_error *err)
{
    const char *what = "not a snapshot";
    if (memcmp(p + SKIPPABLE_HEAD_LEN, "PRSTCLM2", 8) == 0)
        what = "a claim, not a snapshot";
    if (memcmp(p + SKIPPABLE_HEAD_LEN, "PRSTDEL2", 8) == 0)
        what = "the tombstone of a deleted snapshot, not a snapshot";
    return error_set(err, PERSIST_E_CORRUPT, "the object is %s", what);
}

static int identify_gzip(const uint8_t *p, size_t len, enum codec *out,
                         struct persist_error *err)
{
    uint16_t field_len = 0;
    if (member_head_get(p, MEMBER_HEADER, &field_len)) {
        *out = CODEC_GZIP;
        return PERSIST_OK;
    }
    if (is_v1(p, len < IDENTIFY_LEN ? len : IDENTIFY_LEN)) {
        error_set(err, PERSIST_E_UNSUPPORTED,
                  "the file is a snapshot of Persist 0.1 (format version 1)");
        error_hint(err, "bring it into the store with: persist import FILE");
        return PERSIST_E_UNSUPPORTED;
    }
    return error_set(err, PERSIST_E_CORRUPT,
                     "the object is a gzip file, but not a snapshot");
}

int envelope_identify(const void *data, size_t len, enum codec *out,
                      struct persist_error *err)
{
    const uint8_t *p = data;
    if (len == 0)
        return error_set(err, PERSIST_E_CORRUPT, "the object is empty");
    if (len < ENVELOPE_PEEK)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the object is too short for a snapshot");
    if (le_get32(p) == SKIPPABLE_HEADER) {
        *out = CODEC_ZSTD;
        return PERSIST_OK;
    }
    if (le_get32(p) == SKIPPABLE_MARKER)
        return identify_marker(p, err);
    if (le_get16(p) == GZIP_MAGIC)
        return identify_gzip(p, len, out, err);
    return error_set(err, PERSIST_E_CORRUPT, "the object is not a snapshot");
}
