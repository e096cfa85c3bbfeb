/* SPDX-License-Identifier: Apache-2.0 */
/*
 * persist/error.h - what a call of libpersist answers when it fails.
 *
 * Every fallible function returns PERSIST_OK (0) or one of the negative codes
 * below, and takes as its last parameter a struct persist_error that the caller
 * owns (on the stack is fine), or NULL.  On failure the struct holds the
 * details; on success it is left alone.  Codes are stable and may be branched
 * on; messages are for people and change.
 */
#ifndef PERSIST_ERROR_H
#define PERSIST_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) && !defined(PERSIST_API)
#define PERSIST_API __attribute__((visibility("default")))
#elif !defined(PERSIST_API)
#define PERSIST_API
#endif

/* ------------------------------------------------------------------ errors */

/* What a call answers; docs/exit-codes.md says of each what to do. */
enum persist_status {
    PERSIST_OK = 0,              /* done */
    PERSIST_E_NOT_FOUND = -1,    /* no such snapshot, session, store or file */
    PERSIST_E_EXISTS = -2,       /* the target is already there */
    PERSIST_E_PRECONDITION = -3, /* the object changed while it was read */
    PERSIST_E_AUTH = -4,         /* credentials missing, wrong or expired */
    PERSIST_E_DENIED = -5,       /* known, and not permitted */
    PERSIST_E_THROTTLED = -6,    /* the store asked for less, to the end */
    PERSIST_E_TRANSIENT = -7,    /* a passing failure that outlasted retries */
    PERSIST_E_TIMEOUT = -8,      /* the deadline passed */
    PERSIST_E_CANCELLED = -9,    /* by the caller */
    PERSIST_E_CORRUPT = -10,     /* stored bytes are damaged */
    PERSIST_E_NO_SPACE = -11,    /* disk or quota full */
    PERSIST_E_UNSUPPORTED = -12, /* not in this build, backend or version */
    PERSIST_E_INVALID = -13,     /* an argument, address or input is wrong */
    PERSIST_E_CONFIG = -14,      /* configuration or plugin */
    PERSIST_E_MEMORY = -15,      /* out of memory or over the memory limit */
    PERSIST_E_IO = -16,          /* the medium failed */
    PERSIST_E_UNCERTAIN = -17,   /* it may have happened; the object is named */
    PERSIST_E_NOT_DURABLE = -18, /* visible; a power loss may take it back */
    PERSIST_E_INTERNAL = -19,    /* a bug in Persist or in a backend */
    PERSIST_E_CONFLICT = -20, /* the index or fence asked for does not hold */
    PERSIST_E_FORKED = -21,   /* called in a forked child */
    PERSIST_E_MISUSE = -22    /* the call breaks a rule of the API */
};

/*
 * Details of a failure.  The caller's storage; no part of it points elsewhere.
 * All text is NUL-terminated UTF-8 as the failing layer had it: escape control
 * characters before showing it on a terminal.  No secret ever stands in it.
 */
struct persist_error {
    int32_t status;      /* the code that was returned */
    int32_t os_errno;    /* an errno value, or 0 */
    int32_t http_status; /* of the last reply, or 0 */
    uint32_t attempts;   /* requests sent for the failing step; 0: none */
    uint64_t elapsed_ms; /* spent on the failing step */
    uint64_t reserved[4];
    char message[512];      /* what failed and why, one line, no full stop */
    char hint[256];         /* what to do about it, or "" */
    char object[512];       /* address, key or path it is about, or "" */
    char provider_code[64]; /* the service's own word, or "" */
    char request_id[128];   /* the service's id of the request, or "" */
};

/* The code's stable name ("not_found"); "unknown" for any other number. */
PERSIST_API const char *persist_status_name(int status);

/*
 * The exit code the persist command uses for a status (docs/exit-codes.md):
 * 0 ok, 1 other, 2 usage, 4 not found, 5 exists or conflict, 6 corrupt, 7 auth
 * or permission, 8 temporary, 9 config or plugin, 10 no space, 11 uncertain or
 * not durable, 130 interrupted.
 */
PERSIST_API int persist_status_exit_code(int status);

#ifdef __cplusplus
}
#endif

#endif /* PERSIST_ERROR_H */
