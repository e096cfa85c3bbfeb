/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader for the two files AWS tools keep their profiles in.
 *
 *     [default]                    a profile; in the config file also
 *     [profile build]              this spelling, and the only one for others
 *     region = eu-central-1        ; whole lines that start with # or ; are
 *                                  ; notes, and so is what follows a blank
 *     s3 =                         # and one of these
 *         addressing_style = path  a setting of `s3`: it is indented further
 *
 * Names of keys are in lower case afterwards.  A line that is none of these is
 * an error with its number, as are NUL bytes, lines of CONFIG_LINE_MAX bytes
 * and more, files of more than CONFIG_FILE_MAX, and more than
 * CONFIG_ENTRIES_MAX settings: a file that a person and a program read
 * differently must not decide whose keys are used.
 *
 * What AWS tools read in different ways is kept, and refused only by those who
 * use it (profile.h): a key given twice, a value of several lines.
 */
#ifndef PERSIST_S3_CREDENTIALS_CONFIG_FILE_H
#define PERSIST_S3_CREDENTIALS_CONFIG_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <persist/backend.h>

#define CONFIG_FILE_MAX ((size_t)1 << 20)
#define CONFIG_LINE_MAX 16384
#define CONFIG_ENTRIES_MAX 20000

enum section_kind {
    SECTION_PROFILE,  /* [name] of credentials, [profile name] of config */
    SECTION_DEFAULT,  /* [default] of config */
    SECTION_SSO,      /* [sso-session name] */
    SECTION_SERVICES, /* [services name] */
    SECTION_OTHER     /* no AWS tool reads it */
};

/* One setting, or, with key == NULL, the head of a section. */
struct config_entry {
    const char *section;
    const char *key;   /* in lower case */
    const char *child; /* of a setting below key, in lower case; or NULL */
    const char *value; /* trimmed; "" where it was empty */
    unsigned line;     /* from 1 */
    enum section_kind kind;
    bool is_continued; /* goes on in another line; value is the first */
};

/* All texts point into the text that was read. */
struct config_file {
    const char *path; /* for messages; the caller's */
    struct config_entry *entries;
    size_t n_entries;
};

enum config_dialect { CONFIG_CREDENTIALS, CONFIG_CONFIG };

/*
 * Takes text apart in place: text (len bytes and a NUL) is changed, must
 * outlive *out and is the caller's to wipe.  CONFIG with the path and the line,
 * never with what stands there; MEMORY.  *out is to be finished also then.
 */
int32_t config_file_read(struct config_file *out, const char *path, char *text,
                         size_t len, enum config_dialect dialect,
                         struct persist_backend_error *err);
void config_file_finish(struct config_file *f);

#endif
