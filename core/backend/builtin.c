/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled-in backend directory, in a file of its own so that a test can
 * link another one in its place.
 */
#include "backend/registry.h"

const char *plugin_builtin_dir(void)
{
    return PERSIST_BACKEND_DIR;
}
