/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves that go on where an earlier process stopped (PERSIST_SAVE_RESUME).
 *
 *     save.c         save_resume_open        lock and file; what of it holds?
 *                    (payload opened, filled)
 *                    save_resume_fits        its index, its header: the same?
 *     save_steps.c   save_resume_start       the machine begins with the claim
 *                                            that is there
 *     save_upload.c  save_resume_continue    ... and goes on with the upload,
 *                    save_resume_begun       or another one: into the file
 *     (each part)                            into the file
 *                    save_resume_committing  a commit is about to be sent
 *     save_steps.c   save_resume_leaves      failed: claim and upload stay
 *     save.c         save_resume_close       the file stays with them, or goes
 *
 * Where a save is not to be resumed all of these do nothing.
 *
 * A file is never trusted: whose the claim is, and whether the data is there
 * already, is read from the store; parts are skipped by their CRC-32C, and only
 * where the source looks as it did (size, modification time); a file that is
 * damaged or of another store, session or source is passed over with a warning.
 */
#ifndef PERSIST_ENGINE_SAVE_RESUME_H
#define PERSIST_ENGINE_SAVE_RESUME_H

#include "engine/save.h"

/* INVALID: the source cannot be read twice; UNSUPPORTED: no state directory;
 * TRANSIENT: another process is at it.  *out_done: the earlier process had
 * finished, and *out (may be NULL) is what it saved. */
int save_resume_open(struct saving *s, bool *out_done,
                     struct persist_metadata **out, struct persist_error *err);
/* After the payload is filled.  Where what is to be saved differs from what was
 * begun, the old claim and upload are given up and the save starts anew. */
int save_resume_fits(struct saving *s, bool whole, struct persist_error *err);
/* Bytes of a part; 0: as you like. */
uint64_t save_resume_part_size(const struct saving *s);
/* True: the machine goes on with the claim. */
bool save_resume_start(struct saving *s);
/* *out NULL: there is no upload to go on with. */
int save_resume_continue(struct saving *s, const char *key,
                         struct backend_upload **out,
                         struct persist_error *err);
bool save_resume_continued(const struct saving *s);
int save_resume_begun(struct saving *s, struct persist_error *err);
void save_resume_claimed(struct saving *s); /* renewed */
void save_resume_dropped(struct saving *s); /* the upload is no more */
/* Before a commit is sent: it is written down that it may have been. */
int save_resume_committing(struct saving *s, struct persist_error *err);
/* True: the machine leaves the claim as it is. */
bool save_resume_leaves(struct saving *s);
/* After the machine's result, before the upload is ended. */
void save_resume_settle(struct saving *s);
/* err: of the save, NULL where it succeeded; gets the hint. */
void save_resume_close(struct saving *s, struct persist_error *err);

#endif
