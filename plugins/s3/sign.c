/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SigV4 of the header kind.  The canonical request is hashed as it is written,
 * so its length has no ceiling and no copy is made.  SHA-256 through
 * libcrypto's direct functions: fetching the algorithm for each of the hashes
 * of a signature costs more than the hashes (docs/decisions.md, "Speed").
 */
#include "sign.h"

/* SHA256_* are deprecated in favour of EVP, see above. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <string.h>

#define BLOCK 64 /* SHA-256's */

/* ------------------------------------------------------------------- hashes */

static void hash_text(SHA256_CTX *sha, const char *s)
{
    SHA256_Update(sha, s, strlen(s));
}

static void to_hex(const uint8_t digest[32], char out[SIGN_SHA256_CAP])
{
    struct fixed t = fixed_over(out, SIGN_SHA256_CAP);

    fixed_add_hex(&t, digest, 32);
}

void sign_sha256(const void *data, size_t len, char out[SIGN_SHA256_CAP])
{
    uint8_t digest[32];

    SHA256(data, len, digest);
    to_hex(digest, out);
}

/* RFC 2104, for keys of any length. */
static void hmac(const void *key, size_t key_len, const char *s,
                 uint8_t out[32])
{
    uint8_t block[BLOCK] = {0};
    SHA256_CTX sha;

    if (key_len > BLOCK)
        SHA256(key, key_len, block);
    else
        memcpy(block, key, key_len);
    for (size_t i = 0; i < BLOCK; i++)
        block[i] ^= 0x36;
    SHA256_Init(&sha);
    SHA256_Update(&sha, block, BLOCK);
    hash_text(&sha, s);
    SHA256_Final(out, &sha);

    for (size_t i = 0; i < BLOCK; i++)
        block[i] ^= 0x36 ^ 0x5c;
    SHA256_Init(&sha);
    SHA256_Update(&sha, block, BLOCK);
    SHA256_Update(&sha, out, 32);
    SHA256_Final(out, &sha);
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(&sha, sizeof(sha));
}

/* --------------------------------------------------------------- the signer */

int sign_init(struct sign_signer *signer)
{
    memset(signer->fingerprint, 0, sizeof(signer->fingerprint));
    memset(signer->key, 0, sizeof(signer->key));
    return pthread_mutex_init(&signer->lock, NULL) == 0 ? 0 : -1;
}

void sign_finish(struct sign_signer *signer)
{
    OPENSSL_cleanse(signer->key, sizeof(signer->key));
    pthread_mutex_destroy(&signer->lock);
}

/* Everything the key depends on, in one hash.  The NULs keep the parts apart.
 */
static void fingerprint_of(const struct sign_request *r, uint8_t out[32])
{
    SHA256_CTX sha;

    SHA256_Init(&sha);
    SHA256_Update(&sha, r->date, 8);
    SHA256_Update(&sha, r->region, strlen(r->region) + 1);
    SHA256_Update(&sha, r->service, strlen(r->service) + 1);
    SHA256_Update(&sha, r->access_key_id, strlen(r->access_key_id) + 1);
    hash_text(&sha, r->secret_access_key);
    SHA256_Final(out, &sha);
    OPENSSL_cleanse(&sha, sizeof(sha));
}

/* "AWS4" + secret, date, region, service, "aws4_request": one HMAC each. */
static int derive_key(const struct sign_request *r, uint8_t out[32])
{
    char start[1024], date[9];
    struct fixed t = fixed_over(start, sizeof(start));

    fixed_add(&t, "AWS4");
    fixed_add(&t, r->secret_access_key);
    memcpy(date, r->date, 8);
    date[8] = '\0';
    hmac(start, t.len, date, out);
    hmac(out, 32, r->region, out);
    hmac(out, 32, r->service, out);
    hmac(out, 32, "aws4_request", out);
    OPENSSL_cleanse(start, sizeof(start));
    return t.ok ? 0 : -1;
}

