/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist_doctor: what a store is made of, and what it says of itself.
 *
 * Nothing here decides that a store is bad; a finding fails where a request
 * did, or where the backend says so.
 */
#include "engine/doctor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/error.h"
#include "util/text.h"

/* --------------------------------------------------------------- findings
 */

static int tell(struct doctor *d, const struct persist_finding *f)
{
    struct persist_finding whole = *f;

    if (d->stopped)
        return d->stopped;
    whole.struct_size = sizeof whole;
    whole.group = d->group;
    d->stopped = d->report(d->ctx, &whole);
    return d->stopped;
}

int doctor_tell(struct doctor *d, uint32_t verdict, const char *name,
                const char *value, const char *hint)
{
    const struct persist_finding f = {
        .verdict = verdict, .name = name, .value = value, .hint = hint};

    return tell(d, &f);
}

/* A failure with a code of its own says more than one a backend found. */
static void note(struct doctor *d, int rc, bool is_guess,
                 const struct persist_error *err)
{
    if (d->first && !(d->first_is_guess && !is_guess))
        return;
    d->first = rc;
    d->first_is_guess = is_guess;
    d->first_err = *err;
}

int doctor_pass_over(struct doctor *d, const char *name, const char *like)
{
    char value[96];

    snprintf(value, sizeof value, "not tried: it would fail like \"%s\"", like);
    return doctor_tell(d, PERSIST_FINDING_INFO, name, value, NULL);
}

/* err's message, or where it has been told already. */
static const char *value_of(const struct doctor *d, const char *name,
                            const struct persist_error *err, char out[128])
{
    size_t len = strlen(name);

    if (!d->found[0] || !strstr(err->message, d->found))
        return strncmp(err->message, name, len) == 0 &&
                       strncmp(err->message + len, ": ", 2) == 0
                   ? err->message + len + 2 /* the op of that name */
                   : err->message;
    snprintf(out, 128, "as \"%s\" above", d->found_name);
    return out;
}

int doctor_fail(struct doctor *d, const char *name, int rc,
                const struct persist_error *err)
{
    char value[128];
    const struct persist_finding f = {
        .verdict = PERSIST_FINDING_FAIL,
        .status = rc,
        .name = name,
        .value = value_of(d, name, err, value),
        .hint = err->hint[0] ? err->hint : NULL,
        .error = err,
    };

    note(d, rc, false, err);
    tell(d, &f);
    /* Where time is over or somebody interrupts, the rest would fail too. */
    if (!d->stopped && d->op && op_check(d->op, d->p->clock) != PERSIST_OK)
        return rc;
    return d->stopped;
}

/* ----------------------------------------------------------- configuration
 */

static int each_file(void *ctx, const char *path, int was_read)
{
    struct doctor *d = ctx;

    return was_read ? doctor_tell(d, PERSIST_FINDING_INFO, "file", path, NULL)
                    : 0;
}

struct settings {
    struct doctor *d;
    const char *store;
};

/* The store's own, and of [persist] what somebody set. */
static int each_setting(void *ctx, const struct persist_setting *s)
{
    struct settings *settings = ctx;
    const struct persist_finding f = {
        .name = s->key, .value = s->value, .origin = s->origin};
    /* Which store is looked at has been told. */
    bool ours = s->store ? strcmp(s->store, settings->store) == 0
                         : strcmp(s->origin, "default") != 0 &&
                               strcmp(s->key, "store") != 0;

    return ours && s->value ? tell(settings->d, &f) : 0;
}

static int look_at_configuration(struct doctor *d, const char *store,
                                 struct persist_error *err)
{
    struct settings settings = {d, store};
    int rc;

    d->group = "configuration";
    rc = persist_config_files(d->p, each_file, d, err);
    if (!rc && !doctor_tell(d, PERSIST_FINDING_INFO, "store", store, NULL))
        rc = persist_config_show(d->p, each_setting, &settings, err);
    return d->stopped ? d->stopped : rc;
}

/* ------------------------------------------------------------------ plugin
 */

static int tell_size(struct doctor *d, const char *name, uint64_t bytes)
{
    char text[16];

    text_from_size(bytes, text);
    return doctor_tell(d, PERSIST_FINDING_INFO, name, text, NULL);
}

static int look_at_plugin(struct doctor *d)
{
    const struct plugin *plugin = backend_store_plugin(d->store->backend);
    const struct persist_backend_limits *l =
        backend_store_limits(d->store->backend);
    char text[64];

    d->group = "plugin";
    doctor_tell(d, PERSIST_FINDING_INFO, "file", plugin->path, NULL);
    doctor_tell(d, PERSIST_FINDING_INFO, "version", plugin->descriptor.version,
                NULL);
    snprintf(text, sizeof text, "%d.%d", (int)plugin->descriptor.abi_major,
             (int)plugin->descriptor.abi_minor);
    doctor_tell(d, PERSIST_FINDING_INFO, "abi", text, NULL);
    if (d->store->file_durability)
        doctor_tell(d, PERSIST_FINDING_WARN, "durability", "file",
                    "the store cannot make directories durable: after a power "
                    "loss a snapshot may be gone");
    else
        doctor_tell(d, PERSIST_FINDING_INFO, "durability", "full", NULL);
    if (l->object_max < UINT64_MAX)
        tell_size(d, "largest-object", l->object_max);
    return doctor_tell(d, PERSIST_FINDING_INFO, "resumable-uploads",
                       l->flags & PERSIST_BACKEND_RESUMABLE ? "yes" : "no",
                       NULL);
}

