/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of uploads under way.  An id names one of this opened store and is
 * worth nothing elsewhere: the file has no name yet, so nobody else could go on
 * with it.  Uploads are counted references: an abort beside a running part only
 * takes it out of the table.
 */
#include "local.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "posix/io.h"

/* "up-", the store's nonce, "-", a number: all in hex, 16 digits each. */
#define ID_PREFIX "up-"
#define ID_LEN (3 + 16 + 1 + 16)

void uploads_add(struct local_store *s, struct local_upload *u,
                 char id[PERSIST_BACKEND_UPLOAD_ID_MAX])
{
    pthread_mutex_lock(&s->uploads_lock);
    u->number = ++s->next_upload;
    u->refs = 1;
    u->listed = true;
    u->next = s->uploads;
    s->uploads = u;
    pthread_mutex_unlock(&s->uploads_lock);
    (void)snprintf(id, PERSIST_BACKEND_UPLOAD_ID_MAX, ID_PREFIX "%016jx-%016jx",
                   (uintmax_t)s->nonce, (uintmax_t)u->number);
}

/* Exactly 16 lower-case hex digits. */
static bool parse_hex(const char *text, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < 16; i++) {
        char c = text[i];

        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            *out = *out << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    return true;
}

static bool parse_id(const char *id, uint64_t *nonce, uint64_t *number)
{
    return strncmp(id, ID_PREFIX, 3) == 0 && strlen(id) == ID_LEN &&
           parse_hex(id + 3, nonce) && id[19] == '-' &&
           parse_hex(id + 20, number);
}

bool uploads_id_ok(const char *id)
{
    uint64_t nonce, number;

    return parse_id(id, &nonce, &number);
}

struct local_upload *uploads_find(struct local_store *s, const char *id)
{
    struct local_upload *u = NULL;
    uint64_t nonce, number;

    if (!parse_id(id, &nonce, &number) || nonce != s->nonce)
        return NULL;
    pthread_mutex_lock(&s->uploads_lock);
    for (u = s->uploads; u != NULL && u->number != number;)
        u = u->next;
    if (u != NULL)
        u->refs++;
    pthread_mutex_unlock(&s->uploads_lock);
    return u;
}

void uploads_destroy(struct local_store *s, struct local_upload *u)
{
    writeback_finish(&u->writeback);
    durable_discard(&u->w);
    dirs_release(s, u->dir);
    free(u->key);
    free(u);
}

void uploads_release(struct local_store *s, struct local_upload *u)
{
    bool last;

    pthread_mutex_lock(&s->uploads_lock);
    last = --u->refs == 0;
    pthread_mutex_unlock(&s->uploads_lock);
    if (last)
        uploads_destroy(s, u);
}

void uploads_remove(struct local_store *s, struct local_upload *u)
{
    bool was_listed;

    pthread_mutex_lock(&s->uploads_lock);
    was_listed = u->listed;
    for (struct local_upload **at = &s->uploads; *at != NULL; at = &(*at)->next)
        if (*at == u) {
            *at = u->next;
            break;
        }
    u->listed = false;
    pthread_mutex_unlock(&s->uploads_lock);
    if (was_listed)
        uploads_release(s, u);
}

void uploads_finish(struct local_store *s)
{
    while (s->uploads != NULL)
        uploads_remove(s, s->uploads);
}
