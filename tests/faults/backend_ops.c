/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backend-ops BACKEND.so [KEY=VALUE ...]: calls single ops of a backend, as a
 * test tells it: one JSON object a line on standard input, one answer a line on
 * standard output.  For tests that play the service themselves and must see
 * what one attempt does; the host's repeating is left out on purpose.
 *
 *   {"op": "put", "key": "a/b", "text": "...", "if_absent": true}
 *   {"op": "put", "key": "a/b", "file": "/path", "offset": 0, "len": 100}
 *   {"op": "begin", "key", "if_absent"}               -> "id"
 *   {"op": "part", "key", "id", "number", "at", "last", file...} -> "receipt"
 *   {"op": "commit", "key", "id", "if_absent", "receipts": [...], "size",
 *    "crc32c"}                                        -> "etag"
 *   {"op": "abort" | "head" | "delete", "key", "id"}
 *   {"op": "read", "key", "mode": "range" | "suffix", "at", "len", "etag",
 *    "into": "/path"}                                 -> len, offset, total
 *   {"op": "list", "prefix", "after", "delimiter", "limit"} -> entries, more
 *   {"op": "probe"}                                   -> findings
 *   {"op": "limits"}
 *
 * LOG_DEBUG in the environment: the log has lines of level DEBUG too.
 *
 * Every op takes "attempt" (1), "deadline_ms" and "cancel_after_ms"; every
 * answer has "rc" ("ok", "not_found", ...), "error" and "log".  Ends with the
 * input.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>
#include <persist/backend.h>

#include "util/crc32c.h"

#define RECEIPTS_MAX 4096

static const char *const names[] = {
    "ok",      "not_found", "exists",      "precondition", "auth",
    "denied",  "throttled", "transient",   "timeout",      "cancelled",
    "corrupt", "no_space",  "unsupported", "invalid",      "config",
    "memory",  "io",        "uncertain",   "not_durable",  "internal"};

static json_t *log_lines;
static uint64_t cancel_at_ns;      /* 0: never */
static const char *const *secrets; /* "key", "value", ..., NULL */
static long blocks;                /* alloc without free */

static void die(const char *what)
{
    fprintf(stderr, "backend-ops: %s\n", what);
    exit(2);
}

static uint64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* --------------------------------------------------------------------- host */

static void host_log(void *store, uint32_t level, const char *message)
{
    (void)store;
    json_array_append_new(log_lines, json_pack("[i, s]", (int)level, message));
}

static int32_t host_log_enabled(void *store, uint32_t level)
{
    (void)store;
    return level <= PERSIST_BACKEND_LOG_INFO || getenv("LOG_DEBUG") != NULL;
}

static void *host_alloc(void *store, uint64_t len)
{
    (void)store;
    blocks++;
    return malloc((size_t)len);
}

static void host_free(void *store, void *memory)
{
    (void)store;
    blocks -= memory != NULL;
    free(memory);
}

static int64_t host_wall_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int32_t host_random(void *out, uint64_t len)
{
    return getrandom(out, (size_t)len, 0) == (ssize_t)len ? PERSIST_BACKEND_OK
                                                          : PERSIST_BACKEND_IO;
}

static int32_t host_is_cancelled(const struct persist_backend_call *call)
{
    (void)call;
    return cancel_at_ns != 0 && now_ns() >= cancel_at_ns;
}

static int32_t host_cancel_fd(const struct persist_backend_call *call)
{
    (void)call;
    return -1;
}

static int32_t host_secret(void *store, const char *key, char *out,
                           uint64_t cap, uint64_t *out_len)
{
    (void)store;
    for (size_t i = 0; secrets[i] != NULL; i += 2) {
        if (strcmp(secrets[i], key) != 0)
            continue;
        *out_len = strlen(secrets[i + 1]);
        if (*out_len > cap)
            return PERSIST_BACKEND_INVALID;
        memcpy(out, secrets[i + 1], (size_t)*out_len);
        return PERSIST_BACKEND_OK;
    }
    return PERSIST_BACKEND_NOT_FOUND;
}

