/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as operands: `[STORE:]AGENT[/SESSION][@INDEX|@latest]`.
 *
 * The store is taken off and given to persist_open; the rest goes to the
 * library as text.
 */
#ifndef PERSIST_CLI_ADDRESS_H
#define PERSIST_CLI_ADDRESS_H

#include "cli/cli.h"

#define ADDRESS_TEXT_LEN 1600

struct address {
    char text[ADDRESS_TEXT_LEN]; /* without the store; "" for a bare one */
    struct persist_address parts;
    const char *store; /* within parts or argv; NULL: the default one */
};

/* What an operand must or must not have. */
enum {
    ADDRESS_AGENT = 1,    /* must name an agent */
    ADDRESS_NO_INDEX = 2, /* must not name an index */
    ADDRESS_INDEX = 4     /* must name one, or @latest */
};

/* Reads an operand (NULL: none).  INVALID says what is wrong with it.  out must
 * not be moved afterwards. */
int address_read(const struct cli *cli, const char *text, unsigned rules,
                 struct address *out, struct persist_error *err);
/* Whether it ends with @INDEX or @latest. */
bool address_names_index(const struct address *address);
int address_open(struct cli *cli, const struct address *address,
                 struct persist_store **out, struct persist_error *err);

/* Does `one` for each operand, and goes on past failures; all are read before
 * the first is done. An exit code, as batch_finish's. */
int address_each(struct cli *cli, unsigned rules,
                 int (*one)(struct cli *cli, const struct address *address,
                            struct persist_error *err));

/* "AGENT[/SESSION[@INDEX]]" of raw names; session NULL or index NULL end it.
 * Never fails: what no address can say is shown as "?". */
void address_text(const char *agent, const char *session, const uint64_t *index,
                  char out[ADDRESS_TEXT_LEN]);

#endif
