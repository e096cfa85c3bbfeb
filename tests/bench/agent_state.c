/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream that looks like the state of an AI agent, the same on every machine:
 *
 *     bench_agent_state BYTES [SEED] > FILE
 *
 * One JSON document: a list of turns, each of them one of
 *
 *     about of bytes   what                         how it compresses
 *     45 %             conversation: sentences of   well: words repeat, with
 *                      words drawn by Zipf's law    few long matches
 *     25 %             tool calls and results:      very well: keys repeat,
 *                      nested JSON, paths, ids      ids and numbers do not
 *     20 %             embeddings: lists of floats  badly: digits are noise
 *     10 %             attachments: base64 of       hardly: 6 bits in 8
 *                      random bytes
 *
 * The document is cut at BYTES, closed or not: snapshots are bytes.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS = 20000, WORD_MAX = 16, TURN_MAX = 1 << 20 };

struct stream {
    uint64_t seed;
    uint64_t left;  /* bytes still to be written */
    uint64_t turn;  /* number of turns so far */
    uint64_t clock; /* ms since the epoch */
    size_t len;
    char text[TURN_MAX];
};

static char words[WORDS][WORD_MAX];

/* xorshift64*: nothing here needs better, everything needs the same. */
static uint64_t draw(struct stream *s)
{
    s->seed ^= s->seed >> 12;
    s->seed ^= s->seed << 25;
    s->seed ^= s->seed >> 27;
    return s->seed * UINT64_C(2685821657736338717);
}

static uint32_t below(struct stream *s, uint32_t n)
{
    return (uint32_t)((draw(s) >> 32) * n >> 32);
}

static void put(struct stream *s, const char *text)
{
    size_t len = strlen(text);

    if (len > TURN_MAX - s->len)
        len = TURN_MAX - s->len;
    memcpy(s->text + s->len, text, len);
    s->len += len;
}

static void put_number(struct stream *s, uint64_t n)
{
    char text[24];

    (void)snprintf(text, sizeof text, "%" PRIu64, n);
    put(s, text);
}

static void put_hex(struct stream *s, unsigned digits)
{
    char text[2] = {0};

    while (digits--) {
        text[0] = "0123456789abcdef"[below(s, 16)];
        put(s, text);
    }
}

/* Syllables, so that words share beginnings and ends as real ones do. */
static void make_words(struct stream *s)
{
    static const char *const first[] = {"re",  "con", "de", "in", "pro", "ex",
                                        "un",  "dis", "a",  "st", "tr",  "com",
                                        "per", "th",  "wh", "s"};
    static const char *const middle[] = {"ta", "ne", "ri", "co", "mu", "la",
                                         "ve", "si", "e",  "o",  "i",  "pa"};
    static const char *const last[] = {"tion", "ing", "ed",  "er", "s",  "ly",
                                       "ment", "al",  "ive", "e",  "nt", "st"};

    for (unsigned i = 0; i < WORDS; i++)
        (void)snprintf(words[i], WORD_MAX, "%s%s%s%s", first[below(s, 16)],
                       i < 100 ? "" : middle[below(s, 12)],
                       i < 2000 ? "" : middle[below(s, 12)],
                       last[below(s, 12)]);
}

/* Rank r with a probability of about 1/r: the logarithm of the rank is
 * uniform. */
static const char *word(struct stream *s)
{
    uint32_t bits = below(s, 15);
    uint32_t rank = (1U << bits) - 1 + below(s, 1U << bits);

    return words[rank % WORDS];
}

static void put_sentences(struct stream *s, unsigned n)
{
    while (n--) {
        for (unsigned i = 6 + below(s, 14); i > 0; i--) {
            put(s, word(s));
            put(s, i > 1 ? (below(s, 9) ? " " : ", ") : ". ");
        }
        if (below(s, 6) == 0)
            put(s, "\\n\\n");
    }
}

static void put_head(struct stream *s, const char *role)
{
    s->clock += 200 + below(s, 60000);
    put(s, s->turn ? ",\n{\"turn\":" : "{\"turn\":");
    put_number(s, s->turn++);
    put(s, ",\"id\":\"msg_");
    put_hex(s, 24);
    put(s, "\",\"created_at_ms\":");
    put_number(s, s->clock);
    put(s, ",\"role\":\"");
    put(s, role);
    put(s, "\",");
}

