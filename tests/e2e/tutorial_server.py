#!/usr/bin/env python3
"""A strict server of the tutorials' API that is not quern (standard Python only), for end-to-end tests.

It serves the conversations of dataset.py in five dialects (three of them in dialects.py and dialect_search.py) under an optional path prefix,
or (--dialect shop) another API. Whatever a client must not do is noted as a violation; GET /__violations and /__stats tell. It prints
"listening on http://127.0.0.1:PORT" and serves until it is killed. By hand:

    tests/e2e/tutorial_server.py --port 8070 --days 10 --rate 40 --faults 429=0.1,502=0.1,gzip=0.3 &
    export GENESYS_BASE_URL=http://127.0.0.1:8070 GENESYS_CLIENT_ID=client-1 GENESYS_CLIENT_SECRET='s3cret+/=&%' GENESYS_ORGANIZATION_ID=org-1
    quern run interval_report -p from=2024-01-01 -p to=2024-01-08 -o buckets.json
    tests/e2e/truth.py interval_report --days 10 --rate 40 --to 2024-01-08 | cmp - buckets.json
    curl http://127.0.0.1:8070/__violations
"""
import base64
import gzip
import http.server
import json
import os
import secrets
import ssl
import sys
import threading
import time
import urllib.parse

import dataset
import dialect_search
import dialects
import faults
import server_options
from dialects import DETAILS_PATH, Refused, range_of, refuse_too_large, require

MOST_RECORDS_A_PAGE = 1000


class Token:
    def __init__(self, way, scope, expires_at):
        self.way, self.scope, self.expires_at = way, scope, expires_at
        self.accepted = self.revoked = False


def is_status(fault):
    """Is it an answer that takes the place of the right one before that is made? 204 counts as a spoiled one."""
    return fault.isdigit() and fault != "204"


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
        self.leak, self.circles = options.leak_link, options.circles
        self.walks = {}   # how often a range was asked for from its first page
        self.interval, self.tree, self.search = dialects.Interval(self), dialects.Tree(self), dialect_search.Search(self)
        self.log = open(options.log, "a", encoding="utf-8") if options.log else None

    def violation(self, text):
        with self.lock:
            self.violations.append(text)

    def late(self, span, first):
        """How many records at the end of a range are not there yet. `first`: a walk begins with this request."""
        with self.lock:
            walks = self.walks[span] = self.walks.get(span, 0) + first
        return self.options.late if walks <= 1 else 0

    def following(self, number):
        """The page that the link of this one names: the next, unless the walk shall run in a circle."""
        with self.lock:
            if self.circles > 0 and number > 1:
                self.circles -= 1
                return number
            return number + 1

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
    total = len(found) + state.options.total_off
    there = found[: len(found) - state.late(span, number == 1)]
    records = ",".join(state.record_text(c, "flat") for c in there[(number - 1) * size: number * size])
    with state.lock:
        state.stats["pages"] += 1
    if state.options.no_page_count:
        return '{"conversations":[%s],"pageNumber":%d}' % (records, number)
    return '{"conversations":[%s],"pageCount":%d,"pageNumber":%d,"pageSize":%d,"total":%d}' % (
        records, -(-len(found) // size) + state.options.page_count_off, number, size, total)


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
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            self.state.violation("a POST without a length: %s" % self.path)
            self.close_connection = True
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
        leak, self.state.leak = self.state.leak, None
        if leak:
            foreign, path = self.state.foreign_url.partition("//")[2], self.state.options.prefix + path
            before = {"absolute": "http://", "no-scheme": "//", "user-name": "http://%s@" % self.headers.get("Host")}[leak]
            return "%s%s%s?%s" % (before, foreign, path, url_query)
        if self.state.options.links == "absolute":
            return "http://%s%s%s?%s" % (self.headers.get("Host"), self.state.options.prefix, path, url_query)
        return "%s?%s" % (path, url_query)

    def deliver(self, dialect, path, url_query, body, token):
        state = self.state
        key = "%s %s %s" % (self.command, self.path, body.decode("utf-8", "replace"))
        fault, zipped = state.plan.choose(key, token is not None and token.accepted)
        if fault and is_status(fault):
            if fault == "401" and token:
                token.revoked = True
            self.note(faults.apply(self, fault, None), fault, body)
            return
        if fault in ("foreign", "moved"):
            return self.redirect(fault, body)
        status, text = self.respond(dialect, path, url_query, body, token)
        if token:
            token.accepted = True
        if state.options.delay_ms:
            time.sleep(state.plan.draw(key, 0, "delay") * state.options.delay_ms / 1000)
        if fault:
            if dialect is state.search:
                dialect.was_spoiled(path, body, fault)
            self.note(faults.apply(self, fault, text, status), fault, body)
            return
        self.note(status, None, body)
        self.answer(status, text, zipped=zipped)

    def redirect(self, fault, body):
        """307, to another origin or to where the request went already."""
        self.note(307, fault, body)
        self.answer(307, b"", headers=[("Location", (self.state.foreign_url if fault == "foreign" else "") + self.path)])

    def respond(self, dialect, path, url_query, body, token):
        if dialect:
            wanted, scope = dialect.token, dialect.scope
        else:
            is_paged = "interval" in self.json_body(body)
            wanted, scope = "basic" if is_paged else "form", None
        require(token.way == wanted, "the token came by %s, this dialect asks for it by %s" % (token.way, wanted))
        require(token.scope == scope, "the token was asked for with scope %s" % token.scope)
        if dialect:
            try:
                status, text = dialect.answer(self, path, url_query, body)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise Refused(400, "bad.request", "malformed", "malformed: %r in %s %s" % (error, self.path, body)) from None
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
        fault, zipped = self.state.token_plan.choose("token", False)
        if fault in ("foreign", "moved"):
            return self.redirect(fault, b"")
        if fault and is_status(fault):
            self.note(faults.apply(self, fault, None), fault)
            return
        status, text = self.make_token(url_query, body)
        if fault and status == 200:
            self.note(faults.apply(self, fault, text), fault)
            return
        self.note(status)
        self.answer(status, text, zipped=zipped)

    def make_token(self, url_query, body):
        options = self.state.options
        require(self.command == "POST" and not url_query, "token request: method or url query")
        content_type = self.headers.get("Content-Type", "").split(";")[0].strip()
        require(content_type == "application/x-www-form-urlencoded", "token request: content type " + content_type)
        form = dict(urllib.parse.parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True))
        require(form.get("grant_type") == "client_credentials", "token request: grant_type")
        way, given = self.credentials(form)
        if given != (options.client_id, options.client_secret):
            return 401, json.dumps({"error": "invalid_client", "error_description": "authentication failed"}).encode()
        value = "tok-" + secrets.token_hex(24)
        with self.state.lock:
            self.state.stats["tokens"] += 1
            self.state.tokens[value] = Token(way, form.get("scope"), time.monotonic() + options.token_life)
        return 200, json.dumps({"access_token": value, "token_type": "bearer", "expires_in": int(options.token_life)}).encode()

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
        known = [*state.tokens, state.options.client_secret, urllib.parse.quote_plus(state.options.client_secret), state.options.client_id,
                 state.options.bearer]
        if "Authorization" in self.headers or any(secret in whole for secret in known):
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


def listen(handler, state, port):
    server = Server(("127.0.0.1", port), handler)
    server.state = state
    return server, "http://127.0.0.1:%d" % server.server_address[1]


def main():
    options = server_options.parse(__doc__)
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
