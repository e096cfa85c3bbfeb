/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Standard output: data, whole or with an error.
 *
 * Bytes are collected and written in large pieces; the first failure is kept
 * and everything after it dropped, so that callers print freely and ask once.
 * A reader that went away (EPIPE) is a failure without a message: it has what
 * it wanted.
 */
#ifndef PERSIST_CLI_OUTPUT_H
#define PERSIST_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/error.h>

#include "util/buf.h"

struct output {
    struct buf pending;
    int fd;
    int errno_value; /* of the first failure; 0: none */
};

void output_init(struct output *out, int fd);
/* Appends bytes as they are. */
void output_write(struct output *out, const void *data, size_t len);
/* Appends printf text; %s arguments must be safe already. */
void output_printf(struct output *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends text made safe for a terminal. */
void output_escaped(struct output *out, const char *text);
/* Appends one compact line of ASCII and takes the reference; NULL counts as
 * out of memory. */
void output_json(struct output *out, json_t *object);
/* Writes what is pending. */
void output_flush(struct output *out);
bool output_failed(const struct output *out);
/* Remembers a failure of someone else's write to the same descriptor. */
void output_note_failure(struct output *out, int errno_value);
/* Flushes, closes the descriptor and frees.  PERSIST_OK, or the failure in err.
 */
int output_finish(struct output *out, struct persist_error *err);

/* A JSON string; text that is not UTF-8 is escaped as on a terminal. NULL gives
 * null. */
json_t *output_text(const char *text);
/* A JSON integer. */
json_t *output_number(uint64_t number);
/* A time as RFC 3339 UTC. */
json_t *output_time(int64_t unix_us);

/* Text for tables: a time in the local zone ("2026-11-23 04:19:24", with_zone
 * adds " +0100"), a size ("12.3 MiB"). */
#define OUTPUT_TIME_LEN 40
void output_local_time(int64_t unix_us, bool with_zone,
                       char out[OUTPUT_TIME_LEN]);

#endif