static uint32_t host_crc32c(uint32_t crc, const void *data, uint64_t len)
{
    return crc32c(crc, data, (size_t)len);
}

static const void *host_extension(const char *name)
{
    (void)name;
    return NULL;
}

static const struct persist_backend_host host = {
    .struct_size = sizeof(host),
    .abi_major = PERSIST_BACKEND_ABI_MAJOR,
    .abi_minor = PERSIST_BACKEND_ABI_MINOR,
    .version = "backend-ops",
    .log = host_log,
    .log_enabled = host_log_enabled,
    .alloc = host_alloc,
    .free = host_free,
    .monotonic_ns = now_ns,
    .wall_us = host_wall_us,
    .random = host_random,
    .is_cancelled = host_is_cancelled,
    .cancel_fd = host_cancel_fd,
    .secret = host_secret,
    .crc32c = host_crc32c,
    .get_extension = host_extension,
};

/* ------------------------------------------------------------------ helpers */

static const char *text_of(const json_t *q, const char *name,
                           const char *otherwise)
{
    const char *text = json_string_value(json_object_get(q, name));

    return text != NULL ? text : otherwise;
}

static uint64_t number_of(const json_t *q, const char *name, uint64_t otherwise)
{
    const json_t *value = json_object_get(q, name);

    return json_is_integer(value) ? (uint64_t)json_integer_value(value)
                                  : otherwise;
}

static uint32_t if_absent(const json_t *q)
{
    return json_is_true(json_object_get(q, "if_absent"))
               ? PERSIST_BACKEND_IF_ABSENT
               : 0;
}

/* The bytes a request names; unmapped by data_finish. */
struct data {
    const void *bytes;
    uint64_t len;
    void *map;
    size_t map_len;
};

static void data_open(const json_t *q, struct data *out)
{
    const char *text = text_of(q, "text", NULL);
    const char *path = text_of(q, "file", NULL);
    struct stat st;
    int fd;

    *out = (struct data){.bytes = text != NULL ? text : ""};
    if (text != NULL)
        out->len = strlen(text);
    if (path == NULL)
        return;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        die("cannot open a data file");
    out->map_len = (size_t)st.st_size;
    out->map = mmap(NULL, out->map_len + 1, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (out->map == MAP_FAILED)
        die("cannot map a data file");
    out->bytes = (const char *)out->map + number_of(q, "offset", 0);
    out->len = number_of(q, "len", out->map_len - number_of(q, "offset", 0));
}

static void data_finish(struct data *d)
{
    if (d->map != NULL)
        munmap(d->map, d->map_len + 1);
}

/* What an op gives the host to see. */
struct turn {
    const struct persist_backend_ops *ops;
    void *store;
    struct persist_backend_call call;
    struct persist_backend_error error;
    json_t *out;
};

static void set(struct turn *t, const char *name, json_t *value)
{
    json_object_set_new(t->out, name, value);
}

static json_t *error_json(const struct persist_backend_error *e)
{
    json_t *json = json_pack("{s:s, s:s, s:s}", "message", e->message, "code",
                             e->provider_code, "request_id", e->request_id);

    if ((e->present & PERSIST_BACKEND_ERROR_HTTP_STATUS) != 0)
        json_object_set_new(json, "http", json_integer(e->http_status));
    if ((e->present & PERSIST_BACKEND_ERROR_RETRY_AFTER) != 0)
        json_object_set_new(json, "retry_after_ms",
                            json_integer((json_int_t)e->retry_after_ms));
    return json;
}

/* ---------------------------------------------------------------------- ops */

static int32_t do_put(struct turn *t, const json_t *q)
{
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};
    struct data d;
    int32_t rc;

    data_open(q, &d);
    struct persist_backend_put_args args = {
        .struct_size = sizeof(args),
        .flags = if_absent(q),
        .key = text_of(q, "key", ""),
        .data = d.bytes,
        .len = d.len,
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .content_type = text_of(q, "type", "application/octet-stream")};
    args.crc32c =
        (uint32_t)number_of(q, "crc32c", crc32c(0, d.bytes, (size_t)d.len));
    rc = t->ops->put(t->store, &t->call, &args, &result, &t->error);
    set(t, "etag", json_string(result.etag));
    data_finish(&d);
    return rc;
}

