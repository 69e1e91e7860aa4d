/* curl_result.h - from libcurl's code to a result: which kind, in which words, was anything sent?
 *
 * Split from curl.c because it is the only part of the transport that is all judgement and no mechanics.
 * Internal to core/net; pure; any thread. */
#pragma once

#include "net/transport.h"

struct qn_curl_end {    /* what is known when a transfer has ended */
    int code;           /* CURLcode; 0 is success */
    int os_errno;       /* CURLINFO_OS_ERRNO */
    long request_bytes; /* CURLINFO_REQUEST_SIZE: request bytes that left, over all connections tried */
    bool connected;     /* a connection was ready for the request (TLS included) */
    bool denied;        /* an address was refused by the peer rule */
    bool too_large;     /* our write callback stopped the transfer at the cap */
    bool no_memory;     /* our callbacks had no memory */
    bool header_flood;  /* our header callback stopped the transfer */
    const char *host;   /* of the url, "" if unknown */
    const char *peer;   /* "127.0.0.1:80" that was connected or tried last, or "" */
    const char *detail; /* libcurl's own text, or "" */
    size_t max_body_bytes;
    uint32_t connect_ms, total_ms;
};

/* Fills kind, never_sent and message (redacted) for an ending that is not an answer. */
void qn_curl_judge(const struct qn_curl_end *end, struct qn_result *result);
/* "timeout" by our own idle timer. */
void qn_curl_judge_idle(const struct qn_curl_end *end, uint32_t idle_ms, struct qn_result *result);
