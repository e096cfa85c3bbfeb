/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots of Persist 0.1, real ones and hostile ones, and their gzip. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/deflate.h"
#include "format/gunzip.h"
#include "format/v1.h"
#include "util/le.h"
#include "util/text.h"

#define FIXTURES PERSIST_TEST_SOURCE_DIR "/tests/data/persist-0.1/"
#define META                                                                   \
    "{\"agent_id\":\"a\",\"session_id\":\"s\",\"snapshot_index\":3,"           \
    "\"timestamp\":\"2026-11-23T04:19:24.642210923Z\",\"content_hash\":"       \
    "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","    \
    "\"format_version\":1,\"snapshot_id\":\"x\",\"description\":null,"         \
    "\"uncompressed_size\":null}"

static void read_whole(const char *name, struct buf *out)
{
    char path[300];
    char bytes[4096];
    size_t n;

    snprintf(path, sizeof(path), FIXTURES "%s", name);
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    buf_init(out, 1 << 20);
    while ((n = fread(bytes, 1, sizeof(bytes), file)) > 0)
        buf_append(out, bytes, n);
    fclose(file);
}

static void assert_sha256(const void *data, size_t len, const char *want)
{
    uint8_t sha[32];
    char hex[65];

    assert_int_equal(EVP_Digest(data, len, sha, NULL, EVP_sha256(), NULL), 1);
    text_to_hex(sha, sizeof(sha), hex);
    assert_string_equal(hex, want);
}

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static void check_file(const json_t *want)
{
    struct persist_error err = {0};
    struct v1_snapshot v;
    struct buf packed;
    struct buf text;

    read_whole(text_of(want, "file"), &packed);
    buf_init(&text, 1 << 20);
    assert_int_equal(gunzip(packed.data, packed.len, &text, &err), 0);
    if (v1_parse(text.data, text.len, &v, &err) != PERSIST_OK)
        fail_msg("%s: %s", text_of(want, "file"), err.message);
    assert_string_equal(v.agent_id, text_of(want, "agent_id"));
    assert_string_equal(v.session_id, text_of(want, "session_id"));
    assert_string_equal(v.timestamp, text_of(want, "timestamp"));
    assert_string_equal(v.content_hash, text_of(want, "content_hash"));
    if (text_of(want, "description"))
        assert_string_equal(v.description, text_of(want, "description"));
    else
        assert_null(v.description);
    assert_int_equal(
        v.index, json_integer_value(json_object_get(want, "snapshot_index")));
    assert_int_equal(v.state_len, json_integer_value(
                                      json_object_get(want, "payload_bytes")));
    assert_sha256(v.state, v.state_len, v.content_hash);
    v1_finish(&v);
    buf_finish(&packed);
    buf_finish(&text);
}

static void parse__reads_what_0_1_wrote(void **state)
{
    json_t *all = json_load_file(FIXTURES "expected.json", 0, NULL);
    (void)state;

    assert_int_equal(json_array_size(all), 7);
    for (size_t i = 0; i < json_array_size(all); i++)
        check_file(json_array_get(all, i));
    json_decref(all);
}

static void parse__finds_the_raw_state(void **state)
{
    static const char *const states[] = {
        "{}",
        "[]",
        "0",
        "-0.0",
        "1e+21",
        "12345678901234567890",
        "1.0E-5",
        "null",
        "true",
        "false",
        "\"\"",
        "\"}]{[\\\"\\\\\"",
        "\"\\u0000\\ud800\"",
        "\"\\\"metadata\\\":{\"",
        "{\"metadata\":{},\"agent_state\":[{}]}",
        "[[[]],{\"a\":[{}]} , 1 ]",
        "{ \"a\" : { } , \"b\" : [ ] }",
        "{\"a\":1,\"a\":2}",
        "\"\xe2\x80\xae\"",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        for (unsigned order = 0; order < 3; order++) {
            static const char *const forms[] = {
                "{\"metadata\":" META ",\"agent_state\":%s}",
                " { \"agent_state\" : %s , \"metadata\" : " META " } \n",
                "{\"x\":[{}],\"metadata\":" META
                ",\"agent\\u005fstate\":%s,\"y\":1}",
            };
            struct persist_error err = {0};
            struct v1_snapshot v;
            char *text = NULL;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            assert_true(asprintf(&text, forms[order], states[i]) > 0);
#pragma GCC diagnostic pop
            if (v1_parse(text, strlen(text), &v, &err) != PERSIST_OK)
                fail_msg("%s: %s", text, err.message);
            assert_int_equal(v.state_len, strlen(states[i]));
            assert_int_equal(strncmp(v.state, states[i], v.state_len), 0);
            assert_int_equal(v.index, 3);
            assert_int_equal(v.timestamp_us, INT64_C(1795407564642210));
            v1_finish(&v);
            free(text);
        }
    }
}

