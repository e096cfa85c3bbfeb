/* SPDX-License-Identifier: 0BSD */
/*
 * From --set key=value to the typed values a backend's open receives, by the
 * backend's own option table.
 */
#ifndef CONFORMANCE_CONFIG_H
#define CONFORMANCE_CONFIG_H

#include <persist/backend.h>
#include <stddef.h>

/* One "key=value" of the command line. */
struct config_setting {
    const char *key;
    size_t key_len;
    const char *value;
};

struct config {
    struct persist_backend_value *values; /* one per option, in order */
    const struct persist_backend_option **options; /* the same order */
    const char **secrets; /* per option, NULL: not a set secret */
    size_t n;
    void **owned;
    size_t n_owned;
};

/* The i-th option of a descriptor, at the stride it declares. */
const struct persist_backend_option *
config_option(const struct persist_backend_descriptor *d, size_t i);

/* Later settings win; a LIST collects.  0, or -1 with one line in why. */
int config_build(struct config *c, const struct persist_backend_descriptor *d,
                 const struct config_setting *settings, size_t n_settings,
                 char *why, size_t cap);
void config_finish(struct config *c);

/* "" or what is wrong with the option table. */
void config_check_table(const struct persist_backend_descriptor *d, char *why,
                        size_t cap);

#endif
