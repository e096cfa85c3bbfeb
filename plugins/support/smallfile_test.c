/* SPDX-License-Identifier: Apache-2.0 */
#include "support/smallfile.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/testkit.h"

static char dir[64], path[128], other[128];
static struct persist_backend_error err;

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "/tmp/persist-smallfile-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    (void)snprintf(other, sizeof(other), "%s/other", dir);
    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "hello", 5), 5);
    (void)close(fd);
    assert_int_equal(chmod(path, 0600), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    (void)unlink(other);
    return rmdir(dir);
}

static int32_t try_read(const char *name, size_t max, unsigned flags)
{
    struct secret s = {0};
    int32_t rc;

    err = (struct persist_backend_error){.struct_size = sizeof(err)};
    rc = smallfile_read(name, max, flags, &s, NULL, &err);
    if (rc == OK)
        assert_string_equal(secret_text(&s), "hello");
    else
        assert_non_null(strstr(err.message, name));
    secret_wipe(&s);
    return rc;
}

static void file__is_read_up_to_its_ceiling(void **state)
{
    struct smallfile_info info;
    struct secret s = {0};

    (void)state;
    assert_int_equal(try_read(path, 5, 0), OK);
    assert_int_equal(try_read(path, 4, 0), PERSIST_BACKEND_CONFIG);
    assert_int_equal(try_read(other, 5, 0), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(symlink("file", other), 0);
    assert_int_equal(try_read(other, 5, SMALLFILE_PRIVATE), OK);
    assert_int_equal(smallfile_read(path, 9, 0, &s, &info, &err), OK);
    assert_int_equal(info.uid, geteuid());
    assert_int_equal(info.mode, 0600);
    secret_wipe(&s);
}

static void file__must_be_one(void **state)
{
    (void)state;
    assert_int_equal(try_read(dir, 5, 0), PERSIST_BACKEND_CONFIG);
    assert_int_equal(mkfifo(other, 0600), 0);
    assert_int_equal(try_read(other, 5, 0), PERSIST_BACKEND_CONFIG);
    assert_int_equal(try_read("/dev/null", 5, 0), PERSIST_BACKEND_CONFIG);
}

static void file__permissions_are_looked_at(void **state)
{
    static const struct {
        mode_t mode;
        int32_t private, trusted;
    } cases[] = {
        {0600, OK, OK},
        {0400, OK, OK},
        {0640, OK, OK},
        {0644, PERSIST_BACKEND_CONFIG, OK},
        {0604, PERSIST_BACKEND_CONFIG, OK},
        {0620, PERSIST_BACKEND_CONFIG, PERSIST_BACKEND_CONFIG},
        {0602, PERSIST_BACKEND_CONFIG, PERSIST_BACKEND_CONFIG},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(chmod(path, cases[i].mode), 0);
        assert_int_equal(try_read(path, 5, SMALLFILE_PRIVATE),
                         cases[i].private);
        assert_int_equal(try_read(path, 5, SMALLFILE_TRUSTED),
                         cases[i].trusted);
        assert_int_equal(try_read(path, 5, 0), OK);
    }
}

static void file__of_somebody_else_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return; /* an ordinary user cannot give a file away */
    assert_int_equal(chown(path, 65534, 65534), 0);
    assert_int_equal(try_read(path, 5, SMALLFILE_PRIVATE),
                     PERSIST_BACKEND_CONFIG);
    assert_int_equal(try_read(path, 5, SMALLFILE_TRUSTED),
                     PERSIST_BACKEND_CONFIG);
    assert_int_equal(try_read(path, 5, 0), OK);
}

int main(void)
{
#define FILE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        FILE_TEST(file__is_read_up_to_its_ceiling),
        FILE_TEST(file__must_be_one),
        FILE_TEST(file__permissions_are_looked_at),
        FILE_TEST(file__of_somebody_else_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
