/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist/persist.h - the public API of libpersist.
 *
 * Persist keeps the state of something as numbered, verified, durable snapshots
 * in a store and gives back exactly those bytes.
 *
 *     struct persist *p = NULL;
 *     struct persist_store *store = NULL;
 *     struct persist_error err;
 *
 *     if (persist_create(NULL, &p, &err) ||
 *         persist_open(p, NULL, &store, &err) ||
 *         persist_save_buffer(store, "writer", "{}", 2, NULL, NULL, &err))
 *         fprintf(stderr, "%s\n", err.message);
 *     persist_close(store);
 *     persist_destroy(p);
 *
 * Objects.  struct persist is one instance: configuration, memory limit, log,
 * loaded backends.  It opens stores; stores run operations.  Instances and
 * stores may be shared by threads.  A listing, a reader, a builder and an op
 * belong to one thread at a time (persist_op_cancel and persist_op_progress may
 * be called from any).
 *
 * Structs.  An options struct begins with struct_size, which its INIT macro
 * sets; all else zero means "the default".  NULL instead of an options struct
 * means all defaults.  What counts only with a flag (a range, a fence) is
 * INVALID without it.  A struct the library hands out is read-only.  Structs
 * grow at their end, and programs and libraries of different versions go
 * together: what a program's struct does not have is zero, what it has and the
 * library does not know must be zero (UNSUPPORTED) and is not written.  Structs
 * in an array are as far apart as the first one's struct_size says, whoever
 * made it.  Three members mean the same in all of them: timeout_ms is the time
 * for the whole call in milliseconds, 0 for as long as it takes (a save that is
 * stopped takes back what it has begun, for which it has 5 seconds more, and 10
 * where an upload must be aborted); op, or NULL, lets another thread watch or
 * stop the call; a ctx is handed to its callback unchanged.
 *
 * Addresses.  Text, the same everywhere: AGENT[/SESSION][@INDEX|@latest], where
 * the session defaults to "default" and the index to the latest.  "/ : @ %" and
 * control characters within a name are percent-encoded;
 * persist_address_format does it.  A leading "STORE:" is accepted where it
 * names the store the call is made on.
 *
 * Durability.  PERSIST_OK from a save means that the snapshot survives kill -9
 * and power loss.  PERSIST_E_NOT_DURABLE and PERSIST_E_UNCERTAIN say exactly
 * what their names say.
 *
 * Callbacks.  Sources, sinks and reports are called on the thread that made the
 * call, never on one of Persist's own, and must not call back into the same
 * store's listing or reader they serve.  Other calls they may make.  Those, and
 * a save from open readers, have to fit into memory_limit beside the calls and
 * readers that hold some: MEMORY where they waited 10 seconds for it.  After a
 * second they go before calls that wait holding nothing.  A restore leaves room
 * for a save from its sink from 32 MiB on.  A reader leaves half of what is
 * free when it is opened, so that copies fit: from one from 32 MiB on, from two
 * of them from 64 MiB on.
 *
 * Process.  The library never prints, exits, installs signal handlers, or
 * changes umask, locale, working directory or environment.  After fork every
 * call in the child answers PERSIST_E_FORKED; those that close, destroy or stop
 * something of the parent's do nothing.
 */
#ifndef PERSIST_PERSIST_H
#define PERSIST_PERSIST_H

#include <stddef.h>
#include <stdint.h>

#include <persist/error.h>
#include <persist/version.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ----------------------------------------------------------------- library */

struct persist;
struct persist_store;
struct persist_store_builder;
struct persist_reader;
struct persist_listing;
struct persist_op;

/* The version of the library that is running: "0.2.0-alpha".  Lives for
 * ever. */
PERSIST_API const char *persist_version(void);

/* Frees memory the library handed to the caller (text, buffers); NULL is
 * fine. */
PERSIST_API void persist_free(void *memory);

/* What an INIT macro stands for: the size, and all else zero.  Not to be used
 * by itself; in C++ it is an expression, because designated initializers came
 * with C++20. */

#ifdef __cplusplus
extern "C++" {
template <class T> inline T persist_init_()
{
    T sized = T();
    sized.struct_size = static_cast<uint32_t>(sizeof(T));
    return sized;
}
}
#define PERSIST_INIT_(type) persist_init_<type>()
#else
#define PERSIST_INIT_(type)                                                    \
    {                                                                          \
        .struct_size = sizeof(type)                                            \
    }
#endif

/* ---------------------------------------------------------------- instance */

/* What a log line is about, and from which level on lines are kept. */
enum persist_log_level {
    PERSIST_LOG_DEFAULT = 0, /* as configured (warn) */
    PERSIST_LOG_ERROR = 1,   /* something failed */
    PERSIST_LOG_WARN = 2,    /* it went on, and somebody should look */
    PERSIST_LOG_INFO = 3,    /* operations and what came of them */
    PERSIST_LOG_DEBUG = 4,   /* requests; may name keys */
    PERSIST_LOG_OFF = 5      /* no line at all */
};

/* One finished, redacted log line (logfmt or JSON) without a newline.  May be
 * called from several threads at once; must not call the library. */
typedef void (*persist_log_fn)(void *ctx, int level, const char *line,
                               size_t len);

/* Finished spans: one line of OTLP JSON (an ExportTraceServiceRequest) without
 * a newline.  Called when an operation ends, and earlier where there are many;
 * never twice at once; must not call the library. */
typedef void (*persist_trace_fn)(void *ctx, const char *line, size_t len);

/* The least memory_limit there may be, wherever it is set: bytes. */
#define PERSIST_MEMORY_LIMIT_MIN (UINT64_C(8) << 20)

/* Flag of struct persist_options: read no configuration file. */
#define PERSIST_NO_CONFIG_FILES UINT32_C(1)
/* Flag of struct persist_options: read no PERSIST_* variable, and no
 * TRACEPARENT. */
#define PERSIST_NO_ENVIRONMENT UINT32_C(2)

