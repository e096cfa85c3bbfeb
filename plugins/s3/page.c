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

/* What the host calls the name that the service has; NULL where it is not to
 * be listed. */
static const char *wanted_name(const struct page *p, const char *name,
                               bool is_folder)
{
    size_t prefix = strlen(p->store_prefix);

    if (strncmp(name, p->store_prefix, prefix) != 0)
        return NULL;
    name += prefix;
    if (strncmp(name, p->prefix, strlen(p->prefix)) != 0 ||
        strcmp(name, p->start_after) <= 0 || !key_is_ours(name, is_folder))
        return NULL;
    return name;
}

static bool room_for_one(struct page *p)
{
    size_t cap = p->cap == 0 ? 1024 : p->cap * 2;
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
static void take_entry(struct page *p, bool is_folder)
{
    p->next.is_folder = is_folder;
    p->failed = !room_for_one(p);
    if (p->next.has_name && !p->failed)
        p->entries[p->n++] = p->next;
    memset(&p->next, 0, sizeof(p->next));
}

/* EncodingType may stand behind the entries: they are decoded once it is
 * known, so the names wait as they came. */
static void take_name(struct page *p, const char *text)
{
    p->next.has_name = true;
    p->next.name = p->names.len;
    text_add_bytes(&p->names, text, strlen(text) + 1);
    p->failed = p->names.failed;
}

static void take_object(struct page *p, const char *field, const char *text)
{
    if (strcmp(field, "Key") == 0)
        take_name(p, text);
    else if (strcmp(field, "Size") == 0)
        p->next.has_size = fixed_parse_number(text, &p->next.size);
    else if (strcmp(field, "LastModified") == 0)
        p->next.has_modified = date_parse_rfc3339(text, &p->next.modified_us);
}

/* What stands in the root element. */
static void take_of_root(struct page *p, const char *field, const char *text)
{
    if (strcmp(field, "Contents") == 0)
        take_entry(p, false);
    else if (strcmp(field, "CommonPrefixes/Prefix") == 0)
        take_name(p, text);
    else if (strcmp(field, "CommonPrefixes") == 0)
        take_entry(p, true);
    else if (strcmp(field, "EncodingType") == 0)
        p->encoded = fixed_same_word(text, "url");
    else if (strcmp(field, "IsTruncated") == 0)
        p->truncated = strcmp(text, "true") == 0;
    else if (strcmp(field, "NextContinuationToken") == 0)
        p->token_bad |= !fixed_copy(p->token, sizeof(p->token), text);
}

static bool take_field(void *ctx, const char *path, const char *text)
{
    static const char root[] = "ListBucketResult", object[] = "Contents/";
    struct page *p = ctx;

    if (strncmp(path, root, sizeof(root) - 1) != 0)
        return true;
    path += sizeof(root) - 1;
    p->had_root |= path[0] == '\0';
    if (*path++ != '/')
        return true;
    if (strncmp(path, object, sizeof(object) - 1) == 0)
        take_object(p, path + sizeof(object) - 1, text);
    else
        take_of_root(p, path, text);
    return !p->failed;
}

/* All names are here: what they are called, and which are to be shown. */
static void name_entries(struct page *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++) {
        struct page_entry *e = &p->entries[i];
        char *name = p->names.data + e->name;

        if (p->encoded && !page_decode(name))
            continue;
        e->key = wanted_name(p, name, e->is_folder);
        if (e->key != NULL)
            p->entries[kept++] = *e;
    }
    p->n = kept;
}

static int compare(const void *a, const void *b)
{
    const struct page_entry *x = a, *y = b;

    return strcmp(x->key, y->key); /* bytes, as unsigned: no locale */
}

/* A page without folders comes sorted. */
static bool is_sorted(const struct page *p)
{
    for (size_t i = 1; i < p->n; i++)
        if (compare(&p->entries[i - 1], &p->entries[i]) > 0)
            return false;
    return true;
}

/* A service that lists a key twice must not have it shown twice. */
static void drop_repeated(struct page *p)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->n; i++) {
        if (kept > 0 &&
            strcmp(p->entries[kept - 1].key, p->entries[i].key) == 0)
            continue;
        p->entries[kept++] = p->entries[i];
    }
    p->n = kept;
}

int32_t page_read(struct page *p, const char *body, size_t len)
{
    enum xml_result result = xml_read(body, len, take_field, p);

    if (p->failed || result == XML_NO_MEMORY)
        return PERSIST_BACKEND_MEMORY;
    if (result != XML_WHOLE || !p->had_root || p->token_bad ||
        (p->truncated && p->token[0] == '\0'))
        return PERSIST_BACKEND_IO;
    name_entries(p);
    if (!is_sorted(p))
        qsort(p->entries, p->n, sizeof(*p->entries), compare);
    drop_repeated(p);
    return PERSIST_BACKEND_OK;
}

void page_finish(struct page *p)
{
    free(p->entries);
    text_finish(&p->names);
    memset(p, 0, sizeof(*p));
}
