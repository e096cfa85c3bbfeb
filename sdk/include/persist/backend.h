/* SPDX-License-Identifier: 0BSD */
/*
 * persist/backend.h - the Persist storage backend ABI, version 1.0.
 *
 * A backend is one shared object, NAME.so, that exports one function,
 * persist_backend_entry_v1.  It teaches Persist to reach one kind of store: it
 * moves one buffer or makes one request per call, once, and reports what
 * happened.  Everything hard (buffers, parallelism, retries, pacing, checksums,
 * resuming, time-outs) belongs to the host.
 *
 * Life of a backend:
 *
 *     dlopen -> persist_backend_entry_v1(host)      no I/O, threads, allocation
 *            -> init(host)                          once per process, optional
 *            -> open(config)                        once per store
 *            -> put, read, list ...                 as often as needed
 *            -> close                               once per store
 *
 * A backend is never unloaded.  In a forked child no op is called on a store
 * that was opened before; the child may open stores of its own, without another
 * init.
 *
 * Rules of the boundary
 *
 *   - Every op is blocking, makes one attempt, and returns
 *     PERSIST_BACKEND_OK (0) or one of the negative codes below.  It never
 *     retries and never sleeps: the host does both.
 *   - Only fixed-width integers, pointers and function pointers cross.  No
 *     errno, no C++ exception, no longjmp crosses.
 *   - Every struct that is passed starts with struct_size, set by whoever
 *     allocated it.  Read and write only members that lie within it:
 *     PERSIST_BACKEND_HAS(ptr, member) tells.  Structs the host passes as
 *     results are zeroed and sized by the host.
 *   - Text is UTF-8 and NUL-terminated unless a length stands beside it.
 *     Everything the host passes is valid until the call returns, no longer,
 *     except where a comment says otherwise.
 *   - A backend changes no process-wide state: no signals, locale, working
 *     directory, umask or environment; it prints nothing and never exits.
 *   - Threads: ops of one store run concurrently when thread_model is
 *     PERSIST_BACKEND_PARALLEL; one at a time when it is
 *     PERSIST_BACKEND_SERIAL.  Different stores always run concurrently,
 *     also two of the same place, and processes do: IF_ABSENT has one winner
 *     among all of them.
 *   - The callbacks an op receives (emit) may be called only on the calling
 *     thread and only until the op returns; they never call an op.
 *
 * Versions.  A minor version only appends members at the end of structs.
 * Nothing is ever moved, resized or given another meaning.  Define
 * PERSIST_BACKEND_TARGET (a minor number) before including this header to see
 * the ABI as it was in 1.N; your object then loads in every host from 1.N on.
 *
 * This header is C99 and C++11 clean and includes nothing of Persist.
 */
#ifndef PERSIST_BACKEND_H
#define PERSIST_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -------------------------------------------------------------------- ABI */

/* The major version of the ABI: part of the entry function's name. */
#define PERSIST_BACKEND_ABI_MAJOR 1
/* The newest minor this header describes. */
#define PERSIST_BACKEND_ABI_MINOR 0
/* The minor to build for; see "Versions" above. */
#ifndef PERSIST_BACKEND_TARGET
#define PERSIST_BACKEND_TARGET 0
#endif
#if PERSIST_BACKEND_TARGET > PERSIST_BACKEND_ABI_MINOR
#error "PERSIST_BACKEND_TARGET is newer than this header"
#endif

/* "PRSTBKND" read as a little-endian number, on every machine. */
#define PERSIST_BACKEND_MAGIC UINT64_C(0x444e4b4254535250)

/* True where the struct at ptr, as its allocator sized it, holds member. */
#define PERSIST_BACKEND_HAS(ptr, member)                                       \
    ((size_t)(ptr)->struct_size >=                                             \
     (size_t)((const char *)(&(ptr)->member + 1) - (const char *)(ptr)))

/* Makes the entry function visible. */
#if defined(_WIN32)
#define PERSIST_BACKEND_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define PERSIST_BACKEND_EXPORT __attribute__((visibility("default")))
#else
#define PERSIST_BACKEND_EXPORT
#endif

/* ------------------------------------------------------------------ codes */

/*
 * What an op may answer.  The set is closed: the host treats any other value
 * as PERSIST_BACKEND_INTERNAL.  The host repeats THROTTLED, TRANSIENT and
 * TIMEOUT, settles UNCERTAIN by sending the same conditional request again,
 * and repeats nothing else.
 */
