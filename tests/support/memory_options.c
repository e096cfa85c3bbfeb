/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the in-memory backend: their table, and from their values to
 * a handle.
 */
#include "memory_fault.h"

#include <stdlib.h>
#include <string.h>

const char *const memory_lie_names[MEMORY_N_LIES] = {
    [LIE_IGNORE_IF_ABSENT] = "ignore-if-absent",
    [LIE_RACY_IF_ABSENT] = "racy-if-absent",
    [LIE_COMMIT_REPLACES] = "commit-replaces",
    [LIE_COMMIT_HOLES] = "commit-holes",
    [LIE_EARLY_VISIBLE] = "early-visible",
    [LIE_DOUBLE_PART] = "double-part",
    [LIE_ABORT_NOT_FOUND] = "abort-not-found",
    [LIE_DELETE_NOT_FOUND] = "delete-not-found",
    [LIE_DELETE_KEEPS] = "delete-keeps",
    [LIE_IGNORE_ETAG] = "ignore-etag",
    [LIE_SHORT_READ] = "short-read",
    [LIE_WRONG_TOTAL] = "wrong-total",
    [LIE_SUFFIX_FAILS] = "suffix-fails",
    [LIE_PAST_END_FAILS] = "past-end-fails",
    [LIE_ABSENT_AS_IO] = "absent-as-io",
    [LIE_DENIED_AS_ABSENT] = "denied-as-absent",
    [LIE_TORN_REPLACE] = "torn-replace",
    [LIE_DROP_EMPTY] = "drop-empty",
    [LIE_DROP_LAST_BYTE] = "drop-last-byte",
    [LIE_ANY_KEY] = "any-key",
    [LIE_SCRAMBLED] = "scrambled",
    [LIE_NO_LIMIT] = "no-limit",
    [LIE_NO_MORE] = "no-more",
    [LIE_START_INCLUSIVE] = "start-inclusive",
    [LIE_IGNORE_PREFIX] = "ignore-prefix",
    [LIE_FOLDER_TWICE] = "folder-twice",
    [LIE_EMPTY_NOT_FOUND] = "empty-not-found",
    [LIE_IGNORE_EMIT] = "ignore-emit",
    [LIE_UPLOADS_HIDDEN] = "uploads-hidden",
    [LIE_UNKNOWN_CODE] = "unknown-code",
    [LIE_CANCEL_INTERNAL] = "cancel-internal",
    [LIE_SILENT] = "silent",
    [LIE_MANY_STATUS] = "many-status",
    [LIE_OLD_DATES] = "old-dates",
    [LIE_NO_KEY] = "no-key",
    [LIE_LIMITS_SIZE] = "limits-size",
    [LIE_CLOSE_KEEPS] = "close-keeps",
};

/* Index i is the code -1 - i; "unknown" is none of the set. */
static const char *const status_names[] = {
    "not_found", "exists",      "precondition", "auth",      "denied",
    "throttled", "transient",   "timeout",      "cancelled", "corrupt",
    "no_space",  "unsupported", "invalid",      "config",    "memory",
    "io",        "uncertain",   "not_durable",  "internal",  "unknown",
    NULL};
static const char *const when_names[] = {"before", "after", NULL};

enum option_id {
    OPT_STORE,
    OPT_ACTOR,
    OPT_LIES,
    OPT_UNORDERED,
    OPT_IGNORE_IF_ABSENT,
    OPT_CHECK_IF_ABSENT,
    OPT_RESUMABLE,
    OPT_FILE_ONLY,
    OPT_DENIED,
    OPT_SERIAL,
    OPT_LATENCY,
    OPT_LATENCY_OP,
    OPT_FAIL_OP,
    OPT_FAIL_AT,
    OPT_FAIL_TIMES,
    OPT_FAIL_STATUS,
    OPT_FAIL_WHEN,
    OPT_RETRY_AFTER,
    OPT_UNCERTAIN,
    OPT_PART_MIN,
    OPT_PART_MAX,
    OPT_PART_ALIGN,
    OPT_EQUAL_PARTS,
    OPT_PUT_MAX,
    OPT_OBJECT_MAX,
    OPT_PARTS_MAX,
    OPT_PARALLEL_MAX,
    OPT_KEY_MAX,
    OPT_TOKEN,
    N_OPTIONS
};

#define SINCE "1"
#define TEXT(k, def, text)                                                     \
    {                                                                          \
        .key = (k), .type = PERSIST_BACKEND_STRING, .default_text = (def),     \
        .help = (text), .since = SINCE                                         \
    }
#define FLAG(k, text)                                                          \
    {                                                                          \
        .key = (k), .type = PERSIST_BACKEND_BOOL, .default_text = "false",     \
        .help = (text), .since = SINCE                                         \
    }
