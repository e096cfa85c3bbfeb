/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns an index: the protocol of snapshot-format.md as step machines
 * without I/O.
 *
 * A machine says which request to make next and is told the answer:
 *
 *     owner_save_init(&m, &what);
 *     while (owner_save_next(&m, now_ns, &request))
 *         owner_save_feed(&m, &answer);              (after making it)
 *     m.result                                       says how it ended
 *
 * Machines are plain values: no pointer, no heap; a copy by assignment is
 * another machine in the same state.  Save, delete and cleanup drive them
 * against a real store; owner_model_test.c drives the same code against an
 * abstract one, through every interleaving.
 *
 * A saver:
 *
 *   LIST --> PUT .snap if absent --exists--> LIST      (someone was faster)
 *             |      \--uncertain--> PUT, the same again; or READ: ours?
 *             |                       nothing there --> BLOCK the key, so that
 *             |                       what may be under way comes too late
 *             | ok
 *             +--small--> saved
 *             +--long---> UPLOAD (claim renewed each day) --> COMMIT .data
 *                          | aborted                           | ok
 *                          v                                   v
 *                         TOMBSTONE over our own claim        saved
 *
 * Time.  now_ns is CLOCK_BOOTTIME.  No put is sent or repeated on knowledge
 * older than OWNER_KNOWLEDGE_NS.  A claim is renewed every OWNER_RENEW_NS while
 * its upload runs, and neither renewed nor committed once it is older than
 * OWNER_COMMIT_NS (the machine was suspended for days): so whoever finds a
 * claim of OWNER_AGE_US without its data knows that none will come.  The day
 * between the two is for the repeats of an uncertain commit.
 *
 * All this assumes that no request is under way for a day: networks and file
 * systems do not hold one so long.  (A machine that is suspended between the
 * look at the clock and the request could; a renewal is looked at again once it
 * is answered, a put and a commit are not.)
 */
#ifndef PERSIST_ENGINE_OWNER_H
#define PERSIST_ENGINE_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/target.h"

#define OWNER_HOUR_NS (UINT64_C(3600) * 1000000000)
#define OWNER_KNOWLEDGE_NS (OWNER_HOUR_NS * 24)
#define OWNER_RENEW_NS (OWNER_HOUR_NS * 24)
#define OWNER_COMMIT_NS (OWNER_HOUR_NS * 24 * 6)
#define OWNER_REPEAT_NS (OWNER_HOUR_NS * 24) /* of an uncertain commit */
#define OWNER_AGE_US (INT64_C(7) * 24 * 3600 * 1000000)
/* How often an uncertain request is made again, on top of the retries of
 * backend/retry, before the store is only asked what is there. */
#define OWNER_REPEATS 3

/* The rules the protocol stands on.  All are on outside of the model test,
 * which switches each off to see that it is needed. */
enum owner_rule {
    OWNER_RULE_TOMBSTONE = 1,      /* delete leaves a mark at the key */
    OWNER_RULE_TOMBSTONE_WINS = 2, /* over a .data beside it */
    OWNER_RULE_AGES = 4,           /* cleanup waits 7 days */
    OWNER_RULE_KEEP_HIGHEST = 8,   /* cleanup spares the highest key */
    OWNER_RULE_SAME_KEY = 16,      /* after uncertain, the same put again */
    OWNER_RULE_CLAIM = 32,         /* a long save claims its index first */
    OWNER_RULE_FRESH = 64,         /* no put on knowledge of yesterday */
    OWNER_RULE_COMMIT_LIMIT = 128, /* no commit under an aged claim */
    OWNER_RULE_BLOCK = 256,        /* an unresolved put is made impossible */
    OWNER_RULES_ALL = 511
};

enum owner_verb {
    OWNER_LIST = 1,      /* the session from its highest index down */
    OWNER_PUT_SNAPSHOT,  /* .snap of index, if absent */
    OWNER_PUT_CLAIM,     /* the same, a claim */
    OWNER_READ_SNAP,     /* whose is what lies at .snap of index */
    OWNER_SEND_DATA,     /* upload; then owner_save_uploaded */
    OWNER_RENEW_CLAIM,   /* our claim again over itself */
    OWNER_COMMIT_DATA,   /* .data of index, if absent */
    OWNER_READ_DATA,     /* whose is what lies at .data of index */
    OWNER_PUT_TOMBSTONE, /* over .snap of index */
    OWNER_PUT_BLOCK,     /* .snap of index, if absent, a tombstone of ours */
    OWNER_LOOK,          /* what lies at index */
    OWNER_DELETE_DATA,
    OWNER_DELETE_SNAP
};

