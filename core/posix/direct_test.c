/* SPDX-License-Identifier: Apache-2.0 */
/* Writes past the page cache: what goes that way, and what is left over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/direct.h"
#include "posix/file.h"
#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

#define PAGES 8

struct fixture {
    int fd;
    size_t page;
    uint8_t *data; /* PAGES pages, all bytes different from their neighbours */
    struct direct_file d;
};

static void start(struct fixture *f, uint64_t size)
{
    char *dir = scratch_make();
    void *data = NULL;

    f->page = (size_t)sysconf(_SC_PAGESIZE);
    f->fd = open(scratch_join(dir, "f"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(f->fd >= 0);
    scratch_remove(dir);
    assert_int_equal(posix_memalign(&data, f->page, PAGES * f->page), 0);
    f->data = data;
    for (size_t i = 0; i < PAGES * f->page; i++)
        f->data[i] = (uint8_t)(i * 7 + i / 251);
    io_fault_install();
    direct_open(&f->d, f->fd, size);
}

/* A file system that does not offer it has nothing to be tested here. */
static void start_or_skip(struct fixture *f, uint64_t size)
{
    start(f, size);
    if (f->d.fd >= 0)
        return;
    io_fault_remove();
    close(f->fd);
    free(f->data);
    skip();
}

static void finish(struct fixture *f)
{
    direct_close(&f->d);
    assert_int_equal(f->d.fd, -1);
    io_fault_remove();
    close(f->fd);
    free(f->data);
}

static void expect_bytes(const struct fixture *f, size_t from, size_t len,
                         uint64_t offset)
{
    uint8_t *found = malloc(len);
    size_t got = 0;

    assert_non_null(found);
    assert_int_equal(file_read_at(f->fd, found, len, offset, &got), 0);
    assert_int_equal(got, len);
    assert_memory_equal(found, f->data + from, len);
    free(found);
}

static void write__takes_whole_pages_and_leaves_the_rest(void **state)
{
    struct fixture f;
    size_t done = 1;

    (void)state;
    start_or_skip(&f, 0);
    assert_int_equal(
        direct_write(&f.d, f.data, 3 * f.page + 100, f.page, &done), 0);
    assert_int_equal(done, 3 * f.page);
    expect_bytes(&f, 0, 3 * f.page, f.page);
    assert_int_equal(direct_write(&f.d, f.data, f.page - 1, 0, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(io_fault_calls(IO_PWRITE), 1);
    finish(&f);
}

static void write__leaves_what_is_not_aligned(void **state)
{
    struct fixture f;
    size_t done = 1;

    (void)state;
    start_or_skip(&f, 0);
    assert_int_equal(direct_write(&f.d, f.data + 1, 2 * f.page, 0, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(direct_write(&f.d, f.data, 2 * f.page, f.page / 2, &done),
                     0);
    assert_int_equal(done, 0);
    assert_int_equal(direct_write(&f.d, f.data, f.page,
                                  (uint64_t)INT64_MAX - f.page + 1, &done),
                     0);
    assert_int_equal(done, 0);
    assert_int_equal(io_fault_calls(IO_PWRITE), 0);
    finish(&f);
}

static void open__makes_the_file_as_long_as_expected(void **state)
{
    struct fixture f;
    struct stat st;

    (void)state;
    start_or_skip(&f, 12345);
    assert_int_equal(fstat(f.fd, &st), 0);
    assert_int_equal(st.st_size, 12345);
    finish(&f);
}

static void open__is_content_without(void **state)
{
    static const enum io_kind lacks[] = {IO_DIRECT_ALIGN, IO_OPENAT};
    struct fixture f;
    struct stat st;
    size_t done = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        start_or_skip(&f, 0);
        direct_close(&f.d);
        io_fault_set(lacks[i], 1, 1, EOPNOTSUPP);
        direct_open(&f.d, f.fd, 4096);
        assert_int_equal(f.d.fd, -1);
        assert_int_equal(direct_write(&f.d, f.data, f.page, 0, &done), 0);
        assert_int_equal(done, 0);
        assert_int_equal(fstat(f.fd, &st), 0);
        assert_int_equal(st.st_size, 0);
        finish(&f);
    }
}

static void write__tells_errors_and_stops_where_it_is_refused(void **state)
{
    struct fixture f;
    size_t done = 1;

    (void)state;
    start_or_skip(&f, 0);
    io_fault_set(IO_PWRITE, 1, 1, EIO);
    assert_int_equal(direct_write(&f.d, f.data, f.page, 0, &done), -EIO);
    io_fault_set(IO_PWRITE, 1, 1, EINTR);
    assert_int_equal(direct_write(&f.d, f.data, f.page, 0, &done), 0);
    assert_int_equal(done, f.page);
    io_fault_set(IO_PWRITE, 1, 1, EINVAL);
    assert_int_equal(direct_write(&f.d, f.data, f.page, 0, &done), 0);
    assert_int_equal(done, 0);
    io_fault_clear();
    assert_int_equal(direct_write(&f.d, f.data, f.page, 0, &done), 0);
    assert_int_equal(done, 0);
    assert_int_equal(io_fault_calls(IO_PWRITE), 0);
    finish(&f);
}

static void write__goes_on_after_a_short_one(void **state)
{
    struct fixture f;
    size_t done = 1;

    (void)state;
    start_or_skip(&f, 0);
    io_fault_short(2 * f.page);
    assert_int_equal(direct_write(&f.d, f.data, 5 * f.page, 0, &done), 0);
    assert_int_equal(done, 5 * f.page);
    assert_int_equal(io_fault_calls(IO_PWRITE), 3);
    expect_bytes(&f, 0, 5 * f.page, 0);
    finish(&f);
}

static const struct posix_io *below;

static ssize_t pwrite_askew(int fd, const void *data, size_t len, off_t at)
{
    ssize_t n = below->pwrite(fd, data, len, at);

    return n > 2 * sysconf(_SC_PAGESIZE) ? n - 100 : n;
}

/* A count that ends within a page is no place to go on from. */
static void write__goes_on_at_a_page(void **state)
{
    struct posix_io askew;
    struct fixture f;
    size_t done = 0;

    (void)state;
    start_or_skip(&f, 0);
    askew = *posix_io;
    askew.pwrite = pwrite_askew;
    below = posix_io;
    posix_io = &askew;
    assert_int_equal(direct_write(&f.d, f.data, 5 * f.page, 0, &done), 0);
    posix_io = below;
    assert_int_equal(done, 5 * f.page);
    expect_bytes(&f, 0, 5 * f.page, 0);
    finish(&f);
}

/* Every byte is there, on a page where the kernel may ask for one. */
static void alloc__gives_all_of_it(void **state)
{
    static const size_t sizes[] = {0,
                                   1,
                                   (64U << 10) + 1,
                                   (4U << 20) - 1,
                                   4U << 20,
                                   (6U << 20) + 4097,
                                   59U << 20};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint8_t *memory = direct_alloc(sizes[i]);

        assert_true(memory || !sizes[i]);
        if (sizes[i] > (64U << 10))
            assert_int_equal((uintptr_t)memory % 4096, 0);
        if (sizes[i])
            memset(memory, 0x5a, sizes[i]);
        free(memory);
    }
    assert_null(direct_alloc(SIZE_MAX - 4096));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write__takes_whole_pages_and_leaves_the_rest),
        cmocka_unit_test(write__leaves_what_is_not_aligned),
        cmocka_unit_test(open__makes_the_file_as_long_as_expected),
        cmocka_unit_test(open__is_content_without),
        cmocka_unit_test(write__tells_errors_and_stops_where_it_is_refused),
        cmocka_unit_test(write__goes_on_after_a_short_one),
        cmocka_unit_test(write__goes_on_at_a_page),
        cmocka_unit_test(alloc__gives_all_of_it),
    };
    return cmocka_run_group_tests_name("posix.direct", tests, NULL, NULL);
}