static int32_t do_begin(struct turn *t, const json_t *q)
{
    const struct persist_backend_begin_args args = {
        .struct_size = sizeof(args),
        .flags = if_absent(q),
        .key = text_of(q, "key", ""),
        .content_type = "application/octet-stream"};
    static struct persist_backend_begin_result result;
    int32_t rc;

    result =
        (struct persist_backend_begin_result){.struct_size = sizeof(result)};
    rc = t->ops->upload_begin(t->store, &t->call, &args, &result, &t->error);
    set(t, "id", json_string(result.upload_id));
    return rc;
}

static json_t *hex(const uint8_t *bytes, size_t len)
{
    char text[2 * PERSIST_BACKEND_RECEIPT_MAX + 1] = "";

    for (size_t i = 0; i < len; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    return json_string(text);
}

static int32_t do_part(struct turn *t, const json_t *q)
{
    struct persist_backend_part_result result = {.struct_size = sizeof(result)};
    struct data d;
    int32_t rc;

    data_open(q, &d);
    const struct persist_backend_part_args args = {
        .struct_size = sizeof(args),
        .is_last = json_is_true(json_object_get(q, "last")),
        .key = text_of(q, "key", ""),
        .upload_id = text_of(q, "id", ""),
        .offset = number_of(q, "at", 0),
        .data = d.bytes,
        .len = d.len,
        .number = (uint32_t)number_of(q, "number", 1),
        .present = PERSIST_BACKEND_HAS_CRC32C,
        .crc32c = crc32c(0, d.bytes, (size_t)d.len)};
    rc = t->ops->upload_part(t->store, &t->call, &args, &result, &t->error);
    set(t, "receipt",
        json_pack("{s:I, s:I, s:I, s:I, s:o}", "at", (json_int_t)args.offset,
                  "len", (json_int_t)args.len, "number",
                  (json_int_t)args.number, "crc32c", (json_int_t)args.crc32c,
                  "proof", hex(result.receipt, result.receipt_len)));
    data_finish(&d);
    return rc;
}

static struct persist_backend_receipt receipts[RECEIPTS_MAX];
static uint8_t proofs[RECEIPTS_MAX][PERSIST_BACKEND_RECEIPT_MAX];

static uint32_t read_receipts(const json_t *q)
{
    size_t i;
    const json_t *r;

    json_array_foreach(json_object_get(q, "receipts"), i, r)
    {
        const char *proof = text_of(r, "proof", "");

        if (i == RECEIPTS_MAX)
            die("too many receipts");
        for (size_t k = 0; proof[2 * k] != '\0'; k++) {
            char pair[3] = {proof[2 * k], proof[2 * k + 1], '\0'};
            proofs[i][k] = (uint8_t)strtoul(pair, NULL, 16);
        }
        receipts[i] = (struct persist_backend_receipt){
            .offset = number_of(r, "at", 0),
            .len = number_of(r, "len", 0),
            .number = (uint32_t)number_of(r, "number", 0),
            .crc32c = (uint32_t)number_of(r, "crc32c", 0),
            .receipt_len = (uint32_t)(strlen(proof) / 2),
            .receipt = proofs[i]};
    }
    return (uint32_t)json_array_size(json_object_get(q, "receipts"));
}

static int32_t do_commit(struct turn *t, const json_t *q)
{
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};
    struct persist_backend_commit_args args = {
        .struct_size = sizeof(args),
        .flags = if_absent(q),
        .key = text_of(q, "key", ""),
        .upload_id = text_of(q, "id", ""),
        .receipts = receipts,
        .n_receipts = read_receipts(q),
        .receipt_size = sizeof(receipts[0]),
        .crc32c = (uint32_t)number_of(q, "crc32c", 0),
        .size = number_of(q, "size", 0)};
    int32_t rc;

    args.present =
        (json_object_get(q, "size") ? PERSIST_BACKEND_HAS_SIZE : 0) |
        (json_object_get(q, "crc32c") ? PERSIST_BACKEND_HAS_CRC32C : 0);
    rc = t->ops->upload_commit(t->store, &t->call, &args, &result, &t->error);
    set(t, "etag", json_string(result.etag));
    return rc;
}