static int signing_key(struct sign_signer *signer, const struct sign_request *r,
                       uint8_t out[32])
{
    uint8_t fingerprint[32];
    int rc = 0;

    fingerprint_of(r, fingerprint);
    pthread_mutex_lock(&signer->lock);
    if (memcmp(fingerprint, signer->fingerprint, 32) != 0) {
        rc = derive_key(r, signer->key);
        /* A key that could not be made is never taken for one. */
        memset(signer->fingerprint, 0, 32);
        if (rc == 0)
            memcpy(signer->fingerprint, fingerprint, 32);
    }
    memcpy(out, signer->key, 32);
    pthread_mutex_unlock(&signer->lock);
    return rc;
}

/* ---------------------------------------------------- the canonical request */

/* Insertion sort: a dozen items, mostly in order already. */
static size_t sort_headers(const struct sign_request *r,
                           const struct sign_header *out[SIGN_MAX_HEADERS])
{
    size_t n =
        r->n_headers < SIGN_MAX_HEADERS ? r->n_headers : SIGN_MAX_HEADERS;

    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        for (; at > 0 && strcmp(out[at - 1]->name, r->headers[i].name) > 0;
             at--)
            out[at] = out[at - 1];
        out[at] = &r->headers[i];
    }
    return n;
}

/* The value without blanks around it, runs of blanks as one. */
static void hash_value(SHA256_CTX *sha, const char *value)
{
    while (*value == ' ')
        value++;
    while (*value != '\0') {
        size_t run = strcspn(value, " ");
        size_t blanks = strspn(value + run, " ");

        SHA256_Update(sha, value, run);
        value += run + blanks;
        if (blanks > 0 && *value != '\0')
            SHA256_Update(sha, " ", 1);
    }
}

static void hash_headers(SHA256_CTX *sha, const struct sign_request *r)
{
    const struct sign_header *sorted[SIGN_MAX_HEADERS];
    size_t n = sort_headers(r, sorted);

    for (size_t i = 0; i < n; i++) {
        hash_text(sha, sorted[i]->name);
        SHA256_Update(sha, ":", 1);
        hash_value(sha, sorted[i]->value);
        SHA256_Update(sha, "\n", 1);
    }
}

void sign_header_names(struct fixed *out, const struct sign_request *r)
{
    const struct sign_header *sorted[SIGN_MAX_HEADERS];
    size_t n = sort_headers(r, sorted);

    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fixed_add(out, ";");
        fixed_add(out, sorted[i]->name);
    }
}

static int hash_canonical(const struct sign_request *r, const char *names,
                          char out[SIGN_SHA256_CAP])
{
    const char *const before[] = {r->method, "\n",     r->path,
                                  "\n",      r->query, "\n"};
    const char *const behind[] = {"\n", names, "\n", r->payload_sha256};
    uint8_t digest[32];
    SHA256_CTX sha;

    SHA256_Init(&sha);
    for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
        hash_text(&sha, before[i]);
    hash_headers(&sha, r);
    for (size_t i = 0; i < sizeof(behind) / sizeof(behind[0]); i++)
        hash_text(&sha, behind[i]);
    SHA256_Final(digest, &sha);
    to_hex(digest, out);
    return r->n_headers <= SIGN_MAX_HEADERS ? 0 : -1;
}

int sign_canonical_sha256(const struct sign_request *r,
                          char out[SIGN_SHA256_CAP])
{
    char names[1024];
    struct fixed t = fixed_over(names, sizeof(names));

    sign_header_names(&t, r);
    return t.ok ? hash_canonical(r, names, out) : -1;
}

/* ---------------------------------------------------------------- signature */

static void add_scope(struct fixed *t, const struct sign_request *r)
{
    fixed_add_bytes(t, r->date, 8);
    fixed_add(t, "/");
    fixed_add(t, r->region);
    fixed_add(t, "/");
    fixed_add(t, r->service);
    fixed_add(t, "/aws4_request");
}

