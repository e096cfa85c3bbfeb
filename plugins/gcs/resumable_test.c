/* SPDX-License-Identifier: Apache-2.0 */
/* The protocol's table, answer by answer; and a service that is a function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gcs/gcs.h"
#include "gcs/resumable.h"

#define K UINT64_C(1024)
static const struct resumable_errand part = {.start = 512 * K, .end = 1024 * K};
static const struct resumable_errand last = {
    .start = 1024 * K, .end = 1024 * K + 10, .final = true};

/* A session of which so many bytes are known to be held, about to be sent
 * more. */
static struct resumable holding(uint64_t held, const struct resumable_errand *e)
{
    struct resumable r = {.held = held, .known = true};

    assert_int_equal(resumable_begin(&r, e), RESUMABLE_SEND);
    return r;
}

static void expect_range(const struct resumable *r,
                         const struct resumable_errand *e, const char *want)
{
    char text[RESUMABLE_RANGE_MAX];

    resumable_content_range(r, e, text);
    assert_string_equal(text, want);
}

static void begin__asks_where_nothing_is_known(void **state)
{
    struct resumable r = {0};

    (void)state;
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_ASK);
    expect_range(&r, &part, "bytes */*");
    assert_int_equal(resumable_answer(&r, &part, 308, "bytes=0-524287"),
                     RESUMABLE_SEND);
    expect_range(&r, &part, "bytes 524288-1048575/*");
}

static void begin__sends_only_what_is_missing(void **state)
{
    struct resumable r = {.held = 700 * K, .known = true};

    (void)state;
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_SEND);
    expect_range(&r, &part, "bytes 716800-1048575/*");
    r.held = 1024 * K;
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_HELD);
    r.held = 4096 * K; /* an earlier process got further */
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_HELD);
    r.held = 512 * K - 1;
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_LOST);
}

static void answer__to_data(void **state)
{
    static const struct {
        const char *range;
        enum resumable_step want;
    } rows[] = {
        {"bytes=0-1048575", RESUMABLE_HELD},
        {"bytes=0-524288", RESUMABLE_SEND},    /* one byte more */
        {"bytes=0-786431", RESUMABLE_SEND},    /* half of it */
        {"bytes=0-524287", RESUMABLE_STALLED}, /* nothing new */
        {"bytes=0-524286", RESUMABLE_LOST},    /* less than before */
        {"bytes=0-0", RESUMABLE_LOST},
        {"bytes=0-1048576", RESUMABLE_EXCESS},
        {"bytes=0-999999999999999999", RESUMABLE_EXCESS},
        {"bytes=0-9999999999999999999", RESUMABLE_GARBLED},
        {"bytes=1-1048575", RESUMABLE_GARBLED},
        {"bytes=0-", RESUMABLE_GARBLED},
        {"bytes 0-1048575", RESUMABLE_GARBLED},
        {"bytes=0-1048575/*", RESUMABLE_GARBLED},
        {"0-1048575", RESUMABLE_GARBLED},
        {"", RESUMABLE_GARBLED},
        {NULL, RESUMABLE_ASK},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resumable r = holding(512 * K, &part);
        enum resumable_step got =
            resumable_answer(&r, &part, 308, rows[i].range);
        if (got != rows[i].want)
            fail_msg("308 with %s: %d", rows[i].range ? rows[i].range : "none",
                     got);
        /* What was not understood is not remembered. */
        if (got == RESUMABLE_EXCESS || got == RESUMABLE_GARBLED)
            assert_false(r.known);
    }
}

static void answer__question_after_silent_308(void **state)
{
    struct resumable r = holding(512 * K, &part);

    (void)state;
    assert_int_equal(resumable_answer(&r, &part, 308, NULL), RESUMABLE_ASK);
    assert_int_equal(resumable_answer(&r, &part, 308, "bytes=0-524287"),
                     RESUMABLE_STALLED);

    r = holding(512 * K, &part);
    assert_int_equal(resumable_answer(&r, &part, 308, NULL), RESUMABLE_ASK);
    assert_int_equal(resumable_answer(&r, &part, 308, "bytes=0-1048575"),
                     RESUMABLE_HELD);

    r = holding(512 * K, &part);
    assert_int_equal(resumable_answer(&r, &part, 308, NULL), RESUMABLE_ASK);
    assert_int_equal(resumable_answer(&r, &part, 308, NULL), RESUMABLE_LOST);
}

static void answer__other_statuses(void **state)
{
    static const struct {
        int32_t status;
        enum resumable_step want;
    } rows[] = {{200, RESUMABLE_OBJECT},  {201, RESUMABLE_OBJECT},
                {404, RESUMABLE_GONE},    {410, RESUMABLE_GONE},
                {499, RESUMABLE_GONE},    {400, RESUMABLE_REFUSED},
                {403, RESUMABLE_REFUSED}, {408, RESUMABLE_REFUSED},
                {412, RESUMABLE_REFUSED}, {429, RESUMABLE_REFUSED},
                {500, RESUMABLE_REFUSED}, {503, RESUMABLE_REFUSED},
                {307, RESUMABLE_REFUSED}, {204, RESUMABLE_REFUSED}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resumable r = holding(512 * K, &part);

        assert_int_equal(
            resumable_answer(&r, &part, rows[i].status, "bytes=0-1048575"),
            rows[i].want);
        assert_int_equal(resumable_begin(&r, &part), RESUMABLE_ASK);
    }
}

