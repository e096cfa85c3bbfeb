/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One page of keys.  Every call walks afresh from start_after: nothing is kept
 * between pages.  With the delimiter a folder is an entry as soon as it is
 * there: whether a key lies in it is not looked up, which would open it and
 * what is below; deleting leaves empty folders behind.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "posix/io.h"

#define CHECK_EVERY 256

struct page {
    const struct local_store *s;
    const struct persist_backend_call *call;
    const struct persist_backend_list_args *args;
    struct persist_backend_list_result *result;
    struct persist_backend_error *err;
    uint32_t emitted;
};

/* True where the page is full, and then there is more. */
static bool is_full(struct page *p)
{
    if (p->emitted < p->args->limit)
        return false;
    p->result->more = 1;
    return true;
}

static int32_t emit(struct page *p, struct persist_backend_entry *entry)
{
    entry->struct_size = sizeof(*entry);
    p->emitted++;
    if (p->args->emit(p->args->emit_ctx, entry) != 0)
        return WALK_STOP;
    return p->emitted % CHECK_EVERY == 0 ? status_check(p->s, p->call, p->err)
                                         : PERSIST_BACKEND_OK;
}

static int32_t list_file(void *ctx, int dir_fd, const char *name,
                         const char *path)
{
    struct page *p = ctx;
    struct persist_backend_entry entry = {.key = path};
    struct stat st;

    if (is_full(p))
        return WALK_STOP;
    if (posix_io->fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? PERSIST_BACKEND_OK
                               : status_errno(p->err, errno, "list", path);
    if (!S_ISREG(st.st_mode))
        return PERSIST_BACKEND_OK;
    entry.size = (uint64_t)st.st_size;
    entry.modified_us = modified_us(&st);
    entry.present = PERSIST_BACKEND_HAS_SIZE | PERSIST_BACKEND_HAS_MODIFIED;
    return emit(p, &entry);
}

static int32_t list_folder(void *ctx, const char *path)
{
    struct page *p = ctx;
    struct persist_backend_entry entry = {
        .key = path, .flags = PERSIST_BACKEND_ENTRY_FOLDER};

    return is_full(p) ? WALK_STOP : emit(p, &entry);
}

static const struct walk_visitor flat = {.wants = key_name_ok,
                                         .file = list_file};
static const struct walk_visitor by_folder = {
    .wants = key_name_ok, .file = list_file, .folder = list_folder};

int32_t local_list(void *store, const struct persist_backend_call *call,
                   const struct persist_backend_list_args *args,
                   struct persist_backend_list_result *result,
                   struct persist_backend_error *err)
{
    struct page page = {
        .s = store, .call = call, .args = args, .result = result, .err = err};
    bool delimited = strcmp(args->delimiter, "/") == 0;

    result->more = 0;
    if (args->limit == 0 || (!delimited && args->delimiter[0] != '\0'))
        return status_set(err, PERSIST_BACKEND_INVALID,
                          "list: the limit must be positive and the delimiter "
                          "a slash or nothing");
    return walk_tree(store, call, args->prefix, args->start_after,
                     delimited ? &by_folder : &flat, &page, err);
}
