/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the model test cannot see: how a machine ends, and after how many
 * requests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/owner.h"
#include "format/metadata.h"

#define DAY (24 * OWNER_HOUR_NS)
#define DAY_US (INT64_C(86400) * 1000000)

static struct owner_save saver(bool is_long)
{
    const struct owner_save_what what = {.is_long = is_long,
                                         .rules = OWNER_RULES_ALL};
    struct owner_save m;

    owner_save_init(&m, &what);
    owner_save_remember(&m, 3, DAY);
    return m;
}

static enum owner_verb ask(struct owner_save *m, uint64_t now_ns)
{
    struct owner_request r = {0, 0};

    return owner_save_next(m, now_ns, &r) ? r.verb : 0;
}

static void answer(struct owner_save *m, enum owner_reply reply)
{
    const struct owner_answer a = {.reply = reply};

    owner_save_feed(m, &a);
}

static void answer_found(struct owner_save *m, enum owner_found found)
{
    const struct owner_answer a = {.reply = OWNER_OK, .found = found};

    owner_save_feed(m, &a);
}

static void put__is_repeated_then_made_impossible(void **state)
{
    struct owner_save m = saver(false);
    int i;

    (void)state;
    for (i = 0; i <= OWNER_REPEATS; i++) {
        assert_int_equal(ask(&m, DAY), OWNER_PUT_SNAPSHOT);
        answer(&m, OWNER_UNCERTAIN);
    }
    assert_int_equal(ask(&m, DAY), OWNER_READ_SNAP);
    answer_found(&m, OWNER_NOTHING);
    assert_int_equal(ask(&m, DAY), OWNER_PUT_BLOCK);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, DAY), 0);
    assert_int_equal(m.result, OWNER_REFUSED);
    assert_int_equal(m.index, 3);
}

/* To the block; then what it answers, and what a look says. */
static struct owner_save in_doubt(bool doubt)
{
    const struct owner_answer a = {
        .reply = OWNER_FAILED, .maybe = true, .doubt = doubt};
    struct owner_save m = saver(false);

    assert_int_equal(ask(&m, DAY), OWNER_PUT_SNAPSHOT);
    owner_save_feed(&m, &a);
    assert_int_equal(ask(&m, DAY), OWNER_READ_SNAP);
    return m;
}

static void put__refused_weakly_is_looked_at(void **state)
{
    struct owner_save m = in_doubt(false);

    (void)state;
    answer_found(&m, OWNER_NOTHING);
    assert_int_equal(m.result, OWNER_REFUSED);
    m = in_doubt(false);
    answer(&m, OWNER_FAILED);
    assert_int_equal(m.result, OWNER_REFUSED);
    m = in_doubt(false);
    answer_found(&m, OWNER_OTHERS);
    assert_int_equal(m.result, OWNER_REFUSED);
    m = in_doubt(false);
    answer_found(&m, OWNER_OURS);
    assert_int_equal(m.result, OWNER_SAVED);
}

static void put__in_doubt_is_blocked(void **state)
{
    static const struct {
        enum owner_reply block;
        enum owner_found found; /* 0: not asked */
        enum owner_result result;
    } rows[] = {
        {OWNER_OK, 0, OWNER_REFUSED},
        {OWNER_NOT_DURABLE, 0, OWNER_REFUSED},
        {OWNER_FAILED, 0, OWNER_UNRESOLVED},
        {OWNER_EXISTS, OWNER_OURS, OWNER_SAVED},     /* it came after all */
        {OWNER_EXISTS, OWNER_OTHERS, OWNER_REFUSED}, /* the block, or another */
        {OWNER_UNCERTAIN, OWNER_OTHERS, OWNER_REFUSED},
    };
    size_t i;

    (void)state;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct owner_save m = in_doubt(true);

        answer_found(&m, OWNER_NOTHING);
        assert_int_equal(ask(&m, DAY), OWNER_PUT_BLOCK);
        answer(&m, rows[i].block);
        if (rows[i].found) {
            assert_int_equal(ask(&m, DAY), OWNER_READ_SNAP);
            answer_found(&m, rows[i].found);
        }
        assert_int_equal(m.result, rows[i].result);
    }
}

