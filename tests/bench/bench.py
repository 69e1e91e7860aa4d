#!/usr/bin/env python3
"""./dev bench: quern beside its peers and beside the physical limit, in one run. Prints one table; raw figures go to out/bench.json.

    bench.py [--build build/release] [--pages 64] [--rounds 5] [--growth 64,256,1024] [--only WORD] [--quick]

Every figure is the median of the rounds, and the rounds of all programs take turns, so that what the machine does beside it
falls on all. CPU is user and system time of the program alone. Output goes to a pipe.
"""
import argparse
import hashlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import pages as page_files

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"  # the one that has Debian's python3-httpx and python3-requests
ROOT = os.path.dirname(os.path.dirname(HERE))
NGINX = """
daemon off;
worker_processes 1;
pid %(folder)s/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; default_type application/json;
    client_body_temp_path %(folder)s; proxy_temp_path %(folder)s; fastcgi_temp_path %(folder)s;
    uwsgi_temp_path %(folder)s; scgi_temp_path %(folder)s;
    server { listen 127.0.0.1:%(port)d; root %(pages)s; location = /page { try_files /$arg_day/$arg_pageNumber.json =404; }
             location = /small { return 200 '{"items":[{"id":1}]}'; } }
    server { listen 127.0.0.1:%(slow_port)d; root %(pages)s; limit_rate 25m; location = /page { try_files /$arg_day/$arg_pageNumber.json =404; } }
}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Pages:
    """nginx with the pages; `url` unlimited, `slow_url` 25 MB/s a connection."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.scratch = tempfile.TemporaryDirectory(prefix="quern-bench-")
        port, slow_port = free_port(), free_port()
        config = os.path.join(self.scratch.name, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(NGINX % {"folder": self.scratch.name, "port": port, "slow_port": slow_port, "pages": self.folder})
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-c", config, "-p", self.scratch.name])
        self.url, self.slow_url = "http://127.0.0.1:%d" % port, "http://127.0.0.1:%d" % slow_port
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return self
            except OSError:
                time.sleep(0.05)
        sys.exit("bench: nginx did not start")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.scratch.cleanup()


class Program:
    """One line of the table."""

    def __init__(self, name, words, env=None, text=None):
        self.name, self.words, self.env, self.text = name, words, env or {}, text

    def run(self, digest=False):
        """Wall and CPU seconds, peak RSS in bytes, and the SHA-256 of what was printed if it is asked for."""
        started = time.monotonic()
        reader = None if digest else subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        process = subprocess.Popen(self.words, env={**os.environ, **self.env}, stdin=subprocess.PIPE if self.text else subprocess.DEVNULL,
                                   stdout=subprocess.PIPE if digest else reader.stdin, stderr=subprocess.PIPE)
        if reader:
            reader.stdin.close()
        errors = []
        threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True).start()
        if self.text:
            process.stdin.write(self.text.encode())
            process.stdin.close()
        hashed = hashlib.sha256()
        if digest:
            for block in iter(lambda: process.stdout.read(1 << 20), b""):
                hashed.update(block)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if reader:
            reader.wait()
        if process.returncode != 0:
            time.sleep(0.2)
            sys.exit("bench: %s ended with status %d: %s" % (self.name, process.returncode, b"".join(errors).decode()[-500:]))
        return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss * 1024, "digest": hashed.hexdigest()}


def measure(programs, rounds):
    """Medians by name; the programs take turns."""
    figures = {program.name: [] for program in programs}
    for number in range(rounds):
        for program in programs:
            if sys.stderr.isatty():
                print("\rround %d of %d: %-40s" % (number + 1, rounds, program.name), end="", file=sys.stderr, flush=True)
            figures[program.name].append(program.run())
    if sys.stderr.isatty():
        print("\r%-70s\r" % "", end="", file=sys.stderr)
    return {name: {key: statistics.median(one[key] for one in runs) for key in ("wall", "cpu", "rss")} | {"rounds": runs}
            for name, runs in figures.items()}


def day_behind(day):
    import datetime
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=1)).isoformat()


