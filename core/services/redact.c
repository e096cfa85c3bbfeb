/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registered secrets and the one pass that takes out what is found.  Shapes are
 * in redact_shape.c.
 *
 * A secret's forms lie in one locked mapping, one after the other.  Base64 of
 * something that contains the secret shows it at one of three alignments; of
 * each, only the characters that depend on the secret alone are kept.
 *
 * One lock over the list of them: a line is looked at by many threads at once,
 * and a store is opened or closed seldom.
 */
#include "services/redact.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <persist/error.h>

#include "util/buf.h"
#include "util/secret.h"
#include "util/text.h"

#define SECRET_MIN 6
#define N_FORMS 13

static const char mask[] = "(redacted)";
#define MASK_LEN (sizeof(mask) - 1)

struct form {
    const char *text;
    size_t len;
};

struct forms {
    struct forms *next;
    struct secret *memory;
    size_t n_users;
    uint64_t unused_ns; /* since when, where there are none */
    size_t n;
    struct form form[N_FORMS]; /* form[0]: the secret as it is */
};

struct redactor {
    pthread_rwlock_t lock;
    struct forms *head; /* under lock */
};

struct redactor *redactor_create(void)
{
    struct redactor *r = calloc(1, sizeof(*r));
    if (r && pthread_rwlock_init(&r->lock, NULL) != 0) {
        free(r);
        return NULL;
    }
    return r;
}

static void destroy_forms(struct forms *f)
{
    secret_destroy(f->memory);
    free(f);
}

void redactor_destroy(struct redactor *r)
{
    if (!r)
        return;
    struct forms *f = r->head;
    while (f) {
        struct forms *next = f->next;
        destroy_forms(f);
        f = next;
    }
    pthread_rwlock_destroy(&r->lock);
    free(r);
}

/* ------------------------------------------------------------------- forms */

static void put_raw(struct buf *out, const uint8_t *p, size_t len, int variant)
{
    (void)variant;
    buf_append(out, p, len);
}

/* As it stands in a log line: escaped, without the quotes around it. */
static void put_quoted(struct buf *out, const uint8_t *p, size_t len,
                       int variant)
{
    (void)variant;
    text_quote(out, (const char *)p, len);
}

enum { URL_UPPER, URL_LOWER, URL_PATH };

static void put_url(struct buf *out, const uint8_t *p, size_t len, int variant)
{
    const char *digits =
        variant == URL_LOWER ? "0123456789abcdef" : "0123456789ABCDEF";
    for (size_t i = 0; i < len; i++) {
        char c = (char)p[i];
        bool letter = text_is_lower(c) || (c >= 'A' && c <= 'Z');
        if (letter || text_is_digit(c) || (c && strchr("-._~", c)) ||
            (variant == URL_PATH && c == '/')) {
            buf_putc(out, c);
            continue;
        }
        buf_putc(out, '%');
        buf_putc(out, digits[p[i] >> 4]);
        buf_putc(out, digits[p[i] & 15]);
    }
}

static void put_hex(struct buf *out, const uint8_t *p, size_t len, int variant)
{
    const char *digits = variant ? "0123456789ABCDEF" : "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        buf_putc(out, digits[p[i] >> 4]);
        buf_putc(out, digits[p[i] & 15]);
    }
}

#define BASE64_COMMON                                                          \
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

/* variant: alignment 0 to 2, plus 4 for the URL-safe alphabet.  Takes the
 * sextets that lie wholly within the secret. */
static void put_base64(struct buf *out, const uint8_t *p, size_t len,
                       int variant)
{
    const char *alphabet =
        variant & 4 ? BASE64_COMMON "-_" : BASE64_COMMON "+/";
    size_t before = 8 * (size_t)(variant & 3); /* bits of something else */
    size_t end = before + 8 * len;

    for (size_t bit = (before + 5) / 6 * 6; bit + 6 <= end; bit += 6) {
        unsigned sextet = 0;
        for (size_t i = bit - before; i < bit - before + 6; i++)
            sextet = sextet << 1 | (p[i / 8] >> (7 - i % 8) & 1);
        buf_putc(out, alphabet[sextet]);
    }
}

static const struct {
    void (*put)(struct buf *out, const uint8_t *p, size_t len, int variant);
    int variant;
} makers[N_FORMS] = {
    {put_raw, 0},         {put_quoted, 0},     {put_url, URL_UPPER},
    {put_url, URL_LOWER}, {put_url, URL_PATH}, {put_base64, 0},
    {put_base64, 1},      {put_base64, 2},     {put_base64, 4},
    {put_base64, 5},      {put_base64, 6},     {put_hex, 0},
    {put_hex, 1},
};