static int32_t do_abort(struct turn *t, const json_t *q)
{
    const struct persist_backend_abort_args args = {
        .struct_size = sizeof(args),
        .key = text_of(q, "key", ""),
        .upload_id = text_of(q, "id", "")};

    return t->ops->upload_abort(t->store, &t->call, &args, &t->error);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *f = fopen(path, "wb");

    if (f == NULL || fwrite(bytes, 1, len, f) != len || fclose(f) != 0)
        die("cannot write what was read");
}

static int32_t do_read(struct turn *t, const json_t *q)
{
    struct persist_backend_read_result result = {.struct_size = sizeof(result)};
    uint64_t len = number_of(q, "len", 1 << 20);
    void *buffer = malloc((size_t)len + 1);
    const struct persist_backend_read_args args = {
        .struct_size = sizeof(args),
        .mode = strcmp(text_of(q, "mode", "range"), "suffix") == 0
                    ? PERSIST_BACKEND_READ_SUFFIX
                    : PERSIST_BACKEND_READ_RANGE,
        .key = text_of(q, "key", ""),
        .offset = number_of(q, "at", 0),
        .buffer = buffer,
        .len = len,
        .etag = text_of(q, "etag", NULL)};
    int32_t rc;

    if (buffer == NULL)
        die("out of memory");
    rc = t->ops->read(t->store, &t->call, &args, &result, &t->error);
    if (rc == PERSIST_BACKEND_OK) {
        set(t, "len", json_integer((json_int_t)result.len));
        set(t, "offset", json_integer((json_int_t)result.offset));
        set(t, "total", json_integer((json_int_t)result.total));
        set(t, "etag", json_string(result.etag));
        if (json_object_get(q, "into") != NULL)
            write_file(text_of(q, "into", ""), buffer, (size_t)result.len);
    }
    free(buffer);
    return rc;
}

static int32_t do_head(struct turn *t, const json_t *q)
{
    const struct persist_backend_head_args args = {
        .struct_size = sizeof(args), .key = text_of(q, "key", "")};
    struct persist_backend_head_result result = {.struct_size = sizeof(result)};
    int32_t rc = t->ops->head(t->store, &t->call, &args, &result, &t->error);

    set(t, "size", json_integer((json_int_t)result.size));
    set(t, "etag", json_string(result.etag));
    set(t, "modified_us", json_integer(result.modified_us));
    return rc;
}

static int32_t do_delete(struct turn *t, const json_t *q)
{
    static const char *const was[] = {"unknown", "there", "absent"};
    const struct persist_backend_delete_args args = {
        .struct_size = sizeof(args), .key = text_of(q, "key", "")};
    struct persist_backend_delete_result result = {.struct_size =
                                                       sizeof(result)};
    int32_t rc =
        t->ops->delete_object(t->store, &t->call, &args, &result, &t->error);

    set(t, "was", json_string(was[result.was % 3]));
    return rc;
}

static int32_t emit_entry(void *ctx, const struct persist_backend_entry *e)
{
    json_array_append_new(
        ctx, json_pack("{s:s, s:b, s:I}", "key", e->key, "folder",
                       (e->flags & PERSIST_BACKEND_ENTRY_FOLDER) != 0, "size",
                       (json_int_t)e->size));
    return 0;
}

