/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors as plugins of other minors, and broken ones, would give them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "backend/descriptor.h"

/* What a newer plugin hands over: more behind what we know. */
struct newer_descriptor {
    struct persist_backend_descriptor d;
    uint64_t more[8];
};
struct newer_ops {
    struct persist_backend_ops o;
    void (*more[4])(void);
};
struct newer_option {
    struct persist_backend_option o;
    uint64_t more[2];
};

static struct newer_descriptor theirs;
static struct newer_ops ops;
static struct newer_option options[2];
static struct plugin ours;
static struct persist_error err;

/* Never called: only whether they are there counts. */
static void nothing(void)
{
}

static int setup(void **state)
{
    void (*const fn)(void) = nothing;

    (void)state;
    free(ours.options);
    memset(&ours, 0, sizeof(ours));
    memset(&err, 0, sizeof(err));
    memset(&theirs, 0xee, sizeof(theirs));
    memset(&ops, 0xee, sizeof(ops));
    memset(&options, 0xee, sizeof(options));
    memset(&ops.o, 0, sizeof(ops.o));
    ops.o.struct_size = sizeof(ops.o);
    /* Fills every slot from init to probe with the same function. */
    for (size_t at = offsetof(struct persist_backend_ops, init);
         at < sizeof(ops.o); at += sizeof(fn))
        memcpy((char *)&ops.o + at, &fn, sizeof(fn));
    memset(&options[0].o, 0, sizeof(options[0].o));
    memset(&options[1].o, 0, sizeof(options[1].o));
    options[0].o.key = "first";
    options[0].o.type = PERSIST_BACKEND_STRING;
    options[1].o.key = "second";
    options[1].o.type = PERSIST_BACKEND_INT;
    theirs.d = (struct persist_backend_descriptor){
        PERSIST_BACKEND_PROLOGUE,
        .thread_model = PERSIST_BACKEND_SERIAL,
        .name = "some-name-2",
        .version = "3.1",
        .vendor = "V",
        .licence = "0BSD",
        .options = &options[0].o,
        .n_options = 2,
        .option_size = sizeof(options[0]),
        .ops = &ops.o,
    };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(ours.options);
    ours.options = NULL;
    return 0;
}

static int copy(void)
{
    free(ours.options);
    memset(&ours, 0, sizeof(ours));
    return descriptor_copy(&theirs.d, "/b/x.so", &ours, &err);
}

static void assert_refused(const char *why)
{
    assert_int_equal(copy(), PERSIST_E_CONFIG);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not hold \"%s\"", err.message, why);
    assert_non_null(strstr(err.message, "/b/x.so"));
    assert_string_equal(err.object, "/b/x.so");
    assert_null(ours.options);
    assert_int_equal(ours.n_options, 0);
}

static void copy__takes_everything_over(void **state)
{
    (void)state;
    assert_int_equal(copy(), PERSIST_OK);
    assert_string_equal(ours.descriptor.name, "some-name-2");
    assert_ptr_equal(ours.descriptor.ops, &ours.ops);
    assert_ptr_equal(ours.descriptor.options, ours.options);
    assert_int_equal(ours.n_options, 2);
    assert_string_equal(ours.options[1].key, "second");
    assert_true(ours.ops.probe != NULL);
    assert_int_equal(ours.descriptor.option_size, sizeof(ours.options[0]));
}

static void copy__accepts_a_newer_plugin_that_asks_for_nothing_new(void **state)
{
    (void)state;
    struct newer_descriptor before;
    theirs.d.abi_minor = 9;
    theirs.d.min_host_minor = PERSIST_BACKEND_ABI_MINOR;
    theirs.d.struct_size = sizeof(theirs);
    ops.o.struct_size = sizeof(ops);
    memcpy(&before, &theirs, sizeof(before));

    assert_int_equal(copy(), PERSIST_OK);

    assert_memory_equal(&before, &theirs, sizeof(before));
}

static void copy__accepts_sizes_up_to_64_KiB_and_no_more(void **state)
{
    (void)state;
    theirs.d.struct_size = 65536;
    ops.o.struct_size = 65536;
    assert_int_equal(copy(), PERSIST_OK);
    theirs.d.struct_size = 65537;
    assert_refused("impossible size");
    theirs.d.struct_size = UINT32_MAX;
    assert_refused("impossible size");
    theirs.d.struct_size = sizeof(theirs.d);
    ops.o.struct_size = 65537;
    assert_refused("operations has an impossible size");
}

static void copy__refuses_structs_below_1_0(void **state)
{
    (void)state;
    theirs.d.struct_size = 0;
    assert_refused("impossible size");
    theirs.d.struct_size = sizeof(theirs.d) - 1;
    assert_refused("impossible size");
    theirs.d.struct_size = sizeof(theirs.d);
    ops.o.struct_size = 0;
    assert_refused("operations has an impossible size");
    ops.o.struct_size = sizeof(ops.o) - 1;
    assert_refused("operations has an impossible size");
    ops.o.struct_size = sizeof(ops.o);
    theirs.d.option_size = sizeof(options[0].o) - 1;
    assert_refused("options has an impossible size");
    theirs.d.option_size = 0;
    assert_refused("options has an impossible size");
    theirs.d.option_size = 65537;
    assert_refused("options has an impossible size");
}

