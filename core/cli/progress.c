/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that draws progress.  How a bar looks is progress_format.c's, who
 * else writes to the terminal is console.c's.
 */
#include "cli/progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/console.h"
#include "posix/os.h"
#include "util/text.h"

enum { TICK_MS = 100, PLAIN_TICK_MS = 1000, DELAY_MS = 500 };

static uint64_t now_ms(void)
{
    return os_monotonic_ns() / 1000000;
}

static void draw(struct progress *p)
{
    struct persist_progress seen = PERSIST_PROGRESS_INIT;
    struct progress_state state = {.label = p->label};
    char line[PROGRESS_LINE_MAX];
    uint64_t now = now_ms();

    persist_op_progress(p->op, &seen);
    progress_rate_add(&p->rate, now, seen.payload_bytes);
    state.done = seen.payload_bytes;
    state.total = seen.payload_total;
    state.elapsed_ms = now - p->begun_ms;
    state.rate = p->rate.rate;
    progress_format(&state, p->terminal ? console_width() - 1 : 200, line);
    if (p->terminal)
        console_bar(line);
    else
        console_line(line, strlen(line));
}

/* True when the work ended meanwhile. */
static bool wait_tick(struct progress *p, uint64_t ms)
{
    uint64_t until_ns = os_monotonic_ns() + ms * 1000000;

    pthread_mutex_lock(&p->mutex);
    int rc = 0;
    while (!p->stop && rc == 0)
        rc = os_cond_wait_until(&p->wake, &p->mutex, until_ns);
    bool stop = p->stop;
    pthread_mutex_unlock(&p->mutex);
    return stop;
}

static void *tick(void *arg)
{
    struct progress *p = arg;
    uint64_t every = p->terminal ? TICK_MS : PLAIN_TICK_MS;

    if (!p->at_once && wait_tick(p, DELAY_MS))
        return NULL;
    do {
        draw(p);
    } while (!wait_tick(p, every));
    return NULL;
}

static bool is_wanted(const struct progress *p, const struct cli *cli,
                      bool data_to_stdout)
{
    const struct arg_value *when = &cli->args.global[GLOBAL_PROGRESS];

    if (when->count > 0 && when->number != PROGRESS_AUTO)
        return when->number == PROGRESS_ALWAYS;
    return p->terminal && !cli->quiet &&
           !(data_to_stdout && isatty(STDOUT_FILENO) == 1);
}

static bool start_thread(struct progress *p)
{
    sigset_t all, old;

    pthread_mutex_init(&p->mutex, NULL);
    os_cond_init(&p->wake);
    /* Signals belong to the thread that works. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&p->thread, NULL, tick, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return rc == 0;
}

static void set_label(struct progress *p, const char *verb, const char *object)
{
    struct buf label;

    buf_init(&label, 4096);
    buf_printf(&label, "%s ", verb);
    text_escape(&label, object, strlen(object));
    if (!buf_failed(&label))
        snprintf(p->label, sizeof(p->label), "%.48s", label.data);
    buf_finish(&label);
}

void progress_begin(struct progress *progress, struct cli *cli,
                    const char *object, bool data_to_stdout)
{
    memset(progress, 0, sizeof(*progress));
    progress->terminal = console_is_terminal();
    if (!is_wanted(progress, cli, data_to_stdout))
        return;
    progress->at_once =
        cli->args.global[GLOBAL_PROGRESS].number == PROGRESS_ALWAYS;
    if (persist_op_create(cli->p, &progress->op, NULL) != PERSIST_OK)
        return;
    set_label(progress, cli->args.verb->name, object);
    progress->begun_ms = now_ms();
    progress->rate.at_ms = progress->begun_ms;
    progress->running = start_thread(progress);
}

void progress_end(struct progress *progress)
{
    if (progress->running) {
        pthread_mutex_lock(&progress->mutex);
        progress->stop = true;
        pthread_cond_signal(&progress->wake);
        pthread_mutex_unlock(&progress->mutex);
        pthread_join(progress->thread, NULL);
        if (progress->terminal)
            console_clear();
        else
            draw(progress);
    }
    persist_op_destroy(progress->op);
    progress->op = NULL;
    progress->running = false;
}
