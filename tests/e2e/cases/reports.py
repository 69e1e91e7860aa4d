"""The two details reports against the outside server: exactly the records it holds, once each, in order."""
import json

import dataset
import truth
from harness import Server, case, check, equal, same_rows

FROM, TO = "2024-01-01", "2024-03-31"
SMALL = ["--days", 91, "--rate", 40]
MIXTURE = "429=0.1,502=0.1,401=0.05,cut=0.05,html=0.05,badjson=0.05,reset=0.05,gzip=0.3"


def data(days=91, rate=40, seed=1):
    return dataset.DataSet(seed, days, rate)


def span(first=FROM, last=TO):
    return dataset.parse_ms(first), dataset.parse_ms(last)


def sliced_truth(first=FROM, last=TO, **which):
    return truth.details_sliced(data(**which), *span(first, last)).encode()


def paged_truth(first=FROM, last=TO, queues=None, **which):
    return truth.details_paged(data(**which), *span(first, last), queues=queues).encode()


def sliced(bench, server, *more, output="out.json", **how):
    return bench.quern("run", "details_sliced", "-p", "from=" + FROM, "-p", "to=" + TO, "-o", output, "--summary", "summary.json",
                       *more, env=server.env, **how)


def paged(bench, server, *more, output="out.csv", **how):
    return bench.quern("run", "details_paged", "-p", "from=" + FROM, "-p", "to=" + TO, "-p", "pace=10ms", "-o", output, "--summary",
                       "summary.json", *more, env=server.env, **how)


def clean(bench, *names):
    """Nothing but the named files is left."""
    equal(bench.files(), sorted(names), "files left")


@case(few=True)
def sliced_plain(bench):
    with Server("--prefix", "/prefix", *SMALL) as server:
        sliced(bench, server).expect(0, "complete")
        same_rows(bench.read("out.json"), sliced_truth())
        equal(server.stats()["tokens"], 1, "tokens fetched")
    summary = bench.summary()
    equal(summary["tiled"], True, "tiled")
    equal(summary["leaves"], 3, "leaves")
    clean(bench, "out.json", "summary.json")


@case(one=True)
def sliced_splits_and_overlaps(bench):
    with Server(*SMALL, "--max-records", 200, "--overlap", "--pretty") as server:
        sliced(bench, server).expect(0)
        same_rows(bench.read("out.json"), sliced_truth())
    summary = bench.summary()
    check(summary["splits"] >= 3, "splits: %s", summary["splits"])
    check(summary["disowned"] > 0, "records that both neighbours returned: %s", summary["disowned"])


def sliced_with_faults(bench, seed):
    with Server(*SMALL, "--prefix", "/a/b", "--max-records", 120, "--overlap", "--faults", MIXTURE, "--fault-seed", seed) as server:
        sliced(bench, server, timeout=240).expect(0)
        same_rows(bench.read("out.json"), sliced_truth())
        check(len(server.stats()["faults"]) >= 3, "too few faults: %s", server.stats()["faults"])
    clean(bench, "out.json", "summary.json")


@case()
def sliced_with_faults_1(bench):
    sliced_with_faults(bench, 1)


@case(few=True)
def sliced_with_faults_2(bench):
    sliced_with_faults(bench, 2)


@case()
def sliced_floor_is_a_hole(bench):
    with Server("--days", 2, "--rate", 2400, "--max-records", 100) as server:
        result = bench.quern("run", "details_sliced", "-p", "from=2024-01-01", "-p", "to=2024-01-02", "-p", "floor=PT6H", "-o", "out.json",
                             env=server.env)
        result.expect(5)  # nothing ever succeeded
        clean(bench)


@case(few=True)
def paged_plain(bench):
    with Server("--prefix", "/prefix", *SMALL) as server:
        paged(bench, server).expect(0, "complete")
        same_rows(bench.read("out.csv"), paged_truth())
        equal(server.stats()["pages"], 4, "pages asked")
    equal(bench.summary()["counted"], "yes", "counted")
    clean(bench, "out.csv", "summary.json")


@case()
def paged_without_page_count(bench):
    with Server(*SMALL, "--no-page-count") as server:
        paged(bench, server).expect(0)
        same_rows(bench.read("out.csv"), paged_truth())
        equal(server.stats()["pages"], 5, "pages asked, with the empty one")
    equal(bench.summary()["counted"], "not promised", "counted")


