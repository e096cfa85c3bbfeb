/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers of an instance on their way out: rendered for whoever asks, or
 * added to a file that many short-lived processes share.
 *
 * A build without PERSIST_METRICS has the same functions; what was asked for is
 * then UNSUPPORTED.
 */
#ifndef PERSIST_ENGINE_METRICS_H
#define PERSIST_ENGINE_METRICS_H

#include "engine/instance.h"

/* Part of making and freeing an instance.  CONFIG where the configuration asks
 * for what this build cannot do. */
int engine_metrics_create(struct persist *p, struct persist_error *err);
void engine_metrics_destroy(struct persist *p);

/*
 * metrics_file.c: the file at path, which need not be there, as a set.  CORRUPT
 * where it holds what Persist did not write; nothing is changed.
 */
int engine_metrics_file_read(const char *path, struct metrics_set *out,
                             struct persist_error *err);
/*
 * Adds a set to the file, atomically and under a lock, so that no count of
 * another process is lost.  A damaged file is set aside as PATH.damaged with a
 * warning.  TIMEOUT where the lock is not to be had within 10 s.
 */
int engine_metrics_file_add(struct persist *p, const char *path,
                            const struct metrics_set *set,
                            struct persist_error *err);

#endif