#define PERSIST_BACKEND_OK 0
/* The object is not there: an answer, given only where that is known. */
#define PERSIST_BACKEND_NOT_FOUND (-1)
/* With IF_ABSENT: the key is taken. */
#define PERSIST_BACKEND_EXISTS (-2)
/* The pinned etag is not the object's. */
#define PERSIST_BACKEND_PRECONDITION (-3)
/* Who we are is not known, or no longer believed. */
#define PERSIST_BACKEND_AUTH (-4)
/* Known, and not permitted. */
#define PERSIST_BACKEND_DENIED (-5)
/* Asked to slow down; retry_after_ms says for how long, where it is known. */
#define PERSIST_BACKEND_THROTTLED (-6)
/* Likely to work if repeated. */
#define PERSIST_BACKEND_TRANSIENT (-7)
/* The deadline or a stall limit passed. */
#define PERSIST_BACKEND_TIMEOUT (-8)
/* The host cancelled this call. */
#define PERSIST_BACKEND_CANCELLED (-9)
/* Bytes differ from their checksum. */
#define PERSIST_BACKEND_CORRUPT (-10)
/* Disk or quota full. */
#define PERSIST_BACKEND_NO_SPACE (-11)
/* This backend cannot do that. */
#define PERSIST_BACKEND_UNSUPPORTED (-12)
/* An argument the store cannot take. */
#define PERSIST_BACKEND_INVALID (-13)
/* The options are wrong. */
#define PERSIST_BACKEND_CONFIG (-14)
/* Out of memory. */
#define PERSIST_BACKEND_MEMORY (-15)
/* The medium failed; repeating is vain. */
#define PERSIST_BACKEND_IO (-16)
/* It may or may not have happened. */
#define PERSIST_BACKEND_UNCERTAIN (-17)
/* Visible; durability unknown. */
#define PERSIST_BACKEND_NOT_DURABLE (-18)
/* A bug in the backend. */
#define PERSIST_BACKEND_INTERNAL (-19)

/* --------------------------------------------------------- limits on sizes */

#define PERSIST_BACKEND_ETAG_MAX 256       /* with the NUL */
#define PERSIST_BACKEND_UPLOAD_ID_MAX 4096 /* with the NUL */
#define PERSIST_BACKEND_RECEIPT_MAX 256    /* bytes */

/* ------------------------------------------------------------------ errors */

/* What struct persist_backend_error.present may hold. */

#define PERSIST_BACKEND_ERROR_ERRNO UINT32_C(1)       /* os_errno is set */
#define PERSIST_BACKEND_ERROR_HTTP_STATUS UINT32_C(2) /* http_status is set */
/* retry_after_ms is set. */
#define PERSIST_BACKEND_ERROR_RETRY_AFTER UINT32_C(4)

/*
 * Details of a failure.  Allocated, zeroed and sized by the host; filled by the
 * op when it returns a negative code.  No secret may stand in it.
 */
struct persist_backend_error {
    uint32_t struct_size;
    uint32_t present;        /* which of the three numbers are set */
    int32_t os_errno;        /* an errno value */
    int32_t http_status;     /* 100 to 599 */
    uint64_t retry_after_ms; /* how long the server asked to be left alone */
    char provider_code[64];  /* the service's own word: "SlowDown" */
    char request_id[128];    /* what the provider's support will ask for */
    char message[512];       /* one line: what failed and why, no code names */
};

/* ------------------------------------------------------------ call context */

/* In struct persist_backend_call.present: deadline_ns is set. */
#define PERSIST_BACKEND_CALL_DEADLINE UINT32_C(1)

/*
 * Handed to every op.  `host_call` is for the host's functions only: a handle
 * of this call, valid until the op returns.
 */
struct persist_backend_call {
    uint32_t struct_size;
    uint32_t present;     /* PERSIST_BACKEND_CALL_DEADLINE */
    uint64_t deadline_ns; /* on host->monotonic_ns; answer TIMEOUT after it */
    uint32_t attempt;     /* 1 for the first try of this request */
    uint32_t reserved;    /* 0 */
    void *host_call;      /* for the host's functions only */
    const char *traceparent; /* W3C trace context to pass on, or NULL */
};

/* ----------------------------------------------------------- host services */

#define PERSIST_BACKEND_LOG_ERROR UINT32_C(1) /* something failed */
#define PERSIST_BACKEND_LOG_WARN UINT32_C(2)  /* somebody should look */
#define PERSIST_BACKEND_LOG_INFO UINT32_C(3)  /* what is going on */
#define PERSIST_BACKEND_LOG_DEBUG UINT32_C(4) /* requests; may name keys */

/*
 * What the host does for a backend.  The table is valid for the life of the
 * process and may be kept.  All functions are thread-safe, fail without side
 * effects and never call back.  `host_store` is the handle given to open
 * (struct persist_backend_config); NULL is allowed where there is no store yet
 * and then means "the process".
 */
