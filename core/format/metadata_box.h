/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands around every struct persist_metadata the library hands out: its
 * texts, and the fields of the file it does not know.
 */
#ifndef PERSIST_FORMAT_METADATA_BOX_H
#define PERSIST_FORMAT_METADATA_BOX_H

#include "format/json.h"
#include "format/metadata.h"

struct metadata_box {
    struct persist_metadata metadata;
    json_t *header_extra;   /* unknown fields, in their order; NULL: none */
    json_t *producer_extra; /* unknown members of the producer */
    json_t *trailer_extra;
    char content_hash[65]; /* of a decoded trailer */
    char stored_crc32c[9];
    struct persist_label *labels;
    const char **required;
    char *texts; /* all others, one behind the other */
};

/* The box of a metadata the library handed out. */
struct metadata_box *metadata_box(struct persist_metadata *m);
const struct metadata_box *metadata_box_const(const struct persist_metadata *m);

#endif
