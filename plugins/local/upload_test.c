/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads: parts in any order, what a commit demands, and how they end. */
#include "testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/io.h"
#include "posix/io_fault.h"
#include "posix/scratch.h"

static void commit__makes_one_object_of_parts_in_any_order(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "a/b", IF_ABSENT, 100), OK);
    assert_int_equal(kit_part_at(k, &u, 3, 6, "789", 3), OK);
    assert_int_equal(kit_part_at(k, &u, 1, 0, "xxx", 3), OK);
    assert_int_equal(kit_part_at(k, &u, 2, 3, "456", 3), OK);
    assert_int_equal(kit_part_at(k, &u, 1, 0, "123", 3), OK); /* again */
    u.n = 3;
    assert_int_equal(kit_head(k, "a/b", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);

    kit_holds(k, "a/b", "123456789");
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_EXISTS);
    assert_int_equal(kit_commit(k, &u, 0), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_abort(k, "a/b", u.id), OK);
    assert_int_equal(kit_delete(k, "a/b", NULL), OK);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_INVALID);
}

static void commit__takes_an_empty_object(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "e", IF_ABSENT, 0), OK);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_part(k, &u, "", 0), OK);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    kit_holds(k, "e", "");
}

static void commit__decides_whatever_begin_was_told(void **state)
{
    struct kit *k = *state;

    for (uint32_t begun = 0; begun < 2; begun++)
        for (uint32_t committed = 0; committed < 2; committed++) {
            struct kit_upload u;
            int32_t rc;

            assert_int_equal(kit_put(k, "a", "old", 0), OK);
            assert_int_equal(kit_begin(k, &u, "a", begun, 0), OK);
            assert_int_equal(kit_part(k, &u, "new", 3), OK);
            rc = kit_commit(k, &u, committed);
            assert_int_equal(rc, committed ? PERSIST_BACKEND_EXISTS : OK);
            kit_holds(k, "a", committed ? "old" : "new");
            if (rc == PERSIST_BACKEND_EXISTS) { /* it is still there */
                assert_int_equal(kit_delete(k, "a", NULL), OK);
                assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
                kit_holds(k, "a", "new");
            }
            assert_int_equal(kit_abort(k, "a", u.id), OK);
            assert_int_equal(scratch_count_temps(k->root), 0);
        }
}

/* What the host may have mixed up, one thing each. */
static void commit__refuses_what_is_not_proven(void **state)
{
    struct kit *k = *state;

    for (int wrong = 0; wrong < 9; wrong++) {
        struct kit_upload u, other;
        struct persist_backend_receipt saved;

        assert_int_equal(kit_begin(k, &other, "b", IF_ABSENT, 0), OK);
        assert_int_equal(kit_part(k, &other, "123", 3), OK);
        assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
        for (int i = 0; i < 3; i++)
            assert_int_equal(kit_part(k, &u, "123", 3), OK);
        saved = u.receipts[1];
        switch (wrong) {
        case 0: /* a hole */
            u.receipts[1] = u.receipts[2];
            u.n = 2;
            break;
        case 1: /* out of order */
            u.receipts[1] = u.receipts[2];
            u.receipts[2] = saved;
            break;
        case 2: /* twice the same */
            u.receipts[2] = u.receipts[1];
            break;
        case 3: /* another upload's */
            u.receipts[0].receipt = other.proofs[0];
            break;
        case 4:
            u.receipts[1].crc32c ^= 1;
            break;
        case 5:
            u.receipts[1].len++;
            break;
        case 6:
            u.receipts[1].receipt_len--;
            break;
        case 7: /* not the beginning */
            u.receipts[0] = u.receipts[1];
            u.receipts[1] = u.receipts[2];
            u.n = 2;
            break;
        default:
            u.receipts[2].number = 4;
            break;
        }
        assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
        assert_int_equal(kit_abort(k, "a", u.id), OK);
        assert_int_equal(kit_abort(k, "b", other.id), OK);
    }
}

