/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot of Persist 0.1 (format version 1), decompressed: the JSON text
 * `{"metadata": {...}, "agent_state": ...}`, its members in any order.
 *
 * The payload is the agent_state value as it stands in the text, byte for byte:
 * it is found, checked to be JSON, and never parsed into values, because no
 * parser gives back 1e+21, -0.0 or 12345678901234567890 as they were.
 */
#ifndef PERSIST_FORMAT_V1_H
#define PERSIST_FORMAT_V1_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

#define V1_DEPTH_MAX 128 /* what 0.1 itself could read */

struct v1_snapshot {
    char *agent_id;
    char *session_id;
    char *snapshot_id;
    char *timestamp;    /* as it stood */
    char *description;  /* or NULL */
    char *content_hash; /* SHA-256 of the state, hex: the caller compares */
    int64_t timestamp_us;
    uint64_t index;
    const char *state; /* in the caller's text */
    size_t state_len;
};

/* INVALID: JSON, and not such a snapshot; CORRUPT: no JSON, or what 0.1 cannot
 * have written; UNSUPPORTED: another format_version; MEMORY. */
int v1_parse(const char *text, size_t len, struct v1_snapshot *out,
             struct persist_error *err);
void v1_finish(struct v1_snapshot *v); /* zeroed is fine */

#endif
