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
#include <unistd.h>

#include "posix/confine.h"
#include "posix/io.h"
#include "posix/os.h"

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

static void tell_file_system(struct report *r, int root_fd)
{
    struct os_file_system fs;
    char text[64];

    if (os_file_system(root_fd, &fs) != 0) {
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", "not known", NULL);
        return;
    }
    if (fs.volatile_)
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", fs.name,
             "what is saved here is gone after a restart");
    else if (fs.remote)
        tell(r, PERSIST_BACKEND_FINDING_WARN, "file-system", fs.name,
             "snapshots are as durable as the server's sync promises");
    else
        tell(r, PERSIST_BACKEND_FINDING_INFO, "file-system", fs.name, NULL);
    (void)snprintf(text, sizeof(text), "%ju MiB",
                   (uintmax_t)(fs.free_bytes >> 20));
    tell(r,
         fs.free_bytes == 0 ? PERSIST_BACKEND_FINDING_FAIL
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
    char hint[64];
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
    (void)snprintf(hint, sizeof(hint),
                   "give user %u access there, with chown or chmod",
                   (unsigned)geteuid());
    tell(r, PERSIST_BACKEND_FINDING_FAIL, "writing", why.message,
         rc == -EACCES ? hint : NULL);
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
