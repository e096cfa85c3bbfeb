/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of verbs, in the order help shows them, and the names that later
 * releases will fill.
 */
#include "cli/verbs.h"

#include "cli/cli.h"

const struct verb *const cli_verbs[] = {
    &verb_save,   &verb_restore, &verb_list,    &verb_show,     &verb_verify,
    &verb_delete, &verb_import,  &verb_cleanup, &verb_backends, &verb_doctor,
    &verb_config, &verb_metrics, &verb_version, &verb_help,     NULL,
};

const char *const cli_reserved_verbs[] = {"prune", "copy", NULL};
