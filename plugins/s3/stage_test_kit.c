/* SPDX-License-Identifier: Apache-2.0 */
/* For tests: see stage_test_kit.h. */
#include "stage_test_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/digest.h"
#include "support/encode.h"

#define MAX_SETTINGS 32
#define PART1_CRC 0x12345678u
#define PART2_CRC 0x9abcdef0u
#define PART1_LEN ((uint64_t)5 << 20)
#define PART2_LEN ((uint64_t)9)

/* ------------------------------------------------------------------- replies
 */

static char memory[32][16384];
static unsigned n_used;

struct script reply_with(const char *status, const char *headers,
                         const char *body)
{
    char *at = memory[n_used++ % 32];
    int len = snprintf(at, sizeof(memory[0]),
                       REPLY_HEAD("%s", "%s") "content-length: %zu\r\n\r\n%s",
                       status, headers, strlen(body), body);

    assert_in_range(len, 1, sizeof(memory[0]) - 1);
    return (struct script){.bytes = at};
}

struct script reply_error(const char *status, const char *headers,
                          const char *code, const char *more)
{
    char body[4096];

    (void)snprintf(body, sizeof(body),
                   "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code>%s"
                   "<RequestId>REQ1</RequestId></Error>",
                   code, more);
    return reply_with(status, headers, body);
}

/* ------------------------------------------------------------------ settings
 */

struct given {
    struct persist_backend_value values[S3_N_OPTIONS];
    const char *items[8];
    char list[256];
};

static int64_t number_of(const char *text)
{
    if (strcmp(text, "true") == 0)
        return 1;
    return (int64_t)strtoll(text, NULL, 10);
}

static void set_value(struct given *g, unsigned i, const char *text)
{
    struct persist_backend_value *v = &g->values[i];

    switch (s3_options[i].type) {
    case PERSIST_BACKEND_INT:
    case PERSIST_BACKEND_SIZE:
    case PERSIST_BACKEND_DURATION:
    case PERSIST_BACKEND_BOOL:
        v->number = number_of(text);
        break;
    case PERSIST_BACKEND_SECRET:
        break;
    case PERSIST_BACKEND_LIST:
        (void)snprintf(g->list, sizeof(g->list), "%s", text);
        v->items = g->items;
        for (char *p = strtok(g->list, ","); p != NULL && v->n_items < 8;
             p = strtok(NULL, ","))
            g->items[v->n_items++] = p;
        break;
    default:
        v->text = text;
    }
}

static void give(struct given *g, const char *key, const char *text,
                 uint32_t flag)
{
    for (unsigned i = 0; i < S3_N_OPTIONS; i++)
        if (strcmp(s3_options[i].key, key) == 0) {
            set_value(g, i, text);
            g->values[i].flags = flag;
            return;
        }
    assert_string_equal(key, "the name of an option");
}

/* Defaults, as a host computes them; then the kit's, then the test's. */
static void defaults(struct given *g, const char *endpoint)
{
    memset(g, 0, sizeof(*g));
    for (unsigned i = 0; i < S3_N_OPTIONS; i++) {
        g->values[i].key = s3_options[i].key;
        if (s3_options[i].default_text != NULL)
            give(g, s3_options[i].key, s3_options[i].default_text,
                 PERSIST_BACKEND_VALUE_DEFAULT);
    }
    g->values[S3_CONNECT_TIMEOUT].number = 5000;
    g->values[S3_STALL_TIMEOUT].number = 30000;
    give(g, "bucket", "bucket", PERSIST_BACKEND_VALUE_SET);
    give(g, "prefix", "p", PERSIST_BACKEND_VALUE_SET);
    give(g, "region", "eu-central-1", PERSIST_BACKEND_VALUE_SET);
    give(g, "endpoint", endpoint, PERSIST_BACKEND_VALUE_SET);
    give(g, "access_key_id", "AKIDEXAMPLE", PERSIST_BACKEND_VALUE_SET);
    give(g, "secret_access_key", "", PERSIST_BACKEND_VALUE_SET);
}

static void read_settings(struct given *g, va_list settings)
{
    static char keys[MAX_SETTINGS][64];
    const char *setting = va_arg(settings, const char *);

    for (unsigned n = 0; setting != NULL && n < MAX_SETTINGS; n++) {
        const char *equals = strchr(setting, '=');

        assert_non_null(equals);
        (void)snprintf(keys[n], sizeof(keys[n]), "%.*s",
                       (int)(equals - setting), setting);
        give(g, keys[n], equals + 1,
             equals[1] != '\0' ? PERSIST_BACKEND_VALUE_SET : 0);
        setting = va_arg(settings, const char *);
    }
}

/* The one descriptor, asked for its ops as a host does. */
static const struct persist_backend_ops *ops_of(void)
{
    return persist_backend_entry_v1(&kit_host)->ops;
}

