/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every allocation of this room fails, once and once for good: the answer is
 * MEMORY, or the NULL that means it, never corrupt and never a crash, and
 * nothing leaks (ASan).  The linker routes this program's malloc family here
 * (--wrap); jansson is told through its own hook.
 */
#include "format/test_support.h"

#include <jansson.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);

static long countdown = -1; /* the allocation that fails; -1: none */
static bool for_good;
static bool has_failed;

static bool fails_now(void)
{
    if (countdown < 0)
        return false;
    if (countdown > 0) {
        countdown--;
        return false;
    }
    has_failed = true;
    if (!for_good)
        countdown = -1;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails_now() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails_now() ? NULL : __real_realloc(old, size);
}

/* One step of the sweep: OK, MEMORY, or something that must not be. */
typedef int (*step_fn)(const void *arg);

static void sweep(const char *what, step_fn step, const void *arg)
{
    for (int good = 0; good < 2; good++) {
        long n = 0;
        do {
            countdown = n;
            for_good = good;
            has_failed = false;
            int rc = step(arg);
            countdown = -1;
            if (rc != (has_failed ? PERSIST_E_MEMORY : PERSIST_OK))
                fail_msg("%s: status %d after allocation %ld failed", what, rc,
                         n);
            n++;
        } while (has_failed);
        assert_true(n > 1);
    }
}

/* ------------------------------------------------------------------ steps */

struct input {
    enum codec codec;
    const struct buf *object;
};

static int write_snapshot(const void *arg)
{
    const struct input *in = arg;
    struct persist_metadata m = test_metadata(in->codec);
    struct snapshot_tail t;
    struct buf out;
    uint8_t sha256[32] = {0};
    buf_init(&out, 100000);
    snapshot_tail_init(&t, in->codec, TEST_FRAME);
    int rc = snapshot_header_encode(in->codec, &m, &out, NULL);
    size_t header_len = out.len;
    for (int i = 0; !rc && i < 20; i++)
        rc = snapshot_tail_frame(&t, 100, TEST_FRAME, 1, NULL);
    if (!rc)
        rc = snapshot_tail_encode(&t, out.data, header_len, sha256, &m, &out,
                                  NULL);
    snapshot_tail_finish(&t);
    buf_finish(&out);
    return rc;
}

static int read_map(const void *arg)
{
    const struct input *in = arg;
    struct snapshot_map map;
    uint64_t need = 0;
    int rc = snapshot_map_parse(in->object->data, in->object->len,
                                in->object->len, &map, &need, NULL);
    if (!rc)
        snapshot_map_finish(&map);
    return rc;
}

static int read_header(const void *arg)
{
    const struct input *in = arg;
    struct persist_metadata *m = NULL;
    uint64_t need = 0;
    size_t header_len = 0;
    enum codec codec;
    int rc = snapshot_header_parse(in->object->data, in->object->len, &need,
                                   &codec, &header_len, &m, NULL);
    persist_metadata_free(m);
    return rc;
}

static int scan_object(const void *arg)
{
    const struct input *in = arg;
    struct persist_metadata *m = NULL;
    struct snapshot_scan *s = snapshot_scan_create(NULL, NULL, NULL);
    if (!s)
        return PERSIST_E_MEMORY;
    int rc = snapshot_scan_feed(s, in->object->data, in->object->len, NULL);
    if (!rc)
        rc = snapshot_scan_end(s, &m, NULL);
    snapshot_scan_destroy(s);
    persist_metadata_free(m);
    return rc;
}

static int copy_and_print(const void *arg)
{
    const struct input *in = arg;
    struct persist_metadata m = test_metadata(in->codec);
    char *text = NULL;
    struct persist_metadata *copy = metadata_copy(&m);
    if (!copy)
        return PERSIST_E_MEMORY;
    int rc = persist_metadata_json(copy, &text, NULL);
    free(text);
    persist_metadata_free(copy);
    return rc;
}

static int make_codecs(const void *arg)
{
    const struct input *in = arg;
    struct frame_encoder *e = frame_encoder_create(in->codec, 1, TEST_FRAME);
    struct frame_decoder *d = frame_decoder_create(in->codec, TEST_FRAME);
    int rc = e && d ? PERSIST_OK : PERSIST_E_MEMORY;
    frame_encoder_destroy(e);
    frame_decoder_destroy(d);
    return rc;
}

static int read_claim(const void *arg)
{
    static const struct marker marker = {TEST_ID, TEST_TIME, "host"};
    struct marker found;
    char claim[CLAIM_LEN];
    (void)arg;
    claim_encode(&marker, claim);
    return claim_decode(claim, sizeof(claim), &found, NULL);
}

static void every_allocation__may_fail(void **state)
{
    (void)state;
    for (int codec = CODEC_ZSTD; codec <= CODEC_GZIP; codec++) {
        struct test_snapshot s;
        uint8_t *payload = test_payload(FILL_TEXT, 3 * TEST_FRAME);
        test_snapshot_make(&s, (enum codec)codec, 1, payload, 3 * TEST_FRAME);
        struct input in = {.codec = (enum codec)codec, .object = &s.object};
        sweep("write", write_snapshot, &in);
        sweep("map", read_map, &in);
        sweep("header", read_header, &in);
        sweep("scan", scan_object, &in);
        sweep("copy", copy_and_print, &in);
        sweep("codecs", make_codecs, &in);
        test_snapshot_finish(&s);
        free(payload);
    }
    sweep("claim", read_claim, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation__may_fail),
    };
    json_set_alloc_funcs(__wrap_malloc, free);
    return cmocka_run_group_tests_name("format.memory", tests, NULL, NULL);
}
