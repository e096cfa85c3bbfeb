/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking secrets out of finished text, in place.
 *
 * Two kinds are found: registered secrets in every form they are likely to be
 * printed in, and the shapes of credentials that nobody registered.  What is
 * taken out becomes "(redacted)", or asterisks where it was shorter than that,
 * so the text never grows and redaction needs no memory and cannot fail.
 *
 * redactor_add may run while other threads apply; secrets are only ever added.
 */
#ifndef PERSIST_SERVICES_REDACT_H
#define PERSIST_SERVICES_REDACT_H

#include <stdbool.h>
#include <stddef.h>

struct redactor;

struct redactor *redactor_create(void); /* NULL: memory */
void redactor_destroy(struct redactor *r);
/* 0 or PERSIST_E_MEMORY.  Under 6 bytes: nothing is registered, 0. */
int redactor_add(struct redactor *r, const void *bytes, size_t len);
/* Redacts len bytes that are followed by a NUL; returns the new length and
 * moves the NUL.  r NULL: shapes only. */
size_t redactor_apply(const struct redactor *r, char *text, size_t len);

/* The length of the credential shape that begins at text[0], as the bytes to
 * keep (a name and its separator) and the bytes to take out.  false: none. */
struct redact_span {
    size_t keep;
    size_t take;
};
bool redact_shape(const char *text, size_t len, struct redact_span *out);

#endif