static void put__that_cannot_be_settled_is_unresolved(void **state)
{
    struct owner_save m = in_doubt(true);
    int i;

    (void)state;
    answer(&m, OWNER_FAILED); /* of the look */
    assert_int_equal(m.result, OWNER_UNRESOLVED);
    m = in_doubt(true);
    for (i = 0; i <= OWNER_REPEATS; i++) {
        answer_found(&m, OWNER_NOTHING);
        assert_int_equal(ask(&m, DAY), OWNER_PUT_BLOCK);
        answer(&m, OWNER_UNCERTAIN);
        if (m.result)
            break;
        assert_int_equal(ask(&m, DAY), OWNER_READ_SNAP);
    }
    assert_int_equal(i, OWNER_REPEATS);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
    /* A block is a put like any other: not on knowledge of yesterday. */
    m = in_doubt(true);
    answer_found(&m, OWNER_NOTHING);
    assert_int_equal(ask(&m, 3 * DAY), 0);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

static void put__that_exists_and_cannot_be_read_is_unresolved(void **state)
{
    struct owner_save m = saver(false);

    (void)state;
    ask(&m, DAY);
    answer(&m, OWNER_UNCERTAIN);
    ask(&m, DAY);
    answer(&m, OWNER_EXISTS);
    assert_int_equal(ask(&m, DAY), OWNER_READ_SNAP);
    answer(&m, OWNER_FAILED);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

static void list__is_not_believed_over_a_key_that_exists(void **state)
{
    const struct owner_answer empty = {.reply = OWNER_OK};
    struct owner_save m = saver(false);
    struct owner_request r;

    (void)state;
    ask(&m, DAY);
    answer(&m, OWNER_EXISTS);
    assert_int_equal(ask(&m, DAY), OWNER_LIST);
    owner_save_feed(&m, &empty);
    assert_true(owner_save_next(&m, 0, &r));
    assert_int_equal(r.verb, OWNER_PUT_SNAPSHOT);
    assert_int_equal(r.index, 4);
}

static void list__gives_a_fence_the_very_next_index(void **state)
{
    const struct owner_answer a = {
        .reply = OWNER_OK,
        .view = {
            .any = true, .highest = 7, .after_live = true, .at_least = 12}};
    struct owner_save_what what = {
        .fenced = true, .after = 7, .rules = OWNER_RULES_ALL};
    struct owner_request r;
    struct owner_save m;
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        what.fenced = i == 0;
        what.asserts = i == 1;
        what.wanted = 8;
        owner_save_init(&m, &what);
        if (i < 2)
            owner_save_remember(&m, 50, 0); /* not for them */
        assert_int_equal(ask(&m, 0), OWNER_LIST);
        owner_save_feed(&m, &a);
        assert_true(owner_save_next(&m, 0, &r));
        assert_int_equal(r.index, i == 2 ? 12 : 8);
    }
}

static void abort__depends_on_what_may_be_there(void **state)
{
    struct owner_save m = saver(false);
    const struct owner_save_what what = {.rules = OWNER_RULES_ALL};

    (void)state;
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_ABORTED);
    m = saver(false);
    ask(&m, DAY);
    answer(&m, OWNER_UNCERTAIN);
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
    m = saver(true); /* a claim is no snapshot */
    ask(&m, DAY);
    answer(&m, OWNER_UNCERTAIN);
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_ABORTED);
    owner_save_init(&m, &what);
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_ABORTED);
    owner_save_abort(&m); /* again: nothing */
    assert_int_equal(m.result, OWNER_ABORTED);
}

static struct owner_save uploaded(void)
{
    struct owner_save m = saver(true);

    assert_int_equal(ask(&m, DAY), OWNER_PUT_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, DAY), OWNER_SEND_DATA);
    owner_save_uploaded(&m);
    owner_save_uploaded(&m);
    return m;
}

static void abort__before_the_commit_gives_the_claim_up(void **state)
{
    struct owner_save m = uploaded();
    int i;

    (void)state;
    owner_save_abort(&m);
    for (i = 0; i <= OWNER_REPEATS; i++) {
        assert_int_equal(ask(&m, DAY), OWNER_PUT_TOMBSTONE);
        answer(&m, OWNER_UNCERTAIN);
    }
    assert_int_equal(m.result, OWNER_ABORTED);
}

