/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ABI 1.0 as numbers: the size of every public struct and the place of
 * every member, where pointers have 64 bits; no member's type is wider or
 * narrower on another system of that kind.
 *
 * A line that places a member never changes.  A minor that appends a member
 * adds its line and raises that struct's SIZE; nothing else here may be
 * touched.
 */
#include <persist/backend.h>

#define SIZE(name, bytes)                                                      \
    _Static_assert(sizeof(struct persist_backend_##name) == (bytes),           \
                   "the size of persist_backend_" #name " changed")
#define AT(name, member, bytes)                                                \
    _Static_assert(offsetof(struct persist_backend_##name, member) == (bytes), \
                   "persist_backend_" #name "." #member " moved")

#if UINTPTR_MAX == UINT64_MAX
SIZE(error, 728);
AT(error, struct_size, 0);
AT(error, present, 4);
AT(error, os_errno, 8);
AT(error, http_status, 12);
AT(error, retry_after_ms, 16);
AT(error, provider_code, 24);
AT(error, request_id, 88);
AT(error, message, 216);

SIZE(call, 40);
AT(call, struct_size, 0);
AT(call, present, 4);
AT(call, deadline_ns, 8);
AT(call, attempt, 16);
AT(call, reserved, 20);
AT(call, host_call, 24);
AT(call, traceparent, 32);

SIZE(host, 112);
AT(host, struct_size, 0);
AT(host, abi_major, 4);
AT(host, abi_minor, 6);
AT(host, version, 8);
AT(host, log, 16);
AT(host, log_enabled, 24);
AT(host, alloc, 32);
AT(host, free, 40);
AT(host, monotonic_ns, 48);
AT(host, wall_us, 56);
AT(host, random, 64);
AT(host, is_cancelled, 72);
AT(host, cancel_fd, 80);
AT(host, secret, 88);
AT(host, crc32c, 96);
AT(host, get_extension, 104);

SIZE(option, 72);
AT(option, key, 0);
AT(option, alias, 8);
AT(option, default_text, 16);
AT(option, choices, 24);
AT(option, help, 32);
AT(option, since, 40);
AT(option, min, 48);
AT(option, max, 56);
AT(option, type, 64);
AT(option, flags, 68);

SIZE(value, 40);
AT(value, key, 0);
AT(value, text, 8);
AT(value, items, 16);
AT(value, number, 24);
AT(value, n_items, 32);
AT(value, flags, 36);

SIZE(config, 40);
AT(config, struct_size, 0);
AT(config, n_values, 4);
AT(config, value_size, 8);
AT(config, reserved, 12);
AT(config, values, 16);
AT(config, host_store, 24);
AT(config, store_name, 32);

SIZE(limits, 64);
AT(limits, struct_size, 0);
AT(limits, flags, 4);
AT(limits, part_min, 8);
AT(limits, part_max, 16);
AT(limits, part_align, 24);
AT(limits, put_max, 32);
AT(limits, object_max, 40);
AT(limits, parts_max, 48);
AT(limits, parallel_max, 52);
AT(limits, key_max, 56);
AT(limits, reserved, 60);

SIZE(put_args, 48);
AT(put_args, struct_size, 0);
AT(put_args, flags, 4);
AT(put_args, key, 8);
AT(put_args, data, 16);
AT(put_args, len, 24);
AT(put_args, present, 32);
AT(put_args, crc32c, 36);
AT(put_args, content_type, 40);

SIZE(put_result, 264);
AT(put_result, struct_size, 0);
AT(put_result, reserved, 4);
AT(put_result, etag, 8);

SIZE(put_many_args, 24);
AT(put_many_args, struct_size, 0);
AT(put_many_args, n_items, 4);
AT(put_many_args, item_size, 8);
AT(put_many_args, reserved, 12);
AT(put_many_args, items, 16);

SIZE(put_many_result, 16);
AT(put_many_result, struct_size, 0);
AT(put_many_result, n_statuses, 4);
AT(put_many_result, statuses, 8);

SIZE(begin_args, 40);
AT(begin_args, struct_size, 0);
AT(begin_args, flags, 4);
AT(begin_args, key, 8);
AT(begin_args, present, 16);
AT(begin_args, reserved, 20);
AT(begin_args, size, 24);
AT(begin_args, content_type, 32);

SIZE(begin_result, 4104);
AT(begin_result, struct_size, 0);
AT(begin_result, reserved, 4);
AT(begin_result, upload_id, 8);

SIZE(part_args, 64);
AT(part_args, struct_size, 0);
AT(part_args, is_last, 4);
AT(part_args, key, 8);
AT(part_args, upload_id, 16);
AT(part_args, offset, 24);
AT(part_args, data, 32);
AT(part_args, len, 40);
AT(part_args, number, 48);
AT(part_args, present, 52);
AT(part_args, crc32c, 56);
AT(part_args, reserved, 60);

SIZE(part_result, 264);
AT(part_result, struct_size, 0);
AT(part_result, receipt_len, 4);
AT(part_result, receipt, 8);

SIZE(receipt, 40);
AT(receipt, offset, 0);
AT(receipt, len, 8);
AT(receipt, number, 16);
AT(receipt, crc32c, 20);
AT(receipt, receipt_len, 24);
AT(receipt, reserved, 28);
AT(receipt, receipt, 32);

SIZE(commit_args, 56);
AT(commit_args, struct_size, 0);
AT(commit_args, flags, 4);
AT(commit_args, key, 8);
AT(commit_args, upload_id, 16);
AT(commit_args, receipts, 24);
AT(commit_args, n_receipts, 32);
AT(commit_args, receipt_size, 36);
AT(commit_args, present, 40);
AT(commit_args, crc32c, 44);
AT(commit_args, size, 48);

SIZE(commit_result, 264);
AT(commit_result, struct_size, 0);
AT(commit_result, reserved, 4);
AT(commit_result, etag, 8);

SIZE(abort_args, 24);
AT(abort_args, struct_size, 0);
AT(abort_args, reserved, 4);
AT(abort_args, key, 8);
AT(abort_args, upload_id, 16);

SIZE(read_args, 48);
AT(read_args, struct_size, 0);
AT(read_args, mode, 4);
AT(read_args, key, 8);
AT(read_args, offset, 16);
AT(read_args, buffer, 24);
AT(read_args, len, 32);
AT(read_args, etag, 40);

SIZE(read_result, 288);
AT(read_result, struct_size, 0);
AT(read_result, reserved, 4);
AT(read_result, len, 8);
AT(read_result, offset, 16);
AT(read_result, total, 24);
AT(read_result, etag, 32);

SIZE(head_args, 16);
AT(head_args, struct_size, 0);
AT(head_args, reserved, 4);
AT(head_args, key, 8);

SIZE(head_result, 280);
AT(head_result, struct_size, 0);
AT(head_result, present, 4);
AT(head_result, size, 8);
AT(head_result, modified_us, 16);
AT(head_result, etag, 24);

SIZE(delete_args, 16);
AT(delete_args, struct_size, 0);
AT(delete_args, reserved, 4);
AT(delete_args, key, 8);

SIZE(delete_result, 8);
AT(delete_result, struct_size, 0);
AT(delete_result, was, 4);

SIZE(entry, 40);
AT(entry, struct_size, 0);
AT(entry, flags, 4);
AT(entry, key, 8);
AT(entry, size, 16);
AT(entry, modified_us, 24);
AT(entry, present, 32);
AT(entry, reserved, 36);

SIZE(list_args, 48);
AT(list_args, struct_size, 0);
AT(list_args, limit, 4);
AT(list_args, prefix, 8);
AT(list_args, start_after, 16);
AT(list_args, delimiter, 24);
AT(list_args, emit, 32);
AT(list_args, emit_ctx, 40);

SIZE(list_result, 8);
AT(list_result, struct_size, 0);
AT(list_result, more, 4);

SIZE(upload, 40);
AT(upload, struct_size, 0);
AT(upload, present, 4);
AT(upload, key, 8);
AT(upload, upload_id, 16);
AT(upload, size, 24);
AT(upload, modified_us, 32);

SIZE(list_uploads_args, 32);
AT(list_uploads_args, struct_size, 0);
AT(list_uploads_args, reserved, 4);
AT(list_uploads_args, prefix, 8);
AT(list_uploads_args, emit, 16);
AT(list_uploads_args, emit_ctx, 24);

SIZE(list_uploads_result, 8);
AT(list_uploads_result, struct_size, 0);
AT(list_uploads_result, reserved, 4);

SIZE(finding, 32);
AT(finding, struct_size, 0);
AT(finding, verdict, 4);
AT(finding, name, 8);
AT(finding, value, 16);
AT(finding, hint, 24);

SIZE(probe_args, 24);
AT(probe_args, struct_size, 0);
AT(probe_args, reserved, 4);
AT(probe_args, emit, 8);
AT(probe_args, emit_ctx, 16);

SIZE(probe_result, 8);
AT(probe_result, struct_size, 0);
AT(probe_result, reserved, 4);

SIZE(ops, 136);
AT(ops, struct_size, 0);
AT(ops, reserved, 4);
AT(ops, init, 8);
AT(ops, open, 16);
AT(ops, close, 24);
AT(ops, limits, 32);
AT(ops, put, 40);
AT(ops, put_many, 48);
AT(ops, upload_begin, 56);
AT(ops, upload_part, 64);
AT(ops, upload_commit, 72);
AT(ops, upload_abort, 80);
AT(ops, read, 88);
AT(ops, head, 96);
AT(ops, delete_object, 104);
AT(ops, list, 112);
AT(ops, list_uploads, 120);
AT(ops, probe, 128);

SIZE(descriptor, 88);
AT(descriptor, magic, 0);
AT(descriptor, abi_major, 8);
AT(descriptor, abi_minor, 10);
AT(descriptor, struct_size, 12);
AT(descriptor, min_host_minor, 16);
AT(descriptor, thread_model, 20);
AT(descriptor, name, 24);
AT(descriptor, version, 32);
AT(descriptor, vendor, 40);
AT(descriptor, licence, 48);
AT(descriptor, options, 56);
AT(descriptor, n_options, 64);
AT(descriptor, option_size, 68);
AT(descriptor, ops, 72);
AT(descriptor, get_extension, 80);
#endif

/* Codes and flags are numbers of the ABI too. */
#define IS(name, value)                                                        \
    _Static_assert(PERSIST_BACKEND_##name == (value),                          \
                   "PERSIST_BACKEND_" #name " changed")
IS(ABI_MAJOR, 1);
IS(MAGIC, UINT64_C(0x444e4b4254535250));
IS(OK, 0);
IS(NOT_FOUND, (-1));
IS(EXISTS, (-2));
IS(PRECONDITION, (-3));
IS(AUTH, (-4));
IS(DENIED, (-5));
IS(THROTTLED, (-6));
IS(TRANSIENT, (-7));
IS(TIMEOUT, (-8));
IS(CANCELLED, (-9));
IS(CORRUPT, (-10));
IS(NO_SPACE, (-11));
IS(UNSUPPORTED, (-12));
IS(INVALID, (-13));
IS(CONFIG, (-14));
IS(MEMORY, (-15));
IS(IO, (-16));
IS(UNCERTAIN, (-17));
IS(NOT_DURABLE, (-18));
IS(INTERNAL, (-19));
IS(ETAG_MAX, 256);
IS(UPLOAD_ID_MAX, 4096);
IS(RECEIPT_MAX, 256);
IS(ERROR_ERRNO, 1);
IS(ERROR_HTTP_STATUS, 2);
IS(ERROR_RETRY_AFTER, 4);
IS(CALL_DEADLINE, 1);
IS(LOG_ERROR, 1);
IS(LOG_WARN, 2);
IS(LOG_INFO, 3);
IS(LOG_DEBUG, 4);
IS(STRING, 1);
IS(INT, 2);
IS(SIZE, 3);
IS(DURATION, 4);
IS(BOOL, 5);
IS(CHOICE, 6);
IS(PATH, 7);
IS(URL, 8);
IS(SECRET, 9);
IS(LIST, 10);
IS(REQUIRED, 1);
IS(REPEATABLE, 2);
IS(DEPRECATED, 4);
IS(HAS_MIN, 8);
IS(HAS_MAX, 16);
IS(VALUE_SET, 1);
IS(VALUE_DEFAULT, 2);
IS(ORDERED_LISTING, 1);
IS(RESUMABLE, 2);
IS(EQUAL_PARTS, 4);
IS(CHECK_IF_ABSENT, 8);
IS(DURABLE_FILE_ONLY, 16);
IS(PLACE_FROM_OUTSIDE, 32);
IS(IF_ABSENT, 1);
IS(HAS_CRC32C, 1);
IS(HAS_SIZE, 2);
IS(READ_RANGE, 1);
IS(READ_SUFFIX, 2);
IS(HAS_MODIFIED, 4);
IS(WAS_UNKNOWN, 0);
IS(WAS_THERE, 1);
IS(WAS_ABSENT, 2);
IS(ENTRY_FOLDER, 1);
IS(FINDING_INFO, 0);
IS(FINDING_OK, 1);
IS(FINDING_WARN, 2);
IS(FINDING_FAIL, 3);
IS(PARALLEL, 1);
IS(SERIAL, 2);