static void put_message(struct stream *s)
{
    put_head(s, below(s, 2) ? "assistant" : "user");
    put(s, "\"content\":[{\"type\":\"text\",\"text\":\"");
    put_sentences(s, 3 + below(s, 20));
    put(s, "\"}],\"usage\":{\"input_tokens\":");
    put_number(s, below(s, 90000));
    put(s, ",\"output_tokens\":");
    put_number(s, below(s, 2000));
    put(s, "}}");
}

static void put_path(struct stream *s)
{
    static const char *const dirs[] = {"src", "lib", "tests", "docs", "pkg"};
    static const char *const ends[] = {".py", ".c", ".ts", ".md", ".json"};

    put(s, "/home/agent/project/");
    put(s, dirs[below(s, 5)]);
    put(s, "/");
    put(s, words[below(s, 400)]);
    put(s, "_");
    put(s, words[below(s, 100)]);
    put(s, ends[below(s, 5)]);
}

static void put_tool_call(struct stream *s)
{
    static const char *const tools[] = {"read_file", "grep", "run_command",
                                        "http_get", "list_directory"};

    put_head(s, "tool");
    put(s, "\"tool_calls\":[{\"id\":\"call_");
    put_hex(s, 24);
    put(s, "\",\"type\":\"function\",\"function\":{\"name\":\"");
    put(s, tools[below(s, 5)]);
    put(s, "\",\"arguments\":{\"path\":\"");
    put_path(s);
    put(s, "\",\"recursive\":false,\"max_results\":");
    put_number(s, 10 * (1 + below(s, 20)));
    put(s, "}},\"result\":{\"status\":\"ok\",\"exit_code\":0,\"matches\":[");
    for (unsigned i = below(s, 24); i > 0; i--) {
        put(s, "{\"file\":\"");
        put_path(s);
        put(s, "\",\"line\":");
        put_number(s, 1 + below(s, 2000));
        put(s, ",\"sha\":\"");
        put_hex(s, 8);
        put(s, "\",\"text\":\"    return self._");
        put(s, word(s));
        put(s, "(request, timeout=");
        put_number(s, below(s, 60));
        put(s, i > 1 ? ")\"}," : ")\"}");
    }
    put(s, "],\"duration_ms\":");
    put_number(s, below(s, 3000));
    put(s, "}}]}");
}

static void put_embedding(struct stream *s)
{
    char text[24];

    put_head(s, "memory");
    put(s, "\"embedding\":[");
    for (unsigned i = 0; i < 384; i++) {
        (void)snprintf(text, sizeof text, "%s%s0.%07" PRIu32, i ? "," : "",
                       below(s, 2) ? "-" : "", below(s, 1000000));
        put(s, text);
    }
    put(s, "]}");
}

static void put_attachment(struct stream *s)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char text[5] = {0};

    put_head(s, "user");
    put(s, "\"content\":[{\"type\":\"image\",\"media_type\":\"image/png\","
           "\"data\":\"");
    for (unsigned i = 1000 + below(s, 6000); i > 0; i--) {
        uint64_t bits = draw(s) >> 40;

        for (unsigned j = 0; j < 4; j++)
            text[j] = digits[bits >> 6 * j & 63];
        put(s, text);
    }
    put(s, "\"}]}");
}

/* Turns differ in length, so the shares of turns are not those of bytes. */
static void put_turn(struct stream *s)
{
    uint32_t kind = below(s, 1000);

    if (kind < 643)
        put_message(s);
    else if (kind < 893)
        put_tool_call(s);
    else if (kind < 988)
        put_embedding(s);
    else
        put_attachment(s);
}

static int flush(struct stream *s)
{
    size_t len = s->len < s->left ? s->len : (size_t)s->left;

    if (fwrite(s->text, 1, len, stdout) != len)
        return -1;
    s->left -= len;
    s->len = 0;
    return 0;
}

int main(int argc, char **argv)
{
    static struct stream s;

    if (argc < 2 || argc > 3) {
        (void)fprintf(stderr, "usage: %s BYTES [SEED] > FILE\n", argv[0]);
        return 2;
    }
    s.left = strtoull(argv[1], NULL, 10);
    s.seed = argc > 2 ? strtoull(argv[2], NULL, 10) + 1 : 1;
    s.seed *= UINT64_C(0x9e3779b97f4a7c15);
    s.clock = UINT64_C(1764000000000);
    make_words(&s);
    put(&s, "{\"agent_id\":\"planner\",\"turns\":[\n");
    while (s.left > 0) {
        put_turn(&s);
        if (flush(&s))
            return 1;
    }
    return fflush(stdout) ? 1 : 0;
}
