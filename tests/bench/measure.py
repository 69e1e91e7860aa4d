"""Runs programs and says what they took: wall, CPU, peak RSS, and the bytes they printed."""
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FIGURES = ("wall", "cpu", "rss", "server_cpu")


class Failed(Exception):
    """The bench cannot go on; the text says why."""


class Program:
    """One line of the table: its words, more environment, and the text of its stdin."""

    def __init__(self, name, words, env=None, text=""):
        self.name, self.words, self.env, self.text = name, words, env or {}, text

    def start(self, words, stdout, stderr):
        with tempfile.TemporaryFile() if self.text else open(os.devnull, "r+b") as stdin:
            stdin.write(self.text.encode())
            stdin.seek(0)
            return subprocess.Popen(words, env={**os.environ, **self.env}, stdin=stdin, stdout=stdout, stderr=stderr)

    def check(self, status, stderr):
        if status != 0:
            stderr.seek(0)
            text = stderr.read().decode("utf-8", "replace")[-500:].strip()
            raise Failed("%s ended with status %d: %s" % (self.name, status, text))

    def digest(self):
        """SHA-256 and number of the bytes that it prints, and its lines."""
        hashed, size, lines = hashlib.sha256(), 0, 0
        with tempfile.TemporaryFile() as stderr, self.start(self.words, subprocess.PIPE, stderr) as process:
            for block in iter(lambda: process.stdout.read(1 << 20), b""):
                hashed.update(block)
                size += len(block)
                lines += block.count(b"\n")
            self.check(process.wait(), stderr)
        return hashed.hexdigest(), size, lines

    def run(self, timed, server=None):
        """Wall and CPU seconds and peak bytes of one run that prints into a pipe, and CPU seconds of the server meanwhile."""
        with tempfile.TemporaryFile() as stderr, tempfile.NamedTemporaryFile(mode="r") as report:
            before = server.cpu_seconds() if server else 0
            with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as reader:
                with self.start([timed, report.name, *self.words], reader.stdin, stderr) as process:
                    reader.stdin.close()
                    self.check(self.wait(process), stderr)
            wall, cpu, rss, _ = map(int, report.read().split())
            return {"wall": wall / 1e9, "cpu": cpu / 1e9, "rss": rss,
                    "server_cpu": (server.cpu_seconds() if server else 0) - before}

    @staticmethod
    def wait(process):
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


class Stopwatch:
    """Measures lists of programs. Those of a list take turns, so that what the machine does beside it falls on all."""

    def __init__(self, build, rounds):
        self.timed, self.rounds = os.path.join(build, "tests/bench/timed"), rounds

    def measure(self, programs, server=None, rounds=None):
        """Medians by name, with the single rounds."""
        rounds = rounds or self.rounds
        figures = {program.name: [] for program in programs}
        for number in range(rounds):
            for program in programs:
                progress("round %d of %d: %s" % (number + 1, rounds, program.name))
                figures[program.name].append(program.run(self.timed, server))
        progress("")
        return {name: medians(runs) | {"rounds": runs} for name, runs in figures.items()}


def medians(runs):
    return {key: statistics.median(one[key] for one in runs) for key in FIGURES}


def progress(text):
    if sys.stderr.isatty():
        print("\r%-70s%s" % (text, "" if text else "\r"), end="", file=sys.stderr, flush=True)
