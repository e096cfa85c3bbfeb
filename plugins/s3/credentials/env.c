/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own world: getenv, files, programs, an HTTP client. */
#include "s3/credentials/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "posix/os.h"
#include "support/command.h"
#include "support/fail.h"

struct process {
    const struct persist_backend_host *host;
    struct http_client *client;
};

static const char *get(void *ctx, const char *name)
{
    (void)ctx;
    return os_getenv(name); /* not of who calls a setuid program */
}

static int32_t read_small(void *ctx, const char *path, size_t max,
                          struct secret *out, struct smallfile_info *out_info,
                          struct persist_backend_error *err)
{
    (void)ctx;
    return smallfile_read(path, max, 0, out, out_info, err);
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return fsync(fd) == 0 ? 0 : -errno;
}

/* A name beside path that nobody else has. */
static int32_t temporary(const struct persist_backend_host *host,
                         const char *path, char *out, size_t cap)
{
    uint64_t number;
    int n;

    if (host->random(&number, sizeof(number)) != PERSIST_BACKEND_OK)
        return -EIO;
    n = snprintf(out, cap, "%s.%016llx", path, (unsigned long long)number);
    return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

static int32_t replace(void *ctx, const char *path, const void *bytes,
                       size_t len, struct persist_backend_error *err)
{
    const struct process *p = ctx;
    char temp[4200];
    int fd = -1;
    int rc = temporary(p->host, path, temp, sizeof(temp));

    if (rc == 0) {
        fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600);
        rc = fd < 0 ? -errno : write_all(fd, bytes, len);
    }
    if (fd >= 0 && close(fd) != 0 && rc == 0)
        rc = -errno;
    if (rc == 0 && rename(temp, path) != 0)
        rc = -errno;
    if (rc != 0 && fd >= 0)
        (void)unlink(temp);
    if (rc != 0)
        return fail_errno(err, PERSIST_BACKEND_IO, -rc, "cannot write %.200s",
                          path);
    return PERSIST_BACKEND_OK;
}

static int32_t run(void *ctx, const struct persist_backend_call *call,
                   char *const argv[], uint32_t timeout_ms, size_t max,
                   struct secret *out, struct persist_backend_error *err)
{
    const struct process *p = ctx;

    return command_run(p->host, call, argv, NULL, timeout_ms, max, out, err);
}

static int32_t fetch(void *ctx, const struct persist_backend_call *call,
                     const struct http_request *request,
                     struct http_response *response,
                     struct persist_backend_error *err)
{
    const struct process *p = ctx;

    return http_perform(p->client, call, request, response, err);
}

int32_t s3_credentials_env_create(const struct persist_backend_host *host,
                                  void *host_store, const char *ca_bundle,
                                  const char *proxy,
                                  struct s3_credentials_env *out,
                                  struct persist_backend_error *err)
{
    const struct http_config config = {.host = host,
                                       .host_store = host_store,
                                       .ca_bundle = ca_bundle,
                                       .proxy = proxy,
                                       .request_id_header = "x-amzn-requestid"};
    struct process *p = calloc(1, sizeof(*p));
    int32_t rc;

    if (p == NULL)
        return fail(err, PERSIST_BACKEND_MEMORY, "out of memory");
    p->host = host;
    rc = http_client_create(&config, &p->client, err);
    if (rc != PERSIST_BACKEND_OK) {
        free(p);
        return rc;
    }
    *out = (struct s3_credentials_env){.ctx = p,
                                       .get = get,
                                       .read = read_small,
                                       .write = replace,
                                       .run = run,
                                       .fetch = fetch};
    return PERSIST_BACKEND_OK;
}

void s3_credentials_env_finish(struct s3_credentials_env *env)
{
    struct process *p = env->ctx;

    if (p == NULL)
        return;
    http_client_destroy(p->client);
    free(p);
    memset(env, 0, sizeof(*env));
}
