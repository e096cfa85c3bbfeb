/* SPDX-License-Identifier: Apache-2.0 */
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
    struct option_text *owned; /* n; what the values point to */
    /* The core's own keys of the section. */
    uint32_t max_io;             /* ops at a time; 0: not set */
    bool serial;                 /* thread_model = serial */
    bool accept_file_durability; /* accept_durability = file */
};

/*
 * Keys the core itself takes in a store section: backend, accept_durability
 * (full, file), max_io (1 to 1024), thread_model (serial lowers a parallel
 * backend's; nothing raises a serial one's).
 *
 * *out is filled on success only; finish it, or give it to backend_store_open.
 * CONFIG with every problem of the section in one message.
 */
int option_values_resolve(const struct plugin *plugin,
                          const struct config *config, const char *store,
                          struct option_values *out, struct persist_error *err);
/* Wipes the secrets; NULL and a zeroed struct are fine. */
void option_values_finish(struct option_values *v);

#endif
