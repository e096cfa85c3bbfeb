/* SPDX-License-Identifier: Apache-2.0 */
#include "support/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/testkit.h"

static void secret__holds_and_wipes(void **state)
{
    struct secret a = {0}, b = {0};
    char *large = malloc(SECRET_MAX + 1);

    (void)state;
    assert_string_equal(secret_text(&a), "");
    assert_int_equal(secret_set(&a, "hush", 4), OK);
    assert_int_equal(secret_set(&b, "hush", 4), OK);
    assert_true(secret_equal(&a, &b));
    assert_int_equal(secret_set(&b, "hush!", 5), OK);
    assert_false(secret_equal(&a, &b));
    assert_string_equal(secret_text(&b), "hush!");
    memset(large, 'x', SECRET_MAX + 1);
    assert_int_equal(secret_set(&a, large, SECRET_MAX), OK);
    assert_int_equal(a.len, SECRET_MAX);
    assert_int_equal(secret_set(&a, large, SECRET_MAX + 1),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(a.len, SECRET_MAX);
    secret_wipe(&a);
    secret_wipe(&a);
    secret_wipe(&b);
    assert_string_equal(secret_text(&a), "");
    free(large);
}

/* The pages of a secret are marked "do not dump" (dd). */
static void secret__is_left_out_of_core_dumps(void **state)
{
    struct secret s = {0};
    char line[512], *flags = NULL;
    uintptr_t begin = 0;
    FILE *maps;
    bool inside = false;

    (void)state;
    if (getenv("PERSIST_TEST_EMULATED"))
        skip(); /* qemu shows no flags of mappings */
    assert_int_equal(secret_set(&s, "hush", 4), OK);
    maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    while (flags == NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (strchr(line, '-') != NULL && strchr(line, ':') != NULL &&
            strncmp(line, "VmFlags", 7) != 0) {
            begin = (uintptr_t)strtoull(line, NULL, 16);
            inside = begin == (uintptr_t)s.bytes;
        }
        if (inside && strncmp(line, "VmFlags:", 8) == 0)
            flags = line;
    }
    (void)fclose(maps);
    assert_non_null(flags);
    assert_non_null(strstr(flags, " dd"));
    secret_wipe(&s);
}

static void secret__comes_from_the_host(void **state)
{
    static char large[9000];
    struct secret s = {0};

    (void)state;
    kit_reset();
    assert_int_equal(secret_from_host(&s, &kit_host, NULL, "k"),
                     PERSIST_BACKEND_NOT_FOUND);
    kit_secret = "short";
    assert_int_equal(secret_from_host(&s, &kit_host, NULL, "k"), OK);
    assert_string_equal(secret_text(&s), "short");
    memset(large, 'y', sizeof(large) - 1);
    kit_secret = large;
    assert_int_equal(secret_from_host(&s, &kit_host, NULL, "k"), OK);
    assert_int_equal(s.len, sizeof(large) - 1);
    assert_string_equal(secret_text(&s), large);
    secret_wipe(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(secret__holds_and_wipes),
        TEST(secret__is_left_out_of_core_dumps),
        TEST(secret__comes_from_the_host),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
