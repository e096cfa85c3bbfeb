/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One reply of ListObjectsV2.  Objects and folders come in two lists, names
 * encoded as in a form; here they become one, sorted as keys sort.  What is not
 * the store's is left out: names above its prefix, names that are no keys,
 * folders that only repeat what start_after has passed.
 */
#include "s3.h"

#include <stdlib.h>
#include <string.h>

#include "s3/xml.h"
#include "support/dates.h"

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool page_decode(char *s)
{
    char *out = s;

    for (; *s != '\0'; s++, out++) {
        *out = *s;
        if (*s == '+')
            *out = ' ';
        if (*s != '%')
            continue;
        int high = hex_value(s[1]);
        int low = high < 0 ? -1 : hex_value(s[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        *out = (char)(unsigned char)(high * 16 + low);
        s += 2;
    }
    *out = '\0';
    return true;
}

/* ------------------------------------------------------------------- entries
 */

static void drop_next(struct page *p)
{
    free(p->next.key);
    memset(&p->next, 0, sizeof(p->next));
}

/* Whether the name, as the service has it, is to be listed; moves it to the
 * start of what the host calls it. */
static const char *wanted_name(const struct page *p, const char *name)
{
    size_t prefix = strlen(p->store_prefix);

    if (strncmp(name, p->store_prefix, prefix) != 0)
        return NULL;
    name += prefix;
    if (strncmp(name, p->prefix, strlen(p->prefix)) != 0 ||
        strcmp(name, p->start_after) <= 0 ||
        !key_is_ours(name, p->next.is_folder))
        return NULL;
    return name;
}

static bool room_for_one(struct page *p)
{
    size_t cap = p->cap == 0 ? 256 : p->cap * 2;
    struct page_entry *entries;

    if (p->n < p->cap)
        return true;
    entries = realloc(p->entries, cap * sizeof(*entries));
    if (entries == NULL)
        return false;
    p->entries = entries;
    p->cap = cap;
    return true;
}

/* The element of an object or folder has ended. */
static void take_entry(struct page *p)
{
    const char *name = NULL;

    if (p->next.key != NULL && (!p->encoded || page_decode(p->next.key)))
        name = wanted_name(p, p->next.key);
    if (name != NULL && !room_for_one(p))
        p->failed = true;
    if (name == NULL || p->failed) {
        drop_next(p);
        return;
    }
    memmove(p->next.key, name, strlen(name) + 1);
    p->entries[p->n++] = p->next;
    memset(&p->next, 0, sizeof(p->next));
}

/* EncodingType may stand behind the entries: they are decoded once it is
 * known, so the names wait as they came. */
static void take_name(struct page *p, const char *text)
{
    free(p->next.key);
    p->next.key = strdup(text);
    p->failed |= p->next.key == NULL;
}

#define ROOT "ListBucketResult/"

static bool take_field(void *ctx, const char *path, const char *text)
{
    struct page *p = ctx;
    const char *field = path;
    size_t root = strlen(ROOT);

    if (strncmp(path, ROOT, root) == 0)
        field = path + root;
    else if (strcmp(path, "ListBucketResult") == 0)
        p->had_root = true;
    if (strcmp(field, "Contents/Key") == 0 ||
        strcmp(field, "CommonPrefixes/Prefix") == 0)
        take_name(p, text);
    else if (strcmp(field, "Contents/Size") == 0)
        p->next.has_size = fixed_parse_number(text, &p->next.size);
    else if (strcmp(field, "Contents/LastModified") == 0)
        p->next.has_modified = date_parse_rfc3339(text, &p->next.modified_us);
    else if (strcmp(field, "IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    else if (strcmp(field, "NextContinuationToken") == 0) {
        p->token_bad |= !fixed_copy(p->token, sizeof(p->token), text);
    } else if (strcmp(field, "Contents") == 0) {
        take_entry(p);
    } else if (strcmp(field, "CommonPrefixes") == 0) {
        p->next.is_folder = true;
        take_entry(p);
    }
    return !p->failed;
}

static int compare(const void *a, const void *b)
{
    const struct page_entry *x = a, *y = b;

    return strcmp(x->key, y->key); /* bytes, as unsigned: no locale */
}

/* Whether the reply says that names are encoded; it may say so at its end. */
static bool is_encoded(const char *body, size_t len)
{
    char type[16];

    return xml_get(body, len, ROOT "EncodingType", type, sizeof(type)) &&
           fixed_same_word(type, "url");
}

/* A service that lists a key twice must not have it shown twice. */
static void drop_repeated(struct page *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++) {
        if (kept > 0 &&
            strcmp(p->entries[kept - 1].key, p->entries[i].key) == 0)
            free(p->entries[i].key);
        else
            p->entries[kept++] = p->entries[i];
    }
    p->n = kept;
}

int32_t page_read(struct page *p, const char *body, size_t len)
{
    enum xml_result result;

    p->encoded = is_encoded(body, len);
    result = xml_read(body, len, take_field, p);
    if (p->failed || result == XML_NO_MEMORY)
        return PERSIST_BACKEND_MEMORY;
    if (result != XML_WHOLE || !p->had_root || p->token_bad ||
        (p->truncated && p->token[0] == '\0'))
        return PERSIST_BACKEND_IO;
    if (p->n > 1)
        qsort(p->entries, p->n, sizeof(*p->entries), compare);
    drop_repeated(p);
    return PERSIST_BACKEND_OK;
}

void page_finish(struct page *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->entries[i].key);
    free(p->entries);
    free(p->next.key);
    memset(p, 0, sizeof(*p));
}
