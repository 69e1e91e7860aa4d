"""Records as they come: cells that a spreadsheet would run, records that no column can convert."""
import contextlib
import functools
import http.server
import json
import threading
import urllib.parse

from harness import case, check, equal


class Api(http.server.BaseHTTPRequestHandler):
    """GET /items?pageNumber=N: pages of `server.size` of `server.items`, as texts of JSON. With from=A&to=B only those between
    these minutes of a day, with id=A&id=B only these: 413 above `server.most` of them, and the first time that a page 2 from 22:30 is asked for, page 1 again."""

    def do_GET(self):
        path, _, text = self.path.partition("?")
        query = urllib.parse.parse_qs(text)
        number, size, items = int(query.get("pageNumber", ["1"])[0]), self.server.size, self.server.items
        if "from" in query:
            items = items[minute(query["from"][0]):minute(query["to"][0])]
            if number == 2 and query["from"][0].endswith("22:30:00Z") and not self.server.repeated:
                number, self.server.repeated = 1, True
        if "id" in query:
            items = [items[int(place)] for place in query["id"]]
        status = 413 if len(items) > self.server.most else 200
        body = ('{"items":[%s],"total":%d}' % (",".join(items[(number - 1) * size:number * size]), len(items))).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def minute(instant):
    """Of 2024-01-01, or of the next day's midnight."""
    day, hour, minutes = int(instant[8:10]), int(instant[11:13]), int(instant[14:16])
    return (day - 1) * 1440 + hour * 60 + minutes


