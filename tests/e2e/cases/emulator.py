"""quern emulate: its answers as the data page says, and the five reports against it, plain and under each of its faults."""
import contextlib
import http.server
import json
import re
import threading
import urllib.error
import urllib.parse
import urllib.request

import dataset
import truth
from harness import Emulator, case, check, equal, same_rows

DAYS, RATE = 4, 40
FROM, TO = "2024-01-01", "2024-01-04"
SMALL = ["--days", DAYS, "--rate", RATE, "--job-ms", 50]
API = "/api/v2/analytics/conversations"
REPORTS = {  # name: truth, words of the command line that make several pages
    "details_sliced": (truth.details_sliced, ["-p", "chunk=P1D"]),
    "details_paged": (truth.details_paged, ["-p", "pace=1ms", "-p", "page_size=25"]),
    "interval_report": (lambda *span: truth.interval_report(*span, "PT15M"), ["-p", "interval=PT15M"]),
    "aggregate_tree": (truth.aggregate_tree, []),
    "interaction_search": (truth.interaction_search, ["-p", "poll=50ms", "-p", "page_size=25"]),
}
# What only reports with pages after the first meet.
WITH_LINKS = ["interval_report", "aggregate_tree"]
WITH_PAGES = WITH_LINKS + ["details_paged", "interaction_search"]


def data(days=DAYS, rate=RATE, seed=1):
    return dataset.DataSet(seed, days, rate)


def span(first=FROM, last=TO):
    return dataset.parse_ms(first), dataset.parse_ms(last)


def emulate(bench, *faults, options=SMALL):
    return Emulator(bench, *options, *[word for fault in faults for word in ("--fault", fault)])


def pull(bench, server, name, *more):
    return bench.quern("run", name, "-p", "from=" + FROM, "-p", "to=" + TO, *REPORTS[name][1], "-o", "out", "--format", FORMATS[name],
                       "--summary", "summary.json", *more, env=server.env)


FORMATS = {"details_sliced": "json", "details_paged": "csv", "interval_report": "json", "aggregate_tree": "json", "interaction_search": "ndjson"}


def exact(bench, server, name, what, **which):
    """The report ends well and its rows are the truth."""
    result = pull(bench, server, name)
    check(result.status == 0, "%s, %s: exit %s: %s", name, what, result.status, result.err)
    same_rows(bench.read("out"), REPORTS[name][0](data(**which), *span()).encode())


# ---- the answers, without quern

