/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of what a user may set.  docs/s3.md describes each; a test holds
 * the two together.
 */
#include "s3.h"

static const char *const addressing[] = {"auto", "path", "virtual", NULL};
static const char *const modes[] = {"auto", "always", "never", NULL};
static const char *const encryption[] = {"AES256", "aws:kms", "aws:kms:dsse",
                                         NULL};
static const char *const lock_modes[] = {"GOVERNANCE", "COMPLIANCE", NULL};

#define OPTION(name, kind, text)                                               \
    .key = (name), .type = (kind), .help = (text), .since = "0.2.0"
#define TEXT(name, text) OPTION(name, PERSIST_BACKEND_STRING, text)
#define FLAG(name, text)                                                       \
    OPTION(name, PERSIST_BACKEND_BOOL, text), .default_text = "false"
#define CHOICE(name, all, text)                                                \
    OPTION(name, PERSIST_BACKEND_CHOICE, text), .choices = (all)
#define RANGE(least, most)                                                     \
    .min = (least), .max = (most),                                             \
    .flags = PERSIST_BACKEND_HAS_MIN | PERSIST_BACKEND_HAS_MAX

const struct persist_backend_option s3_options[S3_N_OPTIONS] = {
    [S3_BUCKET] = {TEXT("bucket", "The bucket"),
                   .flags = PERSIST_BACKEND_REQUIRED},
    [S3_PREFIX] = {TEXT("prefix",
                        "The folder of the bucket that holds the store")},
    [S3_REGION] = {TEXT("region", "The bucket's region (else AWS_REGION, the "
                                  "profile's, us-east-1)")},
    [S3_ENDPOINT] = {OPTION("endpoint", PERSIST_BACKEND_URL,
                            "URL of a service that is not Amazon's (else "
                            "AWS_ENDPOINT_URL_S3, the profile's)")},
    [S3_ADDRESSING] = {CHOICE("addressing", addressing,
                              "The bucket's place in a URL: in the host name "
                              "(virtual) or in front of the key (path)"),
                       .default_text = "auto"},
    [S3_ACCESS_KEY_ID] = {TEXT("access_key_id",
                               "Access key (else the environment, a profile, "
                               "the machine's role)")},
    [S3_SECRET_ACCESS_KEY] = {OPTION("secret_access_key",
                                     PERSIST_BACKEND_SECRET,
                                     "Secret of access_key_id")},
    [S3_SESSION_TOKEN] = {OPTION("session_token", PERSIST_BACKEND_SECRET,
                                 "Session token of a temporary "
                                 "access_key_id")},
    [S3_PROFILE] = {TEXT("profile", "Profile of the shared AWS configuration "
                                    "to take credentials from")},
    [S3_SSE] = {CHOICE("sse", encryption,
                       "Encryption by the service (not given: as the bucket "
                       "says)")},
    [S3_KMS_KEY_ID] = {TEXT("kms_key_id", "Key for sse = aws:kms (not given: "
                                          "the account's)")},
    [S3_BUCKET_KEY] = {FLAG("bucket_key", "With sse = aws:kms: a key per "
                                          "bucket, fewer requests to KMS")},
    [S3_STORAGE_CLASS] = {TEXT("storage_class",
                               "Storage class of new objects: STANDARD_IA, "
                               "GLACIER_IR and others")},
    [S3_LOCK_MODE] = {CHOICE("lock_mode", lock_modes,
                             "Object lock of new objects, with lock_days")},
    [S3_LOCK_DAYS] = {OPTION("lock_days", PERSIST_BACKEND_INT,
                             "For how many days object lock holds"),
                      RANGE(1, 36500)},
    [S3_REQUEST_PAYER] = {FLAG("request_payer",
                               "Pay for requests to somebody else's bucket")},
    [S3_TAGS] = {OPTION("tags", PERSIST_BACKEND_LIST,
                        "Tags of new objects: name=value, name=value")},
    [S3_BUCKET_OWNER] = {TEXT("expected_bucket_owner",
                              "Account id the bucket must belong to")},
    [S3_PART_SIZE] = {OPTION("part_size", PERSIST_BACKEND_SIZE,
                             "Size of an upload's parts (not given: as the "
                             "object asks for)"),
                      RANGE((int64_t)S3_PART_MIN, (int64_t)S3_PART_MAX)},
    [S3_PARALLEL] = {OPTION("parallel", PERSIST_BACKEND_INT,
                            "Parts of one upload in flight at a time"),
                     .default_text = "16", RANGE(1, 64)},
    [S3_CHECKSUM] = {CHOICE("checksum", modes,
                            "CRC-32C headers: auto finds out what another "
                            "service takes"),
                     .default_text = "auto"},
    [S3_SIGN_PAYLOAD] = {CHOICE("sign_payload", modes,
                                "SHA-256 of object data in the signature: "
                                "auto is with http only"),
                         .default_text = "auto"},
    [S3_CA_BUNDLE] = {OPTION("ca_bundle", PERSIST_BACKEND_PATH,
                             "File of accepted certificate authorities (else "
                             "AWS_CA_BUNDLE)")},
    [S3_PROXY] = {TEXT("proxy", "Proxy URL, or none (else https_proxy and "
                                "no_proxy)")},
    [S3_CONNECT_TIMEOUT] = {OPTION("connect_timeout", PERSIST_BACKEND_DURATION,
                                   "Limit for making one connection"),
                            .default_text = "5s", RANGE(1, 600000)},
    [S3_STALL_TIMEOUT] = {OPTION("stall_timeout", PERSIST_BACKEND_DURATION,
                                 "How long a transfer may stand still"),
                          .default_text = "30s", RANGE(100, 3600000)},
    [S3_ALLOW_HTTP] = {FLAG("allow_http",
                            "Allow an http:// endpoint on another machine")},
};
