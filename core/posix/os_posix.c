/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of os.h that POSIX has for every system. */
#include "posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define NS_PER_S 1000000000

uint64_t os_monotonic_ns(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* One for all words: who is woken for another's looks and waits again. */
static pthread_mutex_t park_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t park_changed;
static pthread_once_t park_once = PTHREAD_ONCE_INIT;

static void park_init(void)
{
    (void)os_cond_init(&park_changed);
}

bool os_posix_park(const atomic_uint *word, unsigned seen, uint64_t at_most_ns)
{
    uint64_t until_ns = os_monotonic_ns() + at_most_ns;
    int rc = 0;

    (void)pthread_once(&park_once, park_init);
    pthread_mutex_lock(&park_lock);
    if (atomic_load(word) == seen)
        rc = os_cond_wait_until(&park_changed, &park_lock, until_ns);
    pthread_mutex_unlock(&park_lock);
    return rc != ETIMEDOUT;
}

void os_posix_unpark(const atomic_uint *word)
{
    (void)word;
    (void)pthread_once(&park_once, park_init);
    pthread_mutex_lock(&park_lock);
    pthread_cond_broadcast(&park_changed);
    pthread_mutex_unlock(&park_lock);
}

/* getentropy gives 256 bytes at most, all or none. */
int os_random(void *out, size_t len)
{
    unsigned char *at = out;

    while (len > 0) {
        size_t part = len < 256 ? len : 256;

        if (getentropy(at, part) != 0)
            return -errno;
        at += part;
        len -= part;
    }
    return 0;
}

static pthread_once_t forks_once = PTHREAD_ONCE_INIT;
static atomic_uint forks;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void count_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

unsigned os_forks(void)
{
    (void)pthread_once(&forks_once, count_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}

const char *os_getenv(const char *name)
{
    return os_is_privileged() ? NULL : getenv(name);
}

char **os_child_environment(void)
{
    static char path[] = "PATH=/usr/local/bin:/usr/bin:/bin";
    static char *const safe[] = {path, NULL};

    return os_is_privileged() ? (char **)safe : os_environment();
}

static int max_fd(void)
{
    long max = sysconf(_SC_OPEN_MAX);

    return max < 0 || max > 65536 ? 65536 : (int)max;
}

void os_posix_close_from(int first)
{
    for (int fd = first, max = max_fd(); fd < max; fd++)
        close(fd);
}

int os_posix_spawn_close_from(posix_spawn_file_actions_t *actions, int first)
{
    int rc = 0;

    for (int fd = first, max = max_fd(); fd < max && rc == 0; fd++) {
        int flags = fcntl(fd, F_GETFD);

        if (flags >= 0 && (flags & FD_CLOEXEC) == 0)
            rc = posix_spawn_file_actions_addclose(actions, fd);
    }
    return rc;
}
