/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saves that stop anywhere and go on later.  A kill is made by taking the store
 * and the state directory as they are at that moment, letting the save run to
 * its end, and putting both back.
 */
#include "engine/save_test_kit.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/metadata.h"
#include "services/state.h"

#define LEN 300000 /* five parts of 64 KiB */
#define N_PARTS 5

static char base[64];
static char state_dir[96];
static char killed_dir[96];
static char file[96];

static const char *const settings[] = {"put_max",   "64K",  "part_max", "64K",
                                       "resumable", "true", NULL};

static void run(const char *format, const char *a, const char *b)
{
    char command[400];

    snprintf(command, sizeof command, format, a, b);
    assert_int_equal(system(command), 0);
}

static void write_file(const void *data, size_t len, int64_t mtime_s)
{
    const struct timespec times[2] = {{.tv_sec = mtime_s}, {.tv_sec = mtime_s}};
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void write_noise(size_t len, uint32_t seed, int64_t mtime_s)
{
    uint8_t *data = rig_noise(len, seed);

    write_file(data, len, mtime_s);
    free(data);
}

static int setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);

    assert_non_null(r);
    snprintf(base, sizeof base, "/tmp/persist-resume-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(state_dir, sizeof state_dir, "%s/state", base);
    snprintf(killed_dir, sizeof killed_dir, "%s/killed", base);
    snprintf(file, sizeof file, "%s/file", base);
    write_noise(LEN, 1, 1000);
    rig_state_dir = state_dir;
    rig_open(r, 0, settings);
    rig_state_dir = NULL;
    rig_one_by_one(r);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    rig_close(*state);
    free(*state);
    run("rm -rf '%s'", base, "");
    return 0;
}

static struct persist_save_options options(void)
{
    struct persist_save_options o = PERSIST_SAVE_OPTIONS_INIT;

    o.flags = PERSIST_SAVE_RESUME;
    o.frame_size = 65536;
    return o;
}

static int save_with(struct rig *r, const struct persist_save_options *o,
                     struct persist_metadata **out, struct persist_error *err)
{
    memset(err, 0, sizeof *err);
    return persist_save_file(r->store, "a", file, o, out, err);
}

static int save(struct rig *r, struct persist_error *err)
{
    const struct persist_save_options o = options();

    return save_with(r, &o, NULL, err);
}

static int count_file(void *ctx, const char *name)
{
    (void)name;
    ++*(int *)ctx;
    return 0;
}

static int n_files(void)
{
    int n = 0;

    assert_int_equal(state_each(state_dir, "resume", count_file, &n, NULL), 0);
    return n;
}

/* The only snapshot is this one, with these bytes; nothing is left open. */
static void expect_saved(struct rig *r, uint64_t index, size_t len,
                         uint32_t seed)
{
    uint8_t *data = rig_noise(len, seed);
    struct persist_error err = {0};
    char address[32];

    snprintf(address, sizeof address, "a@%d", (int)index);
    rig_expect(r, address, data, len);
    rig_expect(r, "a", data, len);
    assert_ok(persist_verify(r->store, address, NULL, NULL, &err), &err);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(n_files(), 0);
    free(data);
}

static uint64_t n_parts(struct rig *r)
{
    return r->memory->count(r->id, "upload_part");
}

/* Fails the n-th part for good and saves: what is left is there. */
static void stop_at_part(struct rig *r, uint32_t n)
{
    struct persist_error err;

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = n,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save(r, &err), PERSIST_E_IO, &err);
    assert_contains(err.hint, "go on where it stopped");
    rig_no_faults(r);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    assert_int_equal(r->memory->count(r->id, "upload_abort"), 0);
    assert_int_equal(n_files(), 1);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
}

/* ------------------------------------------------------------------ it works
 */

