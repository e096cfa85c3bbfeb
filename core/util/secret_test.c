/* SPDX-License-Identifier: Apache-2.0 */
#include "util/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void create__copies_bytes_and_ends_them(void **state)
{
    (void)state;
    char bytes[] = "hush\0hush";
    size_t len = 0;

    struct secret *s = secret_create(bytes, 9);
    memset(bytes, 'x', sizeof(bytes));

    const char *shown = secret_reveal(s, &len);
    assert_int_equal(len, 9);
    assert_memory_equal(shown, "hush\0hush\0", 10);
    assert_ptr_equal(secret_reveal(s, NULL), shown);
    secret_destroy(s);
}

static void create__without_bytes_is_zeros_to_fill(void **state)
{
    (void)state;
    size_t len = 0;
    struct secret *s = secret_create(NULL, 100000);

    char *room = secret_edit(s);
    for (size_t i = 0; i <= 100000; i++)
        assert_int_equal(room[i], 0);
    memset(room, 'y', 100000);

    assert_int_equal(secret_reveal(s, &len)[99999], 'y');
    assert_int_equal(secret_reveal(s, &len)[100000], 0);
    assert_int_equal(len, 100000);
    secret_destroy(s);
}

static void create__empty_and_impossible(void **state)
{
    (void)state;
    struct secret *s = secret_create("", 0);
    assert_string_equal(secret_reveal(s, NULL), "");
    secret_destroy(s);
    assert_null(secret_create(NULL, SIZE_MAX));
    assert_null(secret_create(NULL, SIZE_MAX / 8 * 7)); /* of 32 bits, too */
    secret_destroy(NULL);
}

/* The VmFlags of the mapping that holds p: "dd" is do not dump. */
static bool has_flag(const void *p, const char *flag)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, found = false;

    while (maps && fgets(line, sizeof(line), maps)) {
        unsigned long first, last;
        if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
            inside = (uintptr_t)p >= first && (uintptr_t)p < last;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0)
            found = strstr(line, flag) != NULL;
    }
    if (maps)
        fclose(maps);
    return found;
}

static void mapping__is_left_out_of_core_dumps(void **state)
{
    (void)state;
    if (getenv("PERSIST_TEST_EMULATED"))
        skip(); /* qemu shows no flags of mappings */
    struct secret *s = secret_create("canary", 6);

    assert_true(has_flag(secret_reveal(s, NULL), " dd"));
    assert_false(has_flag(&s, " dd"));
    secret_destroy(s);
}

/* munmap takes the mapping away, so that the wipe is seen through a second
 * view of it: the function is replaced at link time. */
static char last_seen[6];
static const void *watched;
int __wrap_munmap(void *address, size_t len);
int __real_munmap(void *address, size_t len);

int __wrap_munmap(void *address, size_t len)
{
    if (watched)
        memcpy(last_seen, watched, sizeof(last_seen));
    return __real_munmap(address, len);
}

static void destroy__wipes_before_unmapping(void **state)
{
    (void)state;
    struct secret *s = secret_create("canary", 6);
    watched = secret_reveal(s, NULL);
    memcpy(last_seen, "canary", 6);

    secret_destroy(s);
    watched = NULL;

    assert_memory_equal(last_seen, "\0\0\0\0\0\0", 6);
}

static void wipe__clears_and_accepts_nothing(void **state)
{
    (void)state;
    char bytes[] = "secret";
    secret_wipe(bytes, 3);
    assert_memory_equal(bytes, "\0\0\0ret", 6);
    secret_wipe(NULL, 5);
    secret_wipe(bytes, 0);
    assert_memory_equal(bytes, "\0\0\0ret", 6);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(create__copies_bytes_and_ends_them),
        cmocka_unit_test(create__without_bytes_is_zeros_to_fill),
        cmocka_unit_test(create__empty_and_impossible),
        cmocka_unit_test(mapping__is_left_out_of_core_dumps),
        cmocka_unit_test(destroy__wipes_before_unmapping),
        cmocka_unit_test(wipe__clears_and_accepts_nothing),
    };
    return cmocka_run_group_tests_name("util.secret", tests, NULL, NULL);
}
