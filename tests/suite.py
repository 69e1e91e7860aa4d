#!/usr/bin/env python3
"""Builds what is needed, runs every test and counts them. Called by ./dev test; the last line is "N passed, N failed".

Parts: unit, lua, e2e (on the release build), asan (the same, with a reduced e2e), tsan, fuzz,
bench (all of ./dev bench on a few pages), house (rules of the source).
"""
import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = ["house", "unit", "lua", "e2e", "bench", "asan", "tsan", "fuzz"]
TSAN_UNITS = re.compile(r"test_(pool|packer|sink_packed|convert|mem|buf|secret|doc|sequencer|zone)")
# Tests that run hundreds of times, each time with another allocation that fails: the quick ones where everything is slow.
HUNGRY = {"release": ("channel", "client", "output", "pages", "param", "quarantine", "serve"), "asan": ("output", "pages", "serve")}
COUNTS = re.compile(r"^(\d+) passed, (\d+) failed", re.M)
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1:suppressions=" + os.path.join(ROOT, "tests/tsan.supp"),
    "LSAN_OPTIONS": "print_suppressions=0",
}


class Suite:
    def __init__(self, seconds):
        self.passed = self.failed = 0
        self.seconds = seconds
        self.broken = []
        self.built = set()

    def add(self, name, passed, failed, note=""):
        self.passed += passed
        self.failed += failed
        if failed:
            self.broken.append(name)
        print("  %-28s %5d passed %3d failed  %s" % (name, passed, failed, note), flush=True)

    def build(self, preset, targets=()):
        """Builds once; a build that fails counts as one failure and its part is left out."""
        if (preset, targets) in self.built:
            return True
        started = time.monotonic()
        log_path = os.path.join(ROOT, "build", preset + ".log")
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        with open(log_path, "w", encoding="utf-8") as log:
            for command in (["cmake", "--preset", preset],
                            ["cmake", "--build", "--preset", preset] + (["--target", *targets] if targets else [])):
                if subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode:
                    show_end(log_path)
                    self.add("build " + preset, 0, 1, "see " + log_path)
                    return False
        self.built.add((preset, targets))
        print("  built %s in %.0f s" % (preset, time.monotonic() - started), flush=True)
        return True

    def program(self, name, command, limit=300, env=None):
        """Runs a test program and adds its counts; a crash or a time-out is a failure."""
        started = time.monotonic()
        log_path = os.path.join(ROOT, "build", "log", name.replace("/", "-") + ".log")
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        with open(log_path, "w", encoding="utf-8") as log:
            try:
                status = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, timeout=limit,
                                        env={**os.environ, **SANITIZERS, **(env or {})}).returncode
            except subprocess.TimeoutExpired:
                status = "no end after %d s" % limit
            except OSError as error:
                status = str(error)
        with open(log_path, encoding="utf-8", errors="replace") as log:
            passed, failed = counts(log.read())
        if status != 0 and failed == 0:
            failed = 1
        if status == 0 and passed == 0:
            failed, status = failed + 1, "it ran no test"
        if failed:
            show_end(log_path)
        self.add(name, passed, failed, "%.1f s" % (time.monotonic() - started) + ("" if status == 0 else ", exit " + str(status)))

    # ---- parts

    def house(self):
        self.program("house", [sys.executable, "tests/house.py"])

    def unit(self, preset="release", only=None):
        if not self.build(preset):
            return
        for name in unit_programs(preset):
            if only is None or only.match(name):
                self.program("%s/%s" % (preset, name), [os.path.join("build", preset, "tests/unit", name)])

    def lua(self, preset="release"):
        if not self.build(preset):
            return
        path = find(preset, "quern-lua-tests")
        if path:
            self.program(preset + "/lua", [path])
            if preset == "release":
                self.program(preset + "/lua, collector at work", [path, "--gc-stress"])
                self.program(preset + "/lua, a leak is noticed", [path, "--self-check", "lua", "tests/lua", "tests/lua/param_test.lua"])
            hungry = ["tests/lua/%s_test.lua" % name for name in HUNGRY[preset]]
            self.program(preset + "/lua, memory fails once", [path, "--starve", "lua", "tests/lua", *hungry])
        else:
            self.add(preset + "/lua", 0, 1, "quern-lua-tests is not built")

    def e2e(self, preset="release", *arguments):
        if self.build(preset):
            self.program(preset + "/e2e", [sys.executable, "tests/e2e/run.py", "--build", "build/" + preset, *arguments], 600)

    def bench(self, preset="release"):
        if self.build(preset):
            self.program(preset + "/bench", [sys.executable, "tests/bench/test_bench.py", "--build", "build/" + preset])

    def asan(self):
        self.unit("asan")
        self.lua("asan")
        self.e2e("asan", "--few")

    def tsan(self):
        self.unit("tsan", TSAN_UNITS)
        self.race_is_noticed()
        self.e2e("tsan", "--one")

    def race_is_noticed(self):
        """A pool with a race in it (tests/unit/CMakeLists.txt) fails, and for that reason."""
        program = os.path.join(ROOT, "build/tsan/tests/unit/seeded_race")
        try:
            done = subprocess.run([program], capture_output=True, timeout=120, env={**os.environ, **SANITIZERS}, check=False)
            noticed = done.returncode != 0 and b"ThreadSanitizer: data race" in done.stderr
        except (OSError, subprocess.TimeoutExpired):
            noticed = False
        self.add("tsan/a race is noticed", int(noticed), int(not noticed))

    def fuzz(self):
        with open(os.path.join(ROOT, "tests/fuzz/CMakeLists.txt"), encoding="utf-8") as file:
            names = re.findall(r"^qn_fuzz\((\w+)", file.read(), re.M)
        if not self.build("fuzz", tuple(names)):
            return
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for name, status, note in pool.map(self.fuzz_one, names):
                self.add("fuzz/" + name, int(status == 0), int(status != 0), note)

    def fuzz_one(self, name):
        corpus = os.path.join(ROOT, "build/corpus", name)
        os.makedirs(corpus, exist_ok=True)
        seeds = os.path.join(ROOT, "tests/fuzz/corpus", name)
        log_path = os.path.join(ROOT, "build", "log", name + ".log")
        os.makedirs(os.path.dirname(log_path), exist_ok=True)
        command = [os.path.join(ROOT, "build/fuzz/tests/fuzz", name), "-max_total_time=%d" % self.seconds, "-timeout=10",
                   "-rss_limit_mb=2048", "-print_final_stats=1", "-artifact_prefix=" + os.path.join(ROOT, "build", name + "-"),
                   corpus] + ([seeds] if os.path.isdir(seeds) else [])
        with open(log_path, "w", encoding="utf-8") as log:
            status = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode
        with open(log_path, encoding="utf-8", errors="replace") as log:
            runs = re.search(r"number_of_executed_units: (\d+)", log.read())
        if status:
            show_end(log_path)
        return name, status, "%s inputs" % (runs.group(1) if runs else "?")