static void resume__sends_only_what_is_missing(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    for (uint32_t stop = 2; stop <= N_PARTS; stop++) {
        rig_close(r);
        rig_state_dir = state_dir;
        rig_open(r, 0, settings);
        rig_state_dir = NULL;
        rig_one_by_one(r);
        stop_at_part(r, stop);
        uint64_t before = n_parts(r);

        assert_ok(save(r, &err), &err);

        assert_int_equal(n_parts(r) - before, N_PARTS - stop + 1);
        assert_int_equal(r->memory->count(r->id, "upload_begin"), 1);
        expect_saved(r, 0, LEN, 1);
    }
}

static void resume__finds_no_file_after_success(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 1, LEN, 1);
}

static void file__is_private_and_holds_no_secret_path(void **state)
{
    struct rig *r = *state;
    struct stat st;
    DIR *d;
    char path[400];

    stop_at_part(r, 3);
    snprintf(path, sizeof path, "%s/resume", state_dir);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/resume/%.200s", state_dir, e->d_name);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
    }
    closedir(d);
}

static void cancel(void *ctx)
{
    persist_op_cancel(ctx);
}

static void cancel__leaves_everything_for_later(void **state)
{
    struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_error err = {0};

    assert_ok(persist_op_create(r->p, &o.op, &err), &err);
    rig_fault(r,
              (struct rig_fault){
                  .op = "upload_part", .at = 3, .then = cancel, .ctx = o.op});
    assert_status(save_with(r, &o, NULL, &err), PERSIST_E_CANCELLED, &err);
    persist_op_destroy(o.op);
    assert_int_equal(r->memory->count(r->id, "upload_abort"), 0);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
}

/* Without the flag everything is taken back, as ever. */
static void without_the_flag__nothing_is_left(void **state)
{
    struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_error err;

    o.flags = 0;
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 3,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save_with(r, &o, NULL, &err), PERSIST_E_IO, &err);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(n_files(), 0);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), TOMBSTONE_LEN);
}

/* ----------------------------------------------------------- killed anywhere
 */

static void take_state(void *ctx)
{
    struct rig *r = ctx;

    assert_int_equal(r->memory->copy(r->id, "killed"), 0);
    run("rm -rf '%s'; mkdir -p '%s'", killed_dir, state_dir);
    run("cp -a '%s' '%s'", state_dir, killed_dir);
}

static void put_back(struct rig *r)
{
    assert_int_equal(r->memory->copy("killed", r->id), 0);
    run("rm -rf '%s'%s", state_dir, "");
    run("cp -a '%s' '%s'", killed_dir, state_dir);
}

/* Saves, and makes it as if the process had died before or after its n-th
 * request.  False: it makes fewer. */
static bool kill_at(struct rig *r, uint32_t n, uint32_t phase)
{
    struct persist_error err;
    uint64_t calls;

    r->memory->reset(r->id);
    r->memory->reset("killed");
    run("rm -rf '%s'%s", state_dir, "");
    rig_close(r);
    rig_state_dir = state_dir;
    rig_open(r, 0, settings);
    rig_state_dir = NULL;
    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "any",
                                    .at = n,
                                    .phase = phase,
                                    .then = take_state,
                                    .ctx = r});
    assert_ok(save(r, &err), &err);
    calls = r->memory->count(r->id, "any");
    rig_no_faults(r);
    if (calls < n)
        return false;
    put_back(r);
    return true;
}

static void kill__before_or_after_any_request_is_taken_up(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    uint32_t n = 1;

    for (; kill_at(r, n, MEMORY_BEFORE); n++) {
        for (uint32_t phase = MEMORY_BEFORE; phase <= MEMORY_AFTER; phase++) {
            uint8_t *data = rig_noise(LEN, 1);

            if (phase == MEMORY_AFTER)
                assert_true(kill_at(r, n, phase));
            uint64_t known = r->memory->n_uploads(r->id);
            bool recorded = n_files() > 0;
            uint64_t before = n_parts(r);

            assert_ok(save(r, &err), &err);

            rig_expect(r, "a", data, LEN);
            assert_ok(persist_verify(r->store, "a", NULL, NULL, &err), &err);
            assert_int_equal(n_files(), 0);
            /* Only an upload nobody had written down yet is left. */
            assert_int_equal(r->memory->n_uploads(r->id),
                             known && !recorded ? 1 : 0);
            if (recorded)
                assert_false(rig_has(r, 1, KEY_SNAP));
            assert_true(n_parts(r) - before <= N_PARTS);
            free(data);
        }
    }
    assert_true(n > N_PARTS + 3);
}

