/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One examination of a store, shared by the files of the doctor: doctor.c looks
 * at the configuration and the plugin and says how it ended, doctor_access.c
 * makes the requests.
 */
#ifndef PERSIST_ENGINE_DOCTOR_H
#define PERSIST_ENGINE_DOCTOR_H

#include "engine/instance.h"

struct doctor {
    struct persist *p;
    struct persist_store *store; /* NULL: it could not be opened */
    struct persist_op *op;
    bool look_only;
    persist_finding_fn report;
    void *ctx;
    const char *group;
    int stopped;         /* what the report returned, to end it */
    int first;           /* the first failure; 0: none */
    bool first_is_guess; /* a backend's finding, which has no status */
    struct persist_error first_err;
    /* The last failure that a backend found, to be told once. */
    char found_name[64];
    char found[1024];
    bool blocked; /* what failed would fail every other request too */
};

/* Both return what ends the examination: 0 to go on. */
int doctor_tell(struct doctor *d, uint32_t verdict, const char *name,
                const char *value, const char *hint);
/* A request that failed; err->hint is what to do. What a backend has found
 * itself before is referred to and not told twice. */
int doctor_fail(struct doctor *d, const char *name, int rc,
                const struct persist_error *err);

/* A request that is not made, because it would fail like the one named. */
int doctor_pass_over(struct doctor *d, const char *name, const char *like);

/* The groups "access" and "uploads". */
int doctor_access(struct doctor *d);
int doctor_uploads(struct doctor *d);

#endif
