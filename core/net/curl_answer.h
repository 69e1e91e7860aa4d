/* curl_answer.h - an answer while it arrives: header lines and decoded body bytes, both bounded.
 *
 * Embedded in an exchange of the curl transport; knows nothing of libcurl. Internal to core/net, one thread. */
#pragma once

#include "net/transport.h"

struct qn_curl_answer {
    struct qn_buf text; /* "name\0value\0" of each header of the newest answer */
    size_t count;       /* headers in text */
    bool headers_ended; /* the empty line was seen: what follows are trailers, or another answer after a 1xx */
    bool body_begun;
    struct qn_buf body;
    size_t max_body_bytes;
    bool too_large, no_memory, header_flood; /* why add_line or add_body failed */
    struct qn_header *headers;               /* made by finish: into text */
};

void qn_curl_answer_init(struct qn_curl_answer *answer, size_t max_body_bytes);
void qn_curl_answer_free(struct qn_curl_answer *answer);
/* One line as received, line break included. False: stop the transfer. */
bool qn_curl_answer_line(struct qn_curl_answer *answer, const char *line, size_t size);
/* Decoded body bytes. declared: Content-Length, or -1. False: stop. */
bool qn_curl_answer_body(struct qn_curl_answer *answer, const char *data, size_t size, int64_t declared);
/* Fills headers and body of result, which point into answer from then on. False without memory. */
bool qn_curl_answer_finish(struct qn_curl_answer *answer, struct qn_result *result);
