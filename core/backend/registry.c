/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a name to a plugin: where to look, in which order the checks come, and
 * the memory of what has been loaded.
 *
 *     name -> <dir>/NAME.so -> realpath -> known? -> trust -> ELF -> dlopen
 *          -> entry -> descriptor, copied -> known from now on
 *
 * One mutex covers all of it: neither libltdl nor plugins' constructors and
 * entries are to be expected thread-safe.  What is loaded stays, so a file that
 * was loaded and then refused is remembered too: dlopen would give the old
 * object again even if the file has been replaced.
 */
#include "backend/registry.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/descriptor.h"
#include "backend/host.h"
#include "backend/loader.h"
#include "backend/object_file.h"
#include "backend/store_call.h"
#include "backend/trust.h"
#include "util/buf.h"
#include "util/text.h"

/* One object that is in the process.  Never freed. */
struct loaded {
    struct plugin plugin;
    int status; /* PERSIST_OK, or why it is refused: error */
    struct persist_error error;
    pthread_mutex_t init_mutex;
    bool init_done; /* under init_mutex */
    int init_status;
    struct persist_error init_error;
    struct loaded *next;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct loaded *all; /* under mutex */

static int config_error(struct persist_error *err, const char *path,
                        const char *why)
{
    error_set(err, PERSIST_E_CONFIG, "backend %s %s", path, why);
    error_object(err, "%s", path);
    return PERSIST_E_CONFIG;
}

/* A file that is there and cannot be used is a matter of configuration, whether
 * its bytes, its owner or its permissions are the reason. */
static int as_config(int rc, struct persist_error *err)
{
    if (rc == PERSIST_OK || rc == PERSIST_E_MEMORY)
        return rc;
    if (err)
        err->status = PERSIST_E_CONFIG;
    return PERSIST_E_CONFIG;
}

/* ------------------------------------------------------------ one file */

/* The compiled-in directory is trusted as libpersist itself is: whoever can
 * write there can replace the library.  Of one that was only found beside the
 * library that is not known: in /tmp anybody could have made it. */
static bool is_trusted(const char *real_path)
{
    char *trusted = realpath(plugin_trusted_dir(), NULL);
    size_t len = trusted ? strlen(trusted) : 0;
    bool is = trusted && strncmp(real_path, trusted, len) == 0 &&
              real_path[len] == '/' && !strchr(real_path + len + 1, '/');

    free(trusted);
    return is;
}

static struct loaded *find_loaded(const char *real_path)
{
    struct loaded *l = all;

    while (l && strcmp(l->plugin.path, real_path) != 0)
        l = l->next;
    return l;
}

static struct loaded *create_loaded(const char *real_path)
{
    struct loaded *l = calloc(1, sizeof(*l));

    if (!l)
        return NULL;
    l->plugin.path = text_dup(real_path);
    if (!l->plugin.path || pthread_mutex_init(&l->init_mutex, NULL) != 0) {
        free(l->plugin.path);
        free(l);
        return NULL;
    }
    return l;
}

static void discard_loaded(struct loaded *l)
{
    pthread_mutex_destroy(&l->init_mutex);
    free(l->plugin.path);
    free(l);
}

/* What is in the process is remembered with its answer, except that memory may
 * be there the next time. */
static int load_new(struct loaded *l, struct persist_error *err)
{
    const char *path = l->plugin.path;
    persist_backend_entry_fn entry = NULL;
    bool stays = false;
    int fd = -1;
    int rc = trust_open(path, !is_trusted(path), geteuid(), &fd, err);

    if (rc != PERSIST_OK)
        return as_config(rc, err);
    rc = object_file_check(fd, path, err);
    if (rc == PERSIST_OK)
        rc = loader_open(path, fd, &entry, &stays, err);
    close(fd);
    if (rc == PERSIST_OK)
        rc = descriptor_copy(entry(host_table()), path, &l->plugin, err);
    rc = as_config(rc, err);
    if (stays && rc != PERSIST_E_MEMORY) {
        l->status = rc;
        if (rc != PERSIST_OK && err)
            l->error = *err;
        l->next = all;
        all = l;
    }
    return rc;
}

static int load_locked(const char *real_path, const struct plugin **out,
                       struct persist_error *err)
{
    struct persist_error own = {0};
    struct loaded *l = find_loaded(real_path);
    int rc;

