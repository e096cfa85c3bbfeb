/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for the text of the configuration.  Any value may be a secret, so all
 * of it lies in locked mappings that are wiped at the end; nothing is freed
 * before.
 */
#include "services/config_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/secret.h"

#define CHUNK 16000

void config_arena_finish(struct config_arena *a)
{
    for (size_t i = 0; i < a->n_chunks; i++)
        secret_destroy(a->chunks[i]);
    free(a->chunks);
    *a = (struct config_arena){0};
}

static bool add_chunk(struct config_arena *a, size_t len)
{
    struct secret **chunks =
        realloc(a->chunks, (a->n_chunks + 1) * sizeof(struct secret *));
    if (!chunks)
        return false;
    a->chunks = chunks;
    struct secret *chunk = secret_create(NULL, len);
    if (!chunk)
        return false;
    chunks[a->n_chunks++] = chunk;
    a->next = secret_edit(chunk);
    a->left = len;
    return true;
}

/* len bytes and a NUL */
static char *reserve(struct config_arena *a, size_t len)
{
    if (len >= a->left && !add_chunk(a, len < CHUNK ? CHUNK : len + 1))
        return NULL;
    char *room = a->next;
    room[len] = '\0';
    a->next += len + 1;
    a->left -= len + 1;
    return room;
}

char *config_keep(struct config_arena *a, const char *text, size_t len)
{
    char *copy = reserve(a, len);
    if (copy && len > 0)
        memcpy(copy, text, len);
    return copy;
}

char *config_keep_text(struct config_arena *a, const char *text)
{
    return config_keep(a, text, strlen(text));
}

char *config_keep_origin(struct config_arena *a, const char *path,
                         unsigned line)
{
    char number[16];
    int n = snprintf(number, sizeof(number), ":%u", line);
    size_t path_len = strlen(path);

    char *origin = reserve(a, path_len + (size_t)n);
    if (origin)
        snprintf(origin, path_len + (size_t)n + 1, "%s%s", path, number);
    return origin;
}
