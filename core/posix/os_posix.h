/* SPDX-License-Identifier: Apache-2.0 */
/* Internal: ways that work on every system, for those that lack a better. */
#ifndef PERSIST_POSIX_OS_POSIX_H
#define PERSIST_POSIX_OS_POSIX_H

#include "posix/os.h"

/* One by one up to the limit, 65536 at most. */
void os_posix_close_from(int first);
/* One action for every descriptor that is open now and would stay: not for one
 * that another thread opens meanwhile without close-on-exec. */
int os_posix_spawn_close_from(posix_spawn_file_actions_t *actions, int first);
bool os_posix_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns);
void os_posix_unpark(const atomic_uint *word);

#endif
