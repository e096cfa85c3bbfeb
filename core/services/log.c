/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and handing out log lines.  A line is built in one buffer, redacted
 * in it (redact.c), and only then given to the sink; the lock is the sink's
 * affair.  Nothing is cut before redaction, since half a secret is not found.
 */
#include "services/log.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "services/redact.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/text.h"

#define LINE_MAX_LEN ((size_t)1 << 20)

/* Lines that say the same, lately. */
struct repeated {
    uint64_t hash;
    int64_t since_us; /* Unix time */
    uint64_t left_out;
    uint32_t passed;
    enum log_level level;
    char message[80]; /* its beginning */
};
#define N_REPEATED 64

struct log {
    enum log_level level;
    enum log_format format;
    log_sink_fn sink;
    void *sink_ctx;
    const struct clock *clock;
    struct redactor *redactor;
    pthread_mutex_t mutex;
    struct repeated repeated[N_REPEATED]; /* by hash; under mutex */
    atomic_uint_fast64_t suppressed;
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
    pthread_mutex_init(&log->mutex, NULL);
    return log;
}

void log_set_clock(struct log *log, const struct clock *clock)
{
    log->clock = clock;
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

static _Thread_local struct log_ids thread_ids;

struct log_ids log_set_ids(const struct log_ids *ids)
{
    struct log_ids before = thread_ids;

    thread_ids = *ids;
    return before;
}

static void end_line(const struct log *log, struct buf *line)
{
    if (thread_ids.trace_id[0]) {
        put_text(log, line, "trace_id", thread_ids.trace_id);
        put_text(log, line, "span_id", thread_ids.span_id);
    }
    if (log->format == LOG_JSON)
        buf_putc(line, '}');
}

static void put_line(const struct log *log, enum log_level level,
                     const char *message, uint64_t suppressed, va_list fields)
{
    struct buf line;

    buf_init(&line, LINE_MAX_LEN);
    begin_line(log, &line, level, message);
    for (;;) {
        struct log_field f = va_arg(fields, struct log_field);
        if (!f.key)
            break;
        if (f.text)
            put_text(log, &line, f.key, f.text);
        else
            put_number(log, &line, f.key, f.number);
    }
    if (suppressed)
        put_number(log, &line, "suppressed", suppressed);
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

/* Whether or not it is a repetition. */
static void write_line(const struct log *log, enum log_level level,
                       const char *message, ...)
{
    va_list fields;

    if (!log_enabled(log, level))
        return;
    va_start(fields, message);
    put_line(log, level, message, 0, fields);
    va_end(fields);
}

/* ------------------------------------------------------------- repetitions */

/* FNV-1a; where two different lines meet by chance, one may be left out. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (hash ^ 0xff) * UINT64_C(0x100000001b3);
}

static uint64_t hash_line(enum log_level level, const char *message,
                          va_list fields)
{
    uint64_t hash =
        hash_text(UINT64_C(0xcbf29ce484222325) ^ (uint64_t)level, message);

    for (;;) {
        struct log_field f = va_arg(fields, struct log_field);
        bool counts = f.text && f.key &&
                      (level == LOG_INFO || strcmp(f.key, "object") != 0);

        if (!f.key)
            return hash;
        if (counts)
            hash = hash_text(hash_text(hash, f.key), f.text);
    }
}

static void begin_window(struct repeated *r, int64_t now_us)
{
    r->since_us = now_us;
    r->passed = 1;
    r->left_out = 0;
}

/* False: it is left out.  *out_before: those that were, before this one. */
static bool may_pass(struct log *log, enum log_level level, uint64_t hash,
                     const char *message, uint64_t *out_before)
{
    struct repeated *r = &log->repeated[hash % N_REPEATED];
    int64_t now_us = clock_wall_us(log->clock);
    bool pass = true;

    pthread_mutex_lock(&log->mutex);
    if (r->hash != hash || !r->passed) {
        r->hash = hash;
        r->level = level;
        snprintf(r->message, sizeof r->message, "%.79s", message);
        begin_window(r, now_us);
    } else if (now_us < r->since_us || now_us - r->since_us >= LOG_WINDOW_US) {
        *out_before = r->left_out;
        begin_window(r, now_us);
    } else if (r->passed < LOG_REPEATS) {
        r->passed++;
    } else {
        r->left_out++;
        pass = false;
    }
    pthread_mutex_unlock(&log->mutex);
    if (!pass)
        atomic_fetch_add(&log->suppressed, 1);
    return pass;
}

uint64_t log_suppressed(const struct log *log)
{
    return log ? atomic_load(&log->suppressed) : 0;
}

void log_destroy(struct log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < N_REPEATED; i++) {
        const struct repeated *r = &log->repeated[i];

        if (r->left_out)
            write_line(log, r->level, "a line was left out as a repetition",
                       log_text("line", r->message),
                       log_u64("suppressed", r->left_out), LOG_END);
    }
    redactor_destroy(log->redactor);
    pthread_mutex_destroy(&log->mutex);
    free(log);
}

void log_line(struct log *log, enum log_level level, const char *message, ...)
{
    uint64_t before = 0;
    va_list fields;
    bool pass = true;

    if (!log_enabled(log, level))
        return;
    if (level != LOG_DEBUG) {
        va_start(fields, message);
        uint64_t hash = hash_line(level, message, fields);
        va_end(fields);
        pass = may_pass(log, level, hash, message, &before);
    }
    if (!pass)
        return;
    va_start(fields, message);
    put_line(log, level, message, before, fields);
    va_end(fields);
}

int log_add_secret(struct log *log, const void *bytes, size_t len)
{
    return log ? redactor_add(log->redactor, bytes, len,
                              clock_boot_ns(log->clock))
               : 0;
}

void log_drop_secret(struct log *log, const void *bytes, size_t len)
{
    if (log)
        redactor_drop(log->redactor, bytes, len, clock_boot_ns(log->clock));
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

/* ------------------------------------------------------ folders of a key */

#define FOLDER_KNOWN_BY 32 /* bytes of it; a text may have cut the rest off */

/* The beginning of a key's first folder with its slash, and as an encoded path
 * has it. Both empty: the key has no folder. */
struct folder {
    char plain[FOLDER_KNOWN_BY + 1];
    char encoded[3 * FOLDER_KNOWN_BY + 4];
};

static void folder_of(const char *key, struct folder *out)
{
    size_t len = strcspn(key, "/"), cut = len + 1, n = 0;

    memset(out, 0, sizeof *out);
    if (key[len] != '/')
        return;
    if (cut > FOLDER_KNOWN_BY)
        cut = FOLDER_KNOWN_BY;
    memcpy(out->plain, key, cut);
    for (size_t i = 0; i < cut; i++)
        n += (size_t)snprintf(out->encoded + n, sizeof out->encoded - n,
                              key[i] == '%' || key[i] == '/' ? "%%%02X" : "%c",
                              (unsigned)(unsigned char)key[i]);
}

/* Behind the last slash of a word of that length. */
static size_t word_tail(const char *word, size_t len)
{
    size_t tail = 0;

    for (size_t i = 0; i < len; i++) {
        bool encoded = len - i >= 3 && word[i] == '%' && word[i + 1] == '2' &&
                       (word[i + 2] == 'F' || word[i + 2] == 'f');

        if (word[i] == '/' || encoded)
            tail = i + (encoded ? 3 : 1);
    }
    return tail;
}

/* How much of a word is to go: all of one that ends within the folder. */
static size_t folders_len(const char *word, size_t len, const struct folder *f)
{
    const char *at = memmem(word, len, f->plain, strlen(f->plain));
    size_t tail = word_tail(word, len);

    if (!at)
        at = memmem(word, len, f->encoded, strlen(f->encoded));
    if (!at)
        return 0;
    return tail > (size_t)(at - word) ? tail : len;
}

void log_strip_folders(char *text, const char *key)
{
    static const char ends[] = " \t\"'`<>(),;";
    struct folder folder;
    char *to = text;

    folder_of(key, &folder);
    if (!folder.plain[0])
        return;
    while (*text) {
        size_t len = strcspn(text, ends);
        size_t skip = folders_len(text, len, &folder);

        memmove(to, text + skip, len - skip);
        to += len - skip;
        text += len;
        if (*text)
            *to++ = *text++;
    }
    *to = '\0';
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
