/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata and its JSON: the one spelling, and everything else refused. */
#include "format/test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char header_json[] =
    "{\"format_version\":2,\"requires\":[],\"snapshot_id\":\"" TEST_ID "\","
    "\"agent_id\":\"writer\",\"session_id\":\"default\",\"snapshot_index\":7,"
    "\"timestamp\":\"" TEST_TIME "\",\"parent_id\":\"" TEST_PARENT "\","
    "\"compression_algorithm\":\"zstd\",\"compression_level\":1,"
    "\"frame_size\":65536,\"content_type\":\"text/plain\",\"schema\":null,"
    "\"description\":\"a test\",\"labels\":{\"a\":\"1\",\"b\":\"\\\"\\n\"},"
    "\"producer\":{\"name\":\"persist\",\"version\":\"0.2.0\"}}";

static const char trailer_json[] =
    "{\"content_hash\":\"" HASH "\",\"uncompressed_size\":123,"
    "\"frame_count\":1,\"stored_crc32c\":\"00c0ffee\"}";

/* from, once, becomes to; the caller frees. */
static char *replace(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    if (!at)
        fail_msg("no %s in the text", from);
    size_t before = (size_t)(at - text);
    size_t len = strlen(text) - strlen(from) + strlen(to);
    char *out = malloc(len + 1);
    assert_non_null(out);
    memcpy(out, text, before);
    memcpy(out + before, to, strlen(to));
    strcpy(out + before + strlen(to), at + strlen(from));
    return out;
}

static int decode_header(const char *json, struct persist_metadata **out,
                         struct persist_error *err)
{
    /* of exact length, so that a read behind it is noticed */
    size_t len = strlen(json);
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, json, len);
    int rc = metadata_decode_header(copy, len, out, err);
    free(copy);
    return rc;
}

static char *json_of(const struct persist_metadata *m)
{
    char *text = NULL;
    assert_int_equal(persist_metadata_json(m, &text, NULL), 0);
    return text;
}

/* ---------------------------------------------------------------- writing */

static void header__has_one_spelling(void **state)
{
    struct persist_metadata m = test_metadata(CODEC_ZSTD);
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(metadata_encode_header(&m, &out, NULL), 0);
    assert_string_equal(out.data, header_json);
    buf_finish(&out);
}

static void trailer__has_one_spelling(void **state)
{
    struct persist_metadata m = {.content_hash = HASH,
                                 .uncompressed_size = 123,
                                 .frame_count = 1,
                                 .stored_crc32c = "00c0ffee"};
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(metadata_encode_trailer(&m, &out, NULL), 0);
    assert_string_equal(out.data, trailer_json);
    buf_finish(&out);
}

static void header__has_defaults_and_nulls(void **state)
{
    struct persist_metadata m = test_metadata(CODEC_GZIP);
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    m.content_type = NULL;
    m.parent_id = NULL;
    m.description = NULL;
    m.labels = NULL;
    m.n_labels = 0;
    m.compression_level = 0;
    m.snapshot_index = PERSIST_INDEX_MAX;
    m.format_version = 0;
    assert_int_equal(metadata_encode_header(&m, &out, NULL), 0);
    assert_non_null(strstr(out.data, "{\"format_version\":2,"));
    assert_non_null(
        strstr(out.data, "\"content_type\":\"application/octet-stream\""));
    assert_non_null(strstr(out.data, "\"parent_id\":null,"));
    assert_non_null(strstr(
        out.data, "\"schema\":null,\"description\":null,\"labels\":{},"));
    assert_non_null(strstr(out.data, "\"snapshot_index\":999999999999999999,"));
    assert_non_null(strstr(out.data, "\"compression_level\":0,"));
    buf_finish(&out);
}

