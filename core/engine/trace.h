/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the spans of an instance go: a callback of the program, a file, both,
 * or neither; and the trace that the environment says it is part of.
 */
#ifndef PERSIST_ENGINE_TRACE_H
#define PERSIST_ENGINE_TRACE_H

#include "engine/instance.h"

/* Part of making and freeing an instance.  CONFIG where the configuration asks
 * for what this build cannot do; UNSUPPORTED for the options likewise. */
int engine_trace_create(struct persist *p, const struct persist_options *o,
                        struct persist_error *err);
void engine_trace_destroy(struct persist *p);

/* Begins the trace of a call: as part of what its op was given, or what the
 * environment gave. */
void engine_trace_begin(struct engine_call *call);

#endif
