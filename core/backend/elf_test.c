/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged shared objects.  Everything refused here would crash ld.so or be
 * loaded by it in part; nothing is loaded here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/file_test.h"
#include "backend/object_file.h"

static uint8_t *image;
static size_t image_len;
static struct persist_error err;

static int setup(void **state)
{
    (void)state;
    file_make_dir();
    image = file_read_fixture("good", &image_len);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(image);
    file_remove_dir();
    return 0;
}

static int check_bytes(const void *bytes, size_t len)
{
    file_write(file_path("x.so"), bytes, len);
    int fd = open(file_path("x.so"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    int rc = object_file_check(fd, "x.so", &err);
    close(fd);
    return rc;
}

static int check(void)
{
    return check_bytes(image, image_len);
}

static ElfW(Ehdr) * header(void)
{
    return (ElfW(Ehdr) *)(void *)image;
}

static ElfW(Phdr) * segment(uint32_t type)
{
    ElfW(Phdr) *p = (ElfW(Phdr) *)(void *)(image + header()->e_phoff);

    for (size_t i = 0; i < header()->e_phnum; i++)
        if (p[i].p_type == type)
            return &p[i];
    fail_msg("no such segment");
    return NULL;
}

/* NULL: there is none. */
static ElfW(Dyn) * find_dynamic(int64_t tag)
{
    ElfW(Dyn) *d = (ElfW(Dyn) *)(void *)(image + segment(PT_DYNAMIC)->p_offset);

    while (d->d_tag != tag && d->d_tag != DT_NULL)
        d++;
    return d->d_tag == tag ? d : NULL;
}

static ElfW(Dyn) * dynamic(int64_t tag)
{
    ElfW(Dyn) *d = find_dynamic(tag);

    if (!d)
        fail_msg("no dynamic entry %#llx", (unsigned long long)tag);
    return d;
}

static void assert_refused(const char *why)
{
    assert_int_equal(check(), PERSIST_E_CONFIG);
    if (!strstr(err.message, why))
        fail_msg("\"%s\" does not hold \"%s\"", err.message, why);
    assert_string_equal(err.object, "x.so");
}

/* Restores the image, as assert_refused's changes are made in place. */
static void refuse_change(void *at, size_t len, const void *bytes,
                          const char *why)
{
    uint8_t before[64];

    assert_true(len <= sizeof(before));
    memcpy(before, at, len);
    memcpy(at, bytes, len);
    assert_refused(why);
    memcpy(at, before, len);
    assert_int_equal(check(), PERSIST_OK);
}
#define CHANGE(lvalue, new_value, why)                                         \
    do {                                                                       \
        __typeof__(lvalue) value_ = (__typeof__(lvalue))(new_value);           \
        refuse_change(&(lvalue), sizeof(value_), &value_, why);                \
    } while (0)

static int check_loaded(struct dl_phdr_info *info, size_t size, void *n_checked)
{
    int fd = open(info->dlpi_name, O_RDONLY | O_CLOEXEC);

    (void)size;
    if (fd < 0)
        return 0; /* the program itself, or the kernel's part */
    if (object_file_check(fd, info->dlpi_name, &err) != PERSIST_OK)
        fail_msg("%s", err.message);
    close(fd);
    ++*(unsigned *)n_checked;
    return 0;
}

static void check__accepts_plugins_and_loaded_libraries(void **state)
{
    unsigned n_checked = 0;

    (void)state;
    assert_int_equal(check(), PERSIST_OK);
    dl_iterate_phdr(check_loaded, &n_checked);
    assert_true(n_checked >= 1);
}

static void check__refuses_every_truncation(void **state)
{
    (void)state;
    for (size_t len = 0; len < image_len; len += 64)
        assert_int_equal(check_bytes(image, len), PERSIST_E_CONFIG);
    assert_int_equal(check_bytes(image, image_len - 1), PERSIST_E_CONFIG);
    ElfW(Phdr) *p = (ElfW(Phdr) *)(void *)(image + header()->e_phoff);
    for (size_t i = 0; i < header()->e_phnum; i++) {
        size_t end = (size_t)(p[i].p_offset + p[i].p_filesz);
        assert_int_equal(check_bytes(image, (size_t)p[i].p_offset),
                         PERSIST_E_CONFIG);
        for (size_t len = end > 0 ? end - 1 : 0; len <= end + 1; len++)
            if (len < image_len)
                assert_int_equal(check_bytes(image, len), PERSIST_E_CONFIG);
    }
}

/* Without section headers, as sstrip leaves a file, only segments count. */
static void check__refuses_truncations_without_section_headers(void **state)
{
    size_t end = 0;

    (void)state;
    header()->e_shoff = 0;
    header()->e_shnum = 0;
    ElfW(Phdr) *p = (ElfW(Phdr) *)(void *)(image + header()->e_phoff);
    for (size_t i = 0; i < header()->e_phnum; i++)
        if (p[i].p_offset + p[i].p_filesz > end)
            end = (size_t)(p[i].p_offset + p[i].p_filesz);
    assert_int_equal(check_bytes(image, end), PERSIST_OK);
    for (size_t len = 0; len < end; len += 64)
        assert_int_equal(check_bytes(image, len), PERSIST_E_CONFIG);
    assert_int_equal(check_bytes(image, end - 1), PERSIST_E_CONFIG);
}

static void check__refuses_other_kinds_of_files(void **state)
{
    (void)state;
    assert_int_equal(check_bytes("", 0), PERSIST_E_CONFIG);
    assert_int_equal(check_bytes("#!/bin/sh\n", 10), PERSIST_E_CONFIG);
    assert_non_null(strstr(err.message, "no ELF header"));
    assert_int_equal(check_bytes(ELFMAG, 4), PERSIST_E_CONFIG);
    assert_int_equal(check_bytes(image, 20), PERSIST_E_CONFIG);
}

static void check__refuses_other_machines(void **state)
{
    (void)state;
    CHANGE(header()->e_machine, header()->e_machine + 1, "architecture");
    CHANGE(header()->e_ident[EI_CLASS],
           header()->e_ident[EI_CLASS] == ELFCLASS64 ? ELFCLASS32 : ELFCLASS64,
           "word size");
    CHANGE(header()->e_ident[EI_DATA],
           header()->e_ident[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB
                                                     : ELFDATA2LSB,
           "byte order");
    CHANGE(header()->e_ident[EI_VERSION], 0, "broken ELF header");
    CHANGE(header()->e_version, 2, "broken ELF header");
    CHANGE(header()->e_ehsize, 1, "broken ELF header");
    CHANGE(header()->e_type, ET_EXEC, "wrong ELF type");
    CHANGE(header()->e_type, ET_REL, "wrong ELF type");
    CHANGE(header()->e_type, ET_CORE, "wrong ELF type");
}

static void check__refuses_headers_that_point_outside(void **state)
{
    (void)state;
    CHANGE(header()->e_phnum, 0, "program headers");
    CHANGE(header()->e_phnum, 65, "program headers");
    CHANGE(header()->e_phentsize, 1, "program headers");
    CHANGE(header()->e_phoff, image_len - 8, "shorter");
    CHANGE(header()->e_phoff, UINT64_MAX - 7, "shorter");
    CHANGE(header()->e_shoff, image_len, "section headers");
    CHANGE(header()->e_shoff, UINT64_MAX - 7, "section headers");
    CHANGE(header()->e_shentsize, 1, "section headers");
    CHANGE(segment(PT_LOAD)->p_filesz, image_len + 1, "segments");
    CHANGE(segment(PT_LOAD)->p_offset, UINT64_MAX, "segments");
    CHANGE(segment(PT_LOAD)->p_memsz, 1, "impossible segments");
    CHANGE(segment(PT_LOAD)->p_memsz, UINT64_MAX, "impossible segments");
    CHANGE(segment(PT_LOAD)->p_align, 3, "misaligned");
    CHANGE(segment(PT_LOAD)->p_vaddr, 1, "misaligned");
    CHANGE(segment(PT_GNU_STACK)->p_offset, image_len + 1, "segments");
    CHANGE(segment(PT_GNU_STACK)->p_type, PT_DYNAMIC, "dynamic section");
    CHANGE(segment(PT_DYNAMIC)->p_type, PT_NULL, "nothing to load");
}

static void check__refuses_overlapping_segments(void **state)
{
    (void)state;
    ElfW(Phdr) *first = segment(PT_LOAD);
    ElfW(Phdr) *second = first + 1;
    assert_int_equal(second->p_type, PT_LOAD);
    CHANGE(first->p_memsz, second->p_vaddr - first->p_vaddr + 1, "overlapping");
}

/* The last one: behind it no other would seem to overlap. */
static void check__refuses_segments_beyond_every_address(void **state)
{
    ElfW(Phdr) *p = (ElfW(Phdr) *)(void *)(image + header()->e_phoff);
    ElfW(Phdr) *last = NULL;

    (void)state;
    for (size_t i = 0; i < header()->e_phnum; i++)
        if (p[i].p_type == PT_LOAD)
            last = &p[i];
    assert_non_null(last);
    CHANGE(last->p_vaddr, last->p_vaddr | ~(UINTPTR_MAX >> 1),
           "impossible segments");
    CHANGE(last->p_memsz, (UINTPTR_MAX >> 1) - last->p_vaddr + 1,
           "impossible segments");
}

static void check__refuses_dynamic_sections_that_lie(void **state)
{
    /* A linker writes relocations of one kind: i386 has no DT_RELA. */
    bool rela = find_dynamic(DT_RELA) != NULL;
    bool two_hashes = find_dynamic(DT_HASH) && find_dynamic(DT_GNU_HASH);
    int64_t hash = find_dynamic(DT_GNU_HASH) ? DT_GNU_HASH : DT_HASH;

    (void)state;
    CHANGE(segment(PT_DYNAMIC)->p_filesz, 0, "no usable dynamic section");
    CHANGE(segment(PT_DYNAMIC)->p_vaddr, 0x10, "no usable dynamic section");
    CHANGE(segment(PT_DYNAMIC)->p_filesz, 3 * sizeof(ElfW(Dyn)),
           "unterminated dynamic section");
    CHANGE(dynamic(DT_STRTAB)->d_un.d_val, image_len * 2, "points outside");
    CHANGE(dynamic(DT_STRSZ)->d_un.d_val, image_len * 2, "points outside");
    CHANGE(dynamic(DT_STRSZ)->d_un.d_val, UINT64_MAX, "points outside");
    CHANGE(dynamic(DT_STRSZ)->d_un.d_val, 0, "incomplete");
    CHANGE(dynamic(DT_STRSZ)->d_tag, DT_DEBUG, "incomplete");
    CHANGE(dynamic(DT_STRSZ)->d_un.d_val, dynamic(DT_STRSZ)->d_un.d_val - 1,
           "unterminated string table");
    CHANGE(dynamic(DT_SYMTAB)->d_un.d_val, image_len * 2, "points outside");
    if (!two_hashes) /* else one is enough */
        CHANGE(dynamic(hash)->d_tag, DT_DEBUG, "incomplete");
    CHANGE(dynamic(hash)->d_un.d_val, image_len * 2, "points outside");
    /* Its value is a code address, far behind the string table. */
    CHANGE(dynamic(DT_FINI)->d_tag, DT_NEEDED, "incomplete");
    CHANGE(dynamic(rela ? DT_RELA : DT_REL)->d_un.d_val, image_len * 2,
           "points outside");
    CHANGE(dynamic(rela ? DT_RELASZ : DT_RELSZ)->d_un.d_val, image_len * 2,
           "points outside");
    CHANGE(dynamic(DT_INIT_ARRAY)->d_un.d_val, image_len * 2, "points outside");
}

/* Whatever the bytes: an answer, and under the sanitizers no bad read. */
static void check__survives_every_flip_in_the_headers(void **state)
{
    size_t dyn = (size_t)segment(PT_DYNAMIC)->p_offset;
    size_t dyn_len = (size_t)segment(PT_DYNAMIC)->p_filesz;
    size_t headers =
        sizeof(ElfW(Ehdr)) + header()->e_phnum * sizeof(ElfW(Phdr));

    (void)state;
    for (size_t i = 0; i < headers + dyn_len; i++) {
        size_t at = i < headers ? i : dyn + i - headers;
        for (int bit = 0; bit < 8; bit += 7) {
            image[at] ^= (uint8_t)(1 << bit);
            int rc = check();
            assert_true(rc == PERSIST_OK || rc == PERSIST_E_CONFIG);
            image[at] ^= (uint8_t)(1 << bit);
        }
    }
}

static void check__reports_what_cannot_be_read(void **state)
{
    (void)state;
    assert_int_equal(object_file_check(-1, "x.so", &err), PERSIST_E_IO);
    int fd = open(file_path("w"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, image, image_len), image_len);
    assert_int_equal(object_file_check(fd, "x.so", &err), PERSIST_E_IO);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check__accepts_plugins_and_loaded_libraries),
        TEST(check__refuses_every_truncation),
        TEST(check__refuses_truncations_without_section_headers),
        TEST(check__refuses_other_kinds_of_files),
        TEST(check__refuses_other_machines),
        TEST(check__refuses_headers_that_point_outside),
        TEST(check__refuses_overlapping_segments),
        TEST(check__refuses_segments_beyond_every_address),
        TEST(check__refuses_dynamic_sections_that_lie),
        TEST(check__survives_every_flip_in_the_headers),
        TEST(check__reports_what_cannot_be_read),
    };
    return cmocka_run_group_tests_name("elf", tests, NULL, NULL);
}