static void text__is_escaped_one_way(void **state)
{
    static const char expected[] =
        "\"description\":\"\\u0001\\b\\f\\n\\r\\t\\u000b\\u001f\\\"\\\\/"
        "\x7f\xc3\xa9\xe2\x80\xa8\xf0\x9f\x92\xbe'<\",";
    struct persist_metadata m = test_metadata(CODEC_ZSTD);
    struct persist_metadata *found = NULL;
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    m.description = "\x01\b\f\n\r\t\v\x1f\"\\/"
                    "\x7f\xc3\xa9\xe2\x80\xa8\xf0\x9f\x92\xbe'<";
    assert_int_equal(metadata_encode_header(&m, &out, NULL), 0);
    assert_non_null(strstr(out.data, expected));
    assert_int_equal(decode_header(out.data, &found, NULL), 0);
    assert_string_equal(found->description, m.description);
    persist_metadata_free(found);
    buf_finish(&out);
}

static void labels__are_sorted_by_bytes(void **state)
{
    static const struct persist_label labels[] = {
        {"b", "1"},     {"a", "2"}, {"B", "3"},  {"\xc3\xa4", "4"},
        {"a\x01", "5"}, {"", "6"},  {"ab", "7"},
    };
    static const char expected[] =
        "\"labels\":{\"\":\"6\",\"B\":\"3\",\"a\":\"2\",\"a\\u0001\":\"5\","
        "\"ab\":\"7\",\"b\":\"1\",\"\xc3\xa4\":\"4\"}";
    struct persist_metadata m = test_metadata(CODEC_ZSTD);
    struct persist_error err;
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    m.labels = labels;
    m.n_labels = 7;
    assert_int_equal(metadata_encode_header(&m, &out, NULL), 0);
    assert_non_null(strstr(out.data, expected));

    const struct persist_label twice[] = {{"x", "1"}, {"y", "2"}, {"x", "1"}};
    m.labels = twice;
    m.n_labels = 3;
    assert_int_equal(metadata_encode_header(&m, &out, &err), PERSIST_E_INVALID);
    assert_non_null(strstr(err.message, "label x comes twice"));
    buf_finish(&out);
}

struct bad_field {
    size_t offset;
    const char *value;
    const char *name;
};
#define BAD(member, value)                                                     \
    {                                                                          \
        offsetof(struct persist_metadata, member), value, #member              \
    }

static void writer__refuses_what_no_reader_takes(void **state)
{
    static const struct bad_field texts[] = {
        BAD(snapshot_id, NULL),
        BAD(snapshot_id, "018f3c1e-5a70-4c3d-9b1e-0123456789ab"),
        BAD(snapshot_id, "018f3c1e-5a70-7c3d-cb1e-0123456789ab"),
        BAD(snapshot_id, "018F3C1E-5a70-7c3d-9b1e-0123456789ab"),
        BAD(agent_id, NULL),
        BAD(agent_id, ""),
        BAD(agent_id, "\xff"),
        BAD(session_id, NULL),
        BAD(session_id, "\xed\xa0\x80"),
        BAD(timestamp, NULL),
        BAD(timestamp, "2026-11-23T04:19:24Z"),
        BAD(timestamp, "2026-11-23T04:19:24.642210+"),
        BAD(timestamp, "2026-11-23t04:19:24.642210Z"),
        BAD(timestamp, "2026-02-30T04:19:24.642210Z"),
        BAD(parent_id, ""),
        BAD(parent_id, "none"),
        BAD(compression_algorithm, NULL),
        BAD(compression_algorithm, "ZSTD"),
        BAD(content_type, "\x80"),
        BAD(schema, "\xc0\x80"),
        BAD(description, "\xf8"),
        BAD(producer_name, NULL),
        BAD(producer_name, "\xff"),
        BAD(producer_version, NULL),
    };
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct persist_metadata m = test_metadata(CODEC_ZSTD);
        struct persist_error err = {0};
        memcpy((char *)&m + texts[i].offset, &texts[i].value,
               sizeof(texts[i].value));
        int rc = metadata_encode_header(&m, &out, &err);
        if (rc != PERSIST_E_INVALID)
            fail_msg("%s %s: %d", texts[i].name, texts[i].value, rc);
        if (strncmp(texts[i].name, "producer", 8) != 0)
            assert_non_null(strstr(err.message, texts[i].name));
    }
    assert_int_equal(out.len, 0);
    buf_finish(&out);
}

