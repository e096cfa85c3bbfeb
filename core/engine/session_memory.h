/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one open store remembers of its sessions: the last index it saw, for a
 * minute, so that a steady saver tries the next one at once and pays one
 * request per save.
 *
 * Bounded: the session that was used least recently is forgotten first.
 * Thread-safe.  Concurrent saves take consecutive indices: an index that was
 * handed out is not handed out again while it is remembered.
 *
 * What is remembered is: every index from `next` on that anybody ever used was
 * first used after known_ns.  A listing that began then tells so, and a put
 * that succeeds moves `next` but not known_ns: that its index was free says
 * nothing about those above it.  Whoever acts on it must know its age
 * (snapshot-format.md: nothing is put on knowledge older than 24 hours).
 */
#ifndef PERSIST_ENGINE_SESSION_MEMORY_H
#define PERSIST_ENGINE_SESSION_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_MEMORY_MAX 1024
#define SESSION_MEMORY_NS (UINT64_C(60) * 1000000000) /* since last seen */
#define SESSION_MEMORY_KNOWN_NS (UINT64_C(86400) * 1000000000)

struct session_memory;

struct session_memory *session_memory_create(size_t max); /* NULL: memory */
void session_memory_destroy(struct session_memory *m);

/* The index below `next` was put at seen_ns, chosen by knowledge of known_ns.
 * Without memory it is not remembered. */
void session_memory_note(struct session_memory *m, const char *session,
                         uint64_t next, uint64_t seen_ns, uint64_t known_ns);
/* Takes an index of the session: true with it and the age of the knowledge, or
 * false where nothing fresh is remembered. */
bool session_memory_take(struct session_memory *m, const char *session,
                         uint64_t now_ns, uint64_t *out_index,
                         uint64_t *out_known_ns);
/* After a fresh listing at known_ns said that `next` follows the highest
 * index: takes that one, or a later one where concurrent saves of this store
 * have taken it. */
uint64_t session_memory_take_listed(struct session_memory *m,
                                    const char *session, uint64_t next,
                                    uint64_t known_ns);
/* An index that was taken was certainly not used: it is handed out again where
 * no later one was taken meanwhile; else it stays a gap. */
void session_memory_give_back(struct session_memory *m, const char *session,
                              uint64_t index);

#endif
