/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The backend directory that needs no configuration, in a file of its own so
 * that a test can link another one in its place.
 *
 * libpersist and its backends are installed together, so they are looked for
 * beside the library first: a prefix that was chosen when installing, or an
 * installed tree that was moved, is not the one that was compiled in.
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "backend/registry.h"

static pthread_once_t looked = PTHREAD_ONCE_INIT;
static char beside[PATH_MAX];

/* The directory of the object this code lies in; "" where the loader names it
 * by a path that is relative to where the process was when it began. */
static void own_directory(char out[PATH_MAX])
{
    Dl_info object;
    char *slash = NULL;

    if (dladdr(beside, &object) != 0 && object.dli_fname &&
        object.dli_fname[0] == '/' && realpath(object.dli_fname, out))
        slash = strrchr(out, '/');
    if (slash)
        *slash = '\0';
    else
        out[0] = '\0';
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Leaves `beside` empty where it would only be another spelling of the
 * compiled-in one. */
static void look(void)
{
    char dir[PATH_MAX];
    char *compiled = realpath(PERSIST_BACKEND_DIR, NULL);

    own_directory(dir);
    int len = dir[0] ? snprintf(beside, sizeof(beside), "%s/%s", dir,
                                PERSIST_BACKEND_SUBDIR)
                     : 0;
    if (len >= (int)sizeof(beside) || !is_directory(beside) ||
        (compiled && strcmp(compiled, beside) == 0))
        beside[0] = '\0';
    free(compiled);
}

const char *plugin_builtin_dir(void)
{
    (void)pthread_once(&looked, look);
    return beside[0] ? beside : PERSIST_BACKEND_DIR;
}

const char *plugin_trusted_dir(void)
{
    return PERSIST_BACKEND_DIR;
}