/* What persist_create takes.  Copied: nothing has to outlive the call. */
struct persist_options {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_NO_CONFIG_FILES, PERSIST_NO_ENVIRONMENT */
    /* One more configuration file, read last; it must exist.  NULL: none. */
    const char *config_file;
    /* Settings that win over files and environment, "key=value": keys of
     * [persist], and backend options for every store this instance opens.
     * n_settings strings. */
    const char *const *settings;
    size_t n_settings; /* strings in settings */
    /* Directories searched for NAME.so before the built-in one, absolute. */
    const char *const *backend_dirs;
    size_t n_backend_dirs; /* strings in backend_dirs */
    /* Bytes for pipeline and plugins, at least PERSIST_MEMORY_LIMIT_MIN
     * (INVALID else); 0: as configured (256 MiB). */
    uint64_t memory_limit;
    /* Where log lines go; NULL: nowhere. */
    persist_log_fn log;
    void *log_ctx;
    /* enum persist_log_level; 0: as configured (warn). */
    int32_t log_level;
    uint32_t reserved;
    /* Bytes per second that all stores of this instance together send; 0: as
     * configured (no limit), UINT64_MAX: no limit. */
    uint64_t limit_upload;
    uint64_t limit_download; /* the same, of what is received */
    /* Where small private files are kept between runs: what was found out about
     * a store, uploads to resume.  Absolute; NULL: $XDG_STATE_HOME/persist or
     * $HOME/.local/state/persist; "": nowhere. */
    const char *state_dir;
    /* Where spans go, beside the configured trace_file; NULL: nowhere. */
    persist_trace_fn trace;
    void *trace_ctx;
};
#define PERSIST_OPTIONS_INIT PERSIST_INIT_(struct persist_options)

/*
 * Creates an instance: reads and checks the configuration.  Loads no backend,
 * starts no thread.  *out is the caller's, freed with persist_destroy.
 * Codes: CONFIG (err names file and line), INVALID and MISUSE (options),
 * MEMORY.
 */
PERSIST_API int persist_create(const struct persist_options *options,
                               struct persist **out, struct persist_error *err);

/*
 * Asks every operation of the instance, running or to come, to stop: they
 * answer PERSIST_E_CANCELLED.  Async-signal-safe; may be called from a signal
 * handler and repeatedly.  NULL is fine.
 */
PERSIST_API void persist_interrupt(struct persist *p);

/* Interrupts, waits for running operations, frees.  All stores, readers and
 * listings of it must be closed before.  NULL is fine. */
PERSIST_API void persist_destroy(struct persist *p);

/* ------------------------------------------------------------------ stores */

/*
 * Opens the store `name` of the configuration; NULL: the default store, which
 * without any configuration is a local one in $XDG_DATA_HOME/persist
 * (root: /var/lib/persist).  Makes no request.  *out is the caller's, freed
 * with persist_close. Codes: NOT_FOUND (no such store configured), CONFIG
 * (options, plugin).
 */
PERSIST_API int persist_open(struct persist *p, const char *name,
                             struct persist_store **out,
                             struct persist_error *err);
/* Waits for the store's running operations, and for readers and listings that
 * are open, and frees it.  Not from a callback, and not before the thread's own
 * readers and listings are closed: it would wait for itself.  After 10 seconds
 * a line in the log (warn) says so.  NULL is fine. */
PERSIST_API void persist_close(struct persist_store *store);

/* The store's name ("main"; a builder's: "builder"); lives as long as the
 * store. */
PERSIST_API const char *persist_store_name(const struct persist_store *store);
/* The name of its backend ("local"); lives as long as the store. */
PERSIST_API const char *
persist_store_backend(const struct persist_store *store);

/* ----------------------------------------------------------- store builders */

/*
 * Begins a store without a configuration file; the backend's options are set,
 * then it is built.  *out is the caller's, until persist_store_builder_build or
 * persist_store_builder_destroy takes it.  Codes: MEMORY.
 */
PERSIST_API int persist_store_builder_create(struct persist *p,
                                             const char *backend,
                                             struct persist_store_builder **out,
                                             struct persist_error *err);
/* Sets an option, copied.  Never fails at once: building names every problem.
 * Of an option that is set again the last value counts, of a repeatable list
 * all. */
PERSIST_API void persist_store_builder_set(struct persist_store_builder *b,
                                           const char *key, const char *value);
/*
 * Makes the store and frees the builder, also when it fails.  Makes no request.
 * *out is the caller's, freed with persist_close.  Codes: CONFIG with every
 * problem in one error (unknown key, bad value, missing option, no such
 * backend), MEMORY.
 */
PERSIST_API int persist_store_builder_build(struct persist_store_builder *b,
                                            struct persist_store **out,
                                            struct persist_error *err);
/* Frees a builder that is not to be built.  NULL is fine. */
PERSIST_API void persist_store_builder_destroy(struct persist_store_builder *b);

/* --------------------------------------------------------------- addresses */

#define PERSIST_NAME_MAX 255 /* bytes of an agent or session, encoded */
/* The highest index there can be; they begin at 0. */
#define PERSIST_INDEX_MAX UINT64_C(999999999999999999)

/* What struct persist_address.present may hold. */

#define PERSIST_ADDRESS_STORE UINT32_C(1)   /* present: store */
#define PERSIST_ADDRESS_AGENT UINT32_C(2)   /* present: agent */
#define PERSIST_ADDRESS_SESSION UINT32_C(4) /* present: session */
#define PERSIST_ADDRESS_INDEX UINT32_C(8)   /* present: index */
#define PERSIST_ADDRESS_LATEST UINT32_C(16) /* "@latest" was written out */

/* An address taken apart; names are raw (decoded) text. */
struct persist_address {
    uint32_t struct_size;
    uint32_t present; /* PERSIST_ADDRESS_* of the members that are set */
    uint64_t index;   /* of the snapshot */
    char store[64];   /* name of the store */
    char agent[PERSIST_NAME_MAX + 1]; /* name of the agent, NUL-terminated */
    char
        session[PERSIST_NAME_MAX + 1]; /* name of the session, NUL-terminated */
};
#define PERSIST_ADDRESS_INIT PERSIST_INIT_(struct persist_address)