def counts(text):
    """From cmocka's lines, or from a last line "N passed, N failed"."""
    found = COUNTS.findall(text)
    if found:
        return int(found[-1][0]), int(found[-1][1])
    return len(re.findall(r"^\[       OK \]", text, re.M)), len(set(re.findall(r"^\[  FAILED  \] (\w+)$", text, re.M)))


BAD = re.compile(r"FAILED|^not ok|error:|Sanitizer|runtime error|Assertion|\[   ERROR")


def show_end(path):
    """What failed, with the lines after it; without such lines the end of the log."""
    with open(path, encoding="utf-8", errors="replace") as log:
        lines = log.read().splitlines()
    chosen = sorted({number for start, line in enumerate(lines) if BAD.search(line) for number in range(start, min(start + 6, len(lines)))})
    shown = [lines[number] for number in chosen[:60]] or lines[-30:]
    print("\n".join("    | " + line[:400] for line in shown), flush=True)


def find(preset, name):
    for folder, _, files in os.walk(os.path.join(ROOT, "build", preset)):
        if name in files:
            return os.path.join(folder, name)
    return None


def unit_programs(preset):
    folder = os.path.join(ROOT, "build", preset, "tests/unit")
    return sorted(name for name in os.listdir(folder)
                  if name.startswith("test_") and os.path.isfile(os.path.join(folder, name)) and "." not in name)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--seconds", type=int, default=30, help="time of each fuzzer")
    args = parser.parse_args()
    for part in args.parts:
        if part not in PARTS:
            parser.error("no such part: %s (%s)" % (part, ", ".join(PARTS)))
    suite = Suite(args.seconds)
    started = time.monotonic()
    for part in args.parts or PARTS:
        print(part, flush=True)
        getattr(suite, part)()
    print("%d s%s" % (time.monotonic() - started, "; failed: " + ", ".join(suite.broken) if suite.broken else ""))
    print("%d passed, %d failed" % (suite.passed, suite.failed))
    return 1 if suite.failed or not suite.passed else 0


if __name__ == "__main__":
    sys.exit(main())
