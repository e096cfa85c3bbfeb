/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One save as it runs, shared by the files of the save side: save.c prepares
 * it and says how it ended, save_steps.c makes the requests that the machine
 * of owner.h asks for, save_upload.c those of a long save's upload,
 * save_resume.c keeps what a later process needs to go on, save_batch.c runs
 * many at once.
 *
 *     a save                              one of a batch
 *     save_one                            save_describe
 *       (describe, upload_open, fill)     save_start
 *       save_run                          save_step ... with save_pack and
 *         save_start, save_step ...         save_put_answered for its put
 *         save_stop                       save_stop
 *       save_conclude                     save_conclude, save_finish
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

    struct upload *up; /* NULL in a batch, whose objects are packed */
    void *object;      /* packed, at m.snapshot_index */
    size_t object_len;
    struct persist_metadata *described; /* m with all texts, of `object` */
    struct owner_save machine;
    unsigned int n_lists;
    bool plain;      /* neither fenced nor asserting: may use the memory */
    bool took_index; /* from the store's memory */
    bool index_used; /* a put at it may be visible, or it was not ours */

    struct backend_upload *upload; /* of .data */
    uint64_t object_size;
    uint32_t object_crc;
    bool committed;        /* the upload has ended by its commit */
    int64_t claim_wall_us; /* when the claim was sent last; 0: none was */
    unsigned int n_restarts;
    struct resume *resume; /* NULL: not to be resumed */
    bool left;             /* claim and upload stay, for a later process */

    uint64_t late_until_ns; /* 0 until a request was made after the end */
    int failure;            /* of the request that ended it, or of the source */
    struct persist_error last; /* its details */
};

/* The flags of persist_save_options that this library knows. */
extern const uint32_t save_known_flags;

/* A whole save, under an op that has begun.  call: gets the name of what was
 * saved; NULL: nobody. */
int save_one(struct persist_store *store, struct persist_op *op,
             struct engine_call *call, const char *address,
             struct save_source *source, const struct persist_save_options *o,
             struct persist_metadata **out, struct persist_error *err);

/* From store, op, o and source to the target and m; every complaint about
 * them.  save_finish also after a failure. */
int save_describe(struct saving *s, const char *address,
                  struct persist_error *err);
/* Frees what the members hold, not s. */
void save_finish(struct saving *s);
/* What the caller is told, once the machine has its result. */
int save_conclude(struct saving *s, struct persist_metadata **out,
                  struct persist_error *err);
/* The object at this index, encoded by an upload that is over again when this
 * returns: `object` and `described`.  Nothing is done where it is there.
 * *out_whole false: it does not fit in one put, and nothing is kept. */
int save_pack(struct saving *s, uint64_t index, bool *out_whole,
              struct persist_error *err);

/* Sets the machine up, with an index that the store remembers where it may. */
void save_start(struct saving *s, bool whole);
/* Makes one request, but for OWNER_SEND_DATA. */
void save_step(struct saving *s, const struct owner_request *r,
               struct owner_answer *a);
/* The answer to a put of `object` at m.snapshot_index that was made elsewhere:
 * as if save_step had made it. */
void save_put_answered(struct saving *s, uint64_t sent_ns, int rc, bool maybe,
                       const struct persist_error *err, struct owner_answer *a);
/* After the result: what was taken and not used is given back. */
void save_stop(struct saving *s);

/* What the items of a batch say where the call is never made.  Those that
 * cannot be read are left alone. */
void save_batch_expects(struct persist_batch_item *items, size_t n, int status);

/* Runs the machine to its result.  The payload is filled; whole: it goes in
 * one put.  With `unchanged` set nothing is written: OWNER_ABORTED, once a
 * listing has shown that fence and index hold. */
void save_run(struct saving *s, bool whole);

/* save_upload.c: what the machine's verbs SEND_DATA and COMMIT_DATA do. */
void save_send(struct saving *s);
void save_commit(struct saving *s, struct owner_answer *a);
/* Aborts what is neither committed nor left. */
void save_end_upload(struct saving *s);

/* save.c.  `up` for the source as it stands. */
int save_open_payload(struct saving *s, struct persist_error *err);
/* A new id and time for the snapshot. */
int save_rename(struct saving *s, struct persist_error *err);

/* save_steps.c, for save_upload.c. */
static inline uint64_t save_now(const struct saving *s)
{
    return clock_boot_ns(s->store->p->clock);
}
/* Remembers why a request failed, for the caller. */
void save_failed(struct saving *s, int rc, const struct persist_error *err);
/* A write's answer in the machine's words. */
void save_answer(struct saving *s, int rc, bool maybe,
                 const struct persist_error *err, struct owner_answer *a);
/* A request that must not be repeated after until_ns: backend/retry keeps
 * deadlines, and so the rules about time hold within one call of it too. */
int save_bound_op(const struct saving *s, uint64_t until_ns,
                  struct persist_op *out, struct persist_error *err);
/* CONFLICT where others may have taken the claim for dead although the machine
 * of owner.h does not know: it counts time that no clock can jump over, and a
 * store may not.  Where this machine's clock was set ahead by days (it has no
 * battery, or slept in a hypervisor), a file system's was too, and a cleanup or
 * a fenced save has seen a claim that is days old. */
int save_check_claim(const struct saving *s, struct persist_error *err);
void save_put_claim(struct saving *s, uint64_t index, bool if_absent,
                    struct owner_answer *a);
/* A tombstone of this id at .snap: over our claim, or where nothing lies. */
int save_put_tombstone(struct saving *s, const char *key, const char *id,
                       bool if_absent, struct persist_error *err);

/* True where the payload, now known, is the latest snapshot's. */
bool save_is_unchanged(const struct saving *s, const uint8_t sha256[32],
                       uint64_t len);

#endif
