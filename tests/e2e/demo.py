#!/usr/bin/env python3
"""./dev demo: pulls five reports from a local API that misbehaves, shows what happened, and compares the rows with the truth.

Ends with 0 only if every row is right and a split, a 429 and a reset were met on the way.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

import dataset
import truth

DAYS, RATE, SEED = 91, 240, 20240101
FROM, TO = "2024-01-01", "2024-03-31"
EMULATE = ["--days", str(DAYS), "--rate", str(RATE), "--seed", str(SEED), "--prefix", "/emulated", "--max-records", "3000",
           "--max-buckets", "3000",
           "--fault", "429:times=1,skip=1,retry_after=2,on=sliced", "--fault", "502:times=1,skip=6,on=sliced",
           "--fault", "truncate:times=1,skip=9,on=paged", "--fault", "429:times=1,skip=4,retry_after=1,on=paged",
           # twice, because libcurl by itself sends again what dies unanswered on a kept connection
           "--fault", "reset:times=2,skip=7,on=paged", "--fault", "html:times=1,skip=3,on=intervals", "--fault", "gzip:share=0.3,on=intervals",
           "--fault", "revoke:times=1,skip=5,on=tree", "--fault", "bom:times=1,skip=2,on=tree",
           "--fault", "cursor_expired:times=1,skip=1,on=results"]
CREDENTIALS = {"GENESYS_CLIENT_ID": "demo", "GENESYS_CLIENT_SECRET": "demo-secret", "GENESYS_ORGANIZATION_ID": "demo-org"}
REPORTS = [  # name, output, more words, lines of a header
    ("details_sliced", "conversations.json", [], 0),
    ("details_paged", "conversations.csv", ["-p", "pace=50ms"], 1),
    ("interval_report", "buckets.json", [], 0),
    ("aggregate_tree", "tree.json", [], 0),
    ("interaction_search", "found.ndjson", ["-p", "poll=300ms"], 0),
]


def say(text=""):
    print(text, flush=True)


def start_emulator(quern):
    process = subprocess.Popen([quern, "emulate", *EMULATE], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    if not line.startswith("listening on "):
        sys.exit("demo: the emulator did not start")
    return process, line.split()[-1]


def show(text):
    return text if len(text) <= 110 else text[:107] + "..."


def pull(quern, url, folder, name, output, more):
    """Runs one report as a person would; returns its summary."""
    path, summary = os.path.join(folder, output), os.path.join(folder, name + ".summary.json")
    words = [quern, "run", name, "-p", "from=" + FROM, "-p", "to=" + TO, *more, "-o", path]
    say("$ quern " + " ".join(words[1:]).replace(folder + "/", ""))
    status = subprocess.run([*words, "--summary", summary], env={**os.environ, **CREDENTIALS, "GENESYS_BASE_URL": url},
                            stdin=subprocess.DEVNULL, check=False).returncode
    if status != 0:
        sys.exit("demo: %s ended with status %d" % (name, status))
    with open(summary, encoding="utf-8") as file:
        return json.load(file), path


def first_rows(path, skip, count=3):
    with open(path, encoding="utf-8", newline="") as file:
        lines = file.read().splitlines()
    for line in lines[:skip] + lines[skip:skip + count]:
        say("    " + show(line))
    say("    ... %d lines in all" % len(lines))


def tell(summary, right):
    causes = [(count, why) for why, count in sorted((summary.get("causes") or {}).items())]
    causes += [(summary[what], what) for what in ("splits", "restarts") if summary[what]]
    say("    met on the way: " + (", ".join("%s x %s" % one for one in causes) or "nothing"))
    say("    %s rows, %s the truth computed without quern\n" % (format(summary["rows"], ","), "equal to" if right else "NOT equal to"))


def compare(path, expected):
    with open(path, "rb") as file:
        return file.read() == expected.encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build/release")
    quern = os.path.join(os.path.abspath(parser.parse_args().build), "core/cli/quern")
    emulator, url = start_emulator(quern)
    data = dataset.DataSet(SEED, DAYS, RATE)
    span = dataset.parse_ms(FROM), dataset.parse_ms(TO)
    problems, met = [], {}
    try:
        with tempfile.TemporaryDirectory(prefix="quern-demo-") as folder:
            say("An API at %s holds %d conversations. It refuses answers of more than 3,000 records," % (url, DAYS * RATE))
            say("and on the way it answers 429 and 502, resets connections, cuts a body, revokes a token and forgets a cursor.\n")
            for name, output, more, header in REPORTS:
                summary, path = pull(quern, url, folder, name, output, more)
                first_rows(path, header)
                right = compare(path, getattr(truth, name)(data, *span))
                tell(summary, right)
                if not right:
                    problems.append("the rows of %s are not the truth" % name)
                for what in ("splits", "restarts"):
                    met[what] = met.get(what, 0) + summary[what]
                for why, count in (summary.get("causes") or {}).items():
                    met[why] = met.get(why, 0) + count
    finally:
        emulator.terminate()
        emulator.wait()
        emulator.stdout.close()
    problems += ["no %s was met" % what for what in ("splits", "429", "reset", "401", "restarts") if not met.get(what)]
    for problem in problems:
        say("demo: " + problem)
    if not problems:
        say("demo: all five reports are right, after %d splits, %d answers 429, %d resets and a job that began again" % (
            met["splits"], met["429"], met["reset"]))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