#define NUMBER(k, kind, low, def, text)                                        \
    {                                                                          \
        .key = (k), .type = (kind), .default_text = (def), .min = (low),       \
        .flags = PERSIST_BACKEND_HAS_MIN, .help = (text), .since = SINCE       \
    }
#define CHOOSE(k, list, def, text)                                             \
    {                                                                          \
        .key = (k), .type = PERSIST_BACKEND_CHOICE, .choices = (list),         \
        .default_text = (def), .help = (text), .since = SINCE                  \
    }
#define INTEGER PERSIST_BACKEND_INT
#define BYTES PERSIST_BACKEND_SIZE
#define TIME PERSIST_BACKEND_DURATION

const struct persist_backend_option memory_options[N_OPTIONS] = {
    [OPT_STORE] = TEXT("store", "default", "which of the process's maps"),
    [OPT_ACTOR] = TEXT("actor", "", "who this store is, for hooks"),
    [OPT_LIES] = {.key = "lies",
                  .type = PERSIST_BACKEND_LIST,
                  .flags = PERSIST_BACKEND_REPEATABLE,
                  .help = "what to get wrong (tests/support/README.md)",
                  .since = SINCE},
    [OPT_UNORDERED] = FLAG("unordered", "list in no order, and say so"),
    [OPT_IGNORE_IF_ABSENT] =
        FLAG("ignore_if_absent", "replace always; ask to be checked"),
    [OPT_CHECK_IF_ABSENT] =
        FLAG("check_if_absent", "honour if_absent, and ask to be checked"),
    [OPT_RESUMABLE] = FLAG("resumable", "declare upload ids to be lasting"),
    [OPT_FILE_ONLY] = FLAG("file_only", "declare no durability of names"),
    [OPT_DENIED] = FLAG("denied", "answer denied to everything"),
    [OPT_SERIAL] = FLAG("serial", "fail where two ops run at once"),
    [OPT_LATENCY] = NUMBER("latency", TIME, 0, "0ms", "wait before each op"),
    [OPT_LATENCY_OP] =
        CHOOSE("latency_op", memory_op_names, "any", "which op waits"),
    [OPT_FAIL_OP] =
        CHOOSE("fail_op", memory_op_names, NULL, "which op is to fail"),
    [OPT_FAIL_AT] =
        NUMBER("fail_at", INTEGER, 1, "1", "the first call of it that fails"),
    [OPT_FAIL_TIMES] =
        NUMBER("fail_times", INTEGER, 0, "1", "how many fail; 0 for good"),
    [OPT_FAIL_STATUS] =
        CHOOSE("fail_status", status_names, "transient", "with which code"),
    [OPT_FAIL_WHEN] = CHOOSE("fail_when", when_names, "before",
                             "before the effect, or after (reply lost)"),
    [OPT_RETRY_AFTER] = NUMBER("retry_after", TIME, 0, "0ms",
                               "what the failure asks the host to wait"),
    [OPT_UNCERTAIN] =
        FLAG("uncertain", "short for fail_status uncertain, fail_when after"),
    [OPT_PART_MIN] = NUMBER("part_min", BYTES, 0, "0", "declared limit"),
    [OPT_PART_MAX] = NUMBER("part_max", BYTES, 0, "0", "declared limit"),
    [OPT_PART_ALIGN] = NUMBER("part_align", BYTES, 0, "0", "declared limit"),
    [OPT_EQUAL_PARTS] = FLAG("equal_parts", "declared limit"),
    [OPT_PUT_MAX] = NUMBER("put_max", BYTES, 0, "0", "declared limit"),
    [OPT_OBJECT_MAX] = NUMBER("object_max", BYTES, 0, "0", "declared limit"),
    [OPT_PARTS_MAX] = NUMBER("parts_max", INTEGER, 0, "0", "declared limit"),
    [OPT_PARALLEL_MAX] =
        NUMBER("parallel_max", INTEGER, 0, "0", "declared limit"),
    [OPT_KEY_MAX] = NUMBER("key_max", INTEGER, 0, "1024", "declared limit"),
    [OPT_TOKEN] = {.key = "token",
                   .type = PERSIST_BACKEND_SECRET,
                   .help = "a secret nobody uses",
                   .since = SINCE},
};
_Static_assert(N_OPTIONS == MEMORY_N_OPTIONS, "count them again");

static const struct persist_backend_value *
value_at(const struct persist_backend_config *config, enum option_id id)
{
    const char *base = (const char *)config->values;
    return (const void *)(base + (size_t)id * config->value_size);
}

static bool flag(const struct persist_backend_config *config, enum option_id id)
{
    return value_at(config, id)->number != 0;
}

