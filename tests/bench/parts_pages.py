"""The parts of the bench that read pages of a thousand records."""
import os

from measure import Failed
from programs import AT_ONCE
from servers import OwnServer

MODES = ("columns", "transform", "raw")
HELD_BYTES = 100_000_000  # a second, all connections together
MEGABYTES = "%.1f MB"


def workers():
    """quern's own default."""
    return max(1, len(os.sched_getaffinity(0)) - 1)


def most_memory(page_bytes):
    """The bound of peak RSS, in MB."""
    return 24 + 2.6 * page_bytes * (workers() + AT_ONCE) / 1e6


def mark_wall(bench, note, receive, found):
    for mode in MODES:
        one = found["quern " + mode]
        bench.table.mark("%s%s: wall / max(receive, CPU / 2)" % (mode, note), one["wall"] / max(receive["wall"], one["cpu"] / 2), 1.15)


def same_bytes(bench):
    """Before anything is timed: quern and its peers make the same bytes."""
    programs, url = bench.programs, bench.pages_url
    days, _ = bench.layout.days(bench.sizes.compared)
    bench.table.title("the same bytes")
    for name in programs.left_out:
        bench.table.line(name, "left out: it, or its Python module, is not installed")
    figures = {}
    for mode in MODES:
        expected, size = programs.quern(mode, days, url).digest()
        if size == 0:
            raise Failed("quern %s printed nothing" % mode)
        for name in programs.peers:
            digest, peer_size = programs.peer(name, mode, days, url).digest()
            if digest != expected:
                raise Failed("DIFFERENT ROWS: %s printed %d bytes, quern %s %d bytes, and they are not the same" % (
                    programs.peer(name, mode, days, url).name, peer_size, mode, size))
        figures[mode] = {"bytes": size, "sha256": expected, "peers": programs.peers}
        bench.table.line(mode, "%d bytes, the same of quern and of %s" % (size, ", ".join(programs.peers)))
    bench.table.keep("same_bytes", figures)


def modes(bench):
    """quern's three modes beside the bare receive loop, the loop with indexing, and curl."""
    programs, url = bench.programs, bench.pages_url
    days, size = bench.layout.days(bench.sizes.pages)
    found = bench.stopwatch.measure(
        [programs.receive_pages("receive", days, url), programs.receive_pages("receive + index", days, url, "--index"),
         *programs.curl(days, url), *[programs.quern(mode, days, url) for mode in MODES]], bench.pages)
    limit = found["receive + index"]
    bench.table.title("quern and the limit: %.2f GB" % (size / 1e9))
    bench.table.rates("modes", found, size, "(recv+index)", lambda _: "receive + index")
    cpu = {mode: found["quern " + mode]["cpu"] for mode in MODES}
    bench.table.mark("columns: CPU / (receive + index)", cpu["columns"] / limit["cpu"], 1.4)
    bench.table.mark("raw: CPU / (receive + index)", cpu["raw"] / limit["cpu"], 1.25)
    mark_wall(bench, "", found["receive"], found)
    for mode in MODES:
        bench.table.mark(mode + ": peak RSS", found["quern " + mode]["rss"] / 1e6, most_memory(size / bench.sizes.pages), form=MEGABYTES)


def peers(bench):
    """quern beside Python programs that make the same bytes."""
    programs, url = bench.programs, bench.pages_url
    days, size = bench.layout.days(bench.sizes.pages)
    pairs = [(name, mode) for mode in ("columns", "transform") for name in programs.peers if (name, mode) != ("peer_async", "transform")]
    found = bench.stopwatch.measure(
        [*[programs.quern(mode, days, url) for mode in ("columns", "transform")],
         *[programs.peer(name, mode, days, url) for name, mode in pairs]], bench.pages)
    bench.table.title("quern and its peers: %.2f GB" % (size / 1e9))
    bench.table.rates("peers", found, size, "quern", lambda name: "quern transform" if "transform" in name else "quern columns")
    for mode, name, what, most in (("columns", "peer_requests", "requests, list, DictWriter", 1 / 15), ("columns", "peer_lean", "lean", 1 / 8),
                                   ("transform", "peer_lean", "lean", 1 / 4)):
        if name in programs.peers:
            bench.table.mark("%s: CPU / Python (%s)" % (mode, what), found["quern " + mode]["cpu"] / found["%s, %s" % (name, mode)]["cpu"], most)


def held_back(bench):
    """The same with a page server that holds all connections together to 100 MB/s."""
    days, size = bench.layout.days(bench.sizes.pages)
    with OwnServer(bench.build, "--pages", bench.layout.folder, "--rate", str(HELD_BYTES)) as server:
        found = bench.stopwatch.measure([bench.programs.receive_pages("receive", days, server.url),
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
        found = bench.stopwatch.measure([bench.programs.quern(mode, days, bench.pages_url) for mode in MODES], bench.pages, rounds)
        figures.append({"bytes": size, "programs": found})
        for name, one in found.items():
            bench.table.line(name, "%10.3f %10.3f %10.3f %10.1f" % (size / 1e9, one["cpu"] / size * 1e9, one["wall"] / size * 1e9, one["rss"] / 1e6))
    bench.table.keep("growth", figures)
    page = figures[0]["bytes"] / bench.sizes.growth[0]
    for mode in MODES:
        peaks = [one["programs"]["quern " + mode]["rss"] for one in figures]
        bench.table.mark(mode + ": peak RSS of all sizes", max(peaks) / 1e6, most_memory(page), form=MEGABYTES)
        bench.table.mark(mode + ": peak RSS, largest / smallest size", peaks[-1] / peaks[0], 1.1)


def descendants(bench):
    """Columns whose paths search the whole record: five of them are one walk."""
    days, size = bench.layout.days(bench.sizes.pages)
    found = bench.stopwatch.measure([bench.programs.receive_pages("receive + index", days, bench.pages_url, "--index"),
                                     *[bench.programs.quern(name, days, bench.pages_url) for name in ("descend_one", "descend_five")]], bench.pages)
    one, five = (found["quern " + name]["cpu"] for name in ("descend_one", "descend_five"))
    bench.table.title("columns with $.. paths: %.2f GB" % (size / 1e9))
    bench.table.rates("descendants", found, size, "(recv+index)", lambda _: "receive + index")
    bench.table.mark("five $.. columns: CPU / one", five / one, 1.5)
