/* SPDX-License-Identifier: Apache-2.0 */
/* Files for the loader's tests: a directory of the test's own, copies, damage.
 */
#ifndef PERSIST_BACKEND_FILE_TEST_H
#define PERSIST_BACKEND_FILE_TEST_H

#include <stddef.h>
#include <stdint.h>

/* Where fixtures/ are built. */
#define FIXTURES PERSIST_TEST_BINARY_DIR "/tests/backend-fixtures"

extern char file_dir[64]; /* of the running test, 0700 */

void file_make_dir(void);
void file_remove_dir(void);
/* file_dir "/" name; valid until the fourth call from here. */
const char *file_path(const char *name);
/* The bytes of a fixture ("good"); freed by the caller. */
uint8_t *file_read_fixture(const char *name, size_t *out_len);
void file_write(const char *path, const void *bytes, size_t len);
/* FIXTURES/from.so to path. */
void file_copy_fixture(const char *from, const char *path);

#endif