static uint64_t number(const struct persist_backend_config *config,
                       enum option_id id)
{
    return (uint64_t)value_at(config, id)->number;
}

static const char *text(const struct persist_backend_config *config,
                        enum option_id id)
{
    const char *value = value_at(config, id)->text;
    return value ? value : "";
}

static int32_t set_lie(struct memory_lies *lies, const char *name,
                       struct persist_backend_error *error)
{
    for (int i = 0; i < MEMORY_N_LIES; i++) {
        if (strcmp(memory_lie_names[i], name) == 0) {
            lies->on[i] = true;
            return PERSIST_BACKEND_OK;
        }
    }
    memory_error(error, "lies: no such lie:", name);
    return PERSIST_BACKEND_CONFIG;
}

static int32_t read_lies(const struct persist_backend_config *config,
                         struct memory_lies *lies,
                         struct persist_backend_error *error)
{
    const struct persist_backend_value *list = value_at(config, OPT_LIES);
    for (uint32_t i = 0; i < list->n_items; i++) {
        int32_t rc = set_lie(lies, list->items[i], error);
        if (rc)
            return rc;
    }
    if (flag(config, OPT_IGNORE_IF_ABSENT))
        lies->on[LIE_IGNORE_IF_ABSENT] = true;
    return PERSIST_BACKEND_OK;
}

static int32_t status_from_name(const char *name)
{
    for (int i = 0; status_names[i]; i++)
        if (strcmp(status_names[i], name) == 0)
            return strcmp(name, "unknown") == 0 ? -1000 : -1 - i;
    return PERSIST_BACKEND_TRANSIENT;
}

static void read_fault(const struct persist_backend_config *config,
                       struct memory_fault *fault)
{
    fault->op = memory_op_id(text(config, OPT_FAIL_OP));
    fault->at = number(config, OPT_FAIL_AT);
    fault->times = number(config, OPT_FAIL_TIMES);
    fault->status = status_from_name(text(config, OPT_FAIL_STATUS));
    fault->after = strcmp(text(config, OPT_FAIL_WHEN), "after") == 0;
    fault->retry_after_ms = number(config, OPT_RETRY_AFTER);
    if (flag(config, OPT_UNCERTAIN)) {
        fault->status = PERSIST_BACKEND_UNCERTAIN;
        fault->after = true;
    }
    atomic_init(&fault->calls, 0);
}

static uint32_t limit_flags(const struct persist_backend_config *config)
{
    uint32_t flags = 0;
    if (!flag(config, OPT_UNORDERED))
        flags |= PERSIST_BACKEND_ORDERED_LISTING;
    if (flag(config, OPT_RESUMABLE))
        flags |= PERSIST_BACKEND_RESUMABLE;
    if (flag(config, OPT_EQUAL_PARTS))
        flags |= PERSIST_BACKEND_EQUAL_PARTS;
    if (flag(config, OPT_IGNORE_IF_ABSENT) || flag(config, OPT_CHECK_IF_ABSENT))
        flags |= PERSIST_BACKEND_CHECK_IF_ABSENT;
    if (flag(config, OPT_FILE_ONLY))
        flags |= PERSIST_BACKEND_DURABLE_FILE_ONLY;
    return flags;
}

int32_t memory_options_read(const struct persist_backend_config *config,
                            struct memory_handle *handle,
                            struct persist_backend_error *error)
{
    const char *id = text(config, OPT_STORE);
    handle->map = memory_map_get(*id ? id : "default");
    handle->actor = strdup(text(config, OPT_ACTOR));
    if (!handle->map || !handle->actor)
        return PERSIST_BACKEND_MEMORY;
    read_fault(config, &handle->fault);
    const char *latency_op = text(config, OPT_LATENCY_OP);
    handle->latency_op = memory_op_id(*latency_op ? latency_op : "any");
    handle->latency_ms = number(config, OPT_LATENCY);
    handle->denied = flag(config, OPT_DENIED);
    handle->serial = flag(config, OPT_SERIAL);
    handle->limits = (struct persist_backend_limits){
        .flags = limit_flags(config),
        .part_min = number(config, OPT_PART_MIN),
        .part_max = number(config, OPT_PART_MAX),
        .part_align = number(config, OPT_PART_ALIGN),
        .put_max = number(config, OPT_PUT_MAX),
        .object_max = number(config, OPT_OBJECT_MAX),
        .parts_max = (uint32_t)number(config, OPT_PARTS_MAX),
        .parallel_max = (uint32_t)number(config, OPT_PARALLEL_MAX),
        .key_max = (uint32_t)number(config, OPT_KEY_MAX),
    };
    return read_lies(config, &handle->lies, error);
}
