/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking secrets out of finished text, in place.
 *
 * Two kinds are found: registered secrets in every form they are likely to be
 * printed in, and the shapes of credentials that nobody registered.  What is
 * taken out becomes "(redacted)", or asterisks where it was shorter than that,
 * so the text never grows and redaction needs no memory and cannot fail.
 *
 * All functions but redactor_destroy may run while other threads apply.
 */
#ifndef PERSIST_SERVICES_REDACT_H
#define PERSIST_SERVICES_REDACT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A secret that nobody uses any more is looked for as long: what was said while
 * it was in use has been written by then. */
#define REDACTOR_KEEP_NS (UINT64_C(3600) * 1000000000)

struct redactor;

struct redactor *redactor_create(void); /* NULL: memory */
void redactor_destroy(struct redactor *r);
/* One more who uses it.  0 or PERSIST_E_MEMORY.  Under 6 bytes: nothing is
 * registered, 0.  Forgets what nobody has used for REDACTOR_KEEP_NS: a line
 * costs the more the more is looked for, and who opens a store with new keys
 * every hour would pay for all of them. */
int redactor_add(struct redactor *r, const void *bytes, size_t len,
                 uint64_t now_ns);
/* One who has added it uses it no more. */
void redactor_drop(struct redactor *r, const void *bytes, size_t len,
                   uint64_t now_ns);
/* Redacts len bytes that are followed by a NUL; returns the new length and
 * moves the NUL.  r NULL: shapes only. */
size_t redactor_apply(struct redactor *r, char *text, size_t len);

/* The length of the credential shape that begins at text[0], as the bytes to
 * keep (a name and its separator) and the bytes to take out.  false: none. */
struct redact_span {
    size_t keep;
    size_t take;
};
bool redact_shape(const char *text, size_t len, struct redact_span *out);

#endif
