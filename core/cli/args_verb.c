/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verb of a command line, or which one was meant: by what other tools call
 * it, else by how it is spelled.
 */
#include <string.h>

#include "cli/args.h"
#include "util/error.h"
#include "util/text.h"

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    while (words && *words) {
        size_t n = strcspn(words, " ");
        if (n == len && memcmp(words, word, len) == 0)
            return true;
        words += n + strspn(words + n, " ");
    }
    return false;
}

/* The verb that other tools call so, or NULL. */
static const char *meant(const char *name, const struct verb *const *verbs)
{
    for (size_t i = 0; verbs[i]; i++)
        if (has_word(verbs[i]->elsewhere, name))
            return verbs[i]->name;
    return NULL;
}

const struct verb *args_find_verb(const char *name,
                                  const struct verb *const *verbs,
                                  const char *const *reserved,
                                  struct persist_error *err)
{
    const char *names[64];
    size_t n = 0;

    for (size_t i = 0; verbs[i]; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
        if (n + 1 < sizeof(names) / sizeof(names[0]))
            names[n++] = verbs[i]->name;
    }
    names[n] = NULL;
    for (size_t i = 0; reserved && reserved[i]; i++) {
        if (strcmp(reserved[i], name) != 0)
            continue;
        error_set(err, PERSIST_E_INVALID,
                  "persist %s arrives with a later "
                  "release",
                  name);
        error_hint(err, "persist help lists what this release does");
        return NULL;
    }
    error_set(err, PERSIST_E_INVALID, "no such verb: \"%s\"", name);
    const char *close = meant(name, verbs);
    if (!close)
        close = text_suggest(name, names);
    /* Who wants to undelete means anything but that verb. */
    if (close && strncmp(name, "un", 2) == 0 && strcmp(name + 2, close) == 0)
        close = NULL;
    if (close)
        error_hint(err, "did you mean \"%s\"?", close);
    else
        error_hint(err, "persist help lists the verbs");
    return NULL;
}