struct owner_request {
    enum owner_verb verb;
    uint64_t index;
};

enum owner_reply {
    OWNER_OK = 1,
    OWNER_EXISTS,
    OWNER_UNCERTAIN,   /* it may have been applied */
    OWNER_NOT_DURABLE, /* applied, and a power loss may take it back */
    OWNER_FAILED       /* not applied, as far as its code tells; or a read that
                        * failed */
};

enum owner_found {
    OWNER_NOTHING = 1,
    OWNER_OURS,      /* with our snapshot_id: snapshot, claim or tombstone */
    OWNER_OTHERS,    /* READ: of another snapshot */
    OWNER_LIVE,      /* LOOK: a snapshot */
    OWNER_BARE,      /* LOOK: a claim without .data */
    OWNER_TOMBSTONED /* LOOK */
};

/* What a listing says that a saver wants to know. */
struct owner_view {
    uint64_t began_ns;    /* boot_ns before the first request of it */
    uint64_t highest;     /* with any */
    uint64_t above_index; /* with above */
    uint64_t at_least;    /* the store has handed out lower ones; 0: none */
    bool any;
    bool above; /* something above `after` that counts */
    bool above_is_claim;
    bool after_live;
};

struct owner_answer {
    enum owner_reply reply;
    enum owner_found found; /* READ_*, LOOK with OWNER_OK */
    bool maybe;             /* an attempt of it may have been applied: look */
    bool doubt;             /* FAILED, maybe: and may still be */
    bool has_data;          /* LOOK */
    struct owner_view view; /* LIST with OWNER_OK */
};

enum owner_result {
    OWNER_RUNNING = 0,
    /* of a save */
    OWNER_SAVED,
    OWNER_SAVED_NOT_DURABLE,
    OWNER_TAKEN,      /* the index asserted is not next; `other` is */
    OWNER_NOT_AFTER,  /* `other` lies above the fence */
    OWNER_AFTER_GONE, /* there is no snapshot to come after */
    OWNER_NO_INDEX,   /* all are used */
    OWNER_EXPIRED,    /* an upload whose claim others may take for dead */
    OWNER_CLAIM_WEAK, /* the claim is not durable: nothing was uploaded */
    OWNER_LOST,       /* someone's data under our claim: never */
    OWNER_ABORTED,
    /* of all */
    OWNER_REFUSED,    /* the last request failed, and had no effect */
    OWNER_UNRESOLVED, /* it may have happened; index says where */
    /* of a delete or a cleanup */
    OWNER_DELETED,
    OWNER_DELETED_NOT_DURABLE,
    OWNER_WAS_DELETED, /* before us */
    OWNER_ABSENT,      /* no snapshot there */
    OWNER_DATA_REMAINS /* deleted; removing its .data failed */
};

/* --------------------------------------------------------------------- save
 */

struct owner_save {
    uint64_t index;
    uint64_t after;
    uint64_t wanted;
    uint64_t other;
    uint64_t floor;     /* an index below it was found taken; 0: none */
    uint64_t known_ns;  /* what the index was chosen by */
    uint64_t claim_ns;  /* before the claim, or its renewal, was sent */
    uint64_t before_ns; /* claim_ns before the last renewal */
    /* How much older than claim_ns says a resumed claim is, whose time lies
     * before this clock began; until a renewal is known to have come in time.
     */
    uint64_t lag_ns;
    uint64_t commit_ns; /* before the first commit was sent */
    uint64_t sent_ns;   /* when the request now under way was asked for */
    uint16_t rules;
    uint8_t state;
    uint8_t asked; /* the verb of that request */
    uint8_t result;
    uint8_t then; /* the result behind a tombstone */
    uint8_t repeats;
    bool is_long;
    bool fenced;
    bool asserts;
    bool maybe;  /* an earlier request at this key may have been applied */
    bool doubt;  /* ... and may still be */
    bool failed; /* settle, then REFUSED rather than another round */
    bool commit_sent;
    bool renewed; /* and not yet known to have come in time */
    bool renew;   /* at once, however young */
    bool ghost;   /* a process before this one may have sent the commit */
    bool other_is_claim;
};