/* Takes `[STORE:][AGENT[/SESSION][@INDEX|@latest]]` apart.  INVALID with what
 * is wrong where. */
PERSIST_API int persist_address_parse(const char *text,
                                      struct persist_address *out,
                                      struct persist_error *err);
/* The opposite.  Writes at most cap bytes with a NUL; INVALID where cap or a
 * name does not do.  1,600 bytes always do. */
PERSIST_API int persist_address_format(const struct persist_address *address,
                                       char *out, size_t cap,
                                       struct persist_error *err);

/* -------------------------------------------------------------- operations */

/*
 * A handle on one operation: give it in the options of a call, then watch or
 * stop that call from another thread.  One call at a time; may be used again
 * for the next as long as it was not cancelled.  *out is the caller's, freed
 * with persist_op_destroy after the call has returned.
 * Codes: MEMORY.
 */
PERSIST_API int persist_op_create(struct persist *p, struct persist_op **out,
                                  struct persist_error *err);
/* Frees it; no call with it may be running.  NULL is fine. */
PERSIST_API void persist_op_destroy(struct persist_op *op);
/* The call answers PERSIST_E_CANCELLED soon, unless it is already past its
 * commit.  So does every later call with this op: one that was cancelled stays
 * so, whether the call had begun or not.  Thread-safe. */
PERSIST_API void persist_op_cancel(struct persist_op *op);

/* The W3C traceparent of what the next calls with this op are part of; NULL:
 * none.  Without it TRACEPARENT of the environment counts.  Not while a call
 * runs.  INVALID where it is malformed; UNSUPPORTED in a build without
 * PERSIST_METRICS. */
PERSIST_API int persist_op_set_traceparent(struct persist_op *op,
                                           const char *traceparent,
                                           struct persist_error *err);

/* How far a call is. */
struct persist_progress {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t payload_bytes; /* moved so far */
    uint64_t payload_total; /* 0: not known (yet) */
    uint64_t stored_bytes;  /* sent to or read from the store so far */
};
#define PERSIST_PROGRESS_INIT PERSIST_INIT_(struct persist_progress)
/* How far the call with this op is, or how far the last one came.  Thread-safe,
 * never blocks. */
PERSIST_API void persist_op_progress(struct persist_op *op,
                                     struct persist_progress *out);

/* ---------------------------------------------------------------- metadata */

/* A word of the caller's about a snapshot. */
struct persist_label {
    const char *key;   /* unique within a snapshot */
    const char *value; /* any text, may be "" */
};

/* What struct persist_metadata.present may hold. */

/* The fields known after the payload are set. */
#define PERSIST_META_TRAILER UINT32_C(1)
#define PERSIST_META_STORED_SIZE UINT32_C(2) /* compressed_size */
#define PERSIST_META_FILE_ONLY UINT32_C(4)   /* a save's: durability = file */
#define PERSIST_META_UNCHANGED UINT32_C(8)   /* a save's: nothing was written */

/*
 * What a snapshot says of itself.  Allocated by the library, read-only, freed
 * with persist_metadata_free.  Optional text is NULL where absent.
 */
struct persist_metadata {
    uint32_t struct_size;
    uint32_t present;           /* PERSIST_META_* of what is set */
    uint32_t format_version;    /* of the snapshot file */
    int32_t compression_level;  /* of its algorithm */
    uint64_t snapshot_index;    /* within the session */
    uint64_t frame_size;        /* bytes of payload per frame */
    uint64_t uncompressed_size; /* TRAILER */
    uint64_t frame_count;       /* TRAILER */
    uint64_t compressed_size;   /* STORED_SIZE: of the whole stored object */
    const char *snapshot_id;    /* UUIDv7 */
    const char *agent_id;       /* name of the agent, decoded */
    const char *session_id;     /* name of the session, decoded */
    const char *timestamp;      /* RFC 3339 UTC, microseconds */
    const char *parent_id;      /* or NULL */
    const char *compression_algorithm; /* "zstd", "gzip" */
    const char *content_type;          /* MIME type of the payload */
    const char *schema;                /* or NULL */
    const char *description;           /* or NULL */
    const char *producer_name;         /* what wrote the snapshot */
    const char *producer_version;      /* and which version of it */
    const char *content_hash;  /* TRAILER: SHA-256 of the payload, hex */
    const char *stored_crc32c; /* TRAILER: 8 hex digits */
    /* What a reader must know, `requires` of the file; this one does. */
    const char *const *required_features;
    const struct persist_label *labels; /* sorted by key bytes */
    size_t n_required_features;         /* names in required_features */
    size_t n_labels;                    /* labels */
};

/* Frees it with all it points to.  NULL is fine. */
PERSIST_API void persist_metadata_free(struct persist_metadata *metadata);

/* The metadata as one JSON object, in the field names of the snapshot file;
 * unknown fields the file held are kept.  *out is freed with persist_free.
 * Codes: MEMORY. */
PERSIST_API int persist_metadata_json(const struct persist_metadata *metadata,
                                      char **out, struct persist_error *err);

/* -------------------------------------------------------------------- save */

/* Where a save reads its payload. */
struct persist_source {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_SOURCE_SIZE */
    uint64_t size;  /* exact: an earlier or later end fails the save */
    /* Stores up to cap bytes in out and their count; 0 bytes is the end.  May
     * block.  A negative return ends the save with that code; it may fill err.
     */
    int (*read)(void *ctx, void *out, size_t cap, size_t *out_len,
                struct persist_error *err);
    void *ctx;
};
#define PERSIST_SOURCE_SIZE UINT32_C(1) /* size of the source is set */
#define PERSIST_SOURCE_INIT PERSIST_INIT_(struct persist_source)

