/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The precheck of a plugin file: identification, program headers, section
 * header table, dynamic section.  Everything stated in the file is compared
 * with the file's size before it is used; nothing is mapped.
 *
 * Deliberately not here: symbols, relocations and code.  ld.so resolves them,
 * and a file from a trusted owner is taken to be what its linker wrote.
 */
#include "backend/object_file_impl.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Linkers write about ten program headers; the dynamic section of the largest
 * library of a Debian system has under 200 entries. */
#define PHNUM_MAX 64
#define DYNAMIC_MAX 4096

struct elf_file {
    struct object_file file;
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[PHNUM_MAX];
};

/* The ELF header of the object this code stands in: what class and machine a
 * plugin must have, without a table of architectures. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl*): the linker's name */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static int check_identity(struct elf_file *f)
{
    const unsigned char *ours = __ehdr_start.e_ident;
    const unsigned char *theirs = f->header.e_ident;

    if (f->file.size < EI_NIDENT || memcmp(theirs, ELFMAG, SELFMAG) != 0)
        return object_file_refuse(&f->file,
                                  "is not a shared object (no ELF header)");
    if (theirs[EI_CLASS] != ours[EI_CLASS] || theirs[EI_DATA] != ours[EI_DATA])
        return object_file_refuse(
            &f->file, "is built for another word size or byte order");
    if (theirs[EI_VERSION] != EV_CURRENT || f->file.size < sizeof(f->header))
        return object_file_damaged(&f->file, "has a broken ELF header");
    if (f->header.e_machine != __ehdr_start.e_machine)
        return object_file_refuse(&f->file,
                                  "is built for another architecture");
    if (f->header.e_type != ET_DYN)
        return object_file_refuse(&f->file,
                                  "is not a shared object (wrong ELF type)");
    if (f->header.e_ehsize != sizeof(f->header) ||
        f->header.e_version != EV_CURRENT)
        return object_file_damaged(&f->file, "has a broken ELF header");
    return PERSIST_OK;
}

/* The section headers are the last thing in most files: requiring them finds
 * also a cut behind the last segment, which ld.so would not notice. */
static int check_sections(const struct elf_file *f)
{
    const ElfW(Ehdr) *h = &f->header;

    if (h->e_shoff == 0)
        return PERSIST_OK;
    if (h->e_shentsize != sizeof(ElfW(Shdr)) ||
        !object_file_holds(h->e_shoff,
                           (uint64_t)h->e_shnum * sizeof(ElfW(Shdr)),
                           f->file.size))
        return object_file_damaged(&f->file, "ends before its section headers");
    return PERSIST_OK;
}

static int check_load(const struct elf_file *f, const ElfW(Phdr) * p,
                      uint64_t *end)
{
    uint64_t align = p->p_align ? p->p_align : 1;

    if ((align & (align - 1)) != 0 ||
        (p->p_vaddr & (align - 1)) != (p->p_offset & (align - 1)))
        return object_file_damaged(&f->file, "has a misaligned segment");
    if (p->p_filesz > p->p_memsz || p->p_vaddr < *end ||
        !object_file_holds(p->p_vaddr, p->p_memsz, PTRDIFF_MAX))
        return object_file_damaged(&f->file,
                                   "has overlapping or impossible segments");
    *end = p->p_vaddr + p->p_memsz;
    return PERSIST_OK;
}

static int check_segments(struct elf_file *f, const ElfW(Phdr) * *out_dynamic)
{
    size_t n = f->header.e_phnum;
    uint64_t end = 0;
    bool loads = false;

    if (n == 0 || n > PHNUM_MAX || f->header.e_phentsize != sizeof(ElfW(Phdr)))
        return object_file_damaged(&f->file, "has no usable program headers");
    int rc = object_file_read(&f->file, f->segments, n * sizeof(ElfW(Phdr)),
                              f->header.e_phoff);
    for (size_t i = 0; i < n && rc == PERSIST_OK; i++) {
        const ElfW(Phdr) *p = &f->segments[i];
        if (!object_file_holds(p->p_offset, p->p_filesz, f->file.size))
            return object_file_damaged(&f->file, "ends before its segments do");
        if (p->p_type == PT_LOAD) {
            loads = true;
            rc = check_load(f, p, &end);
        }
        if (p->p_type == PT_DYNAMIC && *out_dynamic)
            return object_file_damaged(&f->file, "has two dynamic sections");
        if (p->p_type == PT_DYNAMIC)
            *out_dynamic = p;
    }
    if (rc == PERSIST_OK && (!loads || !*out_dynamic))
        rc = object_file_refuse(&f->file,
                                "is not a shared object (nothing to load)");
    return rc;
}

/* Whether the len bytes at a virtual address come from the file. */
static bool from_file(const struct elf_file *f, uint64_t address, uint64_t len,
                      uint64_t *out_offset)
{
    for (size_t i = 0; i < f->header.e_phnum; i++) {
        const ElfW(Phdr) *p = &f->segments[i];
        if (p->p_type != PT_LOAD || address < p->p_vaddr ||
            !object_file_holds(address - p->p_vaddr, len, p->p_filesz))
            continue;
        *out_offset = address - p->p_vaddr + p->p_offset;
        return true;
    }
    return false;
}

