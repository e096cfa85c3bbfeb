/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The uploads that files of this user know of, for cleanup: some services
 * cannot list theirs, and one that somebody is about to go on with is no
 * rubbish however old its parts are.
 */
#ifndef PERSIST_ENGINE_RESUME_FILES_H
#define PERSIST_ENGINE_RESUME_FILES_H

#include "engine/instance.h"
#include "engine/resume_point.h"

struct resume_file {
    const char *name;  /* of services/state */
    const char *key;   /* the upload's */
    const char *claim; /* key of its index, claimed before the file was made */
    const char *upload_id;
    /* Since the file was written, by this machine's clock; negative where that
     * has gone back since. */
    int64_t age_us;
    bool in_use; /* a process is at it */
};

/* Calls each with every file of this store whose key lies under prefix; those
 * of other stores, and damaged ones, are passed over.  Stops at the first
 * answer that is not 0 and returns it.  The upload id may be a secret. */
typedef int (*resume_file_fn)(void *ctx, const struct resume_file *file);
int resume_each_file(struct persist_store *store, const char *prefix,
                     resume_file_fn each, void *ctx, struct persist_error *err);

#endif