class Bench:
    def __init__(self, args):
        self.args = args
        self.program = os.path.join(os.path.abspath(args.build), "core/cli/quern")
        self.receive = os.path.join(os.path.abspath(args.build), "tests/bench/receive")
        self.folder = os.path.join(ROOT, "out", "bench-pages")
        self.raw = {}

    def quern(self, name, script, days, url, *more):
        return Program(name, [self.program, "run", os.path.join(HERE, script + ".lua"), "-p", "from=" + days[0],
                              "-p", "to=" + day_behind(days[-1]), *more], {"BENCH_URL": url})

    def limit(self, name, days, url, *more):
        text = "".join("%s/page?day=%s&pageNumber=%d&pageSize=1000\n" % (url, day, page)
                       for day in days for page in range(1, page_files.PER_DAY + 1))
        return Program(name, [self.receive, "--at-once", "4", *more], text=text)

    def peer(self, name, mode, days, url):
        return Program("%s, %s" % (name, mode), [PYTHON, os.path.join(HERE, name + ".py"), url, mode, *days])

    def curl(self, name, days, url, *more):
        urls = ["%s/page?day=%s&pageNumber=[1-%d]&pageSize=1000" % (url, day, page_files.PER_DAY) for day in days]
        return Program(name, ["curl", "-s", *more, *[word for one in urls for word in (one, "-o", "/dev/null")]])

    def same_bytes(self, server):
        """Before anything is timed: quern and its peers make the same bytes."""
        days, _ = page_files.lay_out(self.folder, page_files.PER_DAY)
        for mode in ("columns", "transform"):
            expected = self.quern("quern " + mode, mode, days, server.url).run(digest=True)["digest"]
            for name in ("peer_requests", "peer_lean", "peer_async"):
                if self.peer(name, mode, days, server.url).run(digest=True)["digest"] != expected:
                    sys.exit("bench: %s and quern make different rows (%s)" % (name, mode))
        print("quern and the three Python programs make the same bytes, in both modes")

    def modes(self, server):
        days, size = page_files.lay_out(self.folder, self.args.pages)
        programs = [self.limit("receive", days, server.url), self.limit("receive + index", days, server.url, "--index"),
                    self.curl("curl", days, server.url), self.curl("curl, parallel", days, server.url, "-Z", "--parallel-max", "4")]
        programs += [self.quern("quern " + mode, mode, days, server.url) for mode in ("columns", "transform", "raw")]
        programs += [self.peer(name, mode, days, server.url) for mode in ("columns", "transform") for name in ("peer_lean", "peer_requests")]
        programs += [self.peer("peer_async", "columns", days, server.url)]
        found = measure(programs, self.args.rounds)
        gigabytes = size / 1e9
        limit = found["receive + index"]
        print("\n%.2f GB in pages of %d records\n" % (gigabytes, page_files.PER_PAGE))
        print("%-28s %10s %10s %10s %22s" % ("", "CPU s/GB", "wall s/GB", "peak MB", "CPU / (receive+index)"))
        for program in programs:
            one = found[program.name]
            print("%-28s %10.3f %10.3f %10.1f %22.2f" % (program.name, one["cpu"] / gigabytes, one["wall"] / gigabytes,
                                                         one["rss"] / 1e6, one["cpu"] / limit["cpu"]))
        self.raw["modes"] = {"bytes": size, "figures": found}
        self.marks(found)

    def marks(self, found):
        cpu = {name: one["cpu"] for name, one in found.items()}
        limit, receive = cpu["receive + index"], found["receive"]
        print()
        self.mark("columns: CPU / (receive + index)", cpu["quern columns"] / limit, 1.4)
        self.mark("raw: CPU / (receive + index)", cpu["quern raw"] / limit, 1.25)
        self.mark("columns: CPU / Python with requests", cpu["quern columns"] / cpu["peer_requests, columns"], 1 / 15)
        self.mark("columns: CPU / lean Python", cpu["quern columns"] / cpu["peer_lean, columns"], 1 / 8)
        self.mark("transform: CPU / lean Python", cpu["quern transform"] / cpu["peer_lean, transform"], 1 / 4)
        for mode in ("columns", "transform", "raw"):
            one = found["quern " + mode]
            self.mark("%s: wall / max(receive, CPU / 2)" % mode, one["wall"] / max(receive["wall"], one["cpu"] / 2), 1.15)

    def mark(self, what, value, most):
        self.raw.setdefault("marks", {})[what] = {"value": value, "most": most, "met": value <= most}
        print("%-44s %8.3f   at most %.3f   %s" % (what, value, most, "met" if value <= most else "NOT MET"))

    def growth(self, server):
        print()
        print("%-28s %10s %10s %10s" % ("growth, columns", "GB", "wall s/GB", "peak MB"))
        peaks = []
        for count in [int(word) for word in self.args.growth.split(",")]:
            days, size = page_files.lay_out(self.folder, count)
            one = measure([self.quern("quern columns", "columns", days, server.url)], 3)["quern columns"]
            peaks.append(one["rss"])
            print("%-28s %10.2f %10.3f %10.1f" % ("", size / 1e9, one["wall"] / (size / 1e9), one["rss"] / 1e6))
            self.raw.setdefault("growth", []).append({"bytes": size, **one})
        page = os.path.getsize(os.path.join(self.folder, page_files.day_name(0), "1.json"))
        self.mark("peak RSS / (24 MB + 2.6 pages x 5 in flight)", max(peaks) / (24e6 + 2.6 * page * 5), 1.0)
        self.mark("peak RSS, largest / smallest", max(peaks) / min(peaks), 1.1)

    def held_back(self, server):
        days, size = page_files.lay_out(self.folder, self.args.pages)
        found = measure([self.limit("receive", days, server.slow_url), self.quern("quern columns", "columns", days, server.slow_url)], 3)
        print("\npage server held to 25 MB/s a connection (%.2f GB)" % (size / 1e9))
        one = found["quern columns"]
        self.mark("columns: wall / max(receive, CPU / 2)", one["wall"] / max(found["receive"]["wall"], one["cpu"] / 2), 1.15)
        self.raw["held_back"] = found

    def start(self):
        empty = Program("true", ["/bin/true"])
        found = measure([empty, Program("quern version", [self.program, "version"])], 20)
        print("\nstart: quern version %.1f ms, /bin/true %.1f ms" % (found["quern version"]["wall"] * 1e3, found["true"]["wall"] * 1e3))
        self.raw["start"] = found

    def report(self):
        path = os.path.join(ROOT, "out", "bench.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.raw, file, indent=1)
        print("\nraw figures: out/bench.json")


PARTS = ["same_bytes", "modes", "held_back", "growth", "start"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="of " + ", ".join(PARTS))
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--pages", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--growth", default="64,256,1024")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    bench = Bench(args)
    os.makedirs(bench.folder, exist_ok=True)
    with Pages(bench.folder) as server:
        for part in args.parts or PARTS:
            arguments = [] if part in ("start",) else [server]
            getattr(bench, part)(*arguments)
    bench.report()


if __name__ == "__main__":
    main()
