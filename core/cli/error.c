/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reporting errors.  What they say was decided where they happened; here is
 * only how they look.  Everything is escaped on its way out (console, output).
 */
#include "cli/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/console.h"
#include "cli/help.h"
#include "cli/signals.h"
#include "posix/os.h"
#include "util/error.h"

/* What the service said, for whoever asks it about the request. */
static void append_details(struct buf *out, const struct persist_error *err)
{
    const char *separator = " (";
    const char *system;
    char text[128];
    char http[24];

    /* A backend may leave it to the number; who hints has said it. */
    system =
        err->os_errno ? os_error_text(err->os_errno, text, sizeof(text)) : NULL;
    if (system && !err->hint[0] && !strcasestr(err->message, system)) {
        buf_printf(out, "%s%s", separator, system);
        separator = ", ";
    }
    /* Some backends say it in words of their own. */
    snprintf(http, sizeof(http), "HTTP %d", (int)err->http_status);
    if (err->http_status && !strstr(err->message, http)) {
        buf_printf(out, "%s%s", separator, http);
        separator = ", ";
    }
    if (err->provider_code[0]) {
        buf_printf(out, "%s%s", separator, err->provider_code);
        separator = ", ";
    }
    if (err->request_id[0]) {
        buf_printf(out, "%srequest %s", separator, err->request_id);
        separator = ", ";
    }
    if (err->attempts > 1 && !strstr(err->message, " attempts in ")) {
        buf_printf(out, "%s%u attempts in %llu ms", separator,
                   (unsigned)err->attempts,
                   (unsigned long long)err->elapsed_ms);
        separator = ", ";
    }
    if (separator[0] == ',')
        buf_putc(out, ')');
}

/* Without "VERB: " in front, where the operation that failed has its name. */
static const char *after_verb(const char *message, const char *verb)
{
    size_t len = verb ? strlen(verb) : 0;

    return len > 0 && strncmp(message, verb, len) == 0 &&
                   strncmp(message + len, ": ", 2) == 0
               ? message + len + 2
               : message;
}

/* The line a person reads after "persist: VERB: ". */
static void append_line(struct buf *out, const char *verb,
                        const struct persist_error *err)
{
    const char *message = err->message[0] ? after_verb(err->message, verb)
                                          : persist_status_name(err->status);
    size_t len = strnlen(err->object, sizeof(err->object));

    /* "STORE:" is an address and brings its colon. */
    if (len > 0 && !strstr(message, err->object))
        buf_printf(out, "%s%s", err->object,
                   err->object[len - 1] == ':' ? " " : ": ");
    buf_puts(out, message);
    append_details(out, err);
}

void cli_error_json(json_t *object, int rc, const struct persist_error *err)
{
    json_object_set_new(object, "code", json_string(persist_status_name(rc)));
    json_object_set_new(object, "message", output_text(err->message));
    json_object_set_new(object, "hint", output_text(err->hint));
    json_object_set_new(object, "object", output_text(err->object));
    if (err->os_errno)
        json_object_set_new(object, "os_errno", json_integer(err->os_errno));
    if (err->http_status)
        json_object_set_new(object, "http_status",
                            json_integer(err->http_status));
    if (err->provider_code[0])
        json_object_set_new(object, "provider_code",
                            output_text(err->provider_code));
    if (err->request_id[0])
        json_object_set_new(object, "request_id", output_text(err->request_id));
    if (err->attempts)
        json_object_set_new(object, "attempts", json_integer(err->attempts));
    if (err->elapsed_ms)
        json_object_set_new(object, "elapsed_ms",
                            output_number(err->elapsed_ms));
}

static void print_line(struct cli *cli, const struct persist_error *err,
                       bool usage)
{
    struct buf line;

    buf_init(&line, CONSOLE_LINE_MAX);
    buf_puts(&line, "persist: ");
    if (cli->args.verb)
        buf_printf(&line, "%s: ", cli->args.verb->name);
    append_line(&line, cli->args.verb ? cli->args.verb->name : NULL, err);
    if (!buf_failed(&line))
        console_line(line.data, line.len);
    buf_clear(&line);
    if (usage) {
        help_usage(&line, cli->args.verb);
        console_line(line.data, line.len);
        buf_clear(&line);
    }
    if (err->hint[0]) {
        buf_printf(&line, "hint: %s", err->hint);
        console_line(line.data, line.len);
    }
    buf_finish(&line);
}

