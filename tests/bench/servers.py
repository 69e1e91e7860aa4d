"""The servers of the bench: nginx with the pages, and tests/bench/server for answers that wait or share a rate."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

from measure import Failed

NGINX = """
daemon off;
worker_processes 1;
%(user)s
pid %(scratch)s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000; default_type application/json;
    client_body_temp_path %(scratch)s; proxy_temp_path %(scratch)s; fastcgi_temp_path %(scratch)s;
    uwsgi_temp_path %(scratch)s; scgi_temp_path %(scratch)s;
    server {
        listen 127.0.0.1:%(port)d;
        root %(pages)s;
        location = /page { try_files /$arg_day/$arg_pageNumber.json =404; }
        location = /small { return 200 '{"items":[{"id":"$arg_item-$arg_pageNumber"}],"pageCount":$arg_pages}'; }
    }
}
"""
TICKS = os.sysconf("SC_CLK_TCK")


def nginx_path():
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")


def process_tree(pid):
    """The process and its children."""
    try:
        with open("/proc/%d/task/%d/children" % (pid, pid), encoding="ascii") as file:
            return [pid, *map(int, file.read().split())]
    except OSError:
        return [pid]


def cpu_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Server:
    """A process that serves `url` until the `with` ends."""

    process, url = None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def cpu_seconds(self):
        return sum(cpu_seconds(pid) for pid in process_tree(self.process.pid))


class Nginx(Server):
    def __init__(self, pages):
        self.scratch = tempfile.TemporaryDirectory(prefix="quern-bench-")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = os.path.join(self.scratch.name, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(NGINX % {"scratch": self.scratch.name, "port": port, "pages": pages,
                                "user": "user root;" if os.getuid() == 0 else ""})  # pages may lie in root's own folders
        self.process = subprocess.Popen([nginx_path(), "-e", "stderr", "-c", config, "-p", self.scratch.name])
        self.url = "http://127.0.0.1:%d" % port
        self.wait(port)

    def wait(self, port):
        for _ in range(200):
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        self.process.kill()
        raise Failed("nginx did not start")

    def __exit__(self, *_):
        super().__exit__()
        self.scratch.cleanup()


class OwnServer(Server):
    """tests/bench/server; its options are told in server.c."""

    def __init__(self, build, *options):
        self.process = subprocess.Popen([os.path.join(build, "tests/bench/server"), *options], stdout=subprocess.PIPE)
        port = self.process.stdout.readline().strip()
        if not port:
            raise Failed("tests/bench/server did not start")
        self.url = "http://127.0.0.1:%d" % int(port)

    def __exit__(self, *_):
        super().__exit__()
        self.process.stdout.close()


def pages_server(build, pages, own=False):
    """nginx, where it is installed and not unwanted."""
    return OwnServer(build, "--pages", pages) if own or not nginx_path() else Nginx(pages)
