#!/usr/bin/env python3
"""A strict server of the tutorials' API that is not quern (standard Python only), for end-to-end tests.

It serves the conversations of dataset.py in five dialects (three of them in dialects.py) under an optional path prefix, or (--dialect shop) another API.
Whatever a client must not do is noted as a violation; GET /__violations and /__stats tell. It prints
"listening on http://127.0.0.1:PORT" and serves until it is killed.
"""
import argparse
import base64
import gzip
import http.server
import json
import re
import os
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

import dataset
import dialects
import faults
from dialects import DETAILS_PATH, Refused, range_of, refuse_too_large, require

MOST_RECORDS_A_PAGE = 1000


class Token:
    def __init__(self, way, scope, generation, expires_at):
        self.way, self.scope, self.generation, self.expires_at = way, scope, generation, expires_at
        self.accepted = self.revoked = False


class State:
    """What all handlers share."""

    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.data = dataset.DataSet(options.seed, options.days, options.rate, options.start)
        self.shop = dataset.Shop(options.seed, options.customers)
        self.plan = faults.Plan(options.faults, options.first, options.always, options.fault_seed)
        self.token_plan = faults.Plan("", options.token_first, options.token_always, options.fault_seed)
        self.tokens, self.violations, self.too_large = {}, [], set()
        self.stats = {"requests": 0, "tokens": 0, "statuses": {}, "most_at_once": 0, "ranges": 0, "pages": 0, "foreign": 0}
        self.running = self.refusals = 0
        self.foreign_url = self.repeat_page = None
        self.leak = options.leak_link
        self.texts = {}
        self.interval, self.tree, self.search = dialects.Interval(self), dialects.Tree(self), dialects.Search(self)
        self.log = open(options.log, "a", encoding="utf-8") if options.log else None

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def write_log(self, **fields):
        if self.log:
            with self.lock:
                self.log.write(json.dumps({"time": time.time(), **fields}) + "\n")
                self.log.flush()

    def record_text(self, conversation, member):
        """The record's JSON, with line breaks if --pretty."""
        record = getattr(conversation, member)
        if self.options.pretty:
            return json.dumps(record, sort_keys=True, ensure_ascii=False, indent=2)
        return dataset.text_of(record)


def sliced(state, body, url_query):
    """The dialect with dateFrom and dateTo: one answer a range."""
    require(set(body) == {"dateFrom", "dateTo", "groupBy", "metrics", "filter"}, "members of the body: %s" % sorted(body))
    require(not url_query, "no url query is expected")
    require(body["groupBy"] == ["conversationId"], "groupBy: %r" % (body["groupBy"],))
    require(body["metrics"] == dataset.SLICED_METRICS, "metrics: %r" % (body["metrics"],))
    require(body["filter"] == {"type": "conversation", "values": ["voice"]}, "filter: %r" % (body["filter"],))
    span = range_of(body["dateFrom"], body["dateTo"])
    found = list(state.data.select(*span, channels=body["filter"]["values"], overlap=state.options.overlap))
    refuse_too_large(state, span, len(found), state.options.max_records)
    with state.lock:
        state.stats["ranges"] += 1
    return '{"entities":[%s]}' % ",".join(state.record_text(c, "entity") for c in found)