static void parse__refuses_what_is_no_json(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[]",
        "null",
        "{\"metadata\":" META ",\"agent_state\":}",
        "{\"metadata\":" META ",\"agent_state\":{}",
        "{\"metadata\":" META ",\"agent_state\":{}}}",
        "{\"metadata\":" META ",\"agent_state\":{}}x",
        "{\"metadata\":" META ",\"agent_state\":{},}",
        "{\"metadata\":" META ",\"agent_state\":[1,]}",
        "{\"metadata\":" META ",\"agent_state\":[1 2]}",
        "{\"metadata\":" META ",\"agent_state\":[1}",
        "{\"metadata\":" META ",\"agent_state\":{\"a\"}}",
        "{\"metadata\":" META ",\"agent_state\":{\"a\":}}",
        "{\"metadata\":" META ",\"agent_state\":{a:1}}",
        "{\"metadata\":" META ",\"agent_state\":{,}}",
        "{\"metadata\":" META ",\"agent_state\":01}",
        "{\"metadata\":" META ",\"agent_state\":1.}",
        "{\"metadata\":" META ",\"agent_state\":.5}",
        "{\"metadata\":" META ",\"agent_state\":+1}",
        "{\"metadata\":" META ",\"agent_state\":1e}",
        "{\"metadata\":" META ",\"agent_state\":-}",
        "{\"metadata\":" META ",\"agent_state\":NaN}",
        "{\"metadata\":" META ",\"agent_state\":tru}",
        "{\"metadata\":" META ",\"agent_state\":\"a}",
        "{\"metadata\":" META ",\"agent_state\":\"\\x\"}",
        "{\"metadata\":" META ",\"agent_state\":\"\\u12g4\"}",
        "{\"metadata\":" META ",\"agent_state\":\"\n\"}",
        "{\"metadata\":" META ",\"agent_state\":\"\xff\"}",
        "{\"metadata\":" META ",\"agent_state\":'a'}",
        "{\"metadata\":" META ",\"agent_state\":1,\"agent_state\":1}",
        "{\"metadata\":" META ",\"agent_state\":1,\"agent_stat\\u0065\":1}",
        "{\"metadata\":" META ",\"metadata\":" META ",\"agent_state\":1}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct persist_error err = {0};
        struct v1_snapshot v;
        int rc = v1_parse(bad[i], strlen(bad[i]), &v, &err);
        if (rc != PERSIST_E_CORRUPT)
            fail_msg("%s: %d %s", bad[i], rc, err.message);
        assert_null(v.agent_id);
        assert_int_equal(err.status, rc);
    }
}

static void parse__limits_depth(void **state)
{
    (void)state;
    for (size_t depth = 120; depth < 140; depth++) {
        struct persist_error err = {0};
        struct v1_snapshot v;
        struct buf text;
        buf_init(&text, 10000);
        buf_puts(&text, "{\"metadata\":" META ",\"agent_state\":");
        for (size_t i = 0; i < depth; i++)
            buf_puts(&text, i % 2 ? "{\"a\":" : "[");
        buf_puts(&text, "1");
        for (size_t i = depth; i-- > 0;)
            buf_puts(&text, i % 2 ? "}" : "]");
        buf_puts(&text, "}");
        int rc = v1_parse(text.data, text.len, &v, &err);
        assert_int_equal(rc, depth <= V1_DEPTH_MAX ? PERSIST_OK
                                                   : PERSIST_E_CORRUPT);
        v1_finish(&v);
        buf_finish(&text);
    }
}

