/* SPDX-License-Identifier: Apache-2.0 */
/* Making and knowing the doctor's names; see doctor_key.h. */
#include "engine/doctor_key.h"

#include <string.h>

#include "util/text.h"

#define PREFIX "persist-doctor-"
#define PREFIX_LEN (sizeof PREFIX - 1)
#define RANDOM_LEN 8

int doctor_key(const struct clock *clock, char out[DOCTOR_KEY_CAP])
{
    unsigned char random[RANDOM_LEN];
    int rc = clock->random(clock->ctx, random, sizeof random);

    if (rc)
        return rc;
    memcpy(out, PREFIX, PREFIX_LEN);
    text_to_hex(random, sizeof random, out + PREFIX_LEN);
    return 0;
}

bool doctor_is_key(const char *key)
{
    unsigned char bytes[RANDOM_LEN];

    return strncmp(key, PREFIX, PREFIX_LEN) == 0 &&
           strlen(key) == PREFIX_LEN + sizeof bytes * 2 &&
           text_from_hex(key + PREFIX_LEN, sizeof bytes * 2, bytes);
}
