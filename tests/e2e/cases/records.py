"""Records as they come: cells that a spreadsheet would run, records that no column can convert."""
import contextlib
import functools
import http.server
import json
import threading

from harness import case, equal


class Api(http.server.BaseHTTPRequestHandler):
    """GET /items?pageNumber=N: pages of `server.size` of `server.items`, as texts of JSON."""

    def do_GET(self):
        _, _, query = self.path.partition("?")
        number = int(dict(pair.split("=") for pair in query.split("&")).get("pageNumber", 1)) if query else 1
        items = self.server.items[(number - 1) * self.server.size:number * self.server.size]
        body = ('{"items":[%s]}' % ",".join(items)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@contextlib.contextmanager
def api(items, size=50):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.items, server.size = [item if isinstance(item, str) else json.dumps(item) for item in items], size
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
