/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/help.h"

static void check_width(const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");
        if (len > 79)
            fail_msg("%zu characters: %.*s", len, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

static void verb__lists_every_option_it_takes(void **state)
{
    (void)state;

    for (size_t i = 0; cli_verbs[i]; i++) {
        struct buf page;
        char option[64];

        buf_init(&page, 65536);
        help_verb(&page, cli_verbs[i]);
        assert_false(buf_failed(&page));
        check_width(page.data);
        for (const struct arg_option *o = cli_verbs[i]->options;
             o->kind != ARG_END; o++) {
            snprintf(option, sizeof(option), "--%s", o->name);
            assert_int_equal(strstr(page.data, option) != NULL,
                             o->kind != ARG_RESERVED);
        }
        assert_non_null(strstr(page.data, "--memory-limit SIZE"));
        assert_non_null(strstr(page.data, "--limit-upload RATE"));
        assert_non_null(strstr(page.data, "\nexamples:\n  persist "));
        buf_finish(&page);
    }
}

static void all__lists_verbs_and_what_comes_later(void **state)
{
    struct buf page;
    (void)state;

    buf_init(&page, 65536);
    help_all(&page, cli_verbs, cli_reserved_verbs);

    check_width(page.data);
    for (size_t i = 0; cli_verbs[i]; i++)
        assert_non_null(strstr(page.data, cli_verbs[i]->summary));
    assert_non_null(strstr(page.data, "with a later release: prune copy\n"));
    buf_finish(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verb__lists_every_option_it_takes),
        cmocka_unit_test(all__lists_verbs_and_what_comes_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
