/* SPDX-License-Identifier: Apache-2.0 */
/* What open makes of checked values and of the environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "gcs/options.h"

static const char *emulator, *universe;

static const char *test_env(const char *name)
{
    if (strcmp(name, "STORAGE_EMULATOR_HOST") == 0)
        return emulator;
    if (strcmp(name, "GOOGLE_CLOUD_UNIVERSE_DOMAIN") == 0)
        return universe;
    return NULL;
}

static bool has_secret;

static int32_t test_secret(void *host_store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    (void)host_store;
    (void)out;
    (void)cap;
    assert_string_equal(key, "service_account_json");
    *out_len = 10;
    return has_secret ? PERSIST_BACKEND_INVALID : PERSIST_BACKEND_NOT_FOUND;
}

static const struct persist_backend_host host = {.struct_size = sizeof(host),
                                                 .secret = test_secret};

/* Pairs of key and text, NULL last; numbers as digits. */
static int32_t apply(struct gcs_options *o, const char *const *pairs,
                     struct persist_backend_error *err)
{
    struct persist_backend_value values[GCS_N_OPTIONS] = {{0}};
    const struct persist_backend_config config = {.struct_size = sizeof(config),
                                                  .n_values = GCS_N_OPTIONS,
                                                  .value_size =
                                                      sizeof(values[0]),
                                                  .values = values};

    for (size_t i = 0; i < GCS_N_OPTIONS; i++) {
        values[i].key = gcs_option_table[i].key;
        if (strcmp(values[i].key, "chunk_size") == 0)
            values[i].number = 64 << 20;
        for (size_t k = 0; pairs[k] != NULL; k += 2) {
            if (strcmp(pairs[k], values[i].key) != 0)
                continue;
            values[i].flags = PERSIST_BACKEND_VALUE_SET;
            values[i].text = pairs[k + 1];
            values[i].number = strtoll(pairs[k + 1], NULL, 10);
        }
    }
    *o = (struct gcs_options){0};
    *err = (struct persist_backend_error){.struct_size = sizeof(*err)};
    return gcs_options_apply(o, &host, &config, test_env, err);
}

static void expect(const char *const *pairs, const char *origin)
{
    struct persist_backend_error err;
    struct gcs_options o;

    assert_int_equal(apply(&o, pairs, &err), PERSIST_BACKEND_OK);
    assert_string_equal(o.origin, origin);
    gcs_options_finish(&o);
}

#define PAIRS(...)                                                             \
    (const char *const[])                                                      \
    {                                                                          \
        "bucket", "bucket", __VA_ARGS__, NULL                                  \
    }
#define NONE                                                                   \
    (const char *const[])                                                      \
    {                                                                          \
        "bucket", "bucket", NULL                                               \
    }

static void endpoint(void **state)
{
    (void)state;
    emulator = universe = NULL;
    has_secret = false;
    expect(NONE, "https://storage.googleapis.com");
    expect(PAIRS("endpoint", "https://Example.com:8443/base/"),
           "https://example.com:8443/base");
    expect(PAIRS("endpoint", "127.0.0.1"), "https://127.0.0.1");
    expect(PAIRS("endpoint", "http://127.0.0.1:99"), "http://127.0.0.1:99");
    expect(PAIRS("endpoint", "http://store.lan", "allow_http", "1"),
           "http://store.lan");
    expect(PAIRS("universe_domain", "example.goog"),
           "https://storage.example.goog");
    universe = "env.goog";
    expect(NONE, "https://storage.env.goog");
    emulator = "localhost:4443";
    expect(NONE, "http://localhost:4443");
    expect(PAIRS("endpoint", "https://real.example"), "https://real.example");
    emulator = "https://localhost:4443";
    expect(NONE, "https://localhost:4443");
    emulator = universe = NULL;
}

static void emulator_is_told_apart(void **state)
{
    struct persist_backend_error err;
    struct gcs_options o;

    (void)state;
    emulator = "localhost:4443";
    assert_int_equal(apply(&o, NONE, &err), PERSIST_BACKEND_OK);
    assert_true(o.emulator);
    gcs_options_finish(&o);
    /* An endpoint that was given outranks it, and is no emulator. */
    assert_int_equal(apply(&o, PAIRS("endpoint", "https://x.example"), &err),
                     PERSIST_BACKEND_OK);
    assert_false(o.emulator);
    gcs_options_finish(&o);
    emulator = NULL;
}

static void prefix(void **state)
{
    static const char *const rows[][2] = {
        {"", ""}, {"a", "a/"}, {"a/", "a/"}, {"A b/c", "A b/c/"}};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct persist_backend_error err;
        struct gcs_options o;

        assert_int_equal(apply(&o, PAIRS("prefix", rows[i][0]), &err),
                         PERSIST_BACKEND_OK);
        assert_string_equal(o.prefix, rows[i][1]);
        gcs_options_finish(&o);
    }
}

static void refused(void **state)
{
    static const char *const rows[][2] = {
        {"prefix", "/a"},
        {"prefix", "a//b"},
        {"prefix", "../a"},
        {"prefix", "a/./b"},
        {"prefix", "a\nb"},
        {"chunk_size", "262145"},
        {"retention_mode", "locked"},
        {"retain_for", "86400000"},
        {"kms_key_name", "projects/p/locations/l/keyRings/r"},
        {"kms_key_name", "projects//locations/l/keyRings/r/cryptoKeys/k"},
        {"kms_key_name", "projects/p/locations/l/keyRings/r/cryptoKeys/k/x"},
        {"endpoint", "http://example.com"},
        {"endpoint", "https://u:p@host"},
        {"universe_domain", "nodots"},
        {"bucket", "UPPER"},
        {"bucket", ""}};

    (void)state;
    emulator = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct persist_backend_error err;
        struct gcs_options o;

        if (apply(&o, PAIRS(rows[i][0], rows[i][1]), &err) !=
            PERSIST_BACKEND_CONFIG)
            fail_msg("taken: %s = %s", rows[i][0], rows[i][1]);
        assert_true(err.message[0] != '\0');
        gcs_options_finish(&o);
    }
}

static void table_matches_its_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < GCS_N_OPTIONS; i++) {
        const struct persist_backend_option *o = &gcs_option_table[i];

        assert_non_null(o->key);
        assert_non_null(o->help);
        assert_string_equal(o->since, "0.2.0");
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(o->key, gcs_option_table[k].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoint),
        cmocka_unit_test(emulator_is_told_apart),
        cmocka_unit_test(prefix),
        cmocka_unit_test(refused),
        cmocka_unit_test(table_matches_its_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
