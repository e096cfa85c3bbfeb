/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cancel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void set__is_seen_by_flag_and_descriptor(void **state)
{
    (void)state;
    struct cancel c;
    assert_int_equal(cancel_init(&c, NULL, true), 0);
    assert_false(cancel_is_set(&c));
    assert_false(is_readable(cancel_fd(&c)));
    assert_true(fcntl(cancel_fd(&c), F_GETFD) & FD_CLOEXEC);

    cancel_set(&c);
    cancel_set(&c);

    assert_true(cancel_is_set(&c));
    assert_true(is_readable(cancel_fd(&c)));
    cancel_finish(&c);
}

/* Its descriptor is the parent's too, and whoever polls it there is to sleep
 * on: a handler may run in a child before that is another program. */
static void set__in_a_forked_child_is_silent_for_its_parent(void **state)
{
    (void)state;
    struct cancel c;
    int status = -1;
    assert_int_equal(cancel_init(&c, NULL, true), 0);

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        cancel_set(&c);
        _exit(!cancel_is_set(&c));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);

    assert_int_equal(status, 0);
    assert_false(cancel_is_set(&c));
    assert_false(is_readable(cancel_fd(&c)));
    cancel_set(&c);
    assert_true(is_readable(cancel_fd(&c)));
    cancel_finish(&c);
}

static void null__is_never_set(void **state)
{
    (void)state;
    assert_false(cancel_is_set(NULL));
    assert_int_equal(cancel_fd(NULL), -1);
    assert_true(cancel_fd_is_complete(NULL));
}

static void parent__sets_its_children_and_not_the_reverse(void **state)
{
    (void)state;
    struct cancel top, middle, leaf;
    cancel_init(&top, NULL, true);
    cancel_init(&middle, &top, false);
    cancel_init(&leaf, &middle, false);
    assert_int_equal(cancel_fd(&leaf), cancel_fd(&top));

    cancel_set(&leaf);
    assert_false(cancel_is_set(&middle));
    cancel_set(&top);
    assert_true(cancel_is_set(&middle));

    cancel_finish(&leaf);
    cancel_finish(&middle);
    cancel_finish(&top);
}

static void descriptor__of_a_child_wakes_for_every_ancestor(void **state)
{
    (void)state;
    struct cancel top, middle, leaf;
    cancel_init(&top, NULL, true);
    cancel_init(&middle, &top, true);
    assert_int_equal(cancel_init(&leaf, &middle, true), 0);
    assert_false(is_readable(cancel_fd(&leaf)));

    cancel_set(&top);

    assert_true(is_readable(cancel_fd(&leaf)));
    assert_true(is_readable(cancel_fd(&middle)));
    cancel_finish(&leaf);
    cancel_finish(&middle);
    cancel_finish(&top);
}

static void descriptor__of_a_parent_is_silent_for_its_child(void **state)
{
    (void)state;
    struct cancel top, leaf;
    cancel_init(&top, NULL, true);
    cancel_init(&leaf, &top, true);

    cancel_set(&leaf);

    assert_true(is_readable(cancel_fd(&leaf)));
    assert_false(is_readable(cancel_fd(&top)));
    cancel_finish(&leaf);
    cancel_finish(&top);
}

static void complete__wants_a_descriptor_at_every_step(void **state)
{
    (void)state;
    struct cancel top, middle, leaf;
    cancel_init(&top, NULL, true);
    cancel_init(&middle, &top, false);
    cancel_init(&leaf, &middle, true);

    assert_true(cancel_fd_is_complete(&top));
    assert_false(cancel_fd_is_complete(&middle));
    assert_false(cancel_fd_is_complete(&leaf));
    cancel_finish(&leaf);
    cancel_finish(&middle);
    cancel_finish(&top);
}

static void init__says_why_there_is_no_descriptor(void **state)
{
    (void)state;
    struct rlimit before, none;
    struct cancel top, leaf;
    cancel_init(&top, NULL, true);
    int n = count_fds();
    int lowest_free = dup(cancel_fd(&top));
    close(lowest_free);
    getrlimit(RLIMIT_NOFILE, &before);

    /* One place left for the eventfd, none for the epoll instance. */
    for (rlim_t spare = 0; spare < 2; spare++) {
        none = (struct rlimit){(rlim_t)lowest_free + spare, before.rlim_max};
        setrlimit(RLIMIT_NOFILE, &none);
        int rc = cancel_init(&leaf, &top, true);
        setrlimit(RLIMIT_NOFILE, &before);
        assert_int_equal(rc, -EMFILE);
        assert_int_equal(cancel_fd(&leaf), cancel_fd(&top));
        assert_int_equal(count_fds(), n);
        cancel_finish(&leaf);
    }
    cancel_finish(&top);
}

static void finish__gives_all_descriptors_back(void **state)
{
    (void)state;
    int before = count_fds();
    struct cancel top, leaf;
    cancel_init(&top, NULL, true);
    cancel_init(&leaf, &top, true);

    cancel_finish(&leaf);
    cancel_finish(&leaf);
    cancel_finish(&top);

    assert_int_equal(count_fds(), before);
}

static struct cancel from_handler;

static void handle(int number)
{
    (void)number;
    cancel_set(&from_handler);
}

static void set__works_from_a_signal_handler(void **state)
{
    (void)state;
    struct sigaction action = {.sa_handler = handle}, before;
    cancel_init(&from_handler, NULL, true);
    sigaction(SIGUSR1, &action, &before);

    errno = E2BIG;
    raise(SIGUSR1);

    assert_int_equal(errno, E2BIG);
    assert_true(is_readable(cancel_fd(&from_handler)));
    sigaction(SIGUSR1, &before, NULL);
    cancel_finish(&from_handler);
}

static void *set_it(void *arg)
{
    cancel_set(arg);
    return NULL;
}

static void set__from_several_threads_at_once(void **state)
{
    (void)state;
    struct cancel c;
    pthread_t threads[4];
    cancel_init(&c, NULL, true);

    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, set_it, &c);
    struct pollfd p = {.fd = cancel_fd(&c), .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(cancel_is_set(&c));
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cancel_finish(&c);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(set__is_seen_by_flag_and_descriptor),
        cmocka_unit_test(set__in_a_forked_child_is_silent_for_its_parent),
        cmocka_unit_test(null__is_never_set),
        cmocka_unit_test(parent__sets_its_children_and_not_the_reverse),
        cmocka_unit_test(descriptor__of_a_child_wakes_for_every_ancestor),
        cmocka_unit_test(descriptor__of_a_parent_is_silent_for_its_child),
        cmocka_unit_test(complete__wants_a_descriptor_at_every_step),
        cmocka_unit_test(init__says_why_there_is_no_descriptor),
        cmocka_unit_test(finish__gives_all_descriptors_back),
        cmocka_unit_test(set__works_from_a_signal_handler),
        cmocka_unit_test(set__from_several_threads_at_once),
    };
    return cmocka_run_group_tests_name("runtime.cancel", tests, NULL, NULL);
}