struct persist_backend_host {
    uint32_t struct_size;
    uint16_t abi_major;  /* of the host */
    uint16_t abi_minor;  /* the newest it knows */
    const char *version; /* of the host: "0.2.0-alpha" */

    /* One finished line of text, without a newline, no secret in it.  DEBUG
     * may name keys; INFO names only a container and the key's last part. */
    void (*log)(void *host_store, uint32_t level, const char *message);
    /* Non-zero where a line of that level would be kept. */
    int32_t (*log_enabled)(void *host_store, uint32_t level);

    /* Memory counted against the host's memory limit.  Large buffers (64 KiB
     * and more) belong here; NULL when the limit is reached.  The memory is not
     * zeroed. */
    void *(*alloc)(void *host_store, uint64_t len);
    /* Takes what alloc gave, or NULL, and the same store. */
    void (*free)(void *host_store, void *memory);

    /* Nanoseconds of a clock that never jumps. */
    uint64_t (*monotonic_ns)(void);
    int64_t (*wall_us)(void); /* microseconds since 1970-01-01T00:00:00Z */
    /* len unpredictable bytes; negative code where there are none. */
    int32_t (*random)(void *out, uint64_t len);

    /* Non-zero once the call is to stop: answer CANCELLED soon. */
    int32_t (*is_cancelled)(const struct persist_backend_call *call);
    /* A descriptor that becomes readable when the call is cancelled, for
     * poll(); -1 where there is none.  The host's: neither read nor close it.
     */
    int32_t (*cancel_fd)(const struct persist_backend_call *call);

    /* The value of an option of type SECRET, read when it is needed and wiped
     * after use; it may change over the life of a store.  Writes at most `cap`
     * bytes and a NUL is not counted; *out_len is the length.  NOT_FOUND where
     * it is not set; INVALID where cap is too small (out_len tells). */
    int32_t (*secret)(void *host_store, const char *key, char *out,
                      uint64_t cap, uint64_t *out_len);

    /* CRC-32C (Castagnoli, RFC 3720) of len bytes, continuing from crc (0 to
     * start). */
    uint32_t (*crc32c)(uint32_t crc, const void *data, uint64_t len);

    /* Later features, by name: "persist.NAME/1"; NULL where unknown. */
    const void *(*get_extension)(const char *name);
};

/* ----------------------------------------------------------------- options */

#define PERSIST_BACKEND_STRING UINT32_C(1)   /* any text */
#define PERSIST_BACKEND_INT UINT32_C(2)      /* a whole number */
#define PERSIST_BACKEND_SIZE UINT32_C(3)     /* bytes: 64K, 8M, 1G (1024) */
#define PERSIST_BACKEND_DURATION UINT32_C(4) /* ms: 500ms, 30s, 5m, 12h, 7d */
#define PERSIST_BACKEND_BOOL UINT32_C(5)     /* true or false */
#define PERSIST_BACKEND_CHOICE UINT32_C(6)   /* one of choices */
#define PERSIST_BACKEND_PATH UINT32_C(7)     /* a local path; ~ is expanded */
#define PERSIST_BACKEND_URL UINT32_C(8)      /* http:// or https:// */
#define PERSIST_BACKEND_SECRET UINT32_C(9)   /* also KEY_file and KEY_command */
#define PERSIST_BACKEND_LIST UINT32_C(10)    /* separated by commas */

/* What struct persist_backend_option.flags may hold. */

/* A store without it is a mistake. */
#define PERSIST_BACKEND_REQUIRED UINT32_C(1)
#define PERSIST_BACKEND_REPEATABLE UINT32_C(2) /* LIST: may be given again */
#define PERSIST_BACKEND_DEPRECATED UINT32_C(4) /* taken, with a warning */
#define PERSIST_BACKEND_HAS_MIN UINT32_C(8)    /* min is set */
#define PERSIST_BACKEND_HAS_MAX UINT32_C(16)   /* max is set */

/*
 * One option a store of this backend takes.  From this table the host parses
 * and checks the configuration, redacts secrets, and writes help, man page and
 * completions.
 */
