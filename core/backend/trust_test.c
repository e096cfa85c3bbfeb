/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership and permissions along the path of a plugin file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/file_test.h"
#include "backend/trust.h"

#define NOBODY 65534

static struct persist_error err;

static int setup(void **state)
{
    (void)state;
    file_make_dir();
    assert_int_equal(mkdir(file_path("sub"), 0755), 0);
    assert_int_equal(chmod(file_path("sub"), 0755), 0);
    file_write(file_path("sub/x.so"), "x", 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    file_remove_dir();
    return 0;
}

static int try_open(const char *path, bool checked)
{
    char byte = 0;
    int fd = -1;
    int rc = trust_open(path, checked, geteuid(), &fd, &err);

    if (rc == PERSIST_OK) {
        assert_int_equal(read(fd, &byte, 1), 1);
        assert_int_equal(byte, 'x');
        close(fd);
    } else {
        assert_int_equal(fd, -1);
    }
    return rc;
}

static void assert_distrusted(const char *why)
{
    assert_int_equal(try_open(file_path("sub/x.so"), true), PERSIST_E_CONFIG);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not hold \"%s\"", err.message, why);
    assert_non_null(strstr(err.hint, "writable by no one else"));
    assert_int_equal(try_open(file_path("sub/x.so"), false), PERSIST_OK);
}

static void open__trusts_what_only_we_can_write(void **state)
{
    (void)state;
    /* /tmp on the way is root's and sticky. */
    assert_int_equal(try_open(file_path("sub/x.so"), true), PERSIST_OK);
    assert_int_equal(chmod(file_path("sub/x.so"), 0644), 0);
    assert_int_equal(try_open(file_path("sub/x.so"), true), PERSIST_OK);
}

static void open__distrusts_files_others_can_write(void **state)
{
    static const mode_t modes[] = {0664, 0646, 0666, 0620, 0602};

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(chmod(file_path("sub/x.so"), modes[i]), 0);
        assert_distrusted("sub/x.so can be written by others");
    }
}

static void open__distrusts_every_directory_others_can_write(void **state)
{
    (void)state;
    assert_int_equal(chmod(file_path("sub"), 0775), 0);
    assert_distrusted("sub can be written by others");
    assert_int_equal(chmod(file_path("sub"), 0757), 0);
    assert_distrusted("sub can be written by others");
    assert_int_equal(chmod(file_path("sub"), 0755), 0);
    assert_int_equal(chmod(file_dir, 0770), 0);
    assert_distrusted("can be written by others");
}

static void open__distrusts_other_owners(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: chown to another user\n");
        skip();
    }
    assert_int_equal(chown(file_path("sub/x.so"), NOBODY, 0), 0);
    assert_distrusted("sub/x.so belongs to another user");
    assert_int_equal(chown(file_path("sub/x.so"), 0, 0), 0);
    assert_int_equal(chown(file_path("sub"), NOBODY, 0), 0);
    assert_distrusted("sub belongs to another user");
    assert_int_equal(chown(file_path("sub"), 0, 0), 0);
    assert_int_equal(chown(file_dir, NOBODY, 0), 0);
    assert_distrusted("belongs to another user");
}

static void open__sticky_serves_roots_directories_alone(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root: chown to another user\n");
        skip();
    }
    assert_int_equal(chmod(file_path("sub"), 01777), 0);
    assert_int_equal(try_open(file_path("sub/x.so"), true), PERSIST_OK);
    /* Behind it the file's owner decides. */
    assert_int_equal(chown(file_path("sub/x.so"), NOBODY, 0), 0);
    assert_distrusted("belongs to another user");
    assert_int_equal(chown(file_path("sub/x.so"), 0, 0), 0);

    /* The same tree with another effective user: its own directory, sticky and
     * writable by all, is no protection. */
    assert_int_equal(chown(file_dir, NOBODY, 0), 0);
    assert_int_equal(chmod(file_dir, 01777), 0);
    int fd = -1;
    assert_int_equal(trust_open(file_path("sub/x.so"), true, NOBODY, &fd, &err),
                     PERSIST_E_CONFIG);
    assert_int_equal(chmod(file_dir, 0700), 0);
    assert_int_equal(trust_open(file_path("sub/x.so"), true, NOBODY, &fd, &err),
                     PERSIST_OK);
    close(fd);
}

static void open__sticky_is_no_excuse_for_a_file(void **state)
{
    (void)state;
    assert_int_equal(chmod(file_path("sub/x.so"), 01666), 0);
    assert_distrusted("can be written by others");
}

static void open__follows_no_symbolic_link(void **state)
{
    (void)state;
    assert_int_equal(symlink("sub", file_path("link")), 0);
    assert_int_equal(symlink("x.so", file_path("sub/y.so")), 0);
    assert_int_not_equal(try_open(file_path("link/x.so"), true), PERSIST_OK);
    assert_int_not_equal(try_open(file_path("sub/y.so"), true), PERSIST_OK);
    assert_int_not_equal(try_open(file_path("sub/y.so"), false), PERSIST_OK);
}

static void open__takes_regular_files_only(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(file_path("sub/fifo"), 0600), 0);
    assert_int_equal(try_open(file_path("sub/fifo"), true), PERSIST_E_CONFIG);
    assert_non_null(strstr(err.message, "is not a regular file"));
    assert_int_equal(try_open(file_path("sub"), true), PERSIST_E_CONFIG);
    assert_int_equal(try_open("/dev/null", false), PERSIST_E_CONFIG);
    assert_int_equal(try_open("/", true), PERSIST_E_NOT_FOUND);
    assert_int_equal(try_open(file_path("sub/none"), true),
                     PERSIST_E_NOT_FOUND);
}

static void open__takes_real_absolute_paths_only(void **state)
{
    (void)state;
    assert_int_equal(try_open("sub/x.so", true), PERSIST_E_CONFIG);
    assert_int_equal(try_open("//tmp/x.so", true), PERSIST_E_CONFIG);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(open__trusts_what_only_we_can_write),
        TEST(open__distrusts_files_others_can_write),
        TEST(open__distrusts_every_directory_others_can_write),
        TEST(open__distrusts_other_owners),
        TEST(open__sticky_serves_roots_directories_alone),
        TEST(open__sticky_is_no_excuse_for_a_file),
        TEST(open__follows_no_symbolic_link),
        TEST(open__takes_regular_files_only),
        TEST(open__takes_real_absolute_paths_only),
    };
    return cmocka_run_group_tests_name("trust", tests, NULL, NULL);
}