/* Every request of a save fails once with each of these, reply lost or not, and
 * whatever comes of it, saving again ends well; parts go out in parallel. */
static void fault__anywhere_then_again_ends_well(void **state)
{
    static const int32_t statuses[] = {
        PERSIST_BACKEND_IO, PERSIST_BACKEND_UNCERTAIN,
        PERSIST_BACKEND_NOT_FOUND, PERSIST_BACKEND_PRECONDITION,
        PERSIST_BACKEND_DENIED};
    uint8_t *data = rig_noise(LEN, 1);
    struct rig *r = *state;
    struct persist_error err;
    size_t n_statuses = sizeof statuses / sizeof *statuses;

    for (uint32_t n = 1; n < 13; n++)
        for (size_t i = 0; i < 2 * n_statuses; i++) {
            run("rm -rf '%s'%s", state_dir, "");
            rig_close(r);
            rig_state_dir = state_dir;
            rig_open(r, 0, settings);
            rig_state_dir = NULL;
            rig_fault(r, (struct rig_fault){.op = "any",
                                            .at = n,
                                            .phase = i % 2 ? MEMORY_AFTER
                                                           : MEMORY_BEFORE,
                                            .status = statuses[i / 2]});
            int first = save(r, &err);
            rig_no_faults(r);
            if (first != PERSIST_OK)
                assert_ok(save(r, &err), &err);
            rig_expect(r, "a", data, LEN);
            assert_ok(persist_verify(r->store, "a", NULL, NULL, &err), &err);
            assert_int_equal(n_files(), 0);
        }
    free(data);
}

/* What another process had begun is in nobody's way for ever. */
static void kill__and_never_resumed_is_cleaned_up(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    stop_at_part(r, 3);
    rig_save(r, "next", 1);
    rig_pass_days(r, 8);
    assert_ok(persist_cleanup(r->store, NULL, NULL, &err), &err);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(n_files(), 0);
    assert_int_equal(rig_objects(r), 1);
}

static int count_uploads(void *ctx, const struct persist_cleanup_item *item)
{
    *(unsigned *)ctx += item->kind == PERSIST_CLEANUP_UPLOAD;
    return 0;
}

static unsigned clean(struct rig *r, uint32_t flags, uint64_t older_than_ms)
{
    struct persist_cleanup_options o = PERSIST_CLEANUP_OPTIONS_INIT;
    struct persist_error err = {0};
    unsigned n = 0;

    o.flags = flags;
    o.older_than_ms = older_than_ms;
    o.report = count_uploads;
    o.report_ctx = &n;
    assert_ok(persist_cleanup(r->store, NULL, &o, &err), &err);
    return n;
}

/* Old by its last part, and somebody is about to go on with it: the file says
 * since when. */
static void cleanup__leaves_what_may_be_resumed(void **state)
{
    const uint64_t day_ms = UINT64_C(86400) * 1000;
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 3);
    rig_pass_days(r, 4);
    assert_int_equal(clean(r, PERSIST_CLEANUP_OLDER_THAN, 5 * day_ms), 0);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    /* The upload is 8 days old, its claim and file are 4. */
    stop_at_part(r, 1);
    rig_pass_days(r, 4);
    assert_int_equal(clean(r, 0, 0), 0);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
}