/* Numbers ascend: one number that was sent for two places is no proof. */
static void commit__refuses_a_number_used_twice(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part_at(k, &u, 1, 0, "123", 3), OK);
    memcpy(u.proofs[1], u.proofs[0], sizeof(u.proofs[0]));
    u.receipts[1] = u.receipts[0];
    u.receipts[1].receipt = u.proofs[1];
    assert_int_equal(kit_part_at(k, &u, 1, 3, "456", 3), OK);
    {
        struct persist_backend_receipt first = u.receipts[1];

        u.receipts[1] = u.receipts[0];
        u.receipts[0] = first;
    }
    u.n = 2;
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_abort(k, "a", u.id), OK);
}

/* Ids and receipts count from 1 in every opened store. */
static void commit__refuses_what_another_store_received(void **state)
{
    struct kit *k = *state;
    struct kit_upload own, other;
    void *own_store = k->store, *other_store;

    assert_int_equal(kit_open(k, NULL, &other_store), OK);
    assert_int_equal(kit_begin(k, &own, "a", IF_ABSENT, 0), OK);
    k->store = other_store;
    assert_int_equal(kit_begin(k, &other, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &other, "123", 3), OK);
    assert_int_equal(kit_part(k, &own, "123", 3), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_abort(k, "a", own.id), OK); /* and does nothing */
    k->store = own_store;
    own.receipts[0] = other.receipts[0];
    own.n = 1;
    assert_int_equal(kit_commit(k, &own, IF_ABSENT), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_part_at(k, &own, 1, 0, "123", 3), OK);
    assert_int_equal(kit_commit(k, &own, IF_ABSENT), OK);
    k->ops->close(other_store);
}

static void commit__checks_size_and_checksum_of_the_whole(void **state)
{
    static const char text[] = "the parts make this, and nothing else";
    struct kit *k = *state;
    struct kit_upload u;
    struct persist_backend_commit_args args = {
        .struct_size = sizeof(args),
        .flags = IF_ABSENT,
        .key = "a",
        .upload_id = u.id,
        .receipts = u.receipts,
        .receipt_size = sizeof(u.receipts[0]),
        .present = PERSIST_BACKEND_HAS_CRC32C | PERSIST_BACKEND_HAS_SIZE};
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};
    size_t len = strlen(text);

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &u, text, 1), OK);
    assert_int_equal(kit_part(k, &u, text + 1, 20), OK);
    assert_int_equal(kit_part(k, &u, text + 21, len - 21), OK);
    args.n_receipts = u.n;
    args.size = len;
    args.crc32c = kit_crc(text, len) ^ 1;
    assert_int_equal(
        k->ops->upload_commit(k->store, &k->call, &args, &result, &k->error),
        PERSIST_BACKEND_CORRUPT);
    args.crc32c ^= 1;
    args.size = len - 1;
    assert_int_equal(
        k->ops->upload_commit(k->store, &k->call, &args, &result, &k->error),
        PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
    args.size = len;
    assert_int_equal(
        k->ops->upload_commit(k->store, &k->call, &args, &result, &k->error),
        OK);
    kit_holds(k, "a", text);
}

static void crc_combine__equals_the_checksum_of_the_whole(void **state)
{
    uint8_t bytes[3000];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7 + i / 256);
    /* RFC 3720, B.4: 32 bytes of zeros */
    assert_int_equal(
        kit_crc("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                "\0\0\0\0\0\0\0",
                32),
        0x8a9136aa);
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 61)
        assert_int_equal(crc_combine(kit_crc(bytes, cut),
                                     kit_crc(bytes + cut, sizeof(bytes) - cut),
                                     sizeof(bytes) - cut),
                         kit_crc(bytes, sizeof(bytes)));
}