static void print_json(struct cli *cli, int rc, int exit_code,
                       const struct persist_error *err)
{
    json_t *object = json_object();

    if (object) {
        json_object_set_new(object, "type", json_string("error"));
        json_object_set_new(
            object, "verb",
            output_text(cli->args.verb ? cli->args.verb->name : NULL));
        cli_error_json(object, rc, err);
        json_object_set_new(object, "exit_code", json_integer(exit_code));
    }
    output_json(&cli->out, object);
}

/* The reader of standard output went away: it has what it wanted and needs no
 * message. */
static bool is_closed_output(const struct cli *cli)
{
    return cli->out.errno_value == EPIPE;
}

static int report(struct cli *cli, int rc, int exit_code,
                  const struct persist_error *err, bool usage)
{
    output_flush(&cli->out);
    if (is_closed_output(cli))
        return exit_code;
    print_line(cli, err, usage);
    if (cli->json) {
        print_json(cli, rc, exit_code, err);
        output_flush(&cli->out);
    }
    return exit_code;
}

static bool is_doctor(const struct cli *cli)
{
    return cli->args.verb && strcmp(cli->args.verb->name, "doctor") == 0;
}

/* What the library cannot know to advise.  The doctor asked without a name
 * looks at the default store, which is well. */
static void add_own_hint(const struct cli *cli, int rc,
                         struct persist_error *err)
{
    const char *store =
        cli->n_stores == 1 ? persist_store_name(cli->stores[0].store) : "STORE";

    if (rc == PERSIST_E_AUTH && !is_doctor(cli))
        error_hint(err,
                   "persist doctor %s shows which credentials were found, and "
                   "why others were not",
                   store);
    if (rc == PERSIST_E_MEMORY && cli->args.global[GLOBAL_MEMORY_LIMIT].count)
        error_hint(err, "raise --memory-limit");
}

/* The library knows the limit by its name in the configuration. */
static void name_memory_limit(const struct cli *cli, struct persist_error *err)
{
    static const char known[] = "raise memory_limit";
    char rest[sizeof(err->hint)];

    if (!cli->args.global[GLOBAL_MEMORY_LIMIT].count ||
        strncmp(err->hint, known, sizeof(known) - 1) != 0)
        return;
    snprintf(rest, sizeof(rest), "%s", err->hint + sizeof(known) - 1);
    error_hint(err, "raise --memory-limit%s", rest);
}

int cli_fail(struct cli *cli, int rc, const struct persist_error *err)
{
    struct persist_error own = *err;

    if (rc == PERSIST_E_CANCELLED && signals_timed_out() &&
        !signals_interrupted()) {
        rc = error_set(&own, PERSIST_E_TIMEOUT,
                       "it took longer than --timeout allows");
        error_object(&own, "%s", err->object);
    }
    if (!own.hint[0])
        add_own_hint(cli, rc, &own);
    name_memory_limit(cli, &own);
    return report(cli, rc, persist_status_exit_code(rc), &own, false);
}

int cli_fail_usage(struct cli *cli, const struct persist_error *err)
{
    return report(cli, PERSIST_E_INVALID, EXIT_USAGE, err, true);
}

int cli_usage(struct cli *cli, const char *hint, const char *format, ...)
{
    struct persist_error err;
    char message[sizeof(err.message)];
    va_list ap;

    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    error_set(&err, PERSIST_E_INVALID, "%s", message);
    if (hint)
        error_hint(&err, "%s", hint);
    return cli_fail_usage(cli, &err);
}

void batch_add(struct cli *cli, struct batch *batch, int rc,
               const struct persist_error *err)
{
    if (rc == PERSIST_OK) {
        batch->n_ok++;
        return;
    }
    int exit_code = cli_fail(cli, rc, err);
    if (batch->n_failed++ == 0)
        batch->first_exit = exit_code;
}

static void print_partly(struct cli *cli, const struct batch *batch)
{
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:i}", "type", "error", "verb",
        cli->args.verb->name, "code", "partly", "message", "some of it failed",
        "done", (json_int_t)batch->n_ok, "failed", (json_int_t)batch->n_failed,
        "exit_code", EXIT_PARTLY);

    output_json(&cli->out, object);
}

int batch_finish(struct cli *cli, const struct batch *batch)
{
    if (batch->n_failed == 0)
        return EXIT_OK;
    if (batch->n_ok == 0)
        return batch->first_exit;
    cli_note(cli, "%zu done, %zu failed", batch->n_ok, batch->n_failed);
    if (cli->json)
        print_partly(cli, batch);
    return EXIT_PARTLY;
}
