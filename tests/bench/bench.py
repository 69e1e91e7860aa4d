#!/usr/bin/env python3
"""./dev bench: quern beside its peers and beside the physical limit, in one run, as one table.

Every figure is the median of the rounds, and the rounds of all programs of a part take turns, so that what the machine does
beside it falls on all: only ratios within one run mean anything. CPU is user and system time of the program alone; output
goes to a pipe. The raw figures of this run go to out/bench.json.
"""
import argparse
import datetime
import os
import platform
import signal
import subprocess
import sys

import pages
import parts_pages
import parts_requests
import servers
from measure import HERE, Failed, Stopwatch, progress
from programs import Programs
from table import Table

ROOT = os.path.dirname(os.path.dirname(HERE))
PARTS = {part.__name__: part for part in (
    parts_pages.same_bytes, parts_pages.modes, parts_pages.peers, parts_pages.held_back, parts_pages.growth,
    parts_pages.descendants, parts_requests.small, parts_requests.start, parts_requests.slow)}


class Sizes:
    """How much of everything; --quick: enough to see that all works, too little for figures."""

    def __init__(self, args):
        quick = args.quick
        self.per_day = 2 if quick else 16
        self.rounds = args.rounds or (1 if quick else 5)
        self.pages = args.pages or (4 if quick else 64)
        self.compared = 4 if quick else 16
        self.growth = [2, 4] if quick else [64, 256, 1024]
        self.growth_rounds = args.growth_rounds
        self.requests = 2000 if quick else 20000
        self.starts = max(self.rounds, 3 if quick else 21)


class Bench:
    """What the parts work with."""

    def __init__(self, args):
        out = os.path.abspath(args.out)
        self.sizes = Sizes(args)
        self.build = os.path.abspath(args.build)
        self.layout = pages.Layout(os.path.join(out, "bench-pages"), self.sizes.per_day)
        self.programs = Programs(self.build, self.layout, args.peers)
        self.stopwatch = Stopwatch(self.build, self.sizes.rounds)
        self.result = os.path.join(out, "bench.json")
        self.pages, self.own_server = None, args.own_server
        self.table = Table(self.about())

    def about(self):
        """Where and how the figures came about."""
        version = subprocess.run([self.programs.quern_path, "version"], capture_output=True, text=True, check=False).stdout
        return {"when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "quern": version.strip(),
                "machine": platform.platform(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0],
                "python": platform.python_version(),
                "pages_from": "tests/bench/server" if self.own_server or not servers.nginx_path() else "nginx",
                "rounds": self.sizes.rounds, "growth_rounds": self.sizes.growth_rounds}

    def run(self, names):
        about = self.table.raw["about"]
        print("%(quern)s, %(cores)d cores, %(rounds)d rounds, pages of %(records)d records from %(pages_from)s" % {
            **about, "records": pages.PER_PAGE})
        if about["load"] > about["cores"] / 2:
            print("the machine is busy (load %.1f): wall times tell little" % about["load"])
        with servers.pages_server(self.build, self.layout.folder, self.own_server) as self.pages:
            for name in names:
                PARTS[name](self)
        self.table.marks()
        self.table.save(self.result)
        print("raw figures: " + os.path.relpath(self.result))


def arguments():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help="one of %s; default: all" % ", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="few pages and one round: shows that everything works")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--pages", type=int, help="pages of most parts, a multiple of 16; default 64")
    parser.add_argument("--growth-rounds", type=int, default=1, help="default 1: its largest size is 4 GB")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"), help="folder of the build; default build/release")
    parser.add_argument("--out", default=os.path.join(ROOT, "out"), help="folder of bench.json and of the pages; default out")
    parser.add_argument("--own-server", action="store_true", help="pages from tests/bench/server, even where there is nginx")
    parser.add_argument("--peers", default=HERE, help="folder of the Python programs; default tests/bench")
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error("no such part: %s (the parts are %s)" % (part, ", ".join(PARTS)))
    if args.pages and args.pages % (2 if args.quick else 16):
        parser.error("--pages %d: whole days have %d pages" % (args.pages, 2 if args.quick else 16))
    return args


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        Bench(args).run(args.parts or list(PARTS))
    except Failed as failed:
        progress("")
        sys.exit("bench: %s" % failed)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