@contextlib.contextmanager
def api(items, size=50, most=1 << 30):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.items, server.size = [item if isinstance(item, str) else json.dumps(item) for item in items], size
    server.most, server.repeated = most, False
    thread = threading.Thread(target=functools.partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    try:
        server.env = {"API_URL": "http://127.0.0.1:%d" % server.server_address[1]}
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


QUERY = """local quern = require "quern"
return quern.query {
  name = "items", client = { base_url = quern.env "API_URL" },
  request = function() return { path = "/items" } end, pages = quern.pages.number { size = 50, stop = "empty" },
  records = "$.items[*]", %s
}
"""


@case(few=True)
def formulas_are_guarded(bench):
    query = bench.write("items.lua", QUERY % 'columns = { { "-id", "$.id" }, { "text", "$.text" }, { "list", "$.list" } }')
    items = [{"id": -1, "text": "=HYPERLINK(\"http://x\",1)", "list": ["=1"]}, {"id": 2, "text": "-2", "list": None},
             {"id": 3, "text": "plain", "list": []}, {"id": 4, "text": "\t=1"}, {"id": 5, "text": "@a\rb"}]
    guarded = ("'-id,text,list\r\n-1,\"'=HYPERLINK(\"\"http://x\"\",1)\",\"[\"\"=1\"\"]\"\r\n2,'-2,\r\n3,plain,[]\r\n4,'\t=1,\r\n"
               "5,\"'@a\rb\",\r\n")
    with api(items) as server:
        bench.quern("run", query, "-o", "safe.csv", "--csv-safe", env=server.env).expect(0)
        equal(bench.read("safe.csv").decode(), guarded, "guarded cells")
        bench.quern("run", query, "-o", "plain.csv", env=server.env).expect(0)
        equal(bench.read("plain.csv").decode(), guarded.replace("'", ""), "plain cells")
        bench.quern("run", query, "-o", "rows.json", "--csv-safe", env=server.env).expect(2, "--csv-safe", "json")
        equal(bench.files(), ["items.lua", "plain.csv", "safe.csv"], "files")


# Every tenth record fails; the spelling of those that fail must come through as it is.
def some_fail(count, padding=""):
    return ['{"id":%d,"n":%s,"pad":"%s"}' % (n, '"no\\u0041"' if n % 10 == 3 else n, padding) for n in range(count)]


def good_rows(count):
    return "id,n\r\n" + "".join("%d,%d\r\n" % (n, n) for n in range(count) if n % 10 != 3)


def check_quarantine(bench, name, items):
    """Its lines are the items that fail, in their order, each once."""
    lines = bench.read(name).decode().splitlines()
    equal(len(lines), len(items), "records in the quarantine")
    for line, item in zip(lines, items):
        check(line.endswith(',"value":%s}' % item), "the record's own text is not in %s", line)
        one = json.loads(line)
        equal(sorted(one), ["leaf", "page", "reason", "record", "value"], "members")
        check(one["reason"] == "column 'n': \"no\\u0041\" is not an integer", "reason: %s", one["reason"])


COLUMNS = 'columns = { { "id", "$.id" }, { "n", "$.n", as = "integer" } }'
BY_TIME = """local quern = require "quern"
return quern.query {
  name = "minutes", client = { base_url = quern.env "API_URL" },
  params = { from = quern.param.time { default = "2024-01-01" }, to = quern.param.time { default = "2024-01-02" } },
  chunk = quern.chunk.by_time { size = "PT6H", floor = "PT15M", grain = "PT1M" },
  request = function(p, chunk) return { path = "/items", query = { from = chunk.from:iso("s"), to = chunk.to:iso("s") } } end,
  pages = quern.pages.number { size = 10, stop = "short" }, total = "$.total",
  records = "$.items[*]", key = "$.id", %s
}
"""


@case(few=True)
def records_that_fail(bench):
    query = bench.write("items.lua", QUERY % COLUMNS)
    items = some_fail(250)
    failing = items[3::10]
    with api(items) as server:
        bench.quern("run", query, "-o", "rows.csv", env=server.env).expect(1, "page 1, record 4", "'n'", "is not an integer")
        equal(bench.files(), ["items.lua"], "files after stop")
        result = bench.quern("run", query, "-o", "rows.csv", "--on-error", "skip", "--summary", "summary.json", env=server.env)
        result.expect(0, "225 rows", "25 records failed", "record failed, leaf whole page 1, record 4: column 'n'", "5 more records failed")
        equal(result.err.count("record failed, leaf"), 20, "failures told")
        equal(bench.read("rows.csv").decode(), good_rows(250), "rows after skip")
        equal((bench.summary()["failed"], bench.summary()["records"]), (25, 250), "failed and received records")
        equal(bench.files(), ["items.lua", "rows.csv", "summary.json"], "files after skip")
        bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", env=server.env) \
            .expect(0, "25 records failed (rows.csv.quarantine.ndjson)")
        equal(bench.read("rows.csv").decode(), good_rows(250), "rows beside a quarantine")
        check_quarantine(bench, "rows.csv.quarantine.ndjson", failing)
        bench.quern("run", query, "--on-error", "quarantine", env=server.env).expect(2, "--quarantine FILE")
        result = bench.quern("run", query, "--format", "csv", "--on-error", "quarantine", "--quarantine", "bad.ndjson", env=server.env).expect(0)
        equal(result.out.decode(), good_rows(250), "rows on stdout")
        check_quarantine(bench, "bad.ndjson", failing)
        server.items = [item for item in items if item not in failing]
        bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", env=server.env).expect(0)
        equal(bench.files(), ["bad.ndjson", "items.lua", "rows.csv", "summary.json"], "files when nothing failed")


@case(few=True)
def quarantine_after_splits_and_a_restart(bench):
    query = bench.write("minutes.lua", BY_TIME % COLUMNS)
    items = some_fail(1440)
    with api(items, size=10, most=70) as server:
        bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", "--summary", "summary.json", env=server.env).expect(0)
        summary = bench.summary()
        check(summary["splits"] >= 12, "%d splits", summary["splits"])
        check(server.repeated and summary["restarts"] >= 1, "no restart")
        equal(bench.read("rows.csv").decode(), good_rows(1440), "rows")
        check_quarantine(bench, "rows.csv.quarantine.ndjson", items[3::10])


@case()
def quarantine_on_a_full_disk(bench):
    query = bench.write("items.lua", QUERY % COLUMNS)
    with api(some_fail(500, "x" * 20000)) as server:
        bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", env=server.env, file_limit=512 << 10) \
            .expect(1, ".rows.csv.quarantine.ndjson.", "File too large")
        equal(bench.files(), ["items.lua"], "files after a full disk")
        bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", "--quarantine", "no/such/file", env=server.env) \
            .expect(1, "no/such/file")
        equal(bench.files(), ["items.lua"], "files without a place for the quarantine")
        for same in ("rows.csv", "./rows.csv", bench.path("rows.csv")):
            bench.quern("run", query, "-o", "rows.csv", "--on-error", "quarantine", "--quarantine", same, env=server.env) \
                .expect(2, same + ": the rows go there")
            equal(bench.files(), ["items.lua"], "files after one file for both")


LIST = """local quern = require "quern"
return quern.query {
  name = "chosen", client = { base_url = quern.env "API_URL" }, params = { ids = quern.param.list { required = true } },
  chunk = quern.chunk.by_list { param = "ids", size = 40 },
  request = function(_, chunk) return { path = "/items", query = { id = chunk.items } } end,
  pages = quern.pages.number { size = 10, stop = "short" }, total = "$.total",
  records = "$.items[*]", key = "$.id", columns = { { "id", "$.id" } },
}
"""


@case(few=True)
def a_list_in_chunks_that_are_halved(bench):
    query = bench.write("chosen.lua", LIST)
    chosen = [str(n) for n in range(0, 300, 3)]
    with api([{"id": n} for n in range(300)], most=15) as server:
        bench.quern("run", query, "-p", "ids=" + ",".join(chosen + chosen[:5]), "-o", "rows.csv", "--summary", "summary.json",
                    env=server.env).expect(0, "100 rows")
        equal(bench.read("rows.csv").decode().split(), ["id"] + chosen, "rows")
        equal((bench.summary()["splits"], bench.summary()["tiled"]), (7, True), "splits and tiling")
        server.most = 0
        bench.quern("run", query, "-p", "ids=0,3", "-o", "none.csv", env=server.env).expect(5, "a single item is as small as it gets")