/* ----------------------------------------------------------------- backend
 */

static void remember(struct doctor *d, const char *name, const char *value)
{
    snprintf(d->found_name, sizeof d->found_name, "%s", name);
    snprintf(d->found, sizeof d->found, "%s", value);
}

static int each_backend_finding(void *ctx, const struct backend_finding *f)
{
    struct doctor *d = ctx;
    struct persist_error err = {0};
    struct persist_finding finding = {
        .verdict = f->verdict,
        .name = f->name,
        .value = f->value,
        .hint = f->hint[0] ? f->hint : NULL,
    };

    if (f->verdict != PERSIST_BACKEND_FINDING_FAIL)
        return tell(d, &finding);
    error_set(&err, PERSIST_E_CONFIG, "%s: %s", f->name, f->value);
    if (f->hint[0])
        error_hint(&err, "%s", f->hint);
    note(d, PERSIST_E_CONFIG, true, &err);
    remember(d, f->name, f->value);
    finding.status = PERSIST_E_CONFIG;
    finding.error = &err;
    return tell(d, &finding);
}

static int look_at_backend(struct doctor *d)
{
    struct persist_error err = {0};
    int rc;

    d->group = "backend";
    rc = backend_probe(d->store->backend, d->op, each_backend_finding, d, &err);
    if (d->stopped)
        return d->stopped;
    if (!rc || rc == PERSIST_E_UNSUPPORTED)
        return 0;
    int end = doctor_fail(d, "probe", rc, &err);
    const char *colon = strstr(err.message, ": "); /* behind the op's name */
    remember(d, "probe", colon ? colon + 2 : err.message);
    return end;
}

/* ---------------------------------------------------------------- one call
 */

static int conclude(struct doctor *d, struct persist_error *err)
{
    if (d->stopped)
        return error_set(err, d->stopped, "stopped by the report");
    if (d->first && err)
        *err = d->first_err;
    return d->first;
}

static int examine(struct doctor *d)
{
    int rc = look_at_plugin(d);

    if (!rc)
        rc = look_at_backend(d);
    d->group = "access";
    if (!rc)
        rc = doctor_access(d);
    d->group = "uploads";
    if (!rc)
        rc = doctor_uploads(d);
    return rc;
}

static int begin(struct doctor *d, struct persist_doctor_options *o,
                 const struct persist_doctor_options *options,
                 persist_finding_fn report, struct persist_error *err)
{
    int rc = engine_options(o, sizeof *o, options, err);

    if (!rc)
        rc = engine_flags(o->flags, PERSIST_DOCTOR_LOOK_ONLY, err);
    if (!rc && !report)
        rc = error_set(err, PERSIST_E_MISUSE, "report is NULL");
    d->look_only = o->flags & PERSIST_DOCTOR_LOOK_ONLY;
    d->report = report;
    return rc;
}

static int examine_store(struct doctor *d,
                         const struct persist_doctor_options *o,
                         struct persist_error *err)
{
    struct engine_call call;
    int rc = engine_begin(d->store, OPERATION_DOCTOR, o->op, o->timeout_ms,
                          &call, &d->op, err);

    if (rc)
        return rc;
    examine(d);
    rc = conclude(d, err);
    engine_end(&call, rc);
    return rc;
}

int persist_doctor_store(struct persist_store *store,
                         const struct persist_doctor_options *options,
                         persist_finding_fn report, void *ctx,
                         struct persist_error *err)
{
    struct doctor d = {.store = store, .ctx = ctx};
    struct persist_doctor_options o;
    int rc = begin(&d, &o, options, report, err);

    if (rc)
        return rc;
    if (!store)
        return error_set(err, PERSIST_E_MISUSE, "the store is NULL");
    d.p = store->p;
    return examine_store(&d, &o, err);
}

int persist_doctor(struct persist *p, const char *name,
                   const struct persist_doctor_options *options,
                   persist_finding_fn report, void *ctx,
                   struct persist_error *err)
{
    struct doctor d = {.p = p, .ctx = ctx};
    struct persist_error why = {0};
    struct persist_doctor_options o;
    const char *chosen = NULL;
    int rc = engine_check(p, err);

    if (!rc)
        rc = begin(&d, &o, options, report, err);
    if (!rc)
        rc = engine_choose_store(p, name, &chosen, err);
    if (!rc)
        rc = look_at_configuration(&d, chosen, err);
    if (rc)
        return rc;
    d.group = "plugin";
    rc = engine_store_open(p, p->config, chosen, &d.store, &why);
    if (rc) {
        doctor_fail(&d, "open", rc, &why);
        return conclude(&d, err);
    }
    rc = examine_store(&d, &o, err);
    persist_close(d.store);
    return rc;
}