static void part__refuses_bad_ids_keys_places_and_bytes(void **state)
{
    static const char *const ids[] = {"",
                                      "up-",
                                      "nonsense",
                                      "tmp:x",
                                      "up-0000000000000000-000000000000000g",
                                      "up-0000000000000000-0000000000000001",
                                      "up-0000000000000000-00000000000000010"};
    struct kit *k = *state;
    struct kit_upload u, bad;
    struct persist_backend_part_args args = {.struct_size = sizeof(args),
                                             .key = "a",
                                             .upload_id = u.id,
                                             .data = "x",
                                             .len = 1,
                                             .number = 1,
                                             .present =
                                                 PERSIST_BACKEND_HAS_CRC32C,
                                             .crc32c = 1};
    struct persist_backend_part_result result = {.struct_size = sizeof(result)};

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        bad = u;
        (void)snprintf(bad.id, sizeof(bad.id), "%s", ids[i]);
        assert_int_equal(kit_part(k, &bad, "x", 1), PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_commit(k, &bad, IF_ABSENT),
                         PERSIST_BACKEND_INVALID);
    }
    bad = u;
    bad.key = "b";
    assert_int_equal(kit_part(k, &bad, "x", 1), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_commit(k, &bad, IF_ABSENT), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_part_at(k, &u, 0, 0, "x", 1), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_part_at(k, &u, 1, UINT64_MAX, "x", 1),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_part_at(k, &u, 1, INT64_MAX, "x", 1),
                     PERSIST_BACKEND_INVALID);
    assert_int_equal(
        k->ops->upload_part(k->store, &k->call, &args, &result, &k->error),
        PERSIST_BACKEND_CORRUPT);
    assert_int_equal(kit_begin(k, &bad, "../a", IF_ABSENT, 0),
                     PERSIST_BACKEND_INVALID);
}

static void part__makes_a_receipt_where_no_checksum_came(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    struct persist_backend_part_args args = {.struct_size = sizeof(args),
                                             .key = "a",
                                             .upload_id = u.id,
                                             .data = "x",
                                             .len = 1,
                                             .number = 1};
    struct persist_backend_part_result result = {.struct_size = sizeof(result)};

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(
        k->ops->upload_part(k->store, &k->call, &args, &result, &k->error), OK);
    u.receipts[0] =
        (struct persist_backend_receipt){.len = 1,
                                         .number = 1,
                                         .crc32c = kit_crc("x", 1),
                                         .receipt_len = result.receipt_len,
                                         .receipt = result.receipt};
    u.n = 1;
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    kit_holds(k, "a", "x");
}

static void abort__leaves_nothing_and_is_idempotent(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    unsigned fds = scratch_open_fds();

    assert_int_equal(kit_put(k, "f/x", "x", IF_ABSENT), OK);
    fds = scratch_open_fds();
    for (uint32_t flags = 0; flags < 2; flags++) {
        assert_int_equal(kit_begin(k, &u, "f/a", flags, 1 << 20), OK);
        assert_int_equal(kit_part(k, &u, "123", 3), OK);
        atomic_store(&kit_cancel_after, 0); /* aborts run on cancelled calls */
        assert_int_equal(kit_abort(k, "f/a", u.id), OK);
        assert_int_equal(kit_abort(k, "f/a", u.id), OK);
        atomic_store(&kit_cancel_after, -1);
        assert_int_equal(kit_part(k, &u, "x", 1), PERSIST_BACKEND_INVALID);
        assert_int_equal(kit_head(k, "f/a", NULL), PERSIST_BACKEND_NOT_FOUND);
        assert_int_equal(scratch_count_temps(k->root), 0);
        assert_int_equal(scratch_open_fds(), fds);
    }
    assert_int_equal(kit_abort(k, "a", "nonsense"), PERSIST_BACKEND_INVALID);
    assert_int_equal(kit_begin(k, &u, "f/open-at-close", 0, 0), OK);
}

/* A write-back error is told once, by whichever call asks: it must not be lost
 * between sync_file_range and fsync. */
static void commit__fails_after_a_write_back_error(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    io_fault_set(IO_SYNC_FILE_RANGE, 1, 1, EIO);
    assert_int_equal(kit_part(k, &u, "456", 3), PERSIST_BACKEND_IO);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_IO);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_IO);
    assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
    assert_int_equal(kit_abort(k, "a", u.id), OK);
}

