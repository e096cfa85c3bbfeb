/* SPDX-License-Identifier: Apache-2.0 */
/* Importing: the files that Persist 0.1 wrote, twice, and what is wrong with
 * others. */
#include "engine/read_test_kit.h"

#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/import_seen.h"

#define FIXTURES PERSIST_TEST_SOURCE_DIR "/tests/data/persist-0.1/"

/* As a shell would hand them over: by name, not by time. */
static const char *const files[] = {
    FIXTURES "conversation-next.json.gz", FIXTURES "conversation.json.gz",
    FIXTURES "minimal.json.gz",           FIXTURES "numbers.json.gz",
    FIXTURES "same-index.json.gz",        FIXTURES "string-state.json.gz",
    FIXTURES "unicode.json.gz",
};
#define N_FILES (sizeof(files) / sizeof(files[0]))

struct reports {
    struct buf text; /* "file -> address; " */
    unsigned n;
    unsigned n_skipped;
    unsigned n_failed;
    unsigned stop_at;
    int last_status;
    struct persist_error last_error;
};

static int keep_report(void *ctx, const struct persist_import_item *item)
{
    struct reports *r = ctx;
    const char *name = strrchr(item->path, '/');

    assert_int_equal(item->struct_size, sizeof(*item));
    assert_int_equal(item->status != PERSIST_OK, item->error != NULL);
    r->n++;
    r->n_skipped += item->skipped != 0;
    r->n_failed += item->status != PERSIST_OK;
    r->last_status = item->status;
    if (item->error)
        r->last_error = *item->error;
    buf_printf(&r->text, "%s -> %s; ", name ? name + 1 : item->path,
               item->address ? item->address : "-");
    if (item->metadata)
        assert_true(item->metadata->present & PERSIST_META_TRAILER);
    return r->n == r->stop_at ? PERSIST_E_CANCELLED : 0;
}

static int import(struct fixture *f, const char *const *paths, size_t n,
                  uint32_t flags, struct reports *r, struct persist_error *err)
{
    struct persist_import_options o = PERSIST_IMPORT_OPTIONS_INIT;
    unsigned stop_at = r->stop_at;

    buf_finish(&r->text);
    memset(r, 0, sizeof(*r));
    memset(err, 0, sizeof(*err));
    r->stop_at = stop_at;
    buf_init(&r->text, 10000);
    o.flags = flags;
    o.report = keep_report;
    o.report_ctx = r;
    return persist_import(f->store, paths, n, &o, err);
}

static const char imported[] = "minimal.json.gz -> agent-1/session-1@0; "
                               "numbers.json.gz -> agent-1/session-1@1; "
                               "string-state.json.gz -> tricky/t@0; "
                               "conversation.json.gz -> writer/default@0; "
                               "conversation-next.json.gz -> writer/default@1; "
                               "same-index.json.gz -> writer/default@2; "
                               "unicode.json.gz -> \xc3\x84gent%2f\xc3\xbc/"
                               "s%3a1%40x@0; ";

static const char *text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static const char *label(const struct persist_metadata *m, const char *key)
{
    for (size_t i = 0; i < m->n_labels; i++)
        if (strcmp(m->labels[i].key, key) == 0)
            return m->labels[i].value;
    return "";
}

/* The snapshot that came of a file is what expected.json says of it. */
static void check_imported(struct fixture *f, const json_t *want,
                           const char *address)
{
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    char index[24];
    void *got = NULL;
    size_t len = 0;

    assert_ok(persist_restore_buffer(f->store, address, 0, NULL, &got, &len, &m,
                                     &err),
              &err);
    assert_ok(persist_verify(f->store, address, NULL, NULL, &err), &err);
    assert_int_equal(
        len, json_integer_value(json_object_get(want, "payload_bytes")));
    assert_string_equal(m->content_hash, text_of(want, "content_hash"));
    assert_string_equal(m->agent_id, text_of(want, "agent_id"));
    assert_string_equal(m->session_id, text_of(want, "session_id"));
    assert_int_equal(m->description == NULL, !text_of(want, "description"));
    if (m->description)
        assert_string_equal(m->description, text_of(want, "description"));
    assert_string_equal(m->content_type, "application/json");
    /* nanoseconds are cut off, and kept in the label */
    assert_int_equal(strncmp(m->timestamp, text_of(want, "timestamp"), 26), 0);
    assert_string_equal(m->timestamp + 26, "Z");
    assert_string_equal(label(m, "imported.timestamp"),
                        text_of(want, "timestamp"));
    snprintf(index, sizeof(index), "%d",
             (int)json_integer_value(json_object_get(want, "snapshot_index")));
    assert_string_equal(label(m, "imported.index"), index);
    assert_int_equal(strlen(label(m, "imported.id")), 36);
    assert_int_equal(m->n_labels, 3);
    persist_metadata_free(m);
    persist_free(got);
}