static void cleanup__takes_what_nobody_resumes(void **state)
{
    struct rig *r = *state;

    stop_at_part(r, 3);
    assert_int_equal(clean(r, PERSIST_CLEANUP_OLDER_THAN, 1), 0);
    rig_pass_days(r, 8);
    assert_int_equal(clean(r, PERSIST_CLEANUP_DRY_RUN, 0), 1);
    assert_int_equal(n_files(), 1);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    assert_int_equal(clean(r, 0, 0), 1);
    assert_int_equal(n_files(), 0);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
}

static void jump(struct rig *r, int days)
{
    atomic_fetch_add(&r->wall_us, days * RIG_DAY_US);
}

/* This machine's clock is ahead: by the store's the claim is of today. */
static void cleanup__is_not_misled_by_a_clock_ahead(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 3);
    jump(r, 3650);
    assert_int_equal(clean(r, 0, 0), 0);
    assert_int_equal(n_files(), 1);
    jump(r, -3650);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
}

/* The same where the file was written by a clock that was behind. */
static void cleanup__is_not_misled_by_a_clock_that_was_behind(void **state)
{
    struct rig *r = *state;

    jump(r, -3650);
    stop_at_part(r, 3);
    jump(r, 3650);
    assert_int_equal(clean(r, 0, 0), 0);
    assert_int_equal(n_files(), 1);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
}

/* A file from the future does not keep its upload until then. */
static void cleanup__takes_what_a_clock_ahead_has_left(void **state)
{
    struct rig *r = *state;

    jump(r, 3650);
    stop_at_part(r, 3);
    jump(r, -3650);
    rig_pass_days(r, 7); /* it may have been gone on with a day later */
    assert_int_equal(clean(r, 0, 0), 0);
    assert_int_equal(n_files(), 1);
    rig_pass_days(r, 2);
    assert_int_equal(clean(r, 0, 0), 1);
    assert_int_equal(n_files(), 0);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
}

/* Not asked is not known. */
static void cleanup__leaves_uploads_whose_claim_cannot_be_seen(void **state)
{
    struct persist_error err = {0};
    struct rig *r = *state;

    stop_at_part(r, 3);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "head",
                                    .suffix = ".snap",
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(persist_cleanup(r->store, NULL, NULL, &err), PERSIST_E_DENIED,
                  &err);
    assert_int_equal(r->memory->n_uploads(r->id), 1);
    assert_int_equal(n_files(), 1);
    rig_no_faults(r);
    assert_int_equal(clean(r, 0, 0), 1);
}

/* As with a service that cannot list them: the file knows. */
static void cleanup__finds_uploads_that_no_listing_shows(void **state)
{
    static const char *const hidden[] = {
        "put_max", "64K",  "part_max",       "64K", "resumable",
        "true",    "lies", "uploads-hidden", NULL};
    struct rig *r = *state;

    persist_close(r->store);
    r->store = rig_again(r, "main", hidden);
    stop_at_part(r, 3);
    rig_pass_days(r, 8);
    assert_int_equal(clean(r, 0, 0), 1);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(n_files(), 0);
}

static void cleanup__leaves_files_of_other_stores_and_scopes(void **state)
{
    static const char *const other[] = {"put_max", "32K", NULL};
    struct rig *r = *state;
    struct persist_store *store = rig_again(r, "main", other);
    struct persist_error err = {0};

    stop_at_part(r, 3);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "list_uploads",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNSUPPORTED});
    assert_ok(persist_cleanup(store, NULL, NULL, &err), &err);
    assert_int_equal(n_files(), 1);
    assert_ok(persist_cleanup(r->store, "b", NULL, &err), &err);
    assert_int_equal(n_files(), 1);
    assert_ok(persist_cleanup(r->store, "a/default", NULL, &err), &err);
    assert_int_equal(n_files(), 0);
    persist_close(store);
}

