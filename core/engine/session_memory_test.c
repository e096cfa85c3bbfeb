/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "engine/session_memory.h"

#define SECOND UINT64_C(1000000000)

static void expect(struct session_memory *m, const char *session,
                   uint64_t now_s, uint64_t index, uint64_t known_s)
{
    uint64_t got = 0, known = 0;

    assert_true(session_memory_take(m, session, now_s * SECOND, &got, &known));
    assert_int_equal(got, index);
    assert_int_equal(known, known_s * SECOND);
}

static bool knows(struct session_memory *m, const char *session, uint64_t now_s)
{
    uint64_t index, known;

    return session_memory_take(m, session, now_s * SECOND, &index, &known);
}

static void take__hands_out_consecutive_indices(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    assert_false(knows(m, "a/", 100));
    session_memory_note(m, "a/", 5, 100 * SECOND, 100 * SECOND);
    expect(m, "a/", 101, 5, 100);
    expect(m, "a/", 101, 6, 100);
    assert_false(knows(m, "b/", 101));
    session_memory_destroy(m);
}

static void take__forgets_after_a_minute(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    session_memory_note(m, "a/", 5, 100 * SECOND, 100 * SECOND);
    expect(m, "a/", 160, 5, 100);
    assert_false(knows(m, "a/", 161));
    session_memory_note(m, "a/", 6, 161 * SECOND, 161 * SECOND);
    expect(m, "a/", 161, 6, 161);
    session_memory_destroy(m);
}

static void note__never_hands_out_twice_while_fresh(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    session_memory_note(m, "a/", 5, 100 * SECOND, 100 * SECOND);
    expect(m, "a/", 100, 5, 100);
    expect(m, "a/", 100, 6, 100);
    /* The put of 5 has succeeded; 6 is still under way. */
    session_memory_note(m, "a/", 6, 110 * SECOND, 110 * SECOND);
    expect(m, "a/", 110, 7, 110);
    /* Older knowledge changes nothing. */
    session_memory_note(m, "a/", 2, 90 * SECOND, 90 * SECOND);
    expect(m, "a/", 110, 8, 110);
    session_memory_destroy(m);
}

static void note__starts_anew_when_it_is_stale(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    session_memory_note(m, "a/", 50, 100 * SECOND, 100 * SECOND);
    session_memory_note(m, "a/", 7, 300 * SECOND, 300 * SECOND);
    expect(m, "a/", 300, 7, 300);
    session_memory_destroy(m);
}

static void note__of_a_put_does_not_renew_what_is_known(void **state)
{
    struct session_memory *m = session_memory_create(4);
    uint64_t s;

    (void)state;
    session_memory_note(m, "a/", 5, 100 * SECOND, 100 * SECOND);
    /* A save each half minute, for a day; the listing is still that of 100. */
    for (s = 100; s <= 100 + 86400; s += 30) {
        expect(m, "a/", s, 5 + (s - 100) / 30, 100);
        session_memory_note(m, "a/", 6 + (s - 100) / 30, s * SECOND,
                            100 * SECOND);
    }
    assert_false(knows(m, "a/", s));
    assert_int_equal(session_memory_take_listed(m, "a/", 9000, s * SECOND),
                     9000);
    session_memory_destroy(m);
}

static void take_listed__goes_past_what_is_taken(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    assert_int_equal(session_memory_take_listed(m, "a/", 0, 100 * SECOND), 0);
    assert_int_equal(session_memory_take_listed(m, "a/", 0, 100 * SECOND), 1);
    assert_int_equal(session_memory_take_listed(m, "a/", 9, 101 * SECOND), 9);
    expect(m, "a/", 101, 10, 101);
    session_memory_destroy(m);
}

static void give_back__takes_only_the_last(void **state)
{
    struct session_memory *m = session_memory_create(4);

    (void)state;
    session_memory_note(m, "a/", 5, 100 * SECOND, 100 * SECOND);
    expect(m, "a/", 100, 5, 100);
    session_memory_give_back(m, "a/", 5);
    expect(m, "a/", 100, 5, 100);
    expect(m, "a/", 100, 6, 100);
    session_memory_give_back(m, "a/", 5); /* 6 is out: stays a gap */
    expect(m, "a/", 100, 7, 100);
    session_memory_give_back(m, "unknown/", 5);
    session_memory_destroy(m);
}

static void memory__forgets_the_least_recently_used(void **state)
{
    struct session_memory *m = session_memory_create(3);
    char name[16];
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "s%d/", i);
        session_memory_note(m, name, 1, 100 * SECOND, 100 * SECOND);
    }
    expect(m, "s0/", 100, 1, 100); /* used: now the newest */
    session_memory_note(m, "s3/", 1, 100 * SECOND, 100 * SECOND);
    assert_false(knows(m, "s1/", 100));
    assert_true(knows(m, "s0/", 100));
    assert_true(knows(m, "s2/", 100));
    assert_true(knows(m, "s3/", 100));
    for (i = 4; i < 5000; i++) {
        snprintf(name, sizeof name, "s%d/", i);
        session_memory_note(m, name, 1, 100 * SECOND, 100 * SECOND);
    }
    assert_false(knows(m, "s0/", 100));
    assert_true(knows(m, "s4997/", 100));
    session_memory_destroy(m);
}

static void memory__of_no_size_remembers_nothing(void **state)
{
    struct session_memory *m = session_memory_create(0);

    (void)state;
    session_memory_note(m, "a/", 1, 100 * SECOND, 100 * SECOND);
    assert_false(knows(m, "a/", 100));
    assert_int_equal(session_memory_take_listed(m, "a/", 3, 100 * SECOND), 3);
    session_memory_destroy(m);
    session_memory_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take__hands_out_consecutive_indices),
        cmocka_unit_test(take__forgets_after_a_minute),
        cmocka_unit_test(note__never_hands_out_twice_while_fresh),
        cmocka_unit_test(note__starts_anew_when_it_is_stale),
        cmocka_unit_test(note__of_a_put_does_not_renew_what_is_known),
        cmocka_unit_test(take_listed__goes_past_what_is_taken),
        cmocka_unit_test(give_back__takes_only_the_last),
        cmocka_unit_test(memory__forgets_the_least_recently_used),
        cmocka_unit_test(memory__of_no_size_remembers_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