/* fenced: after; asserts: wanted.  A saver that is neither may start with an
 * index its store remembers (owner_save_remember). */
struct owner_save_what {
    bool is_long;
    bool fenced;
    bool asserts;
    uint64_t after;
    uint64_t wanted;
    uint16_t rules; /* OWNER_RULES_ALL */
};

void owner_save_init(struct owner_save *m, const struct owner_save_what *what);
/* Before the first step: this index is believed to be next, by knowledge of
 * known_ns. */
void owner_save_remember(struct owner_save *m, uint64_t index,
                         uint64_t known_ns);
/* False once there is a result.  now_ns must be read before the request. */
bool owner_save_next(struct owner_save *m, uint64_t now_ns,
                     struct owner_request *out);
void owner_save_feed(struct owner_save *m, const struct owner_answer *answer);
/* After OWNER_SEND_DATA: everything is sent, commit next. */
void owner_save_uploaded(struct owner_save *m);
/* Instead of feeding an answer to a commit that had no effect and took the
 * upload with it, or after OWNER_SEND_DATA: everything is to be sent again, for
 * the same index.  False, and nothing changes, where an earlier commit may have
 * been applied. */
bool owner_save_again(struct owner_save *m);
/* Stop: what was claimed is given up where that is certain to be harmless. */
void owner_save_abort(struct owner_save *m);

/* A claim that a process which died has left, and this one goes on with.  It
 * stood still, as a machine that slept does; nothing else is different.  The
 * claim is renewed before anything is sent. */
#define OWNER_RESUME_NS (OWNER_HOUR_NS * 24 * 5) /* none older than this */
struct owner_resume {
    uint64_t index;
    uint64_t now_ns;
    uint64_t age_ns;  /* of the claim, or of its last renewal; not more than
                         OWNER_RESUME_NS */
    bool commit_sent; /* the commit may have been */
};
/* Before the first step, of a long save; the caller has seen that the claim is
 * its own and there. */
void owner_save_resume(struct owner_save *m, const struct owner_resume *r);
/* Where the machine wants to give its claim up: it stays, for a later process
 * to go on with.  False, and nothing changes, where the claim must go because
 * it is too old, or where the machine is not at that point. */
bool owner_save_leave(struct owner_save *m);

/* Adds one index of a listing, from the highest down; true where no more of
 * them are needed. */
bool owner_view_add(struct owner_view *view, const struct owner_save *m,
                    const struct index_state *s, int64_t store_now_us);

/* ------------------------------------------------------------------- delete
 */

struct owner_delete {
    uint64_t index;
    uint16_t rules;
    uint8_t state;
    uint8_t result;
    uint8_t repeats;
    bool has_data;
    bool maybe;
    bool weak; /* an answer was not durable */
};

void owner_delete_init(struct owner_delete *m, uint64_t index, uint16_t rules);
bool owner_delete_next(struct owner_delete *m, struct owner_request *out);
void owner_delete_feed(struct owner_delete *m,
                       const struct owner_answer *answer);

/* ------------------------------------------------------------------ cleanup
 */

struct owner_clean {
    uint64_t index;
    uint8_t state;
    uint8_t result;
    uint8_t repeats;
    bool data; /* to be removed, before snap */
    bool snap;
};

/* What of one index may go.  upload_open: an unfinished upload names its .data.
 * store_now_us: a time by the store's clock that is not ahead of it. */
void owner_clean_init(struct owner_clean *m, uint16_t rules,
                      const struct index_state *s, uint64_t highest,
                      int64_t store_now_us, bool upload_open);
bool owner_clean_next(struct owner_clean *m, struct owner_request *out);
void owner_clean_feed(struct owner_clean *m, const struct owner_answer *answer);

/* True where the snapshot of this index can be read (see target.h). */
bool owner_is_live(const struct index_state *s, uint16_t rules);

#endif
