/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two parsers of what others write, with mutated texts: nothing crashes,
 * and what is accepted keeps its promises.  PERSIST_LONG=1 runs ten million of
 * each; a failure is repeated with PERSIST_SEED=N, which is printed.
 */
#include "s3/credentials/testkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/credentials/config_file.h"
#include "s3/credentials/json.h"

#define TEXT_MAX 512

static uint64_t seed;

static uint64_t draw(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % below;
}

static uint64_t rounds(void)
{
    return getenv("PERSIST_LONG") != NULL ? 10000000 : 50000;
}

static int set_up(void **state)
{
    const char *given = getenv("PERSIST_SEED");

    (void)state;
    seed = given != NULL ? strtoull(given, NULL, 10) : 20261126;
    return 0;
}

/* A text with up to five bytes changed, taken out or put in, perhaps cut: on
 * the heap to its last byte, so that a sanitizer sees who reads on. */
static char *mutated(const char *from, const char *likely, size_t *out_len)
{
    char text[TEXT_MAX];
    size_t len = strlen(from);
    char *exact;

    memcpy(text, from, len);
    for (uint64_t left = draw(6); left > 0 && len > 0 && len < TEXT_MAX - 1;
         left--) {
        size_t at = (size_t)draw(len);
        uint64_t how = draw(8);

        if (how == 0)
            len = at;
        else if (how < 4)
            text[at] = likely[draw(strlen(likely))];
        else if (how < 6)
            memmove(text + at, text + at + 1, --len - at);
        else {
            memmove(text + at + 1, text + at, len++ - at);
            text[at] = likely[draw(strlen(likely))];
        }
    }
    exact = malloc(len + 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    exact[len] = '\0';
    *out_len = len;
    return exact;
}

static void json__keeps_its_promises(void **state)
{
    static const char *const texts[] = {
        "{\"Version\":1,\"AccessKeyId\":\"AKIA\",\"x\":[1,{\"AccessKeyId\":2}]"
        "}",
        "{\"in\":{\"side\":\"\\u00e9\\ud83d\\ude00\"},\"AccessKeyId\":null}",
        "{\"a\":[[[[[[[[]]]]]]]],\"b\":{\"c\":-1.5e+3},\"AccessKeyId\":"
        "\"\xc3\xa9\"}"};
    (void)state;

    for (uint64_t i = 0; i < rounds(); i++) {
        char id[16] = "", side[8] = "";
        struct json_field fields[] = {
            {.path = "AccessKeyId", .text = id, .cap = sizeof(id)},
            {.path = "in.side", .text = side, .cap = sizeof(side)},
            {.path = "Version", .is_number = true}};
        uint64_t before = seed;
        size_t len;
        char *text =
            mutated(texts[draw(3)], "{}[]\",:\\u0dDe1-.+ \n\xc3\xff", &len);
        int rc = json_read(text, len, fields, 3);

        if (strlen(id) >= sizeof(id) || strlen(side) >= sizeof(side) ||
            (rc != 0 && (id[0] != '\0' || fields[0].found)) ||
            (rc == 0 && text[strspn(text, " \t\r\n")] != '{')) {
            print_error("PERSIST_SEED=%llu\n", (unsigned long long)before);
            _fail(__FILE__, __LINE__);
        }
        free(text);
    }
}

/* Every text lies within what was read, and no line is one that is not there.
 */
static bool is_sound(const struct config_file *f, const char *text, size_t len,
                     unsigned lines)
{
    for (size_t i = 0; i < f->n_entries; i++) {
        const struct config_entry *e = &f->entries[i];

        if (e->section < text || e->section >= text + len ||
            e->section[0] == '\0' || e->line == 0 || e->line > lines)
            return false;
        if (e->key != NULL && (e->key < text || e->key >= text + len ||
                               e->value < text || e->value > text + len))
            return false;
        if (e->child != NULL && e->key == NULL)
            return false;
    }
    return true;
}

static void config__keeps_its_promises(void **state)
{
    static const char *const texts[] = {
        "[default]\naws_access_key_id = AKIA\naws_secret_access_key=x # note\n",
        "[profile a b]\nrole_arn = x\ns3 =\n  endpoint_url = http://h\n  k = "
        "v\n"
        "[sso-session s]\nsso_region = r\r\n",
        "\xef\xbb\xbf; note\n[ services \"x\" ] ; n\nk =\n\tc = d\n\n[y]\n "
        "k=v\n"};
    struct persist_backend_error err = {.struct_size = sizeof(err)};
    (void)state;

    for (uint64_t i = 0; i < rounds(); i++) {
        uint64_t before = seed;
        struct config_file f;
        unsigned lines = 1;
        size_t len;
        char *text =
            mutated(texts[draw(3)], "[]=#; \t\r\n\"'apc\xc3\x01", &len);
        int32_t rc;

        for (size_t k = 0; k < len; k++)
            lines += text[k] == '\n';
        rc = config_file_read(&f, "FILE", text, len,
                              draw(2) ? CONFIG_CONFIG : CONFIG_CREDENTIALS,
                              &err);
        if ((rc != 0 && rc != PERSIST_BACKEND_CONFIG) ||
            !is_sound(&f, text, len, lines)) {
            print_error("PERSIST_SEED=%llu\n", (unsigned long long)before);
            _fail(__FILE__, __LINE__);
        }
        config_file_finish(&f);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(json__keeps_its_promises, set_up),
        cmocka_unit_test_setup(config__keeps_its_promises, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
