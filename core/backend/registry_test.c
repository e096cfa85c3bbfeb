/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loader end to end, with plugin files made by fixtures/.  The compiled-in
 * directory is replaced by one of the test's own (plugin_builtin_dir below).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/registry.h"

const char *plugin_builtin_dir(void)
{
    return PERSIST_TEST_BINARY_DIR "/tests/backend-fixtures";
}

static void load__gives_a_checked_copy(void **state)
{
    const struct plugin *plugin = NULL;
    struct persist_error err = {0};

    (void)state;
    int rc = plugin_load(NULL, "good", &plugin, &err);
    assert_int_equal(rc, PERSIST_OK);
    assert_string_equal(plugin->descriptor.name, "good");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load__gives_a_checked_copy),
    };
    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
