"""What scripts can be besides a query, and what is added to a query: plugins, prepare, programs."""
import contextlib
import functools
import hashlib
import http.server
import json
import signal
import threading

from harness import case, check, equal


class Api(http.server.BaseHTTPRequestHandler):
    """Pages of 50 items /items?pageNumber=N, and /names."""

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.paths.append(self.path)
        number = int(dict(pair.split("=") for pair in query.split("&")).get("pageNumber", 1)) if query else 1
        if path == "/names":
            answer = {"names": {str(n): "name %d" % n for n in range(10)}}
        elif path == "/items":
            answer = {"items": [{"n": n, "kind": n % 10} for n in range((number - 1) * 50, min(number * 50, self.server.items))]}
        else:
            answer = None
        body = json.dumps(answer).encode()
        self.send_response(200 if answer else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a run that was ended hangs up
            self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def api(items=500):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.items, server.paths = items, []
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
  prepare = function(_, client) return assert(client:get("/names")):json() end,
  request = function() return { path = "/items" } end, pages = quern.pages.number { size = 50, stop = "empty" },
  records = "$.items[*]", columns = { { "n", "$.n" }, { "name" } },
  transform = function(record, row, ctx)
    row.name = ctx.shared.names[tostring(record.kind)]
    return row
  end,
}
"""
EVEN = """return { name = "even", columns = { { "kind", "$.kind" } }, transform = function(record, row)
  if record.n % 2 == 1 then return nil end
  return { row, { n = -record.n, name = row.name, kind = row.kind } }
end }
"""
SUM = """return { name = "sum", columns = { { "sum" } }, transform = function(_, row)
  row.sum = row.n + row.kind
  if row.n == 60 then error("no sixty") end
  return row
end }
"""


@case(few=True)
def plugins_and_prepare(bench):
    query, even, total = bench.write("items.lua", QUERY), bench.write("even.lua", EVEN), bench.write("sum.lua", SUM)
    expected = ["n,name,kind,sum"]
    for n in range(0, 58, 2):
        expected += ["%d,name %d,%d,%d" % (sign * n, n % 10, n % 10, sign * n + n % 10) for sign in (1, -1)]
    with api(58) as server:
        for workers in 1, 4:
            bench.quern("run", query, "--plugin", even, "--plugin", total, "-o", "out.csv", "--summary", "summary.json", "--workers", workers,
                        env=server.env).expect(0)
            equal(bench.read("out.csv").decode().split("\r\n"), expected + [""], "rows")
        equal([(one["name"], one["sha256"]) for one in bench.summary()["plugins"]],
              [(name, hashlib.sha256(text.encode()).hexdigest()) for name, text in (("even", EVEN), ("sum", SUM))], "plugins of the summary")
        asked = len(server.paths)
        plan = bench.quern("plan", query, "--plugin", even, env=server.env).expect(0).out.decode()
        check("plugin 'even'" in plan and "adds kind" in plan and "prepare runs first" in plan, "the plan: %s", plan)
        equal(len(server.paths), asked, "requests of a plan")
        bench.quern("run", query, "--plugin", total, "--plugin", total, env=server.env).expect(2, "has the same name")
        bench.quern("run", query, "--plugin", query, env=server.env).expect(1, "a plugin returns { name =, columns =, transform = }")
        bench.quern("run", query, "--plugin", "none.lua", env=server.env).expect(2, "--plugin none.lua")
    with api() as server:
        for workers in 1, 4:
            bench.quern("run", query, "-o", "bad.csv", "--plugin", even, "--plugin", total, "--workers", workers, env=server.env).expect(
                1, "page 2, record 11: plugin 'sum' failed at ", "sum.lua:3: no sixty")
    equal(bench.files(), ["even.lua", "items.lua", "out.csv", "sum.lua", "summary.json"], "files left")


PROGRAM = """local quern = require "quern"
return function(args)
  local api = assert(quern.http.client { base_url = quern.env "API_URL" })
  print("asking")
  quern.fields { "n", "kind" }
  for page = 1, tonumber(args.pages) do
    for _, item in ipairs(assert(api:get("/items", { query = { pageNumber = page } })):json().items) do quern.emit(item) end
  end
  if args.wait then
    print("waiting")
    while args.wait == "busy" do quern.emit { n = 0 } end
    quern.task.sleep(600)
  end
  if args.fail then error("no " .. args.fail) end