/* What a snapshot is compressed with. */
enum persist_compression {
    PERSIST_COMPRESSION_DEFAULT = 0, /* zstd */
    PERSIST_COMPRESSION_ZSTD = 1,    /* a standard zstd file */
    PERSIST_COMPRESSION_GZIP = 2     /* a standard gzip file */
};

/* What struct persist_save_options.flags may hold. */

/* CONFLICT unless `index` is next. */
#define PERSIST_SAVE_INDEX UINT32_C(1)
/* CONFLICT if there is one above `after`. */
#define PERSIST_SAVE_AFTER UINT32_C(2)
/* `level` is set. */
#define PERSIST_SAVE_LEVEL UINT32_C(4)
/* Same payload as the latest: write nothing, PERSIST_META_UNCHANGED. */
#define PERSIST_SAVE_SKIP_UNCHANGED UINT32_C(8)
/* `size_hint` is set: an estimate. */
#define PERSIST_SAVE_SIZE_HINT UINT32_C(16)
/* Do all but write; the metadata shows what a save would have made. */
#define PERSIST_SAVE_DRY_RUN UINT32_C(32)
/* `timestamp_us` is set. */
#define PERSIST_SAVE_TIMESTAMP UINT32_C(64)
/* Of a file: where the upload is interrupted, leave it as it is and write down
 * (in state_dir) what is needed to go on; a later save of the same file to the
 * same session with the same options, within 5 days, sends only what is
 * missing.  Where a store cannot resume it starts anew. */
#define PERSIST_SAVE_RESUME UINT32_C(128)

/* What a save can be asked for.  Read during the call only. */
struct persist_save_options {
    uint32_t struct_size;
    uint32_t flags;      /* PERSIST_SAVE_* */
    uint64_t index;      /* the index it must get, with INDEX */
    uint64_t after;      /* the latest index there may be, with AFTER */
    uint64_t size_hint;  /* bytes */
    uint64_t frame_size; /* bytes, a power of two, 64 KiB to 16 MiB; 0: 4 MiB */
    uint64_t timeout_ms; /* 0: none; for the whole call */
    int64_t timestamp_us; /* since 1970 UTC; otherwise the start of the save */
    int32_t compression;  /* enum persist_compression */
    int32_t level; /* zstd 1 to 19 (default 1), gzip 0 to 3 (default 1) */
    const char *description;  /* for people, or NULL */
    const char *schema;       /* what the payload's bytes mean, or NULL */
    const char *content_type; /* NULL: application/octet-stream */
    const char *parent_id;    /* NULL: that of `after`'s snapshot, else none */
    const struct persist_label *labels; /* keys unique */
    size_t n_labels;                    /* labels */
    struct persist_op *op;              /* or NULL */
};
#define PERSIST_SAVE_OPTIONS_INIT PERSIST_INIT_(struct persist_save_options)

/*
 * Saves a payload as the next snapshot of a session.  The address names agent
 * and session (an index in it is INVALID).  On success, and on NOT_DURABLE,
 * *out_metadata (where out_metadata is not NULL) is the caller's.
 * Codes: CONFLICT, INVALID, NO_SPACE, NOT_DURABLE, UNCERTAIN, TIMEOUT,
 * CANCELLED, MEMORY, what the source returned, and those of the store.
 */
PERSIST_API int persist_save(struct persist_store *store, const char *address,
                             const struct persist_source *source,
                             const struct persist_save_options *options,
                             struct persist_metadata **out_metadata,
                             struct persist_error *err);
/* Saves len bytes of memory.  len may be 0, and then data NULL. */
PERSIST_API int persist_save_buffer(struct persist_store *store,
                                    const char *address, const void *data,
                                    size_t len,
                                    const struct persist_save_options *options,
                                    struct persist_metadata **out_metadata,
                                    struct persist_error *err);
/* Saves a file by path (not a directory; symbolic links are followed). */
PERSIST_API int persist_save_file(struct persist_store *store,
                                  const char *address, const char *path,
                                  const struct persist_save_options *options,
                                  struct persist_metadata **out_metadata,
                                  struct persist_error *err);
/* Saves what a descriptor gives from its current position to its end (a pipe,
 * which is widened to 1 MiB where the system lets, or a file).  It stays open.
 */
PERSIST_API int persist_save_fd(struct persist_store *store,
                                const char *address, int fd,
                                const struct persist_save_options *options,
                                struct persist_metadata **out_metadata,
                                struct persist_error *err);

/* ------------------------------------------------------------------- batch */

/*
 * One save of a batch: what is asked, and what became of it.  data and len as
 * in persist_save_buffer; options may be NULL and must set neither op nor
 * timeout_ms, which are the batch's.  address, data and options are the
 * caller's and stay until the call (or, of an asynchronous one, its completion)
 * has come back.
 */
struct persist_batch_item {
    uint32_t struct_size;
    int32_t status; /* out: OK or a code, as persist_save_buffer returns it */
    const char *address;                        /* agent and session */
    const void *data;                           /* payload */
    size_t len;                                 /* its bytes */
    const struct persist_save_options *options; /* of this save, or NULL */
    /* out: set on OK and NOT_DURABLE; freed by the caller with
     * persist_metadata_free, or all at once with persist_batch_finish. */
    struct persist_metadata *metadata;
    /* out: set where status is not OK, or NULL where there was no memory for
     * it; freed by the caller with persist_free. */
    struct persist_error *error;
};
#define PERSIST_BATCH_ITEM_INIT PERSIST_INIT_(struct persist_batch_item)

/* What all saves of a batch have in common. */
struct persist_batch_options {
    uint32_t struct_size;
    uint32_t flags;        /* 0 */
    uint64_t timeout_ms;   /* 0: none; for the whole call */
    struct persist_op *op; /* or NULL; its progress counts all payloads */
};
#define PERSIST_BATCH_OPTIONS_INIT PERSIST_INIT_(struct persist_batch_options)

