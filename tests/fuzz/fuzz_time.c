/* Any text as an instant, a relative time, a duration, an HTTP date: what is taken lies in the calendar, and what is
 * written of it reads back as the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/time.h"

#define NOW   INT64_C(1709294400000)
#define FIRST INT64_C(-62135596800000)
#define LAST  INT64_C(253402300799999)

#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "broken: %s\n", #condition);                                                               \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static void check_instant(int64_t ms)
{
    char text[QN_TIME_TEXT_SIZE];
    int64_t again;
    must(ms >= FIRST && ms <= LAST);
    qn_time_format(ms, 3, text);
    must(qn_time_parse(text, strlen(text), &again, NULL, NULL) == 0 && again == ms);
    qn_time_format(ms, 0, text);
    must(qn_time_parse(text, strlen(text), &again, NULL, NULL) == 0 && again == qn_time_floor(ms, 1000));
}

static void check_refusal(int rc, const struct qn_err *err, size_t size)
{
    must((rc == QN_ESYNTAX || rc == QN_ERANGE) && err->code == rc && err->offset <= size && err->text[0]);
}

static void check_duration(const char *text, size_t size)
{
    struct qn_duration d, again;
    struct qn_err err;
    char back[QN_TIME_TEXT_SIZE];
    int rc = qn_duration_parse(text, size, &d, &err);
    if (rc < 0) {
        check_refusal(rc, &err, size);
        return;
    }
    must(d.months >= 0 && d.days >= 0 && d.ms >= 0 && (d.months || d.days || d.ms));
    qn_duration_format(&d, back);
    /* hours beyond the bound of a count are written, but not read */
    if (d.ms < INT64_C(3600000000000000) && d.days <= 1000000000) {
        must(qn_duration_parse(back, strlen(back), &again, NULL) == 0);
        must(again.months == d.months && again.days == d.days && again.ms == d.ms);
    }
    int64_t later, earlier;
    if (qn_time_add(NOW, &d, 1, &later) == 0) {
        must(later > NOW);
        check_instant(later);
    }
    if (qn_time_add(NOW, &d, -3, &earlier) == 0) {
        must(earlier < NOW);
        check_instant(earlier);
    }
    qn_time_add(NOW, &d, INT64_MAX, &later);
    qn_time_add(NOW, &d, INT64_MIN, &later);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct qn_err err;
    int64_t ms, resolved;
    bool given;
    int rc = qn_time_parse(text, size, &ms, NULL, &err);
    if (rc == 0) {
        check_instant(ms);
        must(qn_time_resolve(text, size, NOW, &resolved, &given, NULL) == 0 && given && resolved == ms);
    } else {
        check_refusal(rc, &err, size);
    }
    rc = qn_time_resolve(text, size, NOW, &resolved, &given, &err);
    if (rc == 0)
        check_instant(resolved);
    else
        check_refusal(rc, &err, size);
    if (qn_time_parse_http(text, size, NOW, &ms) == 0) check_instant(ms);
    check_duration(text, size);
    return 0;
}
