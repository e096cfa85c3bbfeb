/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dlopen, then lt_dlopenadvise of the same file, then the entry.  No search
 * path, no .la, no lt_dlclose, no lt_dlexit of what is loaded.  Which files may
 * come here is decided by backend/trust and backend/object_file before.
 */
#include "backend/loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <ltdl.h>
#include <string.h>
#include <sys/stat.h>

static int fail(struct persist_error *err, const char *path, const char *why)
{
    error_set(err, PERSIST_E_CONFIG, "cannot load %s: %s", path, why);
    error_object(err, "%s", path);
    return PERSIST_E_CONFIG;
}

/* Once per process; the mutex of our caller guards `ready`.  lt_dlinit counts
 * its calls and does its work in the first: one that failed has to be taken
 * back, or the next says yes and nothing opens ever after.  Nothing is loaded
 * then, so that lt_dlexit unloads nothing. */
static int start_libltdl(struct persist_error *err)
{
    static bool ready;

    if (!ready && lt_dlinit() != 0) {
        error_set(err, PERSIST_E_CONFIG, "cannot start libltdl: %s",
                  lt_dlerror());
        lt_dlexit();
        return PERSIST_E_CONFIG;
    }
    ready = true;
    return PERSIST_OK;
}

/* The object is mapped and bound by now, so that this only adds libltdl's
 * handle to it; its error text is worth nothing (see loader.h). */
static lt_dlhandle open_libltdl(const char *path)
{
    lt_dladvise advise;
    lt_dlhandle handle = NULL;

    if (lt_dladvise_init(&advise) != 0)
        return NULL;
    if (lt_dladvise_local(&advise) == 0 && lt_dladvise_resident(&advise) == 0)
        handle = lt_dlopenadvise(path, advise);
    lt_dladvise_destroy(&advise);
    return handle;
}

/* dlsym also looks into what the object depends on: an entry that lies in
 * another object is some other plugin's. */
static bool lies_in(int fd, const void *symbol)
{
    Dl_info object;
    struct stat of_symbol;
    struct stat held;

    return dladdr(symbol, &object) != 0 && object.dli_fname &&
           stat(object.dli_fname, &of_symbol) == 0 && fstat(fd, &held) == 0 &&
           of_symbol.st_dev == held.st_dev && of_symbol.st_ino == held.st_ino;
}

/*
 * dlopen takes a path, not our descriptor, so between the checks and the load
 * there is a window in which the path can be made to name another file.  Only
 * root and the effective user can do that (backend/trust), who may load what
 * they like; looking again catches the honest case, an upgrade at this moment.
 */
static bool still_the_same(const char *path, int fd)
{
    struct stat held;
    struct stat now;

    return fstat(fd, &held) == 0 && stat(path, &now) == 0 &&
           held.st_dev == now.st_dev && held.st_ino == now.st_ino &&
           held.st_size == now.st_size;
}

static int find_entry(const char *path, int fd, lt_dlhandle handle,
                      persist_backend_entry_fn *out, struct persist_error *err)
{
    void *symbol = lt_dlsym(handle, PERSIST_BACKEND_ENTRY_SYMBOL);

    if (!symbol || !lies_in(fd, symbol)) {
        fail(err, path,
             "it has no " PERSIST_BACKEND_ENTRY_SYMBOL " of its own");
        error_hint(err,
                   "it is no Persist backend, or one for another major "
                   "version of the ABI than %d",
                   PERSIST_BACKEND_ABI_MAJOR);
        return PERSIST_E_CONFIG;
    }
    /* POSIX says that this conversion works; ISO C has no cast for it. */
    memcpy(out, &symbol, sizeof(*out));
    return PERSIST_OK;
}

int loader_open(const char *real_path, int fd, persist_backend_entry_fn *out,
                bool *out_stays, struct persist_error *err)
{
    *out_stays = false;
    int rc = start_libltdl(err);
    if (rc != PERSIST_OK)
        return rc;
    void *dl = dlopen(real_path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!dl) {
        const char *text = dlerror();
        const char *why = text ? text : "unknown reason";
        size_t len = strlen(real_path);
        /* glibc repeats the path, which the message has already. */
        if (strncmp(why, real_path, len) == 0 && why[len] == ':')
            why += len + 1 + (why[len + 1] == ' ');
        return fail(err, real_path, why);
    }
    *out_stays = true;
    if (!still_the_same(real_path, fd))
        return fail(err, real_path,
                    "the file was replaced while it was loaded");
    lt_dlhandle handle = open_libltdl(real_path);
    if (!handle)
        return fail(err, real_path, "libltdl cannot open it");
    return find_entry(real_path, fd, handle, out, err);
}
