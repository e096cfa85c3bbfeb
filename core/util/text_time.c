/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3339 times and UUIDv7, by arithmetic of our own: gmtime and timegm know
 * leap years too, but strptime knows the locale and time_t may be 32 bits.
 */
#include "util/text.h"

#include <string.h>

#define US_PER_S INT64_C(1000000)
#define US_PER_DAY (INT64_C(86400) * US_PER_S)

/* Days since 1970-01-01 of a civil date.  Years are counted from March, so that
 * the leap day is the last one; 400 years are 146,097 days. */
static int64_t days_from_civil(int year, int month, int day)
{
    int64_t y = year - (month <= 2) + 400; /* keeps year 0 positive */
    int64_t era = y / 400;
    int64_t of_era = y % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return (era - 1) * 146097 + of_era * 365 + of_era / 4 - of_era / 100 +
           of_year - 719468;
}

static void civil_from_days(int64_t days, int *year, int *month, int *day)
{
    int64_t z = days + 719468 + 146097;
    int64_t era = z / 146097 - 1;
    int64_t of_era = z % 146097;
    int64_t y =
        (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
    int64_t mp = (5 * of_year + 2) / 153;
    *day = (int)(of_year - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(y + era * 400 + (*month <= 2));
}

void text_from_time(int64_t unix_us, char out[TEXT_TIME_LEN])
{
    if (unix_us < TEXT_TIME_MIN_US)
        unix_us = TEXT_TIME_MIN_US;
    if (unix_us > TEXT_TIME_MAX_US)
        unix_us = TEXT_TIME_MAX_US;
    int64_t days = unix_us / US_PER_DAY;
    int64_t rest = unix_us % US_PER_DAY;
    if (rest < 0) {
        rest += US_PER_DAY;
        days--;
    }
    int year, month, day;
    civil_from_days(days, &year, &month, &day);
    unsigned seconds = (unsigned)(rest / US_PER_S);
    /* Not printf: every snapshot tells and checks some times. */
    out = text_put_digits(out, (unsigned)year, 4, '-');
    out = text_put_digits(out, (unsigned)month, 2, '-');
    out = text_put_digits(out, (unsigned)day, 2, 'T');
    out = text_put_digits(out, seconds / 3600, 2, ':');
    out = text_put_digits(out, seconds / 60 % 60, 2, ':');
    out = text_put_digits(out, seconds % 60, 2, '.');
    out = text_put_digits(out, (unsigned)(rest % US_PER_S), 6, 'Z');
    *out = '\0';
}

/* Exactly n digits at *p, which moves behind them. */
static bool read_number(const char **p, int n, int least, int most, int *out)
{
    int value = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (!text_is_digit(**p))
            return false;
        value = value * 10 + (**p - '0');
    }
    *out = value;
    return value >= least && value <= most;
}

static bool read_char(const char **p, char c, char or_c)
{
    if (**p != c && **p != or_c)
        return false;
    (*p)++;
    return true;
}

static int days_in_month(int year, int month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static bool read_date(const char **p, int64_t *out_days)
{
    int year, month, day;
    if (!read_number(p, 4, 0, 9999, &year) || !read_char(p, '-', '-') ||
        !read_number(p, 2, 1, 12, &month) || !read_char(p, '-', '-') ||
        !read_number(p, 2, 1, days_in_month(year, month), &day))
        return false;
    *out_days = days_from_civil(year, month, day);
    return true;
}

static bool read_clock(const char **p, int64_t *out_us)
{
    int hour, minute, second;
    if (!read_number(p, 2, 0, 23, &hour) || !read_char(p, ':', ':') ||
        !read_number(p, 2, 0, 59, &minute) || !read_char(p, ':', ':') ||
        !read_number(p, 2, 0, 60, &second))
        return false;
    /* A leap second ends an hour somewhere; it becomes the second after it. */
    if (second == 60 && minute != 59)
        return false;
    int seconds = hour * 3600 + minute * 60 + second;
    int64_t us = seconds * US_PER_S;
    if (**p == '.') {
        const char *first = ++*p;
        for (int64_t unit = US_PER_S / 10; text_is_digit(**p); (*p)++) {
            us += unit * (**p - '0');
            unit /= 10;
        }
        if (*p == first)
            return false;
    }
    *out_us = us;
    return true;
}

static bool read_offset(const char **p, int64_t *out_us)
{
    int hour, minute;
    *out_us = 0;
    if (read_char(p, 'Z', 'z'))
        return true;
    int64_t sign = **p == '-' ? -1 : 1;
    if (!read_char(p, '+', '-') || !read_number(p, 2, 0, 23, &hour) ||
        !read_char(p, ':', ':') || !read_number(p, 2, 0, 59, &minute))
        return false;
    int seconds = hour * 3600 + minute * 60;
    *out_us = sign * seconds * US_PER_S;
    return true;
}

bool text_to_time(const char *text, int64_t *out_unix_us)
{
    int64_t days, clock_us, offset_us;
    if (!read_date(&text, &days) || !read_char(&text, 'T', 't') ||
        !read_clock(&text, &clock_us) || !read_offset(&text, &offset_us) ||
        *text)
        return false;
    int64_t us = days * US_PER_DAY + clock_us - offset_us;
    if (us < TEXT_TIME_MIN_US || us > TEXT_TIME_MAX_US)
        return false;
    *out_unix_us = us;
    return true;
}

void text_uuid7(int64_t unix_us, const uint8_t random[10],
                char out[TEXT_UUID_LEN])
{
    static const uint8_t groups[] = {4, 2, 2, 2, 6};
    uint64_t ms = unix_us < 0 ? 0 : (uint64_t)unix_us / 1000;
    uint8_t id[16];

    for (int i = 0; i < 6; i++)
        id[i] = (uint8_t)(ms >> (8 * (5 - i)));
    memcpy(id + 6, random, 10);
    id[6] = (uint8_t)(0x70 | (id[6] & 0x0f)); /* version 7 */
    id[8] = (uint8_t)(0x80 | (id[8] & 0x3f)); /* variant 10 */

    const uint8_t *p = id;
    for (size_t g = 0; g < sizeof(groups); g++) {
        if (g > 0)
            *out++ = '-';
        text_to_hex(p, groups[g], out);
        p += groups[g];
        out += 2 * (size_t)groups[g];
    }
}

bool text_is_uuid(const char *text)
{
    for (int i = 0; i < TEXT_UUID_LEN - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool hex = text_is_digit(text[i]) || (text[i] >= 'a' && text[i] <= 'f');
        if (dash ? text[i] != '-' : !hex)
            return false;
    }
    return text[TEXT_UUID_LEN - 1] == '\0';
}