static int32_t do_list(struct turn *t, const json_t *q)
{
    json_t *entries = json_array();
    const struct persist_backend_list_args args = {
        .struct_size = sizeof(args),
        .limit = (uint32_t)number_of(q, "limit", 1000),
        .prefix = text_of(q, "prefix", ""),
        .start_after = text_of(q, "after", ""),
        .delimiter = text_of(q, "delimiter", ""),
        .emit = emit_entry,
        .emit_ctx = entries};
    struct persist_backend_list_result result = {.struct_size = sizeof(result)};
    int32_t rc = t->ops->list(t->store, &t->call, &args, &result, &t->error);

    set(t, "entries", entries);
    set(t, "more", json_boolean(result.more));
    return rc;
}

static int32_t emit_finding(void *ctx, const struct persist_backend_finding *f)
{
    json_array_append_new(ctx, json_pack("{s:i, s:s, s:s, s:s?}", "verdict",
                                         (int)f->verdict, "name", f->name,
                                         "value", f->value, "hint", f->hint));
    return 0;
}

static int32_t do_probe(struct turn *t, const json_t *q)
{
    json_t *findings = json_array();
    const struct persist_backend_probe_args args = {.struct_size = sizeof(args),
                                                    .emit = emit_finding,
                                                    .emit_ctx = findings};
    struct persist_backend_probe_result result = {.struct_size =
                                                      sizeof(result)};
    int32_t rc = t->ops->probe(t->store, &t->call, &args, &result, &t->error);

    (void)q;
    set(t, "findings", findings);
    return rc;
}

static int32_t do_limits(struct turn *t, const json_t *q)
{
    struct persist_backend_limits limits = {.struct_size = sizeof(limits)};
    int32_t rc = t->ops->limits(t->store, &limits);

    (void)q;
    set(t, "part_max", json_integer((json_int_t)limits.part_max));
    set(t, "part_align", json_integer((json_int_t)limits.part_align));
    set(t, "parallel_max", json_integer((json_int_t)limits.parallel_max));
    set(t, "key_max", json_integer((json_int_t)limits.key_max));
    set(t, "resumable",
        json_boolean((limits.flags & PERSIST_BACKEND_RESUMABLE) != 0));
    return rc;
}

static const struct {
    const char *name;
    int32_t (*run)(struct turn *t, const json_t *q);
} ops[] = {{"put", do_put},       {"begin", do_begin},   {"part", do_part},
           {"commit", do_commit}, {"abort", do_abort},   {"read", do_read},
           {"head", do_head},     {"delete", do_delete}, {"list", do_list},
           {"probe", do_probe},   {"limits", do_limits}};

static int32_t run(struct turn *t, const json_t *q)
{
    const char *name = text_of(q, "op", "");
    uint64_t cancel_ms = number_of(q, "cancel_after_ms", 0);

    t->error = (struct persist_backend_error){.struct_size = sizeof(t->error)};
    t->call = (struct persist_backend_call){
        .struct_size = sizeof(t->call),
        .attempt = (uint32_t)number_of(q, "attempt", 1)};
    if (json_object_get(q, "deadline_ms") != NULL) {
        t->call.present = PERSIST_BACKEND_CALL_DEADLINE;
        t->call.deadline_ns =
            now_ns() + number_of(q, "deadline_ms", 0) * 1000000u;
    }
    cancel_at_ns = cancel_ms != 0 ? now_ns() + cancel_ms * 1000000u : 0;
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        if (strcmp(ops[i].name, name) == 0)
            return ops[i].run(t, q);
    die("an op that there is not");
    return PERSIST_BACKEND_INTERNAL;
}

static void answer(struct turn *t, const char *line)
{
    json_t *q = json_loads(line, 0, NULL);
    int32_t rc;
    char *dump;

    if (q == NULL)
        die("a line that is no JSON");
    log_lines = json_array();
    t->out = json_object();
    rc = run(t, q);
    set(t, "rc", json_string(rc > 0 || rc < -19 ? "unknown" : names[-rc]));
    if (rc != PERSIST_BACKEND_OK)
        set(t, "error", error_json(&t->error));
    set(t, "log", log_lines);
    dump = json_dumps(t->out, JSON_COMPACT);
    if (dump == NULL)
        die("an answer that is no JSON");
    puts(dump);
    fflush(stdout);
    free(dump);
    json_decref(t->out);
    json_decref(q);
}

