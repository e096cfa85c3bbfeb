/* SPDX-License-Identifier: Apache-2.0 */
/* Commits against a server that plays back what a test wrote down: how long an
 * answer is waited for, and what becomes of an upload that another process had
 * finished. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gcs/gcs.h"
#include "gcs/options.h"
#include "support/testkit.h"

#define DATA "123456789"
#define IF_ABSENT PERSIST_BACKEND_IF_ABSENT

struct fixture {
    struct server *server;
    const struct persist_backend_ops *ops;
    void *store;
    struct persist_backend_call call;
    struct persist_backend_error err;
    char begun[256], url[128]; /* the reply to upload_begin; the endpoint */
};

static void set(struct persist_backend_value values[GCS_N_OPTIONS],
                const char *key, const char *text, int64_t number)
{
    for (size_t i = 0; i < GCS_N_OPTIONS; i++) {
        values[i].key = gcs_option_table[i].key;
        if (strcmp(values[i].key, key) != 0)
            continue;
        values[i].text = text;
        values[i].number = number;
        values[i].flags = PERSIST_BACKEND_VALUE_SET;
    }
}

/* A store whose server answers a beginning, and then as `commit` says. */
static void open_store(struct fixture *f, struct script script[2],
                       struct script commit)
{
    struct persist_backend_value values[GCS_N_OPTIONS] = {{0}};
    const struct persist_backend_config config = {.struct_size = sizeof(config),
                                                  .n_values = GCS_N_OPTIONS,
                                                  .value_size =
                                                      sizeof(values[0]),
                                                  .values = values};

    kit_reset();
    *f = (struct fixture){.ops = persist_backend_entry_v1(&kit_host)->ops,
                          .call = kit_call(),
                          .err = {.struct_size = sizeof(f->err)}};
    script[0] = (struct script){.bytes = f->begun};
    script[1] = commit;
    f->server = server_start(script, 2);
    (void)snprintf(f->url, sizeof(f->url), "%s", server_url(f->server, ""));
    (void)snprintf(f->begun, sizeof(f->begun),
                   "HTTP/1.1 200 OK\r\nLocation: %s/upload?upload_id=u\r\n"
                   "Content-Length: 0\r\n\r\n",
                   f->url);
    set(values, "bucket", "bucket", 0);
    set(values, "endpoint", f->url, 0);
    set(values, "anonymous", NULL, 1);
    set(values, "chunk_size", NULL, 64 << 20);
    set(values, "stall_timeout", NULL, 300);
    assert_int_equal(f->ops->init(&kit_host, &f->err), OK);
    assert_int_equal(f->ops->open(&kit_host, &config, &f->store, &f->err), OK);
}

/* Begin, the only part, commit: what the last one answers. */
static int32_t upload(struct fixture *f)
{
    struct persist_backend_begin_args begin = {.struct_size = sizeof(begin),
                                               .flags = IF_ABSENT,
                                               .key = "k",
                                               .content_type =
                                                   "application/octet-stream"};
    struct persist_backend_begin_result begun = {.struct_size = sizeof(begun)};
    struct persist_backend_part_args part = {.struct_size = sizeof(part),
                                             .is_last = 1,
                                             .key = "k",
                                             .upload_id = begun.upload_id,
                                             .data = DATA,
                                             .len = 9,
                                             .number = 1};
    struct persist_backend_part_result sent = {.struct_size = sizeof(sent)};
    struct persist_backend_receipt receipt = {.len = 9,
                                              .number = 1,
                                              .crc32c =
                                                  kit_host.crc32c(0, DATA, 9),
                                              .receipt = sent.receipt};
    struct persist_backend_commit_args commit = {.struct_size = sizeof(commit),
                                                 .flags = IF_ABSENT,
                                                 .key = "k",
                                                 .upload_id = begun.upload_id,
                                                 .receipts = &receipt,
                                                 .n_receipts = 1,
                                                 .receipt_size =
                                                     sizeof(receipt)};
    struct persist_backend_commit_result done = {.struct_size = sizeof(done)};

    assert_int_equal(
        f->ops->upload_begin(f->store, &f->call, &begin, &begun, &f->err), OK);
    assert_int_equal(
        f->ops->upload_part(f->store, &f->call, &part, &sent, &f->err), OK);
    receipt.receipt_len = sent.receipt_len;
    return f->ops->upload_commit(f->store, &f->call, &commit, &done, &f->err);
}

static void close_store(struct fixture *f)
{
    f->ops->close(f->store);
    server_stop(f->server);
    assert_int_equal(atomic_load(&kit_blocks), 0);
}

