/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents as S3 writes them, and as nobody should: entities, document types,
 * depth, length, and every document cut short at every byte.
 */
#include "xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    char text[4096]; /* "path=text;" of every element with text */
    unsigned n;
    unsigned stop_after;
};

static bool note(void *ctx, const char *path, const char *text)
{
    struct seen *s = ctx;
    size_t len = strlen(s->text);

    (void)snprintf(s->text + len, sizeof(s->text) - len, "%s=%s;", path, text);
    s->n++;
    return s->n != s->stop_after;
}

static enum xml_result read_text(const char *xml, struct seen *s)
{
    memset(s, 0, sizeof(*s));
    return xml_read(xml, strlen(xml), note, s);
}

static const char an_error[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<Error><Code>SlowDown</Code><Message>a &lt; b &amp; &quot;c&quot; "
    "&#x20AC;</Message>\n  <RequestId/></Error>\n";

static void xml__gives_every_element_its_path_and_text(void **state)
{
    struct seen s;

    (void)state;
    assert_int_equal(read_text(an_error, &s), XML_WHOLE);
    assert_string_equal(s.text,
                        "Error/Code=SlowDown;Error/Message=a < b & \"c\" "
                        "\xe2\x82\xac;Error/RequestId=;Error=;");
}

static void xml__passes_over_namespaces_and_leading_space(void **state)
{
    struct seen s;

    (void)state;
    assert_int_equal(read_text(" \r\n\t <?xml version='1.0'?><a:R xmlns:a='x' "
                               "b='c'><a:K>v</a:K><![CDATA[<t>]]></a:R>",
                               &s),
                     XML_WHOLE);
    assert_string_equal(s.text, "R/K=v;R=<t>;");
}

static void xml__keeps_the_text_around_inner_elements(void **state)
{
    struct seen s;

    (void)state;
    assert_int_equal(read_text("<a>one<b>two<c>three</c>four</b>five</a>", &s),
                     XML_WHOLE);
    assert_string_equal(s.text, "a/b/c=three;a/b=twofour;a=onefive;");
}

static void xml__stops_where_the_callback_says(void **state)
{
    struct seen s = {.stop_after = 2};
    const char *xml = "<a><b>1</b><c>2</c><d>3</d></a>";

    (void)state;
    assert_int_equal(xml_read(xml, strlen(xml), note, &s), XML_STOPPED);
    assert_string_equal(s.text, "a/b=1;a/c=2;");
}

static void xml__refuses_document_types_and_entities(void **state)
{
    static const char *const bad[] = {
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;\">]><l>&c;</l>",
        "<a>&x;</a>",
        "<a>&nbsp;</a>",
    };
    struct seen s;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_text(bad[i], &s), XML_BROKEN);
        assert_null(strstr(s.text, "ha"));
    }
}

/* n elements inside each other. */
static enum xml_result nested(unsigned n)
{
    char xml[1024] = "";
    struct seen s;

    for (unsigned i = 0; i < n; i++)
        strcat(xml, "<a>");
    for (unsigned i = 0; i < n; i++)
        strcat(xml, "</a>");
    return read_text(xml, &s);
}

static void xml__has_ceilings(void **state)
{
    char *xml = malloc(4 * XML_TEXT_MAX);
    struct seen *s = malloc(sizeof(*s));

    (void)state;
    assert_non_null(xml);
    assert_non_null(s);
    assert_int_equal(nested(XML_DEPTH_MAX), XML_WHOLE);
    assert_int_equal(nested(XML_DEPTH_MAX + 1), XML_BROKEN);

    strcpy(xml, "<a>");
    memset(xml + 3, 'x', XML_TEXT_MAX);
    strcpy(xml + 3 + XML_TEXT_MAX, "</a>");
    assert_int_equal(read_text(xml, s), XML_BROKEN);

    xml[0] = '<';
    memset(xml + 1, 'n', XML_PATH_MAX);
    strcpy(xml + 1 + XML_PATH_MAX, "/>");
    assert_int_equal(read_text(xml, s), XML_BROKEN);
    free(s);
    free(xml);
}

/* White space between a thousand elements is no text of the one around. */
static void xml__does_not_count_white_space_between_elements(void **state)
{
    size_t n = 2000, len = 0;
    char *xml = malloc(n * 64);
    struct seen *s = malloc(sizeof(*s));

    (void)state;
    assert_non_null(xml);
    assert_non_null(s);
    len += (size_t)sprintf(xml, "<a>");
    for (size_t i = 0; i < n; i++)
        len += (size_t)sprintf(xml + len, "\n                    <b>x</b>");
    sprintf(xml + len, "\n</a>");
    assert_int_equal(read_text(xml, s), XML_WHOLE);
    assert_int_equal(s->n, n + 1);
    free(s);
    free(xml);
}

static void xml__finds_every_cut(void **state)
{
    size_t len = strlen(an_error);
    struct seen s;

    (void)state;
    for (size_t cut = 0; cut < len - 1; cut++) {
        memset(&s, 0, sizeof(s));
        assert_int_equal(xml_read(an_error, cut, note, &s), XML_BROKEN);
    }
    memset(&s, 0, sizeof(s));
    assert_int_equal(xml_read(an_error, len - 1, note, &s), XML_WHOLE);
}

static void xml__finds_what_follows_the_document(void **state)
{
    struct seen s;

    (void)state;
    assert_int_equal(read_text("<a>1</a><b/>", &s), XML_BROKEN);
    assert_int_equal(read_text("<a>1</a>x", &s), XML_BROKEN);
    assert_int_equal(read_text("", &s), XML_BROKEN);
    assert_int_equal(read_text("Bad Gateway", &s), XML_BROKEN);
    assert_int_equal(xml_read("<a/>\0", 5, note, &s), XML_BROKEN);
}

static void get__finds_the_first_and_minds_the_room(void **state)
{
    const char *xml = "<E><C>one</C><C>two</C></E>";
    char out[4];

    (void)state;
    assert_true(xml_get(xml, strlen(xml), "E/C", out, sizeof(out)));
    assert_string_equal(out, "one");
    assert_false(xml_get(xml, strlen(xml), "E/C", out, 3));
    assert_false(xml_get(xml, strlen(xml), "E/D", out, sizeof(out)));
    assert_false(xml_get("<E><C>on", 8, "E/C", out, sizeof(out)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(xml__gives_every_element_its_path_and_text),
        cmocka_unit_test(xml__passes_over_namespaces_and_leading_space),
        cmocka_unit_test(xml__keeps_the_text_around_inner_elements),
        cmocka_unit_test(xml__stops_where_the_callback_says),
        cmocka_unit_test(xml__refuses_document_types_and_entities),
        cmocka_unit_test(xml__has_ceilings),
        cmocka_unit_test(xml__does_not_count_white_space_between_elements),
        cmocka_unit_test(xml__finds_every_cut),
        cmocka_unit_test(xml__finds_what_follows_the_document),
        cmocka_unit_test(get__finds_the_first_and_minds_the_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
