/* civil.h - calendar arithmetic shared by the time texts of base/: days, dates, months. Pure. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct qn_civil {
    int year, month, day;         /* 1-based */
    int hour, minute, second, ms; /* second 60 is a leap second */
};

int64_t qn_civil_days(int year, int month, int day); /* since 1970-01-01 */
void qn_civil_date(int64_t days, int *year, int *month, int *day);
int qn_civil_month_days(int year, int month);
bool qn_civil_valid(const struct qn_civil *civil);
int64_t qn_civil_ms(const struct qn_civil *civil); /* of a valid one; a leap second is :59.999 */