struct persist_backend_option {
    /* [a-z0-9_]{1,40}; not backend, accept_durability, max_io, thread_model,
     * which are the host's in every store. */
    const char *key;
    const char *alias;          /* another spelling that is accepted, or NULL */
    const char *default_text;   /* as a user would write it, or NULL */
    const char *const *choices; /* CHOICE: NULL-terminated; else NULL */
    const char *help;           /* one line, no full stop */
    const char *since;          /* the backend version that brought it */
    int64_t min;                /* INT, SIZE, DURATION, with HAS_MIN */
    int64_t max;                /* the same, with HAS_MAX */
    uint32_t type;  /* PERSIST_BACKEND_STRING to PERSIST_BACKEND_LIST */
    uint32_t flags; /* PERSIST_BACKEND_REQUIRED to PERSIST_BACKEND_HAS_MAX */
};

/* What struct persist_backend_value.flags may hold; neither: the option was not
 * given and has no default. */

#define PERSIST_BACKEND_VALUE_SET UINT32_C(1) /* the user gave it */
/* The value is the option's default. */
#define PERSIST_BACKEND_VALUE_DEFAULT UINT32_C(2)

/* One option's checked value. */
struct persist_backend_value {
    const char *key;          /* as declared, never the alias */
    const char *text;         /* STRING CHOICE PATH URL; NULL for the others */
    const char *const *items; /* LIST: n_items strings; else NULL */
    int64_t number;           /* INT SIZE DURATION BOOL */
    uint32_t n_items;         /* strings in items */
    uint32_t flags;           /* where the value comes from */
};

/*
 * What open receives: one value per declared option, in the order of
 * declaration.  Valid until open returns: copy what is kept.
 */
struct persist_backend_config {
    uint32_t struct_size;
    uint32_t n_values;   /* options declared */
    uint32_t value_size; /* bytes from one value to the next */
    uint32_t reserved;   /* 0 */
    const struct persist_backend_value
        *values;            /* n_values of them, value_size apart */
    void *host_store;       /* for host services; valid until close returns */
    const char *store_name; /* as configured: "archive" */
};

/* ------------------------------------------------------------------ limits */

/* What struct persist_backend_limits.flags may hold. */

#define PERSIST_BACKEND_ORDERED_LISTING UINT32_C(1) /* list is in key order */
#define PERSIST_BACKEND_RESUMABLE UINT32_C(2)   /* ids outlive the process */
#define PERSIST_BACKEND_EQUAL_PARTS UINT32_C(4) /* all but the last alike */
#define PERSIST_BACKEND_CHECK_IF_ABSENT UINT32_C(8) /* prove before writing */
#define PERSIST_BACKEND_DURABLE_FILE_ONLY UINT32_C(16) /* no directory sync */
/* The environment or a file says where the store is, not its options alone:
 * what was proved of it is not remembered for another process. */
#define PERSIST_BACKEND_PLACE_FROM_OUTSIDE UINT32_C(32)

/*
 * What one opened store can take.  0 in a max means "no limit known".
 */
struct persist_backend_limits {
    uint32_t struct_size;
    uint32_t flags;        /* PERSIST_BACKEND_ORDERED_LISTING and the like */
    uint64_t part_min;     /* bytes; of every part but the last */
    uint64_t part_max;     /* bytes */
    uint64_t part_align;   /* parts but the last are multiples; 0 or 1: any */
    uint64_t put_max;      /* bytes in one put */
    uint64_t object_max;   /* bytes */
    uint32_t parts_max;    /* per upload */
    uint32_t parallel_max; /* parts in flight per upload */
    uint32_t key_max;      /* bytes of a key */
    uint32_t reserved;     /* 0 */
};

/* --------------------------------------------------------------------- ops */

/*
 * Keys.  The host passes keys of 1 to key_max bytes of [a-z0-9._/%-], made of
 * components separated by single slashes, none of them empty, ".", ".." or
 * starting with a dot, except the host's own ".persist-probe".  A backend puts
 * its prefix in front and gives keys back without it.  It refuses, with
 * INVALID, what would leave its root and any key with an empty component or one
 * that starts with a dot (but the probe's): hosts are not trusted either.
 */

/* Flag of put, put_many items and uploads: only where the key is not taken. */
#define PERSIST_BACKEND_IF_ABSENT UINT32_C(1)

/* In present of put and upload ops: crc32c is set. */
#define PERSIST_BACKEND_HAS_CRC32C UINT32_C(1)
/* In present of upload ops and listed uploads: size is set. */
#define PERSIST_BACKEND_HAS_SIZE UINT32_C(2)

/* What put takes. */
struct persist_backend_put_args {
    uint32_t struct_size;
    uint32_t flags;           /* PERSIST_BACKEND_IF_ABSENT */
    const char *key;          /* where to */
    const void *data;         /* len bytes */
    uint64_t len;             /* 0 is allowed */
    uint32_t present;         /* PERSIST_BACKEND_HAS_CRC32C */
    uint32_t crc32c;          /* of data */
    const char *content_type; /* never NULL */
};

