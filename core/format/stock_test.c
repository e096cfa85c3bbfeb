/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A snapshot is a standard file: the zstd and gzip commands print its payload,
 * and find nothing to complain about.
 */
#include "format/test_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct run {
    int status;
    struct buf out; /* stdout and stderr, which must be silent */
};

static void run(const char *command, const char *path, struct run *r)
{
    char line[4096];
    char chunk[1 << 16];
    size_t n = 0;
    (void)snprintf(line, sizeof(line), "%s '%s' 2>&1", command, path);
    buf_init(&r->out, SIZE_MAX / 2);
    FILE *f = popen(line, "r"); /* NOLINT(cert-env33-c): fixed commands */
    assert_non_null(f);
    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        buf_append(&r->out, chunk, n);
    r->status = pclose(f);
}

static void write_file(const char *path, const struct buf *object)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(object->data, 1, object->len, f), object->len);
    assert_int_equal(fclose(f), 0);
}

static void expect_output(const char *command, const char *path,
                          const void *payload, size_t len)
{
    struct run r;
    run(command, path, &r);
    if (r.status != 0 || r.out.len != len)
        fail_msg("%s %s: status %d, %zu bytes instead of %zu: %.200s", command,
                 path, r.status, r.out.len, len,
                 r.out.len < 1000 && r.out.data ? r.out.data : "");
    if (len > 0)
        assert_memory_equal(r.out.data, payload, len);
    buf_finish(&r.out);
}

static void check_size(enum codec codec, enum test_fill fill, size_t len)
{
    char path[1000];
    struct test_snapshot s;
    bool zstd = codec == CODEC_ZSTD;
    uint8_t *payload = test_payload(fill, len);
    (void)snprintf(path, sizeof(path), "%s/stock-%ld.%s",
                   PERSIST_TEST_BINARY_DIR, (long)getpid(),
                   zstd ? "zst" : "gz");
    test_snapshot_make(&s, codec, codec_level_default(codec), payload, len);
    write_file(path, &s.object);

    expect_output(zstd ? "zstd -dc" : "gzip -dc", path, payload, len);
    expect_output(zstd ? "zstd -tq" : "gzip -t", path, "", 0);

    assert_int_equal(unlink(path), 0);
    test_snapshot_finish(&s);
    free(payload);
}

static void check_sizes(enum codec codec)
{
    static const size_t sizes[] = {
        0,
        1,
        TEST_FRAME - 1,
        TEST_FRAME,
        TEST_FRAME + 1,
        2 * TEST_FRAME,
        16 * TEST_FRAME,
        100 * TEST_FRAME + 12345,
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_size(codec, FILL_TEXT, sizes[i]);
        check_size(codec, FILL_NOISE, sizes[i]);
    }
}

static void zstd__prints_exactly_the_payload(void **state)
{
    (void)state;
    check_sizes(CODEC_ZSTD);
}

static void gzip__prints_exactly_the_payload(void **state)
{
    (void)state;
    check_sizes(CODEC_GZIP);
}

static int tools_are_there(void **state)
{
    struct run r;
    (void)state;
    run("which zstd gzip", "sh", &r);
    buf_finish(&r.out);
    if (r.status != 0)
        print_error("needs the commands zstd and gzip\n");
    return r.status != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zstd__prints_exactly_the_payload),
        cmocka_unit_test(gzip__prints_exactly_the_payload),
    };
    return cmocka_run_group_tests_name("format.stock", tests, tools_are_there,
                                       NULL);
}
