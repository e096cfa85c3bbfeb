/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signal handlers.  They set a flag and call persist_interrupt, which is
 * async-signal-safe; nothing else happens in them.
 */
#include "cli/signals.h"

#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/time.h>

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { N_STOP = sizeof(stop_signals) / sizeof(stop_signals[0]) };

static _Atomic(struct persist *) watched;
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t timed_out;
static volatile sig_atomic_t installed[N_STOP];

static void on_stop(int number)
{
    (void)number;
    interrupted = 1;
    persist_interrupt(atomic_load(&watched));
    /* Whoever asks twice does not want to wait. */
    for (int i = 0; i < N_STOP; i++) {
        if (installed[i])
            signal(stop_signals[i], SIG_DFL);
    }
}

static void on_deadline(int number)
{
    (void)number;
    timed_out = 1;
    persist_interrupt(atomic_load(&watched));
}

void signals_install(void)
{
    struct sigaction action = {.sa_handler = SIG_IGN};
    struct sigaction old;

    sigemptyset(&action.sa_mask);
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL); /* of ulimit -f: the write says EFBIG */
    /* No SA_RESTART: a read that waits for a person returns. */
    action.sa_handler = on_stop;
    for (int i = 0; i < N_STOP; i++)
        sigaddset(&action.sa_mask, stop_signals[i]);
    for (int i = 0; i < N_STOP; i++) {
        if (sigaction(stop_signals[i], NULL, &old) == 0 &&
            old.sa_handler != SIG_IGN) {
            installed[i] = 1;
            sigaction(stop_signals[i], &action, NULL);
        }
    }
}

void signals_watch(struct persist *p)
{
    atomic_store(&watched, p);
    if (interrupted || timed_out)
        persist_interrupt(p);
}

bool signals_interrupted(void)
{
    return interrupted;
}

void signals_deadline(uint64_t timeout_ms)
{
    struct sigaction action = {.sa_handler = on_deadline};
    struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(timeout_ms / 1000),
                     .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)}};

    sigemptyset(&action.sa_mask);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

bool signals_timed_out(void)
{
    return timed_out;
}