/*
 * Saves many snapshots with one acknowledgement for all: when it returns, every
 * item has its status, and what is OK is as durable as any save.  It is for
 * those who can wait a moment: the local backend makes up to 128 snapshots
 * durable for one flush of the file system and one of each directory, others
 * are sent their requests in parallel.
 *
 * The items are independent: sessions may differ or be the same, one that fails
 * does not stop the others, and after a crash any of those that were not yet
 * acknowledged may be there.  Items of one session take their indices in the
 * order of the array (a reader sees them appear in any), also beside other
 * threads that save through this store.  Where another process, or another open
 * store, takes one of those indices meanwhile, the item that lost it takes the
 * next free one, behind later items: who orders a session that others save to
 * as well saves one by one, with AFTER.  Items above 256 KiB, and those with
 * INDEX, AFTER, SKIP_UNCHANGED or DRY_RUN, are saved one by one in their place
 * of that order.
 *
 * Returns OK where every item is, else the first status in the array that is
 * not, with its err.  MISUSE: struct_size of an item is not set, or not the
 * first's, or items is NULL; no item has a status then.  Codes of an item:
 * those of persist_save_buffer.
 */
PERSIST_API int persist_save_batch(struct persist_store *store,
                                   struct persist_batch_item *items,
                                   size_t n_items,
                                   const struct persist_batch_options *options,
                                   struct persist_error *err);
/* Frees metadata and error of every item and sets them to NULL.  items may be
 * NULL. */
PERSIST_API void persist_batch_finish(struct persist_batch_item *items,
                                      size_t n_items);

/* ----------------------------------------------------------------- restore */

/* Where a restore writes: in order, every call whole or an error, with a frame
 * at most, often a part of one.  Bytes that were handed over are verified frame
 * by frame; the end may still prove wrong, and then the call fails: take back
 * what was written. */
struct persist_sink {
    uint32_t struct_size;
    uint32_t flags; /* 0 */
    /* Takes all len bytes or returns a negative code, which ends the restore;
     * it may fill err. */
    int (*write)(void *ctx, const void *data, size_t len,
                 struct persist_error *err);
    void *ctx;
};
#define PERSIST_SINK_INIT PERSIST_INIT_(struct persist_sink)

/* Flag of struct persist_restore_options: only the bytes of offset and length.
 * What is read is checked, and not that header and frames belong together,
 * which two sums over the whole say (docs/durability.md). */
#define PERSIST_RESTORE_RANGE UINT32_C(1)
/* Flag of struct persist_restore_options, of a file: replace it atomically. */
#define PERSIST_RESTORE_OVERWRITE UINT32_C(2)

/* What a restore can be asked for.  Read during the call only. */
struct persist_restore_options {
    uint32_t struct_size;
    uint32_t flags;      /* PERSIST_RESTORE_RANGE, PERSIST_RESTORE_OVERWRITE */
    uint64_t offset;     /* bytes of payload; behind the end: INVALID */
    uint64_t length;     /* cut at the end of the payload */
    uint64_t timeout_ms; /* 0: none */
    const char *require_schema; /* CONFLICT where the snapshot's differs */
    struct persist_op *op;
};
#define PERSIST_RESTORE_OPTIONS_INIT                                           \
    PERSIST_INIT_(struct persist_restore_options)

/*
 * Gives back a snapshot's payload, verified.  An address without an index means
 * the latest.  On success *out_metadata (where out_metadata is not NULL) is the
 * caller's, here and in the next three calls.
 * Codes: NOT_FOUND, CORRUPT, CONFLICT (schema), UNSUPPORTED (a newer format),
 * INVALID, what the sink returned, and those of the store.
 */
PERSIST_API int persist_restore(struct persist_store *store,
                                const char *address,
                                const struct persist_sink *sink,
                                const struct persist_restore_options *options,
                                struct persist_metadata **out_metadata,
                                struct persist_error *err);
/* Restores into memory; *out is freed with persist_free and has a NUL behind
 * its end. max_len: MEMORY rather than more bytes than that (0: the memory
 * limit). */
PERSIST_API int persist_restore_buffer(
    struct persist_store *store, const char *address, size_t max_len,
    const struct persist_restore_options *options, void **out, size_t *out_len,
    struct persist_metadata **out_metadata, struct persist_error *err);
/* Restores to a file, durably: it appears whole and verified, or not at all.
 * EXISTS where it is there and OVERWRITE is not set; never through a symbolic
 * link, on a directory, FIFO or device (INVALID). */
PERSIST_API int persist_restore_file(
    struct persist_store *store, const char *address, const char *path,
    const struct persist_restore_options *options,
    struct persist_metadata **out_metadata, struct persist_error *err);
/* Restores to a descriptor, in order.  It stays open, and blocking if it was; a
 * pipe is widened to 1 MiB where the system lets, and IO (without SIGPIPE)
 * where nobody reads it any more.  As with a sink, a failure may come after
 * bytes were written. */
PERSIST_API int
persist_restore_fd(struct persist_store *store, const char *address, int fd,
                   const struct persist_restore_options *options,
                   struct persist_metadata **out_metadata,
                   struct persist_error *err);

/* ------------------------------------------------------------------ readers */

/*
 * Opens a snapshot as a stream that is verified as it goes.  *out is the
 * caller's, freed with persist_reader_close before its store is closed.
 * Codes: those of persist_restore.
 */
PERSIST_API int
persist_reader_open(struct persist_store *store, const char *address,
                    const struct persist_restore_options *options,
                    struct persist_reader **out, struct persist_error *err);
/* Stores up to cap bytes in out and their count.  A count of 0 is the verified
 * end: only then has everything matched.  Codes: those of persist_restore. */
PERSIST_API int persist_reader_read(struct persist_reader *reader, void *out,
                                    size_t cap, size_t *out_len,
                                    struct persist_error *err);