static void writer__refuses_numbers_and_lists_out_of_range(void **state)
{
    static const char *const names[] = {"delta"};
    static const struct persist_label no_value[] = {{"a", NULL}};
    static const struct persist_label bad_utf8[] = {{"a", "\xff"}};
    char long_name[PERSIST_NAME_MAX + 2];
    struct persist_metadata cases[9];
    struct buf out;
    (void)state;
    memset(long_name, 'n', sizeof(long_name));
    long_name[sizeof(long_name) - 1] = '\0';
    buf_init(&out, 10000);
    for (size_t i = 0; i < 9; i++)
        cases[i] = test_metadata(CODEC_GZIP);
    cases[0].snapshot_index = PERSIST_INDEX_MAX + 1;
    cases[1].snapshot_index = UINT64_MAX;
    cases[2].compression_level = 4;
    cases[3].frame_size = 65537;
    cases[4].frame_size = UINT64_C(1) << 32;
    cases[5].agent_id = long_name;
    cases[6].labels = no_value;
    cases[6].n_labels = 1;
    cases[7].labels = bad_utf8;
    cases[7].n_labels = 1;
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(metadata_encode_header(&cases[i], &out, NULL),
                         PERSIST_E_INVALID);
    cases[8].required_features = names;
    cases[8].n_required_features = 1;
    assert_int_equal(metadata_encode_header(&cases[8], &out, NULL),
                     PERSIST_E_UNSUPPORTED);

    buf_finish(&out);
    buf_init(&out, 100);
    cases[8].n_required_features = 0;
    assert_int_equal(metadata_encode_header(&cases[8], &out, NULL),
                     PERSIST_E_INVALID);
    buf_finish(&out);
}

/* ---------------------------------------------------------------- reading */

static void header__comes_back_as_it_was(void **state)
{
    struct persist_metadata *m = NULL;
    struct buf out;
    (void)state;
    buf_init(&out, 10000);
    assert_int_equal(decode_header(header_json, &m, NULL), 0);
    assert_int_equal(m->struct_size, sizeof(*m));
    assert_int_equal(m->present, 0);
    assert_int_equal(m->format_version, 2);
    assert_int_equal(m->snapshot_index, 7);
    assert_int_equal(m->compression_level, 1);
    assert_int_equal(m->frame_size, 65536);
    assert_string_equal(m->snapshot_id, TEST_ID);
    assert_string_equal(m->session_id, "default");
    assert_string_equal(m->timestamp, TEST_TIME);
    assert_string_equal(m->parent_id, TEST_PARENT);
    assert_null(m->schema);
    assert_null(m->content_hash);
    assert_string_equal(m->producer_version, "0.2.0");
    assert_int_equal(m->n_labels, 2);
    assert_string_equal(m->labels[1].key, "b");
    assert_string_equal(m->labels[1].value, "\"\n");
    assert_int_equal(m->n_required_features, 0);
    assert_int_equal(metadata_encode_header(m, &out, NULL), 0);
    assert_string_equal(out.data, header_json);
    buf_finish(&out);

    assert_int_equal(
        metadata_decode_trailer(trailer_json, strlen(trailer_json), m, NULL),
        0);
    assert_int_equal(m->present, PERSIST_META_TRAILER);
    assert_string_equal(m->content_hash, HASH);
    assert_string_equal(m->stored_crc32c, "00c0ffee");
    assert_int_equal(m->uncompressed_size, 123);
    assert_int_equal(m->frame_count, 1);
    persist_metadata_free(m);
}

