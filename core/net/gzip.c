#include "net/gzip.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/compress.h"

struct qn_bytes *qn_gzip(const struct qn_bytes *body)
{
    struct qn_bytes *packed = NULL;
    struct qn_buf out;

    qn_buf_init(&out, QN_BUF_NO_CAP);
    if (qn_compress(QN_COMPRESSION_GZIP, qn_bytes_data(body), qn_bytes_size(body), &out, NULL) == 0)
        packed = qn_bytes_take(&out);
    qn_buf_free(&out);
    return packed;
}

/* Is the weight of ";q=0", in any of its spellings? The text ends at the next comma. */
static bool refused(const char *parameters)
{
    const char *weight = strstr(parameters, "q=");
    const char *end = strchr(parameters, ',');
    return weight && (!end || weight < end) && strtod(weight + 2, NULL) <= 0;
}

bool qn_gzip_accepted(const char *accept_encoding)
{
    for (const char *at = accept_encoding; at && *at; at = strchr(at, ',')) {
        at += strspn(at, ", \t");
        size_t size = strcspn(at, ",; \t");
        if ((size == 4 && strncasecmp(at, "gzip", 4) == 0) || (size == 6 && strncasecmp(at, "x-gzip", 6) == 0))
            return !refused(at + size);
        at += size;
    }
    return false;
}