/* The snapshot's metadata, with its trailer; lives as long as the reader. */
PERSIST_API const struct persist_metadata *
persist_reader_metadata(const struct persist_reader *reader);
/* Frees it, also in the middle.  NULL is fine. */
PERSIST_API void persist_reader_close(struct persist_reader *reader);

/* --------------------------------------------------------------------- show */

/* Reads the metadata: two small reads whatever the size.  *out is the caller's,
 * freed with persist_metadata_free.  Codes: NOT_FOUND, CORRUPT, UNSUPPORTED (a
 * newer format), INVALID, and those of the store. */
PERSIST_API int persist_show(struct persist_store *store, const char *address,
                             struct persist_metadata **out,
                             struct persist_error *err);

/* ------------------------------------------------------------------- verify */

/* What a verification can be asked for. */
struct persist_verify_options {
    uint32_t struct_size;
    uint32_t flags; /* 0 */
    uint64_t timeout_ms;
    struct persist_op *op;
};
#define PERSIST_VERIFY_OPTIONS_INIT PERSIST_INIT_(struct persist_verify_options)
/* Reads every stored byte and checks everything there is to check.  On success
 * *out_metadata (where out_metadata is not NULL) is the caller's.  Codes:
 * CORRUPT with what is wrong where, and those of persist_show. */
PERSIST_API int persist_verify(struct persist_store *store, const char *address,
                               const struct persist_verify_options *options,
                               struct persist_metadata **out_metadata,
                               struct persist_error *err);

/* ------------------------------------------------------------------- exists */

/* Asks whether a snapshot is there.  *out_exists becomes 1 or 0; everything but
 * a definite answer is an error. */
PERSIST_API int persist_exists(struct persist_store *store, const char *address,
                               int *out_exists, struct persist_error *err);

/* ------------------------------------------------------------------- delete */

/* Flag of struct persist_delete_options: find the snapshot, delete nothing. */
#define PERSIST_DELETE_DRY_RUN UINT32_C(1)
/* What a deletion can be asked for. */
struct persist_delete_options {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_DELETE_DRY_RUN */
    uint64_t timeout_ms;
    struct persist_op *op;
};
#define PERSIST_DELETE_OPTIONS_INIT PERSIST_INIT_(struct persist_delete_options)
/* Deletes one snapshot, durably; its index is never given out again.  The
 * address needs an index or "@latest" written out.  *out_index (may be NULL)
 * becomes the index that was deleted.  NOT_FOUND where there is none; of two
 * that delete one snapshot at the same time both may answer OK. */
PERSIST_API int persist_delete(struct persist_store *store, const char *address,
                               const struct persist_delete_options *options,
                               uint64_t *out_index, struct persist_error *err);

/* -------------------------------------------------------------------- list */

/* What a row of a listing is about. */
enum persist_entry_kind {
    PERSIST_ENTRY_AGENT = 1,   /* an agent */
    PERSIST_ENTRY_SESSION = 2, /* a session of an agent */
    PERSIST_ENTRY_SNAPSHOT = 3 /* a snapshot of a session */
};

/* In struct persist_entry.present: modified_us is set. */
#define PERSIST_ENTRY_MODIFIED UINT32_C(1)
/* In struct persist_entry.present: index is the session's latest. */
#define PERSIST_ENTRY_LATEST UINT32_C(2)

/* One row of a listing; its pointers live until the next call. */
struct persist_entry {
    uint32_t struct_size;
    uint32_t kind;           /* enum persist_entry_kind */
    uint32_t present;        /* PERSIST_ENTRY_MODIFIED, PERSIST_ENTRY_LATEST */
    int32_t metadata_status; /* LONG: why metadata is NULL, else PERSIST_OK */
    const char *agent;       /* name, decoded */
    const char *session;     /* NULL for an agent */
    uint64_t index;          /* snapshots; sessions with LATEST */
    uint64_t stored_size;    /* bytes; snapshots */
    int64_t modified_us;     /* since 1970 UTC by the store's clock */
    const struct persist_metadata *metadata; /* snapshots, with LONG */
};

/* Flag of struct persist_list_options: read each snapshot's metadata too. */
#define PERSIST_LIST_LONG UINT32_C(1)
/* What a listing can be asked for. */
struct persist_list_options {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_LIST_LONG */
    uint64_t limit; /* rows at the most; 0: all */
    uint64_t timeout_ms;
    struct persist_op *op;
};
#define PERSIST_LIST_OPTIONS_INIT PERSIST_INIT_(struct persist_list_options)
/*
 * Lists agents (address NULL or ""), an agent's sessions ("AGENT"), or a
 * session's snapshots ("AGENT/SESSION", newest first).  Streams: memory does
 * not grow with the number of rows.  An agent or session without rows is
 * NOT_FOUND; a store without agents is an empty listing.  *out is the caller's,
 * freed with persist_listing_close before its store is closed.
 * Codes: NOT_FOUND, INVALID, MEMORY, and those of the store.
 */
PERSIST_API int persist_list(struct persist_store *store, const char *address,
                             const struct persist_list_options *options,
                             struct persist_listing **out,
                             struct persist_error *err);
/* 1: *out_entry is the next row; 0: the end; negative: an error. */
PERSIST_API int persist_listing_next(struct persist_listing *listing,
                                     const struct persist_entry **out_entry,
                                     struct persist_error *err);
/* Frees it, also in the middle.  NULL is fine. */
PERSIST_API void persist_listing_close(struct persist_listing *listing);

/* ----------------------------------------------------------------- cleanup */

/* What a cleanup can remove. */
enum persist_cleanup_kind {
    PERSIST_CLEANUP_LEFTOVER = 1,  /* a temporary of a write that died */
    PERSIST_CLEANUP_UPLOAD = 2,    /* an unfinished upload */
    PERSIST_CLEANUP_CLAIM = 3,     /* an index reserved and never used */
    PERSIST_CLEANUP_TOMBSTONE = 4, /* the mark of a deleted snapshot */
    PERSIST_CLEANUP_REMNANT = 5    /* data behind a tombstone */
};

