/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The precheck of a plugin file on macOS: a Mach-O bundle or library of this
 * processor, alone or in a universal file, whose load commands and segments lie
 * within it.
 *
 * Deliberately not here: symbols, fix-ups, signatures and code.  dyld looks at
 * them, and a file from a trusted owner is taken to be what its linker wrote.
 */
#include "backend/object_file_impl.h"

#include <libkern/OSByteOrder.h>
#include <mach-o/dyld.h>
#include <mach-o/fat.h>
#include <mach-o/loader.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Processors of a universal file; bytes of load commands (a library with a
 * hundred dependencies has 8 KiB). */
#define SLICES_MAX 16
#define COMMANDS_MAX (1U << 20)

struct macho_file {
    struct object_file file;
    uint64_t begin, len; /* this processor's part */
    struct mach_header_64 header;
};

/* What a plugin must be built for: the same as the running program. */
static cpu_type_t our_processor(void)
{
    return _dyld_get_image_header(0)->cputype;
}

/* A universal file is a table, big endian, of one file per processor. */
static int find_slice(struct macho_file *f)
{
    struct fat_arch slices[SLICES_MAX];
    struct fat_header head;
    int rc = object_file_read(&f->file, &head, sizeof(head), 0);

    if (rc != PERSIST_OK)
        return rc;
    f->begin = 0;
    f->len = f->file.size;
    if (OSSwapBigToHostInt32(head.magic) != FAT_MAGIC)
        return PERSIST_OK;
    uint32_t n = OSSwapBigToHostInt32(head.nfat_arch);
    if (n == 0 || n > SLICES_MAX)
        return object_file_damaged(&f->file,
                                   "has a broken table of architectures");
    rc =
        object_file_read(&f->file, slices, n * sizeof(slices[0]), sizeof(head));
    for (uint32_t i = 0; rc == PERSIST_OK && i < n; i++) {
        if ((cpu_type_t)OSSwapBigToHostInt32((uint32_t)slices[i].cputype) !=
            our_processor())
            continue;
        f->begin = OSSwapBigToHostInt32(slices[i].offset);
        f->len = OSSwapBigToHostInt32(slices[i].size);
        return object_file_holds(f->begin, f->len, f->file.size)
                   ? PERSIST_OK
                   : object_file_damaged(&f->file,
                                         "ends before its architectures do");
    }
    return rc != PERSIST_OK
               ? rc
               : object_file_refuse(&f->file,
                                    "is built for another architecture");
}

static int check_header(struct macho_file *f)
{
    const struct mach_header_64 *h = &f->header;

    if (f->len < sizeof(*h))
        return object_file_refuse(&f->file,
                                  "is not a shared object (no Mach-O header)");
    int rc =
        object_file_read(&f->file, &f->header, sizeof(f->header), f->begin);
    if (rc != PERSIST_OK)
        return rc;
    if (h->magic != MH_MAGIC_64)
        return object_file_refuse(
            &f->file, h->magic == MH_MAGIC || h->magic == MH_CIGAM_64
                          ? "is built for another word size or byte order"
                          : "is not a shared object (no Mach-O header)");
    if (h->cputype != our_processor())
        return object_file_refuse(&f->file,
                                  "is built for another architecture");
    if (h->filetype != MH_DYLIB && h->filetype != MH_BUNDLE)
        return object_file_refuse(&f->file,
                                  "is not a shared object (wrong Mach-O type)");
    if (h->sizeofcmds > COMMANDS_MAX ||
        !object_file_holds(sizeof(*h), h->sizeofcmds, f->len))
        return object_file_damaged(&f->file, "ends before its load commands");
    return PERSIST_OK;
}

static int check_commands(const struct macho_file *f, const char *commands)
{
    size_t left = f->header.sizeofcmds;
    struct segment_command_64 segment;
    struct load_command command;
    bool segments = false;

    for (uint32_t i = 0; i < f->header.ncmds; i++) {
        if (left < sizeof(command))
            return object_file_damaged(&f->file,
                                       "has fewer load commands than it says");
        memcpy(&command, commands, sizeof(command));
        if (command.cmdsize < sizeof(command) || command.cmdsize > left)
            return object_file_damaged(&f->file, "has a broken load command");
        if (command.cmd == LC_SEGMENT_64) {
            if (command.cmdsize < sizeof(segment))
                return object_file_damaged(&f->file,
                                           "has a broken load command");
            memcpy(&segment, commands, sizeof(segment));
            if (!object_file_holds(segment.fileoff, segment.filesize, f->len))
                return object_file_damaged(&f->file,
                                           "ends before its segments do");
            segments = true;
        }
        commands += command.cmdsize;
        left -= command.cmdsize;
    }
    return segments ? PERSIST_OK
                    : object_file_refuse(
                          &f->file, "is not a shared object (nothing to load)");
}

int object_file_check(int fd, const char *path, struct persist_error *err)
{
    struct macho_file f = {0};
    char *commands = NULL;
    int rc = object_file_begin(&f.file, fd, path, err);

    if (rc != PERSIST_OK)
        return rc;
    if (f.file.size < sizeof(struct fat_header))
        return object_file_refuse(&f.file,
                                  "is not a shared object (no Mach-O header)");
    rc = find_slice(&f);
    if (rc == PERSIST_OK)
        rc = check_header(&f);
    if (rc != PERSIST_OK)
        return rc;
    commands = malloc(f.header.sizeofcmds ? f.header.sizeofcmds : 1);
    if (!commands)
        return error_memory(err);
    rc = object_file_read(&f.file, commands, f.header.sizeofcmds,
                          f.begin + sizeof(f.header));
    if (rc == PERSIST_OK)
        rc = check_commands(&f, commands);
    free(commands);
    return rc;
}