static void copy__refuses_other_versions_naming_both(void **state)
{
    (void)state;
    theirs.d.min_host_minor = 7;
    assert_refused("needs a Persist with plugin ABI 1.7; this one has 1.0");
    theirs.d.min_host_minor = 0;
    theirs.d.abi_major = 2;
    assert_refused("plugin ABI 2.0; this one has 1.0");
    theirs.d.abi_major = 0;
    assert_refused("plugin ABI 0.0");
    theirs.d.abi_major = 1;
    theirs.d.magic ^= 1;
    assert_refused("magic");
}

static void copy__refuses_no_descriptor_and_no_ops(void **state)
{
    (void)state;
    assert_int_equal(descriptor_copy(NULL, "/b/x.so", &ours, &err),
                     PERSIST_E_CONFIG);
    assert_non_null(strstr(err.message, "no descriptor"));
    theirs.d.ops = NULL;
    assert_refused("no table of operations");
}

static void copy__names_the_required_op_that_is_missing(void **state)
{
    static const struct {
        size_t at;
        const char *name;
    } slots[] = {
        {offsetof(struct persist_backend_ops, init), NULL},
        {offsetof(struct persist_backend_ops, open), "open"},
        {offsetof(struct persist_backend_ops, close), "close"},
        {offsetof(struct persist_backend_ops, limits), "limits"},
        {offsetof(struct persist_backend_ops, put), "put"},
        {offsetof(struct persist_backend_ops, put_many), NULL},
        {offsetof(struct persist_backend_ops, upload_begin), "upload_begin"},
        {offsetof(struct persist_backend_ops, upload_part), "upload_part"},
        {offsetof(struct persist_backend_ops, upload_commit), "upload_commit"},
        {offsetof(struct persist_backend_ops, upload_abort), "upload_abort"},
        {offsetof(struct persist_backend_ops, read), "read"},
        {offsetof(struct persist_backend_ops, head), "head"},
        {offsetof(struct persist_backend_ops, delete_object), "delete_object"},
        {offsetof(struct persist_backend_ops, list), "list"},
        {offsetof(struct persist_backend_ops, list_uploads), NULL},
        {offsetof(struct persist_backend_ops, probe), NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        void (*const none)(void) = NULL;
        setup(state);
        memcpy((char *)&ops.o + slots[i].at, &none, sizeof(none));
        if (slots[i].name)
            assert_refused(slots[i].name);
        else
            assert_int_equal(copy(), PERSIST_OK);
    }
}

static void copy__checks_names_and_texts(void **state)
{
    static const char *const bad[] = {
        NULL,  "",     "A",
        "a_b", "a.so", "../x",
        "a/b", "a b",  "a23456789012345678901234567890123",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        theirs.d.name = bad[i];
        assert_refused("its name is not");
    }
    theirs.d.name = "a2345678901234567890123456789012";
    assert_int_equal(copy(), PERSIST_OK);
    theirs.d.version = NULL;
    assert_refused("its version is not one line");
    theirs.d.version = "";
    assert_refused("its version is not one line");
    theirs.d.version = "1\n2";
    assert_refused("its version is not one line");
    theirs.d.version = "1";
    theirs.d.vendor = NULL;
    theirs.d.licence = "\x1b[2J";
    assert_int_equal(copy(), PERSIST_OK);
    assert_string_equal(ours.descriptor.vendor, "");
    assert_string_equal(ours.descriptor.licence, "");
}

static void copy__checks_thread_model_and_options(void **state)
{
    (void)state;
    theirs.d.thread_model = 0;
    assert_refused("thread model");
    theirs.d.thread_model = 3;
    assert_refused("thread model");
    theirs.d.thread_model = PERSIST_BACKEND_PARALLEL;
    options[1].o.key = "first";
    assert_refused("option first has a key that another option has too");
    options[1].o.key = "second";
    theirs.d.options = NULL;
    assert_refused("options has an impossible size");
    theirs.d.n_options = 257;
    theirs.d.options = &options[0].o;
    assert_refused("options has an impossible size");
    theirs.d.n_options = 0;
    theirs.d.options = NULL;
    theirs.d.option_size = 0;
    assert_int_equal(copy(), PERSIST_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copy__takes_everything_over),
        TEST(copy__accepts_a_newer_plugin_that_asks_for_nothing_new),
        TEST(copy__accepts_sizes_up_to_64_KiB_and_no_more),
        TEST(copy__refuses_structs_below_1_0),
        TEST(copy__refuses_other_versions_naming_both),
        TEST(copy__refuses_no_descriptor_and_no_ops),
        TEST(copy__names_the_required_op_that_is_missing),
        TEST(copy__checks_names_and_texts),
        TEST(copy__checks_thread_model_and_options),
    };
    return cmocka_run_group_tests_name("descriptor", tests, NULL, NULL);
}