/* One thing that is removed; its pointers live until report returns. */
struct persist_cleanup_item {
    uint32_t struct_size;
    uint32_t kind;      /* enum persist_cleanup_kind */
    const char *object; /* key or leftover id */
    uint64_t size;      /* bytes */
    uint64_t age_ms;    /* by the store's clock */
    int32_t status;     /* what removing it answered; OK in a dry run */
    uint32_t reserved;
};
/* Returns 0 to go on, negative to stop with that code. */
typedef int (*persist_cleanup_fn)(void *ctx,
                                  const struct persist_cleanup_item *item);

/* Flag of struct persist_cleanup_options: report, remove nothing.  Ages are by
 * this machine's clock then; a removal asks the store's, which takes an object
 * that is written, and removes nothing that is younger by it. */
#define PERSIST_CLEANUP_DRY_RUN UINT32_C(1)
/* Flag of struct persist_cleanup_options: older_than_ms is set. */
#define PERSIST_CLEANUP_OLDER_THAN UINT32_C(2)
/* What a cleanup can be asked for. */
struct persist_cleanup_options {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_CLEANUP_DRY_RUN, PERSIST_CLEANUP_OLDER_THAN */
    /* Leftovers and uploads younger than this stay (default 7 days for
     * uploads, 1 hour for leftovers).  Claims, tombstones and remnants are
     * never removed before 7 days. */
    uint64_t older_than_ms;
    uint64_t timeout_ms;
    persist_cleanup_fn report; /* or NULL */
    void *report_ctx;
    struct persist_op *op;
};
#define PERSIST_CLEANUP_OPTIONS_INIT                                           \
    PERSIST_INIT_(struct persist_cleanup_options)
/* Removes what no reader can ever need.  address: NULL for the whole store, or
 * an agent or session.  A removal that fails does not stop the rest; the first
 * failure's code is returned at the end. */
PERSIST_API int persist_cleanup(struct persist_store *store,
                                const char *address,
                                const struct persist_cleanup_options *options,
                                struct persist_error *err);

/* ------------------------------------------------------------------ import */

/* What became of one file; its pointers live until report returns. */
struct persist_import_item {
    uint32_t struct_size;
    int32_t status;      /* OK: imported or, in a dry run, importable */
    const char *path;    /* of the file, as it was given */
    const char *address; /* AGENT/SESSION@INDEX, or NULL where it failed */
    uint32_t skipped;    /* non-zero: it had been imported before */
    uint32_t reserved;
    const struct persist_error *error;       /* where status is not OK */
    const struct persist_metadata *metadata; /* of the new snapshot, or NULL */
};
/* Returns 0 to go on, negative to stop with that code. */
typedef int (*persist_import_fn)(void *ctx,
                                 const struct persist_import_item *item);
/* Flag of struct persist_import_options: check the files, write nothing. */
#define PERSIST_IMPORT_DRY_RUN UINT32_C(1)
/* What an import can be asked for. */
struct persist_import_options {
    uint32_t struct_size;
    uint32_t flags; /* PERSIST_IMPORT_DRY_RUN */
    uint64_t timeout_ms;
    persist_import_fn report; /* or NULL */
    void *report_ctx;
    struct persist_op *op;
};
#define PERSIST_IMPORT_OPTIONS_INIT PERSIST_INIT_(struct persist_import_options)
/* Appends snapshot files of Persist 0.1, per agent and session in the order of
 * their timestamps, payloads byte for byte.  What was imported before is
 * skipped.  A file that fails does not stop the rest; the first failure's code
 * is returned at the end. */
PERSIST_API int persist_import(struct persist_store *store,
                               const char *const *paths, size_t n_paths,
                               const struct persist_import_options *options,
                               struct persist_error *err);

/* ----------------------------------------------------------------- metrics */

/* How metrics are written; what is counted is in docs/observability.md. */
enum persist_metrics_format {
    PERSIST_METRICS_PROMETHEUS = 1,  /* text format 0.0.4 */
    PERSIST_METRICS_OPENMETRICS = 2, /* 1.0, with its # EOF */
    PERSIST_METRICS_JSON = 3         /* one object a line */
};

/* The instance's own numbers, as text for the sink.  For a program that serves
 * /metrics.  format: enum persist_metrics_format.  UNSUPPORTED in a build
 * without PERSIST_METRICS, like the next two. */
PERSIST_API int persist_metrics_render(struct persist *p, int32_t format,
                                       const struct persist_sink *sink,
                                       struct persist_error *err);
/*
 * Adds what was counted since the last flush to the file that metrics_textfile
 * in [persist] names, where several processes may add; OK where none is
 * configured.  For a program that ends before anybody could ask it: the command
 * does this at its end.  Codes: TIMEOUT (the file stays locked), and those of
 * files.
 */
PERSIST_API int persist_metrics_flush(struct persist *p,
                                      struct persist_error *err);
/* What that file holds.  NOT_FOUND where none is configured, CORRUPT where it
 * holds something else than metrics of Persist. */
PERSIST_API int persist_metrics_file(struct persist *p, int32_t format,
                                     const struct persist_sink *sink,
                                     struct persist_error *err);

/* ----------------------------------------------------------- configuration */

/* One resolved setting; its pointers live until report returns. */
struct persist_setting {
    uint32_t struct_size;
    uint32_t reserved;
    const char *store;  /* NULL: of [persist] */
    const char *key;    /* of the option */
    const char *value;  /* NULL: not set and no default; "(secret)"; of a store
                           whose backend is not there "(not shown: ...)" */
    const char *origin; /* "/etc/persist/persist.conf:3", "PERSIST_LOG_LEVEL",
                           "default", "setting" */
};
/* Returns 0 to go on, negative to stop with that code. */
typedef int (*persist_setting_fn)(void *ctx,
                                  const struct persist_setting *setting);
/* Calls report for every setting in force, [persist] first, then each store. */
PERSIST_API int persist_config_show(struct persist *p,
                                    persist_setting_fn report, void *ctx,
                                    struct persist_error *err);