static void header__may_be_in_any_order_with_spaces(void **state)
{
    struct persist_metadata *m = NULL;
    (void)state;
    char *a = replace(header_json, "{\"format_version\":2,", " {\n\t");
    char *b = replace(a, "\"labels\":{\"a\":\"1\",\"b\":\"\\\"\\n\"}",
                      "\"labels\":{\"b\" : \"2\",\"a\":\"\\u00e9\\/\"}");
    char *c = replace(b, "}}", "} , \"format_version\" :2}\r\n ");
    assert_int_equal(decode_header(c, &m, NULL), 0);
    assert_string_equal(m->labels[0].key, "a");
    assert_string_equal(m->labels[0].value, "\xc3\xa9/");
    assert_string_equal(m->labels[1].key, "b");
    persist_metadata_free(m);
    free(a);
    free(b);
    free(c);
}

struct hostile {
    const char *from;
    const char *to;
    int status;
    const char *message;
};

static void expect_hostile(const struct hostile *h)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    char *json = replace(header_json, h->from, h->to);
    int rc = decode_header(json, &m, &err);
    if (rc != h->status || !strstr(err.message, h->message))
        fail_msg("%s: status %d, %s", h->to, rc, err.message);
    assert_null(m);
    free(json);
}

#define CORRUPT PERSIST_E_CORRUPT
#define UNSUPPORTED PERSIST_E_UNSUPPORTED

