/* SPDX-License-Identifier: Apache-2.0 */
/* States and answers only; requests are session.c's. */
#include "gcs/resumable.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gcs/gcs.h"

static enum resumable_step ask(struct resumable *r)
{
    r->known = false;
    r->asked = true;
    return RESUMABLE_ASK;
}

/* From what the service holds. */
static enum resumable_step decide(struct resumable *r,
                                  const struct resumable_errand *e)
{
    r->asked = false;
    if (r->held < e->start)
        return RESUMABLE_LOST;
    if (e->final)
        return r->held > e->end ? RESUMABLE_EXCESS : RESUMABLE_SEND;
    /* More than this errand's end is fine: an earlier process got further. */
    return r->held >= e->end ? RESUMABLE_HELD : RESUMABLE_SEND;
}

enum resumable_step resumable_begin(struct resumable *r,
                                    const struct resumable_errand *e)
{
    r->after_data = false;
    return r->known ? decide(r, e) : ask(r);
}

/* "bytes=0-E": E + 1 bytes.  The service counts from 0 always. */
static bool parse_range(const char *range, uint64_t *out_held)
{
    uint64_t end = 0;
    size_t digits = 0;

    if (strncmp(range, "bytes=0-", 8) != 0)
        return false;
    for (range += 8; *range >= '0' && *range <= '9'; range++, digits++)
        end = end * 10 + (uint64_t)(*range - '0');
    *out_held = end + 1;
    return digits > 0 && digits <= 18 && *range == '\0';
}

static enum resumable_step answer_to_question(struct resumable *r,
                                              const struct resumable_errand *e,
                                              const char *range)
{
    uint64_t held = 0;

    if (range != NULL && !parse_range(range, &held))
        return RESUMABLE_GARBLED;
    r->held = held;
    r->known = true;
    if (r->after_data && held <= r->held_then && held >= e->start)
        return RESUMABLE_STALLED;
    return decide(r, e);
}

static enum resumable_step answer_to_data(struct resumable *r,
                                          const struct resumable_errand *e,
                                          const char *range)
{
    uint64_t before = r->held, held;

    if (range == NULL) {
        r->after_data = true;
        r->held_then = before;
        return ask(r);
    }
    if (!parse_range(range, &held)) {
        r->known = false;
        return RESUMABLE_GARBLED;
    }
    if (held > e->end) {
        r->known = false;
        return RESUMABLE_EXCESS;
    }
    r->held = held;
    if (held <= before && held >= e->start)
        return RESUMABLE_STALLED;
    return decide(r, e);
}

enum resumable_step resumable_answer(struct resumable *r,
                                     const struct resumable_errand *e,
                                     int32_t status, const char *range)
{
    if (status == 308)
        return r->asked ? answer_to_question(r, e, range)
                        : answer_to_data(r, e, range);
    r->known = false;
    if (status == 200 || status == 201)
        return RESUMABLE_OBJECT;
    if (status == 404 || status == 410 || status == 499)
        return RESUMABLE_GONE;
    return RESUMABLE_REFUSED;
}

void resumable_no_answer(struct resumable *r)
{
    r->known = false;
}

void resumable_content_range(const struct resumable *r,
                             const struct resumable_errand *e,
                             char out[RESUMABLE_RANGE_MAX])
{
    if (r->asked)
        (void)snprintf(out, RESUMABLE_RANGE_MAX, "bytes */*");
    else if (!e->final)
        (void)snprintf(out, RESUMABLE_RANGE_MAX,
                       "bytes %" PRIu64 "-%" PRIu64 "/*", r->held, e->end - 1);
    else if (r->held == e->end)
        (void)snprintf(out, RESUMABLE_RANGE_MAX, "bytes */%" PRIu64, e->end);
    else
        (void)snprintf(out, RESUMABLE_RANGE_MAX,
                       "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, r->held,
                       e->end - 1, e->end);
}

uint64_t resumable_tail_start(uint64_t size)
{
    return size == 0 ? 0 : (size - 1) / GCS_CHUNK_ALIGN * GCS_CHUNK_ALIGN;
}
