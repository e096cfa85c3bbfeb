/* SPDX-License-Identifier: Apache-2.0 */
/* Making and signing; nothing here verifies. */
#include "gcs/credentials/jwt.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "support/encode.h"
#include "support/fail.h"
#include "support/text.h"

#define KEY_BITS_MIN 2048

/* libcrypto would ask at the terminal. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcrypto's type */
static int no_passphrase(char *out, int cap, int for_writing, void *ctx)
{
    (void)out;
    (void)cap;
    (void)for_writing;
    (void)ctx;
    return 0;
}

static int32_t load_key(const char *pem, EVP_PKEY **out,
                        struct persist_backend_error *err)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);

    *out = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL)
                       : NULL;
    BIO_free(bio);
    ERR_clear_error();
    if (*out == NULL)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "credentials: private_key is no private key in PEM "
                    "(without a passphrase)");
    if (EVP_PKEY_base_id(*out) != EVP_PKEY_RSA ||
        EVP_PKEY_bits(*out) < KEY_BITS_MIN)
        return fail(err, PERSIST_BACKEND_CONFIG,
                    "credentials: private_key must be an RSA key of at least "
                    "%d bits",
                    KEY_BITS_MIN);
    return PERSIST_BACKEND_OK;
}

static void add_json(struct text *out, const json_t *json)
{
    char *dump = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    if (dump != NULL)
        base64url_encode(out, dump, strlen(dump));
    else
        out->failed = true;
    free(dump);
}

/* "HEADER.CLAIMS", what is signed. */
static void add_signed_part(struct text *out, const char *key_id,
                            const json_t *claims)
{
    json_t *header = json_pack("{s:s, s:s, s:s*}", "alg", "RS256", "typ", "JWT",
                               "kid", key_id);

    add_json(out, header);
    text_add(out, ".");
    add_json(out, claims);
    json_decref(header);
}

static int32_t sign(EVP_PKEY *key, const char *text, size_t len,
                    struct text *out)
{
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    uint8_t signature[2048]; /* keys of up to 16,384 bits */
    size_t signature_len = sizeof(signature);
    bool ok;

    ok = md != NULL && EVP_PKEY_size(key) <= (int)sizeof(signature) &&
         EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, key) == 1 &&
         EVP_DigestSign(md, signature, &signature_len,
                        (const unsigned char *)text, len) == 1;
    EVP_MD_CTX_free(md);
    ERR_clear_error();
    if (ok)
        base64url_encode(out, signature, signature_len);
    return ok ? PERSIST_BACKEND_OK : PERSIST_BACKEND_INTERNAL;
}

int32_t jwt_sign(const char *key_pem, const char *key_id, const json_t *claims,
                 struct secret *out, struct persist_backend_error *err)
{
    struct text jwt = {.secret = true}, signature = {.secret = true};
    EVP_PKEY *key = NULL;
    int32_t rc = load_key(key_pem, &key, err);

    if (rc != PERSIST_BACKEND_OK)
        goto out;
    add_signed_part(&jwt, key_id, claims);
    rc = sign(key, text_str(&jwt), jwt.len, &signature);
    if (rc != PERSIST_BACKEND_OK) {
        rc = fail(err, rc, "credentials: libcrypto cannot sign with RS256");
        goto out;
    }
    text_add(&jwt, ".");
    text_add(&jwt, text_str(&signature));
    rc = jwt.failed || signature.failed
             ? PERSIST_BACKEND_MEMORY
             : secret_set(out, text_str(&jwt), jwt.len);
    if (rc != PERSIST_BACKEND_OK)
        rc = fail(err, rc, "out of memory");
out:
    EVP_PKEY_free(key);
    text_finish(&jwt);
    text_finish(&signature);
    return rc;
}
