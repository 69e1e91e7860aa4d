"""--memory: large pages in little memory, the same rows, whatever the output is; what waits is told."""
import contextlib
import functools
import hashlib
import http.server
import json
import threading
import urllib.parse

from harness import case, check, equal

DAYS, PAGES, RECORDS = 6, 5, 400
PAGE_BYTES = 2 << 20
MEGABYTE = 1 << 20


class Api(http.server.BaseHTTPRequestHandler):
    """GET /q?day=D&pageNumber=N: pages of 2 MB. The first page 4 of the first day is page 1 again: its walk begins again."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        query = urllib.parse.parse_qs(self.path.partition("?")[2])
        day, page = int(query["day"][0]), int(query["pageNumber"][0])
        if (day, page) == (1, 4) and not self.server.repeated:
            self.server.repeated, page = True, 1
        body = self.server.bodies[day, page]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def record(day, page, number):
    filler = hashlib.sha256(b"%d %d %d" % (day, page, number)).hexdigest()
    return json.dumps({"id": "%d-%d-%d" % (day, page, number), "filler": filler * (PAGE_BYTES // RECORDS // 64)})


def rows_of(day):
    return [record(day, page, number) for page in range(1, PAGES + 1) for number in range(RECORDS)]


@contextlib.contextmanager
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads, server.repeated = True, False
    server.bodies = {(day, page): ('{"items":[%s],"pages":%d}' % (
        ", ".join(record(day, page, number) for number in range(RECORDS)), PAGES)).encode()
        for day in range(1, DAYS + 1) for page in range(1, PAGES + 1)}
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
  name = "large", client = { base_url = quern.env "API_URL" }, params = { from = quern.param.time {}, to = quern.param.time {} },
  chunk = quern.chunk.by_time { size = "P1D" },
  request = function(_, c) return { path = "/q", query = { day = c.from:iso("s"):sub(9, 10) } } end,
  pages = quern.pages.number { size = 400, stop = "count", count = "$.pages" },
  records = "$.items[*]", raw = true,
}
"""
RUN = ("run", "large.lua", "-p", "from=2024-01-01", "-p", "to=2024-01-07", "--concurrency", 6, "--workers", 2, "--summary", "s.json")


def told(result):
    return sum("leaves wait for memory" in line for line in result.err.splitlines())


@case()
def little_memory(bench):
    """A file, a pipe and a JSON array; no limit, a narrow one, and less than one page."""
    bench.write("large.lua", QUERY)
    rows = [row for day in range(1, DAYS + 1) for row in rows_of(day)]
    lines = "".join(row + "\n" for row in rows).encode()
    array = ("[\n" + ",\n".join(rows) + "\n]\n").encode()
    peaks = {}
    for memory in (None, "24M", "1M"):
        limit = ("--memory", memory) if memory else ()
        for output, expected in (("out.ndjson", lines), ("-", lines), ("out.json", array)):
            with api() as server:
                result = bench.quern(*RUN, "-o", output, *limit, env=server.env).expect(0)
            check((result.out if output == "-" else bench.read(output)) == expected, "rows of %s with --memory %s", output, memory)
            summary = bench.summary("s.json")
            equal(summary["restarts"], 1, "restarts")
            waits = summary.get("memory")
            if memory:
                check(waits and waits["waits"] > 0 and waits["wait_ms"] >= 0, "waits in the summary: %s", waits)
                equal(waits["limit"], int(memory[:-1]) * MEGABYTE, "the limit")
            equal(told(result), 1 if memory else 0, "lines that tell of it")
            peaks[memory] = max(peaks.get(memory, 0), summary["memory_peak_bytes"])
    # what else a run needs, Lua and threads with it, is a few megabytes
    check(peaks["24M"] < 24 * MEGABYTE + 6 * MEGABYTE, "peak with 24M: %d", peaks["24M"])
    check(peaks["1M"] < 2.6 * PAGE_BYTES + 8 * MEGABYTE, "peak with one page at a time: %d", peaks["1M"])
    check(peaks["1M"] < peaks["24M"] < peaks[None], "peaks: %s", peaks)


@case()
def sizes(bench):
    bench.write("large.lua", QUERY)
    for size in ("12x", "0", "100K", "1.5G"):
        bench.quern(*RUN, "--memory", size).expect(2, "--memory '%s' is not a size from 1M on" % size)


@case()
def queries_of_programs(bench):
    """quern.rows has the limit of the program."""
    bench.write("large.lua", QUERY)
    bench.write("program.lua", """local quern = require "quern"
return function() for row in quern.rows("large.lua", { from = "2024-01-01", to = "2024-01-07" }) do quern.emit { id = row.id } end end
""")
    with api() as server:
        result = bench.quern("run", "program.lua", "-o", "out.ndjson", "--memory", "8M", env=server.env).expect(0)
    equal(told(result), 1, "lines that tell of it")
    ids = ['{"id":"%d-%d-%d"}\n' % (day, page, number) for day in range(1, DAYS + 1) for page in range(1, PAGES + 1) for number in range(RECORDS)]
    check(bench.read("out.ndjson") == "".join(ids).encode(), "rows of a program")
