/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens signed with a key made here are verified with its public half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "gcs/credentials/jwt.h"
#include "support/encode.h"
#include "support/text.h"

static EVP_PKEY *key;

static char *pem_of(EVP_PKEY *k)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL;
    long len;
    char *copy;

    assert_int_equal(
        PEM_write_bio_PKCS8PrivateKey(bio, k, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_get_mem_data(bio, &bytes);
    copy = strndup(bytes, (size_t)len);
    BIO_free(bio);
    return copy;
}

static int make_key(void **state)
{
    (void)state;
    key = EVP_RSA_gen(2048);
    return key == NULL;
}

static int free_key(void **state)
{
    (void)state;
    EVP_PKEY_free(key);
    return 0;
}

static bool is_signed(const char *token, EVP_PKEY *by)
{
    const char *dot = strrchr(token, '.');
    struct text signature = {0};
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    bool ok;

    assert_true(base64_decode(&signature, dot + 1, strlen(dot + 1), true));
    ok = EVP_DigestVerifyInit(md, NULL, EVP_sha256(), NULL, by) == 1 &&
         EVP_DigestVerify(md, (const unsigned char *)signature.data,
                          signature.len, (const unsigned char *)token,
                          (size_t)(dot - token)) == 1;
    EVP_MD_CTX_free(md);
    text_finish(&signature);
    return ok;
}

static void token__is_signed_by_its_key(void **state)
{
    json_t *claims = json_pack("{s:s, s:i}", "iss", "me@x", "iat", 5);
    struct secret token = {0};
    struct text part = {0};
    EVP_PKEY *other = EVP_RSA_gen(2048);
    char *pem = pem_of(key);
    const char *text, *dot;

    (void)state;
    assert_int_equal(jwt_sign(pem, "kid-1", claims, &token, NULL),
                     PERSIST_BACKEND_OK);
    text = secret_text(&token);
    assert_true(is_signed(text, key));
    assert_false(is_signed(text, other));
    assert_null(strchr(text, '='));
    dot = strchr(text, '.');
    assert_true(base64_decode(&part, text, (size_t)(dot - text), true));
    assert_string_equal(
        text_str(&part),
        "{\"alg\":\"RS256\",\"kid\":\"kid-1\",\"typ\":\"JWT\"}");
    text_clear(&part);
    assert_true(base64_decode(&part, dot + 1,
                              (size_t)(strrchr(text, '.') - dot - 1), true));
    assert_string_equal(text_str(&part), "{\"iat\":5,\"iss\":\"me@x\"}");
    text_finish(&part);
    secret_wipe(&token);
    EVP_PKEY_free(other);
    json_decref(claims);
    free(pem);
}

static void key_id__may_be_missing(void **state)
{
    json_t *claims = json_pack("{s:i}", "iat", 5);
    struct secret token = {0};
    struct text part = {0};
    char *pem = pem_of(key);

    (void)state;
    assert_int_equal(jwt_sign(pem, NULL, claims, &token, NULL),
                     PERSIST_BACKEND_OK);
    assert_true(base64_decode(&part, secret_text(&token),
                              strcspn(secret_text(&token), "."), true));
    assert_string_equal(text_str(&part), "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    text_finish(&part);
    secret_wipe(&token);
    json_decref(claims);
    free(pem);
}

static void expect_refused(const char *pem, json_t *claims)
{
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct secret token = {0};

    assert_int_equal(jwt_sign(pem, NULL, claims, &token, &err),
                     PERSIST_BACKEND_CONFIG);
    assert_non_null(strstr(err.message, "private_key"));
    assert_int_equal(token.len, 0);
}

static void keys_that_will_not_do(void **state)
{
    json_t *claims = json_pack("{s:i}", "iat", 5);
    EVP_PKEY *weak = EVP_RSA_gen(1024), *curve = EVP_EC_gen("P-256");
    char *pem = pem_of(key);

    (void)state;
    expect_refused("", claims);
    expect_refused("no key at all", claims);
    pem[strlen(pem) / 2] = '!';
    expect_refused(pem, claims);
    free(pem);
    pem = pem_of(weak);
    expect_refused(pem, claims);
    free(pem);
    pem = pem_of(curve);
    expect_refused(pem, claims);
    free(pem);
    EVP_PKEY_free(weak);
    EVP_PKEY_free(curve);
    json_decref(claims);
}

/* It must not ask at the terminal. */
static void key_with_a_passphrase(void **state)
{
    json_t *claims = json_pack("{s:i}", "iat", 5);
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL, *pem;
    char pass[] = "pass";
    long len;

    (void)state;
    assert_int_equal(PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_128_cbc(),
                                                   pass, 4, NULL, NULL),
                     1);
    len = BIO_get_mem_data(bio, &bytes);
    pem = strndup(bytes, (size_t)len);
    expect_refused(pem, claims);
    BIO_free(bio);
    free(pem);
    json_decref(claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token__is_signed_by_its_key),
        cmocka_unit_test(key_id__may_be_missing),
        cmocka_unit_test(keys_that_will_not_do),
        cmocka_unit_test(key_with_a_passphrase),
    };

    return cmocka_run_group_tests(tests, make_key, free_key);
}
