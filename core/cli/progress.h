/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bar with rate and time left for work that takes long.
 *
 * A small thread with all signals blocked looks at the operation ten times a
 * second and draws; it appears after half a second and is gone when the work
 * is.  Where nobody looks (no terminal, --quiet, --progress never) neither
 * thread nor operation is made.  --progress always without a terminal prints
 * plain lines, one a second and one at the end.
 */
#ifndef PERSIST_CLI_PROGRESS_H
#define PERSIST_CLI_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/cli.h"

/* What a bar shows. */
struct progress_state {
    const char *label;
    uint64_t done;  /* bytes */
    uint64_t total; /* 0: not known */
    uint64_t elapsed_ms;
    uint64_t rate; /* bytes a second; 0: not known yet */
};

/* One line of at most width characters: label, share, bar, bytes, rate, time
 * left (or spent, where the total is not known). */
#define PROGRESS_LINE_MAX 512
void progress_format(const struct progress_state *state, size_t width,
                     char out[PROGRESS_LINE_MAX]);

/* Smooths the rate over some seconds. */
struct progress_rate {
    uint64_t done;
    uint64_t at_ms;
    uint64_t rate;
};
void progress_rate_add(struct progress_rate *rate, uint64_t now_ms,
                       uint64_t done);

struct progress {
    bool running;
    bool terminal;
    bool at_once; /* --progress always */
    bool stop;    /* under mutex */
    char label[160];
    uint64_t begun_ms;
    struct progress_rate rate;
    struct persist_op *op;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
};

/*
 * Starts watching; progress->op goes into the options of the call (it is NULL
 * where nothing is watched).  verb and object make the label.  data_to_stdout:
 * the payload goes to standard output; a bar would run into it on a terminal.
 * Never fails: without a bar the work is done all the same.
 */
void progress_begin(struct progress *progress, struct cli *cli,
                    const char *object, bool data_to_stdout);
void progress_end(struct progress *progress);

#endif