/* What put gives. */
struct persist_backend_put_result {
    uint32_t struct_size;
    uint32_t reserved;
    char etag[PERSIST_BACKEND_ETAG_MAX]; /* "" where the store has none */
};

/* What put_many takes. */
struct persist_backend_put_many_args {
    uint32_t struct_size;
    uint32_t n_items;   /* at least 1 */
    uint32_t item_size; /* bytes from one item to the next */
    uint32_t reserved;
    const struct persist_backend_put_args
        *items; /* n_items of them, item_size apart */
};

/* What put_many gives. */
struct persist_backend_put_many_result {
    uint32_t struct_size;
    uint32_t n_statuses; /* n_items of the arguments */
    /* n_statuses codes, written by the op; INTERNAL before. */
    int32_t *statuses;
};

/* What upload_begin takes. */
struct persist_backend_begin_args {
    uint32_t struct_size;
    /* Those its commit will have.  It decides there; a commit with others may
     * be refused as INVALID, for some stores settle it now. */
    uint32_t flags;
    const char *key;  /* where the object will be */
    uint32_t present; /* HAS_SIZE: size is the expected object size */
    uint32_t reserved;
    uint64_t size;            /* bytes, with HAS_SIZE */
    const char *content_type; /* never NULL */
};

/* What upload_begin gives. */
struct persist_backend_begin_result {
    uint32_t struct_size;
    uint32_t reserved;
    char upload_id[PERSIST_BACKEND_UPLOAD_ID_MAX]; /* what names it from now on
                                                    */
};

/* What upload_part takes. */
struct persist_backend_part_args {
    uint32_t struct_size;
    uint32_t is_last;      /* non-zero: no part lies behind this one */
    const char *key;       /* that of upload_begin */
    const char *upload_id; /* what upload_begin gave */
    uint64_t offset;       /* of this part in the object */
    const void *data;      /* len bytes */
    uint64_t len;          /* 0 only in the only part of an empty object */
    uint32_t number;       /* 1, 2, ... in order of offset */
    uint32_t present;      /* PERSIST_BACKEND_HAS_CRC32C */
    uint32_t crc32c;       /* of data */
    uint32_t reserved;
};

/* What upload_part gives: the receipt its commit needs. */
struct persist_backend_part_result {
    uint32_t struct_size;
    uint32_t receipt_len; /* bytes of the receipt */
    /* Anything the backend wants to see again. */
    uint8_t receipt[PERSIST_BACKEND_RECEIPT_MAX];
};

/* A part that was sent, as upload_commit gets it. */
struct persist_backend_receipt {
    uint64_t offset;      /* of the part in the object */
    uint64_t len;         /* bytes of the part */
    uint32_t number;      /* the part's */
    uint32_t crc32c;      /* of the part's bytes */
    uint32_t receipt_len; /* bytes of the receipt */
    uint32_t reserved;
    const uint8_t *receipt; /* what upload_part gave */
};

/* What upload_commit takes. */
struct persist_backend_commit_args {
    uint32_t struct_size;
    uint32_t flags;                                 /* IF_ABSENT decides here */
    const char *key;                                /* that of upload_begin */
    const char *upload_id;                          /* what upload_begin gave */
    const struct persist_backend_receipt *receipts; /* in order of number */
    uint32_t n_receipts;                            /* parts of the object */
    uint32_t receipt_size; /* bytes from one receipt to the next */
    uint32_t present; /* PERSIST_BACKEND_HAS_CRC32C, PERSIST_BACKEND_HAS_SIZE */
    uint32_t crc32c;  /* of the whole object, with HAS_CRC32C */
    uint64_t size;    /* of the whole object, with HAS_SIZE */
};

/* What upload_commit gives. */
struct persist_backend_commit_result {
    uint32_t struct_size;
    uint32_t reserved;
    char etag[PERSIST_BACKEND_ETAG_MAX]; /* "" where the store has none */
};

/* What upload_abort takes. */
struct persist_backend_abort_args {
    uint32_t struct_size;
    uint32_t reserved;
    const char *key;       /* that of upload_begin, or of list_uploads */
    const char *upload_id; /* the same */
};

/* What struct persist_backend_read_args.mode may be. */

#define PERSIST_BACKEND_READ_RANGE UINT32_C(1)  /* from offset */
#define PERSIST_BACKEND_READ_SUFFIX UINT32_C(2) /* the last len bytes */

