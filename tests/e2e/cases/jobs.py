"""Jobs against a small server of their own: webhooks, interruption, failure, and how little a stranger's call can do."""
import contextlib
import http.server
import json
import signal
import threading
import time
import urllib.error
import urllib.request

from harness import case, check, equal

SCRIPT = """
local quern = require "quern"
return quern.query {
  name = "search",
  params = { every = quern.param.duration { default = "60s" } },
  client = { base_url = quern.env "BASE_URL" },
  request = function() return { path = "/submit", json = { q = 1 } } end,
  job = quern.job {
    id = "$.id", state = "$.state", complete = { "done" }, failed = { "failed" }, message = "$.why",
    poll = function(id) return { path = "/jobs/" .. id } end,
    results = function(id) return { path = "/results/" .. id } end,
    cancel = function(id) return { method = "DELETE", path = "/jobs/" .. id } end,
    webhook = { url = quern.env("PUBLIC_URL", ""), set = function(request, url) request.json.callback = url end },
    every = function(p) return p.every end, growth = 1,
  },
  records = "$.items[*]",
  columns = { { "id", "$.id" } },
}
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = json.dumps(value).encode() if value is not None else b""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.callback = body.get("callback")
        self.server.seen.append("submit")
        self.answer(202, {"id": "j1"})

    def do_GET(self):
        kind = self.path.split("/")[1]
        self.server.seen.append(kind)
        if kind == "jobs":
            return self.answer(200, {"state": self.server.state, "why": "the index is gone"})
        self.answer(200, {"items": [{"id": 1}, {"id": 2}]})

    def do_DELETE(self):
        self.server.seen.append("cancel")
        self.answer(204, None)


@contextlib.contextmanager
def api():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.state, server.callback = [], "running", None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.env = {"BASE_URL": "http://127.0.0.1:%d" % server.server_address[1]}
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def wait_for(condition, what):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.05)
    check(False, "%s did not happen", what)


def call(url, body=b"{}", method="POST"):
    """The status that a call of the listener gets."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body, method=method), timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@case(few=True)
def a_webhook_shortens_the_wait(bench):
    script = bench.write("search.lua", SCRIPT)
    with api() as server:
        process = bench.start("run", script, "--listen", "127.0.0.1", "-o", "out.csv", env=server.env)
        wait_for(lambda: "jobs" in server.seen, "the first poll")
        url = server.callback
        check(url and len(url.split("/quern/")[1]) == 32, "callback %s", url)
        base = url.split("/quern/")[0]
        equal(call(base + "/quern/" + "0" * 32), 404, "a path that nobody knows")
        equal(call(url, method="GET", body=None), 404, "GET")
        equal(call(url, body=b"x" * 200000), 413, "a large body")
        equal(server.seen, ["submit", "jobs"], "requests before the call")
        server.state = "done"
        equal(call(url, body=b"not even JSON"), 204, "the call")
        err = process.communicate(timeout=30)[1].decode()  # without the call it would sleep for a minute
        equal(process.returncode, 0, "exit status; stderr: " + err)
        equal(bench.read("out.csv"), b"id\r\n1\r\n2\r\n", "rows")
        equal(server.seen, ["submit", "jobs", "jobs", "results"], "requests")


@case()
def a_webhook_behind_a_proxy(bench):
    script = bench.write("search.lua", SCRIPT)
    with api() as server:
        server.state = "done"
        env = {**server.env, "PUBLIC_URL": "https://hooks.example.com/in/"}
        bench.quern("run", script, "--listen", "0", "-o", "out.csv", env=env).expect(0)
        check(server.callback.startswith("https://hooks.example.com/in/quern/"), "callback %s", server.callback)
        bench.quern("run", script, "-o", "out.csv", env=env).expect(0)
        equal(server.callback, "https://hooks.example.com/in/", "without --listen, somebody else's address")
        bench.quern("run", script, "-o", "out.csv", env=server.env).expect(0)
        equal(server.callback, None, "without both")


@case(few=True)
def an_interrupted_run_cancels_its_job(bench):
    script = bench.write("search.lua", SCRIPT)
    for number in (signal.SIGINT, signal.SIGTERM):
        with api() as server:
            process = bench.start("run", script, "-o", "out.csv", env=server.env)
            wait_for(lambda: "jobs" in server.seen, "the first poll")
            process.send_signal(number)
            err = process.communicate(timeout=30)[1].decode()
            equal(process.returncode, 130, "exit status; stderr: " + err)
            equal(server.seen, ["submit", "jobs", "cancel"], "requests")
            equal(bench.files(), ["search.lua"], "files left")


@case()
def a_failed_job(bench):
    script = bench.write("search.lua", SCRIPT)
    with api() as server:
        server.state = "failed"
        bench.quern("run", script, "-o", "out.csv", env=server.env).expect(1, "job j1 failed: the index is gone")
        equal(bench.files(), ["search.lua"], "files left")


@case()
def addresses_to_listen_at(bench):
    script = bench.write("search.lua", SCRIPT)
    for text in ("127.0.0.1:99999", "a:b:c", "[::1"):
        bench.quern("run", script, "--listen", text, "-o", "out.csv", env={"BASE_URL": "http://127.0.0.1:9"}).expect(2, "--listen", "127.0.0.1:8080")
    with api() as server:
        taken = str(server.server_address[1])
        bench.quern("run", script, "--listen", taken, "-o", "out.csv", env=server.env).expect(2, "--listen " + taken)
        equal(server.seen, [], "requests")