class Client:
    """Asks the emulator as any client would; tokens are kept."""

    def __init__(self, server):
        self.url = server.url
        self.tokens = {}

    def send(self, method, path, body=None, headers=None):
        url = path if path.startswith("http") else self.url + path
        given = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(url, data=given, method=method, headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def token(self, way, scope=""):
        fields = {"grant_type": "client_credentials", "scope": scope}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if way == "basic":
            headers["Authorization"] = "Basic ZGVtbzpkZW1vLXNlY3JldA=="
        else:
            fields.update(client_id="demo", client_secret="demo-secret")
        status, text = self.send("POST", "/oauth/token", urllib.parse.urlencode(fields).encode(), headers)
        equal(status, 200, "token: " + text)
        return json.loads(text)["access_token"]

    def ask(self, way, method, path, body=None, headers=None, scope=""):
        if (way, scope) not in self.tokens:
            self.tokens[way, scope] = self.token(way, scope)
        return self.send(method, path, body, {"Authorization": "Bearer " + self.tokens[way, scope], **(headers or {})})


VIEW = "analytics:conversation:view"
BUCKETS = {"dateFrom": FROM + "T00:00:00Z", "dateTo": TO + "T00:00:00Z", "interval": "PT15M", "groupBy": ["date"],
           "metrics": ["conversationCount", "handledCount", "abandonedCount", "averageHandleTime"]}
VOICE = {"type": "conversation", "expression": {"type": "and", "clauses": [
    {"type": "dimension", "dimension": "mediaType", "operator": "equals", "value": "voice"}]}}
TREE = {"dateFrom": FROM + "T00:00:00.000Z", "dateTo": TO + "T00:00:00.000Z", "groupBy": ["interval", "routing.queue.id"], "interval": "PT1H",
        "metrics": ["conversationCount", "handleDurationSum", "wrapupDurationSum"], "filter": VOICE, "pageSize": 25, "pageNumber": 1}
CHATS = [{"type": "field", "property": "mediaType", "op": "in", "value": ["chat", "email"]},
         {"or": [{"type": "field", "property": "wrapupcode.name", "op": "eq", "value": "completed"},
                 {"not": [{"type": "field", "property": "queueId", "op": "contains", "value": "0005"}]}]}]
SEARCH = {"dateFrom": FROM + "T00:00:00Z", "dateTo": TO + "T00:00:00Z", "filterBy": CHATS, "pageSize": 10,
          "groupBy": [{"type": "interval", "property": "createdDate", "bucketSize": "day"}]}
ASYNC = {"x-genesys-async": "true", "x-genesys-org-id": "org-1"}


def texts(entities):
    return [dataset.text_of(entity) for entity in entities]


def page_text(members, name, records):
    """A page as it must stand: members sorted, records as they are."""
    parts = {key: dataset.text_of(value) for key, value in members.items()}
    parts[name] = "[" + ",".join(records) + "]"
    return "{" + ",".join('"%s":%s' % (key, parts[key]) for key in sorted(parts)) + "}"


def in_pages(records, size):
    return [records[at:at + size] for at in range(0, len(records), size)]


@case()
def emulator_buckets_to_the_bit(bench):
    path = API + "/aggregates/query"
    with emulate(bench) as server:
        client = Client(server)
        pages = in_pages(texts(dataset.bucket_entities(data(), *span(), 900000)), 100)
        link = path
        for number, records in enumerate(pages, 1):
            following = path + "?page=%d" % (number + 1) if number < len(pages) else None
            status, text = client.ask("form", "POST", link, BUCKETS, scope=VIEW)
            equal((status, text), (200, page_text({"nextPage": following, "page": number, "pageSize": 100}, "entities", records)), "page %d" % number)
            link = following
        equal(client.ask("form", "POST", path + "?page=9", BUCKETS, scope=VIEW)[0], 200, "beyond the last page")


@case()
def emulator_tree_to_the_bit(bench):
    path = API + "/aggregate/query"
    with emulate(bench, options=[*SMALL, "--prefix", "/p", "--absolute-links"]) as server:
        client = Client(server)
        for body, channel in ((TREE, "voice"), ({**TREE, "filter": None}, None)):
            pages = in_pages(texts(dataset.tree_entities(data(), *span(), channel)), 25)
            total = sum(1 for _ in data().select(*span(), channels=[channel] if channel else None))
            status, text = client.ask("basic", "POST", path, body)
            for number, records in enumerate(pages, 1):
                equal(status, 200, text)
                links = json.loads(text)["links"]
                expected = {"links": links, "pageNumber": number, "pageSize": 25, "summary": {"totalConversations": total}, "total": 1}
                equal(text, page_text(expected, "entities", records), "page %d" % number)
                equal(list(links), ["next"] if number < len(pages) else [], "links")
                if links:
                    check(links["next"].startswith(server.url + path + "?pageNumber=%d&pageSize=25&query=" % (number + 1)), "link %s", links)
                    status, text = client.ask("basic", "POST", links["next"])


@case()
def emulator_search_to_the_bit(bench):
    with emulate(bench) as server:
        client = Client(server)
        status, text = client.ask("form", "POST", API + "/details/query", SEARCH, ASYNC)
        equal(status, 202, text)
        job = json.loads(text)["jobId"]
        equal(text, '{"jobId":"%s"}' % job, "submitted")
        seen, place = [], API + "/details/query/jobs/" + job
        while '"complete"' not in text:
            status, text = client.ask("form", "GET", place)
            equal(status, 200, text)
            seen.append(json.loads(text)["status"])
        equal((seen[0], text), ("running", '{"jobId":"%s","status":"complete"}' % job), "what polls say")
        found = [dataset.text_of(c.entity) for c in data().select(*span()) if all(dataset.satisfies(c, part) for part in CHATS)]
        check(len(found) > 20, "found %d", len(found))
        query = {"pageSize": 10}
        for records in in_pages(found, 10):
            status, text = client.ask("form", "GET", API + "/details/query/results/" + job + "?" + urllib.parse.urlencode(query))
            equal(status, 200, text)
            cursor = json.loads(text).get("nextPageCursor")
            equal(text, page_text({"nextPageCursor": cursor} if cursor else {}, "conversations", records), "results")
            query["nextPageCursor"] = cursor
        equal(cursor, None, "the last cursor")
        equal(client.ask("form", "DELETE", place), (204, ""), "cancelled")
        equal(client.ask("form", "GET", place)[0], 404, "afterwards")


@case()
def emulator_is_strict(bench):
    """What a request lacks is refused with words that say what."""
    buckets, tree, search = API + "/aggregates/query", API + "/aggregate/query", API + "/details/query"
    refusals = [
        ("basic", buckets, BUCKETS, {}, 401, "form body"), ("form", buckets, BUCKETS, {}, 403, "the scope analytics:conversation:view"),
        ("form", tree, TREE, {}, 401, "Basic header"),
        ("view", buckets, {**BUCKETS, "interval": "PT20M"}, {}, 400, "is not one of PT15M"),
        ("view", buckets, {**BUCKETS, "dateFrom": "2024-01-01T00:07:00Z"}, {}, 400, "a multiple of PT15M"),
        ("view", buckets, {**BUCKETS, "dateFrom": 5}, {}, 400, "dateFrom"), ("view", buckets, {**BUCKETS, "groupBy": []}, {}, 400, "groupBy"),
        ("view", buckets, {**BUCKETS, "metrics": ["conversationcount"]}, {}, 400, "did you mean 'conversationCount'"),
        ("view", buckets, {**BUCKETS, "dateTo": "2030-01-01T00:00:00Z"}, {}, 413, "buckets"),
        ("view", buckets + "?page=x", BUCKETS, {}, 400, "page"), ("view", buckets, b"[1]", {}, 400, "not a JSON object"),
        ("basic", tree, {**TREE, "dateFrom": FROM + "T00:00:00Z"}, {}, 400, "milliseconds"),
        ("basic", tree, {**TREE, "dateFrom": FROM + "T00:30:00.000Z"}, {}, 400, "full hours"),
        ("basic", tree, {**TREE, "pageSize": 0}, {}, 400, "pageSize"), ("basic", tree, {**TREE, "filter": {"dimension": "queueId"}}, {}, 400, "mediaType"),
        ("basic", tree, {**TREE, "dateTo": "2030-01-01T00:00:00.000Z"}, {}, 413, "hours"),
        ("basic", tree + "?pageNumber=2&pageSize=25&query=none", None, {}, 400, "no query"),
        ("basic", tree + "?pageNumber=2&pageSize=25&query=none", TREE, {}, 400, "without a body"),
        ("form", search, SEARCH, {}, 400, "x-genesys-async"), ("form", search, SEARCH, {"x-genesys-async": "true"}, 400, "x-genesys-org-id"),
        ("basic", search, SEARCH, ASYNC, 401, "form body"), ("form", search, {**SEARCH, "pageSize": 10001}, ASYNC, 400, "above 10000"),
        ("form", search, {**SEARCH, "groupBy": [1, 2, 3, 4]}, ASYNC, 400, "groupBy"),
        ("form", search, {**SEARCH, "dateTo": "2025-06-01T00:00:00Z"}, ASYNC, 400, "365 days"),
        ("form", search, {**SEARCH, "filterBy": [{"type": "field", "property": "mediatype", "op": "eq", "value": "x"}]}, ASYNC, 400, "did you mean 'mediaType'"),
        ("form", search, {**SEARCH, "filterBy": [{"type": "field", "property": "mediaType", "op": "in", "value": "x"}]}, ASYNC, 400, "value of in"),
        ("form", search, {}, {}, 400, "dateFrom and dateTo, or interval"), ("form", API + "/nothing", {}, {}, 404, "no POST"),
    ]
    with emulate(bench) as server:
        client = Client(server)
        for way, path, body, headers, status, words in refusals:
            scope = VIEW if way == "view" else ""
            got, text = client.ask("form" if way == "view" else way, "POST", path, body, headers, scope)
            check(got == status and words in json.loads(text)["message"], "%s %s: %s %s", path, body, got, text)
        job = json.loads(client.ask("form", "POST", search, SEARCH, ASYNC)[1])["jobId"]
        for query, words in (("pageSize=10", "running"), ("", "running")):
            got, text = client.ask("form", "GET", search + "/results/" + job + "?" + query)
            check(got == 400 and words in text, "results: %s %s", got, text)
        equal(client.ask("form", "GET", search + "/jobs/none")[0], 404, "a job that is none")
        equal(client.send("GET", search + "/jobs/" + job)[0], 401, "without a token")


# ---- the reports

@case(few=True)
def emulator_five_reports(bench):
    for options in ([], ["--absolute-links", "--prefix", "/a/b", "--max-records", 60, "--max-buckets", 150, "--max-hours", 30, "--seed", 7]):
        with emulate(bench, options=[*SMALL, *options]) as server:
            for name in REPORTS:
                exact(bench, server, name, options, seed=7 if options else 1)


FAULTS = ["429:times=2,retry_after=1", "502", "500", "408:retry_after=1", "425", "reset", "truncate", "malformed", "html", "slow:after=0.1", "bom",
          "gzip:every=1", "chunked:every=1", "huge_headers", "close:every=1", "429:on=token,retry_after=0", "502:on=token", "gzip:on=token"]
AFTER_THE_FIRST = ["revoke:skip=1", "repeat:skip=1", "duplicate:every=1", "short:every=1", "short:by=3,every=2", "reset:skip=1", "truncate:skip=1",
                   "wrong_total:every=1", "wrong_pages", "wrong_pages:by=-1"]


def each_fault(bench, name):
    for fault in FAULTS + (AFTER_THE_FIRST if name in WITH_PAGES else []):
        if name == "interaction_search" and fault.startswith("repeat"):
            fault = "repeat:on=results,skip=1"
        with emulate(bench, fault) as server:
            exact(bench, server, name, fault)
            kind, _, keys = fault.partition(":")
            applies = kind not in ("wrong_total", "wrong_pages") or name in {"wrong_total": ["details_paged", "aggregate_tree"],
                                                                             "wrong_pages": ["details_paged"]}[kind]
            met, least = server.faults(kind), (2 if "every=1" in keys or "times=2" in keys else 1) if applies else 0
            check(met >= least and (applies or not met), "%s, %s: %d requests met it", name, fault, met)


@case()
def emulator_faults_of_sliced(bench):
    each_fault(bench, "details_sliced")


@case()
def emulator_faults_of_paged(bench):
    each_fault(bench, "details_paged")


@case()
def emulator_faults_of_intervals(bench):
    each_fault(bench, "interval_report")


@case()
def emulator_faults_of_tree(bench):
    each_fault(bench, "aggregate_tree")


@case()
def emulator_faults_of_search(bench):
    each_fault(bench, "interaction_search")


@case(few=True)
def emulator_many_faults_at_once(bench):
    mixture = ["429:share=0.1,retry_after=0", "502:share=0.05", "reset:share=0.03", "malformed:share=0.03", "gzip:share=0.5", "chunked:share=0.3",
               "bom:share=0.2", "close:share=0.2", "short:share=0.3", "duplicate:share=0.3"]
    with emulate(bench, *mixture) as server:
        for name in REPORTS:
            exact(bench, server, name, mixture)


@case()
def emulator_promises_too_much(bench):
    """Page counts that are too high every time: the leaf is read twice, and is whole; its count is worth nothing."""
    with emulate(bench, "wrong_pages:every=1") as server:
        pull(bench, server, "details_paged").expect(0, "the API promised 6 pages", "counted: not promised")
        exact(bench, server, "details_paged", "wrong_pages:every=1")


@case()
def emulator_late_records(bench):
    """What a page lacks at first is there when it is asked for again."""
    for name in REPORTS:
        with emulate(bench, "late:records=3") as server:
            pull(bench, server, name).expect(0)
            check(bench.read("out") != REPORTS[name][0](data(), *span()).encode(), "%s: no record was late", name)
            exact(bench, server, name, "the second time")
    rows = sum(1 for _ in data().select(*span()))
    with emulate(bench, "late") as server:
        pull(bench, server, "interaction_search", "-p", "expected=%d" % rows, "-p", "accuracy=1").expect(3, "%d of %d" % (rows - 1, rows))


@case()
def emulator_jobs(bench):
    name = "interaction_search"
    with emulate(bench, "job_failed:message=no index, come back later") as server:
        pull(bench, server, name).expect(1, "no index, come back later")
        exact(bench, server, name, "the next job")
    with emulate(bench, "job_stuck") as server:
        pull(bench, server, name, "-p", "polls=3").expect(1, "not complete after 3 polls")
        exact(bench, server, name, "the next job")
    for fault in ("cursor_expired", "cursor_expired:skip=2"):
        with emulate(bench, fault) as server:
            exact(bench, server, name, fault)
            equal(bench.summary()["restarts"], 1, "restarts")
    with emulate(bench, "cursor_expired:every=1") as server:
        pull(bench, server, name).expect(1, "the cursor has expired")


@case()
def emulator_calls_webhooks(bench):
    with emulate(bench, options=[*SMALL, "--job-ms", 700]) as server:
        result = pull(bench, server, "interaction_search", "-p", "poll=60s", "--listen", "127.0.0.1")  # without the call it would sleep for a minute
        result.expect(0)
        same_rows(bench.read("out"), truth.interaction_search(data(), *span()).encode())


class Stranger(http.server.BaseHTTPRequestHandler):
    """Another origin: notes what arrives."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.heard.append(self.path + str(self.headers))
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_GET


@contextlib.contextmanager
def stranger():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger)
    server.heard = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server, "http://127.0.0.1:%d" % server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@case()
def emulator_leads_elsewhere(bench):
    with stranger() as (other, url):
        for fault, names in (("foreign_link:to=" + url, WITH_LINKS), ("foreign_redirect:to=" + url, REPORTS), ("foreign_redirect:on=token,to=" + url, REPORTS)):
            for name in names:
                with emulate(bench, fault) as server:
                    pull(bench, server, name).expect(1, "another origin" if "link" in fault or "token" not in fault else "")
        equal(other.heard, [], "what the other origin heard")


# ---- rules

@case()
def emulator_rules(bench):
    for fault, words in [("hiccup", ["'hiccup'", "is not one of", "job_stuck"]), ("gzipp", ["did you mean 'gzip'"]), ("429:time=2", ["did you mean 'times'"]),
                         ("reset:on=pole", ["did you mean 'poll'"]), ("302", ["302 is below 400"]), ("502:times=x", ["times=x is not a number"]),
                         ("foreign_link", ["it needs to="]), ("slow:after", ["key=value"]), ("502:every=0", ["every: 0 is below 1"]),
                         ("502:after=2", ['"after" is not one of'])]:
        bench.quern("emulate", "--fault", fault).expect(2, fault, *words)
    bench.quern("run", "tree").expect(2, "no script named 'tree'")  # the emulator's parts are no scripts to run
    kinds = re.search(r'not one of (.*)$', bench.quern("emulate", "--fault", "-").err).group(1).split(", ")
    help_text = bench.quern("emulate", "--help").expect(0).out.decode()
    for kind in kinds:
        check(kind == "status" or re.search(r"^  %s  " % kind, help_text, re.M), "the help does not list %s", kind)