static void header__refuses_wrong_fields(void **state)
{
    static const struct hostile cases[] = {
        {"_version\":2", "_version\":3", UNSUPPORTED, "format version 3;"},
        {"_version\":2", "_version\":9223372036854775807", UNSUPPORTED,
         "format version 9223372036854775807;"},
        {"_version\":2", "_version\":1", CORRUPT, "format_version is not 2"},
        {"_version\":2", "_version\":-2", CORRUPT, "is not 2"},
        {"_version\":2", "_version\":\"2\"", CORRUPT, "is not a number"},
        {"\"format_version\":2,", "", CORRUPT, "format_version is missing"},
        {"requires\":[]", "requires\":[\"delta\"]", UNSUPPORTED, "\"delta\""},
        {"requires\":[]", "requires\":[\"x y\",\"z\"]", UNSUPPORTED, "\"x y\""},
        {"requires\":[]", "requires\":[1]", CORRUPT, "other than names"},
        {"requires\":[]", "requires\":{}", CORRUPT, "is not a list"},
        {"requires\":[]", "requires\":null", CORRUPT, "is not a list"},
        {"018f3c1e-5a70-7", "018f3c1e-5a70-4", CORRUPT,
         "snapshot_id has the wrong form"},
        {"\"snapshot_id\":\"018f3c1e-5a70-7c3d-9b1e-0123456789ab\",", "",
         CORRUPT, "snapshot_id is missing"},
        {"\"writer\"", "null", CORRUPT, "agent_id is not a text"},
        {"\"writer\"", "\"\"", CORRUPT, "agent_id has the wrong form"},
        {"\"writer\"", "7", CORRUPT, "agent_id is not a text"},
        {"\"writer\"", "\"\xff\"", CORRUPT, "is not UTF-8"},
        {"\"writer\"", "\"\\ud800\"", CORRUPT, "is not JSON"},
        {"\"writer\"", "\"\\u0000\"", CORRUPT, "NUL"},
        {"index\":7", "index\":-1", CORRUPT, "snapshot_index is not a count"},
        {"index\":7", "index\":1e3", CORRUPT, "not a plain integer"},
        {"index\":7", "index\":7.0", CORRUPT, "not a plain integer"},
        {"index\":7", "index\":07", CORRUPT, "not a plain integer"},
        {"index\":7", "index\":-0", CORRUPT, "not a plain integer"},
        {"index\":7", "index\":+7", CORRUPT, "is not JSON"},
        {"index\":7", "index\":NaN", CORRUPT, "is not JSON"},
        {"index\":7", "index\":\"7\"", CORRUPT, "is not a count"},
        {"index\":7", "index\":1000000000000000000", CORRUPT,
         "snapshot_index is too large"},
        {"index\":7", "index\":9223372036854775808", CORRUPT,
         "too large a number"},
        {"24.642210Z", "24.64221Z", CORRUPT, "timestamp has the wrong form"},
        {"24.642210Z", "24.6422100", CORRUPT, "timestamp has the wrong form"},
        {"2026-11-23", "2026-13-23", CORRUPT, "timestamp has the wrong form"},
        {"2026-11-23T", "2026-11-23 ", CORRUPT, "timestamp has the wrong form"},
        {"018f3c1e-0000", "018f3c1e.0000", CORRUPT, "parent_id has the wrong"},
        {"\"018f3c1e-0000-7000-8000-000000000001\"", "false", CORRUPT,
         "parent_id is not a text"},
        {"\"zstd\"", "\"lz4\"", CORRUPT, "neither zstd nor gzip"},
        {"level\":1", "level\":20", CORRUPT, "out of the algorithm's range"},
        {"level\":1", "level\":4294967299", CORRUPT, "not a small number"},
        {"level\":1", "level\":null", CORRUPT, "not a small number"},
        {"65536", "65535", CORRUPT, "power of two"},
        {"65536", "32768", CORRUPT, "power of two"},
        {"65536", "33554432", CORRUPT, "power of two"},
        {"65536", "4295032832", CORRUPT, "power of two"},
        {"\"text/plain\"", "null", CORRUPT, "content_type is not a text"},
        {"\"schema\":null,", "", CORRUPT, "schema is missing"},
        {"{\"a\":\"1\"", "{\"a\":1", CORRUPT, "labels hold more than texts"},
        {"{\"a\":\"1\"", "{\"b\":\"1\"", CORRUPT, "a key twice"},
        {"{\"a\":\"1\",\"b\":\"\\\"\\n\"}", "[]", CORRUPT,
         "labels are not an object"},
        {"\"agent_id\"", "\"schema\"", CORRUPT, "a key twice"},
        {"\"name\":\"persist\"", "\"nom\":\"persist\"", CORRUPT,
         "producer lacks"},
        {"{\"name\":\"persist\",\"version\":\"0.2.0\"}", "\"persist 0.2.0\"",
         CORRUPT, "producer lacks"},
        {"}}", "},\"frame_count\":1}", CORRUPT, "not its own: frame_count"},
        {"}}", "},\"compressed_size\":1}", CORRUPT,
         "not its own: compressed_size"},
        {"}}", "}}}", CORRUPT, "is not JSON"},
        {"}}", "}} x", CORRUPT, "is not JSON"},
        {"}}", "}", CORRUPT, "is not JSON"},
        {header_json, "", CORRUPT, "is not JSON"},
        {header_json, "[]", CORRUPT, "is not an object"},
        {header_json, "null", CORRUPT, "is not an object"},
        {header_json, "{}", CORRUPT, "format_version is missing"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_hostile(&cases[i]);
}

static void trailer__refuses_wrong_fields(void **state)
{
    static const struct hostile cases[] = {
        {HASH, "0123", CORRUPT, "content_hash has the wrong form"},
        {"abcdef\"", "abcdeF\"", CORRUPT, "content_hash has the wrong form"},
        {"\"" HASH "\"", "null", CORRUPT, "content_hash is not a text"},
        {":123", ":-123", CORRUPT, "uncompressed_size is not a count"},
        {":123", ":1e2", CORRUPT, "not a plain integer"},
        {":123", ":true", CORRUPT, "uncompressed_size is not a count"},
        {"00c0ffee", "c0ffee", CORRUPT, "stored_crc32c has the wrong form"},
        {"00c0ffee", "00C0FFEE", CORRUPT, "stored_crc32c has the wrong form"},
        {"frame_count", "frames", CORRUPT, "frame_count is missing"},
        {"{", "{\"agent_id\":\"x\",", CORRUPT, "not its own: agent_id"},
        {"{", "{\"later\":1,", CORRUPT, "repeats a field of the header: later"},
        {"}", "", CORRUPT, "is not JSON"},
    };
    struct persist_metadata *m = NULL;
    (void)state;
    char *header = replace(header_json, "}}", "},\"later\":0}");
    assert_int_equal(decode_header(header, &m, NULL), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_error err = {0};
        char *json = replace(trailer_json, cases[i].from, cases[i].to);
        int rc = metadata_decode_trailer(json, strlen(json), m, &err);
        if (rc != CORRUPT || !strstr(err.message, cases[i].message))
            fail_msg("%s: status %d, %s", cases[i].to, rc, err.message);
        assert_int_equal(m->present, 0);
        assert_null(m->content_hash);
        free(json);
    }
    /* and takes the right one afterwards, twice */
    for (int i = 0; i < 2; i++)
        assert_int_equal(metadata_decode_trailer(trailer_json,
                                                 strlen(trailer_json), m, NULL),
                         0);
    persist_metadata_free(m);
    free(header);
}

static void header__cut_anywhere_is_corrupt(void **state)
{
    (void)state;
    for (size_t len = 0; len < strlen(header_json); len++) {
        struct persist_metadata *m = NULL;
        char *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, header_json, len);
        copy[len] = '\0';
        assert_int_equal(decode_header(copy, &m, NULL), CORRUPT);
        free(copy);
    }
}

/* -------------------------------------------------------------- JSON itself */

static char *nested(const char *open, const char *close, int depth)
{
    struct buf value;
    buf_init(&value, SIZE_MAX / 2);
    buf_puts(&value, "},\"deep\":");
    for (int i = 0; i < depth; i++)
        buf_puts(&value, open);
    for (int i = 0; i < depth; i++)
        buf_puts(&value, close);
    buf_puts(&value, "}");
    char *to = buf_steal(&value);
    char *json = replace(header_json, "}}", to);
    free(to);
    return json;
}

static void json__is_64_deep_at_most(void **state)
{
    static const struct {
        const char *open;
        const char *close;
        int depth; /* below the header's own object */
        int status;
    } cases[] = {
        {"[", "]", 63, PERSIST_OK},         {"[", "]", 64, CORRUPT},
        {"[", "]", 500000, CORRUPT},        {"[{\"\":", "}]", 32, CORRUPT},
        {"{\"x\":[", "]}", 31, PERSIST_OK}, {"{\"x\":[", "]}", 200000, CORRUPT},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        char *json = nested(cases[i].open, cases[i].close, cases[i].depth);
        assert_int_equal(decode_header(json, &m, &err), cases[i].status);
        if (i == 1 || i == 2)
            assert_non_null(strstr(err.message, "nested too deeply"));
        persist_metadata_free(m);
        free(json);
    }
}

static void json__has_a_ceiling_of_containers(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        struct buf value;
        buf_init(&value, SIZE_MAX / 2);
        buf_puts(&value, "},\"many\":[{}");
        /* header, requires, labels, producer, many and its first */
        for (int i = 6; i < JSON_CONTAINERS_MAX + over; i++)
            buf_puts(&value, ",[]");
        buf_puts(&value, "]}");
        char *json = replace(header_json, "}}", value.data);
        assert_int_equal(decode_header(json, &m, &err), over ? CORRUPT : 0);
        if (over)
            assert_non_null(strstr(err.message, "too many objects"));
        persist_metadata_free(m);
        buf_finish(&value);
        free(json);
    }
}

