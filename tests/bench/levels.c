/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each zstd level costs on a file, cut into frames as a snapshot is, as a
 * table for docs/performance.md:
 *
 *     bench_levels FILE
 *
 * Reads at most 128 MiB of it. Seconds are CPU time of one thread for 256 MiB
 * of payload, the least of three runs (one from level 5 on); both ways include
 * the frame's own checksum. Negative levels are what zstd calls --fast=N; "ldm"
 * is its long-distance matching.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zstd.h>

enum { FRAME = 4 << 20, READ_MAX = 128 << 20 };

struct cost {
    double share, encode_s, decode_s;
};

static unsigned char *payload, *frame, *back;
static size_t payload_len, frame_cap;

static double cpu_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t check(size_t result)
{
    if (!ZSTD_isError(result))
        return result;
    (void)fprintf(stderr, "levels: %s\n", ZSTD_getErrorName(result));
    exit(1);
}

static struct cost run(ZSTD_CCtx *c)
{
    struct cost cost = {0};
    size_t stored = 0;

    for (size_t at = 0; at < payload_len; at += FRAME) {
        size_t len = payload_len - at < FRAME ? payload_len - at : FRAME;
        double before = cpu_s();
        size_t n =
            check(ZSTD_compress2(c, frame, frame_cap, payload + at, len));
        double between = cpu_s();

        check(ZSTD_decompress(back, FRAME, frame, n));
        cost.encode_s += between - before;
        cost.decode_s += cpu_s() - between;
        stored += n;
    }
    cost.share = (double)stored / (double)payload_len;
    return cost;
}

static struct cost measure(int level, int long_distance)
{
    struct cost least = {0};

    for (int i = 0; i < (level > 4 ? 1 : 3); i++) {
        ZSTD_CCtx *c = ZSTD_createCCtx();
        struct cost cost;

        check(ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level));
        check(ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1));
        check(ZSTD_CCtx_setParameter(c, ZSTD_c_enableLongDistanceMatching,
                                     long_distance));
        cost = run(c);
        ZSTD_freeCCtx(c);
        if (i == 0 || cost.encode_s < least.encode_s)
            least.encode_s = cost.encode_s;
        if (i == 0 || cost.decode_s < least.decode_s)
            least.decode_s = cost.decode_s;
        least.share = cost.share;
    }
    return least;
}

static void report(int level, int long_distance)
{
    struct cost c = measure(level, long_distance);
    double scale = (double)(256 << 20) / (double)payload_len;

    (void)printf("| %d%s | %.1f %% | %.2f s | %.2f s |\n", level,
                 long_distance ? " ldm" : "", c.share * 100, c.encode_s * scale,
                 c.decode_s * scale);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const int levels[] = {-5, -3, -1, 1, 2, 3, 4, 5, 6, 9};
    FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;

    if (!f) {
        (void)fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    frame_cap = ZSTD_compressBound(FRAME);
    payload = malloc(READ_MAX);
    frame = malloc(frame_cap);
    back = malloc(FRAME);
    if (!payload || !frame || !back)
        return 1;
    payload_len = fread(payload, 1, READ_MAX, f);
    (void)fclose(f);
    if (payload_len == 0)
        return 1;
    (void)printf("| level | stored | save, CPU | restore, CPU |\n"
                 "|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        report(levels[i], 0);
        if (levels[i] == 1 || levels[i] == 3)
            report(levels[i], 1);
    }
    free(payload);
    free(frame);
    free(back);
    return 0;
}