@case()
def paged_queues(bench):
    queues = [dataset.queue_id(1), dataset.queue_id(3)]
    with Server(*SMALL) as server:
        paged(bench, server, "-p", "queues=" + ",".join(queues)).expect(0)
        same_rows(bench.read("out.csv"), paged_truth(queues=queues))
        paged(bench, server, "-p", "queues=" + json.dumps(queues), output="json.csv").expect(0)
        same_rows(bench.read("json.csv"), paged_truth(queues=queues))


def paged_with_faults(bench, seed):
    with Server(*SMALL, "--prefix", "/p", "--faults", MIXTURE, "--fault-seed", seed, "--token-life", 2) as server:
        paged(bench, server, "-p", "page_size=100", timeout=240).expect(0)
        same_rows(bench.read("out.csv"), paged_truth())
        check(len(server.stats()["faults"]) >= 3, "too few faults: %s", server.stats()["faults"])
    clean(bench, "out.csv", "summary.json")


@case()
def paged_with_faults_3(bench):
    paged_with_faults(bench, 3)


@case(few=True)
def paged_with_faults_4(bench):
    paged_with_faults(bench, 4)


@case()
def paged_splits(bench):
    with Server(*SMALL, "--max-records-paged", 1000) as server:
        paged(bench, server).expect(0)
        same_rows(bench.read("out.csv"), paged_truth())
    check(bench.summary()["splits"] >= 3, "splits: %s", bench.summary()["splits"])


@case()
def paged_revoked_token(bench):
    """A token that was good is refused between two pages: one new token, one replay."""
    with Server(*SMALL, "--first", "ok,401") as server:
        paged(bench, server).expect(0)
        same_rows(bench.read("out.csv"), paged_truth())
        equal(server.stats()["tokens"], 2, "tokens fetched")


@case()
def paged_repeated_page(bench):
    with Server(*SMALL, "--repeat-page", 3) as server:
        paged(bench, server).expect(0)
        same_rows(bench.read("out.csv"), paged_truth())
    equal(bench.summary()["restarts"], 1, "restarts")


@case()
def paged_too_many_pages(bench):
    with Server(*SMALL) as server:
        result = paged(bench, server, "-p", "page_size=100", "-p", "max_pages=5")
        result.expect(3, "5 pages")
    left = [name for name in bench.files() if name.endswith(".partial")]
    equal(len(left), 1, "partial files")
    check(left[0] in result.err, "the partial file's path is not printed: %s", result.err)
    check("out.csv" not in bench.files(), "an incomplete output was published")


@case()
def paged_incomplete_accepted(bench):
    with Server(*SMALL) as server:
        paged(bench, server, "-p", "page_size=100", "-p", "max_pages=5", "--accept-incomplete").expect(3)
    clean(bench, "out.csv", "summary.json")


@case()
def same_bytes_however_many(bench):
    for number, (leaves, workers) in enumerate([(1, 1), (8, 3), (3, 8)]):
        with Server(*SMALL, "--max-records", 300, "--overlap") as server:
            name = "out%d.json" % number
            sliced(bench, server, "--concurrency", leaves, "--workers", workers, output=name).expect(0)
            same_rows(bench.read(name), sliced_truth())


@case(few=True)
def formats_and_stdout(bench):
    rows = [json.loads(line.rstrip(",")) for line in sliced_truth().decode().splitlines()[1:-1]]
    with Server(*SMALL) as server:
        result = bench.quern("run", "details_sliced", "-p", "from=" + FROM, "-p", "to=" + TO, env=server.env).expect(0)
        same_rows(result.out, sliced_truth())
        sliced(bench, server, output="out.ndjson").expect(0)
        equal([json.loads(line) for line in bench.read("out.ndjson").decode().splitlines()], rows, "ndjson rows")
        paged(bench, server, output="flat.ndjson").expect(0)
        first = json.loads(bench.read("flat.ndjson").splitlines()[0])
        equal(list(first), dataset.PAGED_COLUMNS, "members of a row, in column order")
        result = bench.quern("run", "details_sliced", "--format", "csv", env=server.env).expect(2, "ndjson")


@case()
def empty_range(bench):
    with Server("--days", 1, "--rate", 10) as server:
        for name, expected in (("details_sliced", "[\n]\n"), ("details_paged", ",".join(dataset.PAGED_COLUMNS) + "\r\n")):
            result = bench.quern("run", name, "-p", "from=2024-05-01", "-p", "to=2024-05-02", env=server.env).expect(0)
            equal(result.out.decode(), expected, name)
