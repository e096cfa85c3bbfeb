/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "transfer/sha256.h"
#include "util/text.h"

/* FIPS 180-4, examples of NIST's CSRC. */
static const struct {
    const char *text;
    const char *hex;
} vectors[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void digest(struct sha256 *h, char hex[65])
{
    uint8_t out[32];

    assert_int_equal(sha256_final(h, out), 0);
    text_to_hex(out, sizeof out, hex);
}

static void hash__gives_published_vectors(void **state)
{
    struct sha256 *h = sha256_create();
    char hex[65];
    size_t i;

    (void)state;
    assert_non_null(h);
    for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        sha256_reset(h);
        assert_int_equal(
            sha256_update(h, vectors[i].text, strlen(vectors[i].text)), 0);
        digest(h, hex);
        assert_string_equal(hex, vectors[i].hex);
    }
    sha256_destroy(h);
}

static void hash__does_not_depend_on_pieces(void **state)
{
    struct sha256 *h = sha256_create();
    const char *text = vectors[2].text;
    size_t cut, len = strlen(text);
    char hex[65];

    (void)state;
    for (cut = 0; cut <= len; cut++) {
        sha256_reset(h);
        assert_int_equal(sha256_update(h, text, cut), 0);
        assert_int_equal(sha256_update(h, text + cut, len - cut), 0);
        digest(h, hex);
        assert_string_equal(hex, vectors[2].hex);
    }
    sha256_destroy(h);
}

static void destroy__takes_null(void **state)
{
    (void)state;
    sha256_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__gives_published_vectors),
        cmocka_unit_test(hash__does_not_depend_on_pieces),
        cmocka_unit_test(destroy__takes_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
