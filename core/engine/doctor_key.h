/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doctor's object: "persist-doctor-" and 16 hex digits.  It has no folder,
 * so it is never an agent; cleanup knows one that was left behind by its name.
 */
#ifndef PERSIST_ENGINE_DOCTOR_KEY_H
#define PERSIST_ENGINE_DOCTOR_KEY_H

#include <stdbool.h>

#include "util/clock.h"

#define DOCTOR_KEY_CAP 40

/* 0 or -errno. */
int doctor_key(const struct clock *clock, char out[DOCTOR_KEY_CAP]);
bool doctor_is_key(const char *key);

#endif
