/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expat with ceilings.  The state has a fixed size: texts of elements around
 * the one being read are kept in one buffer, behind each other, so an element
 * that goes on after an inner one still has its own.
 */
#include "xml.h"

#include <expat.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "fixed.h"
#include "posix/os.h"

struct reader {
    XML_Parser parser;
    xml_end_fn end;
    void *ctx;
    char path[XML_PATH_MAX];
    size_t path_len;
    char text[XML_TEXT_MAX]; /* of all open elements, outermost first */
    size_t text_len;
    unsigned depth;
    struct {
        size_t path_len; /* before its name was added */
        size_t text_at;
    } open[XML_DEPTH_MAX];
    bool stopped; /* by the callback */
    bool refused; /* by a ceiling or a rule */
};

static void refuse(struct reader *r)
{
    r->refused = true;
    XML_StopParser(r->parser, XML_FALSE);
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attr)
{
    struct reader *r = ctx;
    const char *colon = strrchr(name, ':');
    const char *local = colon == NULL ? name : colon + 1;
    size_t len = strlen(local);

    (void)attr;
    if (r->stopped || r->refused)
        return;
    if (r->depth == XML_DEPTH_MAX || r->path_len + len + 2 > XML_PATH_MAX) {
        refuse(r);
        return;
    }
    r->open[r->depth].path_len = r->path_len;
    r->open[r->depth].text_at = r->text_len;
    if (r->depth > 0)
        r->path[r->path_len++] = '/';
    memcpy(r->path + r->path_len, local, len + 1);
    r->path_len += len;
    r->depth++;
}

static void on_text(void *ctx, const XML_Char *s, int len)
{
    struct reader *r = ctx;

    if (r->stopped || r->refused)
        return;
    if ((size_t)len >= XML_TEXT_MAX - r->text_len) {
        refuse(r);
        return;
    }
    memcpy(r->text + r->text_len, s, (size_t)len);
    r->text_len += (size_t)len;
}

/* White space between elements would add up in the text of those around. */
static void drop_blank(struct reader *r, size_t at)
{
    size_t i = at;

    while (i < r->text_len && strchr(" \t\r\n", r->text[i]) != NULL &&
           r->text[i] != '\0')
        i++;
    if (i == r->text_len)
        r->text_len = at;
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;
    size_t at;

    (void)name;
    if (r->stopped || r->refused || r->depth == 0)
        return;
    at = r->open[r->depth - 1].text_at;
    r->text[r->text_len] = '\0';
    if (!r->end(r->ctx, r->path, r->text + at)) {
        r->stopped = true;
        XML_StopParser(r->parser, XML_FALSE);
        return;
    }
    r->depth--;
    r->path_len = r->open[r->depth].path_len;
    r->path[r->path_len] = '\0';
    r->text_len = at;
    if (r->depth > 0)
        drop_blank(r, r->open[r->depth - 1].text_at);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int has_internal)
{
    (void)name;
    (void)system;
    (void)public;
    (void)has_internal;
    refuse(ctx);
}

static enum xml_result parse(struct reader *r, const char *data, size_t len)
{
    const size_t step = 1 << 20;
    enum XML_Status status = XML_STATUS_OK;

    do {
        size_t n = len < step ? len : step;

        status = XML_Parse(r->parser, data, (int)n, n == len);
        data += n;
        len -= n;
    } while (status == XML_STATUS_OK && len > 0);
    if (r->stopped)
        return XML_STOPPED;
    if (status == XML_STATUS_OK && !r->refused)
        return XML_WHOLE;
    return XML_GetErrorCode(r->parser) == XML_ERROR_NO_MEMORY ? XML_NO_MEMORY
                                                              : XML_BROKEN;
}

enum xml_result xml_read(const char *data, size_t len, xml_end_fn end,
                         void *ctx)
{
    struct reader *r = malloc(sizeof(*r));
    enum xml_result result = XML_NO_MEMORY;

    if (r == NULL)
        return XML_NO_MEMORY;
    memset(r, 0, sizeof(*r));
    r->end = end;
    r->ctx = ctx;
    r->parser = XML_ParserCreate(NULL);
    if (r->parser != NULL) {
        XML_SetUserData(r->parser, r);
        XML_SetElementHandler(r->parser, on_start, on_end);
        XML_SetCharacterDataHandler(r->parser, on_text);
        XML_SetStartDoctypeDeclHandler(r->parser, on_doctype);
        while (len > 0 && strchr(" \t\r\n", *data) != NULL && *data != '\0') {
            data++;
            len--;
        }
        result = parse(r, data, len);
        XML_ParserFree(r->parser);
    }
    /* STS puts keys into its replies. */
    os_wipe(r->text, sizeof(r->text));
    free(r);
    return result;
}

struct wanted {
    const char *path;
    struct fixed out;
    bool found;
};

static bool take_wanted(void *ctx, const char *path, const char *text)
{
    struct wanted *w = ctx;

    if (strcmp(path, w->path) != 0)
        return true;
    fixed_add(&w->out, text);
    w->found = w->out.ok;
    return false;
}

bool xml_get(const char *data, size_t len, const char *path, char *out,
             size_t cap)
{
    struct wanted w = {.path = path, .out = fixed_over(out, cap)};

    (void)xml_read(data, len, take_wanted, &w);
    return w.found;
}
