#include "net/curl_result.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/secret.h"
#include "net/curl.h"
#include "net/url.h"

/* A text without memory to redact it is dropped: better no reason than a secret. */
static void say(struct qn_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct qn_result *result, const char *format, ...)
{
    char text[1024];
    struct qn_buf clean;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    qn_buf_init(&clean, QN_BUF_NO_CAP);
    const char *shown = qn_redact(&clean, text, strlen(text)) == 0 ? qn_buf_cstr(&clean) : NULL;
    snprintf(result->message, sizeof result->message, "%s", shown ? shown : "transfer failed (out of memory)");
    qn_buf_free(&clean);
}

/* A handshake that broke because the connection did says nothing about certificates: it may be tried again. */
static bool is_lost_handshake(const struct qn_curl_end *end)
{
    return end->code == CURLE_SSL_CONNECT_ERROR &&
           (end->os_errno == ECONNRESET || end->os_errno == EPIPE || strstr(end->detail, "SSL_ERROR_SYSCALL") ||
            strstr(end->detail, "unexpected eof") || strstr(end->detail, "reset by peer"));
}

static bool is_tls(int code)
{
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_USE_SSL_FAILED:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CLIENTCERT: return true;
    default: return false;
    }
}

static enum qn_result_kind kind_of(const struct qn_curl_end *end)
{
    if (end->denied) return QN_RESULT_DENIED;
    if (end->no_memory || end->header_flood) return QN_RESULT_FAILED;
    if (end->too_large) return QN_RESULT_TOO_LARGE;
    if (is_lost_handshake(end)) return QN_RESULT_RESET;
    if (is_tls(end->code)) return QN_RESULT_TLS;
    switch (end->code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return QN_RESULT_DNS;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY: return QN_RESULT_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: return QN_RESULT_TIMEOUT;
    case CURLE_UNSUPPORTED_PROTOCOL:
        /* Also what libcurl says of an answer that is no HTTP. */
        return end->request_bytes ? QN_RESULT_RESET : QN_RESULT_DENIED;
    case CURLE_LOGIN_DENIED: /* user name in the url */ return QN_RESULT_DENIED;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_SHUTDOWN_FAILED: return QN_RESULT_RESET;
    case CURLE_PARTIAL_FILE:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR: /* not ours: the decoder met bytes behind the end of the compressed body */
        return QN_RESULT_TRUNCATED;
    default: return QN_RESULT_FAILED;
    }
}

static void say_connect(const struct qn_curl_end *end, const char *where, struct qn_result *result)
{
    if (end->os_errno == ECONNREFUSED)
        say(result, "connection refused by %s", where);
    else if (end->os_errno)
        say(result, "cannot connect to %s: %s", where, strerror(end->os_errno));
    else
        say(result, "cannot connect to %s: %s", where, end->detail);
}

static void say_timeout(const struct qn_curl_end *end, const char *where, struct qn_result *result)
{
    if (end->connected)
        say(result, "no whole answer from %s within %u ms", where, end->total_ms);
    else if (end->connect_ms < end->total_ms)
        say(result, "no connection to %s within %u ms", where, end->connect_ms);
    else
        say(result, "no connection to %s within %u ms", where, end->total_ms);
}

static void say_reason(const struct qn_curl_end *end, struct qn_result *result)
{
    const char *where = end->peer[0] ? end->peer : end->host;
    switch (result->kind) {
    case QN_RESULT_DNS: say(result, "cannot resolve the name %s", end->host); break;
    case QN_RESULT_CONNECT: say_connect(end, where, result); break;
    case QN_RESULT_TIMEOUT: say_timeout(end, where, result); break;
    case QN_RESULT_RESET: say(result, "connection to %s lost: %s", where, end->detail); break;
    case QN_RESULT_TRUNCATED: say(result, "body from %s ended early or is broken: %s", where, end->detail); break;
    case QN_RESULT_TOO_LARGE: say(result, "answer from %s is larger than %zu bytes", where, end->max_body_bytes); break;
    case QN_RESULT_TLS:
        if (end->code == CURLE_PEER_FAILED_VERIFICATION)
            say(result, "certificate of %s not trusted: %s", end->host, end->detail);
        else
            say(result, "no secure connection to %s: %s", end->host, end->detail);
        break;
    case QN_RESULT_DENIED:
        if (end->denied)
            say(result, "plain http to %s refused: it is not a loopback address (use https, or --allow-insecure)",
                where);
        else
            say(result, "request to %s refused: %s", end->host, end->detail);
        break;
    default:
        if (end->no_memory)
            say(result, "out of memory while reading the answer from %s", where);
        else if (end->header_flood)
            say(result, "answer from %s has too many headers", where);
        else
            say(result, "request to %s failed: %s", where, end->detail);
    }
}

bool qn_curl_peer_allowed(const char *scheme, const char *address, bool allow_insecure)
{
    return strcmp(scheme, "https") == 0 ||
           (strcmp(scheme, "http") == 0 && (allow_insecure || qn_url_host_is_loopback(address)));
}

void qn_curl_judge(const struct qn_curl_end *end, struct qn_result *result)
{
    result->kind = kind_of(end);
    /* Not by kind: a connection that was refused may be libcurl's second try after the first took the request. */
    result->never_sent = end->request_bytes == 0;
    say_reason(end, result);
}

void qn_curl_judge_idle(const struct qn_curl_end *end, uint32_t idle_ms, struct qn_result *result)
{
    result->kind = QN_RESULT_TIMEOUT;
    result->never_sent = end->request_bytes == 0;
    say(result, "not a byte from %s for %u ms", end->peer[0] ? end->peer : end->host, idle_ms);
}
