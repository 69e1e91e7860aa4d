/* scan.h - reading fixed little grammars (times, durations) from left to right. Header only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct qn_scan {
    const char *text;
    size_t size, at;
};

static inline bool qn_scan_end(const struct qn_scan *s)
{
    return s->at == s->size;
}

static inline bool qn_scan_byte(struct qn_scan *s, char byte)
{
    if (s->at >= s->size || s->text[s->at] != byte) return false;
    s->at++;
    return true;
}

static inline bool qn_scan_digit(const struct qn_scan *s)
{
    return s->at < s->size && s->text[s->at] >= '0' && s->text[s->at] <= '9';
}

/* Exactly `digits` digits. */
static inline bool qn_scan_number(struct qn_scan *s, int digits, int *out)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        if (!qn_scan_digit(s)) return false;
        value = value * 10 + (s->text[s->at++] - '0');
    }
    *out = value;
    return true;
}

/* One or more digits, at most 15. */
static inline bool qn_scan_count(struct qn_scan *s, int64_t *out)
{
    int64_t value = 0;
    size_t first = s->at;
    while (qn_scan_digit(s)) {
        if (s->at - first >= 15) return false;
        value = value * 10 + (s->text[s->at++] - '0');
    }
    *out = value;
    return s->at > first;
}

/* Digits after the point: milliseconds, the rest floored. */
static inline bool qn_scan_fraction(struct qn_scan *s, int *ms)
{
    int value = 0, digits = 0;
    while (qn_scan_digit(s)) {
        if (digits < 3) value = value * 10 + (s->text[s->at] - '0');
        digits++;
        s->at++;
    }
    for (int i = digits; i < 3; i++) value *= 10;
    *ms = value;
    return digits > 0;
}
