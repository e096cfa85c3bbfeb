/*
 * From configured text to the typed values of a plugin's option table.
 *
 * All problems of a store are collected and named in one error: unknown keys
 * (with a suggestion), bad values with their origin, missing required ones.
 */
#ifndef PERSIST_BACKEND_OPTIONS_H
#define PERSIST_BACKEND_OPTIONS_H

#include "backend/registry.h"
#include "services/config.h"

struct option_values {
    struct persist_backend_value *values; /* n, in declaration order */
    size_t n;
    struct secret **secrets;   /* n; NULL where not a set secret */
    struct option_text *owned; /* what the values point to */
};

/* Keys the core itself takes in a store section: backend, accept_durability,
 * max_io, thread_model. */
int option_values_resolve(const struct plugin *plugin,
                          const struct config *config, const char *store,
                          struct option_values *out, struct persist_error *err);
void option_values_finish(struct option_values *v);

#endif