static void import__gives_the_listed_results(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    json_t *all = json_load_file(FIXTURES "expected.json", 0, NULL);
    json_t *want;
    size_t i;

    assert_int_equal(json_array_size(all), N_FILES);
    assert_ok(import(f, files, N_FILES, 0, &r, &err), &err);
    assert_string_equal(r.text.data, imported);
    assert_int_equal(r.n_skipped, 0);
    json_array_foreach(all, i, want)
    {
        char address[200] = "";
        const char *at = strstr(r.text.data, text_of(want, "file"));
        assert_non_null(at);
        assert_int_equal(sscanf(at, "%*s -> %199[^;]", address), 1);
        check_imported(f, want, address);
    }
    json_decref(all);
    buf_finish(&r.text);
}

static void import__twice_adds_nothing(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};

    assert_ok(import(f, files, 3, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, 0);
    assert_ok(import(f, files, N_FILES, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, 3);
    uint64_t objects = f->memory->n_objects(f->id);
    assert_ok(import(f, files, N_FILES, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, N_FILES);
    assert_int_equal(f->memory->n_objects(f->id), objects);
    assert_non_null(strstr(r.text.data, "conversation.json.gz -> "
                                        "writer/default@"));
    buf_finish(&r.text);
}

static void import__takes_a_file_that_is_named_twice_once(void **state)
{
    static const char *const twice[] = {FIXTURES "minimal.json.gz",
                                        FIXTURES "minimal.json.gz"};
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};

    assert_ok(import(f, twice, 2, 0, &r, &err), &err);
    assert_string_equal(r.text.data,
                        "minimal.json.gz -> agent-1/session-1@0; "
                        "minimal.json.gz -> agent-1/session-1@0; ");
    assert_int_equal(r.n_skipped, 1);
    assert_int_equal(f->memory->n_objects(f->id), 1);
    buf_finish(&r.text);
}

static void import__appends_to_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.agent = "writer", .payload = "x", .len = 1};
    struct persist_error err;
    struct reports r = {0};
    char key[KEY_CAP];

    spec.index = 4;
    fixture_put(f, &spec);
    fixture_tombstone(f, "writer", NULL, 6);
    fixture_key("writer", NULL, 2, KEY_SNAP, key);
    fixture_set(f, key, "damaged", 7);
    assert_ok(import(f, files, N_FILES, PERSIST_IMPORT_DRY_RUN, &r, &err),
              &err);
    assert_non_null(strstr(r.text.data,
                           "conversation.json.gz -> writer/default@7; "
                           "conversation-next.json.gz -> writer/default@8; "
                           "same-index.json.gz -> writer/default@9; "));
    assert_int_equal(f->memory->n_objects(f->id), 3);
    assert_int_equal(f->memory->count(f->id, "put"), 0);
    assert_ok(import(f, files, 2, 0, &r, &err), &err);
    assert_string_equal(r.text.data,
                        "conversation.json.gz -> writer/default@7; "
                        "conversation-next.json.gz -> writer/default@8; ");
    assert_ok(import(f, files, N_FILES, PERSIST_IMPORT_DRY_RUN, &r, &err),
              &err);
    assert_int_equal(r.n_skipped, 2);
    buf_finish(&r.text);
}

/* ------------------------------------------------------------ what is wrong
 */

static char dir[64];

static const char *write_file(const char *name, const void *data, size_t len)
{
    static char path[8][200];
    static unsigned at;
    char *p = path[at++ % 8];

    snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
    int fd = open(p, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    close(fd);
    return p;
}

static const char *pack(const char *name, const char *text)
{
    const char *path = write_file(name, text, strlen(text));
    char command[500];

    snprintf(command, sizeof(command), "gzip -nf %s", path);
    assert_int_equal(system(command), 0);
    snprintf(command, sizeof(command), "mv %s.gz %s", path, path);
    assert_int_equal(system(command), 0);
    return path;
}

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/persist-import-XXXXXX");
    return mkdtemp(dir) ? fixture_setup(state) : -1;
}

static int teardown(void **state)
{
    char command[100];

    snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command) == 0 ? fixture_teardown(state) : -1;
}