/* --------------------------------------------------------------------- open */

#define OPTIONS_MAX 64

static int64_t number(const char *text)
{
    char *end;
    int64_t value;

    if (strcmp(text, "true") == 0)
        return 1;
    value = strtoll(text, &end, 10);
    if (*end == 'K')
        value <<= 10;
    else if (*end == 'M')
        value <<= 20;
    else if (strcmp(end, "s") == 0)
        value *= 1000;
    else if (*end == 'd')
        value *= 86400000;
    return value;
}

static const char *given(int argc, char **argv, const char *key)
{
    size_t len = strlen(key);

    for (int i = 2; i < argc; i++)
        if (strncmp(argv[i], key, len) == 0 && argv[i][len] == '=')
            return argv[i] + len + 1;
    return NULL;
}

static void set_value(const struct persist_backend_option *o, const char *text,
                      struct persist_backend_value *v)
{
    v->key = o->key;
    if (text == NULL && o->default_text == NULL)
        return;
    v->flags = text != NULL ? PERSIST_BACKEND_VALUE_SET
                            : PERSIST_BACKEND_VALUE_DEFAULT;
    if (text == NULL)
        text = o->default_text;
    if (o->type == PERSIST_BACKEND_STRING || o->type == PERSIST_BACKEND_URL ||
        o->type == PERSIST_BACKEND_PATH || o->type == PERSIST_BACKEND_CHOICE)
        v->text = text;
    else
        v->number = number(text);
}

static void *open_store(const struct persist_backend_descriptor *d, int argc,
                        char **argv)
{
    static struct persist_backend_value values[OPTIONS_MAX];
    static const char *pairs[2 * OPTIONS_MAX + 1];
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    struct persist_backend_config config = {.struct_size = sizeof(config),
                                            .n_values = d->n_options,
                                            .value_size = sizeof(values[0]),
                                            .values = values,
                                            .host_store = &config,
                                            .store_name = "test"};
    size_t n_pairs = 0;
    void *store = NULL;

    for (uint32_t i = 0; i < d->n_options && i < OPTIONS_MAX; i++) {
        const struct persist_backend_option *o = &d->options[i];
        const char *text = given(argc, argv, o->key);

        if (o->type == PERSIST_BACKEND_SECRET) {
            values[i].key = o->key;
            if (text != NULL) {
                values[i].flags = PERSIST_BACKEND_VALUE_SET;
                pairs[n_pairs++] = o->key;
                pairs[n_pairs++] = text;
            }
        } else {
            set_value(o, text, &values[i]);
        }
    }
    secrets = pairs;
    if (d->ops->init != NULL && d->ops->init(&host, &error) != 0)
        die(error.message);
    if (d->ops->open(&host, &config, &store, &error) != 0)
        die(error.message);
    return store;
}

int main(int argc, char **argv)
{
    struct turn t = {0};
    persist_backend_entry_fn entry = NULL;
    char *line = NULL;
    size_t cap = 0;
    void *plugin;

    if (argc < 2)
        die("usage: backend-ops BACKEND.so [KEY=VALUE ...]");
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL)
        die(dlerror());
    *(void **)&entry = dlsym(plugin, PERSIST_BACKEND_ENTRY_SYMBOL);
    if (entry == NULL)
        die("no entry");
    log_lines = json_array();
    const struct persist_backend_descriptor *d = entry(&host);
    t.ops = d->ops;
    t.store = open_store(d, argc, argv);
    json_decref(log_lines);
    while (getline(&line, &cap, stdin) > 0)
        answer(&t, line);
    free(line);
    t.ops->close(t.store);
    if (blocks != 0)
        die("memory of the host was not given back");
    return 0;
}
