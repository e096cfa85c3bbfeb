/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verbs: each is one file and one of these.
 */
#ifndef PERSIST_CLI_VERBS_H
#define PERSIST_CLI_VERBS_H

#include "cli/args.h"

extern const struct verb verb_save;
extern const struct verb verb_restore;
extern const struct verb verb_list;
extern const struct verb verb_show;
extern const struct verb verb_verify;
extern const struct verb verb_delete;
extern const struct verb verb_import;
extern const struct verb verb_cleanup;
extern const struct verb verb_backends;
extern const struct verb verb_doctor;
extern const struct verb verb_config;
extern const struct verb verb_metrics;
extern const struct verb verb_version;
extern const struct verb verb_help;

#endif
