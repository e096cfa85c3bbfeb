/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maps of the in-memory backend: objects and uploads by store id.
 *
 * A map lives as long as the process.  Functions named map_ take its lock;
 * those named locked_ want it held.  Statuses are those of persist/backend.h.
 */
#ifndef PERSIST_TEST_MEMORY_MAP_H
#define PERSIST_TEST_MEMORY_MAP_H

#include <persist/backend.h>
#include <pthread.h>
#include <stdbool.h>

#include "memory_backend.h"

enum memory_op_id {
    MEMORY_PUT,
    MEMORY_PUT_MANY,
    MEMORY_UPLOAD_BEGIN,
    MEMORY_UPLOAD_PART,
    MEMORY_UPLOAD_COMMIT,
    MEMORY_UPLOAD_ABORT,
    MEMORY_READ,
    MEMORY_HEAD,
    MEMORY_DELETE,
    MEMORY_LIST,
    MEMORY_LIST_UPLOADS,
    MEMORY_PROBE,
    MEMORY_N_OPS
};
extern const char *const memory_op_names[MEMORY_N_OPS + 2]; /* then "any" */
int memory_op_id(const char *name); /* MEMORY_N_OPS for "any"; -1 */

/* What a store can be told to get wrong; option `lies`, names in
 * memory_lie_names. */
enum memory_lie {
    LIE_IGNORE_IF_ABSENT, /* put and commit replace */
    LIE_RACY_IF_ABSENT,   /* looks, waits, then writes */
    LIE_COMMIT_REPLACES,  /* only the commit ignores if_absent */
    LIE_COMMIT_HOLES,     /* the commit does not look at offsets and sizes */
    LIE_EARLY_VISIBLE,    /* a part is visible before the commit */
    LIE_DOUBLE_PART,      /* a part sent again is kept twice */
    LIE_ABORT_NOT_FOUND,  /* abort of nothing fails */
    LIE_DELETE_NOT_FOUND, /* delete of nothing fails */
    LIE_DELETE_KEEPS,     /* delete says OK and does nothing */
    LIE_IGNORE_ETAG,      /* a pinned read reads whatever is there */
    LIE_SHORT_READ,       /* reads give one byte less than there is */
    LIE_WRONG_TOTAL,      /* and a total that is one too small */
    LIE_SUFFIX_FAILS,     /* a suffix longer than the object is INVALID */
    LIE_PAST_END_FAILS,   /* reading at the end is INVALID */
    LIE_ABSENT_AS_IO,     /* a missing object is IO */
    LIE_DENIED_AS_ABSENT, /* denied is NOT_FOUND */
    LIE_TORN_REPLACE,     /* a replace is seen half done */
    LIE_DROP_EMPTY,       /* a put of 0 bytes stores nothing */
    LIE_DROP_LAST_BYTE,   /* an object is stored one byte short */
    LIE_ANY_KEY,          /* takes keys that leave the root */
    LIE_SCRAMBLED,        /* lists out of order */
    LIE_NO_LIMIT,         /* a page holds everything */
    LIE_NO_MORE,          /* more is never said */
    LIE_START_INCLUSIVE,  /* start_after itself is listed */
    LIE_IGNORE_PREFIX,    /* everything is listed */
    LIE_FOLDER_TWICE,     /* a folder is listed once per key */
    LIE_EMPTY_NOT_FOUND,  /* a prefix that matches nothing fails */
    LIE_IGNORE_EMIT,      /* goes on where emit said stop */
    LIE_UPLOADS_HIDDEN,   /* list_uploads shows nothing */
    LIE_UNKNOWN_CODE,     /* answers -1000 for NOT_FOUND */
    LIE_CANCEL_INTERNAL,  /* a cancelled call is INTERNAL */
    LIE_SILENT,           /* errors have no message */
    LIE_MANY_STATUS,      /* put_many leaves an item without its status */
    LIE_OLD_DATES,        /* what is written now is dated 1970 */
    LIE_NO_KEY,           /* an entry is listed without its key */
    LIE_LIMITS_SIZE,      /* limits changes the struct_size it was given */
    LIE_CLOSE_KEEPS,      /* a descriptor that head opened stays open */
    MEMORY_N_LIES
};
extern const char *const memory_lie_names[MEMORY_N_LIES];
struct memory_lies {
    bool on[MEMORY_N_LIES];
};

struct memory_object {
    char *key;
    uint8_t *data;
    size_t len;
    uint64_t generation;
    int64_t modified_us;
};

struct memory_part {
    uint32_t number;
    uint32_t crc32c;
    uint64_t offset;
    uint8_t *data;
    size_t len;
};

struct memory_upload {
    char id[32];
    char *key;
    struct memory_part *parts;
    size_t n_parts;
    int64_t modified_us;
};

struct memory_map {
    struct memory_map *next;
    char *id;
    pthread_mutex_t lock;          /* all below */
    struct memory_object *objects; /* by key */
    size_t n_objects;
    size_t cap_objects;
    struct memory_upload *uploads;
    size_t n_uploads;
    uint64_t generation;
    uint64_t next_upload;
    uint64_t counts[MEMORY_N_OPS];
    memory_hook_fn hook;
    void *hook_ctx;
    int64_t now_us; /* 0: the host's */
};

/* Finds or makes; NULL where there is no memory. */
struct memory_map *memory_map_get(const char *id);
void locked_clear(struct memory_map *map);
int32_t locked_copy(struct memory_map *to, const struct memory_map *from);

/* The object, or NULL; *out_at (may be NULL) is where it is or would be. */
struct memory_object *locked_find(struct memory_map *map, const char *key,
                                  size_t *out_at);
/* Copies data; if_absent: EXISTS. */
int32_t locked_store(struct memory_map *map, const char *key, const void *data,
                     size_t len, bool if_absent, int64_t now_us);
bool locked_remove(struct memory_map *map, const char *key);

/* A put or the end of an upload, with the lies that concern it. */
struct memory_write {
    const char *key;
    const void *data;
    size_t len;
    bool if_absent;
    int64_t now_us;
};
int32_t map_write(struct memory_map *map, const struct memory_lies *lies,
                  const struct memory_write *write, uint64_t *out_generation);

/* memory_upload.c */
struct memory_upload *locked_upload(struct memory_map *map, const char *id);
int32_t map_upload_begin(struct memory_map *map, const char *key,
                         int64_t now_us, char *out_id, size_t cap);
int32_t map_upload_part(struct memory_map *map, const struct memory_lies *lies,
                        const struct persist_backend_part_args *args,
                        int64_t now_us);
/* The whole object out of the receipts' parts, malloc'ed. */
int32_t map_upload_join(struct memory_map *map, const struct memory_lies *lies,
                        const struct persist_backend_commit_args *args,
                        uint8_t **out, size_t *out_len);
bool map_upload_drop(struct memory_map *map, const char *id);
void upload_finish(struct memory_upload *upload);
size_t receipt_format(char *out, size_t cap, uint32_t number, uint32_t crc32c);

/* memory_list.c */
struct memory_listing {
    bool ordered; /* false: one page, any order */
    const struct memory_lies *lies;
};
int32_t map_list(struct memory_map *map, const struct memory_listing *how,
                 const struct persist_backend_list_args *args,
                 struct persist_backend_list_result *result);
int32_t map_list_uploads(struct memory_map *map,
                         const struct persist_backend_list_uploads_args *args);

const void *memory_control_get(const char *name);

#endif