static void cleanup__keeps_the_file_where_the_abort_fails(void **state)
{
    struct persist_error err = {0};
    struct rig *r = *state;

    stop_at_part(r, 3);
    rig_pass_days(r, 8);
    rig_fault(r, (struct rig_fault){.op = "upload_abort",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(persist_cleanup(r->store, NULL, NULL, &err), PERSIST_E_DENIED,
                  &err);
    assert_int_equal(n_files(), 1);
}

/* ---------------------------------------------------------- it has changed
 */

/* Another time, and the bytes of that seed: nothing is left out. */
static void expect_sent_anew(struct rig *r, uint32_t seed)
{
    struct persist_error err;

    stop_at_part(r, 4);
    write_noise(LEN, seed, 2000);
    uint64_t before = n_parts(r);
    assert_ok(save(r, &err), &err);
    assert_int_equal(n_parts(r) - before, N_PARTS);
    expect_saved(r, 0, LEN, seed);
}

static void source__changed_is_sent_anew_under_the_same_index(void **state)
{
    expect_sent_anew(*state, 2);
}

/* The same bytes under another time are another file's, which nobody has
 * promised to be the one that was sent: nothing of it is left out. */
static void source__touched_is_sent_anew(void **state)
{
    expect_sent_anew(*state, 1);
}

/* Time and size say nothing; the CRC-32C of each part does. */
static void source__changed_behind_its_time_is_noticed(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    uint8_t *data = rig_noise(LEN, 1);

    for (size_t at = 1000; at < 200000; at += 64000) {
        uint64_t index = (at - 1000) / 64000;

        write_file(data, LEN, 1000);
        rig_fault(r, (struct rig_fault){.op = "upload_part",
                                        .at = 5,
                                        .status = PERSIST_BACKEND_IO});
        assert_status(save(r, &err), PERSIST_E_IO, &err);
        rig_no_faults(r);
        data[at] ^= 1;
        write_file(data, LEN, 1000);
        assert_ok(save(r, &err), &err);
        rig_expect(r, "a", data, LEN);
        assert_ok(persist_verify(r->store, "a", NULL, NULL, &err), &err);
        assert_true(rig_has(r, index, KEY_DATA));
        assert_int_equal(r->memory->n_uploads(r->id), 0);
    }
    free(data);
}

static void source__that_shrank_starts_anew(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    write_noise(1000, 3, 2000);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 1, 1000, 3);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), TOMBSTONE_LEN);
}

static void options__changed_start_anew(void **state)
{
    struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    o.description = "another";
    assert_ok(save_with(r, &o, NULL, &err), &err);
    expect_saved(r, 1, LEN, 1);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), TOMBSTONE_LEN);
}

static void part_size__changed_starts_the_upload_anew(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    /* As a store that takes less than it did. */
    ((struct persist_backend_limits *)(uintptr_t)backend_store_limits(
         r->store->backend))
        ->part_max = 32768;
    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
}

/* ---------------------------------------------------- whose is the index?
 */

static void claim__too_old_is_not_taken_up(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    rig_pass_days(r, 6);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 1, LEN, 1);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN); /* cleanup's */
}

static void claim__of_some_days_is_renewed_first(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    rig_pass_days(r, 4);
    uint64_t puts = r->memory->count(r->id, "put");
    assert_ok(save(r, &err), &err);
    assert_int_equal(r->memory->count(r->id, "put") - puts, 1);
    expect_saved(r, 0, LEN, 1);
}

static void claim__gone_or_another_s_starts_anew(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    char key[KEY_CAP];

    stop_at_part(r, 4);
    rig_key(0, KEY_SNAP, key);
    assert_int_equal(r->memory->remove(r->id, key), 0);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 1, LEN, 1);

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 3,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save(r, &err), PERSIST_E_IO, &err);
    rig_no_faults(r);
    rig_put_claim(r, 2);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 3, LEN, 1);

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 3,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(save(r, &err), PERSIST_E_IO, &err);
    rig_no_faults(r);
    rig_put_tombstone(r, 4);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 5, LEN, 1);
}

