/* SPDX-License-Identifier: Apache-2.0 */
/* Restoring to files: whole or not at all, never through or over what is no
 * regular file. */
#include "engine/read_test_kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char dir[64];

static int setup(void **state)
{
    snprintf(dir, sizeof(dir), "/tmp/persist-restore-XXXXXX");
    return mkdtemp(dir) ? fixture_setup(state) : -1;
}

static int teardown(void **state)
{
    DIR *d = opendir(dir);
    const struct dirent *e;

    while (d && (e = readdir(d)))
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(dir);
    return fixture_teardown(state);
}

static const char *in_dir(const char *name)
{
    static char path[200];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static unsigned n_entries(void)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void assert_file(const char *name, const void *want, size_t len)
{
    char *got = malloc(len + 2);
    FILE *file = fopen(in_dir(name), "rb");

    assert_non_null(file);
    assert_non_null(got);
    assert_int_equal(fread(got, 1, len + 1, file), len);
    assert_int_equal(memcmp(got, want, len), 0);
    fclose(file);
    free(got);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    int fd = open(in_dir(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(in_dir(name), &st), 0);
    return st.st_mode & 07777;
}

static int restore(struct fixture *f, const char *path, uint32_t flags,
                   struct persist_error *err)
{
    struct persist_restore_options o = PERSIST_RESTORE_OPTIONS_INIT;

    o.flags = flags;
    memset(err, 0, sizeof(*err));
    return persist_restore_file(f->store, "a", path, &o, NULL, err);
}

static void file__appears_whole(void **state)
{
    static const size_t sizes[] = {0, 1, 3 << 20, 90 << 20};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        uint8_t *payload = fixture_payload(sizes[i], 1);
        struct snapshot_spec spec = {.payload = payload,
                                     .len = sizes[i],
                                     .frame_size = 1 << 20,
                                     .index = i};
        struct persist_metadata *m = NULL;
        struct persist_error err = {0};
        fixture_put(f, &spec);
        assert_ok(
            persist_restore_file(f->store, "a", in_dir("out"), NULL, &m, &err),
            &err);
        assert_int_equal(m->snapshot_index, i);
        persist_metadata_free(m);
        assert_file("out", payload, sizes[i]);
        assert_int_equal(n_entries(), 1);
        assert_int_equal(unlink(in_dir("out")), 0);
        free(payload);
    }
}

static void file__has_the_permissions_of_a_new_one(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "x", .len = 1};
    struct persist_error err;
    mode_t before = umask(027);

    fixture_put(f, &spec);
    assert_ok(restore(f, in_dir("a"), 0, &err), &err);
    umask(077);
    assert_ok(restore(f, in_dir("b"), 0, &err), &err);
    umask(before);
    assert_int_equal(mode_of("a"), 0640);
    assert_int_equal(mode_of("b"), 0600);
}

static void overwrite__replaces_and_keeps_permissions(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;

    fixture_put(f, &spec);
    write_file("out", "old", 04755);
    assert_status(restore(f, in_dir("out"), 0, &err), PERSIST_E_EXISTS, &err);
    assert_true(err.hint[0]);
    assert_string_equal(err.object, in_dir("out"));
    assert_file("out", "old", 3);
    assert_ok(restore(f, in_dir("out"), PERSIST_RESTORE_OVERWRITE, &err), &err);
    assert_file("out", "new", 3);
    assert_int_equal(mode_of("out"), 0755);
    assert_ok(restore(f, in_dir("fresh"), PERSIST_RESTORE_OVERWRITE, &err),
              &err);
    assert_file("fresh", "new", 3);
    assert_int_equal(n_entries(), 2);
}

static void overwrite__does_not_touch_other_names_of_the_file(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;
    char first[200];

    fixture_put(f, &spec);
    write_file("first", "old", 0644);
    snprintf(first, sizeof(first), "%s", in_dir("first"));
    assert_int_equal(link(first, in_dir("second")), 0);
    assert_ok(restore(f, in_dir("second"), PERSIST_RESTORE_OVERWRITE, &err),
              &err);
    assert_file("first", "old", 3);
    assert_file("second", "new", 3);
}

static void bind_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_true(strlen(path) < sizeof(address.sun_path));
    memcpy(address.sun_path, path, strlen(path) + 1);
    assert_int_equal(
        bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
}

