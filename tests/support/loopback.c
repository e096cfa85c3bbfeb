/* SPDX-License-Identifier: Apache-2.0 */
#include "support/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int loopback_listen(const char *program, uint16_t port, uint16_t *out_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 ||
        listen(fd, 256) != 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) != 0) {
        (void)fprintf(stderr, "%s: ", program);
        perror("listen");
        exit(1);
    }
    *out_port = ntohs(a.sin_port);
    (void)printf("listening on %u\n", (unsigned)*out_port);
    (void)fflush(stdout);
    return fd;
}
