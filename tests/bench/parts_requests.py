"""The parts of the bench in which the answers are small: requests a second, the start, a thousand requests in flight."""
import os
import socket
import statistics
import threading
import time

from measure import Failed, Program
from programs import AT_ONCE
from servers import OwnServer

IN_FLIGHT = 1000
DELAY_MS = 1000
MILLISECONDS = "%.1f ms"


def small_urls(url, leaves, pages):
    return ["%s/small?item=%d&pages=%d&pageNumber=%d&pageSize=1\n" % (url, leaf, pages, page)
            for page in range(1, pages + 1) for leaf in range(1, leaves + 1)]


def small(bench):
    """Requests a second: four walks of small pages, and leaves of one page each, beside the bare loop."""
    count, url = bench.sizes.requests, bench.pages.url
    pages = count // AT_ONCE
    walks = bench.programs.query("quern, %d walks" % AT_ONCE, "small", url, "-p", "leaves=%d" % AT_ONCE, "-p", "pages=%d" % pages)
    leaves = bench.programs.query("quern, one-page leaves", "small", url, "-p", "leaves=%d" % count)
    bare = bench.programs.receive("receive", small_urls(url, AT_ONCE, pages))
    found = bench.stopwatch.measure([bare, walks, leaves], bench.pages)
    limit = found["receive"]
    bench.table.title("small answers: %d requests, %d at once" % (count, AT_ONCE))
    for name, one in found.items():
        bench.table.line(name, "%8.0f requests/s, %.2f of receive %8.1f CPU us a request %8.1f peak MB" % (
            count / one["wall"], limit["wall"] / one["wall"], one["cpu"] / count * 1e6, one["rss"] / 1e6))
    bench.table.keep("small", {"requests": count, "programs": found})
    for program in (walks, leaves):
        what = program.name.replace("quern", "small answers")
        bench.table.mark(what + ": requests/s / bare loop", limit["wall"] / found[program.name]["wall"], least=0.85)


class FirstRequest:
    """A server that notes when the first request of a program has come, and answers all with an empty result."""

    ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{"items":[],"pageCount":1}'

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.came = None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection = self.listener.accept()[0]
            with connection:
                while connection.recv(65536):
                    self.came = self.came or time.monotonic()
                    connection.sendall(self.ANSWER)

    def after(self, program):
        """Seconds from the start of the program to its first request."""
        self.came = None
        with open(os.devnull, "r+b") as null:
            started = time.monotonic()
            process = program.start(program.words, null, null)
            status = process.wait()
        if status != 0 or self.came is None:
            raise Failed("%s: status %d, and %s request" % (program.name, status, "a" if self.came else "no"))
        return self.came - started


def start(bench):
    """From start to first request, and what `quern version` takes beside a program that does nothing."""
    server, rounds = FirstRequest(), bench.sizes.starts
    asking = [bench.programs.query("quern run", "small", server.url, "-p", "leaves=1")]
    if bench.programs.has_curl:
        asking.append(Program("curl", ["curl", "-s", server.url]))
    times = {program.name: [] for program in asking}
    for _ in range(rounds):
        for program in asking:
            times[program.name].append(server.after(program))
    first = {name: statistics.median(all_times) for name, all_times in times.items()}
    empty = Program("empty, same libraries", [os.path.join(bench.build, "tests/bench/empty")])
    version = Program("quern version", [bench.programs.quern_path, "version"])
    found = bench.stopwatch.measure([empty, version, Program("/bin/true", ["/bin/true"])], rounds=rounds)
    bench.table.title("start, %d rounds" % rounds)
    for name, seconds in first.items():
        bench.table.line(name, "%6.1f ms to the first request" % (seconds * 1e3))
    for name, one in found.items():
        bench.table.line(name, "%6.1f ms, %.2f of empty  %6.1f CPU ms  %6.1f peak MB" % (
            one["wall"] * 1e3, one["wall"] / found[empty.name]["wall"], one["cpu"] * 1e3, one["rss"] / 1e6))
    bench.table.keep("start", {"first_request": times, "programs": found})
    bench.table.mark("start to first request", first["quern run"] * 1e3, 20, form=MILLISECONDS)
    bench.table.mark("quern version / empty program, wall", found["quern version"]["wall"] / found[empty.name]["wall"], 1.5)


def slow(bench):
    """A thousand requests in flight at a server that answers after a second."""
    with OwnServer(bench.build, "--delay-ms", str(DELAY_MS)) as server:
        query = bench.programs.query("quern", "small", server.url, "-p", "leaves=%d" % IN_FLIGHT,
                                     "--concurrency", str(IN_FLIGHT))
        bare = bench.programs.receive("receive", small_urls(server.url, IN_FLIGHT, 1), at_once=IN_FLIGHT)
        found = bench.stopwatch.measure([bare, query], server)
    bench.table.title("%d requests in flight, answers after %.1f s" % (IN_FLIGHT, DELAY_MS / 1000))
    for name, one in found.items():
        bench.table.line(name, "%6.3f s wall  %6.3f s CPU  %6.1f peak MB" % (one["wall"], one["cpu"], one["rss"] / 1e6))
    bench.table.keep("slow", {"programs": found})
    bench.table.mark("1,000 slow requests in flight: wall", found["quern"]["wall"], 1.5, form="%.3f s")
    bench.table.mark("1,000 slow requests in flight: peak RSS", found["quern"]["rss"] / 1e6, 100, form="%.1f MB")