static void abort__after_the_commit_settles_nothing(void **state)
{
    struct owner_save m = uploaded();

    (void)state;
    assert_int_equal(ask(&m, DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_UNCERTAIN);
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
    m = uploaded();
    ask(&m, DAY);
    answer(&m, OWNER_EXISTS);
    assert_int_equal(ask(&m, DAY), OWNER_READ_DATA);
    owner_save_abort(&m);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

static void commit__tells_whose_data_it_is(void **state)
{
    static const struct {
        enum owner_found found;
        enum owner_result result;
    } rows[] = {{OWNER_OURS, OWNER_SAVED},
                {OWNER_OTHERS, OWNER_LOST},
                {OWNER_NOTHING, OWNER_UNRESOLVED}};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct owner_save m = uploaded();

        ask(&m, DAY);
        answer(&m, OWNER_EXISTS);
        assert_int_equal(ask(&m, DAY), OWNER_READ_DATA);
        answer_found(&m, rows[i].found);
        assert_int_equal(m.result, rows[i].result);
    }
}

static void commit__that_failed_weakly_gives_the_claim_up(void **state)
{
    const struct owner_answer a = {.reply = OWNER_FAILED, .maybe = true};
    struct owner_save m = uploaded();

    (void)state;
    ask(&m, DAY);
    owner_save_feed(&m, &a);
    assert_int_equal(ask(&m, DAY), OWNER_READ_DATA);
    answer_found(&m, OWNER_NOTHING);
    assert_int_equal(ask(&m, DAY), OWNER_PUT_TOMBSTONE);
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_REFUSED);
}

static void commit__in_doubt_needs_its_tombstone(void **state)
{
    static const struct {
        enum owner_reply tombstone;
        enum owner_result result;
    } rows[] = {{OWNER_OK, OWNER_REFUSED},
                {OWNER_NOT_DURABLE, OWNER_REFUSED},
                {OWNER_FAILED, OWNER_UNRESOLVED}};
    size_t i;
    int k;

    (void)state;
    for (i = 0; i < 3; i++) {
        struct owner_save m = uploaded();

        for (k = 0; k <= OWNER_REPEATS; k++) {
            assert_int_equal(ask(&m, DAY), OWNER_COMMIT_DATA);
            answer(&m, OWNER_UNCERTAIN);
        }
        assert_int_equal(ask(&m, DAY), OWNER_READ_DATA);
        answer_found(&m, OWNER_NOTHING);
        assert_int_equal(ask(&m, DAY), OWNER_PUT_TOMBSTONE);
        answer(&m, rows[i].tombstone);
        assert_int_equal(m.result, rows[i].result);
    }
}

