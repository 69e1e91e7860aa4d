"""From pages to rows: the same bytes whatever the number of workers, values that an independent reader reads back, and what a worker's
error or an interrupt in the middle of a page leaves."""
import csv
import http.server
import io
import json
import os
import random
import signal
import threading
import time
import urllib.parse

from harness import case, check, equal, same_rows

LEAVES, PAGES, PER_PAGE = 6, 5, 40


class Pages(threading.Thread):
    """Serves `page(leaf, number)`, a list of records, as JSON of `text(page)`."""

    def __init__(self, page, pages=PAGES):
        super().__init__(daemon=True)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                body = outer.page(int(query["leaf"][0]), int(query["pageNumber"][0]))
                if not isinstance(body, str):
                    body = json.dumps(body, ensure_ascii=False)
                body = ('{"items":%s,"pageCount":%d}' % (body, pages)).encode("utf-8", "surrogatepass")
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.page = page
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # a client that goes away is what some cases are about
        self.env = {"BASE_URL": "http://127.0.0.1:%d" % self.server.server_address[1]}

    def run(self):
        self.server.serve_forever()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.join()


def query(rest, leaves=LEAVES):
    """A script over the pages; `rest`: what its rows are."""
    items = ", ".join('"%d"' % number for number in range(1, leaves + 1))
    return """
local quern = require "quern"
return quern.query {
  name = "items",
  client = { base_url = quern.env "BASE_URL" },
  chunk = quern.chunk.by_list { items = { %s }, size = 1 },
  request = function(_, chunk) return { path = "/items", query = { leaf = chunk.items[1] } } end,
  pages = quern.pages.number { size = %d, stop = "count", count = "$.pageCount" },
  records = "$.items[*]",
  %s
}
""" % (items, PER_PAGE, rest)


COLUMNS = """columns = { { "id", "$.id" }, { "name", "$.name" }, { "first", "$..deep" , reduce = "first" },
    { "sum", "$.list[*].n", reduce = "sum" }, { "all", "$.list[*].n", reduce = "list" } },"""
TRANSFORM = """fields = { "id", "name", "sum", "where" },
  transform = function(record, _, ctx)
    local sum = 0
    for _, item in ipairs(record.list) do sum = sum + item.n end
    if record.id % 7 == 0 then return nil end
    local row = { id = record.id, name = record.name, sum = sum, where = ctx.chunk.id .. "/" .. ctx.page .. "/" .. math.random(100) }
    return record.id % 5 == 0 and { row, row } or row
  end,"""


def some_records(leaf, number):
    rng = random.Random(leaf * 1000 + number)
    return [{"id": leaf * 1000000 + number * 1000 + k, "name": rng.choice(["Ada", 'Gr"ace', "O'Brien, Pat", "\u0141ukasz\nZ", "=1+1"]),
             "inner": {"deep": rng.random()}, "list": [{"n": rng.randrange(-9, 99)} for _ in range(rng.randrange(5))]}
            for k in range(PER_PAGE)]


@case(few=True)
def same_bytes_for_any_number_of_workers(bench):
    bench.write("columns.lua", query(COLUMNS))
    bench.write("transform.lua", query(TRANSFORM))
    bench.write("raw.lua", query("raw = true,"))
    with Pages(some_records) as pages:
        for name, formats in (("columns", ("csv", "ndjson", "json")), ("transform", ("csv", "json")), ("raw", ("ndjson", "json"))):
            for form in formats:
                seen = {}
                for workers in (1, 2, 4, 8):
                    seen[workers] = bench.quern("run", name + ".lua", "--format", form, "--workers", workers, "-o", "-",
                                                env=pages.env).expect(0).out
                check(len(seen[1]) > 1000, "%s as %s: %d bytes", name, form, len(seen[1]))
                for workers in (2, 4, 8):
                    same_rows(seen[workers], seen[1])


def read_back(form, out):
    """Rows as lists of what an independent reader makes of them."""
    text = out.decode("utf-8")
    if form == "csv":
        return list(csv.reader(io.StringIO(text, newline="")))[1:]
    rows = json.loads(text, parse_float=str, parse_int=str) if form == "json" else [
        json.loads(line, parse_float=str, parse_int=str) for line in text.split("\n")[:-1]]
    return [list(row.values()) for row in rows]