/* Others have gone on above it meanwhile: the claim is still its own. */
static void index__taken_above_does_not_matter(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    uint8_t *data = rig_noise(LEN, 1);

    stop_at_part(r, 4);
    rig_save(r, "meanwhile", 1);
    assert_ok(save(r, &err), &err);
    rig_expect(r, "a@0", data, LEN);
    rig_expect(r, "a", "meanwhile", 9);
    assert_int_equal(n_files(), 0);
    free(data);
}

static void upload__gone_is_begun_again(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .status = PERSIST_BACKEND_NOT_FOUND});
    assert_ok(save(r, &err), &err);
    assert_int_equal(r->memory->count(r->id, "upload_begin"), 2);
    expect_saved(r, 0, LEN, 1);
}

/* ---------------------------------------------------------- around the commit
 */

static void commit__that_worked_unheard_is_found(void **state)
{
    struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_metadata *m = NULL;
    struct persist_error err;

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .phase = MEMORY_AFTER,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(save(r, &err), PERSIST_E_UNCERTAIN, &err);
    rig_no_faults(r);
    assert_int_equal(n_files(), 1);
    uint64_t parts = n_parts(r);

    assert_ok(save_with(r, &o, &m, &err), &err);

    assert_int_equal(m->snapshot_index, 0);
    assert_int_equal(m->uncompressed_size, LEN);
    assert_int_equal(n_parts(r), parts);
    expect_saved(r, 0, LEN, 1);
    persist_metadata_free(m);
}

static void commit__that_worked_stays_when_the_source_changed(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    uint8_t *data = rig_noise(LEN, 1);

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .phase = MEMORY_AFTER,
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(save(r, &err), PERSIST_E_UNCERTAIN, &err);
    rig_no_faults(r);
    write_noise(LEN, 4, 2000);
    assert_ok(save(r, &err), &err);
    rig_expect(r, "a@0", data, LEN);
    expect_saved(r, 1, LEN, 4);
    free(data);
}

static void commit__in_doubt_never_brings_the_old_bytes(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(save(r, &err), PERSIST_E_UNCERTAIN, &err);
    rig_no_faults(r);
    write_noise(LEN, 5, 2000);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 1, LEN, 5);
    assert_int_equal(rig_size(r, 0, KEY_SNAP), TOMBSTONE_LEN);
}

static void commit__in_doubt_is_sent_again(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    rig_fault(r, (struct rig_fault){.op = "upload_commit",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_UNCERTAIN});
    rig_fault(r, (struct rig_fault){.op = "read",
                                    .times = UINT32_MAX,
                                    .status = PERSIST_BACKEND_DENIED});
    assert_status(save(r, &err), PERSIST_E_UNCERTAIN, &err);
    rig_no_faults(r);
    uint64_t parts = n_parts(r);
    assert_ok(save(r, &err), &err);
    assert_int_equal(n_parts(r) - parts, 1); /* the last, always */
    expect_saved(r, 0, LEN, 1);
}

/* --------------------------------------------------------------- the file
 */

static void flip_file_byte(size_t at)
{
    char command[300];

    snprintf(command, sizeof command,
             "for f in '%s'/resume/*; do printf X | dd of=\"$f\" bs=1 seek=%zu "
             "conv=notrunc 2>/dev/null; done",
             state_dir, at);
    assert_int_equal(system(command), 0);
}

static void file__damaged_is_passed_over_with_a_warning(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    stop_at_part(r, 4);
    flip_file_byte(100);
    assert_ok(save(r, &err), &err);
    assert_contains(r->log.data, "a file for resuming is passed over");
    uint8_t *data = rig_noise(LEN, 1);
    rig_expect(r, "a@1", data, LEN);
    free(data);
    assert_int_equal(n_files(), 0);
    /* The claim and the upload are cleanup's. */
    assert_int_equal(r->memory->n_uploads(r->id), 1);
}