static void commit__is_not_repeated_for_more_than_a_day(void **state)
{
    struct owner_save m = uploaded();

    (void)state;
    ask(&m, DAY);
    answer(&m, OWNER_UNCERTAIN);
    assert_int_equal(ask(&m, 2 * DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_UNCERTAIN);
    assert_int_equal(ask(&m, 2 * DAY + 1), 0);
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

static void claim__is_renewed_after_a_day_and_dead_after_six(void **state)
{
    struct owner_save m = uploaded();

    (void)state;
    assert_int_equal(ask(&m, 2 * DAY), OWNER_COMMIT_DATA);
    m = uploaded();
    assert_int_equal(ask(&m, 2 * DAY + 1), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, 3 * DAY), OWNER_COMMIT_DATA);
    m = uploaded();
    assert_int_equal(ask(&m, 7 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_NOT_DURABLE); /* not good enough */
    assert_int_equal(ask(&m, 7 * DAY), OWNER_PUT_TOMBSTONE);
    m = uploaded();
    assert_int_equal(ask(&m, 5 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK); /* which took three days: too late to count */
    assert_int_equal(ask(&m, 8 * DAY), OWNER_PUT_TOMBSTONE);
    m = uploaded();
    assert_int_equal(ask(&m, 7 * DAY + 1), OWNER_PUT_TOMBSTONE);
    answer(&m, OWNER_FAILED);
    assert_int_equal(m.result, OWNER_EXPIRED);
}

/* ------------------------------------------------------- delete and cleanup
 */

static void remove__repeats_and_then_says_so(void **state)
{
    struct owner_answer live = {
        .reply = OWNER_OK, .found = OWNER_LIVE, .has_data = true};
    struct owner_answer lost = {.reply = OWNER_UNCERTAIN};
    struct owner_delete m;
    struct owner_request r;
    int i;

    (void)state;
    owner_delete_init(&m, 7, OWNER_RULES_ALL);
    assert_true(owner_delete_next(&m, &r));
    owner_delete_feed(&m, &live);
    for (i = 0; i <= OWNER_REPEATS; i++) {
        assert_true(owner_delete_next(&m, &r));
        assert_int_equal(r.verb, OWNER_PUT_TOMBSTONE);
        owner_delete_feed(&m, &lost);
    }
    assert_false(owner_delete_next(&m, &r));
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

static void remove__of_data_that_fails_is_said(void **state)
{
    struct owner_answer live = {
        .reply = OWNER_OK, .found = OWNER_LIVE, .has_data = true};
    struct owner_answer ok = {.reply = OWNER_OK};
    struct owner_answer failed = {.reply = OWNER_FAILED};
    struct owner_delete m;
    struct owner_request r;

    (void)state;
    owner_delete_init(&m, 7, OWNER_RULES_ALL);
    owner_delete_next(&m, &r);
    owner_delete_feed(&m, &live);
    owner_delete_next(&m, &r);
    owner_delete_feed(&m, &ok);
    owner_delete_next(&m, &r);
    assert_int_equal(r.verb, OWNER_DELETE_DATA);
    owner_delete_feed(&m, &failed);
    assert_int_equal(m.result, OWNER_DATA_REMAINS);
}

static struct index_state listed(uint64_t snap_size, bool has_data)
{
    const struct index_state s = {.index = 5,
                                  .has_snap = snap_size != 0,
                                  .snap_size = snap_size,
                                  .has_data = has_data,
                                  .data_size = 1000,
                                  .has_modified = true};

    return s;
}

static unsigned cleans(struct index_state s, uint64_t highest, int64_t now_us,
                       bool open)
{
    const struct owner_answer ok = {.reply = OWNER_OK};
    struct owner_request r;
    struct owner_clean m;
    unsigned done = 0;

    owner_clean_init(&m, OWNER_RULES_ALL, &s, highest, now_us, open);
    while (owner_clean_next(&m, &r)) {
        done = done * 10 + (r.verb == OWNER_DELETE_DATA ? 1 : 2);
        owner_clean_feed(&m, &ok);
    }
    return done;
}

static void clean__removes_what_the_page_allows(void **state)
{
    const int64_t week = 7 * DAY_US;
    struct index_state s;

    (void)state;
    /* tombstones */
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, false), 6, week, false), 2);
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, false), 6, week - 1, false),
                     0);
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, false), 5, week, false), 0);
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, true), 6, week, false), 12);
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, true), 5, week, false), 1);
    assert_int_equal(cleans(listed(TOMBSTONE_LEN, true), 6, week - 1, false),
                     0);
    /* claims */
    assert_int_equal(cleans(listed(CLAIM_LEN, false), 6, week, false), 2);
    assert_int_equal(cleans(listed(CLAIM_LEN, false), 6, week, true), 0);
    assert_int_equal(cleans(listed(CLAIM_LEN, false), 6, week - 1, false), 0);
    assert_int_equal(cleans(listed(CLAIM_LEN, false), 5, week, false), 0);
    assert_int_equal(cleans(listed(CLAIM_LEN, true), 6, week, false), 0);
    /* snapshots, data alone, and what has no time */
    assert_int_equal(cleans(listed(1000, false), 6, week, false), 0);
    assert_int_equal(cleans(listed(0, true), 6, week, false), 0);
    s = listed(TOMBSTONE_LEN, false);
    s.has_modified = false;
    assert_int_equal(cleans(s, 6, week, false), 0);
    /* a time that lies ahead */
    s = listed(TOMBSTONE_LEN, false);
    s.snap_modified_us = 100 * DAY_US;
    assert_int_equal(cleans(s, 6, week, false), 0);
}

