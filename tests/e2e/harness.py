"""What end-to-end cases are made of: the outside server, the program under test, and checks."""
import concurrent.futures
import json
import os
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CLIENT_ID, CLIENT_SECRET = "client-1", "s3cret+/=&%"
CASES = []


def case(few=False, one=False):
    """Registers a case. `few`: also run by the reduced suite (sanitizers); `one`: also the one that TSan runs."""
    def register(function):
        CASES.append((function.__name__, function, few or one, one))
        return function
    return register


class Wrong(AssertionError):
    """A check failed; the text says what was expected and what came."""


def check(condition, text, *rest):
    if not condition:
        raise Wrong(text % rest if rest else text)


def equal(got, expected, what):
    check(got == expected, "%s: got %s, expected %s", what, shorten(got), shorten(expected))


def same_rows(got, expected):
    """Compares two files' bytes; names the first line that differs."""
    if got == expected:
        return
    mine, theirs = got.split(b"\n"), expected.split(b"\n")
    for number, (a, b) in enumerate(zip(mine, theirs), 1):
        check(a == b, "line %d of %d (expected %d lines): got %s, expected %s", number, len(mine), len(theirs), shorten(a), shorten(b))
    raise Wrong("%d lines instead of %d" % (len(mine), len(theirs)))


def shorten(value):
    text = repr(value)
    return text if len(text) <= 300 else text[:200] + "…" + text[-80:]


class Result:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def expect(self, status, *words):
        """Checks the exit status and that stderr holds each of the words."""
        check(self.status == status, "exit status %s instead of %s; stderr: %s", self.status, status, shorten(self.err))
        for word in words:
            check(word in self.err, "stderr does not say %r: %s", word, shorten(self.err))
        return self


class Server:
    """tutorial_server.py as a process. Use with `with`; its violations are checked at the end."""

    def __init__(self, *options, allow_violations=False):
        self.options, self.allow_violations = [str(option) for option in options], allow_violations

    def __enter__(self):
        self.process = subprocess.Popen([sys.executable, os.path.join(HERE, "tutorial_server.py"), *self.options],
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        check(line.startswith("listening on "), "the test server did not start: %r", line)
        self.url = line.split()[-1]
        prefix = self.options[self.options.index("--prefix") + 1] if "--prefix" in self.options else ""
        self.env = {"GENESYS_BASE_URL": self.url + prefix, "GENESYS_CLIENT_ID": CLIENT_ID, "GENESYS_CLIENT_SECRET": CLIENT_SECRET,
                    "GENESYS_ORGANIZATION_ID": "org-1"}
        return self

    def ask(self, what):
        context = ssl._create_unverified_context() if self.url.startswith("https") else None  # only to ask the test server
        with urllib.request.urlopen(self.url + "/" + what, timeout=10, context=context) as answer:
            return json.load(answer)

    def stats(self):
        return self.ask("__stats")

    def __exit__(self, kind, *_):
        try:
            if kind is None and not self.allow_violations:
                violations = self.ask("__violations")
                check(not violations, "the client broke the API's rules: %s", shorten(violations))
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Emulator:
    """quern emulate as a process. Use with `with`; it must end well."""

    def __init__(self, bench, *options):
        self.errors = tempfile.TemporaryFile()  # pylint: disable=consider-using-with
        self.process = bench.start("emulate", "--log-level", "debug", *options, stderr=self.errors)
        line = self.process.stdout.readline().decode()
        check(line.startswith("listening on http://"), "emulate: %r %s", line, self.said())
        self.url = line.split()[-1]
        self.env = {"GENESYS_BASE_URL": self.url, "GENESYS_CLIENT_ID": "demo", "GENESYS_CLIENT_SECRET": "demo-secret",
                    "GENESYS_ORGANIZATION_ID": "demo"}

    def __enter__(self):
        return self

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def faults(self, kind):
        """How many requests met a fault of this kind so far."""
        return self.said().count("debug: fault %s: " % kind)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=20)
        err = self.said()
        self.errors.close()
        check(self.process.returncode in (0, 130) and "left open" not in err and "Sanitizer" not in err,
              "the emulator ended with %s: %s", self.process.returncode, err)
        check(" failed: " not in err, "the emulator: %s", err)


class Bench:
    """One case's folder and the program under test."""

    def __init__(self, build):
        self.build = os.path.abspath(build)
        self.program = os.path.join(self.build, "core/cli/quern")
        self.folder = tempfile.mkdtemp(prefix="quern-e2e-")

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)

    def each(self, items, work, at_once=4):
        """Calls work(bench, item) for each item, some at a time (most of a run is waiting), each with a folder of its own."""
        def one(item):
            bench = Bench(self.build)
            try:
                work(bench, item)
            except Wrong as wrong:
                raise Wrong("%s: %s" % (item, wrong)) from None
            finally:
                bench.close()
        with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
            for _ in pool.map(one, items):
                pass

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    def files(self):
        return sorted(os.listdir(self.folder))

    def environment(self, env):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("GENESYS_") and "proxy" not in key.lower()}
        return {**clean, **(env or {})}

    def start(self, *args, env=None, file_limit=None, **more):
        def limit():
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        return subprocess.Popen([self.program, *map(str, args)], cwd=self.folder, env=self.environment(env), preexec_fn=limit,
                                stdin=subprocess.DEVNULL, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more})

    def quern(self, *args, env=None, timeout=120, **more):
        process = self.start(*args, env=env, **more)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise Wrong("no end after %d s: %s" % (timeout, shorten(err.decode("utf-8", "replace")))) from None
        result = Result(process.returncode, out or b"", (err or b"").decode("utf-8", "replace"))
        for secret in (CLIENT_SECRET, "tok-"):
            check(secret not in result.err and secret.encode() not in result.out, "a secret was printed: %s", shorten(result.err))
        check("left open" not in result.err and "Sanitizer" not in result.err, "%s", result.err[-1500:])
        return result

    def summary(self, name="summary.json"):
        return json.loads(self.read(name))
