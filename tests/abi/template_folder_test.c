/* SPDX-License-Identifier: Apache-2.0 */
/* What the template does where its host cannot help it: it is copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"

static int32_t no_random(void *out, uint64_t len)
{
    (void)out, (void)len;
    return PERSIST_BACKEND_IO;
}

/* A temp's name of bytes that nobody has written is no name, and a temp that
 * is left is nobody's. */
static void begin__makes_nothing_without_random_numbers(void **state)
{
    static const struct persist_backend_host host = {
        .struct_size = sizeof(host), .random = no_random};
    char root[] = "/tmp/persist-template-XXXXXX", temp[FOLDER_NAME_CAP] = "";
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct folder f = {.host = &host, .root = root};
    struct folder_names left = {NULL, 0};

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(folder_begin(&f, temp, &err), PERSIST_BACKEND_IO);
    assert_true(err.message[0] != '\0');
    assert_int_equal(folder_list(&f, 1, &left, &err), PERSIST_BACKEND_OK);
    assert_int_equal(left.n, 0);
    folder_names_finish(&left);
    assert_int_equal(rmdir(root), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begin__makes_nothing_without_random_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
