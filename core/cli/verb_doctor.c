/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist doctor: what is wrong with a store, found out by trying.
 */
#include "cli/verbs.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/error.h"
#include "cli/output.h"
#include "util/error.h"
#include "util/text.h"

enum { DOCTOR_DRY_RUN, N_DOCTOR };

static const struct arg_option options[] = {
    [DOCTOR_DRY_RUN] = {ARG_FLAG, 'n', false, "dry-run", NULL,
                        "only look: write and delete nothing", NULL, 0},
    [N_DOCTOR] = {ARG_END, 0, false, NULL, NULL, NULL, NULL, 0},
};

struct doctor {
    struct cli *cli;
    char group[32]; /* of the finding before */
    size_t n_warnings;
};

/* In the order of enum persist_finding_verdict. */
static const char *const verdicts[] = {"info", "ok", "warn", "fail"};
static const char *const marks[] = {"", "ok", "warn", "FAIL"};

static void print_json(struct doctor *d, const struct persist_finding *f)
{
    json_t *o = json_object();

    json_object_set_new(o, "type", json_string("finding"));
    json_object_set_new(o, "group", output_text(f->group));
    json_object_set_new(o, "name", output_text(f->name));
    json_object_set_new(o, "verdict", json_string(verdicts[f->verdict]));
    json_object_set_new(o, "value", output_text(f->value));
    json_object_set_new(o, "hint", output_text(f->hint));
    if (f->origin)
        json_object_set_new(o, "origin", output_text(f->origin));
    if (f->status)
        json_object_set_new(o, "code",
                            json_string(persist_status_name(f->status)));
    output_json(&d->cli->out, o);
}

static void print_group(struct doctor *d, const char *group)
{
    if (strcmp(d->group, group) == 0)
        return;
    output_printf(&d->cli->out, "%s%s\n", d->group[0] ? "\n" : "", group);
    snprintf(d->group, sizeof(d->group), "%s", group);
}

static void print_line(struct doctor *d, const struct persist_finding *f)
{
    struct output *out = &d->cli->out;

    print_group(d, f->group);
    output_printf(out, "  %-4s ", marks[f->verdict]);
    output_escaped(out, f->name);
    output_printf(out, "%*s ", (int)(20 - strnlen(f->name, 20)), "");
    output_escaped(out, f->value);
    if (f->origin) {
        output_printf(out, "    # from ");
        output_escaped(out, f->origin);
    }
    output_write(out, "\n", 1);
    if (f->hint) {
        output_printf(out, "       hint: ");
        output_escaped(out, f->hint);
        output_write(out, "\n", 1);
    }
}

static int report(void *ctx, const struct persist_finding *f)
{
    struct doctor *d = ctx;

    d->n_warnings += f->verdict == PERSIST_FINDING_WARN;
    if (d->cli->json)
        print_json(d, f);
    else if (!d->cli->quiet || f->verdict >= PERSIST_FINDING_WARN)
        print_line(d, f);
    /* A person watches: slow requests show as they come. */
    output_flush(&d->cli->out);
    return output_failed(&d->cli->out) ? PERSIST_E_IO : PERSIST_OK;
}

/* "archive" or "archive:"; with --store too both must agree. */
static int read_name(struct cli *cli, char *name, const char **out,
                     struct persist_error *err)
{
    const char *chosen = cli->args.global[GLOBAL_STORE].text;
    size_t len = name ? strlen(name) : 0;

    *out = name ? name : chosen;
    if (len > 1 && name[len - 1] == ':')
        name[len - 1] = '\0';
    if (name && chosen && strcmp(name, chosen) != 0)
        return error_set(
            err, PERSIST_E_INVALID,
            "the operand names the store \"%s\" and --store \"%s\"", name,
            chosen);
    return PERSIST_OK;
}

static int run(struct cli *cli)
{
    struct persist_doctor_options o = PERSIST_DOCTOR_OPTIONS_INIT;
    struct doctor d = {.cli = cli};
    struct persist_error err = {0};
    const char *name;

    if (read_name(cli, cli->args.n_operands ? cli->args.operands[0] : NULL,
                  &name, &err) != PERSIST_OK)
        return cli_fail_usage(cli, &err);
    o.flags =
        cli->args.own[DOCTOR_DRY_RUN].count ? PERSIST_DOCTOR_LOOK_ONLY : 0;
    o.timeout_ms = cli_timeout_ms(cli);
    int rc = cli_open_instance(cli, &err);
    if (rc == PERSIST_OK)
        rc = persist_doctor(cli->p, name, &o, report, &d, &err);
    if (output_failed(&cli->out))
        return EXIT_OK;
    if (rc != PERSIST_OK)
        return cli_fail(cli, rc, &err);
    if (d.n_warnings == 0)
        cli_note(cli, "nothing is wrong");
    else
        cli_note(cli, "the store works, with %zu warning%s", d.n_warnings,
                 d.n_warnings == 1 ? "" : "s");
    return EXIT_OK;
}

static const char *const examples[] = {
    "persist doctor", "persist doctor archive --dry-run   # writes nothing",
    "persist doctor archive --json", NULL};

const struct verb verb_doctor = {
    .name = "doctor",
    .operands = "[STORE]",
    .elsewhere = "diagnose test",
    .summary = "find out what is wrong with a store",
    .about = "Shows how a store is configured and which plugin reaches it, "
             "asks the plugin for credentials, region and clock, and tries "
             "what a store is for: list, create, refuse to create twice, read, "
             "upload a part, delete. It does so on an object of its own, "
             "persist-doctor-..., which it deletes again. Where something is "
             "refused it says what to permit; the exit code is that of the "
             "first failure.",
    .options = options,
    .examples = examples,
    .min_operands = 0,
    .max_operands = 1,
    .run = run,
};
