/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zstd frames: content size and XXH64 always, never a dictionary.  A context is
 * made once and used for every frame.  Decoding is in one step into the
 * caller's room, so a frame can never need more memory than it says; the window
 * is limited all the same, for readers that stream.
 */
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "format/codec_impl.h"
#include "format/zstd_frame.h"

#define LEVEL_MAX 19
/* log2 of FRAME_SIZE_MAX */
#define WINDOW_LOG_MAX 24
/* A payload is stored as it is where none of its samples compresses and what
 * some of them begin with does not come again.  Not where it is short; nor at
 * levels whose user wants every match found whatever it costs. */
#define NOISE_MIN ((size_t)512 << 10)
#define NOISE_LEVEL_MAX 4
#define SAMPLES ((size_t)8)
#define SAMPLE_LEN ((size_t)8 << 10)
#define REPEATED_LEN ((size_t)32)
#define STEP ((size_t)256)
#define WORD_BITS ((size_t)16384)
/* What a decoding context takes, measured with 1.5.4 (96 KiB), and some. */
#define DECODER_MEMORY (UINT32_C(160) << 10)

/* KiB of a compression context by level and frame size (64 KiB, 256 KiB, 1, 4,
 * 16 MiB), measured with 1.5.4.  The library's own estimate is not in its
 * stable API.  codec_test.c compares. */
static const uint32_t memory_kib[LEVEL_MAX][5] = {
    {297, 569, 569, 569, 569},         {393, 633, 761, 761, 761},
    {649, 1017, 1273, 1273, 1273},     {1033, 1273, 2553, 2553, 2553},
    {1033, 2041, 3577, 3577, 3577},    {1033, 3577, 3577, 3577, 3577},
    {1033, 3577, 6649, 6649, 6649},    {1033, 3577, 6649, 6649, 6649},
    {1033, 3577, 12793, 12793, 12793}, {1033, 3577, 12793, 25082, 25082},
    {1289, 3577, 12793, 25082, 25082}, {1289, 4601, 12793, 49658, 49658},
    {1435, 3723, 16889, 33273, 33273}, {1750, 4352, 16889, 49658, 49658},
    {1750, 4352, 16889, 66042, 66042}, {1750, 5376, 17035, 33419, 33419},
    {1750, 5376, 17035, 49803, 49803}, {1750, 5376, 17664, 50432, 50432},
    {1750, 5376, 17664, 50432, 83200},
};

static size_t zstd_encoder_memory(int level, uint32_t frame_size)
{
    size_t column = 0;
    for (uint64_t size = FRAME_SIZE_MIN; size < frame_size; size *= 4)
        column++;
    size_t kib = memory_kib[level - 1][column];
    return (kib + kib / 8) << 10; /* an eighth for other versions */
}

static size_t zstd_decoder_memory(void)
{
    return DECODER_MEMORY;
}

static size_t zstd_bound(size_t payload_len)
{
    return ZSTD_compressBound(payload_len);
}

static void zstd_encoder_destroy(void *state)
{
    ZSTD_freeCCtx(state);
}

static void *zstd_encoder_create(int level)
{
    static const struct {
        ZSTD_cParameter name;
        int value;
    } fixed[] = {
        {ZSTD_c_contentSizeFlag, 1},
        {ZSTD_c_checksumFlag, 1},
        {ZSTD_c_dictIDFlag, 0},
    };
    ZSTD_CCtx *c = ZSTD_createCCtx();
    if (!c)
        return NULL;
    size_t rc = ZSTD_CCtx_setParameter(c, ZSTD_c_compressionLevel, level);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        if (!ZSTD_isError(rc))
            rc = ZSTD_CCtx_setParameter(c, fixed[i].name, fixed[i].value);
    }
    if (ZSTD_isError(rc)) {
        ZSTD_freeCCtx(c);
        return NULL;
    }
    return c;
}

/* Memory is memory; everything else is `status`. */
static int failure(size_t result, int status, const char *what,
                   struct persist_error *err)
{
    if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
        return error_memory(err);
    return error_set(err, status, "%s: %s", what, ZSTD_getErrorName(result));
}

static const uint8_t *sample(const uint8_t *payload, size_t len, size_t i)
{
    return payload + (len - SAMPLE_LEN) / (SAMPLES - 1) * i;
}

/* How far apart zstd finds matches: the window of its first levels. */
static size_t window(int level)
{
    static const size_t kib[NOISE_LEVEL_MAX] = {512, 1024, 2048, 2048};

    return kib[level - 1] << 10;
}

/* The words of eight bytes at STEP places in a row.  Where the same bytes come
 * again one of them stands at a place that is looked at, which is one in STEP,
 * whatever the distance. */
struct words {
    const uint8_t *at;
    uint64_t seen[WORD_BITS / 64]; /* by hash */
};

static uint64_t word_at(const uint8_t *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof word);
    return word;
}

/* The words are of noise: any bits of them will do. */
static size_t hash_of(uint64_t word)
{
    return (size_t)(word % WORD_BITS);
}

static void note_words(struct words *w, const uint8_t *at)
{
    *w = (struct words){.at = at};
    for (size_t i = 0; i < STEP; i++) {
        size_t hash = hash_of(word_at(at + i));

        w->seen[hash / 64] |= UINT64_C(1) << hash % 64;
    }
}