static bool is_known(const struct forms *f, size_t n, struct form form)
{
    for (size_t i = 0; i < n; i++)
        if (f->form[i].len == form.len &&
            memcmp(f->form[i].text, form.text, form.len) == 0)
            return true;
    return false;
}

/* The buffer stands on the mapping and is large enough for every form, so it
 * never moves the secret to ordinary memory. */
static bool make_forms(struct forms *f, const void *bytes, size_t len)
{
    size_t room = 36 * len + 256;
    f->memory = len < SIZE_MAX / 64 ? secret_create(NULL, room) : NULL;
    if (!f->memory)
        return false;
    struct buf out = {.data = secret_edit(f->memory), .cap = room};
    out.max = room - 1;

    for (size_t i = 0; i < N_FORMS; i++) {
        size_t start = out.len;
        makers[i].put(&out, bytes, len, makers[i].variant);
        struct form form = {out.data + start, out.len - start};
        if (makers[i].put == put_quoted) {
            form.text++;
            form.len -= 2;
        }
        if (form.len >= SECRET_MIN && !is_known(f, f->n, form))
            f->form[f->n++] = form;
    }
    return !buf_failed(&out);
}

static struct forms *find(const struct redactor *r, const void *bytes,
                          size_t len)
{
    struct form form = {bytes, len};
    struct forms *f = r->head;
    while (f && !is_known(f, 1, form))
        f = f->next;
    return f;
}

static int add(struct redactor *r, const void *bytes, size_t len)
{
    struct forms *f = find(r, bytes, len);
    if (f) {
        f->n_users++;
        return PERSIST_OK;
    }
    f = calloc(1, sizeof(*f));
    if (!f)
        return PERSIST_E_MEMORY;
    if (!make_forms(f, bytes, len)) {
        destroy_forms(f);
        return PERSIST_E_MEMORY;
    }
    f->n_users = 1;
    f->next = r->head;
    r->head = f;
    return PERSIST_OK;
}

static void forget(struct redactor *r, uint64_t now_ns)
{
    struct forms **place = &r->head;
    while (*place) {
        struct forms *f = *place;
        if (f->n_users > 0 || now_ns < f->unused_ns + REDACTOR_KEEP_NS) {
            place = &f->next;
            continue;
        }
        *place = f->next;
        destroy_forms(f);
    }
}

int redactor_add(struct redactor *r, const void *bytes, size_t len,
                 uint64_t now_ns)
{
    if (len < SECRET_MIN)
        return PERSIST_OK;
    pthread_rwlock_wrlock(&r->lock);
    int rc = add(r, bytes, len);
    forget(r, now_ns);
    pthread_rwlock_unlock(&r->lock);
    return rc;
}

void redactor_drop(struct redactor *r, const void *bytes, size_t len,
                   uint64_t now_ns)
{
    if (len < SECRET_MIN)
        return;
    pthread_rwlock_wrlock(&r->lock);
    struct forms *f = find(r, bytes, len);
    if (f && f->n_users > 0 && --f->n_users == 0)
        f->unused_ns = now_ns;
    pthread_rwlock_unlock(&r->lock);
}

/* ---------------------------------------------------------------- the pass */

/* The longest form that begins at text, in bytes; 0: none. */
static size_t match_secret(const struct redactor *r, const char *text,
                           size_t len)
{
    size_t best = 0;

    for (const struct forms *f = r ? r->head : NULL; f; f = f->next) {
        for (size_t i = 0; i < f->n; i++) {
            const struct form *form = &f->form[i];
            if (form->len > best && form->len <= len &&
                form->text[0] == text[0] &&
                memcmp(form->text, text, form->len) == 0)
                best = form->len;
        }
    }
    return best;
}

size_t redactor_apply(struct redactor *r, char *text, size_t len)
{
    size_t from = 0, to = 0; /* to never passes from */

    if (r)
        pthread_rwlock_rdlock(&r->lock);
    while (from < len) {
        struct redact_span span = {0, match_secret(r, text + from, len - from)};
        if (span.take == 0 && !redact_shape(text + from, len - from, &span))
            span = (struct redact_span){1, 0};
        memmove(text + to, text + from, span.keep);
        to += span.keep;
        size_t shown = span.take < MASK_LEN ? span.take : MASK_LEN;
        if (shown == MASK_LEN)
            memcpy(text + to, mask, MASK_LEN);
        else
            memset(text + to, '*', shown);
        to += shown;
        from += span.keep + span.take;
    }
    if (r)
        pthread_rwlock_unlock(&r->lock);
    text[to] = '\0';
    return to;
}