static int32_t open_with(struct stage *g, const struct given *given)
{
    struct persist_backend_config config = {.struct_size = sizeof(config),
                                            .n_values = S3_N_OPTIONS,
                                            .value_size =
                                                sizeof(given->values[0]),
                                            .values = given->values,
                                            .store_name = "stage"};
    void *store = NULL;
    int32_t rc;

    g->ops = ops_of();
    g->err = (struct persist_backend_error){.struct_size = sizeof(g->err)};
    assert_int_equal(g->ops->init(&kit_host, &g->err), OK);
    rc = g->ops->open(&kit_host, &config, &store, &g->err);
    g->store = store;
    return rc;
}

void stage_open(struct stage *g, const struct script *replies, size_t n, ...)
{
    struct given given;
    char endpoint[64];
    va_list settings;

    memset(g, 0, sizeof(*g));
    kit_reset();
    kit_secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    g->server = server_start(replies, n);
    (void)snprintf(endpoint, sizeof(endpoint), "%s", server_url(g->server, ""));
    defaults(&given, endpoint);
    va_start(settings, n);
    read_settings(&given, settings);
    va_end(settings);
    assert_int_equal(open_with(g, &given), OK);
    g->call = kit_call();
}

int32_t stage_try(struct stage *g, ...)
{
    struct given given;
    va_list settings;
    int32_t rc;

    memset(g, 0, sizeof(*g));
    kit_reset();
    defaults(&given, "http://127.0.0.1:1");
    va_start(settings, g);
    read_settings(&given, settings);
    va_end(settings);
    rc = open_with(g, &given);
    if (rc == OK)
        g->ops->close(g->store);
    g->store = NULL;
    return rc;
}

void stage_close(struct stage *g)
{
    g->ops->close(g->store);
    server_stop(g->server);
    assert_int_equal(atomic_load(&kit_blocks), 0);
}

bool stage_sent(struct stage *g, unsigned n, const char *text)
{
    const char *head = server_head(g->server, n);

    return head != NULL && strstr(head, text) != NULL;
}

bool stage_sent_body(struct stage *g, unsigned n, const char *text)
{
    size_t len;
    const char *body = server_body(g->server, n, &len);

    return body != NULL && strstr(body, text) != NULL;
}

/* ----------------------------------------------------------------------- ops
 */

static struct persist_backend_error *fresh(struct stage *g)
{
    g->err = (struct persist_backend_error){.struct_size = sizeof(g->err)};
    return &g->err;
}

int32_t stage_put(struct stage *g, const char *key, const char *data,
                  uint32_t flags)
{
    struct persist_backend_put_args args = {.struct_size = sizeof(args),
                                            .flags = flags,
                                            .key = key,
                                            .data = data,
                                            .len = strlen(data),
                                            .content_type = "text/plain"};
    struct persist_backend_put_result result = {.struct_size = sizeof(result)};
    int32_t rc = g->ops->put(g->store, &g->call, &args, &result, fresh(g));

    memcpy(g->etag, result.etag, sizeof(g->etag));
    return rc;
}

int32_t stage_begin(struct stage *g, const char *key)
{
    struct persist_backend_begin_args args = {
        .struct_size = sizeof(args), .key = key, .content_type = "text/plain"};
    static struct persist_backend_begin_result result;
    int32_t rc;

    memset(&result, 0, sizeof(result));
    result.struct_size = sizeof(result);
    rc = g->ops->upload_begin(g->store, &g->call, &args, &result, fresh(g));
    memcpy(g->upload_id, result.upload_id, sizeof(g->upload_id));
    return rc;
}

int32_t stage_part(struct stage *g, const char *key, const char *id, uint32_t n,
                   const void *data, uint64_t len, bool last)
{
    struct persist_backend_part_args args = {.struct_size = sizeof(args),
                                             .is_last = last,
                                             .key = key,
                                             .upload_id = id,
                                             .data = data,
                                             .len = len,
                                             .number = n};

    memset(&g->part, 0, sizeof(g->part));
    g->part.struct_size = sizeof(g->part);
    return g->ops->upload_part(g->store, &g->call, &args, &g->part, fresh(g));
}

int32_t stage_commit(struct stage *g, const char *key, const char *id,
                     uint32_t flags)
{
    const struct persist_backend_receipt receipts[] = {
        {.len = PART1_LEN,
         .number = 1,
         .crc32c = PART1_CRC,
         .receipt_len = 4,
         .receipt = (const uint8_t *)"\"e1\""},
        {.offset = PART1_LEN,
         .len = PART2_LEN,
         .number = 2,
         .crc32c = PART2_CRC,
         .receipt_len = 4,
         .receipt = (const uint8_t *)"\"e2\""}};
    struct persist_backend_commit_args args = {.struct_size = sizeof(args),
                                               .flags = flags,
                                               .key = key,
                                               .upload_id = id,
                                               .receipts = receipts,
                                               .n_receipts = 2,
                                               .receipt_size =
                                                   sizeof(receipts[0])};
    struct persist_backend_commit_result result = {.struct_size =
                                                       sizeof(result)};
    int32_t rc =
        g->ops->upload_commit(g->store, &g->call, &args, &result, fresh(g));

    memcpy(g->etag, result.etag, sizeof(g->etag));
    return rc;
}