/* Whether what stands at p stands at one of the words, too. */
static bool is_one(const struct words *w, const uint8_t *p)
{
    uint64_t word = word_at(p);

    for (size_t i = 0; i < STEP; i++)
        if (word_at(w->at + i) == word &&
            memcmp(w->at + i, p, REPEATED_LEN) == 0)
            return true;
    return false;
}

static bool is_within(const uint8_t *at, size_t len, const struct words *w)
{
    for (size_t i = 0; i + REPEATED_LEN <= len; i += STEP) {
        size_t hash = hash_of(word_at(at + i));

        if ((w->seen[hash / 64] >> hash % 64 & 1) && is_one(w, at + i))
            return true;
    }
    return false;
}

/* Noise that comes twice compresses, and no sample of it does.  Every other one
 * is enough; what comes again is longer than STEP + REPEATED_LEN. */
static bool comes_again(int level, const uint8_t *payload, size_t len)
{
    for (size_t i = 0; i < SAMPLES - 1; i += 2) {
        const uint8_t *what = sample(payload, len, i);
        const uint8_t *behind = what + STEP + REPEATED_LEN;
        size_t left = (size_t)(payload + len - behind);
        size_t n = left < window(level) ? left : window(level);
        struct words words;

        note_words(&words, what);
        if (is_within(behind, n, &words))
            return true;
    }
    return false;
}

/* Looks at samples all over the payload.  zstd gives up on a block where it
 * would gain less than a 64th, so that a sample of noise comes out longer than
 * it went in; the first that does not ends the search, which for a payload
 * that compresses costs next to nothing. */
static bool zstd_is_noise(void *state, int level, const void *payload,
                          size_t len, void *out, size_t cap)
{
    if (len < NOISE_MIN || level > NOISE_LEVEL_MAX)
        return false;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t n = ZSTD_compress2(state, out, cap, sample(payload, len, i),
                                  SAMPLE_LEN);

        if (ZSTD_isError(n) || n < SAMPLE_LEN)
            return false;
    }
    return !comes_again(level, payload, len);
}

static int zstd_encode(void *state, const void *payload, size_t len, void *out,
                       size_t cap, size_t *out_len, struct persist_error *err)
{
    size_t n = ZSTD_compress2(state, out, cap, payload, len);
    if (ZSTD_isError(n))
        return failure(n, PERSIST_E_INTERNAL, "zstd cannot compress", err);
    *out_len = n;
    return PERSIST_OK;
}

static void zstd_decoder_destroy(void *state)
{
    ZSTD_freeDCtx(state);
}

static void *zstd_decoder_create(void)
{
    ZSTD_DCtx *d = ZSTD_createDCtx();
    if (d && ZSTD_isError(ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax,
                                                 WINDOW_LOG_MAX))) {
        ZSTD_freeDCtx(d);
        d = NULL;
    }
    return d;
}

/* One whole frame and nothing else: the library would go on to a second one,
 * and skip a skippable one. */
static int check_frame(const void *frame, size_t len, size_t max,
                       size_t *out_size, struct persist_error *err)
{
    struct zstd_walk walk = {0};
    size_t frame_len = 0;
    int rc = zstd_walk(&walk, frame, len, &frame_len, err);
    if (rc < 0)
        return rc;
    if (rc == 1)
        return error_set(err, PERSIST_E_CORRUPT, "the zstd frame is cut short");
    if (frame_len != len)
        return error_set(err, PERSIST_E_CORRUPT,
                         "%zu bytes follow the zstd frame", len - frame_len);
    if (walk.content_size > max)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the zstd frame says it holds %llu bytes where at "
                         "most %zu may be",
                         (unsigned long long)walk.content_size, max);
    *out_size = (size_t)walk.content_size;
    return PERSIST_OK;
}

static int zstd_decode(void *state, const void *frame, size_t len, void *out,
                       size_t max, size_t *out_len, struct persist_error *err)
{
    size_t size = 0;
    int rc = check_frame(frame, len, max, &size, err);
    if (rc)
        return rc;
    size_t n = ZSTD_decompressDCtx(state, out, size, frame, len);
    if (ZSTD_isError(n))
        return failure(n, PERSIST_E_CORRUPT, "the zstd frame is damaged", err);
    if (n != size)
        return error_set(err, PERSIST_E_CORRUPT,
                         "the zstd frame holds %zu bytes, not the %zu it says",
                         n, size);
    *out_len = n;
    return PERSIST_OK;
}

const struct codec_ops codec_zstd = {
    .name = "zstd",
    .level_min = 1,
    .level_max = LEVEL_MAX,
    .level_default = 1, /* measured: docs/performance.md */
    .encoder_memory = zstd_encoder_memory,
    .decoder_memory = zstd_decoder_memory,
    .bound = zstd_bound,
    .encoder_create = zstd_encoder_create,
    .encoder_destroy = zstd_encoder_destroy,
    .is_noise = zstd_is_noise,
    .encode = zstd_encode,
    .decoder_create = zstd_decoder_create,
    .decoder_destroy = zstd_decoder_destroy,
    .decode = zstd_decode,
};