/* What the dynamic section must say, and what it may point to. */
struct dynamic {
    uint64_t strtab, strsz, symtab, hash, gnu_hash;
    uint64_t rela, relasz, rel, relsz, jmprel, pltrelsz;
    uint64_t init_array, init_arraysz, fini_array, fini_arraysz;
    uint64_t name_max; /* the largest offset into the string table */
    bool ended;
};

static void note_tag(struct dynamic *d, int64_t tag, uint64_t value)
{
    const struct {
        int64_t tag;
        uint64_t *field;
    } table[] = {
        {DT_STRTAB, &d->strtab},
        {DT_STRSZ, &d->strsz},
        {DT_SYMTAB, &d->symtab},
        {DT_HASH, &d->hash},
        {DT_GNU_HASH, &d->gnu_hash},
        {DT_RELA, &d->rela},
        {DT_RELASZ, &d->relasz},
        {DT_REL, &d->rel},
        {DT_RELSZ, &d->relsz},
        {DT_JMPREL, &d->jmprel},
        {DT_PLTRELSZ, &d->pltrelsz},
        {DT_INIT_ARRAY, &d->init_array},
        {DT_INIT_ARRAYSZ, &d->init_arraysz},
        {DT_FINI_ARRAY, &d->fini_array},
        {DT_FINI_ARRAYSZ, &d->fini_arraysz},
    };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].tag == tag)
            *table[i].field = value;
    if ((tag == DT_NEEDED || tag == DT_SONAME || tag == DT_RPATH ||
         tag == DT_RUNPATH) &&
        value > d->name_max)
        d->name_max = value;
    if (tag == DT_NULL)
        d->ended = true;
}

static int check_tables(const struct elf_file *f, const struct dynamic *d)
{
    const struct {
        uint64_t address, len;
    } table[] = {
        {d->strtab, d->strsz},
        {d->symtab, sizeof(ElfW(Sym))},
        {d->rela, d->relasz},
        {d->rel, d->relsz},
        {d->jmprel, d->pltrelsz},
        {d->init_array, d->init_arraysz},
        {d->fini_array, d->fini_arraysz},
        {d->hash, d->hash ? 8 : 0},
        {d->gnu_hash, d->gnu_hash ? 16 : 0},
    };
    uint64_t offset = 0;
    char last = 1;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].len &&
            !from_file(f, table[i].address, table[i].len, &offset))
            return object_file_damaged(
                &f->file, "has a dynamic section that points outside it");
    if (!d->strsz || (!d->hash && !d->gnu_hash) || d->name_max >= d->strsz ||
        !from_file(f, d->strtab, d->strsz, &offset))
        return object_file_damaged(&f->file,
                                   "has an incomplete dynamic section");
    int rc = object_file_read(&f->file, &last, 1, offset + d->strsz - 1);
    if (rc == PERSIST_OK && last != '\0')
        rc = object_file_damaged(&f->file, "has an unterminated string table");
    return rc;
}

static int check_dynamic(const struct elf_file *f, const ElfW(Phdr) * segment)
{
    size_t n = (size_t)(segment->p_filesz / sizeof(ElfW(Dyn)));
    struct dynamic d = {0};
    ElfW(Dyn) *entries = NULL;
    uint64_t offset = 0;

    if (n == 0 || n > DYNAMIC_MAX ||
        !from_file(f, segment->p_vaddr, segment->p_filesz, &offset) ||
        offset != segment->p_offset)
        return object_file_damaged(&f->file, "has no usable dynamic section");
    entries = calloc(n, sizeof(*entries));
    if (!entries)
        return error_memory(f->file.err);
    int rc = object_file_read(&f->file, entries, n * sizeof(*entries), offset);
    for (size_t i = 0; rc == PERSIST_OK && i < n && !d.ended; i++)
        note_tag(&d, entries[i].d_tag, entries[i].d_un.d_val);
    if (rc == PERSIST_OK)
        rc = d.ended ? check_tables(f, &d)
                     : object_file_damaged(
                           &f->file, "has an unterminated dynamic section");
    free(entries);
    return rc;
}

int object_file_check(int fd, const char *path, struct persist_error *err)
{
    struct elf_file f = {0};
    const ElfW(Phdr) *dynamic = NULL;
    int rc = object_file_begin(&f.file, fd, path, err);

    if (rc != PERSIST_OK)
        return rc;
    size_t head =
        f.file.size < sizeof(f.header) ? (size_t)f.file.size : sizeof(f.header);
    rc = object_file_read(&f.file, &f.header, head, 0);
    if (rc == PERSIST_OK)
        rc = check_identity(&f);
    if (rc == PERSIST_OK)
        rc = check_sections(&f);
    if (rc == PERSIST_OK)
        rc = check_segments(&f, &dynamic);
    if (rc == PERSIST_OK)
        rc = check_dynamic(&f, dynamic);
    return rc;
}
