/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks and copies a descriptor, its ops and its options.  What cannot be
 * checked from outside, that a pointer leads where it says, is the plugin's
 * word; everything else is compared before it is used.
 */
#include "backend/descriptor.h"

#include <stdlib.h>
#include <string.h>

#include "backend/option_check.h"
#include "util/buf.h"
#include "util/text.h"

#define NAME_LEN_MAX 32
#define TEXT_LEN_MAX 256

#define DESCRIPTOR_1_0                                                         \
    DESCRIPTOR_SIZE_THROUGH(struct persist_backend_descriptor, get_extension)
#define OPS_1_0 DESCRIPTOR_SIZE_THROUGH(struct persist_backend_ops, probe)
#define OPTION_1_0 DESCRIPTOR_SIZE_THROUGH(struct persist_backend_option, flags)

struct copy {
    const char *path;
    struct persist_error *err;
};

static int refuse(const struct copy *c, const char *why)
{
    error_set(c->err, PERSIST_E_CONFIG, "backend %s: %s", c->path, why);
    error_object(c->err, "%s", c->path);
    return PERSIST_E_CONFIG;
}

bool descriptor_name_is_valid(const char *name)
{
    size_t n = 0;

    for (; n <= NAME_LEN_MAX && name[n] != '\0'; n++)
        if (!text_is_lower(name[n]) && !text_is_digit(name[n]) &&
            name[n] != '-')
            return false;
    return n > 0 && n <= NAME_LEN_MAX;
}

/* Before anything but the frozen prologue is read. */
static int check_prologue(const struct copy *c,
                          const struct persist_backend_descriptor *d)
{
    if (d->magic != PERSIST_BACKEND_MAGIC)
        return refuse(c, "its descriptor has the wrong magic number");
    if (d->abi_major != PERSIST_BACKEND_ABI_MAJOR ||
        d->min_host_minor > PERSIST_BACKEND_ABI_MINOR) {
        error_set(c->err, PERSIST_E_CONFIG,
                  "backend %s needs a Persist with plugin ABI %u.%u; this one "
                  "has %d.%d",
                  c->path, (unsigned)d->abi_major, (unsigned)d->min_host_minor,
                  PERSIST_BACKEND_ABI_MAJOR, PERSIST_BACKEND_ABI_MINOR);
        error_object(c->err, "%s", c->path);
        error_hint(c->err, "install the backend and Persist from the same "
                           "release");
        return PERSIST_E_CONFIG;
    }
    if (d->struct_size < DESCRIPTOR_1_0 ||
        d->struct_size > DESCRIPTOR_STRUCT_MAX)
        return refuse(c, "its descriptor has an impossible size");
    return PERSIST_OK;
}

static bool is_text(const char *text)
{
    size_t len = text ? strnlen(text, TEXT_LEN_MAX + 1) : 0;

    if (!text || len > TEXT_LEN_MAX || !text_is_utf8(text, len))
        return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
    return true;
}

static int check_descriptor(const struct copy *c,
                            struct persist_backend_descriptor *ours)
{
    if (!ours->name || !descriptor_name_is_valid(ours->name))
        return refuse(c, "its name is not [a-z0-9-]{1,32}");
    if (!is_text(ours->version) || ours->version[0] == '\0')
        return refuse(c, "its version is not one line of text");
    /* Only for people to read: a backend is not refused for leaving it out. */
    ours->vendor = is_text(ours->vendor) ? ours->vendor : "";
    ours->licence = is_text(ours->licence) ? ours->licence : "";
    if (ours->thread_model != PERSIST_BACKEND_PARALLEL &&
        ours->thread_model != PERSIST_BACKEND_SERIAL)
        return refuse(c, "its thread model is unknown");
    return PERSIST_OK;
}

static const char *missing_op(const struct persist_backend_ops *ops)
{
    const struct {
        const char *name;
        bool there;
    } required[] = {
        {"open", ops->open != NULL},
        {"close", ops->close != NULL},
        {"limits", ops->limits != NULL},
        {"put", ops->put != NULL},
        {"upload_begin", ops->upload_begin != NULL},
        {"upload_part", ops->upload_part != NULL},
        {"upload_commit", ops->upload_commit != NULL},
        {"upload_abort", ops->upload_abort != NULL},
        {"read", ops->read != NULL},
        {"head", ops->head != NULL},
        {"delete_object", ops->delete_object != NULL},
        {"list", ops->list != NULL},
    };

    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (!required[i].there)
            return required[i].name;
    return NULL;
}

static int copy_ops(const struct copy *c,
                    const struct persist_backend_ops *theirs,
                    struct persist_backend_ops *out)
{
    if (!theirs)
        return refuse(c, "it has no table of operations");
    size_t size = theirs->struct_size;
    if (size < OPS_1_0 || size > DESCRIPTOR_STRUCT_MAX)
        return refuse(c, "its table of operations has an impossible size");
    memcpy(out, theirs, size < sizeof(*out) ? size : sizeof(*out));
    const char *missing = missing_op(out);
    if (!missing)
        return PERSIST_OK;
    error_set(c->err, PERSIST_E_CONFIG,
              "backend %s: the required operation %s is missing", c->path,
              missing);
    error_object(c->err, "%s", c->path);
    return PERSIST_E_CONFIG;
}

static int copy_options(const struct copy *c,
                        const struct persist_backend_descriptor *theirs,
                        struct plugin *out)
{
    size_t n = theirs->n_options;
    size_t stride = theirs->option_size;
    const char *from = (const char *)theirs->options;
    struct buf why;
    int rc = PERSIST_OK;

    if (n == 0)
        return PERSIST_OK;
    if (!from || n > DESCRIPTOR_OPTIONS_MAX || stride < OPTION_1_0 ||
        stride > DESCRIPTOR_STRUCT_MAX)
        return refuse(c, "its table of options has an impossible size");
    out->options = calloc(n, sizeof(*out->options));
    if (!out->options)
        return error_memory(c->err);
    for (size_t i = 0; i < n; i++)
        memcpy(&out->options[i], from + i * stride,
               stride < sizeof(*out->options) ? stride : sizeof(*out->options));
    out->n_options = n;
    buf_init(&why, 400);
    if (!option_table_check(out->options, n, &why))
        rc = refuse(c, why.data ? why.data : "its table of options is refused");
    buf_finish(&why);
    return rc;
}

int descriptor_copy(const struct persist_backend_descriptor *theirs,
                    const char *path, struct plugin *out,
                    struct persist_error *err)
{
    const struct copy c = {path, err};
    struct persist_backend_descriptor *ours = &out->descriptor;
    int rc;

    if (!theirs)
        return refuse(&c, "its entry returned no descriptor");
    rc = check_prologue(&c, theirs);
    if (rc == PERSIST_OK) {
        size_t size = theirs->struct_size;
        memcpy(ours, theirs, size < sizeof(*ours) ? size : sizeof(*ours));
        rc = check_descriptor(&c, ours);
    }
    if (rc == PERSIST_OK)
        rc = copy_ops(&c, ours->ops, &out->ops);
    if (rc == PERSIST_OK)
        rc = copy_options(&c, ours, out);
    if (rc != PERSIST_OK) {
        free(out->options);
        out->options = NULL;
        out->n_options = 0;
        return rc;
    }
    ours->ops = &out->ops;
    ours->options = out->options;
    ours->option_size = (uint32_t)sizeof(*out->options);
    return PERSIST_OK;
}
