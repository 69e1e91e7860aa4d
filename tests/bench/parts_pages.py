"""The parts of the bench that read pages of a thousand records."""
import os

from measure import Failed
from pages import PER_PAGE
from programs import AT_ONCE
from servers import OwnServer

MODES = ("columns", "transform", "raw")
# The peers that are timed, and the marks: quern's CPU divided by theirs.
PEERS = [("columns", "peer_lean"), ("columns", "peer_requests"), ("columns", "peer_async"), ("transform", "peer_lean"),
         ("transform", "peer_requests")]
PEER_MARKS = [("columns", "peer_requests", "requests, list, DictWriter", 1 / 15), ("columns", "peer_lean", "lean", 1 / 8),
              ("transform", "peer_lean", "lean", 1 / 4)]
HELD_BYTES = 100_000_000  # a second, all connections together
MEGABYTES = "%.1f MB"


def workers():
    """quern's own default."""
    cores = len(os.sched_getaffinity(0))
    return 2 if cores == 2 else max(1, cores - 1)


def most_memory(page_bytes):
    """The bound of peak RSS, in MB."""
    return 24 + 2.6 * page_bytes * (workers() + AT_ONCE) / 1e6


def mark_wall(bench, note, receive, found):
    for mode in MODES:
        one = found["quern " + mode]
        bound = max(receive["wall"], one["cpu"] / 2)
        bench.table.mark("%s%s: wall / max(receive, CPU / 2)" % (mode, note), one["wall"] / bound, 1.15)


def same_bytes(bench):
    """Before anything is timed: quern and its peers make the same bytes."""
    programs, url = bench.programs, bench.pages.url
    days, _ = bench.layout.days(bench.sizes.compared)
    bench.table.title("the same bytes")
    for name in programs.left_out:
        bench.table.line(name, "left out: it, or its Python module, is not installed")
    figures = {}
    for mode in MODES:
        digest, size, lines = programs.quern(mode, days, url).digest()
        expected = bench.sizes.compared * PER_PAGE + (mode != "raw")  # CSV has a line of names
        if lines != expected:
            raise Failed("quern %s printed %d lines, not %d" % (mode, lines, expected))
        for name in programs.peers:
            other, other_size, other_lines = programs.peer(name, mode, days, url).digest()
            if other != digest:
                raise Failed("DIFFERENT ROWS: %s, %s: %d lines, %d bytes; quern: %d lines, %d bytes; their SHA-256 differ" % (
                    name, mode, other_lines, other_size, lines, size))
        figures[mode] = {"bytes": size, "sha256": digest, "peers": programs.peers}
        bench.table.line(mode, "%d bytes, the same of quern and of %s" % (size, ", ".join(programs.peers)))
    bench.table.keep("same_bytes", figures)


def modes(bench):
    """quern's three modes beside the bare receive loop, the loop with indexing, and curl."""
    programs, url = bench.programs, bench.pages.url
    days, size = bench.layout.days(bench.sizes.pages)
    found = bench.stopwatch.measure(
        [programs.receive_pages("receive", days, url), programs.receive_pages("receive + index", days, url, "--index"),
         programs.receive_columns("receive + index + columns", days, url), *programs.curl(days, url), *[programs.quern(mode, days, url) for mode in MODES]], bench.pages)
    bench.table.title("quern and the limit: %.2f GB" % (size / 1e9))
    bench.table.rates("modes", found, size, "(recv+index)", lambda _: "receive + index")
    limit = found["receive + index"]["cpu"]
    for mode, most in (("columns", 1.4), ("raw", 1.25)):
        bench.table.mark(mode + ": CPU / (receive + index)", found["quern " + mode]["cpu"] / limit, most)
    mark_wall(bench, "", found["receive"], found)
    most = most_memory(size / bench.sizes.pages)
    for mode in MODES:
        bench.table.mark(mode + ": peak RSS", found["quern " + mode]["rss"] / 1e6, most, form=MEGABYTES)


def peers(bench):
    """quern beside Python programs that make the same bytes."""
    programs, url = bench.programs, bench.pages.url
    days, size = bench.layout.days(bench.sizes.pages)
    found = bench.stopwatch.measure(
        [*[programs.quern(mode, days, url) for mode in ("columns", "transform")],
         *[programs.peer(name, mode, days, url) for mode, name in PEERS if name in programs.peers]], bench.pages)
    bench.table.title("quern and its peers: %.2f GB" % (size / 1e9))
    bench.table.rates("peers", found, size, "quern", lambda name: "quern " + name.split()[-1])
    for mode, name, what, most in PEER_MARKS:
        if name in programs.peers:
            share = found["quern " + mode]["cpu"] / found["%s, %s" % (name, mode)]["cpu"]
            bench.table.mark("%s: CPU / Python (%s)" % (mode, what), share, most)


def held_back(bench):
    """The same with a page server that holds all connections together to 100 MB/s."""
    days, size = bench.layout.days(bench.sizes.pages)
    with OwnServer(bench.build, "--pages", bench.layout.folder, "--rate", str(HELD_BYTES)) as server:
        found = bench.stopwatch.measure(
            [bench.programs.receive_pages("receive", days, server.url),
             *[bench.programs.quern(mode, days, server.url) for mode in MODES]], server)
    bench.table.title("the page server held to 100 MB/s: %.2f GB" % (size / 1e9))
    bench.table.rates("held_back", found, size, "receive", lambda _: "receive")
    mark_wall(bench, ", 100 MB/s", found["receive"], found)


def growth(bench):
    """Wall, CPU and RSS against the size of the result."""
    rounds = bench.sizes.growth_rounds
    bench.table.title("growth, %d round%s" % (rounds, "s" if rounds > 1 else ""))
    bench.table.line("", "%10s %10s %10s %10s" % ("GB", "CPU s/GB", "wall s/GB", "peak MB"))
    figures = []
    for count in bench.sizes.growth:
        days, size = bench.layout.days(count)
        programs = [bench.programs.quern(mode, days, bench.pages.url) for mode in MODES]
        found = bench.stopwatch.measure(programs, bench.pages, rounds)
        figures.append({"bytes": size, "programs": found})
        for name, one in found.items():
            bench.table.line(name, "%10.3f %10.3f %10.3f %10.1f" % (
                size / 1e9, one["cpu"] / size * 1e9, one["wall"] / size * 1e9, one["rss"] / 1e6))
    bench.table.keep("growth", figures)
    page = figures[0]["bytes"] / bench.sizes.growth[0]
    for mode in MODES:
        peaks = [one["programs"]["quern " + mode]["rss"] for one in figures]
        bench.table.mark(mode + ": peak RSS of all sizes", max(peaks) / 1e6, most_memory(page), form=MEGABYTES)
        bench.table.mark(mode + ": peak RSS, largest / smallest size", peaks[-1] / peaks[0], 1.1)


def descendants(bench):
    """Columns whose paths search the whole record: five of them are one walk."""
    programs, url = bench.programs, bench.pages.url
    days, size = bench.layout.days(bench.sizes.pages)
    found = bench.stopwatch.measure(
        [programs.receive_pages("receive + index", days, url, "--index"),
         *[programs.quern(name, days, url) for name in ("descend_one", "descend_five")]], bench.pages)
    bench.table.title("columns with $.. paths: %.2f GB" % (size / 1e9))
    bench.table.rates("descendants", found, size, "(recv+index)", lambda _: "receive + index")
    bench.table.mark("five $.. columns: CPU / one", found["quern descend_five"]["cpu"] / found["quern descend_one"]["cpu"], 1.5)
