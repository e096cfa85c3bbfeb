/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving, one saver at a time: what is stored, what the options do, what
 * sources may do wrong.  Races are in save_conflict_test.c, failing stores in
 * save_fault_test.c, long saves in save_long_test.c.
 */
#include "engine/save_test_kit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAVE(r, text, o, m, err)                                               \
    persist_save_buffer((r)->store, "a", text, strlen(text), o, m, err)

/* ------------------------------------------------------------------ basics
 */

static void save__counts_from_zero(void **state)
{
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};

    assert_ok(SAVE(r, "zero", NULL, &m, &err), &err);
    assert_int_equal(m->snapshot_index, 0);
    assert_int_equal(m->format_version, 2);
    assert_string_equal(m->agent_id, "a");
    assert_string_equal(m->session_id, "default");
    assert_string_equal(m->producer_name, "persist");
    assert_string_equal(m->producer_version, PERSIST_VERSION);
    assert_string_equal(m->content_type, "application/octet-stream");
    assert_string_equal(m->compression_algorithm, "zstd");
    assert_null(m->parent_id);
    assert_null(m->description);
    assert_true(m->present & PERSIST_META_TRAILER);
    assert_int_equal(m->uncompressed_size, 4);
    assert_int_equal(m->frame_count, 1);
    assert_string_equal(
        m->content_hash,
        "f9194e73f9e9459e3450ea10a179cdf77aafa695beecd3b9344a98d111622243");
    assert_int_equal(m->compressed_size, rig_size(r, 0, KEY_SNAP));
    persist_metadata_free(m);
    rig_save(r, "one", 1);
    rig_save(r, "two", 2);
    rig_expect(r, "a@0", "zero", 4);
    rig_expect(r, "a", "two", 3);
    assert_int_equal(rig_objects(r), 3);
}

static void save__takes_one_request_when_steady(void **state)
{
    struct rig *r = *state;

    rig_save(r, "zero", 0); /* a listing and a put */
    assert_int_equal(atomic_load(&r->calls), 2);
    rig_save(r, "one", 1);
    assert_int_equal(atomic_load(&r->calls), 3);
    rig_save(r, "two", 2);
    assert_int_equal(atomic_load(&r->calls), 4);
    /* After a minute without a save it looks again. */
    atomic_fetch_add(&r->boot_ns, UINT64_C(61000000000));
    rig_save(r, "three", 3);
    assert_int_equal(atomic_load(&r->calls), 6);
}

static void save__keeps_every_size_in_both_compressions(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 200000};
    struct rig *r = *state;
    size_t i, k;

    for (k = 0; k < 2; k++) {
        for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
            uint8_t *data = rig_noise(sizes[i], (uint32_t)i);
            struct persist_metadata *m = NULL;
            struct persist_error err = {0};

            o.compression =
                k ? PERSIST_COMPRESSION_GZIP : PERSIST_COMPRESSION_ZSTD;
            o.frame_size = 65536;
            assert_ok(persist_save_buffer(r->store, "a", data, sizes[i], &o, &m,
                                          &err),
                      &err);
            assert_int_equal(m->uncompressed_size, sizes[i]);
            assert_int_equal(m->frame_count, (sizes[i] + 65535) / 65536);
            assert_ok(persist_verify(r->store, "a", NULL, NULL, &err), &err);
            rig_expect(r, "a", data, sizes[i]);
            persist_metadata_free(m);
            free(data);
        }
    }
}

static void save__describes_as_told(void **state)
{
    struct persist_label labels[] = {{"z", "last"}, {"a", "first"}};
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_metadata *m = NULL, *shown = NULL;
    struct persist_error err = {0};
    int k;

    o.flags = PERSIST_SAVE_TIMESTAMP | PERSIST_SAVE_LEVEL;
    o.timestamp_us = INT64_C(1700000000123456);
    o.level = 7;
    o.frame_size = 1 << 20;
    o.description = "caf\xc3\xa9";
    o.schema = "s/1";
    o.content_type = "text/plain";
    o.parent_id = "018f3c1e-5a70-7c3d-9b1e-0123456789ab";
    o.labels = labels;
    o.n_labels = 2;
    assert_ok(persist_save_buffer(r->store, "a", "x", 1, &o, &m, &err), &err);
    assert_ok(persist_show(r->store, "a", &shown, &err), &err);
    for (k = 0; k < 2; k++) {
        const struct persist_metadata *each = k ? shown : m;

        assert_string_equal(each->timestamp, "2023-11-14T22:13:20.123456Z");
        assert_int_equal(each->compression_level, 7);
        assert_int_equal(each->frame_size, 1 << 20);
        assert_string_equal(each->description, "caf\xc3\xa9");
        assert_string_equal(each->schema, "s/1");
        assert_string_equal(each->content_type, "text/plain");
        assert_string_equal(each->parent_id, o.parent_id);
        assert_int_equal(each->n_labels, 2);
        assert_string_equal(each->labels[0].key, "a");
        assert_string_equal(each->labels[1].value, "last");
    }
    assert_string_equal(m->snapshot_id, shown->snapshot_id);
    assert_string_equal(m->stored_crc32c, shown->stored_crc32c);
    persist_metadata_free(m);
    persist_metadata_free(shown);
}