static void file__of_another_save_is_not_trusted(void **state)
{
    struct rig *r = *state;
    struct persist_error err = {0};

    stop_at_part(r, 4);
    /* The same file name, as if two saves hashed alike. */
    run("cd '%s'/resume && for f in *; do mv $f kept; done%s", state_dir, "");
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 2,
                                    .status = PERSIST_BACKEND_IO});
    const struct persist_save_options o = options();
    assert_status(persist_save_file(r->store, "b", file, &o, NULL, &err),
                  PERSIST_E_IO, &err);
    rig_no_faults(r);
    run("cd '%s'/resume && for f in *; do [ $f = kept ] || mv kept $f; done%s",
        state_dir, "");
    memset(&err, 0, sizeof err);
    assert_ok(persist_save_file(r->store, "b", file, &o, NULL, &err), &err);
    assert_contains(r->log.data, "of another version or another save");
    assert_int_equal(rig_size(r, 0, KEY_SNAP), CLAIM_LEN); /* a's */
}

static void file__that_cannot_be_written_is_no_failure(void **state)
{
    struct rig *r = *state;
    struct persist_error err;

    free(r->p->state_dir);
    r->p->state_dir = strdup("/dev/null/x");
    assert_status(save(r, &err), PERSIST_E_IO, &err); /* not even a lock */
    free(r->p->state_dir);
    r->p->state_dir = NULL;
    assert_status(save(r, &err), PERSIST_E_UNSUPPORTED, &err);
    assert_contains(err.hint, "XDG_STATE_HOME");
}

static struct rlimit no_limit;

/* From the last part on nothing can be written, but removed. */
static void fill_disk(void *ctx)
{
    const struct rlimit none = {.rlim_cur = 0, .rlim_max = no_limit.rlim_max};

    (void)ctx;
    assert_int_equal(n_files(), 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void expect_no_file(void *ctx)
{
    (void)ctx;
    assert_int_equal(n_files(), 0);
}

/* A file that does not know of the commit would let a later save bring the
 * source of another day under the same name. */
static void file__that_cannot_tell_of_the_commit_goes(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    uint32_t last;

    assert_ok(save(r, &err), &err);
    last = (uint32_t)n_parts(r);
    write_noise(LEN, 6, 2000);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &no_limit), 0);
    signal(SIGXFSZ, SIG_IGN);
    rig_one_by_one(r);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = last,
                                    .phase = MEMORY_AFTER,
                                    .then = fill_disk});
    rig_fault(
        r, (struct rig_fault){.op = "upload_commit", .then = expect_no_file});
    assert_ok(save(r, &err), &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &no_limit), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(r->memory->count(r->id, "upload_commit"), 2);
    expect_saved(r, 1, LEN, 6);
}

static void lock__lets_one_process_at_a_time(void **state)
{
    struct rig *r = *state;
    struct persist_error err;
    char name[64] = "";
    DIR *d;
    int fd;

    stop_at_part(r, 4);
    char path[160];
    snprintf(path, sizeof path, "%s/resume", state_dir);
    d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.')
            snprintf(name, sizeof name, "resume/%.40s", e->d_name);
    closedir(d);
    assert_int_equal(state_lock(state_dir, name, &fd, NULL), 0);
    assert_status(save(r, &err), PERSIST_E_TRANSIENT, &err);
    state_unlock(state_dir, name, fd);
    assert_ok(save(r, &err), &err);
    expect_saved(r, 0, LEN, 1);
}

/* ------------------------------------------------------------- not for all
 */