    if (l) {
        rc = l->status;
        own = l->error;
    } else {
        l = create_loaded(real_path);
        if (!l) {
            error_memory(err);
            return PERSIST_E_MEMORY;
        }
        rc = load_new(l, &own);
    }
    if (rc == PERSIST_OK) {
        *out = &l->plugin;
        return PERSIST_OK;
    }
    /* Only what is in the process is remembered. */
    if (find_loaded(real_path) != l)
        discard_loaded(l);
    if (err)
        *err = own;
    return rc;
}

int plugin_load_file(const char *path, const struct plugin **out,
                     struct persist_error *err)
{
    char *real = NULL;
    int rc;

    if (path[0] != '/')
        return config_error(err, path, "is not an absolute path");
    real = realpath(path, NULL);
    if (!real && (errno == ENOENT || errno == ENOTDIR)) {
        error_set(err, PERSIST_E_NOT_FOUND, "there is no file %s", path);
        error_object(err, "%s", path);
        return PERSIST_E_NOT_FOUND;
    }
    if (!real) {
        error_errno(err, errno, "cannot find %s", path);
        return as_config(PERSIST_E_IO, err);
    }
    pthread_mutex_lock(&mutex);
    rc = load_locked(real, out, err);
    pthread_mutex_unlock(&mutex);
    free(real);
    return rc;
}

/* ------------------------------------------------------------- by name */

static int add_name(void *ctx, const char *name, const char *path)
{
    struct buf *names = ctx;

    (void)path;
    buf_printf(names, "%s%s", names->len ? ", " : "", name);
    return 0;
}

/* A package is advised only where there is one; any other name is a slip, or
 * somebody's own. */
static void hint_at_backends(const struct plugin_dirs *dirs, const char *name,
                             struct persist_error *err)
{
    static const struct {
        const char *backend, *package;
    } packages[] = {{"local", "persist"},
                    {"s3", "persist-backend-s3"},
                    {"gcs", "persist-backend-gcs"}};
    struct persist_error unread = {0};
    struct buf names;