#define OBJECT "{\"size\":\"9\",\"generation\":\"7\",\"crc32c\":\"4waSgw==\"}"

static void commit__may_take_its_time(void **state)
{
    struct script script[2];
    struct fixture f;

    (void)state;
    open_store(&f, script,
               (struct script){.bytes = "HTTP/1.1 200 OK\r\nContent-Length: "
                                        "49\r\n\r\n" OBJECT,
                               .pause_ms = 900});
    assert_int_equal(sizeof(OBJECT) - 1, 49);
    assert_int_equal(upload(&f), OK);
    assert_non_null(strstr(server_head(f.server, 1), "bytes 0-8/9\r\n"));
    close_store(&f);
}

static void *ten_minutes_later(void *server)
{
    while (server_requests(server) < 2)
        (void)usleep(1000);
    atomic_store(&kit_ahead, 601000 * MS);
    return NULL;
}

static void commit__ends_where_nothing_comes(void **state)
{
    struct script script[2];
    struct fixture f;
    pthread_t thread;

    (void)state;
    open_store(&f, script, (struct script){.then = THEN_STALL});
    assert_int_equal(pthread_create(&thread, NULL, ten_minutes_later, f.server),
                     0);
    assert_int_equal(upload(&f), PERSIST_BACKEND_UNCERTAIN);
    assert_non_null(strstr(f.err.message, "no reply in time"));
    (void)pthread_join(thread, NULL);
    close_store(&f);
}

/* ------------------------------------------- what another process committed */

#define OTHER "{\"size\":\"8\",\"generation\":\"7\",\"crc32c\":\"AAAAAA==\"}"
#define FINISHED "HTTP/1.1 200 OK\r\nContent-Length: 49\r\n\r\n" OTHER

static void put_le(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * i));
}

/* The id of an upload that this process has not begun. */
static void id_of_another(const struct fixture *f, char out[256])
{
    (void)snprintf(out, 256, "a:%s/upload?upload_id=u", f->url);
}

/* Somebody may have been told that it is there. */
static void commit__leaves_what_another_has_committed(void **state)
{
    struct script script[2];
    struct fixture f;
    char id[256];
    uint8_t bytes[24];
    const struct persist_backend_receipt receipt = {.len = 9,
                                                    .number = 1,
                                                    .crc32c = 1,
                                                    .receipt = bytes,
                                                    .receipt_len = 24};
    const struct persist_backend_commit_args commit = {
        .struct_size = sizeof(commit),
        .flags = IF_ABSENT,
        .key = "k",
        .upload_id = id,
        .receipts = &receipt,
        .n_receipts = 1,
        .receipt_size = sizeof(receipt)};
    struct persist_backend_commit_result done = {.struct_size = sizeof(done)};

    (void)state;
    open_store(&f, script, (struct script){.bytes = NULL});
    script[0].bytes = FINISHED;
    id_of_another(&f, id);
    put_le(bytes, 0, 8);
    put_le(bytes + 8, 9, 8);
    put_le(bytes + 16, 1, 4);
    put_le(bytes + 20, kit_host.crc32c(0, id, strlen(id)), 4);
    assert_int_equal(
        f.ops->upload_commit(f.store, &f.call, &commit, &done, &f.err),
        PERSIST_BACKEND_EXISTS);
    assert_non_null(strstr(server_head(f.server, 0), "bytes */*\r\n"));
    assert_int_equal(server_requests(f.server), 1);
    close_store(&f);
}

static void part__leaves_what_another_has_committed(void **state)
{
    struct script script[2];
    struct fixture f;
    char id[256];
    const struct persist_backend_part_args part = {.struct_size = sizeof(part),
                                                   .is_last = 1,
                                                   .key = "k",
                                                   .upload_id = id,
                                                   .data = DATA,
                                                   .len = 9,
                                                   .number = 1};
    struct persist_backend_part_result sent = {.struct_size = sizeof(sent)};

    (void)state;
    open_store(&f, script, (struct script){.bytes = NULL});
    script[0].bytes = FINISHED;
    id_of_another(&f, id);
    assert_int_equal(f.ops->upload_part(f.store, &f.call, &part, &sent, &f.err),
                     PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(server_requests(f.server), 1);
    close_store(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commit__may_take_its_time),
        TEST(commit__ends_where_nothing_comes),
        TEST(commit__leaves_what_another_has_committed),
        TEST(part__leaves_what_another_has_committed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