static void pipe__cannot_be_resumed(void **state)
{
    const struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_error err = {0};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    close(fds[1]);
    assert_status(persist_save_fd(r->store, "a", fds[0], &o, NULL, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "cannot be read again");
    assert_status(persist_save_buffer(r->store, "a", "x", 1, &o, NULL, &err),
                  PERSIST_E_INVALID, &err);
    close(fds[0]);
    assert_int_equal(rig_objects(r), 0);
}

static void store__that_cannot_resume_starts_anew(void **state)
{
    static const char *const plain[] = {"put_max", "64K", "part_max", "64K",
                                        NULL};
    const struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_store *store = rig_again(r, "plain", plain);
    struct persist_error err = {0};

    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 3,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(persist_save_file(store, "a", file, &o, NULL, &err),
                  PERSIST_E_IO, &err);
    assert_int_equal(r->memory->n_uploads(r->id), 0);
    assert_int_equal(n_files(), 0);
    assert_ok(persist_save_file(store, "a", file, &o, NULL, &err), &err);
    persist_close(store);
}

static void descriptor__of_a_file_is_resumed_too(void **state)
{
    const struct persist_save_options o = options();
    struct rig *r = *state;
    struct persist_error err = {0};
    int fd = open(file, O_RDONLY);

    assert_true(fd >= 0);
    rig_fault(r, (struct rig_fault){.op = "upload_part",
                                    .at = 4,
                                    .status = PERSIST_BACKEND_IO});
    assert_status(persist_save_fd(r->store, "a", fd, &o, NULL, &err),
                  PERSIST_E_IO, &err);
    rig_no_faults(r);
    uint64_t before = n_parts(r);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_ok(persist_save_fd(r->store, "a", fd, &o, NULL, &err), &err);
    assert_int_equal(n_parts(r) - before, 2);
    close(fd);
    expect_saved(r, 0, LEN, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(resume__sends_only_what_is_missing),
        T(resume__finds_no_file_after_success),
        T(file__is_private_and_holds_no_secret_path),
        T(cancel__leaves_everything_for_later),
        T(without_the_flag__nothing_is_left),
        T(kill__before_or_after_any_request_is_taken_up),
        T(fault__anywhere_then_again_ends_well),
        T(kill__and_never_resumed_is_cleaned_up),
        T(cleanup__leaves_what_may_be_resumed),
        T(cleanup__takes_what_nobody_resumes),
        T(cleanup__is_not_misled_by_a_clock_ahead),
        T(cleanup__is_not_misled_by_a_clock_that_was_behind),
        T(cleanup__takes_what_a_clock_ahead_has_left),
        T(cleanup__leaves_uploads_whose_claim_cannot_be_seen),
        T(cleanup__finds_uploads_that_no_listing_shows),
        T(cleanup__leaves_files_of_other_stores_and_scopes),
        T(cleanup__keeps_the_file_where_the_abort_fails),
        T(source__changed_is_sent_anew_under_the_same_index),
        T(source__touched_is_sent_anew),
        T(source__changed_behind_its_time_is_noticed),
        T(source__that_shrank_starts_anew),
        T(options__changed_start_anew),
        T(part_size__changed_starts_the_upload_anew),
        T(claim__too_old_is_not_taken_up),
        T(claim__of_some_days_is_renewed_first),
        T(claim__gone_or_another_s_starts_anew),
        T(index__taken_above_does_not_matter),
        T(upload__gone_is_begun_again),
        T(commit__that_worked_unheard_is_found),
        T(commit__that_worked_stays_when_the_source_changed),
        T(commit__in_doubt_never_brings_the_old_bytes),
        T(commit__in_doubt_is_sent_again),
        T(file__damaged_is_passed_over_with_a_warning),
        T(file__of_another_save_is_not_trusted),
        T(file__that_cannot_be_written_is_no_failure),
        T(file__that_cannot_tell_of_the_commit_goes),
        T(lock__lets_one_process_at_a_time),
        T(pipe__cannot_be_resumed),
        T(store__that_cannot_resume_starts_anew),
        T(descriptor__of_a_file_is_resumed_too),
    };

    return cmocka_run_group_tests_name("save_resume", tests, NULL, NULL);
}