static void final__ranges(void **state)
{
    static const struct resumable_errand empty = {.final = true};
    struct resumable r = holding(1024 * K, &last);

    (void)state;
    expect_range(&r, &last, "bytes 1048576-1048585/1048586");
    assert_int_equal(resumable_answer(&r, &last, 308, "bytes=0-1048579"),
                     RESUMABLE_SEND);
    expect_range(&r, &last, "bytes 1048580-1048585/1048586");
    /* All of it, and no object: to be asked for by the total alone. */
    assert_int_equal(resumable_answer(&r, &last, 308, "bytes=0-1048585"),
                     RESUMABLE_SEND);
    expect_range(&r, &last, "bytes */1048586");
    assert_int_equal(resumable_answer(&r, &last, 308, "bytes=0-1048585"),
                     RESUMABLE_STALLED);

    r = holding(0, &empty);
    expect_range(&r, &empty, "bytes */0");
    assert_int_equal(resumable_answer(&r, &empty, 200, NULL), RESUMABLE_OBJECT);
}

static void final__more_than_the_object(void **state)
{
    struct resumable r = {0};

    (void)state;
    assert_int_equal(resumable_begin(&r, &last), RESUMABLE_ASK);
    assert_int_equal(resumable_answer(&r, &last, 308, "bytes=0-1048586"),
                     RESUMABLE_EXCESS);
}

static void no_answer__is_followed_by_a_question(void **state)
{
    struct resumable r = holding(512 * K, &part);

    (void)state;
    resumable_no_answer(&r);
    assert_int_equal(resumable_begin(&r, &part), RESUMABLE_ASK);
}

static void tail__is_the_last_quarter_mebibyte_or_less(void **state)
{
    (void)state;
    assert_int_equal(resumable_tail_start(0), 0);
    for (uint64_t size = 1; size < 3 * GCS_CHUNK_ALIGN; size += 1021) {
        uint64_t at = resumable_tail_start(size);

        assert_int_equal(at % GCS_CHUNK_ALIGN, 0);
        assert_true(size > at && size - at <= GCS_CHUNK_ALIGN);
    }
    assert_int_equal(resumable_tail_start(GCS_CHUNK_ALIGN), 0);
    assert_int_equal(resumable_tail_start(GCS_CHUNK_ALIGN + 1),
                     GCS_CHUNK_ALIGN);
}

/* ------------------------------------------- against a service that is odd */

/* One errand after another, the service keeping, losing answers and being
 * silent at random.  Whatever it does short of lying, the object is made of
 * every byte once, in order. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return *seed >> 33;
}

struct service {
    uint64_t held;
    uint64_t seed;
    bool finished;
};

/* status and range of an answer to the step; 0: none. */
static int32_t serve(struct service *s, const struct resumable *r,
                     const struct resumable_errand *e, enum resumable_step step,
                     char *range, const char **out_range)
{
    uint64_t luck = next_random(&s->seed) % 8;

    if (step == RESUMABLE_SEND) {
        assert_int_equal(r->held, s->held); /* no byte twice, none left out */
        s->held += luck < 2 ? next_random(&s->seed) % (e->end - r->held + 1)
                            : e->end - r->held;
    }
    s->finished = s->finished || (step == RESUMABLE_SEND && e->final &&
                                  s->held == e->end && luck != 2);
    if (luck == 3)
        return 0;
    if (luck == 4)
        return 503;
    if (s->finished)
        return 200;
    (void)snprintf(range, 40, "bytes=0-%llu", (unsigned long long)s->held - 1);
    *out_range =
        s->held == 0 || (luck == 5 && step == RESUMABLE_SEND) ? NULL : range;
    return 308;
}

static enum resumable_step run_errand(struct service *s, struct resumable *r,
                                      const struct resumable_errand *e)
{
    for (unsigned attempt = 0; attempt < 1000; attempt++) {
        enum resumable_step step = resumable_begin(r, e);

        while (step == RESUMABLE_ASK || step == RESUMABLE_SEND) {
            const char *at = NULL;
            char range[40];
            int32_t status = serve(s, r, e, step, range, &at);

            if (status == 0) {
                resumable_no_answer(r);
                step = RESUMABLE_REFUSED;
            } else {
                step = resumable_answer(r, e, status, at);
            }
        }
        if (step != RESUMABLE_REFUSED && step != RESUMABLE_STALLED)
            return step;
    }
    fail_msg("the errand never ends");
    return RESUMABLE_REFUSED;
}

static void a_moody_service_gets_every_byte_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct service s = {.seed = seed};
        struct resumable r = {.known = true};
        struct resumable_errand e = {0};

        for (int i = 0; i < 4; i++) {
            e = (struct resumable_errand){.start = e.end,
                                          .end = e.end + GCS_CHUNK_ALIGN};
            assert_int_equal(run_errand(&s, &r, &e), RESUMABLE_HELD);
            assert_int_equal(s.held, e.end);
        }
        e = (struct resumable_errand){
            .start = e.end, .end = e.end + 77, .final = true};
        assert_int_equal(run_errand(&s, &r, &e), RESUMABLE_OBJECT);
        assert_int_equal(s.held, 4 * GCS_CHUNK_ALIGN + 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin__asks_where_nothing_is_known),
        cmocka_unit_test(begin__sends_only_what_is_missing),
        cmocka_unit_test(answer__to_data),
        cmocka_unit_test(answer__question_after_silent_308),
        cmocka_unit_test(answer__other_statuses),
        cmocka_unit_test(final__ranges),
        cmocka_unit_test(final__more_than_the_object),
        cmocka_unit_test(no_answer__is_followed_by_a_question),
        cmocka_unit_test(tail__is_the_last_quarter_mebibyte_or_less),
        cmocka_unit_test(a_moody_service_gets_every_byte_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