    for (size_t i = 0; i < sizeof(packages) / sizeof(packages[0]); i++)
        if (strcmp(packages[i].backend, name) == 0) {
            error_hint(err,
                       "install the package %s, or name the directory of "
                       "%s.so with backend_dir",
                       packages[i].package, name);
            return;
        }
    buf_init(&names, sizeof(err->hint));
    (void)plugin_each_file(dirs, add_name, &names, &unread);
    error_hint(err, "backends found: %s; backend_dir names further directories",
               names.len && !buf_failed(&names) ? names.data : "none");
    buf_finish(&names);
}

static int not_found(const struct plugin_dirs *dirs, const char *name,
                     struct persist_error *err)
{
    error_set(err, PERSIST_E_NOT_FOUND, "there is no backend %s in %s%s", name,
              dirs && dirs->n_dirs ? "the backend directories or " : "",
              plugin_builtin_dir());
    error_object(err, "%s", name);
    hint_at_backends(dirs, name, err);
    return PERSIST_E_NOT_FOUND;
}

/* dirs, then the built-in one at n_dirs. */
static const char *directory(const struct plugin_dirs *dirs, size_t i)
{
    return dirs && i < dirs->n_dirs ? dirs->dirs[i] : plugin_builtin_dir();
}

static size_t n_directories(const struct plugin_dirs *dirs)
{
    return (dirs ? dirs->n_dirs : 0) + 1;
}

static int load_named(const char *path, const char *name,
                      const struct plugin **out, struct persist_error *err)
{
    const struct plugin *plugin = NULL;
    int rc = plugin_load_file(path, &plugin, err);

    if (rc != PERSIST_OK)
        return rc;
    if (strcmp(plugin->descriptor.name, name) != 0) {
        error_set(err, PERSIST_E_CONFIG, "backend %s says that its name is %s",
                  path, plugin->descriptor.name);
        error_object(err, "%s", path);
        error_hint(err, "the file must be called %s.so",
                   plugin->descriptor.name);
        return PERSIST_E_CONFIG;
    }
    *out = plugin;
    return PERSIST_OK;
}

int plugin_load(const struct plugin_dirs *dirs, const char *name,
                const struct plugin **out, struct persist_error *err)
{
    if (!descriptor_name_is_valid(name)) {
        error_set(err, PERSIST_E_CONFIG, "%.64s is no name of a backend", name);
        error_hint(err, "a name has 1 to 32 of a-z, 0-9 and -; a file is named "
                        "through its directory (backend_dir)");
        return PERSIST_E_CONFIG;
    }
    for (size_t i = 0; i < n_directories(dirs); i++) {
        const char *dir = directory(dirs, i);
        char *path = text_format("%s/%s.so", dir, name);
        if (!path)
            return error_memory(err);
        int rc = load_named(path, name, out, err);
        free(path);
        if (rc != PERSIST_E_NOT_FOUND)
            return rc;
    }
    return not_found(dirs, name, err);
}

/* ---------------------------------------------------------------- init */

static int run_init(const struct plugin *plugin, struct persist_error *err)
{
    struct persist_backend_error error = {.struct_size = sizeof(error)};
    int32_t status = plugin->ops.init(host_table(), &error);

    if (status == PERSIST_BACKEND_OK)
        return PERSIST_OK;
    store_error_clean(&error);
    error_set(err, PERSIST_E_CONFIG, "backend %s cannot start: %s",
              plugin->descriptor.name,
              error.message[0] ? error.message : "it did not say why");
    error_object(err, "%s", plugin->path);
    return PERSIST_E_CONFIG;
}

static struct loaded *loaded_of(const struct plugin *plugin)
{
    struct loaded *l;

    pthread_mutex_lock(&mutex);
    l = all;
    while (l && &l->plugin != plugin)
        l = l->next;
    pthread_mutex_unlock(&mutex);
    return l;
}

int plugin_init(const struct plugin *plugin, struct persist_error *err)
{
    struct loaded *l = plugin->ops.init ? loaded_of(plugin) : NULL;
    int rc;

    if (!plugin->ops.init)
        return PERSIST_OK;
    if (!l)
        return error_set(err, PERSIST_E_INTERNAL,
                         "a backend that was not loaded");
    pthread_mutex_lock(&l->init_mutex);
    if (!l->init_done) {
        l->init_status = run_init(plugin, &l->init_error);
        l->init_done = true;
    }
    rc = l->init_status;
    if (rc != PERSIST_OK && err)
        *err = l->init_error;
    pthread_mutex_unlock(&l->init_mutex);
    return rc;
}

const char *plugin_option_type_name(uint32_t type)
{
    static const char *const names[] = {
        [PERSIST_BACKEND_STRING] = "string",
        [PERSIST_BACKEND_INT] = "int",
        [PERSIST_BACKEND_SIZE] = "size",
        [PERSIST_BACKEND_DURATION] = "duration",
        [PERSIST_BACKEND_BOOL] = "bool",
        [PERSIST_BACKEND_CHOICE] = "choice",
        [PERSIST_BACKEND_PATH] = "path",
        [PERSIST_BACKEND_URL] = "url",
        [PERSIST_BACKEND_SECRET] = "secret",
        [PERSIST_BACKEND_LIST] = "list",
    };

    return type < sizeof(names) / sizeof(names[0]) && names[type] ? names[type]
                                                                  : "unknown";
}