static void expect_metadata(const char *metadata, int want)
{
    struct persist_error err = {0};
    struct v1_snapshot v;
    char *text = NULL;

    assert_true(
        asprintf(&text, "{\"metadata\":%s,\"agent_state\":{}}", metadata) > 0);
    int rc = v1_parse(text, strlen(text), &v, &err);
    if (rc != want)
        fail_msg("%s: %d %s", text, rc, err.message);
    v1_finish(&v);
    free(text);
}

/* The good metadata with one piece of it replaced. */
static void expect_changed(const char *from, const char *to, int want)
{
    const char *at = strstr(META, from);
    struct buf text;

    assert_non_null(at);
    buf_init(&text, 2000);
    buf_append(&text, META, strlen(META) - strlen(at));
    buf_puts(&text, to);
    buf_puts(&text, at + strlen(from));
    expect_metadata(text.data, want);
    buf_finish(&text);
}

static void parse__checks_the_metadata(void **state)
{
    (void)state;
    expect_metadata(META, PERSIST_OK);
    expect_metadata("{}", PERSIST_E_CORRUPT);
    expect_metadata("[]", PERSIST_E_INVALID);
    expect_metadata("null", PERSIST_E_INVALID);
    expect_changed("\"format_version\":1", "\"format_version\":2",
                   PERSIST_E_UNSUPPORTED);
    expect_changed("\"format_version\":1", "\"format_version\":\"1\"",
                   PERSIST_E_CORRUPT);
    expect_changed("\"agent_id\":\"a\"", "\"agent_id\":null",
                   PERSIST_E_CORRUPT);
    expect_changed("\"agent_id\":\"a\"", "\"agent_id\":\"\\u0000\"",
                   PERSIST_E_CORRUPT);
    expect_changed("\"session_id\"", "\"session\"", PERSIST_E_CORRUPT);
    expect_changed("\"snapshot_index\":3", "\"snapshot_index\":-3",
                   PERSIST_E_CORRUPT);
    expect_changed("\"snapshot_index\":3", "\"snapshot_index\":\"3\"",
                   PERSIST_E_CORRUPT);
    expect_changed("2026-11-23T04:19:24.642210923Z", "yesterday",
                   PERSIST_E_CORRUPT);
    expect_changed("44136fa355", "44136FA355", PERSIST_E_CORRUPT);
    expect_changed("44136fa355", "4413", PERSIST_E_CORRUPT);
    expect_changed("\"description\":null", "\"description\":3",
                   PERSIST_E_CORRUPT);
    expect_changed("\"description\":null", "\"d\":3", PERSIST_OK);
    expect_changed("\"uncompressed_size\":null", "\"uncompressed_size\":2",
                   PERSIST_OK);
    expect_changed("\"uncompressed_size\":null", "\"uncompressed_size\":3",
                   PERSIST_E_CORRUPT);
}

static void parse__tells_other_json_from_snapshots(void **state)
{
    static const char *const others[] = {"{}", "{\"a\":1}", "{\"metadata\":{}}",
                                         "{\"agent_state\":{}}",
                                         "{\"metadata\":3,\"agent_state\":1}"};
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct v1_snapshot v;
        assert_int_equal(v1_parse(others[i], strlen(others[i]), &v, NULL),
                         PERSIST_E_INVALID);
    }
}

/* ------------------------------------------------------------------- gunzip
 */

static int unpack(const void *data, size_t len, size_t max, size_t *out_len)
{
    struct persist_error err = {0};
    struct buf out;

    buf_init(&out, max);
    int rc = gunzip(data, len, &out, &err);
    *out_len = out.len;
    assert_true(out.len <= max);
    assert_int_equal(err.status, rc);
    buf_finish(&out);
    return rc;
}

