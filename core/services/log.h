/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log: finished lines in logfmt or JSON, redacted at the sink.
 *
 * A line is a message and typed fields.  Redaction happens twice: by type (a
 * struct secret cannot be passed) and at the sink, where every finished line is
 * scrubbed of registered secrets and of the shapes of credentials
 * (Authorization headers, x-amz-security-token, signed-URL queries, userinfo).
 * INFO and above name only a container and the last part of a key
 * (log_basename); DEBUG may name whole keys.  Thread-safe.
 *
 * Repetitions: of lines that say the same (level, message and texts; of
 * warnings and errors not the object), LOG_REPEATS pass in LOG_WINDOW_US; the
 * next one that passes, or the end of the log, says how many did not.  DEBUG is
 * never cut: who asks for everything gets it.
 *
 *     log_line(log, LOG_WARN, "retrying",
 *              log_text("op", "put"), log_u64("attempt", 2), LOG_END);
 */
#ifndef PERSIST_SERVICES_LOG_H
#define PERSIST_SERVICES_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR = 1, LOG_WARN, LOG_INFO, LOG_DEBUG, LOG_OFF };
enum log_format { LOG_LOGFMT = 1, LOG_JSON };

#define LOG_REPEATS 5
#define LOG_WINDOW_US INT64_C(10000000)

struct log;

/* One line without newline; see persist_log_fn. */
typedef void (*log_sink_fn)(void *ctx, int level, const char *line, size_t len);

struct log_field {
    const char *key;  /* NULL ends the fields */
    const char *text; /* NULL: number */
    uint64_t number;
};
#define LOG_END ((struct log_field){0})

static inline struct log_field log_text(const char *key, const char *text)
{
    return (struct log_field){key, text ? text : "", 0};
}

static inline struct log_field log_u64(const char *key, uint64_t number)
{
    return (struct log_field){key, NULL, number};
}

/* sink NULL: everything is dropped.  NULL: memory. */
struct log *log_create(enum log_level level, enum log_format format,
                       log_sink_fn sink, void *sink_ctx);
void log_destroy(struct log *log);
/* Where `ts` comes from; clock_system without.  Before the first line. */
struct clock;
void log_set_clock(struct log *log, const struct clock *clock);
bool log_enabled(const struct log *log, enum log_level level);
/* Lines left out as repetitions so far. */
uint64_t log_suppressed(const struct log *log);
/* Fields are struct log_field by value, ended by LOG_END.  log may be NULL. */
void log_line(struct log *log, enum log_level level, const char *message, ...);

/*
 * Every line of this thread names these ids until others are set; "": none.
 * Returns those that were set before.
 */
struct log_ids {
    char trace_id[33]; /* hex */
    char span_id[17];
};
struct log_ids log_set_ids(const struct log_ids *ids);

/* From now on this text (and its JSON-escaped, URL-encoded, base64 and hex
 * forms) is replaced by "(redacted)" in every line, or by asterisks where it is
 * shorter than that, so that text never grows.  Secrets under 6 bytes are not
 * registered.  0 or PERSIST_E_MEMORY. */
int log_add_secret(struct log *log, const void *bytes, size_t len);
/* Who added it uses it no more: after an hour in which nobody has, it may be
 * forgotten. */
void log_drop_secret(struct log *log, const void *bytes, size_t len);
/* Replaces in place everything the sink would; for errors shown to people.
 * The text gets shorter or keeps its length.  log NULL: known shapes only. */
void log_redact(struct log *log, char *text);

/* The part of a key behind its last '/'. */
const char *log_basename(const char *key);
/* For texts of INFO and above that others wrote, such as a service's "no such
 * object: bucket/prefix/writer/default/7.snap": in place, of every word with
 * the first folder of `key` in it, as it is or percent-encoded, only what is
 * behind the word's last slash stays. */
void log_strip_folders(char *text, const char *key);

bool log_level_parse(const char *text, enum log_level *out);
bool log_format_parse(const char *text, enum log_format *out);

#endif
