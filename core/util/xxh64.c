/* SPDX-License-Identifier: Apache-2.0 */
/* Four sums side by side over stripes of 32 bytes; see the specification. */
#include "util/xxh64.h"

#include <string.h>

#include "util/le.h"

#define P1 XXH64_PRIME_1
#define P2 XXH64_PRIME_2
#define P3 UINT64_C(0x165667B19E3779F9)
#define P4 UINT64_C(0x85EBCA77C2B2AE63)
#define P5 UINT64_C(0x27D4EB2F165667C5)
#define STRIPE XXH64_STRIPE

static uint64_t rotate(uint64_t v, int by)
{
    return (v << by) | (v >> (64 - by));
}

void xxh64_init(struct xxh64 *x)
{
    *x = (struct xxh64){.lanes = {P1 + P2, P2, 0, UINT64_C(0) - P1}};
}

static void stripes(struct xxh64 *x, const uint8_t *p, size_t n)
{
    uint64_t a = x->lanes[0], b = x->lanes[1], c = x->lanes[2], d = x->lanes[3];

    for (; n > 0; n--, p += STRIPE) {
        a = xxh64_round(a, le_get64(p));
        b = xxh64_round(b, le_get64(p + 8));
        c = xxh64_round(c, le_get64(p + 16));
        d = xxh64_round(d, le_get64(p + 24));
    }
    x->lanes[0] = a;
    x->lanes[1] = b;
    x->lanes[2] = c;
    x->lanes[3] = d;
}

void xxh64_update(struct xxh64 *x, const void *data, size_t len)
{
    const uint8_t *p = data;
    size_t held = x->len % STRIPE;

    x->len += len;
    if (held) {
        size_t n = STRIPE - held < len ? STRIPE - held : len;

        memcpy(x->rest + held, p, n);
        if (held + n < STRIPE)
            return;
        stripes(x, x->rest, 1);
        p += n;
        len -= n;
    }
    stripes(x, p, len / STRIPE);
    if (len % STRIPE)
        memcpy(x->rest, p + len / STRIPE * STRIPE, len % STRIPE);
}

static uint64_t merge(uint64_t sum, uint64_t lane)
{
    return (sum ^ xxh64_round(0, lane)) * P1 + P4;
}

static uint64_t add_rest(uint64_t sum, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8)
        sum = rotate(sum ^ xxh64_round(0, le_get64(p)), 27) * P1 + P4;
    if (len >= 4) {
        sum = rotate(sum ^ le_get32(p) * P1, 23) * P2 + P3;
        p += 4;
        len -= 4;
    }
    for (; len > 0; p++, len--)
        sum = rotate(sum ^ *p * P5, 11) * P1;
    return sum;
}

uint64_t xxh64_digest(const struct xxh64 *x)
{
    const uint64_t *l = x->lanes;
    uint64_t sum = P5;

    if (x->len >= STRIPE) {
        sum = rotate(l[0], 1) + rotate(l[1], 7) + rotate(l[2], 12) +
              rotate(l[3], 18);
        for (int i = 0; i < 4; i++)
            sum = merge(sum, l[i]);
    }
    sum = add_rest(sum + x->len, x->rest, x->len % STRIPE);
    sum = (sum ^ sum >> 33) * P2;
    sum = (sum ^ sum >> 29) * P3;
    return sum ^ sum >> 32;
}
