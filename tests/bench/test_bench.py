#!/usr/bin/env python3
"""The bench itself: on few pages all its programs make the same bytes, a difference is found, every part and mark is there.

    test_bench.py [--build build/release]       the last line is "N passed, N failed"

It works with what is installed of nginx, curl and the Python modules of the peers; what is missing is named.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable  # Debian's has Debian's modules
PARTS = ["same_bytes", "modes", "peers", "held_back", "growth", "descendants", "small", "start", "slow"]
# A change of a peer, and the part of the complaint that names what is wrong.
SEEDED = {
    "drops a row": ("peer_lean.py", 'write(data["conversations"])', 'write(data["conversations"][1:])',
                    "DIFFERENT ROWS: peer_lean, columns"),
    "writes another cell": ("peer_rows.py", 'sums.get(metric["name"], 0) +', 'sums.get(metric["name"], 1) +',
                            "DIFFERENT ROWS: peer_lean, transform"),
    "spaces its JSON": ("peer_lean.py", 'separators=(",", ":")', 'separators=(", ", ":")', "DIFFERENT ROWS: peer_lean, raw"),
    "breaks": ("peer_lean.py", "import peer_rows\n", "import peer_rows\nsys.exit('no more')\n",
               "peer_lean, columns ended with status 1: no more"),
}


def libraries(path):
    """What the program is linked to, but for what every program may have."""
    text = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(lib\S+?)\.so", text)) - {"libm", "libc", "libgcc_s"}


class Tests:
    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.out = os.path.join(ROOT, "build", "bench-test")
        self.passed = self.failed = 0

    def bench(self, *words):
        """Runs it quickly: status, stdout, stderr."""
        command = [PYTHON, "-B", os.path.join(HERE, "bench.py"), "--build", self.build, "--out", self.out, "--quick", *words]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
            try:
                output, errors = process.communicate(timeout=200)
            except subprocess.TimeoutExpired:
                process.terminate()  # it ends its servers and programs
                output, errors = process.communicate()
                errors += "no end after 200 s"
        return process.returncode, output, errors

    def check(self, name, good, note=""):
        if good:
            self.passed += 1
        else:
            self.failed += 1
            print("FAILED %s: %s" % (name, note))

    def figures(self):
        with open(os.path.join(self.out, "bench.json"), encoding="utf-8") as file:
            return json.load(file)

    def unknown_part(self):
        status, _, errors = self.bench("modus")
        told = "no such part: modus" in errors and all(part in errors for part in PARTS)
        self.check("an unknown part", status == 2 and told, errors)

    def seeded(self):
        for name, (file_name, old, new, complaint) in SEEDED.items():
            with tempfile.TemporaryDirectory() as folder:
                for peer in os.listdir(HERE):
                    if peer.startswith("peer_"):
                        shutil.copy(os.path.join(HERE, peer), folder)
                path = os.path.join(folder, file_name)
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                self.check("fault: a peer that %s" % name, text.count(old) == 1, "%r is not there once" % old)
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text.replace(old, new))
                status, output, errors = self.bench("--peers", folder, "same_bytes", "slow")
                found = status == 1 and complaint in errors and "mark:" not in output
                self.check("a peer that %s is found" % name, found, errors or output)

    def everything(self):
        status, output, errors = self.bench()
        self.check("all parts", status == 0, errors)
        if status:
            return
        raw = self.figures()
        for line in re.findall(r"^.*left out.*$", output, re.M):
            print(line)
        self.check("each part has its figures", list(raw["parts"]) == PARTS, list(raw["parts"]))
        compared = raw["parts"]["same_bytes"]
        self.check("each mode is compared", list(compared) == ["columns", "transform", "raw"], compared)
        self.check("with peers", all("peer_lean" in one["peers"] for one in compared.values()), compared)
        lines = re.findall(r"^mark: ([^|]+?) +\| +\S[^|]* \| at (?:most|least) [^|]+ \| (?:met|NOT met)$", output, re.M)
        self.check("each mark is printed", lines == [mark["what"] for mark in raw["marks"]], output)
        self.check("marks have names of their own", len(set(lines)) == len(lines), lines)
        self.check("no mark is missing", len(lines) == 27 - ("peer_requests" not in compared["columns"]["peers"]), lines)
        held, slow = raw["parts"]["held_back"], raw["parts"]["slow"]["programs"]
        self.check("the rate holds", held["programs"]["receive"]["wall"] > 0.9 * held["bytes"] / 1e8, held)
        self.check("slow answers are slow", all(one["wall"] > 1 for one in slow.values()), slow)
        started = raw["parts"]["start"]["programs"]
        self.check("small programs have small peaks", started["/bin/true"]["rss"] < 8e6, started)

    def own_server(self):
        status, output, errors = self.bench("--own-server", "same_bytes", "small")
        good = status == 0 and "from tests/bench/server" in output and "raw " in output
        self.check("pages without nginx", good, errors or output)

    def same_libraries(self):
        quern, empty = (libraries(os.path.join(self.build, path)) for path in ("core/cli/quern", "tests/bench/empty"))
        self.check("the empty program has quern's libraries", quern == empty and len(quern) > 3, quern ^ empty)

    def stopwatch(self):
        with tempfile.NamedTemporaryFile(mode="r") as report:
            words = [os.path.join(self.build, "tests/bench/timed"), report.name, "sh", "-c", "sleep 0.05; exit 3"]
            status = subprocess.run(words, check=False).returncode
            wall, cpu, rss, code = map(int, report.read().split())
        self.check("the stop watch", status == code == 3 and wall > 50e6 > cpu and 0 < rss < 50e6, (status, wall, cpu, rss, code))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"))
    tests = Tests(parser.parse_args().build)
    for test in (tests.unknown_part, tests.stopwatch, tests.same_libraries, tests.seeded, tests.own_server, tests.everything):
        test()
    print("%d passed, %d failed" % (tests.passed, tests.failed))
    return 1 if tests.failed else 0


if __name__ == "__main__":
    sys.exit(main())
