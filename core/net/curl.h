/* curl.h - the transport on libcurl: http and https, connections kept alive, answers decompressed.
 *
 * No redirects, no netrc, no cookies; TLS is verified always. Proxies come from the environment (http_proxy,
 * https_proxy, all_proxy, no_proxy), never for loopback and never for plain http: a plain http peer must be
 * loopback, judged on each address before a byte is sent to it, unless the request allows insecure ones.
 * Messages of results are redacted. The program must ignore SIGPIPE (libcurl is told to leave signals alone).
 * Main thread only. */
#pragma once

#include "engine/loop.h"
#include "net/transport.h"

struct qn_curl_options {
    const char *ca_file;      /* PEM bundle instead of the system's; NULL: the system's */
    const char *user_agent;   /* NULL: "quern" */
    unsigned max_connections; /* at once, 0: no bound */
};

/* Copies the options (NULL: all defaults). QN_EIO when ca_file cannot be read. */
int qn_curl_new(struct qn_loop *loop, const struct qn_curl_options *options, struct qn_transport **out,
                struct qn_err *err);
/* May a request of this scheme ("http", "https") be sent to this address? The rule behind QN_RESULT_DENIED. */
bool qn_curl_peer_allowed(const char *scheme, const char *address, bool allow_insecure);
