/* SPDX-License-Identifier: Apache-2.0 */
/* Reading ahead: the same bytes in order however they are cut and carried. */
#include "transfer/readahead.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transfer/transfer_test_kit.h"

enum { OBJECT = 300000, PIECE = 7001 };

static uint8_t *bytes;

static int make_bytes(void **state)
{
    (void)state;
    bytes = noise(OBJECT);
    return 0;
}

static int free_bytes(void **state)
{
    (void)state;
    free(bytes);
    return 0;
}

/* Pieces end at multiples of PIECE: what is asked for never goes over one. */
static uint64_t cut_at_piece(void *ctx, uint64_t from, uint64_t most)
{
    (void)ctx;
    if (most == OBJECT)
        return most;
    return most / PIECE * PIECE > from ? most / PIECE * PIECE : from;
}

static void open_object(struct rig *r, struct object *o)
{
    const struct download_request request = {
        .store = r->store, .op = &r->op, .key = "k"};
    struct persist_error err = {0};
    uint8_t tail[16];
    size_t len;

    r->memory->set("default", "k", bytes, OBJECT);
    assert_ok(object_init(o, &request, &err), &err);
    assert_ok(object_read_tail(o, tail, sizeof(tail), &len, &err), &err);
}

/* Pieces that were got and are not released. */
struct held {
    const uint8_t *at[4];
    uint64_t pos[4];
    size_t len[4];
    unsigned n;
};

/* They have stayed until now. */
static void release_oldest(struct readahead *r, struct held *h)
{
    assert_true(h->n > 0);
    assert_memory_equal(h->at[0], bytes + h->pos[0], h->len[0]);
    readahead_release(r, h->pos[0] + h->len[0]);
    h->n--;
    memmove(h->at, h->at + 1, sizeof(h->at) - sizeof(h->at[0]));
    memmove(h->pos, h->pos + 1, sizeof(h->pos) - sizeof(h->pos[0]));
    memmove(h->len, h->len + 1, sizeof(h->len) - sizeof(h->len[0]));
}

/* Reads [start, end) in pieces, each released `behind` pieces later. */
static void read_all(struct readahead *r, uint64_t start, uint64_t end,
                     unsigned behind)
{
    struct persist_error err = {0};
    struct held held = {.n = 0};
    const uint8_t *out = NULL;

    for (uint64_t pos = start; pos < end;) {
        size_t n = (size_t)(PIECE - pos % PIECE);
        int rc;

        if (n > end - pos)
            n = (size_t)(end - pos);
        rc = readahead_get(r, pos, n, &out, &err);
        if (rc == READAHEAD_NOT_NOW) {
            release_oldest(r, &held);
            continue;
        }
        assert_ok(rc, &err);
        assert_memory_equal(out, bytes + pos, n);
        held.at[held.n] = out;
        held.pos[held.n] = pos;
        held.len[held.n++] = n;
        pos += n;
        if (held.n > behind)
            release_oldest(r, &held);
    }
}

static void get__gives_the_bytes_in_order(void **state)
{
    static const size_t units[] = {PIECE, PIECE + 1, 20000, OBJECT};
    struct persist_error err = {0};
    struct object object;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    rig_threads(&r);
    open_object(&r, &object);
    for (unsigned i = 0; i < 4 * 4 * 2 * 2; i++) {
        unsigned n = 1 + i % 4;
        struct readahead_what what = {
            .object = &object,
            .io = i & 16 ? r.io : NULL,
            .start = 10,
            .end = OBJECT,
            .unit = units[i / 4 % 4],
            .longest = PIECE,
            .n = n,
            .cut = i & 32 ? cut_at_piece : NULL,
        };
        struct readahead *ahead = NULL;

        assert_ok(readahead_create(&what, &ahead, &err), &err);
        /* With one buffer everything before a call is done with. */
        read_all(ahead, 10, OBJECT, n == 1 ? 0 : i % 3);
        readahead_destroy(ahead);
    }
    object_finish(&object);
    rig_close(&r);
}

/* ------------------------------------------------------- few, then as many */

/* Reads of the store; none ends before so many have begun `together`. */
struct reads {
    atomic_uint begun;
    atomic_uint over;
    unsigned together;
};

static void wait_until(const atomic_uint *n, unsigned least)
{
    for (int i = 0; atomic_load(n) < least; i++) {
        assert_true(i < 60000);
        usleep(1000);
    }
}

static int32_t count_reads(void *ctx, const struct memory_event *event)
{
    struct reads *reads = ctx;

    if (strcmp(event->op, "read") != 0)
        return 0;
    if (event->phase == MEMORY_AFTER) {
        atomic_fetch_add(&reads->over, 1);
        return 0;
    }
    atomic_fetch_add(&reads->begun, 1);
    for (int i = 0; i < 60000 && atomic_load(&reads->begun) < reads->together;
         i++)
        usleep(1000);
    return 0;
}

enum { UNIT = 10000, FEW = 3, MANY = 6 };

struct few {
    struct rig r;
    struct object object;
    struct reads reads;
    struct readahead *ahead;
};

