/*
 * Keys: where a snapshot of an agent's session lies in a store.
 *
 *     <agent>/<session>/<15 digits>/<3 digits>-<index>.snap   (or .data)
 *
 * The 18 digits are 999999999999999999 - index, so that byte order is newest
 * first.  Names are percent-encoded; there is one spelling of every name and
 * every key, and any other is refused (snapshot-format.md, "Keys").
 */
#ifndef PERSIST_ENGINE_KEY_H
#define PERSIST_ENGINE_KEY_H

#include <persist/persist.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define KEY_NAME_CAP (PERSIST_NAME_MAX + 1)
/* Two names, 15 + 3 + 18 digits, separators, suffix, NUL. */
#define KEY_CAP 576

enum key_kind { KEY_SNAP = 1, KEY_DATA };

/* Raw name to its encoding: INVALID for an empty one, one that is not UTF-8,
 * or over 255 bytes encoded. */
int key_name_encode(const char *name, char out[KEY_NAME_CAP],
                    struct persist_error *err);
/* The opposite, strictly: false for any spelling key_name_encode does not give,
 * and for a name with a NUL in it. */
bool key_name_decode(const char *encoded, size_t len, char out[KEY_NAME_CAP]);

/* A session's folder "<agent>/<session>/", from raw names. */
int key_session_prefix(const char *agent, const char *session,
                       char out[KEY_CAP], struct persist_error *err);
/* prefix: what key_session_prefix gave. */
void key_format(const char *prefix, uint64_t index, enum key_kind kind,
                char out[KEY_CAP]);
/* The folder "<agent>/<session>/<15 digits>/" that holds an index. */
void key_group(const char *prefix, uint64_t index, char out[KEY_CAP]);

/* A key below prefix taken apart; false where it is not one of ours. */
bool key_parse(const char *prefix, const char *key, uint64_t *out_index,
               enum key_kind *out_kind);

#endif
