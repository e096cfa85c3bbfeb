/* SPDX-License-Identifier: Apache-2.0 */
/* What the template does where its host cannot help it: it is copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

static void make_file(const char *root, const char *name)
{
    char path[400];

    snprintf(path, sizeof(path), "%s/%s", root, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
}

/* The folder may be the top of a file system, and people leave things. */
static void list__leaves_out_what_is_no_object(void **state)
{
    static const struct persist_backend_host host = {.struct_size =
                                                         sizeof(host)};
    char root[] = "/tmp/persist-template-XXXXXX", path[400];
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    struct folder f = {.host = &host, .root = root};
    struct folder_names names = {NULL, 0};

    (void)state;
    assert_non_null(mkdtemp(root));
    make_file(root, "a,b");
    make_file(root, "README");
    make_file(root, "a,,b");
    make_file(root, "a,.b");
    snprintf(path, sizeof(path), "%s/lost+found", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/folder", root);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/link", root);
    assert_int_equal(symlink("a,b", path), 0);
    assert_int_equal(folder_list(&f, 0, &names, &err), PERSIST_BACKEND_OK);
    snprintf(path, sizeof(path), "rm -r %s", root);
    assert_int_equal(system(path), 0);

    assert_int_equal(names.n, 1);
    assert_string_equal(names.names[0], "a/b");
    folder_names_finish(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list__leaves_out_what_is_no_object),
        cmocka_unit_test(begin__makes_nothing_without_random_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
