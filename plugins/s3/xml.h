/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the XML of S3 and STS: a document from a server that is trusted with
 * nothing.  expat does the syntax; here are the ceilings, and the one question
 * replies are asked: which text stands in which element.
 *
 *     static bool on_end(void *ctx, const char *path, const char *text)
 *     {
 *         if (strcmp(path, "ListBucketResult/Contents/Key") == 0) ...
 *         return true;
 *     }
 *     result = xml_read(body, len, on_end, &page);
 *
 * Refused as broken: document types (so no entities but XML's own five), more
 * than XML_DEPTH_MAX elements inside each other, element texts of XML_TEXT_MAX
 * bytes and more, paths of XML_PATH_MAX bytes and more.  Namespaces and
 * attributes mean nothing in these replies and are passed over.
 */
#ifndef PERSIST_S3_XML_H
#define PERSIST_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

#define XML_DEPTH_MAX 16
#define XML_TEXT_MAX 16384
#define XML_PATH_MAX 512

enum xml_result {
    XML_WHOLE,    /* well-formed from the first byte to the last */
    XML_STOPPED,  /* the callback did not want more */
    XML_BROKEN,   /* malformed, cut off, or beyond a ceiling */
    XML_NO_MEMORY /* what was said before stands */
};

/*
 * An element has ended: `path` are the names from the root to it, joined by
 * "/", without namespace prefixes; `text` its own character data, without that
 * of elements inside.  Both are valid until it returns.  False ends the
 * reading.
 */
typedef bool (*xml_end_fn)(void *ctx, const char *path, const char *text);

/* White space before the document is passed over (S3 sends it to keep a
 * connection alive). */
enum xml_result xml_read(const char *data, size_t len, xml_end_fn end,
                         void *ctx);

/* The text of the first element at `path`; false where the document does not
 * get that far or the text does not fit. */
bool xml_get(const char *data, size_t len, const char *path, char *out,
             size_t cap);

#endif
