/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person debugging a store wants to know.  Writes one unnamed file,
 * which leaves no trace; measures nothing.
 */
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/vfs.h>

#include "posix/confine.h"
#include "posix/io.h"

struct report {
    const struct persist_backend_probe_args *args;
    bool stopped;
};

static void tell(struct report *r, uint32_t verdict, const char *name,
                 const char *value, const char *hint)
{
    struct persist_backend_finding finding = {.struct_size = sizeof(finding),
                                              .verdict = verdict,
                                              .name = name,
                                              .value = value,
                                              .hint = hint};

    if (!r->stopped)
        r->stopped = r->args->emit(r->args->emit_ctx, &finding) != 0;
}

/* linux/magic.h, and those it lacks. */
struct file_system {
    uint64_t magic;
    const char *name;
    bool remote;    /* as durable as somebody else says */
    bool volatile_; /* gone after a restart */
};
static const struct file_system file_systems[] = {
    {0xef53, "ext4", false, false},
    {0x58465342, "xfs", false, false},
    {0x9123683e, "btrfs", false, false},
    {0x2fc12fc1, "zfs", false, false},
    {0xf2f52010, "f2fs", false, false},
    {0x01021994, "tmpfs", false, true},
    {0x858458f6, "ramfs", false, true},
    {0x794c7630, "overlayfs", false, false},
    {0x4d44, "vfat", false, false},
    {0x2011bab0, "exfat", false, false},
    {0x5346544e, "ntfs", false, false},
    {0x6969, "nfs", true, false},
    {0xff534d42, "cifs", true, false},
    {0xfe534d42, "smb", true, false},
    {0x65735546, "fuse", true, false},
    {0x01021997, "9p", true, false},
    {0x00c36400, "ceph", true, false},
};

static void tell_file_system(struct report *r, int root_fd)
{
    const struct file_system *known = NULL;
    struct statfs fs;
    char text[64];

    if (fstatfs(root_fd, &fs) != 0) {
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", "not known", NULL);
        return;
    }
    for (size_t i = 0; i < sizeof(file_systems) / sizeof(file_systems[0]); i++)
        if (file_systems[i].magic == ((uint64_t)fs.f_type & 0xffffffff))
            known = &file_systems[i];
    (void)snprintf(text, sizeof(text), "type 0x%jx",
                   (uintmax_t)fs.f_type & 0xffffffff);
    if (known != NULL && known->volatile_)
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", known->name,
             "what is saved here is gone after a restart");
    else if (known != NULL && known->remote)
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", known->name,
             "snapshots are as durable as the server's sync promises");
    else
        tell(r, PERSIST_BACKEND_FINDING_INFO, "file-system",
             known != NULL ? known->name : text, NULL);
    (void)snprintf(text, sizeof(text), "%ju MiB",
                   (uintmax_t)fs.f_bavail * (uintmax_t)fs.f_bsize >> 20);
    tell(r,
         fs.f_bavail == 0 ? PERSIST_BACKEND_FINDING_FAIL
                          : PERSIST_BACKEND_FINDING_INFO,
         "free-space", text, NULL);
}

static void tell_access(struct report *r, int root_fd)
{
    struct stat st;

    if (posix_io->fstat(root_fd, &st) != 0)
        return;
    if ((st.st_mode & 022) != 0 && (st.st_mode & 01000) == 0)
        tell(r, PERSIST_BACKEND_FINDING_WARN, "access",
             "others may write to the root",
             "whoever writes to a store can forge snapshots: chmod go-w it");
    else
        tell(r, PERSIST_BACKEND_FINDING_OK, "access",
             "only its owner writes to the root", NULL);
}

/* By doing it: permission bits do not know of read-only and full disks. */
static void tell_writing(struct report *r, const struct local_store *s,
                         int root_fd)
{
    struct persist_backend_error why = {.struct_size = sizeof(why)};
    struct durable_write w;
    int rc = durable_begin(&w, root_fd, s->file_mode, false);
    bool unnamed = w.unnamed;

    if (rc == 0)
        rc = durable_write_at(&w, "x", 1, 0);
    if (rc == 0)
        rc = durable_settle(&w, 1);
    if (rc == 0)
        rc = durable_sync(&w);
    durable_discard(&w);
    if (rc == 0) {
        tell(r, PERSIST_BACKEND_FINDING_OK, "writing", "permitted", NULL);
        tell(r, PERSIST_BACKEND_FINDING_INFO, "unnamed-files",
             unnamed ? "supported" : "not supported: temporaries have names",
             NULL);
        return;
    }
    (void)status_errno(&why, -rc, "write to", s->root_path);
    tell(r, PERSIST_BACKEND_FINDING_FAIL, "writing", why.message,
         "the store can be read at the most");
}

int32_t local_probe(void *store, const struct persist_backend_call *call,
                    const struct persist_backend_probe_args *args,
                    struct persist_backend_probe_result *result,
                    struct persist_backend_error *err)
{
    struct local_store *s = store;
    struct report r = {.args = args};
    int root_fd = -1;
    int32_t rc = status_check(s, call, err);

    (void)result;
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    tell(&r, PERSIST_BACKEND_FINDING_INFO, "root", s->root_path, NULL);
    rc = root_get(s, false, &root_fd, err);
    if (rc == PERSIST_BACKEND_NOT_FOUND) {
        tell(&r, PERSIST_BACKEND_FINDING_INFO, "state",
             "empty: the first save creates the root", NULL);
        return PERSIST_BACKEND_OK;
    }
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    tell_file_system(&r, root_fd);
    tell_access(&r, root_fd);
    tell_writing(&r, s, root_fd);
    tell(&r, PERSIST_BACKEND_FINDING_INFO, "confinement",
         confine_uses_openat2() ? "openat2" : "component by component", NULL);
    return PERSIST_BACKEND_OK;
}
