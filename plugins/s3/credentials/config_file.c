/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of AWS's configuration files become entries.  Which entry counts, and
 * what it means, is profile.c's.
 */
#include "s3/credentials/config_file.h"

#include <stdlib.h>
#include <string.h>

#include "support/fail.h"

struct reader {
    struct config_file *out;
    size_t cap;
    enum config_dialect dialect;
    unsigned line;
    /* Where we are. */
    bool in_section;
    enum section_kind kind;
    const char *section;
    bool has_parent;  /* a setting came in this section */
    size_t parent_at; /* the last one that was not below another */
    size_t indent;    /* of that one */
    struct persist_backend_error *err;
};

static int32_t refuse(const struct reader *r, const char *why)
{
    return fail(r->err, PERSIST_BACKEND_CONFIG, "%s:%u: %s", r->out->path,
                r->line, why);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Cuts blanks off both ends of a text. */
static char *trim(char *s)
{
    size_t len;

    while (is_blank(*s))
        s++;
    len = strlen(s);
    while (len > 0 && is_blank(s[len - 1]))
        s[--len] = '\0';
    return s;
}

static void lower(char *s)
{
    for (; *s != '\0'; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

/* A blank and then # or ; starts a note. */
static void cut_note(char *s)
{
    for (char *p = s; *p != '\0'; p++)
        if (is_blank(*p) && (p[1] == '#' || p[1] == ';')) {
            *p = '\0';
            return;
        }
}

static int32_t add(struct reader *r, const struct config_entry *entry)
{
    struct config_file *f = r->out;

    if (f->n_entries == CONFIG_ENTRIES_MAX)
        return refuse(r, "too many settings");
    if (f->n_entries == r->cap) {
        size_t cap = r->cap == 0 ? 32 : 2 * r->cap;
        struct config_entry *bigger =
            realloc(f->entries, cap * sizeof(*bigger));

        if (bigger == NULL)
            return fail(r->err, PERSIST_BACKEND_MEMORY, "out of memory");
        f->entries = bigger;
        r->cap = cap;
    }
    f->entries[f->n_entries++] = *entry;
    return PERSIST_BACKEND_OK;
}

/* "profile NAME", "profile \"NAME\"": NAME, or NULL where the word is another
 * one. */
static char *behind_word(char *head, const char *word)
{
    size_t len = strlen(word);
    char *name;

    if (strncmp(head, word, len) != 0 || !is_blank(head[len]))
        return NULL;
    name = trim(head + len);
    len = strlen(name);
    if (len >= 2 && (name[0] == '"' || name[0] == '\'') &&
        name[len - 1] == name[0]) {
        name[len - 1] = '\0';
        name++;
    }
    return name;
}

static enum section_kind section_kind(enum config_dialect dialect, char *head,
                                      const char **out_name)
{
    static const struct {
        const char *word;
        enum section_kind kind;
    } words[] = {{"profile", SECTION_PROFILE},
                 {"sso-session", SECTION_SSO},
                 {"services", SECTION_SERVICES}};

    *out_name = head;
    if (dialect == CONFIG_CREDENTIALS)
        return SECTION_PROFILE;
    if (strcmp(head, "default") == 0)
        return SECTION_DEFAULT;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        char *name = behind_word(head, words[i].word);

        if (name != NULL) {
            *out_name = name;
            return words[i].kind;
        }
    }
    return SECTION_OTHER;
}

static int32_t read_section(struct reader *r, char *line)
{
    struct config_entry entry = {.line = r->line, .value = ""};
    char *end = strchr(line, ']');
    char *rest;

    if (end == NULL)
        return refuse(r, "a section without its \"]\"");
    rest = trim(end + 1);
    if (*rest != '\0' && *rest != '#' && *rest != ';')
        return refuse(r, "something stands behind the \"]\" of a section");
    *end = '\0';
    r->kind = section_kind(r->dialect, trim(line + 1), &r->section);
    if (r->section[0] == '\0')
        return refuse(r, "a section without a name");
    r->in_section = true;
    r->has_parent = false;
    entry.kind = r->kind;
    entry.section = r->section;
    return add(r, &entry);
}

/* Splits "key = value"; false where that is not what it is. */
static bool split(char *line, char **out_key, char **out_value)
{
    char *equals = strchr(line, '=');

    if (equals == NULL)
        return false;
    *equals = '\0';
    *out_key = trim(line);
    *out_value = trim(equals + 1);
    lower(*out_key);
    return **out_key != '\0';
}

static int32_t read_setting(struct reader *r, char *line, size_t indent)
{
    struct config_entry entry = {
        .line = r->line, .kind = r->kind, .section = r->section};
    char *key, *value;
    int32_t rc;

    if (!split(line, &key, &value))
        return refuse(r, "neither a section nor \"key = value\"");
    entry.key = key;
    entry.value = value;
    rc = add(r, &entry);
    if (rc != PERSIST_BACKEND_OK)
        return rc;
    r->has_parent = true;
    r->parent_at = r->out->n_entries - 1;
    r->indent = indent;
    return PERSIST_BACKEND_OK;
}

/* An indented line: a setting below the last one if that was empty, else the
 * rest of its value. */
static int32_t read_indented(struct reader *r, char *line)
{
    struct config_entry *parent = &r->out->entries[r->parent_at];
    struct config_entry entry = {.line = r->line,
                                 .kind = r->kind,
                                 .section = r->section,
                                 .key = parent->key};
    char *key, *value;

    if (parent->value[0] != '\0') {
        parent->is_continued = true;
        return PERSIST_BACKEND_OK;
    }
    if (!split(line, &key, &value))
        return refuse(r, "an indented line that is not \"key = value\"");
    entry.child = key;
    entry.value = value;
    return add(r, &entry);
}

static int32_t read_line(struct reader *r, char *line)
{
    size_t indent = strspn(line, " \t");

    if (strlen(line) >= CONFIG_LINE_MAX)
        return refuse(r, "a line that is too long");
    line += indent;
    if (*line == '#' || *line == ';')
        return PERSIST_BACKEND_OK;
    cut_note(line);
    line = trim(line);
    if (*line == '\0')
        return PERSIST_BACKEND_OK;
    if (*line == '[' && indent == 0)
        return read_section(r, line);
    if (!r->in_section)
        return refuse(r, "a setting before the first section");
    if (r->has_parent && indent > r->indent)
        return read_indented(r, line);
    return read_setting(r, line, indent);
}

int32_t config_file_read(struct config_file *out, const char *path, char *text,
                         size_t len, enum config_dialect dialect,
                         struct persist_backend_error *err)
{
    struct reader r = {.out = out, .dialect = dialect, .err = err};
    char *at = text;
    int32_t rc;

    memset(out, 0, sizeof(*out));
    out->path = path;
    if (len > CONFIG_FILE_MAX)
        return fail(err, PERSIST_BACKEND_CONFIG, "%s: larger than 1 MiB", path);
    if (memchr(text, '\0', len) != NULL)
        return fail(err, PERSIST_BACKEND_CONFIG, "%s: holds a NUL byte", path);
    if (strncmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3; /* the mark of UTF-8 that some editors leave */
    while (at != NULL) {
        char *end = strchr(at, '\n');

        if (end != NULL)
            *end++ = '\0';
        r.line++;
        rc = read_line(&r, at);
        if (rc != PERSIST_BACKEND_OK)
            return rc;
        at = end;
    }
    return PERSIST_BACKEND_OK;
}

void config_file_finish(struct config_file *f)
{
    free(f->entries);
    memset(f, 0, sizeof(*f));
}