# source text, and what columns make of it: the text of a number stays as it is
NUMBERS = ["9007199254740993", "-9223372036854775808", "9223372036854775807", "18446744073709551615", "1e400", "-1e400", "-0", "0.1", "1E2",
           "1.0", "123456789012345678901234567890", "0.30000000000000004", "5e-324", "2.5", "-17"]
STRINGS = ["", " ", "\u0000", "a\u0000b", "\r\n", "a\rb\nc", '"', '""', 'he said "no"', ",", "a,b", "=1+1", "+1", "-1", "@x", "\t", "'",
           "\u00e9\u4e2d\U0001f600", "\ufeff", "\u2028\u2029", "\\", "\\u0041", "\x7f", "/" * 64 * 1024, "\u00e9" * 40000]


@case(few=True)
def values_read_back(bench):
    """Numbers and strings, through columns and a transform, in every format; lone surrogates become U+FFFD."""
    rng = random.Random(4)
    strings = STRINGS + ["".join(chr(rng.choice([rng.randrange(0x20), rng.randrange(0x80), rng.randrange(0xd800), rng.randrange(0xe000, 0x10ffff)]))
                                 for _ in range(rng.randrange(60))) for _ in range(300)]
    records = ['{"v":%s}' % text for text in NUMBERS]
    records += ['{"v":%s}' % json.dumps(text, ensure_ascii=rng.random() < 0.5) for text in strings]
    records += ['{"v":"\\ud800"}', '{"v":"a\\udc00b"}', '{"v":"\\ud800\\ud800\\udc00"}']
    wanted = NUMBERS + strings + ["\ufffd", "a\ufffdb", "\ufffd\U00010000"]
    bench.write("c.lua", query('columns = { { "v", "$.v" }, { "w", "$.v" } },', leaves=1))
    bench.write("t.lua", query('fields = { "v", "w" }, transform = function(r) return { v = r.v, w = "x" } end,', leaves=1))
    with Pages(lambda *_: "[" + ",\n".join(records) + "]", pages=1) as pages:
        for form in ("csv", "ndjson", "json"):
            rows = read_back(form, bench.quern("run", "c.lua", "--format", form, "-o", "-", env=pages.env).expect(0).out)
            equal(len(rows), len(wanted), form + " rows")
            for got, text in zip(rows, wanted):
                equal(got, [text, text], form + " of columns")
            rows = read_back(form, bench.quern("run", "t.lua", "--format", form, "-o", "-", env=pages.env).expect(0).out)
            for got, text in zip(rows[len(NUMBERS):], wanted[len(NUMBERS):]):
                equal(got[0], text, form + " of a transform")
            for got, text in zip(rows[:len(NUMBERS)], NUMBERS):
                exact = text.lstrip("-").isdigit() and abs(int(text)) < 2 ** 63 and text != "-0"
                check(got[0] == text if exact or "400" in text else float(got[0]) == float(text), "%s through Lua in %s: %s", text, form, got[0])


@case()
def raw_is_the_source(bench):
    """A raw row is the record's own text, byte for byte, numbers and escapes included; only line ends between tokens go."""
    records = ['{"v":%s,  "w":"\\u00e9\\/"}' % text for text in NUMBERS]
    bench.write("raw.lua", query("raw = true,", leaves=1))
    with Pages(lambda *_: "[" + ", ".join(records) + "]", pages=1) as pages:
        out = bench.quern("run", "raw.lua", "--format", "ndjson", "-o", "-", env=pages.env).expect(0).out
    equal(out.decode().split("\n")[:-1], records, "rows")


