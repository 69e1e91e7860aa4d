"""HTTP/2 where a server offers it: many requests on one connection, and what happens to it when the server ends it."""
import os
import shutil
import socket
import subprocess
import time

from harness import HERE, case, check, equal

ITEMS = 24
QUERY = """
local quern = require "quern"
local items = {}
for number = 1, %d do items[number] = tostring(number) end
return quern.query {
  name = "many",
  client = { base_url = quern.env "BASE_URL", limit = { concurrency = 8 } },
  chunk = quern.chunk.by_list { items = items, size = 1 },
  request = function(_, chunk) return { path = "/items", query = { item = chunk.items[1] } } end,
  records = "$.items[*]",
  columns = { { "id", "$.id" } },
  format = "csv",
}
""" % ITEMS
NGINX = """
daemon off;
worker_processes 1;
pid %(folder)s/nginx.pid;
error_log stderr error;
events { worker_connections 64; }
http {
    log_format plain "$connection $server_protocol $status";
    access_log %(folder)s/access.log plain;
    client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
    uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
    ssl_certificate %(pem)s;
    ssl_certificate_key %(pem)s;
    keepalive_requests %(requests)d;
    server {
        listen 127.0.0.1:%(port)d ssl %(http2)s;
        location = /items {
            if ($connection_requests = %(cut)d) { return 444; }
            default_type application/json;
            return 200 '{"items":[{"id":"$arg_item"}]}';
        }
    }
}
"""


class Nginx:
    """nginx behind TLS; `lines` of (connection, protocol, status) once it has ended."""

    def __init__(self, bench, http2=True, requests=1000, cut=0):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = bench.path("nginx")
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.pem = os.path.join(HERE, "tls_test_only.pem")
        config = os.path.join(self.folder, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(NGINX % {"folder": self.folder, "pem": self.pem, "port": self.port, "requests": requests, "cut": cut,
                                "http2": "http2" if http2 else ""})
        path = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        check(path, "nginx is not installed: ./dev test installs it")
        self.process = subprocess.Popen([path, "-e", "stderr", "-c", config, "-p", self.folder])

    def __enter__(self):
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.02)
        check(False, "nginx does not listen")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def lines(self):
        with open(os.path.join(self.folder, "access.log"), encoding="ascii") as file:
            return [line.split() for line in file]


def pull(bench, nginx):
    bench.write("many.lua", QUERY)
    env = {"BASE_URL": "https://127.0.0.1:%d" % nginx.port}
    result = bench.quern("run", "many.lua", "--ca-file", nginx.pem, "-o", "-", env=env, timeout=60).expect(0)
    equal(result.out.decode(), "".join(["id\r\n"] + ["%d\r\n" % number for number in range(1, ITEMS + 1)]), "rows")


@case()
def requests_share_a_connection(bench):
    with Nginx(bench) as nginx:
        pull(bench, nginx)
    lines = nginx.lines()
    equal({protocol for _, protocol, _ in lines}, {"HTTP/2.0"}, "protocols")
    equal((len(lines), len({connection for connection, _, _ in lines})), (ITEMS, 1), "requests and connections")


@case()
def servers_without_http2(bench):
    with Nginx(bench, http2=False) as nginx:
        pull(bench, nginx)
    lines = nginx.lines()
    equal({protocol for _, protocol, _ in lines}, {"HTTP/1.1"}, "protocols")
    connections = len({connection for connection, _, _ in lines})
    check(len(lines) == ITEMS and connections <= 8, "%d requests, %d connections", len(lines), connections)


@case()
def a_connection_that_ends(bench):
    """GOAWAY after every fifth request, and single streams that are reset: each request is answered once all the same."""
    with Nginx(bench, requests=5) as nginx:
        pull(bench, nginx)
    lines = nginx.lines()
    check(len({connection for connection, _, _ in lines}) > 1, "the server never ended a connection")
    with Nginx(bench, cut=3) as nginx:
        pull(bench, nginx)
    equal(sorted({status for _, _, status in nginx.lines()}), ["200", "444"], "statuses")
