/* SPDX-License-Identifier: Apache-2.0 */
/* What servers of the tests and benchmarks begin with. */
#ifndef TESTS_SUPPORT_LOOPBACK_H
#define TESTS_SUPPORT_LOOPBACK_H

#include <stdint.h>

/* Listens on 127.0.0.1, port 0 being any that is free, prints "listening on
 * PORT" on standard output, and gives the descriptor and the port.  Ends the
 * program where it cannot. */
int loopback_listen(const char *program, uint16_t port, uint16_t *out_port);

#endif