static void save__says_durability_of_the_store(void **state)
{
    static const char *const settings[] = {"file_only", "true",
                                           "accept_durability", "file", NULL};
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    struct rig r;

    (void)state;
    rig_open(&r, 0, settings);
    assert_ok(SAVE(&r, "x", NULL, &m, &err), &err);
    assert_true(m->present & PERSIST_META_FILE_ONLY);
    persist_metadata_free(m);
    rig_close(&r);
}

/* --------------------------------------------------------------- bad input
 */

static void change_flags(struct persist_save_options *o)
{
    o->flags = 1U << 30;
}
/* A number without the flag that makes it count. */
static void forget_index(struct persist_save_options *o)
{
    o->flags = PERSIST_SAVE_AFTER;
    o->index = 1;
}
static void forget_after(struct persist_save_options *o)
{
    o->after = 1;
}
static void forget_level(struct persist_save_options *o)
{
    o->level = -1;
}
static void forget_size_hint(struct persist_save_options *o)
{
    o->size_hint = 1;
}
static void forget_timestamp(struct persist_save_options *o)
{
    o->timestamp_us = -1;
}
static void change_level(struct persist_save_options *o)
{
    o->flags = PERSIST_SAVE_LEVEL;
    o->level = 99;
}
static void change_codec(struct persist_save_options *o)
{
    o->compression = 9;
}
static void change_frame(struct persist_save_options *o)
{
    o->frame_size = 100000;
}
static void change_index(struct persist_save_options *o)
{
    o->flags = PERSIST_SAVE_INDEX;
    o->index = PERSIST_INDEX_MAX + 1;
}
static void change_after(struct persist_save_options *o)
{
    o->flags = PERSIST_SAVE_AFTER;
    o->after = PERSIST_INDEX_MAX + 1;
}
static void change_time(struct persist_save_options *o)
{
    o->flags = PERSIST_SAVE_TIMESTAMP;
    o->timestamp_us = INT64_MAX;
}
static void change_description(struct persist_save_options *o)
{
    o->description = "\xff";
}
static void change_parent(struct persist_save_options *o)
{
    o->parent_id = "no uuid";
}
static const struct persist_label twice[] = {{"k", "1"}, {"k", "2"}};
static const struct persist_label nameless[] = {{"", "1"}};
static const struct persist_label empty[] = {{"k", NULL}};
static void change_labels(struct persist_save_options *o)
{
    o->labels = twice;
    o->n_labels = 2;
}
static void change_label_key(struct persist_save_options *o)
{
    o->labels = nameless;
    o->n_labels = 1;
}
static void change_label_value(struct persist_save_options *o)
{
    o->labels = empty;
    o->n_labels = 1;
}
static void change_n_labels(struct persist_save_options *o)
{
    o->labels = twice;
    o->n_labels = SIZE_MAX / 2;
}

static void save__refuses_bad_options(void **state)
{
    static const struct {
        void (*change)(struct persist_save_options *);
        const char *says;
    } rows[] = {
        {change_flags, "flags 0x40000000"},
        {forget_index, "index is set, and counts only with the flag"},
        {forget_after, "with the flag PERSIST_SAVE_AFTER"},
        {forget_level, "with the flag PERSIST_SAVE_LEVEL"},
        {forget_size_hint, "with the flag PERSIST_SAVE_SIZE_HINT"},
        {forget_timestamp, "with the flag PERSIST_SAVE_TIMESTAMP"},
        {change_level, "no level 99"},
        {change_codec, "no compression number 9"},
        {change_frame, "frame_size"},
        {change_index, "at most"},
        {change_after, "at most"},
        {change_time, "timestamp"},
        {change_description, "UTF-8"},
        {change_parent, "parent_id"},
        {change_labels, "\"k\" is given twice"},
        {change_label_key, "has no key"},
        {change_label_value, "has no value"},
        {change_n_labels, "too many"},
    };
    struct rig *r = *state;
    size_t i;

    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
        struct persist_error err = {0};

        rows[i].change(&o);
        assert_status(SAVE(r, "x", &o, NULL, &err), PERSIST_E_INVALID, &err);
        assert_contains(err.message, rows[i].says);
    }
    assert_int_equal(atomic_load(&r->calls), 0);
}