def paged(state, body, url_query):
    """The dialect with interval: numbered pages."""
    known = {"interval", "view", "groupBy", "metrics"}
    require(known <= set(body) <= known | {"filters"}, "members of the body: %s" % sorted(body))
    require(body["view"] == "default" and body["groupBy"] == ["conversationId"], "view or groupBy")
    require(body["metrics"] == dataset.PAGED_COLUMNS, "metrics: %r" % (body["metrics"],))
    require(isinstance(body["interval"], str) and body["interval"].count("/") == 1, "interval: %r" % (body["interval"],))
    span = range_of(*body["interval"].split("/"))
    queues = None
    if "filters" in body:
        wanted = body["filters"]
        require(isinstance(wanted, list) and len(wanted) == 1 and set(wanted[0]) == {"type", "values"}
                and wanted[0]["type"] == "queueId" and isinstance(wanted[0]["values"], list)
                and wanted[0]["values"], "filters: %r" % (wanted,))
        queues = wanted[0]["values"]
    size, number = page_of(url_query)
    found = list(state.data.select(*span, queues=queues, overlap=state.options.overlap))
    refuse_too_large(state, span, len(found), state.options.max_records_paged)
    if state.repeat_page == number:
        state.repeat_page, number = None, number - 1
    records = ",".join(state.record_text(c, "flat") for c in found[(number - 1) * size: number * size])
    with state.lock:
        state.stats["pages"] += 1
    if state.options.no_page_count:
        return '{"conversations":[%s],"pageNumber":%d}' % (records, number)
    return '{"conversations":[%s],"pageCount":%d,"pageNumber":%d,"pageSize":%d,"total":%d}' % (
        records, -(-len(found) // size), number, size, len(found))


def page_of(url_query):
    require(set(url_query) == {"pageSize", "pageNumber"}, "url query: %s" % sorted(url_query))
    size, number = url_query["pageSize"], url_query["pageNumber"]
    require(size.isdigit() and number.isdigit(), "pageSize %s, pageNumber %s" % (size, number))
    size, number = int(size), int(number)
    require(1 <= size <= MOST_RECORDS_A_PAGE and number >= 1, "pageSize %d, pageNumber %d" % (size, number))
    return size, number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    @property
    def state(self):
        return self.server.state

    def do_GET(self):
        self.handle_one(b"")

    def do_DELETE(self):
        self.handle_one(b"")

    def do_POST(self):
        length = self.headers.get("Content-Length", "0")
        self.handle_one(self.rfile.read(int(length)) if length.isdigit() else b"")

    def handle_one(self, body):
        state = self.state
        with state.lock:
            state.running += 1
            state.stats["requests"] += 1
            state.stats["most_at_once"] = max(state.stats["most_at_once"], state.running)
        try:
            self.route(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with state.lock:
                state.running -= 1

    def route(self, body):
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/__violations":
            return self.answer(200, json.dumps(self.state.violations).encode(), counted=False)
        if url.path == "/__stats":
            stats = {**self.state.stats, "faults": {**self.state.plan.counts, **self.state.token_plan.counts}}
            return self.answer(200, json.dumps(stats).encode(), counted=False)
        try:
            require(url.path.startswith(self.state.options.prefix), "outside the prefix: " + url.path)
            path = url.path[len(self.state.options.prefix):]
            pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
            self.look_for_secrets(path, url.query, body)
            self.serve(path, dict(pairs), body)
        except Refused as refused:
            if refused.violation:
                self.state.violation(refused.violation)
            self.note(refused.status)
            self.error(refused.status, refused.code, refused.message)

    def serve(self, path, url_query, body):
        if path == "/oauth/token":
            return self.token(url_query, body)
        if self.state.options.dialect == "shop":
            return self.orders(path, url_query)
        dialect = self.dialect(path)
        token = self.authorized()
        if dialect is not self.state.search:
            require(self.command == "POST", "method %s" % self.command)
        if body:
            require(self.headers.get("Content-Type", "").split(";")[0].strip() == "application/json", "content type")
        self.deliver(dialect, path, url_query, body, token)

    def dialect(self, path):
        """The one of dialects.py that a request speaks; None: one of the two details dialects, told apart by the body."""
        if path == dialects.AGGREGATES_PATH:
            return self.state.interval
        if path == dialects.TREE_PATH:
            return self.state.tree
        if path.startswith(DETAILS_PATH + "/") or (path == DETAILS_PATH and self.headers.get("x-genesys-async") == "true"):
            return self.state.search
        if path != DETAILS_PATH:
            raise Refused(404, "not.found", "no such path: " + path, "unknown path " + path)
        return None

    def json_body(self, body):
        try:
            query = json.loads(body)
        except ValueError:
            query = None
        require(isinstance(query, dict), "the body is not a JSON object")
        return query

    def link(self, path, url_query):
        """A link to the next page: relative, without the prefix; absolute with --links absolute."""
        if self.state.leak:
            self.state.leak = False
            return "%s%s?%s" % (self.state.foreign_url, path, url_query)
        if self.state.options.links == "absolute":
            return "http://%s%s%s?%s" % (self.headers.get("Host"), self.state.options.prefix, path, url_query)
        return "%s?%s" % (path, url_query)

    def deliver(self, dialect, path, url_query, body, token):
        state = self.state
        key = "%s %s %s" % (self.command, self.path, body.decode("utf-8", "replace"))
        fault, zipped = state.plan.choose(key, token is not None and token.accepted)
        if fault and re.fullmatch(r"\d+", fault) and fault != "204":
            if fault == "401" and token:
                token.revoked = True
            self.note(faults.apply(self, fault, None), fault, body)
            return
        if fault == "foreign":
            self.note(307, fault, body)
            return self.answer(307, b"", headers=[("Location", state.foreign_url + self.path)])
        status, text = self.respond(dialect, path, url_query, body, token)
        if token:
            token.accepted = True
        if state.options.delay_ms:
            time.sleep(state.plan.draw(key, 0, "delay") * state.options.delay_ms / 1000)
        if fault:
            self.note(faults.apply(self, fault, text), fault, body)
            return
        self.note(status, None, body)
        self.answer(status, text, zipped=zipped)

    def respond(self, dialect, path, url_query, body, token):
        if dialect:
            wanted, scope = dialect.token, dialect.scope
        else:
            is_paged = "interval" in self.json_body(body)
            wanted, scope = "basic" if is_paged else "form", None
        require(token.way == wanted, "the token came by %s, this dialect asks for it by %s" % (token.way, wanted))
        require(token.scope == scope, "the token was asked for with scope %s" % token.scope)
        if dialect:
            status, text = dialect.answer(self, path, url_query, body)
            return status, text.encode("utf-8")
        return 200, (paged if is_paged else sliced)(self.state, self.json_body(body), url_query).encode("utf-8")

    # ---- the other API: static token, links, records two levels deep

    def orders(self, path, url_query):
        require(self.command == "GET" and path == "/v1/orders", "%s %s" % (self.command, path))
        if self.headers.get("Authorization") != "Bearer " + self.state.options.bearer:
            raise Refused(401, "unauthorized", "token is not valid", "a request without the right bearer token")
        require(set(url_query) <= {"page", "status"} and url_query.get("status") == "open", "url query %s" % url_query)
        fault, zipped = self.state.plan.choose(self.path, False)
        page, size = int(url_query.get("page", "1")), 10
        customers = self.state.shop.customers[(page - 1) * size: page * size]
        following = None
        if page * size < len(self.state.shop.customers):
            host = self.headers.get("Host") if fault != "leak" else self.state.foreign_url.partition("//")[2]
            following = "http://%s%s/v1/orders?status=open&page=%d" % (host, self.state.options.prefix, page + 1)
        text = json.dumps({"data": {"customers": customers}, "links": {"next": following}}).encode()
        if fault and fault != "leak":
            self.note(faults.apply(self, fault, text), fault)
            return
        self.note(200, fault)
        self.answer(200, text, zipped=zipped)

    # ---- tokens

    def token(self, url_query, body):
        options = self.state.options
        fault, _ = self.state.token_plan.choose("token", False)
        if fault:
            self.note(faults.apply(self, fault, b'{"access_token":"x"}'), fault)
            return
        require(self.command == "POST" and not url_query, "token request: method or url query")
        content_type = self.headers.get("Content-Type", "").split(";")[0].strip()
        require(content_type == "application/x-www-form-urlencoded", "token request: content type " + content_type)
        form = dict(urllib.parse.parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True))
        require(form.get("grant_type") == "client_credentials", "token request: grant_type")
        way, given = self.credentials(form)
        if given != (options.client_id, options.client_secret):
            self.note(401)
            text = json.dumps({"error": "invalid_client", "error_description": "authentication failed"}).encode()
            return self.answer(401, text)
        value = "tok-" + secrets.token_hex(24)
        with self.state.lock:
            self.state.stats["tokens"] += 1
            generation = self.state.stats["tokens"]
            self.state.tokens[value] = Token(way, form.get("scope"), generation, time.monotonic() + options.token_life)
        self.note(200)
        self.answer(200, json.dumps({"access_token": value, "token_type": "bearer",
                                     "expires_in": int(options.token_life)}).encode())

    def credentials(self, form):
        header = self.headers.get("Authorization")
        if header:
            require(header.startswith("Basic "), "token request: Authorization is not Basic")
            require("client_secret" not in form and "client_id" not in form, "credentials in two places")
            text = base64.b64decode(header[6:]).decode("utf-8", "replace")
            return "basic", tuple(urllib.parse.unquote(part) for part in text.split(":", 1))
        return "form", (form.get("client_id"), form.get("client_secret"))

    def authorized(self):
        header = self.headers.get("Authorization", "")
        token = self.state.tokens.get(header[7:]) if header.startswith("Bearer ") else None
        if token is None:
            raise Refused(401, "bad.credentials", "Invalid login credentials.", "a request without a token of ours")
        if token.revoked or time.monotonic() >= token.expires_at:
            raise Refused(401, "credentials.expired", "the token is no longer valid")
        return token

    def look_for_secrets(self, path, query, body):
        """Credentials may stand in the token request and in Authorization, nowhere else."""
        state, text = self.state, body.decode("utf-8", "replace")
        secret = state.options.client_secret
        forms = [secret, urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret)]
        places = [("url", self.path)]
        if path != "/oauth/token":
            places.append(("body", text))
        places += [("header " + name, value) for name, value in self.headers.items() if name.lower() != "authorization"]
        if path != "/oauth/token" and self.headers.get("Authorization", "").startswith("Basic "):
            state.violation("client credentials sent to " + path)
        for where, value in places:
            if any(form in value for form in forms) or any(token in value for token in state.tokens):
                state.violation("a credential in the %s of a request to %s" % (where, path))

    # ---- answers

    def error(self, status, code, message, headers=()):
        body = json.dumps({"message": message, "code": code, "status": status, "details": [], "errors": []})
        self.answer(status, body.encode(), headers=list(headers))

    def answer(self, status, body, content_type="application/json", headers=(), zipped=False, cut=None, slow=False,
               counted=True):
        headers = list(headers)
        if zipped and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1)
            headers.append(("Content-Encoding", "gzip"))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if counted:
            with self.state.lock:
                statuses = self.state.stats["statuses"]
                statuses[str(status)] = statuses.get(str(status), 0) + 1
        if slow:
            for start in range(0, len(body), max(len(body) // 4, 1)):
                self.wfile.write(body[start: start + max(len(body) // 4, 1)])
                self.wfile.flush()
                time.sleep(0.1)
            return
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def note(self, status, fault=None, body=b""):
        """One line of the request log; no header is written, so no secret is."""
        fields = {"method": self.command, "path": self.path, "status": status, "fault": fault}
        if body:
            fields["body"] = body.decode("utf-8", "replace")
        self.state.write_log(**fields)


class Foreign(http.server.BaseHTTPRequestHandler):
    """Another origin. Nothing that was meant for us may arrive here."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        state = self.server.state
        state.stats["foreign"] += 1
        whole = self.path + str(self.headers) + body.decode("utf-8", "replace")
        if "Authorization" in self.headers or any(token in whole for token in state.tokens) \
                or state.options.client_secret in whole or (state.options.bearer and state.options.bearer in whole):
            state.violation("a credential was sent to a foreign origin")
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, ValueError, OSError)):
            super().handle_error(request, client_address)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialect", choices=["tutorials", "shop"], default="tutorials")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="", help="path prefix, such as /prefix")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rate", type=int, default=240)
    parser.add_argument("--start", default="2024-01-01")
    parser.add_argument("--customers", type=int, default=47)
    parser.add_argument("--client-id", default="client-1")
    parser.add_argument("--client-secret", default="s3cret+/=&%")
    parser.add_argument("--bearer", default="static-token-1")
    parser.add_argument("--token-life", type=float, default=3600)
    parser.add_argument("--max-records", type=int, default=0, help="413 above this many records (sliced dialect)")
    parser.add_argument("--max-records-paged", type=int, default=0)
    parser.add_argument("--no-page-count", action="store_true")
    parser.add_argument("--repeat-page", type=int, help="answer the page before this one, once")
    parser.add_argument("--overlap", action="store_true", help="records that touch an edge come in both neighbours")
    parser.add_argument("--pretty", action="store_true", help="records hold line breaks between members")
    parser.add_argument("--links", choices=["relative", "absolute"], default="relative")
    parser.add_argument("--leak-link", action="store_true", help="the first next link leads to another origin")
    parser.add_argument("--ragged", action="store_true", help="pages may be shorter than asked (interval, tree, search)")
    parser.add_argument("--duplicates", action="store_true", help="a page begins with the last record of the page before (the same)")
    parser.add_argument("--max-buckets", type=int, default=0)
    parser.add_argument("--bucket-page", type=int, default=100)
    parser.add_argument("--max-hours", type=int, default=0)
    parser.add_argument("--organization", default="org-1")
    parser.add_argument("--result-page", type=int, default=10000)
    parser.add_argument("--job-seconds", type=float, default=0.3)
    parser.add_argument("--job-fail", default="", help="jobs fail with these words")
    parser.add_argument("--job-stuck", action="store_true")
    parser.add_argument("--cursor-expires", type=int, default=0, help="so many cursors are refused with 400")
    parser.add_argument("--cursor-words", default="the cursor has expired")
    parser.add_argument("--poll-least", type=float, default=1.5, help="seconds between two polls; earlier ones are counted")
    parser.add_argument("--odd-ids", action="store_true", help="job ids hold characters that a path must encode")
    parser.add_argument("--call-webhooks", action="store_true")
    parser.add_argument("--faults", default="", help="429=0.1,502=0.1,401=0.05,cut=0.05,html=0.05,badjson=0.05,gzip=0.3")
    parser.add_argument("--first", default="", help="faults of the first requests, in order")
    parser.add_argument("--always", default="", help="one fault for every request")
    parser.add_argument("--token-first", default="")
    parser.add_argument("--token-always", default="")
    parser.add_argument("--fault-seed", type=int, default=1)
    parser.add_argument("--delay-ms", type=int, default=0, help="answers wait up to this long, seeded by the request")
    parser.add_argument("--tls", action="store_true", help="serve https with the certificate of tls_test_only.pem")
    parser.add_argument("--log", help="file for the request log, one JSON object a line")
    return parser.parse_args()


def listen(handler, state, port):
    server = Server(("127.0.0.1", port), handler)
    server.state = state
    return server, "http://127.0.0.1:%d" % server.server_address[1]


def main():
    options = parse_options()
    state = State(options)
    state.repeat_page = options.repeat_page
    foreign, state.foreign_url = listen(Foreign, state, 0)
    threading.Thread(target=foreign.serve_forever, daemon=True).start()
    server, url = listen(Handler, state, options.port)
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tls_test_only.pem"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = url.replace("http:", "https:")
    print("listening on " + url, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