static void clean__stops_at_a_failure(void **state)
{
    const struct owner_answer lost = {.reply = OWNER_UNCERTAIN};
    const struct index_state s = listed(TOMBSTONE_LEN, true);
    struct owner_request r;
    struct owner_clean m;
    int i = 0;

    (void)state;
    owner_clean_init(&m, OWNER_RULES_ALL, &s, 6, 8 * DAY_US, false);
    while (owner_clean_next(&m, &r)) {
        assert_int_equal(r.verb, OWNER_DELETE_DATA);
        owner_clean_feed(&m, &lost);
        i++;
    }
    assert_int_equal(i, OWNER_REPEATS + 1);
    assert_int_equal(m.result, OWNER_REFUSED);
}

/* ----------------------------------------------------- again, and later on
 */

static struct owner_save all_sent(void)
{
    struct owner_save m = saver(true);

    assert_int_equal(ask(&m, DAY), OWNER_PUT_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, DAY), OWNER_SEND_DATA);
    owner_save_uploaded(&m);
    return m;
}

static void again__sends_everything_for_the_same_index(void **state)
{
    struct owner_save m = all_sent();

    (void)state;
    assert_int_equal(ask(&m, DAY), OWNER_COMMIT_DATA);
    assert_true(owner_save_again(&m));
    assert_int_equal(ask(&m, DAY), OWNER_SEND_DATA);
    assert_int_equal(m.index, 3);
    /* The claim is still renewed, and ages. */
    assert_int_equal(ask(&m, 3 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, 3 * DAY), OWNER_SEND_DATA);
    owner_save_uploaded(&m);
    assert_int_equal(ask(&m, 3 * DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_SAVED);
    assert_false(owner_save_again(&m));
}

static void again__not_where_a_commit_may_have_been_applied(void **state)
{
    struct owner_save m = all_sent();

    (void)state;
    assert_int_equal(ask(&m, DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_UNCERTAIN);
    assert_int_equal(ask(&m, DAY), OWNER_COMMIT_DATA);
    assert_false(owner_save_again(&m));
    answer(&m, OWNER_FAILED);
    assert_int_equal(ask(&m, DAY), OWNER_READ_DATA);
}

static struct owner_save resumed(bool commit_sent, uint64_t age_ns)
{
    const struct owner_save_what what = {.is_long = true,
                                         .rules = OWNER_RULES_ALL};
    const struct owner_resume r = {7, 10 * DAY, age_ns, commit_sent};
    struct owner_save m;

    owner_save_init(&m, &what);
    owner_save_resume(&m, &r);
    return m;
}

static void resume__renews_then_goes_on(void **state)
{
    struct owner_save m = resumed(false, OWNER_HOUR_NS);

    (void)state;
    assert_int_equal(ask(&m, 10 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, 10 * DAY), OWNER_SEND_DATA);
    owner_save_uploaded(&m);
    assert_int_equal(ask(&m, 10 * DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_SAVED);
    assert_int_equal(m.index, 7);
}

static void resume__claim_goes_on_ageing(void **state)
{
    struct owner_save m = resumed(false, OWNER_RESUME_NS);

    (void)state;
    assert_int_equal(ask(&m, 10 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK);
    /* The renewal took more than a day: others may have seen it dead. */
    assert_int_equal(ask(&m, 12 * DAY), OWNER_PUT_TOMBSTONE);
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_EXPIRED);
}

/* An hour after the machine was started the claim is five days old. */
static struct owner_save resumed_after_a_restart(void)
{
    const struct owner_save_what what = {.is_long = true,
                                         .rules = OWNER_RULES_ALL};
    const struct owner_resume r = {7, OWNER_HOUR_NS, OWNER_RESUME_NS, false};
    struct owner_save m;

    owner_save_init(&m, &what);
    owner_save_resume(&m, &r);
    assert_int_equal(ask(&m, OWNER_HOUR_NS), OWNER_RENEW_CLAIM);
    return m;
}

static void resume__after_a_restart_the_claim_is_no_younger(void **state)
{
    struct owner_save m = resumed_after_a_restart();

    (void)state;
    answer(&m, OWNER_OK);
    /* The renewal took more than the day that was left. */
    assert_int_equal(ask(&m, 2 * OWNER_HOUR_NS + DAY), OWNER_PUT_TOMBSTONE);
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_EXPIRED);

    m = resumed_after_a_restart();
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, DAY), OWNER_SEND_DATA);
    /* Renewed in time it is as young as any. */
    assert_int_equal(ask(&m, 6 * DAY), OWNER_RENEW_CLAIM);
}