static void gunzip__detects_every_flip_and_cut(void **state)
{
    struct buf packed;
    struct buf good;
    size_t n = 0;
    (void)state;

    read_whole("minimal.json.gz", &packed);
    buf_init(&good, 1 << 20);
    assert_int_equal(gunzip(packed.data, packed.len, &good, NULL), 0);
    for (size_t len = 0; len < packed.len; len++)
        assert_int_not_equal(unpack(packed.data, len, 1 << 20, &n), 0);
    for (size_t at = 0; at < packed.len; at++) {
        struct buf out;
        packed.data[at] ^= 0x10;
        buf_init(&out, 1 << 20);
        /* Header bytes that say nothing of the content may change. */
        if (gunzip(packed.data, packed.len, &out, NULL) == PERSIST_OK) {
            assert_true(at < 10);
            assert_int_equal(out.len, good.len);
            assert_int_equal(memcmp(out.data, good.data, good.len), 0);
        }
        packed.data[at] ^= 0x10;
        buf_finish(&out);
    }
    buf_append(&packed, "x", 1);
    assert_int_equal(unpack(packed.data, packed.len, 1 << 20, &n),
                     PERSIST_E_CORRUPT);
    buf_finish(&packed);
    buf_finish(&good);
}

/* 64 MiB of zeros as gzip prints them. */
#define BOMB_LEN ((size_t)64 << 20)
static void pack_bomb(struct buf *out)
{
    uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    uint8_t check[8] = {0};
    size_t cap = deflate_bound(BOMB_LEN);
    size_t len = 0;
    uint8_t *zeros = calloc(1, BOMB_LEN);
    uint8_t *packed = malloc(cap);
    struct deflate_encoder *e = deflate_encoder_create(3);

    assert_true(zeros && packed && e);
    assert_int_equal(
        deflate_encode(e, zeros, BOMB_LEN, packed, cap, &len, NULL), 0);
    le_put32(check, deflate_crc32(zeros, BOMB_LEN));
    le_put32(check + 4, (uint32_t)BOMB_LEN);
    buf_init(out, 1 << 20);
    buf_append(out, head, sizeof(head));
    buf_append(out, packed, len);
    buf_append(out, check, sizeof(check));
    deflate_encoder_destroy(e);
    free(packed);
    free(zeros);
}

static void gunzip__refuses_a_bomb(void **state)
{
    struct buf packed;
    size_t n = 0;
    (void)state;

    pack_bomb(&packed);
    assert_true(packed.len < BOMB_LEN / 200);
    assert_int_equal(unpack(packed.data, packed.len, 1 << 20, &n),
                     PERSIST_E_MEMORY);
    assert_true(n <= 1 << 20);
    assert_int_equal(unpack(packed.data, packed.len, BOMB_LEN, &n), 0);
    assert_int_equal(n, BOMB_LEN);
    buf_finish(&packed);
}

static void gunzip__refuses_what_is_not_gzip(void **state)
{
    size_t n = 0;
    (void)state;
    assert_int_equal(unpack("", 0, 100, &n), PERSIST_E_INVALID);
    assert_int_equal(unpack("\x1f", 1, 100, &n), PERSIST_E_INVALID);
    assert_int_equal(unpack("{}", 2, 100, &n), PERSIST_E_INVALID);
    assert_int_equal(unpack("\x1f\x8b", 2, 100, &n), PERSIST_E_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse__reads_what_0_1_wrote),
        cmocka_unit_test(parse__finds_the_raw_state),
        cmocka_unit_test(parse__refuses_what_is_no_json),
        cmocka_unit_test(parse__limits_depth),
        cmocka_unit_test(parse__checks_the_metadata),
        cmocka_unit_test(parse__tells_other_json_from_snapshots),
        cmocka_unit_test(gunzip__detects_every_flip_and_cut),
        cmocka_unit_test(gunzip__refuses_a_bomb),
        cmocka_unit_test(gunzip__refuses_what_is_not_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