/* What read takes. */
struct persist_backend_read_args {
    uint32_t struct_size;
    uint32_t mode;   /* PERSIST_BACKEND_READ_RANGE or _SUFFIX */
    const char *key; /* of the object */
    uint64_t offset; /* RANGE; at or behind the end reads 0 bytes, OK */
    void *buffer;    /* len bytes to fill */
    uint64_t len; /* at least 1; a shorter object or rest gives fewer bytes */
    const char *etag; /* the version it must be, else PRECONDITION; NULL: any */
};

/* What read gives. */
struct persist_backend_read_result {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t len;    /* bytes in the buffer: all there were, up to args.len */
    uint64_t offset; /* where in the object they start (SUFFIX: total - len) */
    uint64_t total;  /* size of the whole object */
    char etag[PERSIST_BACKEND_ETAG_MAX]; /* "" where the store has none */
};

/* In present of head, of entries and of listed uploads: modified_us is set. */
#define PERSIST_BACKEND_HAS_MODIFIED UINT32_C(4)

/* What head takes. */
struct persist_backend_head_args {
    uint32_t struct_size;
    uint32_t reserved;
    const char *key; /* of the object */
};

/* What head gives. */
struct persist_backend_head_result {
    uint32_t struct_size;
    uint32_t present;                    /* PERSIST_BACKEND_HAS_MODIFIED */
    uint64_t size;                       /* bytes of the object */
    int64_t modified_us;                 /* by the store's clock */
    char etag[PERSIST_BACKEND_ETAG_MAX]; /* "" where the store has none */
};

/* What delete_object takes. */
struct persist_backend_delete_args {
    uint32_t struct_size;
    uint32_t reserved;
    const char *key; /* of the object */
};

/* What struct persist_backend_delete_result.was may be. */

/* Gone now; whether it was there is not known. */
#define PERSIST_BACKEND_WAS_UNKNOWN UINT32_C(0)
#define PERSIST_BACKEND_WAS_THERE UINT32_C(1)  /* it was there, and is gone */
#define PERSIST_BACKEND_WAS_ABSENT UINT32_C(2) /* it was not there */

/* What delete_object gives. */
struct persist_backend_delete_result {
    uint32_t struct_size;
    uint32_t was; /* PERSIST_BACKEND_WAS_* */
};

/* Flag of struct persist_backend_entry: a rolled-up common prefix. */
#define PERSIST_BACKEND_ENTRY_FOLDER UINT32_C(1)

/* One row of a listing, until emit returns. */
struct persist_backend_entry {
    uint32_t struct_size;
    uint32_t flags;      /* PERSIST_BACKEND_ENTRY_FOLDER */
    const char *key;     /* whole key; a folder's ends with the delimiter */
    uint64_t size;       /* objects only */
    int64_t modified_us; /* since 1970 UTC */
    uint32_t present;    /* PERSIST_BACKEND_HAS_MODIFIED */
    uint32_t reserved;
};

/* Returns 0 to go on; anything else ends the listing: return OK soon. */
typedef int32_t (*persist_backend_emit_entry_fn)(
    void *emit_ctx, const struct persist_backend_entry *entry);

/* What list takes. */
struct persist_backend_list_args {
    uint32_t struct_size;
    uint32_t limit;          /* at least 1: entries in this page at the most */
    const char *prefix;      /* "" or text every key starts with */
    const char *start_after; /* "" or: only entries greater, byte by byte */
    const char *delimiter;   /* "" (every key below prefix) or "/" */
    persist_backend_emit_entry_fn emit; /* takes each entry */
    void *emit_ctx;
};

/* What list gives, beside its entries. */
struct persist_backend_list_result {
    uint32_t struct_size;
    uint32_t more; /* non-zero: entries greater than the last one remain */
};

/* An unfinished upload or a leftover, until emit returns. */
struct persist_backend_upload {
    uint32_t struct_size;
    uint32_t present;      /* HAS_SIZE, HAS_MODIFIED */
    const char *key;       /* "" where a leftover has no key */
    const char *upload_id; /* what upload_abort takes to remove it */
    uint64_t size;         /* bytes it occupies */
    int64_t modified_us;   /* when it was last written to */
};

/* Returns 0 to go on; anything else ends the listing: return OK soon. */
typedef int32_t (*persist_backend_emit_upload_fn)(
    void *emit_ctx, const struct persist_backend_upload *upload);

/* What list_uploads takes. */
struct persist_backend_list_uploads_args {
    uint32_t struct_size;
    uint32_t reserved;
    const char *prefix;                  /* as in list */
    persist_backend_emit_upload_fn emit; /* takes each upload */
    void *emit_ctx;
};

/* Empty: the uploads are emitted. */
struct persist_backend_list_uploads_result {
    uint32_t struct_size;
    uint32_t reserved;
};

