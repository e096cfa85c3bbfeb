/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and handing out log lines.  A line is built in one buffer, redacted
 * in it (redact.c), and only then given to the sink; the lock is the sink's
 * affair.  Nothing is cut before redaction, since half a secret is not found.
 */
#include "services/log.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "services/redact.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/text.h"

#define LINE_MAX_LEN ((size_t)1 << 20)

struct log {
    enum log_level level;
    enum log_format format;
    log_sink_fn sink;
    void *sink_ctx;
    const struct clock *clock;
    struct redactor *redactor;
};

static const struct {
    enum log_level level;
    const char *name;
} levels[] = {{LOG_ERROR, "error"},
              {LOG_WARN, "warn"},
              {LOG_INFO, "info"},
              {LOG_DEBUG, "debug"},
              {LOG_OFF, "off"}};
#define N_LEVELS (sizeof(levels) / sizeof(levels[0]))

struct log *log_create(enum log_level level, enum log_format format,
                       log_sink_fn sink, void *sink_ctx)
{
    struct log *log = calloc(1, sizeof(*log));
    if (!log)
        return NULL;
    log->redactor = redactor_create();
    if (!log->redactor) {
        free(log);
        return NULL;
    }
    log->level = level;
    log->format = format;
    log->sink = sink;
    log->sink_ctx = sink_ctx;
    log->clock = &clock_system;
    return log;
}

void log_set_clock(struct log *log, const struct clock *clock)
{
    log->clock = clock;
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    redactor_destroy(log->redactor);
    free(log);
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log && log->sink && log->level != LOG_OFF && level <= log->level;
}

static const char *level_name(enum log_level level)
{
    for (size_t i = 0; i < N_LEVELS; i++)
        if (levels[i].level == level)
            return levels[i].name;
    return "unknown";
}

/* logfmt readers take a value without quotes up to the next space. */
static bool is_bare(const char *text)
{
    if (!*text)
        return false;
    for (; *text; text++)
        if (*text <= ' ' || *text > '~' || *text == '"' || *text == '=' ||
            *text == '\\')
            return false;
    return true;
}

static void put_logfmt(struct buf *line, const char *key, const char *text)
{
    if (line->len > 0)
        buf_putc(line, ' ');
    buf_printf(line, "%s=", key);
    if (is_bare(text))
        buf_puts(line, text);
    else
        text_quote(line, text, strlen(text));
}

static void put_json(struct buf *line, const char *key, const char *text)
{
    buf_putc(line, line->len > 0 ? ',' : '{');
    text_quote(line, key, strlen(key));
    buf_putc(line, ':');
    text_quote(line, text, strlen(text));
}

static void put_text(const struct log *log, struct buf *line, const char *key,
                     const char *text)
{
    if (log->format == LOG_JSON)
        put_json(line, key, text);
    else
        put_logfmt(line, key, text);
}

static void put_number(const struct log *log, struct buf *line, const char *key,
                       uint64_t number)
{
    /* Both formats begin with ts, so there is always something before. */
    if (log->format == LOG_JSON)
        buf_printf(line, ",\"%s\":%llu", key, (unsigned long long)number);
    else
        buf_printf(line, " %s=%llu", key, (unsigned long long)number);
}

static void begin_line(const struct log *log, struct buf *line,
                       enum log_level level, const char *message)
{
    char ts[TEXT_TIME_LEN];
    text_from_time(clock_wall_us(log->clock), ts);
    put_text(log, line, "ts", ts);
    put_text(log, line, "level", level_name(level));
    put_text(log, line, "msg", message);
}

static void end_line(const struct log *log, struct buf *line)
{
    if (log->format == LOG_JSON)
        buf_putc(line, '}');
}

void log_line(struct log *log, enum log_level level, const char *message, ...)
{
    struct buf line;
    va_list fields;

    if (!log_enabled(log, level))
        return;
    buf_init(&line, LINE_MAX_LEN);
    begin_line(log, &line, level, message);
    va_start(fields, message);
    for (;;) {
        struct log_field f = va_arg(fields, struct log_field);
        if (!f.key)
            break;
        if (f.text)
            put_text(log, &line, f.key, f.text);
        else
            put_number(log, &line, f.key, f.number);
    }
    va_end(fields);
    end_line(log, &line);

    if (buf_failed(&line)) {
        buf_clear(&line);
        begin_line(log, &line, level, "a log line did not fit and was dropped");
        end_line(log, &line);
    }
    if (!buf_failed(&line)) {
        size_t len = redactor_apply(log->redactor, line.data, line.len);
        log->sink(log->sink_ctx, (int)level, line.data, len);
    }
    buf_finish(&line);
}

int log_add_secret(struct log *log, const void *bytes, size_t len)
{
    return log ? redactor_add(log->redactor, bytes, len) : 0;
}

void log_redact(struct log *log, char *text)
{
    redactor_apply(log ? log->redactor : NULL, text, strlen(text));
}

const char *log_basename(const char *key)
{
    const char *slash = strrchr(key, '/');
    return slash ? slash + 1 : key;
}

bool log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < N_LEVELS; i++) {
        if (strcmp(text, levels[i].name) == 0) {
            *out = levels[i].level;
            return true;
        }
    }
    return false;
}

bool log_format_parse(const char *text, enum log_format *out)
{
    bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "logfmt") != 0)
        return false;
    *out = json ? LOG_JSON : LOG_LOGFMT;
    return true;
}
