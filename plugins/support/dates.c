/* SPDX-License-Identifier: Apache-2.0 */
/* The calendar by arithmetic: no time zone data, no locale, no struct tm. */
#include "support/dates.h"

#include <stdio.h>
#include <string.h>

#define US_PER_S INT64_C(1000000)

struct clock_time {
    int year, month, day, hour, minute, second; /* month and day from 1 */
};

static bool leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    return days[month - 1] + (month == 2 && leap(year) ? 1 : 0);
}

/* Days of the years from 1 to year - 1. */
static int64_t days_before(int year)
{
    int64_t y = year - 1;

    return y * 365 + y / 4 - y / 100 + y / 400;
}

static bool to_us(const struct clock_time *t, int64_t *out_us)
{
    int64_t days;

    if (t->year < 1970 || t->month < 1 || t->month > 12 || t->day < 1 ||
        t->day > month_days(t->year, t->month) || t->hour > 23 ||
        t->minute > 59 || t->second > 60)
        return false;
    days = days_before(t->year) - days_before(1970) + t->day - 1;
    for (int month = 1; month < t->month; month++)
        days += month_days(t->year, month);
    *out_us = (((days * 24 + t->hour) * 60 + t->minute) * 60 +
               (t->second < 60 ? t->second : 59)) *
              US_PER_S;
    return true;
}

static void from_us(int64_t us, struct clock_time *t)
{
    int64_t seconds = us > 0 ? us / US_PER_S : 0, days = seconds / 86400;

    *t = (struct clock_time){.year = 1970, .month = 1};
    t->hour = (int)(seconds / 3600 % 24);
    t->minute = (int)(seconds / 60 % 60);
    t->second = (int)(seconds % 60);
    while (t->year < 9999 && days >= (leap(t->year) ? 366 : 365))
        days -= leap(t->year++) ? 366 : 365;
    while (t->month < 12 && days >= month_days(t->year, t->month))
        days -= month_days(t->year, t->month++);
    t->day = (int)days + 1;
}

/* Exactly n digits from *at on. */
static bool digits(const char **at, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (**at - '0');
    }
    return true;
}

static bool one_of(const char **at, const char *set)
{
    if (**at == '\0' || strchr(set, **at) == NULL)
        return false;
    (*at)++;
    return true;
}

/* ---------------------------------------------------------------- RFC 3339 */

static int64_t fraction(const char **at)
{
    int64_t us = 0, unit = US_PER_S / 10;

    for (; **at >= '0' && **at <= '9'; (*at)++, unit /= 10)
        us += (**at - '0') * unit;
    return us;
}

/* Microseconds east of UTC. */
static bool zone(const char **at, int64_t *out_us)
{
    bool west = **at == '-';
    int hours, minutes;

    *out_us = 0;
    if (one_of(at, "Zz"))
        return true;
    if (!one_of(at, "+-") || !digits(at, 2, &hours))
        return false;
    (void)one_of(at, ":");
    if (!digits(at, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *out_us = ((int64_t)hours * 60 + minutes) * 60 * US_PER_S * (west ? -1 : 1);
    return true;
}

bool date_parse_rfc3339(const char *s, int64_t *out_us)
{
    struct clock_time t = {0};
    int64_t us, part = 0, east;

    if (!digits(&s, 4, &t.year) || !one_of(&s, "-") ||
        !digits(&s, 2, &t.month) || !one_of(&s, "-") ||
        !digits(&s, 2, &t.day) || !one_of(&s, "Tt ") ||
        !digits(&s, 2, &t.hour) || !one_of(&s, ":") ||
        !digits(&s, 2, &t.minute) || !one_of(&s, ":") ||
        !digits(&s, 2, &t.second))
        return false;
    if (one_of(&s, ".")) {
        if (*s < '0' || *s > '9')
            return false;
        part = fraction(&s);
    }
    if (!zone(&s, &east) || *s != '\0' || !to_us(&t, &us))
        return false;
    *out_us = us + part - east;
    return *out_us >= 0;
}

/* -------------------------------------------------------------------- HTTP */

static bool name3(const char **at, const char *names, int *out)
{
    *out = 1;
    for (; *names != '\0'; names += 3, (*out)++)
        if (strncmp(*at, names, 3) == 0) {
            *at += 3;
            return true;
        }
    return false;
}

bool date_parse_http(const char *s, int64_t *out_us)
{
    struct clock_time t = {0};
    int weekday;

    return name3(&s, "MonTueWedThuFriSatSun", &weekday) && one_of(&s, ",") &&
           one_of(&s, " ") && digits(&s, 2, &t.day) && one_of(&s, " ") &&
           name3(&s, "JanFebMarAprMayJunJulAugSepOctNovDec", &t.month) &&
           one_of(&s, " ") && digits(&s, 4, &t.year) && one_of(&s, " ") &&
           digits(&s, 2, &t.hour) && one_of(&s, ":") &&
           digits(&s, 2, &t.minute) && one_of(&s, ":") &&
           digits(&s, 2, &t.second) && strcmp(s, " GMT") == 0 &&
           to_us(&t, out_us);
}

/* ----------------------------------------------------------------- writing */

void date_format_basic(int64_t us, char out[17])
{
    struct clock_time t;
    char text[64];

    from_us(us, &t);
    (void)snprintf(text, sizeof(text), "%04d%02d%02dT%02d%02d%02dZ", t.year,
                   t.month, t.day, t.hour, t.minute, t.second);
    memcpy(out, text, 16);
    out[16] = '\0';
}

void date_format_rfc3339(int64_t us, char out[21])
{
    struct clock_time t;
    char text[64];

    from_us(us, &t);
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02dZ", t.year,
                   t.month, t.day, t.hour, t.minute, t.second);
    memcpy(out, text, 20);
    out[20] = '\0';
}
