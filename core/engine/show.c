/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what a snapshot says of itself, and nothing of its payload. */
#include "engine/open.h"

int persist_show(struct persist_store *store, const char *address,
                 struct persist_metadata **out, struct persist_error *err)
{
    struct download *download = NULL;
    struct engine_call call;
    struct persist_op *op = NULL;
    struct target target;
    struct place place;

    if (!out)
        return error_set(err, PERSIST_E_MISUSE, "out is NULL");
    *out = NULL;
    int rc = engine_begin(store, OPERATION_SHOW, NULL, 0, &call, &op, err);
    if (rc != PERSIST_OK)
        return rc;
    rc = target_parse(store, address, &target, err);
    if (rc == PERSIST_OK)
        rc = open_snapshot(store, op, &target, OPEN_METADATA, &place, &download,
                           err);
    if (rc == PERSIST_OK)
        *out = download_take_metadata(download);
    if (rc == PERSIST_OK)
        engine_call_object(&call, place.key);
    download_close(download);
    engine_end(&call, rc);
    return rc;
}
