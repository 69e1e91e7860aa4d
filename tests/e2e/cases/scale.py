"""Memory stays flat: ten times the data, at most 1.1 times the peak."""
import json
import os

import dataset
import truth
from harness import Server, case, check, same_rows


def peak(bench, server, last, name):
    bench.quern("run", "details_sliced", "-p", "from=2024-01-01", "-p", "to=" + last, "-p", "chunk=P4D", "-o", name, "--summary", "s.json",
                "--concurrency", 1, "--workers", 1, env=server.env, timeout=300).expect(0)
    return bench.summary("s.json")["memory_peak_bytes"]


@case()
def memory_is_flat(bench):
    """One leaf at a time: how many are in memory at once is a matter of chance otherwise. One already is fifty leaves: then the
    collectors of the Lua states have found their pace."""
    with Server("--days", 2000, "--rate", 120) as server:
        small = peak(bench, server, "2024-07-19", "small.json")
        large = peak(bench, server, "2029-06-23", "large.json")
    check(os.path.getsize(bench.path("large.json")) > 9 * os.path.getsize(bench.path("small.json")), "sizes of the outputs")
    check(large <= 1.1 * small, "peak %d bytes for ten times the data, %d for one", large, small)


@case()
def many_workers_out_of_order(bench):
    """Pages are delayed by seeded amounts; the rows come in plan order although the work does not."""
    with Server("--days", 40, "--rate", 400, "--delay-ms", 60) as server:
        bench.quern("run", "details_sliced", "-p", "from=2024-01-01", "-p", "to=2024-02-10", "-p", "chunk=P1D", "-o", "out.json",
                    "--workers", 4, "--concurrency", 8, "--summary", "s.json", env=server.env).expect(0)
    same_rows(bench.read("out.json"),
              truth.details_sliced(dataset.DataSet(1, 40, 400), *map(dataset.parse_ms, ("2024-01-01", "2024-02-10"))).encode())
    facts = bench.summary("s.json").get("converted") or {}
    check(facts.get("threads", 0) >= 2, "threads that converted pages: %s", json.dumps(facts))
    check(facts.get("overtakes", 0) >= 1, "pages that were overtaken: %s", json.dumps(facts))
