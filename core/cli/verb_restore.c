/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist restore: a snapshot's payload to standard output or into a file.
 */
#include "cli/verbs.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/address.h"
#include "cli/cli.h"
#include "cli/describe.h"
#include "cli/error.h"
#include "cli/progress.h"
#include "util/error.h"

enum {
    RESTORE_OUTPUT,
    RESTORE_OVERWRITE,
    RESTORE_RANGE,
    RESTORE_REQUIRE_SCHEMA,
    RESTORE_DRY_RUN,
    RESTORE_RESUME,
    N_RESTORE
};

static const struct arg_option options[] = {
    [RESTORE_OUTPUT] = {ARG_TEXT, 'o', false, "output", "FILE",
                        "write to FILE, whole or not at all (- is standard "
                        "output)",
                        NULL, 0},
    [RESTORE_OVERWRITE] = {ARG_FLAG, 0, false, "overwrite", NULL,
                           "replace FILE where it exists", NULL, 0},
    [RESTORE_RANGE] = {ARG_RANGE, 0, false, "range", "OFFSET+LENGTH",
                       "only these bytes of the payload", NULL, 0},
    [RESTORE_REQUIRE_SCHEMA] = {ARG_TEXT, 0, false, "require-schema", "NAME",
                                "fail unless it was saved with this --schema",
                                NULL, 0},
    [RESTORE_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                         "read and verify, write nothing", NULL, 0},
    [RESTORE_RESUME] = {ARG_RESERVED, 0, false, "resume", NULL, NULL, NULL, 0},
    [N_RESTORE] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

static int discard(void *ctx, const void *data, size_t len,
                   struct persist_error *err)
{
    (void)ctx;
    (void)data;
    (void)len;
    (void)err;
    return PERSIST_OK;
}

#define OVERWRITE_HINT "--overwrite replaces it"

/* A file is whole or not there; a device or pipe cannot promise that. */
static void hint_at_redirection(const char *path, struct persist_error *err)
{
    struct stat st;

    if (strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/fd/1") == 0)
        error_hint(err, "-o - is standard output");
    else if (stat(path, &st) == 0 &&
             (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
        error_hint(err, "-o - > %s", path);
}

/* What a restore into the file would meet. */
static int check_target(const char *path, bool overwrite,
                        struct persist_error *err)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return errno == ENOENT ? PERSIST_OK
                               : error_errno(err, errno, "%s", path);
    if (!S_ISREG(st.st_mode)) {
        error_set(err, PERSIST_E_INVALID, "not a regular file");
        error_object(err, "%s", path);
        return PERSIST_E_INVALID;
    }
    if (overwrite)
        return PERSIST_OK;
    error_set(err, PERSIST_E_EXISTS, "the file exists");
    error_object(err, "%s", path);
    error_hint(err, OVERWRITE_HINT);
    return PERSIST_E_EXISTS;
}

static int dry_run(struct persist_store *store, const char *address,
                   const char *path, const struct persist_restore_options *o,
                   struct persist_metadata **out, struct persist_error *err)
{
    struct persist_sink sink = PERSIST_SINK_INIT;
    struct persist_restore_options to_sink = *o;
    int rc = PERSIST_OK;

    sink.write = discard;
    to_sink.flags &= ~PERSIST_RESTORE_OVERWRITE; /* is for files */
    if (path)
        rc = check_target(path, o->flags & PERSIST_RESTORE_OVERWRITE, err);
    if (rc == PERSIST_OK)
        rc = persist_restore(store, address, &sink, &to_sink, out, err);
    return rc;
}

/* The reader of our pipe has closed it. */
static bool reader_is_gone(const struct persist_error *err)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = POLLOUT};

    return err->os_errno == EPIPE && poll(&p, 1, 0) == 1 && p.revents & POLLERR;
}

static int report(struct cli *cli, struct persist_store *store,
                  const char *path, const struct persist_metadata *metadata,
                  struct persist_error *err)
{
    bool is_dry = cli->args.own[RESTORE_DRY_RUN].count > 0;
    char address[ADDRESS_TEXT_LEN];

    describe_address(metadata, address);
    if (is_dry)
        cli_note(cli, "dry run: %s can be restored; nothing was written",
                 address);
    if (!cli->json)
        return PERSIST_OK;
    json_t *object = describe_json("restored", store, metadata, err);
    if (!object)
        return err->status;
    json_object_set_new(object, "path", output_text(path));
    json_object_set_new(object, "dry_run", json_boolean(is_dry));
    output_json(&cli->out, object);
    return PERSIST_OK;
}

/* Bytes that are no text are commands to a terminal; -o - insists. */
static int check_terminal(const struct cli *cli, struct persist_store *store,
                          const struct address *address,
                          const struct persist_restore_options *o,
                          struct persist_error *err)
{
    struct persist_reader *reader = NULL;
    char head[4096] = {0};
    size_t len = 0;

    if (cli->args.own[RESTORE_OUTPUT].count || isatty(STDOUT_FILENO) != 1)
        return PERSIST_OK;
    int rc = persist_reader_open(store, address->text, o, &reader, err);
    if (rc == PERSIST_OK)
        rc = persist_reader_read(reader, head, sizeof(head), &len, err);
    persist_reader_close(reader);
    if (rc != PERSIST_OK || !memchr(head, '\0', len))
        return rc;
    error_set(err, PERSIST_E_INVALID,
              "%s: the payload is binary, and standard output is a terminal",
              address->text);
    error_hint(err, "-o FILE writes it into a file, -o - to the terminal");
    return PERSIST_E_INVALID;
}

static int restore(struct cli *cli, const struct address *address,
                   const char *path, struct persist_restore_options *o,
                   struct persist_error *err)
{
    bool is_dry = cli->args.own[RESTORE_DRY_RUN].count > 0;
    struct persist_metadata *metadata = NULL;
    struct persist_store *store;
    struct progress progress;

    int rc = address_open(cli, address, &store, err);
    if (rc == PERSIST_OK && !is_dry)
        rc = check_terminal(cli, store, address, o, err);
    if (rc != PERSIST_OK)
        return rc;
    progress_begin(&progress, cli, address->text, !path && !is_dry);
    o->op = progress.op;
    if (is_dry)
        rc = dry_run(store, address->text, path, o, &metadata, err);
    else if (path)
        rc =
            persist_restore_file(store, address->text, path, o, &metadata, err);
    else
        rc = persist_restore_fd(store, address->text, STDOUT_FILENO, o,
                                &metadata, err);
    progress_end(&progress);
    if (rc == PERSIST_E_EXISTS && path)
        error_hint(err, OVERWRITE_HINT);
    if (rc == PERSIST_E_INVALID && path)
        hint_at_redirection(path, err);
    if (rc == PERSIST_OK)
        rc = report(cli, store, path, metadata, err);
    else if (!path && !is_dry && reader_is_gone(err))
        output_note_failure(&cli->out, EPIPE);
    persist_metadata_free(metadata);
    return rc;
}

/* The file to write, or NULL for standard output; false after an error was
 * reported. */
static bool read_target(struct cli *cli, const char **out_path, int *out_exit)
{
    const struct arg_value *own = cli->args.own;
    const char *path = own[RESTORE_OUTPUT].text;

    if (path && strcmp(path, "-") == 0)
        path = NULL;
    *out_path = path;
    if (!path && own[RESTORE_OVERWRITE].count) {
        *out_exit = cli_usage(cli, NULL, "--overwrite needs --output FILE");
        return false;
    }
    if (!path && cli->json && own[RESTORE_DRY_RUN].count == 0) {
        *out_exit = cli_usage(cli, NULL,
                              "--json needs --output FILE: standard output "
                              "carries the payload");
        return false;
    }
    return true;
}

static int run(struct cli *cli)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;
    const struct arg_value *own = cli->args.own;
    struct persist_error err = {0};
    struct address address;
    const char *path;
    int exit_code;

    if (!read_target(cli, &path, &exit_code))
        return exit_code;
    if (address_read(cli, cli->args.operands[0], ADDRESS_AGENT, &address,
                     &err) != PERSIST_OK)
        return cli_fail_usage(cli, &err);
    o.timeout_ms = cli_timeout_ms(cli);
    o.require_schema = own[RESTORE_REQUIRE_SCHEMA].text;
    if (own[RESTORE_OVERWRITE].count)
        o.flags |= PERSIST_RESTORE_OVERWRITE;
    if (own[RESTORE_RANGE].count) {
        o.flags |= PERSIST_RESTORE_RANGE;
        o.offset = own[RESTORE_RANGE].number;
        o.length = own[RESTORE_RANGE].number2;
    }
    int rc = restore(cli, &address, path, &o, &err);
    return rc == PERSIST_OK ? EXIT_OK : cli_fail(cli, rc, &err);
}

static const char *const examples[] = {
    "persist restore writer > state.json",
    "persist restore writer@7 -o state.json --overwrite",
    "persist restore writer --range 0+4K | head",
    "persist restore archive:writer/night@latest -o night.json", NULL};

const struct verb verb_restore = {
    .name = "restore",
    .operands = "ADDRESS",
    .elsewhere = "cat get read load download pull",
    .summary = "give back a snapshot's payload, verified",
    .about =
        "Writes the payload to standard output, or with -o into a file that "
        "appears whole and verified or not at all. Without an index it is the "
        "latest snapshot. Standard output gets bytes as they are verified, "
        "frame by frame: what arrived is good only if the exit code is 0.\n"
        "A payload with a NUL at its beginning is not shown on a terminal, "
        "unless -o - asks for it. Where the reader of standard output closes "
        "it early, restore stops "
        "without a message and exits with 1.",
    .options = options,
    .examples = examples,
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