end
"""


@case(few=True)
def programs(bench):
    program = bench.write("ask.lua", PROGRAM)
    with api(120) as server:
        result = bench.quern("run", program, "-p", "pages=3", "-o", "out.csv", "--summary", "summary.json", "--audit", "audit.jsonl",
                             env=server.env).expect(0, "asking\n", "quern: ask complete: 120 rows, 3 requests, ", "; out.csv")
        equal(result.out, b"", "stdout")
        equal(bench.read("out.csv").decode(), "n,kind\r\n" + "".join("%d,%d\r\n" % (n, n % 10) for n in range(120)), "rows")
        summary = bench.summary()
        equal((summary["program"], summary["rows"], summary["requests"], summary["params"]), (True, 120, 3, {"pages": "3"}), "summary")
        equal([json.loads(line)["event"] for line in bench.read("audit.jsonl").splitlines()], ["request"] * 3, "audit")
        out = bench.quern("run", program, "-p", "pages=1", env=server.env).expect(0).out
        equal(out, b"".join(b'{"n":%d,"kind":%d}\n' % (n, n % 10) for n in range(50)), "rows on stdout")
        asked = len(server.paths)
        check(b"is a program" in bench.quern("plan", program, env=server.env).expect(0).out, "plan")
        equal(len(server.paths), asked, "requests of a plan")
        bench.quern("run", program, "-p", "pages=2", "-p", "fail=luck", "-o", "bad.csv", env=server.env).expect(1, "ask.lua:14: no luck")
        bench.quern("run", program, "-p", "pages=1", "--plugin", program, env=server.env).expect(2, "--plugin is for queries")
        for how in "quietly", "busy":
            process = bench.start("run", program, "-p", "pages=1", "-p", "wait=" + how, "-o", "bad.csv", env=server.env)
            while b"waiting" not in process.stderr.readline():
                pass
            process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=30)[1].decode()
            equal(process.returncode, 130, "exit status; stderr: %s" % err)
            check("left open" not in err and "Sanitizer" not in err, "%s", err)
    equal(bench.files(), ["ask.lua", "audit.jsonl", "out.csv", "summary.json"], "files left")


JOINED = """local quern = require "quern"
return function(args)
  quern.fields { "n", "name", "pair" }
  local count = 0
  for row in quern.rows "items.lua" do
    count = count + 1
    for other in quern.rows("items.lua") do
      row.pair = other.name
      break
    end
    quern.emit(row)
    if args.stop and count == tonumber(args.stop) then break end
    if args.slow then quern.task.sleep(0.05) end
  end
  print("read " .. count)
end
"""


@case(few=True)
def rows_of_queries(bench):
    program = bench.write("joined.lua", JOINED)
    bench.write("items.lua", QUERY)
    with api(60) as server:
        lines = ["n,name,pair"] + ["%d,name %d,name 0" % (n, n % 10) for n in range(60)]
        for workers in 1, 4:
            bench.quern("run", program, "-o", "out.csv", "--workers", workers, env=server.env).expect(0, "read 60", "60 rows")
            equal(bench.read("out.csv").decode().split("\r\n"), lines + [""], "rows")
        bench.quern("run", program, "-p", "stop=7", "-o", "out.csv", env=server.env).expect(0, "read 7\n")
        equal(bench.read("out.csv").decode().split("\r\n"), lines[:8] + [""], "rows until the break")
        process = bench.start("run", program, "-p", "slow=yes", "-o", "bad.csv", "--log", "json", env=server.env)
        while b"leaf_committed" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=30)[1].decode()
        equal(process.returncode, 130, "exit status; stderr: %s" % err[-2000:])
        check("left open" not in err and "Sanitizer" not in err, "%s", err[-2000:])
        bench.write("items.lua", QUERY.replace('"/items"', '"/nowhere"'))
        bench.quern("run", program, "-o", "bad.csv", env=server.env).expect(5, "quern.rows items: ", "404")
    equal(bench.files(), ["items.lua", "joined.lua", "out.csv"], "files left")
