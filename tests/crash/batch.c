/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the campaigns: one batch of snapshots, small enough that every system
 * call of it can be killed.  Writes the address of each that was acknowledged
 * as one line, all at once, as the command does for a save.
 *
 * usage: crash_batch CONFIG BACKEND-DIR PAYLOAD-FILE
 * Saves 3 x writer/default and 3 x other/line, each with the file's bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <persist/persist.h>

enum { N = 6, PAYLOAD_MAX = 1 << 16 };

static size_t load(const char *path, char *out)
{
    FILE *f = fopen(path, "rb");
    size_t len = f ? fread(out, 1, PAYLOAD_MAX, f) : 0;

    if (f)
        fclose(f);
    return len;
}

static struct persist_store *open_store(const char *config,
                                        const char *backends,
                                        struct persist **out_p,
                                        struct persist_error *err)
{
    struct persist_options o = PERSIST_OPTIONS_INIT;
    struct persist_store *store = NULL;

    o.flags = PERSIST_NO_ENVIRONMENT;
    o.config_file = config;
    o.backend_dirs = &backends;
    o.n_backend_dirs = 1;
    if (persist_create(&o, out_p, err))
        return NULL;
    (void)persist_open(*out_p, "main", &store, err);
    return store;
}

static int report(const struct persist_batch_item *items)
{
    char text[N * 64] = "";
    size_t at = 0;

    for (int i = 0; i < N; i++)
        if (items[i].status == PERSIST_OK)
            at += (size_t)snprintf(
                &text[at], sizeof(text) - at, "%s@%llu\n", items[i].address,
                (unsigned long long)items[i].metadata->snapshot_index);
    fwrite(text, 1, at, stdout);
    return fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    static char payload[PAYLOAD_MAX];
    struct persist_batch_item items[N];
    struct persist *p = NULL;
    struct persist_store *store;
    struct persist_error err;
    size_t len;
    int rc;

    if (argc != 4)
        return 2;
    len = load(argv[3], payload);
    store = open_store(argv[1], argv[2], &p, &err);
    if (!store || len == 0) {
        fprintf(stderr, "crash_batch: %s\n", err.message);
        return 1;
    }
    for (int i = 0; i < N; i++) {
        items[i] = (struct persist_batch_item)PERSIST_BATCH_ITEM_INIT;
        items[i].address = i % 2 ? "other/line" : "writer/default";
        items[i].data = payload;
        items[i].len = len;
    }
    rc = persist_save_batch(store, items, N, NULL, &err);
    if (!report(items))
        rc = PERSIST_E_IO;
    if (rc)
        fprintf(stderr, "persist: %s\n", err.message);
    persist_batch_finish(items, N);
    persist_close(store);
    persist_destroy(p);
    return persist_status_exit_code(rc);
}
