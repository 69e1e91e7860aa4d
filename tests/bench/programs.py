"""The programs of the bench: quern, the bare receive loop, curl, and the Python peers."""
import datetime
import os
import re
import shutil
import subprocess
import sys

from measure import HERE, Failed, Program

AT_ONCE = 4  # quern's own default of leaves side by side; the bare loop, curl and the concurrent peer do the same
PEERS = {"peer_lean": None, "peer_requests": "requests", "peer_async": "httpx"}  # and the module that each needs


def day_behind(day):
    return (datetime.date.fromisoformat(day) + datetime.timedelta(days=1)).isoformat()


def has_module(name):
    return subprocess.run([sys.executable, "-c", "import " + name], capture_output=True, check=False).returncode == 0


class Programs:
    def __init__(self, build, layout, peers=HERE):
        self.build, self.layout, self.folder = build, layout, peers
        self.quern_path = os.path.join(build, "core/cli/quern")
        self.peers = [name for name, module in PEERS.items() if module is None or has_module(module)]
        self.has_curl = shutil.which("curl") is not None
        self.left_out = [name for name in PEERS if name not in self.peers] + ([] if self.has_curl else ["curl"])
        if not os.path.exists(self.quern_path):
            raise Failed("there is no program at %s; type: ./dev build release" % self.quern_path)

    def query(self, name, script, url, *words):
        return Program(name, [self.quern_path, "run", os.path.join(HERE, script + ".lua"), *words], {"BENCH_URL": url})

    def quern(self, script, days, url):
        return self.query("quern " + script, script, url, "-p", "from=" + days[0], "-p", "to=" + day_behind(days[-1]))

    def receive(self, name, urls, *words, at_once=AT_ONCE):
        path = os.path.join(self.build, "tests/bench/receive")
        return Program(name, [path, "--at-once", str(at_once), *words], text="".join(urls))

    def receive_pages(self, name, days, url, *words):
        return self.receive(name, ["%s/page?day=%s&pageNumber=%d&pageSize=1000\n" % (url, day, page)
                                   for day in days for page in range(1, self.layout.per_day + 1)], *words)

    def receive_columns(self, name, days, url):
        """The bare loop that also makes rows of the paths of columns.lua, in the same thread."""
        with open(os.path.join(HERE, "columns.lua"), encoding="utf-8") as file:
            text = file.read()
        agent = re.search(r'AGENT = "(.*)"', text).group(1)
        paths = re.findall(r'"(\$[^"]*)"', text.replace('AGENT .. "', '"' + agent).split("columns = {", 1)[1])
        return self.receive_pages(name, days, url, *[word for path in paths for word in ("--column", path)])

    def peer(self, name, mode, days, url):
        return Program("%s, %s" % (name, mode), [sys.executable, os.path.join(self.folder, name + ".py"), url, mode, *days])

    def curl(self, days, url):
        """curl to /dev/null, one after the other and side by side; none if it is not installed."""
        if not self.has_curl:
            return []
        pages = "%s/page?day=%%s&pageNumber=[1-%d]&pageSize=1000" % (url, self.layout.per_day)
        words = [word for day in days for word in (pages % day, "-o", "/dev/null")]
        return [Program("curl", ["curl", "-s", *words]),
                Program("curl, parallel", ["curl", "-s", "-Z", "--parallel-max", str(AT_ONCE), *words])]
