/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses as operands.  Taking an address apart and putting it together is
 * the library's; here are only the rules of the command line: which store wins,
 * and what a verb asks of its operand.
 */
#include "cli/address.h"

#include <string.h>

#include "cli/error.h"
#include "util/error.h"
#include "util/text.h"

static int choose_store(const struct cli *cli, struct address *address,
                        struct persist_error *err)
{
    const char *option = cli->args.global[GLOBAL_STORE].text;
    bool named = address->parts.present & PERSIST_ADDRESS_STORE;

    address->store = named ? address->parts.store : option;
    if (named && option && strcmp(option, address->parts.store) != 0)
        return error_set(err, PERSIST_E_INVALID,
                         "it names the store \"%s\", --store names \"%s\"",
                         address->parts.store, option);
    return PERSIST_OK;
}

bool address_names_index(const struct address *address)
{
    return address->parts.present &
           (PERSIST_ADDRESS_INDEX | PERSIST_ADDRESS_LATEST);
}

static int check_rules(const struct address *address, unsigned rules,
                       struct persist_error *err)
{
    uint32_t present = address->parts.present;
    bool index = address_names_index(address);

    if (rules & ADDRESS_AGENT && !(present & PERSIST_ADDRESS_AGENT))
        return error_set(err, PERSIST_E_INVALID, "it names no agent");
    if (rules & ADDRESS_NO_INDEX && index)
        return error_set(err, PERSIST_E_INVALID, "no index belongs here");
    if (rules & ADDRESS_INDEX && !index) {
        error_set(err, PERSIST_E_INVALID, "it names no snapshot");
        error_hint(err, "add @INDEX, or @latest for the latest one");
        return PERSIST_E_INVALID;
    }
    return PERSIST_OK;
}

int address_read(const struct cli *cli, const char *text, unsigned rules,
                 struct address *out, struct persist_error *err)
{
    memset(out, 0, sizeof(*out));
    out->parts.struct_size = sizeof(out->parts);
    int rc = text && text[0] ? persist_address_parse(text, &out->parts, err)
                             : PERSIST_OK;
    if (text && !text[0])
        rc = error_set(err, PERSIST_E_INVALID, "an address is empty");
    if (rc == PERSIST_OK)
        rc = choose_store(cli, out, err);
    if (rc == PERSIST_OK)
        rc = check_rules(out, rules, err);
    if (rc == PERSIST_OK && out->parts.present & PERSIST_ADDRESS_AGENT) {
        struct persist_address bare = out->parts;
        bare.present &= ~PERSIST_ADDRESS_STORE;
        rc = persist_address_format(&bare, out->text, sizeof(out->text), err);
    }
    if (rc != PERSIST_OK && err->object[0] == '\0' && text)
        error_object(err, "%s", text);
    return rc;
}

int address_open(struct cli *cli, const struct address *address,
                 struct persist_store **out, struct persist_error *err)
{
    return cli_open_store(cli, address->store, out, err);
}

/* Percent-encodes what would be escaped on a terminal, so that an address that
 * was printed can be typed back. */
static void encode_unsafe(char text[ADDRESS_TEXT_LEN])
{
    char copy[ADDRESS_TEXT_LEN];
    struct buf safe, out;
    size_t whole = strlen(text);

    if (text_plain_len(text, whole) == whole)
        return;
    memcpy(copy, text, ADDRESS_TEXT_LEN);
    buf_init(&safe, 64);
    buf_init(&out, ADDRESS_TEXT_LEN - 1);
    for (const char *c = copy; *c;) {
        size_t len = 1;
        while (((unsigned char)c[len] & 0xc0) == 0x80)
            len++;
        buf_clear(&safe);
        text_escape(&safe, c, len);
        if (!buf_failed(&safe) && safe.len == len)
            buf_append(&out, c, len);
        else
            for (size_t i = 0; i < len; i++)
                buf_printf(&out, "%%%02x", (unsigned char)c[i]);
        c += len;
    }
    if (!buf_failed(&out) && out.len > 0)
        memcpy(text, out.data, out.len + 1);
    buf_finish(&safe);
    buf_finish(&out);
}

void address_text(const char *agent, const char *session, const uint64_t *index,
                  char out[ADDRESS_TEXT_LEN])
{
    struct persist_address parts = PERSIST_ADDRESS_INIT;
    bool fits = strlen(agent) < sizeof(parts.agent) &&
                (!session || strlen(session) < sizeof(parts.session));

    if (fits) {
        parts.present = PERSIST_ADDRESS_AGENT;
        memcpy(parts.agent, agent, strlen(agent) + 1);
    }
    if (fits && session) {
        parts.present |= PERSIST_ADDRESS_SESSION;
        memcpy(parts.session, session, strlen(session) + 1);
    }
    if (fits && session && index) {
        parts.present |= PERSIST_ADDRESS_INDEX;
        parts.index = *index;
    }
    if (!fits || persist_address_format(&parts, out, ADDRESS_TEXT_LEN, NULL) !=
                     PERSIST_OK)
        memcpy(out, "?", 2);
    encode_unsafe(out);
}

int address_each(struct cli *cli, unsigned rules,
                 int (*one)(struct cli *cli, const struct address *address,
                            struct persist_error *err))
{
    struct batch batch = {0};
    struct address address;

    for (size_t i = 0; i < cli->args.n_operands; i++) {
        struct persist_error err = {0};
        if (address_read(cli, cli->args.operands[i], rules, &address, &err) !=
            PERSIST_OK)
            return cli_fail_usage(cli, &err);
    }
    for (size_t i = 0; i < cli->args.n_operands; i++) {
        struct persist_error err = {0};
        int rc =
            address_read(cli, cli->args.operands[i], rules, &address, &err);
        if (rc == PERSIST_OK)
            rc = one(cli, &address, &err);
        batch_add(cli, &batch, rc, &err);
        if (rc == PERSIST_E_CANCELLED)
            return persist_status_exit_code(rc);
    }
    return batch_finish(cli, &batch);
}
