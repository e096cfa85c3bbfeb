/* SPDX-License-Identifier: Apache-2.0 */
/* Temporaries of dead writes: found, removed, and nothing else with them. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/durable.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

struct found {
    char ids[8][200];
    uint64_t sizes[8];
    size_t n, stop_at;
};

static int32_t take(void *ctx, const struct persist_backend_upload *upload)
{
    struct found *f = ctx;

    assert_true(f->n < 8);
    assert_string_equal(upload->key, "");
    assert_int_equal(upload->present,
                     PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED);
    assert_in_range(upload->modified_us, INT64_C(1700000000000000),
                    INT64_C(9000000000000000));
    (void)snprintf(f->ids[f->n], sizeof(f->ids[0]), "%s", upload->upload_id);
    f->sizes[f->n++] = upload->size;
    return f->n == f->stop_at;
}

static int32_t find(struct kit *k, const char *prefix, struct found *f)
{
    struct persist_backend_list_uploads_args args = {.struct_size =
                                                         sizeof(args),
                                                     .prefix = prefix,
                                                     .emit = take,
                                                     .emit_ctx = f};
    struct persist_backend_list_uploads_result result = {.struct_size =
                                                             sizeof(result)};

    f->n = 0;
    return k->ops->list_uploads(k->store, &k->call, &args, &result, &k->error);
}

static void list_uploads__finds_temporaries_and_abort_removes_them(void **state)
{
    struct kit *k = *state;
    struct found f = {.n = 0};

    assert_int_equal(kit_put(k, "a/s/1", "x", IF_ABSENT), OK);
    assert_int_equal(kit_put(k, "ab/1", "x", IF_ABSENT), OK);
    scratch_write(k->root, ".persist-tmp.root", "123");
    scratch_write(k->root, "a/.persist-tmp.a", "123");
    scratch_write(k->root, "a/s/.persist-tmp.s", "123");
    scratch_write(k->root, "ab/.persist-tmp.ab", "123");
    scratch_write(k->root, "ab/.other", "123");
    assert_int_equal(symlink("1", scratch_join(k->root, "ab/.persist-tmp.ln")),
                     0);

    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 4);
    assert_string_equal(f.ids[0], "tmp:.persist-tmp.root");
    assert_string_equal(f.ids[1], "tmp:a/.persist-tmp.a");
    assert_in_range(f.sizes[0], 3, 4096);
    assert_int_equal(find(k, "a/", &f), OK);
    assert_int_equal(f.n, 2);
    assert_int_equal(find(k, "ab", &f), OK);
    assert_int_equal(f.n, 1);
    assert_int_equal(find(k, "none/", &f), OK);
    assert_int_equal(f.n, 0);
    f.stop_at = 2;
    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 2);
    f.stop_at = 0;

    assert_int_equal(find(k, "", &f), OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(kit_abort(k, "", f.ids[i]), OK);
        assert_int_equal(kit_abort(k, "", f.ids[i]), OK);
    }
    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 0);
    kit_holds(k, "a/s/1", "x");
    assert_int_equal(scratch_count(scratch_join(k->root, "ab")), 3);
}

static void abort__leaves_what_a_running_write_holds(void **state)
{
    struct kit *k = *state;
    struct found f = {.n = 0};
    struct kit_upload u;

    if (io_fault_lacks(IO_FALLOCATE))
        skip();
    assert_int_equal(kit_begin(k, &u, "a/b", 0, 1 << 20), OK); /* named */
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 1);
    assert_in_range(f.sizes[0], 1 << 20, 2 << 20); /* as reserved */
    assert_int_equal(kit_abort(k, "", f.ids[0]), PERSIST_BACKEND_PRECONDITION);
    assert_int_equal(kit_commit(k, &u, 0), OK);
    kit_holds(k, "a/b", "123");
    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 0);
}

static void abort__refuses_hostile_ids(void **state)
{
    static const char *const ids[] = {
        "tmp:",
        "tmp:/",
        "tmp:data",
        "tmp:../outside/.persist-tmp.x",
        "tmp:/etc/.persist-tmp.x",
        "tmp:a/../.persist-tmp.x",
        "tmp:.persist-tmp.x/../data",
        "tmp:/.persist-tmp.x",
        "tmp:a//.persist-tmp.x",
        "tmp:a/.persist-tmp.x/",
        "tmp:.git/.persist-tmp.x",
        "tmp:dir/.persist-tmp.dir",
        "tmp:dir/.persist-tmp.link",
    };
    struct kit *k = *state;
    char path[5000] = "tmp:";

    assert_int_equal(mkdir(scratch_join(k->base, "outside"), 0700), 0);
    scratch_write(k->base, "outside/.persist-tmp.x", "mine");
    scratch_write(k->root, "data", "mine");
    assert_int_equal(mkdir(scratch_join(k->root, "dir"), 0700), 0);
    assert_int_equal(mkdir(scratch_join(k->root, "dir/.persist-tmp.dir"), 0700),
                     0);
    assert_int_equal(
        symlink("../data", scratch_join(k->root, "dir/.persist-tmp.link")), 0);
    assert_int_equal(symlink("../outside", scratch_join(k->root, "up")), 0);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        assert_int_equal(kit_abort(k, "", ids[i]), PERSIST_BACKEND_INVALID);
    for (size_t i = 4; i < 4900; i++)
        path[i] = i % 2 ? '/' : 'a';
    (void)snprintf(path + 4900, 50, "/.persist-tmp.x");
    assert_int_equal(kit_abort(k, "", path), PERSIST_BACKEND_INVALID);

    assert_int_equal(kit_abort(k, "", "tmp:up/.persist-tmp.x"),
                     PERSIST_BACKEND_CORRUPT);
    assert_int_equal(kit_abort(k, "", "tmp:none/.persist-tmp.x"), OK);
    assert_int_equal(scratch_count(scratch_join(k->base, "outside")), 1);
    assert_int_equal(scratch_count(scratch_join(k->root, "dir")), 2);
    kit_holds(k, "data", "mine");
}

static void list_uploads__reports_trouble(void **state)
{
    struct kit *k = *state;
    struct found f = {.n = 0};

    scratch_write(k->root, ".persist-tmp.a", "123");
    io_fault_set(IO_FSTATAT, 1, 1, EIO);
    assert_int_equal(find(k, "", &f), PERSIST_BACKEND_IO);
    io_fault_set(IO_FSTATAT, 1, 1, ENOENT);
    assert_int_equal(find(k, "", &f), OK);
    assert_int_equal(f.n, 0);
    assert_int_equal(find(k, "../", &f), PERSIST_BACKEND_INVALID);
    io_fault_set(IO_UNLINKAT, 1, 1, EACCES);
    assert_int_equal(kit_abort(k, "", "tmp:.persist-tmp.a"),
                     PERSIST_BACKEND_DENIED);
}

int main(void)
{
#define T(test)                                                                \
    cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown),            \
    {                                                                          \
#test " (by components)", test, kit_setup_fallback, kit_teardown, NULL \
    }
    const struct CMUnitTest tests[] = {
        T(list_uploads__finds_temporaries_and_abort_removes_them),
        T(abort__leaves_what_a_running_write_holds),
        T(abort__refuses_hostile_ids),
        T(list_uploads__reports_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