const char *stage_commit_crc(void)
{
    static char text[9];

    crc_encode(crc32c_combine(PART1_CRC, PART2_CRC, PART2_LEN), text);
    return text;
}

int32_t stage_abort(struct stage *g, const char *key, const char *id)
{
    struct persist_backend_abort_args args = {
        .struct_size = sizeof(args), .key = key, .upload_id = id};

    return g->ops->upload_abort(g->store, &g->call, &args, fresh(g));
}

int32_t stage_read(struct stage *g, const char *key, uint32_t mode,
                   uint64_t offset, uint64_t len, const char *etag)
{
    struct persist_backend_read_args args = {.struct_size = sizeof(args),
                                             .mode = mode,
                                             .key = key,
                                             .offset = offset,
                                             .buffer = g->buffer,
                                             .len = len,
                                             .etag = etag};

    memset(g->buffer, '#', sizeof(g->buffer));
    memset(&g->read, 0, sizeof(g->read));
    g->read.struct_size = sizeof(g->read);
    return g->ops->read(g->store, &g->call, &args, &g->read, fresh(g));
}

int32_t stage_head(struct stage *g, const char *key)
{
    struct persist_backend_head_args args = {.struct_size = sizeof(args),
                                             .key = key};

    memset(&g->head, 0, sizeof(g->head));
    g->head.struct_size = sizeof(g->head);
    return g->ops->head(g->store, &g->call, &args, &g->head, fresh(g));
}

int32_t stage_delete(struct stage *g, const char *key, uint32_t *out_was)
{
    struct persist_backend_delete_args args = {.struct_size = sizeof(args),
                                               .key = key};
    struct persist_backend_delete_result result = {.struct_size =
                                                       sizeof(result)};
    int32_t rc =
        g->ops->delete_object(g->store, &g->call, &args, &result, fresh(g));

    *out_was = result.was;
    return rc;
}

static void add_listed(struct stage *g, const char *key, uint64_t size,
                       bool folder)
{
    size_t len = strlen(g->listed);

    if (folder)
        (void)snprintf(g->listed + len, sizeof(g->listed) - len, "%s;", key);
    else
        (void)snprintf(g->listed + len, sizeof(g->listed) - len, "%s:%llu;",
                       key, (unsigned long long)size);
}

static int32_t on_entry(void *ctx, const struct persist_backend_entry *e)
{
    add_listed(ctx, e->key, e->size,
               (e->flags & PERSIST_BACKEND_ENTRY_FOLDER) != 0);
    return 0;
}

int32_t stage_list(struct stage *g, const char *prefix, const char *start_after,
                   const char *delimiter, uint32_t limit)
{
    struct persist_backend_list_args args = {.struct_size = sizeof(args),
                                             .limit = limit,
                                             .prefix = prefix,
                                             .start_after = start_after,
                                             .delimiter = delimiter,
                                             .emit = on_entry,
                                             .emit_ctx = g};
    struct persist_backend_list_result result = {.struct_size = sizeof(result)};
    int32_t rc;

    g->listed[0] = '\0';
    rc = g->ops->list(g->store, &g->call, &args, &result, fresh(g));
    g->more = result.more;
    return rc;
}

static int32_t on_upload(void *ctx, const struct persist_backend_upload *u)
{
    char key[512];

    (void)snprintf(key, sizeof(key), "%s@%s", u->key, u->upload_id);
    add_listed(ctx, key, u->size, (u->present & PERSIST_BACKEND_HAS_SIZE) == 0);
    return 0;
}

int32_t stage_list_uploads(struct stage *g, const char *prefix)
{
    struct persist_backend_list_uploads_args args = {.struct_size =
                                                         sizeof(args),
                                                     .prefix = prefix,
                                                     .emit = on_upload,
                                                     .emit_ctx = g};
    struct persist_backend_list_uploads_result result = {.struct_size =
                                                             sizeof(result)};

    g->listed[0] = '\0';
    return g->ops->list_uploads(g->store, &g->call, &args, &result, fresh(g));
}

static int32_t on_finding(void *ctx, const struct persist_backend_finding *f)
{
    struct stage *g = ctx;
    size_t len = strlen(g->findings);

    (void)snprintf(g->findings + len, sizeof(g->findings) - len,
                   "%u %s=%s|%s;\n", f->verdict, f->name, f->value,
                   f->hint == NULL ? "" : f->hint);
    return 0;
}

int32_t stage_probe(struct stage *g)
{
    struct persist_backend_probe_args args = {
        .struct_size = sizeof(args), .emit = on_finding, .emit_ctx = g};
    struct persist_backend_probe_result result = {.struct_size =
                                                      sizeof(result)};

    g->findings[0] = '\0';
    return g->ops->probe(g->store, &g->call, &args, &result, fresh(g));
}
