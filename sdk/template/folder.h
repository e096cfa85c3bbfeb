/* SPDX-License-Identifier: 0BSD */
/*
 * The store that the example backend reaches: files of one flat folder.
 *
 * This is the part a copy of the template replaces.  Functions return the codes
 * of persist/backend.h and fill the error.  Object names are keys; the name of
 * something unfinished is a "temp".
 */
#ifndef EXAMPLE_FOLDER_H
#define EXAMPLE_FOLDER_H

#include <persist/backend.h>
#include <sys/stat.h>

#define FOLDER_NAME_CAP 256

struct folder {
    const struct persist_backend_host *host;
    char *root;
};

/* Fills the message; returns rc. */
int32_t folder_answer(struct persist_backend_error *error, int32_t rc,
                      const char *message);
/* The same from errno. */
int32_t folder_failed(struct persist_backend_error *error, const char *message);

/* An empty temp; its name goes to temp. */
int32_t folder_begin(const struct folder *f, char temp[FOLDER_NAME_CAP],
                     struct persist_backend_error *error);
/* Bytes of a temp.  NOT_FOUND where there is no such temp. */
int32_t folder_write(const struct folder *f, const char *temp, const void *data,
                     uint64_t len, uint64_t at,
                     struct persist_backend_error *error);
/* The temp, which must be size bytes long, becomes the object: durable, then
 * visible, then durably visible.  EXISTS, NOT_FOUND (no temp), NOT_DURABLE. */
int32_t folder_publish(const struct folder *f, const char *temp,
                       const char *key, uint64_t size, int if_absent,
                       char *etag, struct persist_backend_error *error);
/* Durably gone; *was is a PERSIST_BACKEND_WAS_. */
int32_t folder_remove_object(const struct folder *f, const char *key,
                             uint32_t *was,
                             struct persist_backend_error *error);
int32_t folder_remove_temp(const struct folder *f, const char *temp,
                           struct persist_backend_error *error);
/* A descriptor to read, which the caller closes.  NOT_FOUND. */
int32_t folder_open(const struct folder *f, const char *key, int *fd,
                    struct stat *st, struct persist_backend_error *error);
/* When the file was last written; macOS has another name for it. */
struct timespec folder_mtime(const struct stat *st);
void folder_etag(const struct stat *st, char etag[PERSIST_BACKEND_ETAG_MAX]);

struct folder_names {
    char **names; /* sorted byte by byte */
    size_t n;
};
/* All keys, or all temps.  Finish it in any case. */
int32_t folder_list(const struct folder *f, int temps, struct folder_names *out,
                    struct persist_backend_error *error);
void folder_names_finish(struct folder_names *names);
int32_t folder_stat_temp(const struct folder *f, const char *temp,
                         struct stat *st, struct persist_backend_error *error);

#endif