static void commit__fails_for_good_after_a_failed_sync(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    io_fault_set(IO_FSYNC, 1, 1, ENOSPC);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_NO_SPACE);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_IO);
    assert_int_equal(kit_abort(k, "a", u.id), OK);
    assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
}

static void commit__is_over_when_only_the_folder_failed(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    io_fault_set(IO_FSYNC, 2, 1, EIO);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_NOT_DURABLE);
    kit_holds(k, "a", "123");
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), PERSIST_BACKEND_EXISTS);
}

static void commit__can_be_repeated_after_it_was_stopped(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;
    int stopped = 0;

    assert_int_equal(kit_begin(k, &u, "a", IF_ABSENT, 0), OK);
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    for (int looks = 0; looks < 8; looks++) {
        int32_t rc;

        atomic_store(&kit_cancel_after, looks);
        rc = kit_commit(k, &u, IF_ABSENT);
        atomic_store(&kit_cancel_after, -1);
        if (rc == OK)
            break;
        assert_int_equal(rc, PERSIST_BACKEND_CANCELLED);
        assert_int_equal(kit_head(k, "a", NULL), PERSIST_BACKEND_NOT_FOUND);
        stopped++;
    }
    assert_in_range(stopped, 2, 6);
    kit_holds(k, "a", "123");
}

/* The folder goes away, or elsewhere, while the upload runs. */
static void commit__finds_the_folder_of_today(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    if (IO_UNNAMED == 0)
        skip();
    for (int moved = 0; moved < 2; moved++) {
        assert_int_equal(kit_begin(k, &u, "f/a", IF_ABSENT, 0), OK);
        assert_int_equal(kit_part(k, &u, "123", 3), OK);
        if (moved)
            assert_int_equal(
                rename(scratch_join(k->root, "f"), scratch_join(k->base, "f")),
                0);
        else
            assert_int_equal(rmdir(scratch_join(k->root, "f")), 0);
        assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
        kit_holds(k, "f/a", "123");
        assert_int_equal(kit_delete(k, "f/a", NULL), OK);
    }
    assert_int_equal(scratch_count(scratch_join(k->base, "f")), 0);
}

static void begin__reserves_and_reports_a_full_disk_early(void **state)
{
    struct kit *k = *state;
    struct kit_upload u;

    io_fault_set(IO_FALLOCATE, 1, 1, ENOSPC);
    assert_int_equal(kit_begin(k, &u, "f/a", IF_ABSENT, 1 << 20),
                     PERSIST_BACKEND_NO_SPACE);
    io_fault_set(IO_OPENAT, 1, 1, ENOENT);
    assert_int_equal(kit_begin(k, &u, "f/a", IF_ABSENT, 1 << 20), OK);
    assert_int_equal(kit_part(k, &u, "123", 3), OK);
    assert_int_equal(kit_commit(k, &u, IF_ABSENT), OK);
    kit_holds(k, "f/a", "123");
    {
        struct stat st;

        assert_int_equal(stat(scratch_join(k->root, "f/a"), &st), 0);
        assert_in_range((uint64_t)st.st_blocks, 0, 128);
    }
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, kit_setup, kit_teardown)
    const struct CMUnitTest tests[] = {
        T(commit__makes_one_object_of_parts_in_any_order),
        T(commit__takes_an_empty_object),
        T(commit__decides_whatever_begin_was_told),
        T(commit__refuses_what_is_not_proven),
        T(commit__refuses_a_number_used_twice),
        T(commit__refuses_what_another_store_received),
        T(commit__checks_size_and_checksum_of_the_whole),
        T(crc_combine__equals_the_checksum_of_the_whole),
        T(part__refuses_bad_ids_keys_places_and_bytes),
        T(part__makes_a_receipt_where_no_checksum_came),
        T(abort__leaves_nothing_and_is_idempotent),
        T(commit__fails_after_a_write_back_error),
        T(commit__fails_for_good_after_a_failed_sync),
        T(commit__is_over_when_only_the_folder_failed),
        T(commit__can_be_repeated_after_it_was_stopped),
        T(commit__finds_the_folder_of_today),
        T(begin__reserves_and_reports_a_full_disk_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
