/* SPDX-License-Identifier: Apache-2.0 */
/* See http_sink_pages.h. */
#include "http_sink_pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_MAX ((size_t)240)
#define PAGE_MAX 1000u

/* The entries one behind the other, in order. MARK stands for the session's
 * name, which only a request tells. */
#define MARK '\1'

static unsigned n_keys;
static char *entries;
static size_t *entry_at; /* n_keys + 1 of them */

void pages_make(unsigned keys)
{
    n_keys = keys;
    entries = malloc(ENTRY_MAX * keys + 1);
    entry_at = malloc(sizeof(*entry_at) * ((size_t)keys + 1));
    if (entries == NULL || entry_at == NULL)
        exit(1);
    entry_at[0] = 0;
    for (unsigned k = 0; k < keys; k++) {
        unsigned index = keys - 1 - k;
        int n = snprintf(entries + entry_at[k], ENTRY_MAX,
                         "<Contents><Key>%c%015llu/%03u-%u.snap</Key>"
                         "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                         "<ETag>&quot;0&quot;</ETag><Size>%u</Size>"
                         "<StorageClass>STANDARD</StorageClass></Contents>",
                         MARK, 999999999999999ull - index / 1000,
                         999 - index % 1000, index, 600 + index % 100);

        entry_at[k + 1] = entry_at[k] + (size_t)n;
    }
}

/* The value of a parameter of the request line, still encoded. */
static size_t parameter(const char *head, const char *name, const char **out)
{
    const char *end = head + strcspn(head, "\r"), *at = strchr(head, '?');
    size_t len = strlen(name);

    for (; at != NULL && at < end; at = strpbrk(at + 1, "& "))
        if (strncmp(at + 1, name, len) == 0 && at[1 + len] == '=') {
            *out = at + 2 + len;
            return strcspn(*out, "& ");
        }
    *out = "";
    return 0;
}

/* How many come before the page: it starts after the key, or the token, that
 * ends in "-INDEX...". */
static unsigned n_before(const char *head)
{
    const char *text, *dash = NULL;
    size_t len = parameter(head, "continuation-token", &text);
    unsigned index;

    if (len == 0)
        len = parameter(head, "start-after", &text);
    for (size_t i = 0; i < len; i++)
        if (text[i] == '-')
            dash = text + i;
    index = dash != NULL ? (unsigned)strtoul(dash + 1, NULL, 10) : n_keys;
    return index < n_keys ? n_keys - index : 0;
}

/* The entries from..to, with the prefix, still encoded, for each MARK. */
static size_t copy_entries(char *out, const char *head, unsigned from,
                           unsigned to)
{
    const char *prefix, *text = entries + entry_at[from];
    size_t prefix_len = parameter(head, "prefix", &prefix), used = 0;

    for (size_t i = 0; i < entry_at[to] - entry_at[from]; i++) {
        if (text[i] != MARK) {
            out[used++] = text[i];
            continue;
        }
        memcpy(out + used, prefix, prefix_len);
        used += prefix_len;
    }
    return used;
}

char *pages_answer(const char *head)
{
    const char *text;
    unsigned from = n_before(head), most = PAGE_MAX, to;
    char token[80] = "", *page;
    size_t used;

    if (parameter(head, "max-keys", &text) > 0 &&
        strtoul(text, NULL, 10) < most)
        most = (unsigned)strtoul(text, NULL, 10);
    to = n_keys - from < most ? n_keys : from + most;
    page = malloc(entry_at[to] - entry_at[from] +
                  (to - from) * parameter(head, "prefix", &text) + 1024);
    if (page == NULL)
        return NULL;
    if (to < n_keys)
        (void)snprintf(token, sizeof(token),
                       "<NextContinuationToken>t-%u</NextContinuationToken>",
                       n_keys - to);
    used = (size_t)sprintf(
        page,
        "<?xml version=\"1.0\"?><ListBucketResult><KeyCount>%u</KeyCount>"
        "<EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>%s",
        to - from, to < n_keys ? "true" : "false", token);
    used += copy_entries(page + used, head, from, to);
    (void)strcpy(page + used, "</ListBucketResult>");
    return page;
}