static void begin_few(struct few *f, unsigned together)
{
    struct persist_error err = {0};

    f->reads = (struct reads){.together = together};
    f->ahead = NULL;
    rig_open(&f->r, 64 << 20, NULL, 0);
    rig_threads(&f->r);
    open_object(&f->r, &f->object);
    const struct readahead_what what = {.object = &f->object,
                                        .io = f->r.io,
                                        .end = OBJECT,
                                        .unit = UNIT,
                                        .longest = UNIT,
                                        .n = MANY,
                                        .few = FEW,
                                        .first = malloc(UNIT),
                                        .first_len = UNIT};
    assert_non_null(what.first);
    memcpy(what.first, bytes, UNIT);
    f->r.memory->set_hook("default", count_reads, &f->reads);
    assert_ok(readahead_create(&what, &f->ahead, &err), &err);
}

static void end_few(struct few *f)
{
    readahead_destroy(f->ahead);
    object_finish(&f->object);
    rig_close(&f->r);
}

static void expect_unit(struct few *f, unsigned i)
{
    struct persist_error err = {0};
    const uint8_t *out = NULL;

    assert_ok(readahead_get(f->ahead, i * UNIT, UNIT, &out, &err), &err);
    assert_memory_equal(out, bytes + i * UNIT, UNIT);
    readahead_release(f->ahead, (i + 1) * UNIT);
}

static void get__reads_few_while_nobody_waits(void **state)
{
    struct few f;

    (void)state;
    begin_few(&f, 0);
    for (unsigned i = 0; i < OBJECT / UNIT; i++) {
        wait_until(&f.reads.over, i); /* the first unit was there */
        expect_unit(&f, i);
        assert_true(atomic_load(&f.reads.begun) <= i + FEW);
    }
    end_few(&f);
}

#ifdef PERSIST_ASYNC
/* No read ends before all of them have begun. */
static void get__reads_more_where_somebody_waits(void **state)
{
    struct few f;

    (void)state;
    begin_few(&f, MANY - 1); /* one is there */
    expect_unit(&f, 0);
    wait_until(&f.reads.begun, FEW - 1); /* by others: it is waited for */
    for (unsigned i = 1; i < OBJECT / UNIT; i++)
        expect_unit(&f, i);
    assert_int_equal(atomic_load(&f.reads.begun), OBJECT / UNIT - 1);
    end_few(&f);
}
#endif

static void create__takes_over_what_is_there(void **state)
{
    struct persist_error err = {0};
    struct readahead *ahead = NULL;
    struct object object;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    rig_threads(&r);
    open_object(&r, &object);
    struct readahead_what what = {.object = &object,
                                  .io = r.io,
                                  .start = 100,
                                  .end = 200000,
                                  .unit = 20000,
                                  .longest = PIECE,
                                  .n = 2,
                                  .first = malloc(30000),
                                  .first_len = 30000,
                                  .first_offset = 50};
    memcpy(what.first, bytes + 50, 30000);
    uint64_t before = r.memory->count("default", "read");
    assert_ok(readahead_create(&what, &ahead, &err), &err);
    read_all(ahead, 100, 200000, 1);
    readahead_destroy(ahead);

    /* (200000 - 30050) / 20000, rounded up */
    assert_int_equal(r.memory->count("default", "read") - before, 9);
    object_finish(&object);
    rig_close(&r);
}

static void get__reports_the_failing_read_in_its_turn(void **state)
{
    static const char *const third[] = {"fail_op=read", "fail_at=4",
                                        "fail_times=0", "fail_status=denied"};
    struct persist_error err = {0};
    struct readahead *ahead = NULL;
    const uint8_t *out;
    struct object object;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, third, 4);
    open_object(&r, &object);
    struct readahead_what what = {.object = &object,
                                  .end = OBJECT,
                                  .unit = 10000,
                                  .longest = 10000,
                                  .n = 3};
    assert_ok(readahead_create(&what, &ahead, &err), &err);
    assert_ok(readahead_get(ahead, 0, 10000, &out, &err), &err);
    assert_memory_equal(out, bytes, 10000);
    readahead_release(ahead, 10000);
    assert_ok(readahead_get(ahead, 10000, 10000, &out, &err), &err);
    readahead_release(ahead, 20000);
    assert_int_equal(readahead_get(ahead, 20000, 10000, &out, &err),
                     PERSIST_E_DENIED);
    readahead_destroy(ahead);
    object_finish(&object);
    rig_close(&r);
}

/* Reads under way when nobody wants them any more. */
static void destroy__ends_what_runs(void **state)
{
    struct persist_error err = {0};
    const uint8_t *out;
    struct object object;
    struct rig r;

    (void)state;
    rig_open(&r, 64 << 20, NULL, 0);
    rig_threads(&r);
    open_object(&r, &object);
    for (int turn = 0; turn < 100; turn++) {
        struct readahead_what what = {.object = &object,
                                      .io = r.io,
                                      .end = OBJECT,
                                      .unit = 30000,
                                      .longest = 10000,
                                      .n = 5};
        struct readahead *ahead = NULL;

        assert_ok(readahead_create(&what, &ahead, &err), &err);
        if (turn % 2)
            assert_ok(readahead_get(ahead, 0, 10, &out, &err), &err);
        readahead_destroy(ahead);
    }
    readahead_destroy(NULL);
    object_finish(&object);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get__gives_the_bytes_in_order),
        cmocka_unit_test(get__reads_few_while_nobody_waits),
#ifdef PERSIST_ASYNC
        cmocka_unit_test(get__reads_more_where_somebody_waits),
#endif
        cmocka_unit_test(create__takes_over_what_is_there),
        cmocka_unit_test(get__reports_the_failing_read_in_its_turn),
        cmocka_unit_test(destroy__ends_what_runs),
    };

    return cmocka_run_group_tests(tests, make_bytes, free_bytes);
}