/* What is wrong with a store (NULL: with which is the default), valid until it
 * returns: 0 to go on, negative to stop with that code. */
typedef int (*persist_problem_fn)(void *ctx, const char *store,
                                  const struct persist_error *problem);
/* Checks every configured store against its backend's options without opening
 * it; report gets each problem.  OK, or CONFIG. */
PERSIST_API int persist_config_check(struct persist *p,
                                     persist_problem_fn report, void *ctx,
                                     struct persist_error *err);
/* A file, and whether it was there and read: 1 or 0.  Returns 0 to go on,
 * negative to stop with that code. */
typedef int (*persist_file_fn)(void *ctx, const char *path, int was_read);
/* Reports the configuration files in the order they are read. */
PERSIST_API int persist_config_files(struct persist *p, persist_file_fn report,
                                     void *ctx, struct persist_error *err);

/* ---------------------------------------------------------------- backends */

/* One option of a backend, as it says itself. */
struct persist_option_info {
    uint32_t struct_size;
    uint32_t required;   /* non-zero: there is no store without it */
    uint32_t deprecated; /* non-zero: it will go */
    uint32_t secret;     /* non-zero: never shown; also KEY_file, KEY_command */
    const char *key;     /* as in the configuration */
    const char *alias;   /* or NULL */
    const char *type;    /* "string", "size", ... */
    const char *default_value; /* or NULL */
    const char *choices;       /* "a, b, c", or NULL */
    const char *help;          /* one line */
    const char *since;         /* the version of the backend that brought it */
    uint32_t repeatable;       /* a list; given again, all its values count */
    uint32_t reserved;
};

/* A backend; its pointers live until report returns. */
struct persist_backend_info {
    uint32_t struct_size;
    int32_t status;           /* OK, or why it could not be loaded */
    const char *name;         /* as in `backend = NAME` */
    const char *path;         /* of the plugin */
    const char *version;      /* the rest is NULL or 0 where status is not OK */
    const char *vendor;       /* who made it */
    const char *licence;      /* SPDX expression */
    const char *thread_model; /* "parallel", "serial" */
    uint32_t abi_major;       /* of the plugin ABI it was built for */
    uint32_t abi_minor;       /* the same */
    /* In its order, options->struct_size bytes apart. */
    const struct persist_option_info *options;
    size_t n_options;                  /* options */
    const struct persist_error *error; /* where status is not OK */
};
/* Returns 0 to go on, negative to stop with that code. */
typedef int (*persist_backend_fn)(void *ctx,
                                  const struct persist_backend_info *info);
/* Every NAME.so in the backend directories, the first of each name; loads
 * them.  With a name: that one only, NOT_FOUND where there is no such file. */
PERSIST_API int persist_backends(struct persist *p, const char *name,
                                 persist_backend_fn report, void *ctx,
                                 struct persist_error *err);
/* Loads one unknown plugin by path into this process and describes it.  It runs
 * the plugin's constructors: the command does this in a child process. */
PERSIST_API int persist_backend_inspect(struct persist *p, const char *path,
                                        persist_backend_fn report, void *ctx,
                                        struct persist_error *err);

/* ------------------------------------------------------------------ doctor */

/* What a finding means. */
enum persist_finding_verdict {
    PERSIST_FINDING_INFO = 0, /* good to know */
    PERSIST_FINDING_OK = 1,   /* as it should be */
    PERSIST_FINDING_WARN = 2, /* works, and should be looked at */
    PERSIST_FINDING_FAIL = 3  /* does not work */
};

/* One thing found out about a store; its pointers live until report returns.
 * Groups, in order: "configuration" (files and settings, secrets left out),
 * "plugin", "backend" (what the backend says of itself: identity, region, clock
 * skew), "access" (requests that were made), "uploads". */
struct persist_finding {
    uint32_t struct_size;
    uint32_t verdict; /* enum persist_finding_verdict */
    int32_t status;   /* of a FAIL: why; else PERSIST_OK */
    uint32_t reserved;
    const char *group;  /* see above */
    const char *name;   /* "create-if-absent", "root", ... */
    const char *value;  /* for a person; may be "" */
    const char *hint;   /* what to do about it, or NULL */
    const char *origin; /* configuration: where it was set, else NULL */
    const struct persist_error *error; /* of the request that failed, or NULL */
};
/* Returns 0 to go on, negative to stop with that code. */
typedef int (*persist_finding_fn)(void *ctx,
                                  const struct persist_finding *finding);

/* Flag of struct persist_doctor_options: write and delete nothing. */
#define PERSIST_DOCTOR_LOOK_ONLY UINT32_C(1)
/* What a doctor can be asked for. */
struct persist_doctor_options {
    uint32_t struct_size;
    uint32_t flags;      /* PERSIST_DOCTOR_LOOK_ONLY */
    uint64_t timeout_ms; /* of everything together; 0: none */
    struct persist_op *op;
};
#define PERSIST_DOCTOR_OPTIONS_INIT PERSIST_INIT_(struct persist_doctor_options)
/*
 * Looks for what is wrong with a store (name as in persist_open): how it is
 * configured, which plugin reaches it, what that says, and which requests work.
 * These are really made, on an object of its own, "persist-doctor-" and 16 hex
 * digits, which is deleted again; no snapshot is touched.
 *
 * OK where nothing failed, else the status of the first finding that did, with
 * its error.
 */
PERSIST_API int persist_doctor(struct persist *p, const char *name,
                               const struct persist_doctor_options *options,
                               persist_finding_fn report, void *ctx,
                               struct persist_error *err);
/* The same of a store that is open, wherever its options come from (then there
 * is no group "configuration"). */
PERSIST_API int persist_doctor_store(
    struct persist_store *store, const struct persist_doctor_options *options,
    persist_finding_fn report, void *ctx, struct persist_error *err);

#ifdef __cplusplus
}
#endif

#endif /* PERSIST_PERSIST_H */