@case()
def deep_nesting(bench):
    """A thousand levels are read; what is deeper is refused with its place, not with a crash."""
    bench.write("c.lua", query('columns = { { "v", "$.v", as = "json" } },', leaves=1))
    with Pages(lambda *_: '[{"v":' + "[" * 1000 + "]" * 1000 + "}]", pages=1) as pages:
        out = bench.quern("run", "c.lua", "-o", "-", "--format", "ndjson", env=pages.env).expect(0).out
        equal(out, b'{"v":' + b"[" * 1000 + b"]" * 1000 + b"}\n", "row")
    with Pages(lambda *_: "[" * 5000 + "]" * 5000, pages=1) as pages:
        result = bench.quern("run", "c.lua", "-o", "out.csv", env=pages.env)
        check(result.status not in (0, 139) and "1024" in result.err, "exit %s: %s", result.status, result.err)
    equal([name for name in bench.files() if name.startswith("out")], [], "files")


@case()
def a_workers_error_names_its_place(bench):
    bench.write("t.lua", query("""fields = { "id" }, transform = function(record)
    if record.id == 3002007 then error("seven") end
    return { id = record.id }
  end,"""))
    with Pages(some_records) as pages:
        for workers in (1, 4):
            result = bench.quern("run", "t.lua", "--workers", workers, "-o", "out.csv", env=pages.env)
            result.expect(1, "page 2, record 8", "t.lua:", "seven")
            check("leaf " in result.err, "no leaf in: %s", result.err)
            equal([name for name in bench.files() if name.startswith("out")], [], "files")
        bench.quern("run", "t.lua", "--on-error", "skip", "-o", "out.csv", env=pages.env).expect(0)
        equal(len(bench.read("out.csv").splitlines()), 1 + LEAVES * PAGES * PER_PAGE - 1, "lines")


@case()
def strict_finds_what_a_transform_keeps(bench):
    bench.write("t.lua", query("""fields = { "n" }, transform = function()
    count = (count or 0) + 1
    return { n = count }
  end,"""))
    bench.write("pure.lua", query(TRANSFORM))
    with Pages(some_records) as pages:
        bench.quern("run", "t.lua", "-o", "-", env=pages.env).expect(0)
        bench.quern("run", "t.lua", "--strict", "-o", "out.csv", env=pages.env).expect(1, "the global 'count'", "t.lua:")
        plain = bench.quern("run", "pure.lua", "-o", "-", env=pages.env).expect(0).out
        same_rows(bench.quern("run", "pure.lua", "--strict", "-o", "-", env=pages.env).expect(0).out, plain)


@case()
def interrupted_in_a_page(bench):
    """The interrupt comes while each record takes a while: the run ends soon, with nothing half-written."""
    bench.write("t.lua", query("""fields = { "id" }, transform = function(record)
    local x = 0
    for i = 1, 3000000 do x = x + i end
    return { id = record.id }
  end,"""))
    with Pages(some_records) as pages:
        process = bench.start("run", "t.lua", "-o", "out.csv", env=pages.env)
        time.sleep(1)
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        check(process.returncode == 130, "exit %s: %s", process.returncode, err)
        check(time.monotonic() - begun < 20, "it took %.1f s", time.monotonic() - begun)
    check(not os.path.exists(bench.path("out.csv")), "out.csv is there")


BACKTRACKS = """fields = { "id" }, transform = function(record)
    if record.id == 3003007 then return { id = (("a"):rep(30)):find(("a*"):rep(12) .. "b") } end
    return { id = record.id }
  end,"""


@case()
def a_call_that_nothing_stops(bench):
    """A text pattern that goes on for minutes: the run ends all the same, naming the record, and does not wait for it."""
    bench.write("t.lua", query(BACKTRACKS))
    with Pages(some_records) as pages:
        result = bench.quern("run", "t.lua", "--on-error", "skip", "-o", "out.csv", env=pages.env)
        result.expect(1, "leaf 3", "page 3, record 8: transform failed: the transform of t.lua", "has run for 10 s", "text pattern")
    equal([name for name in bench.files() if "out" in name], [], "files")


@case()
def interrupted_in_a_call_that_nothing_stops(bench):
    bench.write("t.lua", query(BACKTRACKS))
    with Pages(some_records) as pages:
        process = bench.start("run", "t.lua", "-o", "out.csv", env=pages.env)
        time.sleep(2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        check(process.returncode == 130, "exit %s: %s", process.returncode, err)
    equal([name for name in bench.files() if "out" in name], [], "files")