/* What struct persist_backend_finding.verdict may be. */

#define PERSIST_BACKEND_FINDING_INFO UINT32_C(0) /* good to know */
#define PERSIST_BACKEND_FINDING_OK UINT32_C(1)   /* as it should be */
#define PERSIST_BACKEND_FINDING_WARN UINT32_C(2) /* works; look at it */
#define PERSIST_BACKEND_FINDING_FAIL UINT32_C(3) /* does not work */

/* One thing found out about a store, until emit returns. */
struct persist_backend_finding {
    uint32_t struct_size;
    uint32_t verdict;  /* PERSIST_BACKEND_FINDING_* */
    const char *name;  /* "identity", "region", "clock-skew" */
    const char *value; /* for a person; no secret */
    const char *hint;  /* what to do about it, or NULL */
};

/* Returns 0 to go on; anything else ends the probe: return OK soon. */
typedef int32_t (*persist_backend_emit_finding_fn)(
    void *emit_ctx, const struct persist_backend_finding *finding);

/* What probe takes. */
struct persist_backend_probe_args {
    uint32_t struct_size;
    uint32_t reserved;
    persist_backend_emit_finding_fn emit; /* takes each finding */
    void *emit_ctx;
};

/* Empty: the findings are emitted. */
struct persist_backend_probe_result {
    uint32_t struct_size;
    uint32_t reserved;
};

/*
 * The ops.  `store` is what open gave.  Every op takes the call context, its
 * arguments, a result and an error, the last two zeroed and sized by the host
 * and never NULL.  Slots marked optional may be NULL.
 */
struct persist_backend_ops {
    uint32_t struct_size;
    uint32_t reserved; /* 0 */

    /* Optional.  Once per process, before the first open. */
    int32_t (*init)(const struct persist_backend_host *host,
                    struct persist_backend_error *error);

    /* From checked options to a store, which at OK is not NULL.  Makes no
     * request: one that cannot be reached still opens.  CONFIG where options
     * contradict each other. */
    int32_t (*open)(const struct persist_backend_host *host,
                    const struct persist_backend_config *config,
                    void **out_store, struct persist_backend_error *error);
    /* Frees the store.  No op of it is running, none will come. */
    void (*close)(void *store);

    /* What this store can take; called once, after open.  No request. */
    int32_t (*limits)(void *store, struct persist_backend_limits *out);

    /* One buffer becomes one object: all of it or nothing, invisible until it
     * is whole, durable at OK.  With IF_ABSENT it answers EXISTS, atomically,
     * where the key is taken; without, it replaces atomically.  NOT_DURABLE:
     * visible, and a power loss may take it back. */
    int32_t (*put)(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_put_args *args,
                   struct persist_backend_put_result *result,
                   struct persist_backend_error *error);

    /* Optional.  n puts whose costs are shared.  Each status is that item's
     * answer; what is OK is durable on return.  Returns OK where every item
     * has its status. */
    int32_t (*put_many)(void *store, const struct persist_backend_call *call,
                        const struct persist_backend_put_many_args *args,
                        struct persist_backend_put_many_result *result,
                        struct persist_backend_error *error);

    /* An upload: parts, any order, then one commit that makes the object
     * visible, or an abort.  NOT_FOUND from a part or the commit: there is no
     * such upload any more. A host that goes on with an upload in another
     * process (RESUMABLE) sends its last part there in any case: a store may
     * keep the end of it in memory until the commit.  PRECONDITION from begin:
     * the key is taken already. */
    int32_t (*upload_begin)(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_begin_args *args,
                            struct persist_backend_begin_result *result,
                            struct persist_backend_error *error);
    /* Sends one part.  It may be sent again under the same number with the same
     * bytes. */
    int32_t (*upload_part)(void *store, const struct persist_backend_call *call,
                           const struct persist_backend_part_args *args,
                           struct persist_backend_part_result *result,
                           struct persist_backend_error *error);
    /* As put: visible and durable at OK, or not there.  After EXISTS and after
     * every other failure the upload is still to be aborted.  Repeated after
     * UNCERTAIN it answers EXISTS where the first one had succeeded, or OK
     * where the store knows that what is there is this very upload's object.
     * PRECONDITION: another write was under way, nothing was committed, and the
     * upload is spent: the host sends everything again where it can. */
    int32_t (*upload_commit)(void *store,
                             const struct persist_backend_call *call,
                             const struct persist_backend_commit_args *args,
                             struct persist_backend_commit_result *result,
                             struct persist_backend_error *error);
    /* Throws the upload's parts away.  OK where there is nothing to abort. */
    int32_t (*upload_abort)(void *store,
                            const struct persist_backend_call *call,
                            const struct persist_backend_abort_args *args,
                            struct persist_backend_error *error);