/* ------------------------------------------------------ unknown fields, JSON
 */

static void unknown__fields_are_kept(void **state)
{
    struct persist_metadata *m = NULL;
    (void)state;
    char *a = replace(header_json, "{\"format",
                      "{\"future\":{\"b\":[1,-2,true,false,null],"
                      "\"a\":\"\\u00e9\\n\"},\"format");
    char *b = replace(a, "\"version\":\"0.2.0\"}",
                      "\"version\":\"0.2.0\",\"build\":[\"x\"]},\"last\":[]");
    char *trailer = replace(trailer_json, "}", ",\"extra\":9007199254740993}");
    assert_int_equal(decode_header(b, &m, NULL), 0);
    assert_int_equal(metadata_decode_trailer(trailer, strlen(trailer), m, NULL),
                     0);
    m->compressed_size = 999;
    m->present |= PERSIST_META_STORED_SIZE;

    char *text = json_of(m);
    char *known = replace(header_json, "\"version\":\"0.2.0\"}}",
                          "\"version\":\"0.2.0\",\"build\":[\"x\"]},");
    struct buf expected;
    buf_init(&expected, 10000);
    buf_puts(&expected, known);
    buf_append(&expected, trailer_json + 1, strlen(trailer_json) - 2);
    buf_puts(&expected, ",\"compressed_size\":999,\"future\":{\"b\":[1,-2,true,"
                        "false,null],\"a\":\"\xc3\xa9\\n\"},\"last\":[],"
                        "\"extra\":9007199254740993}");
    assert_string_equal(text, expected.data);

    buf_finish(&expected);
    persist_metadata_free(m);
    free(known);
    free(text);
    free(trailer);
    free(a);
    free(b);
}

