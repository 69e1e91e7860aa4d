"""What operations staff rely on: the audit file against the server's own log, alerts, waiting."""
import collections
import contextlib
import http.server
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

from harness import CLIENT_SECRET, Server, case, check, equal

RANGE = ["-p", "from=2024-01-01", "-p", "to=2024-01-31"]
DATA = ["--days", 31, "--rate", 40]


def audit_lines(bench, name="audit.jsonl"):
    return [json.loads(line) for line in bench.read(name).decode().splitlines()]


def leaves_of(lines, event):
    return {line["leaf"]: line for line in lines if line["event"] == event}


@case(few=True)
def audit_against_the_servers_log(bench):
    with Server(*DATA, "--max-records", 300, "--first", "502,429", "--log", bench.path("server.log")) as server:
        bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "audit.jsonl", env=server.env).expect(0)
        statuses = collections.Counter(json.loads(line)["status"] for line in bench.read("server.log").splitlines())
    lines = audit_lines(bench)
    requests = [line for line in lines if line["event"] == "request"]
    equal(collections.Counter(line["status"] for line in requests), statuses, "answers by status")
    whole = leaves_of(lines, "query_completed")
    rows = len(json.loads(bench.read("out.json")))
    check(sum(line["result_count"] for line in whole.values()) >= rows, "the leaves' counts do not cover the rows")
    check(len(whole) >= 2 and leaves_of(lines, "query_split"), "the run was to be split")
    for line in lines:
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"]), "timestamp: %s", line)
        check(line["query"] == "details_sliced" and line["run"], "%s", line)
    for leaf, line in whole.items():
        check(line["status"] == "success" and line["latency_ms"] >= 0 and re.fullmatch("[0-9a-f]{64}", line["query_hash"]), "%s", line)
        equal(leaves_of(lines, "query_submitted")[leaf]["query_hash"], line["query_hash"], "hash of " + leaf)
    text = bench.read("audit.jsonl").decode()
    check(CLIENT_SECRET not in text and "tok-" not in text, "a secret stands in the audit")
    equal(stat.S_IMODE(os.stat(bench.path("audit.jsonl")).st_mode), 0o600, "mode of the audit")


