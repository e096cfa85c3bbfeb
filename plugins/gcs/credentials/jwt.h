/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens signed with RS256 (RFC 7515, RFC 7518 section 3.3).
 */
#ifndef PERSIST_GCS_JWT_H
#define PERSIST_GCS_JWT_H

#include <stdint.h>

#include <jansson.h>
#include <persist/backend.h>

#include "support/secret.h"

/*
 * Signs `claims` with the RSA key in PEM (PKCS#8 or PKCS#1, without a
 * passphrase).  key_id goes into the header; may be NULL.  CONFIG where the key
 * is none, not RSA, or shorter than 2048 bits; MEMORY, INTERNAL.
 */
int32_t jwt_sign(const char *key_pem, const char *key_id, const json_t *claims,
                 struct secret *out, struct persist_backend_error *err);

#endif
