/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a progress bar looks like.  Pure text: no clock, no terminal.
 *
 *     save w  45% [====>     ] 115.2 MiB of 256.0 MiB  98.3 MiB/s  ETA 0:01
 */
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>

#include "cli/table.h"
#include "util/text.h"

enum { BAR_MIN = 10, BAR_MAX = 40, SMOOTHING_MS = 3000 };

static void format_time(uint64_t ms, char out[16])
{
    uint64_t s = ms / 1000;

    if (s >= UINT64_C(360000)) /* a hundred hours */
        memcpy(out, "--:--", 6);
    else if (s >= 3600)
        snprintf(out, 16, "%u:%02u:%02u", (unsigned)(s / 3600),
                 (unsigned)(s / 60 % 60), (unsigned)(s % 60));
    else
        snprintf(out, 16, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

static void format_rate(uint64_t rate, char out[24])
{
    char size[16] = "--";

    if (rate > 0)
        text_from_size(rate, size);
    snprintf(out, 24, "%s/s", size);
}

/* done * 100 / total without overflow, never 100 before the end. */
static unsigned percent(uint64_t done, uint64_t total)
{
    if (done >= total)
        return 100;
    return total >= 100 && done > UINT64_MAX / 100
               ? (unsigned)(done / (total / 100))
               : (unsigned)(done * 100 / total);
}

static void format_unknown(const struct progress_state *s, char *out)
{
    char done[16], rate[24], spent[16];

    text_from_size(s->done, done);
    format_rate(s->rate, rate);
    format_time(s->elapsed_ms, spent);
    snprintf(out, PROGRESS_LINE_MAX, "%s  %s  %s  %s", s->label, done, rate,
             spent);
}

static void format_known(const struct progress_state *s, size_t width,
                         char *out)
{
    char done[16], total[16], rate[24], left[16] = "--:--";
    char tail[128], bar[BAR_MAX + 3];
    unsigned share = percent(s->done, s->total);

    text_from_size(s->done, done);
    text_from_size(s->total, total);
    format_rate(s->rate, rate);
    if (s->done >= s->total)
        format_time(0, left);
    else if (s->rate > 0)
        format_time((s->total - s->done) / s->rate * 1000, left);
    snprintf(tail, sizeof(tail), " %s of %s  %s  ETA %s", done, total, rate,
             left);

    size_t fixed = table_text_width(s->label) + strlen(tail) + 8;
    size_t room = width > fixed ? width - fixed : 0;
    size_t cells = room > BAR_MAX ? BAR_MAX : room;
    bar[0] = '\0';
    if (cells >= BAR_MIN) {
        size_t full = cells * share / 100;
        memset(bar, ' ', cells + 2);
        bar[0] = '[';
        memset(bar + 1, '=', full);
        if (full < cells)
            bar[1 + full] = '>';
        bar[cells + 1] = ']';
        bar[cells + 2] = '\0';
    }
    snprintf(out, PROGRESS_LINE_MAX, "%s %3u%% %s%s", s->label, share, bar,
             tail);
}

/* Cuts at a character. */
static void cut(char *text, size_t width)
{
    size_t n = 0;

    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) != 0x80 && n++ == width) {
            *text = '\0';
            return;
        }
    }
}

void progress_format(const struct progress_state *state, size_t width,
                     char out[PROGRESS_LINE_MAX])
{
    if (state->total > 0)
        format_known(state, width, out);
    else
        format_unknown(state, out);
    cut(out, width);
}

void progress_rate_add(struct progress_rate *rate, uint64_t now_ms,
                       uint64_t done)
{
    uint64_t elapsed = now_ms > rate->at_ms ? now_ms - rate->at_ms : 0;

    if (elapsed == 0)
        return;
    uint64_t bytes = done > rate->done ? done - rate->done : 0;
    uint64_t current =
        bytes > UINT64_MAX / 1000 ? bytes : bytes * 1000 / elapsed;
    if (rate->rate == 0 || elapsed >= SMOOTHING_MS)
        rate->rate = current;
    else
        rate->rate =
            (rate->rate * (SMOOTHING_MS - elapsed) + current * elapsed) /
            SMOOTHING_MS;
    rate->done = done;
    rate->at_ms = now_ms;
}