static void save__refuses_bad_calls(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_source source = PERSIST_SOURCE_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_status(persist_save_buffer(NULL, "a", "x", 1, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_save_buffer(r->store, NULL, "x", 1, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_save_buffer(r->store, "a", NULL, 1, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_save(r->store, "a", NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    assert_status(persist_save(r->store, "a", &source, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    source.size = 1;
    assert_status(persist_save(r->store, "a", &source, NULL, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "with the flag PERSIST_SOURCE_SIZE");
    assert_status(persist_save_file(r->store, "a", NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
    o.struct_size = 0;
    assert_status(SAVE(r, "x", &o, NULL, &err), PERSIST_E_MISUSE, &err);
    assert_contains(err.message, "_INIT");
    o = (struct persist_save_options)PERSIST_SAVE_OPTIONS_INIT;
    o.n_labels = 1;
    assert_status(SAVE(r, "x", &o, NULL, &err), PERSIST_E_MISUSE, &err);
    /* err may be NULL */
    assert_int_equal(
        persist_save_buffer(r->store, "a@3", "x", 1, NULL, NULL, NULL),
        PERSIST_E_INVALID);
}

static void save__refuses_addresses_of_snapshots(void **state)
{
    static const char *const bad[] = {"a@3", "a@latest", "",    "other:a",
                                      "a/",  "a/b/c",    "a@x", "@1"};
    struct rig *r = *state;
    size_t i;

    for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct persist_error err = {0};

        assert_status(
            persist_save_buffer(r->store, bad[i], "x", 1, NULL, NULL, &err),
            PERSIST_E_INVALID, &err);
    }
    assert_int_equal(atomic_load(&r->calls), 0);
}

static void save__refuses_options_of_the_future(void **state)
{
    struct {
        struct persist_save_options o;
        uint64_t newer;
    } big = {.o = PERSIST_SAVE_OPTIONS_INIT};
    struct rig *r = *state;
    struct persist_error err = {0};

    big.o.struct_size = sizeof big;
    assert_ok(SAVE(r, "x", &big.o, NULL, &err), &err);
    big.newer = 1;
    assert_status(SAVE(r, "x", &big.o, NULL, &err), PERSIST_E_UNSUPPORTED,
                  &err);
}

static void save__takes_options_of_the_past(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};

    o.struct_size = offsetof(struct persist_save_options, description);
    o.compression = PERSIST_COMPRESSION_GZIP;
    o.description = "not there yet";
    assert_ok(SAVE(r, "x", &o, &m, &err), &err);
    assert_string_equal(m->compression_algorithm, "gzip");
    assert_null(m->description);
    persist_metadata_free(m);
}

/* ----------------------------------------------------------------- sources
 */

struct script {
    size_t len;   /* bytes it gives */
    size_t piece; /* at a time */
    size_t given;
    int status; /* at the end */
    size_t lie; /* says so many more bytes than it gave */
    struct persist_op *cancel;
    size_t cancel_at;
};

static int read_script(void *ctx, void *out, size_t cap, size_t *out_len,
                       struct persist_error *err)
{
    struct script *s = ctx;
    size_t n = s->len - s->given;

    (void)err;
    if (s->cancel && s->given >= s->cancel_at)
        persist_op_cancel(s->cancel);
    if (!n && s->status)
        return s->status;
    if (n > cap)
        n = cap;
    if (n > s->piece)
        n = s->piece;
    memset(out, 'x', n);
    s->given += n;
    *out_len = n + (n ? s->lie : 0);
    return 0;
}

static int save_script(struct rig *r, struct script *script,
                       const uint64_t *size,
                       const struct persist_save_options *o,
                       struct persist_error *err)
{
    struct persist_source source = PERSIST_SOURCE_INIT;

    source.read = read_script;
    source.ctx = script;
    if (size) {
        source.flags = PERSIST_SOURCE_SIZE;
        source.size = *size;
    }
    return persist_save(r->store, "a", &source, o, NULL, err);
}

static void source__may_come_in_pieces(void **state)
{
    static const size_t pieces[] = {1, 7, 65536, 100000};
    struct rig *r = *state;
    char *expected = malloc(100000);
    size_t i;

    assert_non_null(expected);
    memset(expected, 'x', 100000);
    for (i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct script script = {.len = 100000, .piece = pieces[i]};
        struct persist_error err = {0};
        uint64_t size = 100000;

        assert_ok(save_script(r, &script, i & 1 ? &size : NULL, NULL, &err),
                  &err);
        rig_expect(r, "a", expected, 100000);
    }
    free(expected);
}

static void source__must_keep_its_size(void **state)
{
    static const uint64_t sizes[] = {9, 11, 0, 1000000};
    struct rig *r = *state;
    size_t i;

    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct script script = {.len = 10, .piece = 3};
        struct persist_error err = {0};
        char announced[32];

        assert_status(save_script(r, &script, &sizes[i], NULL, &err),
                      PERSIST_E_INVALID, &err);
        snprintf(announced, sizeof announced, "%d bytes were announced",
                 (int)sizes[i]);
        assert_contains(err.message, announced);
        assert_contains(err.message,
                        sizes[i] < 10 ? "more than" : "and 10 came");
    }
    assert_int_equal(rig_objects(r), 0);
}

static void source__error_is_the_answer(void **state)
{
    struct script script = {.len = 10, .piece = 10, .status = PERSIST_E_AUTH};
    struct script wrong = {.len = 10, .piece = 10, .status = 5};
    struct script lies = {.len = 10, .piece = 10, .lie = SIZE_MAX / 2};
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_status(save_script(r, &script, NULL, NULL, &err), PERSIST_E_AUTH,
                  &err);
    assert_contains(err.message, "source");
    assert_status(save_script(r, &wrong, NULL, NULL, &err), PERSIST_E_MISUSE,
                  &err);
    assert_status(save_script(r, &lies, NULL, NULL, &err), PERSIST_E_MISUSE,
                  &err);
    assert_int_equal(rig_objects(r), 0);
    rig_save(r, "next", 0);
}

static void save__stops_when_cancelled(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct script script = {.len = 100, .piece = 10, .cancel_at = 50};
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    script.cancel = o.op;
    assert_status(save_script(r, &script, NULL, &o, &err), PERSIST_E_CANCELLED,
                  &err);
    assert_int_equal(script.given, 60);
    assert_int_equal(rig_objects(r), 0);
    assert_status(SAVE(r, "x", &o, NULL, &err), PERSIST_E_CANCELLED, &err);
    persist_op_destroy(o.op);
}

static void save__stops_at_its_deadline(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};

    o.timeout_ms = 1000;
    rig_fault(r, (struct rig_fault){.op = "list",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_THROTTLED});
    assert_int_not_equal(SAVE(r, "x", &o, NULL, &err), PERSIST_OK);
    assert_true(atomic_load(&r->boot_ns) <
                UINT64_C(864002) * UINT64_C(1000000000));
    assert_int_equal(rig_objects(r), 0);
}

static void save__reports_progress(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_progress progress = PERSIST_PROGRESS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(100000, 1);

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    assert_ok(persist_save_buffer(r->store, "a", data, 100000, &o, NULL, &err),
              &err);
    persist_op_progress(o.op, &progress);
    assert_int_equal(progress.payload_bytes, 100000);
    assert_int_equal(progress.payload_total, 100000);
    assert_int_equal(progress.stored_bytes, rig_size(r, 0, KEY_SNAP));
    persist_op_destroy(o.op);
    free(data);
}

/* ------------------------------------------------------------------- files
 */

static int temp_file(const void *data, size_t len)
{
    char path[] = "/tmp/persist-save-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, data, len), (ssize_t)len);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static void save_fd__starts_where_the_descriptor_is(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    int fd = temp_file("0123456789", 10);

    lseek(fd, 4, SEEK_SET);
    assert_ok(persist_save_fd(r->store, "a", fd, NULL, NULL, &err), &err);
    rig_expect(r, "a", "456789", 6);
    /* At its end, and behind it. */
    assert_ok(persist_save_fd(r->store, "a", fd, NULL, NULL, &err), &err);
    rig_expect(r, "a", "", 0);
    lseek(fd, 100, SEEK_SET);
    assert_ok(persist_save_fd(r->store, "a", fd, NULL, NULL, &err), &err);
    rig_expect(r, "a", "", 0);
    close(fd);
    assert_status(persist_save_fd(r->store, "a", fd, NULL, NULL, &err),
                  PERSIST_E_IO, &err);
}

static void *feed_pipe(void *ctx)
{
    const int *fd = ctx;
    int i;

    for (i = 0; i < 5; i++)
        if (write(*fd, "piece", 5) != 5)
            break;
    close(*fd);
    return NULL;
}

static void save_fd__reads_pipes(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};
    pthread_t thread;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(pthread_create(&thread, NULL, feed_pipe, &fds[1]), 0);
    assert_ok(persist_save_fd(r->store, "a", fds[0], NULL, NULL, &err), &err);
    pthread_join(thread, NULL);
    close(fds[0]);
    rig_expect(r, "a", "piecepiecepiecepiecepiece", 25);
}

static void *cancel_soon(void *ctx)
{
    usleep(30000);
    persist_op_cancel(ctx);
    return NULL;
}

static void save_fd__does_not_hang_on_a_silent_pipe(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    pthread_t thread;
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, o.op), 0);
    assert_status(persist_save_fd(r->store, "a", fds[0], &o, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    pthread_join(thread, NULL);
    persist_op_destroy(o.op);
    close(fds[0]);
    close(fds[1]);
}

static void *feed_fifo(void *path)
{
    int fd;

    usleep(30000); /* the save is waiting by now */
    fd = open(path, O_WRONLY);
    return feed_pipe(&fd);
}

static void save_file__reads_a_fifo_and_does_not_hang_on_it(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    char dir[] = "/tmp/persist-save-XXXXXX", path[64];
    struct rig *r = *state;
    struct persist_error err = {0};
    pthread_t thread;

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/fifo", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, o.op), 0);
    assert_status(persist_save_file(r->store, "a", path, &o, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    pthread_join(thread, NULL);
    persist_op_destroy(o.op);
    assert_int_equal(pthread_create(&thread, NULL, feed_fifo, path), 0);
    assert_ok(persist_save_file(r->store, "a", path, NULL, NULL, &err), &err);
    pthread_join(thread, NULL);
    rig_expect(r, "a", "piecepiecepiecepiecepiece", 25);
    unlink(path);
    rmdir(dir);
}

static void save_file__reads_files(void **state)
{
    char path[64];
    struct rig *r = *state;
    struct persist_error err = {0};
    int fd = temp_file("content", 7);

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    assert_ok(persist_save_file(r->store, "a", path, NULL, NULL, &err), &err);
    rig_expect(r, "a", "content", 7);
    close(fd);
    /* A file that says 0 bytes and has some. */
    assert_ok(
        persist_save_file(r->store, "a", "/proc/version", NULL, NULL, &err),
        &err);
    assert_status(persist_save_file(r->store, "a", "/tmp", NULL, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "directory");
    assert_status(
        persist_save_file(r->store, "a", "/nonexistent/x", NULL, NULL, &err),
        PERSIST_E_NOT_FOUND, &err);
    assert_string_equal(err.object, "/nonexistent/x");
}

struct growing {
    int fd;
    off_t to;
};

static void grow(void *ctx)
{
    const struct growing *g = ctx;

    assert_int_equal(ftruncate(g->fd, g->to), 0);
}

static int cut_and_save(struct rig *r, off_t to, struct persist_error *err)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    uint8_t *data = rig_noise(300000, 3);
    struct growing g = {temp_file(data, 300000), to};
    int rc;

    /* The listing that finds the fence's snapshot comes before the payload is
     * read. */
    o.flags = PERSIST_SAVE_SKIP_UNCHANGED;
    rig_fault(r, (struct rig_fault){.op = "list", .then = grow, .ctx = &g});
    rc = persist_save_fd(r->store, "a", g.fd, &o, NULL, err);
    rig_no_faults(r);
    close(g.fd);
    free(data);
    return rc;
}

static void save_file__refuses_a_file_that_changes(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_status(cut_and_save(r, 100, &err), PERSIST_E_INVALID, &err);
    assert_contains(err.message, "300000 bytes were announced and 100 came");
    assert_status(cut_and_save(r, 300001, &err), PERSIST_E_INVALID, &err);
    assert_contains(err.message, "more than 300000 came");
    assert_int_equal(rig_objects(r), 0);
}

/* ---------------------------------------------------------- skip unchanged
 */

static void cancel_it(void *ctx)
{
    persist_op_cancel(ctx);
}

static struct persist_save_options skip_options(void)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;

    o.flags = PERSIST_SAVE_SKIP_UNCHANGED;
    return o;
}

static void skip_unchanged__writes_nothing_for_equal_bytes(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    struct script script = {.len = 5, .piece = 2};

    assert_ok(SAVE(r, "xxxxx", &o, &m, &err), &err); /* nothing to equal */
    assert_false(m->present & PERSIST_META_UNCHANGED);
    persist_metadata_free(m);
    assert_ok(SAVE(r, "xxxxx", &o, &m, &err), &err);
    assert_true(m->present & PERSIST_META_UNCHANGED);
    assert_int_equal(m->snapshot_index, 0);
    persist_metadata_free(m);
    /* A stream whose size is not known before. */
    assert_ok(save_script(r, &script, NULL, &o, &err), &err);
    assert_int_equal(rig_objects(r), 1);
}

static void skip_unchanged__hashes_a_file_before_it_compresses(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};
    uint8_t *data = rig_noise(700000, 1);
    int fd = temp_file(data, 700000);

    assert_ok(persist_save_fd(r->store, "a", fd, &o, NULL, &err), &err);
    lseek(fd, 0, SEEK_SET);
    assert_ok(persist_save_fd(r->store, "a", fd, &o, &m, &err), &err);
    assert_true(m->present & PERSIST_META_UNCHANGED);
    persist_metadata_free(m);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0); /* not consumed */
    assert_int_equal(rig_objects(r), 1);
    assert_int_equal(pwrite(fd, "!", 1, 699999), 1);
    assert_ok(persist_save_fd(r->store, "a", fd, &o, NULL, &err), &err);
    assert_int_equal(rig_objects(r), 2);
    data[699999] = '!';
    rig_expect(r, "a", data, 700000);
    close(fd);
    free(data);
}

static void skip_unchanged__stops_while_hashing(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_error err = {0};
    int fd = temp_file("12345", 5);

    assert_ok(persist_save_fd(r->store, "a", fd, &o, NULL, &err), &err);
    lseek(fd, 0, SEEK_SET);
    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .phase = MEMORY_AFTER,
                                    .then = cancel_it,
                                    .ctx = o.op});
    assert_status(persist_save_fd(r->store, "a", fd, &o, NULL, &err),
                  PERSIST_E_CANCELLED, &err);
    persist_op_destroy(o.op);
    close(fd);
}

static void skip_unchanged__saves_what_differs(void **state)
{
    static const char *const others[] = {"xxxxy", "xxxx", "xxxxxx", ""};
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_error err = {0};
    size_t i;

    for (i = 0; i < sizeof others / sizeof others[0]; i++) {
        rig_save(r, "xxxxx", 2 * i);
        assert_ok(SAVE(r, others[i], &o, NULL, &err), &err);
        assert_true(rig_has(r, 2 * i + 1, KEY_SNAP));
    }
}

static void skip_unchanged__compares_with_the_latest_only(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "same", 0);
    rig_save(r, "other", 1);
    assert_ok(SAVE(r, "same", &o, NULL, &err), &err);
    assert_int_equal(rig_objects(r), 3);
    /* A deleted one is not the latest. */
    assert_ok(persist_delete(r->store, "a@2", NULL, NULL, &err), &err);
    assert_ok(SAVE(r, "same", &o, NULL, &err), &err);
    assert_true(rig_has(r, 3, KEY_SNAP));
}

static void skip_unchanged__does_not_hide_conflicts(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    rig_save(r, "one", 1);
    o.flags |= PERSIST_SAVE_AFTER;
    assert_status(SAVE(r, "one", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    o.flags = PERSIST_SAVE_SKIP_UNCHANGED | PERSIST_SAVE_INDEX;
    o.index = 1;
    assert_status(SAVE(r, "one", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    o.index = 2;
    assert_ok(SAVE(r, "one", &o, NULL, &err), &err);
    o.index = 3;
    assert_status(SAVE(r, "one", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    assert_contains(err.message, "2 is");
    /* What is next, and who comes after, is not told by the latest alone. */
    assert_ok(persist_delete(r->store, "a@1", NULL, NULL, &err), &err);
    o.index = 1;
    assert_status(SAVE(r, "zero", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    o.index = 2;
    assert_ok(SAVE(r, "zero", &o, NULL, &err), &err);
    rig_put_claim(r, 2);
    o = skip_options();
    o.flags |= PERSIST_SAVE_AFTER;
    assert_status(SAVE(r, "zero", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    assert_int_equal(rig_objects(r), 3);
}

static void skip_unchanged__saves_beside_a_damaged_latest(void **state)
{
    struct persist_save_options o = skip_options();
    struct rig *r = *state;
    struct persist_error err = {0};
    char key[KEY_CAP];

    rig_save(r, "same", 0);
    rig_key(0, KEY_SNAP, key);
    assert_int_equal(
        r->memory->poke(r->id, key, rig_size(r, 0, KEY_SNAP) - 5, "!", 1), 0);
    assert_ok(SAVE(r, "same", &o, NULL, &err), &err);
    assert_true(rig_has(r, 1, KEY_SNAP));
}

/* ----------------------------------------------------------------- dry run
 */

static void dry_run__shows_and_writes_nothing(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err = {0};

    rig_save(r, "zero", 0);
    o.flags = PERSIST_SAVE_DRY_RUN;
    assert_ok(SAVE(r, "one", &o, &m, &err), &err);
    assert_int_equal(m->snapshot_index, 1);
    assert_int_equal(m->uncompressed_size, 3);
    assert_true(m->compressed_size > 0);
    persist_metadata_free(m);
    assert_int_equal(rig_objects(r), 1);
    assert_int_equal(r->memory->count(r->id, "put"), 1);
    o.flags = PERSIST_SAVE_DRY_RUN | PERSIST_SAVE_INDEX;
    o.index = 7;
    assert_status(SAVE(r, "one", &o, NULL, &err), PERSIST_E_CONFLICT, &err);
    o.index = 0;
    o.flags = PERSIST_SAVE_DRY_RUN | PERSIST_SAVE_SKIP_UNCHANGED;
    assert_ok(SAVE(r, "zero", &o, &m, &err), &err);
    assert_true(m->present & PERSIST_META_UNCHANGED);
    persist_metadata_free(m);
    rig_save(r, "one", 1);
}

static void dry_run__does_not_probe_the_store(void **state)
{
    static const char *const settings[] = {"check_if_absent", "true", NULL};
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct persist_error err = {0};
    struct rig r;

    (void)state;
    rig_open(&r, 0, settings);
    o.flags = PERSIST_SAVE_DRY_RUN;
    assert_ok(SAVE(&r, "x", &o, NULL, &err), &err);
    assert_int_equal(rig_objects(&r), 0);
    rig_save(&r, "x", 0);
    assert_int_equal(rig_objects(&r), 2); /* and .persist-probe */
    rig_close(&r);
}

static void save__refuses_a_store_that_replaces(void **state)
{
    static const char *const settings[] = {"ignore_if_absent", "true", NULL};
    struct persist_error err = {0};
    struct rig r;

    (void)state;
    rig_open(&r, 0, settings);
    assert_status(SAVE(&r, "x", NULL, NULL, &err), PERSIST_E_UNSUPPORTED, &err);
    assert_int_equal(rig_objects(&r), 1); /* .persist-probe */
    rig_close(&r);
}

static void save__needs_memory_and_says_how_much(void **state)
{
    struct script script = {.len = 10, .piece = 10};
    struct persist_error err = {0};
    struct rig r;

    (void)state;
    rig_open(&r, PERSIST_MEMORY_LIMIT_MIN, NULL);
    assert_status(save_script(&r, &script, NULL, NULL, &err), PERSIST_E_MEMORY,
                  &err);
    assert_contains(err.message, "memory_limit is 8.0 MiB");
    assert_contains(err.hint, "raise memory_limit to ");
    assert_contains(err.hint, "M or more");
    assert_int_equal(script.given, 0);
    /* A small payload of known size does not need that much. */
    rig_save(&r, "x", 0);
    rig_close(&r);
}

static void save__can_be_cancelled_while_it_waits_for_memory(void **state)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;
    struct rig *r = *state;
    struct persist_error err = {0};
    pthread_t thread;

    assert_ok(budget_try(r->p->budget, budget_limit(r->p->budget)), &err);
    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, o.op), 0);
    assert_status(SAVE(r, "x", &o, NULL, &err), PERSIST_E_CANCELLED, &err);
    assert_contains(err.message, "memory");
    pthread_join(thread, NULL);
    persist_op_destroy(o.op);
    budget_release(r->p->budget, budget_limit(r->p->budget));
    rig_save(r, "x", 0);
}

/* A copy from one snapshot to another: the reader holds what the save waits
 * for, and would give it back when the save has returned. */
static int read_reader(void *ctx, void *out, size_t cap, size_t *out_len,
                       struct persist_error *err)
{
    return persist_reader_read(ctx, out, cap, out_len, err);
}

static void save__does_not_wait_for_a_reader_of_its_own(void **state)
{
    struct persist_source source = PERSIST_SOURCE_INIT;
    struct persist_reader *reader = NULL;
    struct persist_error err = {0};
    struct rig *r = *state;

    rig_save(r, "x", 0);
    assert_ok(persist_reader_open(r->store, "a", NULL, &reader, &err), &err);
    source.read = read_reader;
    source.ctx = reader;
    uint64_t rest = budget_limit(r->p->budget) - budget_used(r->p->budget);
    assert_ok(budget_try(r->p->budget, rest), &err);
    assert_status(persist_save(r->store, "copy", &source, NULL, NULL, &err),
                  PERSIST_E_MEMORY, &err);
    assert_contains(err.message, "waited 10 s for");
    assert_contains(err.hint, "instance of its own");
    budget_release(r->p->budget, rest);
    /* With room beside the reader it is done. */
    assert_ok(persist_save(r->store, "copy", &source, NULL, NULL, &err), &err);
    persist_reader_close(reader);
}

static void *close_reader(void *ctx)
{
    persist_reader_close(ctx);
    return NULL;
}

/* Whoever closes it: the thread that opened it holds nothing any more. */
static void reader__closed_on_another_thread_holds_nothing(void **state)
{
    struct persist_reader *reader = NULL;
    struct persist_error err = {0};
    struct rig *r = *state;
    pthread_t thread;

    rig_save(r, "x", 0);
    assert_ok(persist_reader_open(r->store, "a", NULL, &reader, &err), &err);
    assert_true(budget_is_nested(r->p->budget, NULL));
    assert_int_equal(pthread_create(&thread, NULL, close_reader, reader), 0);
    pthread_join(thread, NULL);
    assert_false(budget_is_nested(r->p->budget, NULL));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(save__counts_from_zero),
        T(save__takes_one_request_when_steady),
        T(save__keeps_every_size_in_both_compressions),
        T(save__describes_as_told),
        cmocka_unit_test(save__says_durability_of_the_store),
        T(save__refuses_bad_options),
        T(save__refuses_bad_calls),
        T(save__refuses_addresses_of_snapshots),
        T(save__refuses_options_of_the_future),
        T(save__takes_options_of_the_past),
        T(source__may_come_in_pieces),
        T(source__must_keep_its_size),
        T(source__error_is_the_answer),
        T(save__stops_when_cancelled),
        T(save__stops_at_its_deadline),
        T(save__reports_progress),
        T(save_fd__starts_where_the_descriptor_is),
        T(save_fd__reads_pipes),
        T(save_fd__does_not_hang_on_a_silent_pipe),
        T(save_file__reads_a_fifo_and_does_not_hang_on_it),
        T(save_file__reads_files),
        T(save_file__refuses_a_file_that_changes),
        T(skip_unchanged__writes_nothing_for_equal_bytes),
        T(skip_unchanged__hashes_a_file_before_it_compresses),
        T(skip_unchanged__stops_while_hashing),
        T(skip_unchanged__saves_what_differs),
        T(skip_unchanged__compares_with_the_latest_only),
        T(skip_unchanged__does_not_hide_conflicts),
        T(skip_unchanged__saves_beside_a_damaged_latest),
        T(dry_run__shows_and_writes_nothing),
        cmocka_unit_test(dry_run__does_not_probe_the_store),
        cmocka_unit_test(save__refuses_a_store_that_replaces),
        cmocka_unit_test(save__needs_memory_and_says_how_much),
        T(save__can_be_cancelled_while_it_waits_for_memory),
        T(save__does_not_wait_for_a_reader_of_its_own),
        T(reader__closed_on_another_thread_holds_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