@case()
def audit_is_added_to_and_its_hashes_repeat(bench):
    runs = []
    for port_changes in range(2):
        with Server(*DATA) as server:  # another port each time: the hash knows no origin
            bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "audit.jsonl", env=server.env).expect(0)
        lines = audit_lines(bench)
        runs.append({leaf: line["query_hash"] for leaf, line in leaves_of(lines[port_changes * len(lines) // 2:], "query_completed").items()})
    equal(runs[0], runs[1], "hashes of the second run")
    equal(len({line["run"] for line in lines}), 2, "runs in the file")


@case()
def audit_that_cannot_be_written(bench):
    with Server(*DATA) as server:
        result = bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "none/audit.jsonl", env=server.env)
        result.expect(2, "--audit none/audit.jsonl", "No such file")
        equal(server.stats()["requests"], 1, "requests, this question included")
        bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "/dev/full", env=server.env).expect(1, "No space left")
    equal(bench.files(), [], "files left")


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.posts.append((self.path, dict(self.headers), json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
        status = self.server.statuses.pop(0) if self.server.statuses else 204
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self):
        """An API that wants to be left alone for an hour."""
        self.send_response(429)
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def listener(*statuses):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    server.posts, server.statuses = [], list(statuses)
    server.url = "http://127.0.0.1:%d/services/T0/B0/hook-token" % server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@case(few=True)
def alert_url(bench):
    with listener(500) as hook:
        with Server(*DATA, "--always", "403") as server:
            result = bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--alert-url", hook.url, "--audit", "audit.jsonl",
                                 "--log", "json", env=server.env).expect(4)
            equal(server.stats()["foreign"], 0, "requests elsewhere")
        equal(len(hook.posts), 2, "the alert, tried twice")
        path, headers, body = hook.posts[1]
        equal(path, "/services/T0/B0/hook-token", "path")
        check("Authorization" not in headers and "tok-" not in str(headers), "headers: %s", headers)
        equal((body["type"], body["exit"], body["query"]), ("failed", 4, "details_sliced"), "the alert")
        check("403" in body["reason"] and CLIENT_SECRET not in json.dumps(body), "%s", body)
        for text in (result.err, bench.read("audit.jsonl").decode()):
            check("hook-token" not in text and "/services" not in text, "the alert URL is printed: %s", text)
        with Server(*DATA) as server:
            bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--alert-url", hook.url, env=server.env).expect(0)
        equal(len(hook.posts), 2, "no alert for a run that is well")


@case()
def alert_url_that_is_dead_or_wrong(bench):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dead = "http://127.0.0.1:%d/hook-token-of-it" % unused.getsockname()[1]
        with Server(*DATA, "--always", "403") as server:
            bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--alert-url", dead, env=server.env).expect(4, "the alert 'failed' could not")
            result = bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--alert-url", "http://192.0.2.1/hook-token", env=server.env)
            result.expect(4, "could not be sent")
            check("hook-token" not in result.err, "the URL is printed: %s", result.err)
            bench.quern("run", "details_sliced", *RANGE, "--alert-url", "hook-token", env=server.env).expect(2, "--alert-url: it is not a URL")


@case()
def wait_is_interrupted_at_once(bench):
    script = bench.write("busy.lua", """local quern = require "quern"
return quern.query {
  name = "busy", client = { base_url = quern.env "BASE_URL" }, request = function() return { path = "/x" } end,
  records = "$.items[*]", columns = { { "id", "$.id" } },
}
""")
    with listener() as hook:
        process = bench.start("run", script, "-o", "out.csv", "--wait", "--alert-url", hook.url, env={"BASE_URL": hook.url.split("/services")[0]})
        line = process.stderr.readline().decode()
        check("waiting 60 min" in line and ", until 20" in line and "answered 429" in line, "why it waits: %r", line)
        process.send_signal(signal.SIGINT)
        started = time.monotonic()
        err = process.communicate(timeout=30)[1].decode()
        equal(process.returncode, 130, "exit status; stderr: %s" % err)
        check(time.monotonic() - started < 5, "it took %.1f s to end", time.monotonic() - started)
        equal([post[2]["type"] for post in hook.posts], ["waiting"], "alerts")
    equal(bench.files(), ["busy.lua"], "files left")


HOOKED = """local quern = require "quern"
local log, events = quern.log, quern.events
local hooks = { base_url = quern.env "BASE_URL" }
local client
return quern.query {
  name = "hooked", client = { base_url = quern.env "API_URL" },
  request = function()
    log.debug("asking", { n = 1 })
    events.emit("asking", { n = 2 })
    return { path = "/items.json" }
  end,
  records = "$.items[*]", fields = { "id" }, transform = function(record) return { id = record.id * 2 } end,
  on_event = function(event)
    client = client or assert(quern.http.client(hooks))
    if event.type == "run_finished" then assert(client:post("/done", { json = { rows = event.summary.rows } })) end
    if event.type == "script.asking" then assert(client:post("/asking", { json = { n = event.n } })) end
  end,
}
"""


@case(few=True)
def on_event_and_log(bench):
    script = bench.write("hooked.lua", HOOKED)
    bench.write("items.json", '{"items": [{"id": 1}, {"id": 2}]}')
    with subprocess.Popen([sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1"], cwd=bench.folder, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as files:
        try:
            env = {"API_URL": "http://127.0.0.1:" + re.search(r"port (\d+)", files.stdout.readline()).group(1)}
            with listener() as hook:
                env["BASE_URL"] = hook.url.split("/services")[0]
                result = bench.quern("run", script, env=env).expect(0)
                equal(result.out, b'{"id":2}\n{"id":4}\n', "rows")
                check("asking" not in result.err, "a debug line without --log-level: %s", result.err)
                equal([(path, body) for path, _, body in hook.posts], [("/asking", {"n": 2}), ("/done", {"rows": 2})], "what the hook sent")
                bench.quern("run", script, "--log-level", "debug", env=env).expect(0, "debug: asking")
                lines = [json.loads(line) for line in bench.quern("run", script, "--log", "json", env=env).expect(0).err.splitlines()]
                equal([line["n"] for line in lines if line["type"] in ("log", "script.asking")], [1, 2], "the script's own events")
        finally:
            files.kill()
