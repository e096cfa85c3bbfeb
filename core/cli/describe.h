/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots as JSON objects and as text: the same for every verb.
 */
#ifndef PERSIST_CLI_DESCRIBE_H
#define PERSIST_CLI_DESCRIBE_H

#include <jansson.h>

#include "cli/address.h"
#include "cli/cli.h"

/* The address of the snapshot that metadata describes. */
void describe_address(const struct persist_metadata *metadata,
                      char out[ADDRESS_TEXT_LEN]);

/* {"type":TYPE,"store":...,"address":...} and every metadata field; NULL and
 * err where there is no memory.  The caller may add to it. */
json_t *describe_json(const char *type, struct persist_store *store,
                      const struct persist_metadata *metadata,
                      struct persist_error *err);

/* Every field, a line each, names aligned. */
void describe_lines(struct output *out, struct persist_store *store,
                    const struct persist_metadata *metadata);

/* "12.3 MiB (12 345 678 bytes)"-like text: human, then exact. */
#define DESCRIBE_SIZE_LEN 64
void describe_size(uint64_t bytes, char out[DESCRIBE_SIZE_LEN]);

/* When the snapshot was taken, in local time; the text itself where it is not a
 * time. */
void describe_time(const char *timestamp, bool with_zone,
                   char out[OUTPUT_TIME_LEN]);

#endif