static void import__goes_on_past_bad_files(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    const char *const paths[] = {
        "/nonexistent/x",
        write_file("text", "hello", 5),
        files[2],
        pack("json", "{}"),
        pack("cut", "{\"metadata\":{},\"agent_state\":"),
        dir,
        write_file("empty", "", 0),
    };
    static const int codes[] = {PERSIST_E_NOT_FOUND, PERSIST_E_INVALID,
                                PERSIST_OK,          PERSIST_E_INVALID,
                                PERSIST_E_CORRUPT,   PERSIST_E_INVALID,
                                PERSIST_E_INVALID};

    assert_status(import(f, paths, 7, 0, &r, &err), PERSIST_E_NOT_FOUND, &err);
    assert_string_equal(err.object, "/nonexistent/x");
    assert_int_equal(r.n, 7);
    assert_int_equal(r.n_failed, 6);
    assert_non_null(strstr(r.text.data, "minimal.json.gz -> agent-1/"));
    for (size_t i = 0; i < 7; i++) {
        int rc = import(f, &paths[i], 1, 0, &r, &err);
        assert_status(rc, codes[i], &err);
        if (rc != PERSIST_OK)
            assert_contains(err.message, paths[i]);
        if (paths[i] == dir)
            assert_contains(err.hint, "*.json.gz");
    }
    buf_finish(&r.text);
}

static void import__finds_every_flip_in_a_file(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    unsigned char bytes[400];
    FILE *file = fopen(files[2], "rb");

    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    for (size_t at = 10; at < len; at++) {
        const char *path;
        bytes[at] ^= 4;
        path = write_file("flip", bytes, len);
        int rc = import(f, &path, 1, PERSIST_IMPORT_DRY_RUN, &r, &err);
        if (rc != PERSIST_E_CORRUPT)
            fail_msg("byte %zu: %s", at, persist_status_name(rc));
        bytes[at] ^= 4;
    }
    buf_finish(&r.text);
}