static void json__shows_only_what_is_known(void **state)
{
    struct persist_metadata *m = NULL;
    (void)state;
    assert_int_equal(decode_header(header_json, &m, NULL), 0);
    char *text = json_of(m);
    assert_string_equal(text, header_json);
    free(text);
    persist_metadata_free(m);
}

static void copy__is_its_own(void **state)
{
    static const char *const requires[] = {"one", "two"};
    char id[] = TEST_ID;
    char label[] = "value";
    const struct persist_label labels[] = {{"key", label}};
    struct persist_metadata m = test_metadata(CODEC_GZIP);
    (void)state;
    m.snapshot_id = id;
    m.labels = labels;
    m.n_labels = 1;
    m.required_features = requires;
    m.n_required_features = 2;
    m.content_hash = HASH;
    m.stored_crc32c = "00c0ffee";
    m.uncompressed_size = 5;
    m.present = PERSIST_META_TRAILER | PERSIST_META_UNCHANGED;

    struct persist_metadata *copy = metadata_copy(&m);
    assert_non_null(copy);
    memset(id, 'x', sizeof(id) - 1);
    memset(label, 'x', sizeof(label) - 1);

    assert_string_equal(copy->snapshot_id, TEST_ID);
    assert_string_equal(copy->labels[0].key, "key");
    assert_string_equal(copy->labels[0].value, "value");
    assert_string_equal(copy->required_features[1], "two");
    assert_string_equal(copy->content_hash, HASH);
    assert_null(copy->schema);
    assert_int_equal(copy->present, m.present);
    char *text = json_of(copy);
    assert_non_null(strstr(text, "\"uncompressed_size\":5,"));
    assert_null(strstr(text, "compressed_size\":0"));
    free(text);
    persist_metadata_free(copy);
    persist_metadata_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header__has_one_spelling),
        cmocka_unit_test(trailer__has_one_spelling),
        cmocka_unit_test(header__has_defaults_and_nulls),
        cmocka_unit_test(text__is_escaped_one_way),
        cmocka_unit_test(labels__are_sorted_by_bytes),
        cmocka_unit_test(writer__refuses_what_no_reader_takes),
        cmocka_unit_test(writer__refuses_numbers_and_lists_out_of_range),
        cmocka_unit_test(header__comes_back_as_it_was),
        cmocka_unit_test(header__may_be_in_any_order_with_spaces),
        cmocka_unit_test(header__refuses_wrong_fields),
        cmocka_unit_test(trailer__refuses_wrong_fields),
        cmocka_unit_test(header__cut_anywhere_is_corrupt),
        cmocka_unit_test(json__is_64_deep_at_most),
        cmocka_unit_test(json__has_a_ceiling_of_containers),
        cmocka_unit_test(unknown__fields_are_kept),
        cmocka_unit_test(json__shows_only_what_is_known),
        cmocka_unit_test(copy__is_its_own),
    };
    return cmocka_run_group_tests_name("format.metadata", tests, NULL, NULL);
}