static void resume__after_a_commit_looks_before_it_gives_up(void **state)
{
    struct owner_save m = resumed(true, OWNER_HOUR_NS);

    (void)state;
    assert_int_equal(ask(&m, 10 * DAY), OWNER_RENEW_CLAIM);
    answer(&m, OWNER_OK);
    assert_int_equal(ask(&m, 10 * DAY), OWNER_SEND_DATA);
    assert_false(owner_save_again(&m));
    owner_save_uploaded(&m);
    assert_int_equal(ask(&m, 10 * DAY), OWNER_COMMIT_DATA);
    answer(&m, OWNER_FAILED); /* no such upload: that commit did it */
    assert_int_equal(ask(&m, 10 * DAY), OWNER_READ_DATA);
    answer_found(&m, OWNER_OURS);
    assert_int_equal(m.result, OWNER_SAVED);
}

static void leave__keeps_the_claim_unless_it_is_dead(void **state)
{
    struct owner_save m = all_sent();

    (void)state;
    assert_false(owner_save_leave(&m));
    owner_save_abort(&m);
    assert_true(owner_save_leave(&m));
    assert_int_equal(m.result, OWNER_ABORTED);
    assert_int_equal(ask(&m, DAY), 0);

    m = all_sent();
    assert_int_equal(ask(&m, 8 * DAY), OWNER_PUT_TOMBSTONE);
    assert_false(owner_save_leave(&m));
    answer(&m, OWNER_OK);
    assert_int_equal(m.result, OWNER_EXPIRED);

    m = resumed(true, 0);
    owner_save_abort(&m);
    assert_true(owner_save_leave(&m));
    assert_int_equal(m.result, OWNER_UNRESOLVED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put__is_repeated_then_made_impossible),
        cmocka_unit_test(put__refused_weakly_is_looked_at),
        cmocka_unit_test(put__in_doubt_is_blocked),
        cmocka_unit_test(put__that_cannot_be_settled_is_unresolved),
        cmocka_unit_test(put__that_exists_and_cannot_be_read_is_unresolved),
        cmocka_unit_test(list__is_not_believed_over_a_key_that_exists),
        cmocka_unit_test(list__gives_a_fence_the_very_next_index),
        cmocka_unit_test(abort__depends_on_what_may_be_there),
        cmocka_unit_test(abort__before_the_commit_gives_the_claim_up),
        cmocka_unit_test(abort__after_the_commit_settles_nothing),
        cmocka_unit_test(commit__tells_whose_data_it_is),
        cmocka_unit_test(commit__that_failed_weakly_gives_the_claim_up),
        cmocka_unit_test(commit__in_doubt_needs_its_tombstone),
        cmocka_unit_test(commit__is_not_repeated_for_more_than_a_day),
        cmocka_unit_test(claim__is_renewed_after_a_day_and_dead_after_six),
        cmocka_unit_test(remove__repeats_and_then_says_so),
        cmocka_unit_test(remove__of_data_that_fails_is_said),
        cmocka_unit_test(clean__removes_what_the_page_allows),
        cmocka_unit_test(clean__stops_at_a_failure),
        cmocka_unit_test(again__sends_everything_for_the_same_index),
        cmocka_unit_test(again__not_where_a_commit_may_have_been_applied),
        cmocka_unit_test(resume__renews_then_goes_on),
        cmocka_unit_test(resume__claim_goes_on_ageing),
        cmocka_unit_test(resume__after_a_restart_the_claim_is_no_younger),
        cmocka_unit_test(resume__after_a_commit_looks_before_it_gives_up),
        cmocka_unit_test(leave__keeps_the_claim_unless_it_is_dead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
