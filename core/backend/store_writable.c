/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does the store honour create-if-absent?  Where the backend cannot know (an
 * S3 look-alike), it is tried before the first write: `.persist-probe` is put
 * if absent.  "Exists" proves it in one request; "written" proves nothing yet,
 * a second put must say "exists".  The object stays, so that the next process
 * pays one request.
 *
 * The answer is remembered for the life of the store.  Threads that ask at
 * once all try: the test is as good in the company of others.
 */
#include "backend/store_call.h"
#include "util/error.h"

#define PROBE_KEY ".persist-probe"
#define PROBE_TEXT                                                             \
    "Persist tests with this object that the store creates objects only "      \
    "where "                                                                   \
    "there is none. Leave it here.\n"

static int refuse(const struct backend_store *s, struct persist_error *err)
{
    error_set(err, PERSIST_E_UNSUPPORTED,
              "store %s cannot be written to: it replaces an object where it "
              "was told to create a new one, so that two writers would destroy "
              "each other's snapshots",
              s->name);
    error_object(err, PROBE_KEY);
    error_hint(err, "use a service that supports conditional writes "
                    "(If-None-Match)");
    return PERSIST_E_UNSUPPORTED;
}

static int put_probe(struct backend_store *s, struct persist_op *op,
                     struct persist_error *err)
{
    const struct backend_put put = {.key = PROBE_KEY,
                                    .data = PROBE_TEXT,
                                    .len = sizeof(PROBE_TEXT) - 1,
                                    .if_absent = true};

    return backend_put(s, op, &put, NULL, err);
}

int backend_store_check_writable(struct backend_store *s, struct persist_op *op,
                                 struct persist_error *err)
{
    struct persist_error own = {0};
    int known = atomic_load(&s->writable);
    int rc = PERSIST_OK;

    if (!(s->limits.flags & PERSIST_BACKEND_CHECK_IF_ABSENT) ||
        known == STORE_WRITABLE_YES)
        return PERSIST_OK;
    if (known == STORE_WRITABLE_NO)
        return refuse(s, err);
    for (int i = 0; i < 2 && rc == PERSIST_OK; i++)
        rc = put_probe(s, op, &own);
    if (rc == PERSIST_E_EXISTS) {
        atomic_store(&s->writable, STORE_WRITABLE_YES);
        return PERSIST_OK;
    }
    if (rc == PERSIST_OK) {
        atomic_store(&s->writable, STORE_WRITABLE_NO);
        return refuse(s, err);
    }
    if (err)
        *err = own;
    error_prefix(err, "cannot tell whether store %s may be written to",
                 s->name);
    return rc;
}