int sign_request(struct sign_signer *signer, const struct sign_request *r,
                 char out[SIGN_AUTHORIZATION_CAP])
{
    char names[1024], canonical[SIGN_SHA256_CAP], to_sign[512];
    struct fixed n = fixed_over(names, sizeof(names));
    struct fixed s = fixed_over(to_sign, sizeof(to_sign));
    struct fixed a = fixed_over(out, SIGN_AUTHORIZATION_CAP);
    uint8_t key[32], signature[32];

    sign_header_names(&n, r);
    if (!n.ok || strlen(r->date) + 1 != SIGN_DATE_CAP ||
        hash_canonical(r, names, canonical) != 0 ||
        signing_key(signer, r, key) != 0)
        return -1;
    fixed_add(&s, "AWS4-HMAC-SHA256\n");
    fixed_add(&s, r->date);
    fixed_add(&s, "\n");
    add_scope(&s, r);
    fixed_add(&s, "\n");
    fixed_add(&s, canonical);
    hmac(key, sizeof(key), to_sign, signature);
    OPENSSL_cleanse(key, sizeof(key));

    fixed_add(&a, "AWS4-HMAC-SHA256 Credential=");
    fixed_add(&a, r->access_key_id);
    fixed_add(&a, "/");
    add_scope(&a, r);
    fixed_add(&a, ", SignedHeaders=");
    fixed_add(&a, names);
    fixed_add(&a, ", Signature=");
    fixed_add_hex(&a, signature, sizeof(signature));
    return s.ok && a.ok ? 0 : -1;
}

/* --------------------------------------------------------- date and queries */

static void two_digits(char *out, int64_t value)
{
    out[0] = (char)('0' + value / 10 % 10);
    out[1] = (char)('0' + value % 10);
}

void sign_date(int64_t wall_us, char out[SIGN_DATE_CAP])
{
    int64_t seconds = wall_us / 1000000 - (wall_us % 1000000 < 0);
    int64_t day = seconds / 86400 - (seconds % 86400 < 0);
    int64_t in_day = seconds - day * 86400;
    /* Civil date from a day number, in years that start in March so that the
     * leap day is the last (Hinnant, "chrono-compatible low-level date
     * algorithms"). */
    int64_t shifted = day + 719468;
    int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    int64_t of_era = shifted - era * 146097;
    int64_t year =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t march_month = (5 * of_year + 2) / 153;
    int64_t month = march_month < 10 ? march_month + 3 : march_month - 9;

    year += era * 400 + (month <= 2);
    two_digits(out, year / 100);
    two_digits(out + 2, year);
    two_digits(out + 4, month);
    two_digits(out + 6, of_year - (153 * march_month + 2) / 5 + 1);
    out[8] = 'T';
    two_digits(out + 9, in_day / 3600);
    two_digits(out + 11, in_day / 60 % 60);
    two_digits(out + 13, in_day % 60);
    out[15] = 'Z';
    out[16] = '\0';
}

/* Byte order of the encoded names; the pairs of one request have different
 * names, so values never decide. Encoded and plain names sort alike: they are
 * all made of unreserved characters. */
void sign_query(struct fixed *out, const struct sign_pair *pairs, size_t n)
{
    const struct sign_pair *sorted[SIGN_MAX_HEADERS] = {NULL};

    if (n > SIGN_MAX_HEADERS) {
        out->ok = false;
        return;
    }
    for (size_t i = 0; i < n; i++) {
        size_t at = i;

        for (; at > 0 && strcmp(sorted[at - 1]->name, pairs[i].name) > 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &pairs[i];
    }
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fixed_add(out, "&");
        fixed_encode(out, sorted[i]->name, FIXED_ENCODE_ALL);
        fixed_add(out, "=");
        fixed_encode(out, sorted[i]->value, FIXED_ENCODE_ALL);
    }
}