static void targets__that_are_no_files_are_refused(void **state)
{
    static const char *const names[] = {"link", "dangling", "fifo", "socket",
                                        ".",    "..",       "",     "sub"};
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;

    fixture_put(f, &spec);
    write_file("victim", "old", 0644);
    assert_int_equal(symlink("victim", in_dir("link")), 0);
    assert_int_equal(symlink("nowhere", in_dir("dangling")), 0);
    assert_int_equal(mkfifo(in_dir("fifo"), 0600), 0);
    assert_int_equal(mkdir(in_dir("sub"), 0700), 0);
    bind_socket(in_dir("socket"));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (uint32_t flags = 0; flags <= PERSIST_RESTORE_OVERWRITE;
             flags += PERSIST_RESTORE_OVERWRITE) {
            assert_status(restore(f, in_dir(names[i]), flags, &err),
                          PERSIST_E_INVALID, &err);
            assert_string_equal(err.object, in_dir(names[i]));
        }
    }
    assert_status(restore(f, "/dev/null", PERSIST_RESTORE_OVERWRITE, &err),
                  PERSIST_E_INVALID, &err);
    assert_contains(err.message, "device");
    assert_status(restore(f, "/", 0, &err), PERSIST_E_INVALID, &err);
    assert_status(restore(f, "", 0, &err), PERSIST_E_INVALID, &err);
    assert_string_equal(err.message, "the path is empty");
    assert_file("victim", "old", 3);
    assert_int_equal(n_entries(), 6);
    rmdir(in_dir("sub"));
}

static void targets__without_a_directory_are_told(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;

    fixture_put(f, &spec);
    assert_status(restore(f, in_dir("none/out"), 0, &err), PERSIST_E_NOT_FOUND,
                  &err);
    assert_string_equal(err.object, in_dir("none"));
    write_file("file", "x", 0600);
    assert_status(restore(f, in_dir("file/out"), 0, &err), PERSIST_E_IO, &err);
    assert_status(persist_restore_file(f->store, "a", NULL, NULL, NULL, &err),
                  PERSIST_E_MISUSE, &err);
}

static void path__may_be_relative(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;
    int here = open(".", O_RDONLY | O_DIRECTORY);

    assert_true(here >= 0);
    fixture_put(f, &spec);
    assert_int_equal(chdir(dir), 0);
    int rc = restore(f, "out", 0, &err);
    assert_int_equal(fchdir(here), 0);
    close(here);
    assert_ok(rc, &err);
    assert_file("out", "new", 3);
}

/* Damage in the last frame: most was written by then, none of it shows. */
static void failures__leave_what_was_there(void **state)
{
    struct fixture *f = *state;
    const size_t len = 4 << 20;
    uint8_t *payload = fixture_payload(len, 1);
    struct snapshot_spec spec = {.payload = payload, .len = len};
    struct persist_error err;
    struct buf object;
    char key[KEY_CAP];

    fixture_encode(&spec, &object);
    object.data[object.len - 3000] ^= 1;
    fixture_key(NULL, NULL, 0, KEY_SNAP, key);
    fixture_set(f, key, object.data, object.len);
    assert_status(restore(f, in_dir("out"), 0, &err), PERSIST_E_CORRUPT, &err);
    assert_int_equal(n_entries(), 0);
    write_file("out", "old", 0644);
    assert_status(restore(f, in_dir("out"), PERSIST_RESTORE_OVERWRITE, &err),
                  PERSIST_E_CORRUPT, &err);
    assert_file("out", "old", 3);
    assert_int_equal(n_entries(), 1);
    buf_finish(&object);
    free(payload);
}

static int32_t plant(void *ctx, const struct memory_event *e)
{
    const char *what = ctx;

    if (e->phase != MEMORY_AFTER || strcmp(e->op, "read") != 0)
        return 0;
    if (strcmp(what, "file") == 0)
        write_file("out", "theirs", 0644);
    else
        assert_int_equal(symlink("/etc/passwd", in_dir("out")), 0);
    return 0;
}

/* Something takes the name while the payload is on its way. */
static void races__for_the_name_are_lost_cleanly(void **state)
{
    struct fixture *f = *state;
    struct snapshot_spec spec = {.payload = "new", .len = 3};
    struct persist_error err;
    char what[] = "file";
    char a_link[] = "link";

    fixture_put(f, &spec);
    f->memory->set_hook(f->id, plant, what);
    assert_status(restore(f, in_dir("out"), 0, &err), PERSIST_E_EXISTS, &err);
    assert_file("out", "theirs", 6);
    assert_int_equal(n_entries(), 1);
    unlink(in_dir("out"));
    f->memory->set_hook(f->id, plant, a_link);
    assert_status(restore(f, in_dir("out"), 0, &err), PERSIST_E_EXISTS, &err);
    unlink(in_dir("out"));
    assert_ok(restore(f, in_dir("out"), PERSIST_RESTORE_OVERWRITE, &err), &err);
    f->memory->set_hook(f->id, NULL, NULL);
    assert_file("out", "new", 3); /* the link went, not what it led to */
    assert_int_equal(n_entries(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(file__appears_whole),
        TEST(file__has_the_permissions_of_a_new_one),
        TEST(overwrite__replaces_and_keeps_permissions),
        TEST(overwrite__does_not_touch_other_names_of_the_file),
        TEST(targets__that_are_no_files_are_refused),
        TEST(targets__without_a_directory_are_told),
        TEST(path__may_be_relative),
        TEST(failures__leave_what_was_there),
        TEST(races__for_the_name_are_lost_cleanly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
