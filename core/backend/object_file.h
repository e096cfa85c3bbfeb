/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is this file a shared object that this process could load?
 *
 * dlopen maps segments by the sizes the headers state and then touches them: a
 * file that is shorter kills the process with SIGBUS inside the dynamic linker.
 * This check reads the same headers first, with pread, and refuses every file
 * that states more than it holds.  It proves that a file is whole, not that it
 * is harmless: who may supply a plugin is backend/trust's question.  elf.c
 * knows ELF, macho.c what macOS loads.
 */
#ifndef PERSIST_BACKEND_OBJECT_FILE_H
#define PERSIST_BACKEND_OBJECT_FILE_H

#include "util/error.h"

/* fd: a regular file.  CONFIG where it is refused; IO where it cannot be read.
 * path is for messages. */
int object_file_check(int fd, const char *path, struct persist_error *err);

#endif
