"""What operations staff rely on: the audit file against the server's own log, alerts, waiting."""
import collections
import json
import os
import re
import stat

from harness import CLIENT_SECRET, Server, case, check, equal

RANGE = ["-p", "from=2024-01-01", "-p", "to=2024-01-31"]
DATA = ["--days", 31, "--rate", 40]


def audit_lines(bench, name="audit.jsonl"):
    return [json.loads(line) for line in bench.read(name).decode().splitlines()]


def leaves_of(lines, event):
    return {line["leaf"]: line for line in lines if line["event"] == event}


@case(few=True)
def audit_against_the_servers_log(bench):
    with Server(*DATA, "--max-records", 300, "--first", "502,429", "--log", bench.path("server.log")) as server:
        bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "audit.jsonl", env=server.env).expect(0)
        statuses = collections.Counter(json.loads(line)["status"] for line in bench.read("server.log").splitlines())
    lines = audit_lines(bench)
    requests = [line for line in lines if line["event"] == "request"]
    equal(collections.Counter(line["status"] for line in requests), statuses, "answers by status")
    whole = leaves_of(lines, "query_completed")
    rows = len(json.loads(bench.read("out.json")))
    check(sum(line["result_count"] for line in whole.values()) >= rows, "the leaves' counts do not cover the rows")
    check(len(whole) >= 2 and leaves_of(lines, "query_split"), "the run was to be split")
    for line in lines:
        check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["timestamp"]), "timestamp: %s", line)
        check(line["query"] == "details_sliced" and line["run"], "%s", line)
    for leaf, line in whole.items():
        check(line["status"] == "success" and line["latency_ms"] >= 0 and re.fullmatch("[0-9a-f]{64}", line["query_hash"]), "%s", line)
        equal(leaves_of(lines, "query_submitted")[leaf]["query_hash"], line["query_hash"], "hash of " + leaf)
    text = bench.read("audit.jsonl").decode()
    check(CLIENT_SECRET not in text and "tok-" not in text, "a secret stands in the audit")
    equal(stat.S_IMODE(os.stat(bench.path("audit.jsonl")).st_mode), 0o600, "mode of the audit")


@case()
def audit_is_added_to_and_its_hashes_repeat(bench):
    runs = []
    for port_changes in range(2):
        with Server(*DATA) as server:  # another port each time: the hash knows no origin
            bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "audit.jsonl", env=server.env).expect(0)
        lines = audit_lines(bench)
        runs.append({leaf: line["query_hash"] for leaf, line in leaves_of(lines[port_changes * len(lines) // 2:], "query_completed").items()})
    equal(runs[0], runs[1], "hashes of the second run")
    equal(len({line["run"] for line in lines}), 2, "runs in the file")


@case()
def audit_that_cannot_be_written(bench):
    with Server(*DATA) as server:
        result = bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "none/audit.jsonl", env=server.env)
        result.expect(2, "--audit none/audit.jsonl", "No such file")
        equal(server.stats()["requests"], 1, "requests, this question included")
        bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--audit", "/dev/full", env=server.env).expect(1, "No space left")
    equal(bench.files(), [], "files left")