    /* Bytes of one object.  NOT_FOUND where the key is not there; DENIED and
     * every other trouble is never reported as NOT_FOUND. */
    int32_t (*read)(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_read_args *args,
                    struct persist_backend_read_result *result,
                    struct persist_backend_error *error);
    /* Size, etag and date of one object.  NOT_FOUND as in read. */
    int32_t (*head)(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_head_args *args,
                    struct persist_backend_head_result *result,
                    struct persist_backend_error *error);

    /* The key is gone, durably, at OK, also where it was not there. */
    int32_t (*delete_object)(void *store,
                             const struct persist_backend_call *call,
                             const struct persist_backend_delete_args *args,
                             struct persist_backend_delete_result *result,
                             struct persist_backend_error *error);

    /* One page of keys in byte order (unordered where limits say so, and then
     * everything in one page whatever the limit).  With the delimiter, all keys
     * that share the text up to the first delimiter behind prefix appear once,
     * as a folder; a store with real folders may also show one that its last
     * key has left.  A prefix that matches nothing is OK and empty.  Objects
     * that are not whole and names that are no keys are left out. */
    int32_t (*list)(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_list_args *args,
                    struct persist_backend_list_result *result,
                    struct persist_backend_error *error);

    /* Optional.  Unfinished uploads and leftovers of writes that died. */
    int32_t (*list_uploads)(
        void *store, const struct persist_backend_call *call,
        const struct persist_backend_list_uploads_args *args,
        struct persist_backend_list_uploads_result *result,
        struct persist_backend_error *error);

    /* Optional.  What a person debugging the store wants to know. */
    int32_t (*probe)(void *store, const struct persist_backend_call *call,
                     const struct persist_backend_probe_args *args,
                     struct persist_backend_probe_result *result,
                     struct persist_backend_error *error);
};

/* -------------------------------------------------------------- descriptor */

#define PERSIST_BACKEND_PARALLEL UINT32_C(1) /* ops of a store run at once */
#define PERSIST_BACKEND_SERIAL UINT32_C(2)   /* one op of a store at a time */

/* What a backend says of itself.  Constant. */
struct persist_backend_descriptor {
    /* Frozen prologue: these five never change in any major version. */
    uint64_t magic;     /* PERSIST_BACKEND_MAGIC */
    uint16_t abi_major; /* PERSIST_BACKEND_ABI_MAJOR */
    uint16_t abi_minor; /* of the header it was built with */
    uint32_t struct_size;
    uint32_t min_host_minor; /* an older host refuses it */

    uint32_t thread_model; /* PERSIST_BACKEND_PARALLEL or _SERIAL */
    const char *name;      /* [a-z0-9-]{1,32}; the file is NAME.so */
    const char *version;   /* the backend's own: one line */
    const char *vendor;    /* who made it */
    const char *licence;   /* SPDX expression */
    const struct persist_backend_option
        *options;         /* NULL where n_options is 0 */
    uint32_t n_options;   /* options, up to 256 */
    uint32_t option_size; /* sizeof(struct persist_backend_option) */
    const struct persist_backend_ops
        *ops; /* what it can do; lives as long as the process */
    /* Optional.  Features of later minors: "persist.NAME/1"; NULL if unknown.
     */
    const void *(*get_extension)(const char *name);
};

/* Fills the frozen prologue of a descriptor's initializer. */
#define PERSIST_BACKEND_PROLOGUE                                               \
    PERSIST_BACKEND_MAGIC, PERSIST_BACKEND_ABI_MAJOR,                          \
        (uint16_t)PERSIST_BACKEND_TARGET,                                      \
        (uint32_t)sizeof(struct persist_backend_descriptor),                   \
        (uint32_t)PERSIST_BACKEND_TARGET

/*
 * The one exported function.  Returns a descriptor that lives as long as the
 * process, or NULL.  Does no I/O, starts no thread, allocates nothing.
 */
typedef const struct persist_backend_descriptor *(*persist_backend_entry_fn)(
    const struct persist_backend_host *host);

/* Its name, for dlsym. */
#define PERSIST_BACKEND_ENTRY_SYMBOL "persist_backend_entry_v1"

/* What a backend defines: a persist_backend_entry_fn. */
PERSIST_BACKEND_EXPORT const struct persist_backend_descriptor *
persist_backend_entry_v1(const struct persist_backend_host *host);

#ifdef __cplusplus
}
#endif

#endif /* PERSIST_BACKEND_H */
