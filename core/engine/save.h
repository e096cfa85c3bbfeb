/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One save as it runs, shared by the files of the save side: save.c prepares
 * it and says how it ended, save_steps.c makes the requests that the machine
 * of owner.h asks for.
 */
#ifndef PERSIST_ENGINE_SAVE_H
#define PERSIST_ENGINE_SAVE_H

#include "engine/owner.h"
#include "engine/save_source.h"
#include "format/metadata.h"
#include "util/text.h"

struct saving {
    struct persist_store *store;
    struct persist_op *op;
    struct persist_save_options o;
    struct target target;
    struct save_source *source;
    bool dry_run;

    /* What the snapshot says; its texts are borrowed or lie below. */
    struct persist_metadata m;
    struct persist_label *labels; /* sorted */
    char id[TEXT_UUID_LEN];
    char parent[TEXT_UUID_LEN];
    char time[TEXT_TIME_LEN];
    enum codec codec;

    /* With SKIP_UNCHANGED: the latest, or NULL. */
    struct persist_metadata *latest;
    bool unchanged;

    struct upload *up;
    struct owner_save machine;
    unsigned int n_lists;
    bool plain;      /* neither fenced nor asserting: may use the memory */
    bool took_index; /* from the store's memory */
    bool index_used; /* a put at it may be visible, or it was not ours */

    struct backend_upload *upload; /* of .data */
    uint64_t object_size;
    uint32_t object_crc;
    bool committed; /* the upload has ended by its commit */

    int failure; /* of the request that ended it, or of the source */
    struct persist_error last; /* its details */
};

/* Runs the machine to its result.  The payload is filled; whole: it goes in
 * one put.  With `unchanged` set nothing is written: OWNER_ABORTED, once a
 * listing has shown that fence and index hold. */
void save_run(struct saving *s, bool whole);

/* True where the payload, now known, is the latest snapshot's. */
bool save_is_unchanged(const struct saving *s, const uint8_t sha256[32],
                       uint64_t len);

#endif
