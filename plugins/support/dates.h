/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points in time as services write them.  Times are microseconds since
 * 1970-01-01T00:00:00Z; years 1970 to 9999; no leap seconds (:60 is read as
 * :59).  Independent of locale and time zone.
 */
#ifndef PERSIST_SUPPORT_DATES_H
#define PERSIST_SUPPORT_DATES_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339: "2026-01-15T12:00:00.123Z", any number of decimals (further ones
 * than six are dropped), "+01:00", lower case, "+0000" as AWS writes it. */
bool date_parse_rfc3339(const char *s, int64_t *out_us);
/* RFC 9110: "Fri, 24 May 2013 00:00:00 GMT"; of the obsolete forms none. */
bool date_parse_http(const char *s, int64_t *out_us);

/* "20130524T000000Z"; the first 8 characters are the date. */
void date_format_basic(int64_t us, char out[17]);
/* "2013-05-24T00:00:00Z" */
void date_format_rfc3339(int64_t us, char out[21]);

#endif
