/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests: a world of variables, files, programs and servers that a test
 * writes down, and a host with a clock that stands still.
 *
 *     world_reset();
 *     world_variable("AWS_PROFILE", "dev");
 *     world_file("/home/u/.aws/config", "[profile dev]\n...");
 *     world_answer("POST https://sts.eu-central-1.amazonaws.com/", 200, xml);
 *     assert_int_equal(world_get(), PERSIST_BACKEND_OK);
 *     assert_string_equal(world.keys.access_key_id, "AKIA...");
 */
#ifndef PERSIST_S3_CREDENTIALS_TESTKIT_H
#define PERSIST_S3_CREDENTIALS_TESTKIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#undef fail /* support/fail.h has the name */

#include "s3/credentials.h"
#include "s3/credentials/env.h"

#define WORLD_MAX 64
/* 2026-01-15T12:00:00Z, as the vectors have it. */
#define WORLD_NOW_US INT64_C(1768478400000000)

struct world {
    struct {
        char name[64], value[4096];
    } variables[WORLD_MAX], secrets[4];
    struct {
        char path[256], text[16384];
        uint32_t uid, mode;
    } files[8];
    /* Answers in the order they are to be given; `request` is "METHOD URL". */
    struct {
        char request[512], body[16384], header[128];
        int32_t status; /* 0: the transport fails with `code` */
        int32_t code;
        bool used;
        bool keep; /* for any number of requests */
    } answers[16];
    /* What was asked, and with which headers (lines) and body. */
    struct {
        char request[2048], headers[20480], body[32768];
        bool no_proxy;
        uint32_t timeout_ms;
    } asked[16];
    size_t n_asked;
    char ran[1024];     /* words joined by "|" */
    char printed[4096]; /* what the program prints */
    int32_t run_code;
    char findings[8192], logged[4096];
    atomic_int fetch_delay_ms;
    atomic_int n_fetches;
    atomic_llong now_us;
    struct s3_credentials_options options;
    struct s3_credentials_provider *provider;
    struct s3_credentials keys;
    struct persist_backend_error err;
};
extern struct world world;
extern const struct persist_backend_host world_host;

/* Empty, HOME=/home/u, the clock at WORLD_NOW_US; frees the provider. */
void world_reset(void);
void world_variable(const char *name, const char *value);
void world_secret(const char *key, const char *value);
/* Mode 0600 and ours; again with the same path: other content. */
void world_file(const char *path, const char *text);
void world_file_mode(const char *path, uint32_t uid, uint32_t mode);
const char *world_text_of(const char *path);
void world_answer(const char *request, int32_t status, const char *body);
void world_fails(const char *request, int32_t code);
/* Of the answer that was added last. */
void world_header(const char *line);
void world_keep(void);
/* Creates the provider at first, then s3_credentials_get into world.keys. */
int32_t world_get(void);
int32_t world_describe(void);

/* world_get fails with that code and a message that has the text; every secret
 * the world holds ("S3CRET" in it) stays out of the message. */
void world_expect(int32_t code, const char *message);
/* world_get is OK and gives these. */
void world_expect_keys(const char *id, const char *secret, const char *token);

/* STS's answer with the keys ASIA..., for `action`. */
const char *world_sts(const char *action, const char *id,
                      const char *expiration);
/* A JSON as containers and instances give it. */
const char *world_handed(const char *id, const char *expiration);

#endif