/* As who saves with one SnapshotMetadata of 0.1 over and over gets them. */
static void import__takes_every_state_of_one_id(void **state)
{
#define ONE_ID(hash, state)                                                    \
    "{\"metadata\":{\"agent_id\":\"a\",\"session_id\":\"s\","                  \
    "\"snapshot_index\":0,\"timestamp\":\"2026-11-23T04:19:24Z\","             \
    "\"content_hash\":\"" hash "\",\"format_version\":1,"                      \
    "\"snapshot_id\":\"x\"},\"agent_state\":" state "}"
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    const char *const paths[] = {
        pack("one", ONE_ID("44136fa355b3678a1146ad16f7e8649e"
                           "94fb4fc21fe77e8310c060f61caaff8a",
                           "{}")),
        pack("two", ONE_ID("4f53cda18c2baa0c0354bb5f9a3ecbe5"
                           "ed12ab4d8e11ba873c2f11161202b945",
                           "[]")),
    };

    assert_ok(import(f, paths, 2, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, 0);
    assert_string_equal(r.text.data, "one -> a/s@0; two -> a/s@1; ");
    assert_ok(import(f, paths, 2, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, 2);
    assert_int_equal(f->memory->n_objects(f->id), 2);
    buf_finish(&r.text);
}

static void import__checks_content_hash(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    const char *path = pack(
        "hash",
        "{\"metadata\":{\"agent_id\":\"a\",\"session_id\":\"s\","
        "\"snapshot_index\":3,\"timestamp\":\"2026-11-23T04:19:24Z\","
        "\"content_hash\":"
        "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","
        "\"format_version\":1,\"snapshot_id\":\"x\"},\"agent_state\":[]}");

    assert_status(import(f, &path, 1, 0, &r, &err), PERSIST_E_CORRUPT, &err);
    assert_contains(err.message, "content_hash");
    assert_int_equal(f->memory->n_objects(f->id), 0);
    buf_finish(&r.text);
}

static void import__refuses_what_does_not_fit_into_memory(void **state)
{
    struct persist_error err;
    struct reports r = {0};
    struct fixture f;
    char *zeros = malloc(9 << 20);
    (void)state;

    assert_non_null(zeros);
    memset(zeros, ' ', (9 << 20) - 1);
    zeros[(9 << 20) - 1] = '\0';
    fixture_open(&f, 8 << 20, NULL);
    const char *paths[] = {write_file("large", zeros, 9 << 20),
                           pack("bomb", zeros)};
    for (size_t i = 0; i < 2; i++)
        assert_status(import(&f, &paths[i], 1, 0, &r, &err), PERSIST_E_MEMORY,
                      &err);
    buf_finish(&r.text);
    fixture_close(&f);
    free(zeros);
}

static void import__refuses_names_that_no_key_can_hold(void **state)
{
    static const char form[] =
        "{\"metadata\":{\"agent_id\":\"%s\",\"session_id\":\"s\","
        "\"snapshot_index\":3,\"timestamp\":\"2026-11-23T04:19:24Z\","
        "\"content_hash\":"
        "\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\","
        "\"format_version\":1,\"snapshot_id\":\"x\"},\"agent_state\":{}}";
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    char name[300];
    char text[1000];

    memset(name, 'x', sizeof(name));
    for (size_t len = 0; len < 300; len += 256) {
        const char *path;
        name[len] = '\0';
        snprintf(text, sizeof(text), form, name);
        path = pack("name", text);
        assert_status(import(f, &path, 1, 0, &r, &err), PERSIST_E_INVALID,
                      &err);
        assert_int_equal(r.n_failed, 1);
        name[len] = 'x';
    }
    buf_finish(&r.text);
}

static int32_t deny_puts(void *ctx, const struct memory_event *e)
{
    unsigned *left = ctx;

    if (e->phase != MEMORY_BEFORE || strcmp(e->op, "put") != 0)
        return 0;
    if (*left == 0)
        return PERSIST_BACKEND_NO_SPACE;
    (*left)--;
    return 0;
}

static void import__tells_which_files_did_not_fit(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {0};
    unsigned left = 3;

    f->memory->set_hook(f->id, deny_puts, &left);
    assert_status(import(f, files, N_FILES, 0, &r, &err), PERSIST_E_NO_SPACE,
                  &err);
    assert_int_equal(r.n, N_FILES);
    assert_int_equal(r.n_failed, N_FILES - 3);
    f->memory->set_hook(f->id, NULL, NULL);
    assert_ok(import(f, files, N_FILES, 0, &r, &err), &err);
    assert_int_equal(r.n_skipped, 3);
    buf_finish(&r.text);
}

static void import__stops_when_the_report_says_so(void **state)
{
    struct fixture *f = *state;
    struct persist_error err;
    struct reports r = {.stop_at = 2};

    assert_status(import(f, files, N_FILES, 0, &r, &err), PERSIST_E_CANCELLED,
                  &err);
    assert_int_equal(r.n, 2);
    assert_int_equal(f->memory->n_objects(f->id), 2);
    const char *const bad[] = {"/nonexistent/1", "/nonexistent/2", "/3"};
    assert_status(import(f, bad, 3, 0, &r, &err), PERSIST_E_CANCELLED, &err);
    assert_int_equal(r.n, 2);
    buf_finish(&r.text);
}

static void import__does_nothing_for_nothing(void **state)
{
    struct fixture *f = *state;
    struct persist_import_options o = PERSIST_IMPORT_OPTIONS_INIT;
    const char *const null_path[] = {NULL};
    struct persist_error err;
    int rc;

    assert_ok(persist_import(f->store, NULL, 0, NULL, &err), &err);
    assert_ok(persist_import(f->store, files, 1, NULL, &err), &err);
    rc = persist_import(f->store, NULL, 1, NULL, &err);
    assert_status(rc, PERSIST_E_MISUSE, &err);
    rc = persist_import(f->store, null_path, 1, NULL, &err);
    assert_status(rc, PERSIST_E_MISUSE, &err);
    rc = persist_import(NULL, files, 1, NULL, &err);
    assert_status(rc, PERSIST_E_MISUSE, &err);
    o.flags = 2;
    rc = persist_import(f->store, files, 1, &o, &err);
    assert_status(rc, PERSIST_E_INVALID, &err);
    persist_interrupt(f->p);
    rc = persist_import(f->store, files, 1, NULL, &err);
    assert_status(rc, PERSIST_E_CANCELLED, &err);
}

static void seen__holds_many_ids(void **state)
{
    struct import_seen seen = {0};
    char id[40];
    uint64_t index = 0;
    (void)state;

    assert_false(import_seen_find(&seen, "x", "h", &index));
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(id, sizeof(id), "id-%" PRIu64, i * 7919);
        assert_int_equal(import_seen_add(&seen, id, "h", i, NULL), 0);
        assert_int_equal(import_seen_add(&seen, id, "h", i, NULL), 0);
    }
    assert_int_equal(seen.n_ids, 5000);
    assert_int_equal(seen.next, 5000);
    for (uint64_t i = 0; i < 5000; i++) {
        snprintf(id, sizeof(id), "id-%" PRIu64, i * 7919);
        assert_true(import_seen_find(&seen, id, "h", &index));
        assert_int_equal(index, i);
    }
    assert_false(import_seen_find(&seen, "id-1", "h", &index));
    assert_false(import_seen_find(&seen, "id-0", "i", &index));
    import_seen_finish(&seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(import__gives_the_listed_results),
        TEST(import__twice_adds_nothing),
        TEST(import__takes_a_file_that_is_named_twice_once),
        TEST(import__appends_to_what_is_there),
        TEST(import__goes_on_past_bad_files),
        TEST(import__finds_every_flip_in_a_file),
        TEST(import__takes_every_state_of_one_id),
        TEST(import__checks_content_hash),
        TEST(import__refuses_what_does_not_fit_into_memory),
        TEST(import__refuses_names_that_no_key_can_hold),
        TEST(import__tells_which_files_did_not_fit),
        TEST(import__stops_when_the_report_says_so),
        TEST(import__does_nothing_for_nothing),
        cmocka_unit_test(seen__holds_many_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
