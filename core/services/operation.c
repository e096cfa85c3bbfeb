/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the public calls, for metrics, spans and the log. */
#include "services/metrics.h"

const char *metrics_operation_name(enum metrics_operation operation)
{
    static const char *const names[N_OPERATIONS] = {
        "save",   "restore", "show",    "verify", "exists",
        "delete", "list",    "cleanup", "import", "doctor"};

    return names[operation];
}
