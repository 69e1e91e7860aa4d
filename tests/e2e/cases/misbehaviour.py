"""An API that promises too much, runs in circles, forgets records for a while, is away for a while, or points at somebody else."""
import dataset
import truth
from harness import Server, case, check, equal, same_rows
from mixtures import REPORTS

FROM, TO, DAYS, RATE = "2024-01-01", "2024-01-04", 4, 40
SMALL = ["--days", DAYS, "--rate", RATE, "--job-fast", "--bucket-page", 30, "--result-page", 25]
# Answers that are right but unusual, and answers that are asked for again.
EACH = ["429", "502", "500", "408", "425", "401", "cut", "gzipcut", "html", "badjson", "empty", "204", "missing", "reset", "hang-up", "slow", "bom",
        "close", "huge", "moved"]
WITH_LINKS = ["interval_report", "aggregate_tree"]
WALKED = WITH_LINKS + ["interaction_search"]


def expected(name):
    return REPORTS[name][1](dataset.DataSet(1, DAYS, RATE), dataset.parse_ms(FROM), dataset.parse_ms(TO)).encode()


def pull(bench, server, name, *more, **how):
    extension, _, words = REPORTS[name]
    return bench.quern("run", name, "-p", "from=" + FROM, "-p", "to=" + TO, *words, "-o", "out." + extension, "--summary", "summary.json", *more,
                       env=server.env, **how)


def exact(bench, server, name, *more, **how):
    pull(bench, server, name, *more, **how).expect(0)
    same_rows(bench.read("out." + REPORTS[name][0]), expected(name))


def each_fault(bench, name):
    """The first request and the third meet the fault. A token that is new must not be refused twice, so 401 meets one leaf after another."""
    def one(bench, fault):
        with Server(*SMALL, "--job-seconds", 0, "--first", "%s,ok,%s" % (fault, fault)) as server:
            exact(bench, server, name, *(["--concurrency", 1] if fault == "401" else []))
            equal(server.stats()["faults"].get(fault), 2, "faults of kind " + fault)
    bench.each(EACH, one)


@case()
def each_fault_of_sliced(bench):
    each_fault(bench, "details_sliced")


@case()
def each_fault_of_paged(bench):
    each_fault(bench, "details_paged")


@case()
def each_fault_of_interval(bench):
    each_fault(bench, "interval_report")


@case()
def each_fault_of_tree(bench):
    each_fault(bench, "aggregate_tree")


@case()
def each_fault_of_search(bench):
    each_fault(bench, "interaction_search")


@case()
def tokens_that_end_in_the_middle(bench):
    def one(bench, name):
        with Server(*SMALL, "--bucket-page", 20, "--result-page", 15, "--token-life", 0.4, "--delay-ms", 300, "--job-seconds", 0.5) as server:
            exact(bench, server, name, "--concurrency", 1)
            check(server.stats()["tokens"] > 1, "%s: tokens %s", name, server.stats()["tokens"])
    bench.each(REPORTS, one)


@case(few=True)
def a_walk_in_a_circle(bench):
    """A page that comes again begins the leaf again, once; then it is a hole."""
    for name in WALKED:
        with Server(*SMALL, "--circles", 1) as server:
            exact(bench, server, name)
            equal(bench.summary()["restarts"], 1, name + ": restarts")
        with Server(*SMALL, "--circles", 99) as server:
            result = pull(bench, server, name)
            check(result.status in (1, 3), "%s: exit %s: %s", name, result.status, result.err)
            check(server.stats()["requests"] < 25, "%s: requests: %s", name, server.stats())


@case()
def page_counts_and_totals_that_lie(bench):
    with Server(*SMALL, "--total-off", 7) as server:
        exact(bench, server, "details_paged")
        exact(bench, server, "aggregate_tree")
    with Server(*SMALL, "--page-count-off", 1) as server:
        pull(bench, server, "details_paged").expect(0, "the API promised 7 pages", "counted: not promised")
        same_rows(bench.read("out.csv"), expected("details_paged"))


@case()
def records_that_come_late(bench):
    """Two pages of 20 are missing at first, though they are promised; a job that lacks some is known only by what is expected."""
    with Server(*SMALL, "--late", 40) as server:
        exact(bench, server, "details_paged")
        equal(bench.summary()["restarts"], 1, "restarts")
    rows = expected("interaction_search").count(b"\n")
    with Server(*SMALL, "--late", 15) as server:
        pull(bench, server, "interaction_search", "-p", "expected=%d" % rows).expect(3, "%d of %d" % (rows - 15, rows))
    with Server(*SMALL, "--late", 2) as server:
        pull(bench, server, "interaction_search", "-p", "expected=%d" % rows).expect(0)


@case()
def away_for_a_while(bench):
    """503 costs no attempt and half a minute; the run goes on where it stood."""
    def one(bench, name):
        with Server(*SMALL, "--first", "ok,503") as server:
            exact(bench, server, name)
            equal(server.stats()["faults"].get("503"), 1, "503")
            equal(server.stats().get("submits", 1), 1, "jobs")
    bench.each(REPORTS, one, at_once=5)


@case(few=True)
def links_that_lead_away(bench):
    for name in WITH_LINKS:
        for kind in ("absolute", "no-scheme", "user-name"):
            with Server(*SMALL, "--prefix", "/a", "--leak-link", kind) as server:
                pull(bench, server, name).expect(1, "another origin" if kind != "user-name" else "user name")
                equal(server.stats()["foreign"], 0, "requests to the foreign origin")


@case(few=True)
def redirects(bench):
    """On this origin they are followed with method and body; to another they are not, least of all with the client's secret."""
    for name in REPORTS:
        with Server(*SMALL, "--prefix", "/a", "--first", "moved,ok,moved", "--token-first", "moved") as server:
            exact(bench, server, name)
            equal(server.stats()["statuses"]["307"], 3, name + ": redirects")
        for where in ("--first", "--token-first"):
            with Server(*SMALL, where, "foreign") as server:
                pull(bench, server, name).expect(1, "another origin")
                equal(server.stats()["foreign"], 0, name + ": requests to the foreign origin")


@case()
def tokens_that_meet_faults(bench):
    def one(bench, fault):
        for name in ("interval_report", "aggregate_tree"):  # form and Basic
            with Server(*SMALL, "--token-first", fault) as server:
                exact(bench, server, name)
                equal(server.stats()["faults"].get(fault), 1, "faults of kind " + fault)
    bench.each(["429", "502", "408", "reset", "hang-up", "cut", "gzipcut", "html", "empty", "missing", "badjson", "slow", "bom", "close", "huge"], one)


@case()
def what_is_too_large_is_split(bench):
    """413 until a range is small enough: the leaves are split on the grain and still tile the range."""
    for name, option, most in (("details_sliced", "--max-records", 10), ("details_paged", "--max-records-paged", 10),
                               ("interval_report", "--max-buckets", 10), ("aggregate_tree", "--max-hours", 10),
                               ("interaction_search", "--max-records", 70)):
        with Server(*SMALL, option, most) as server:
            exact(bench, server, name)
            summary = bench.summary()
            check(summary["splits"] >= 1 and summary["tiled"], "%s: %s", name, summary)


@case()
def truth_holds_what_the_records_hold(_):
    """The truth of the aggregates, counted once more from the conversations in another way."""
    data = dataset.DataSet(1, DAYS, RATE)
    first, last = dataset.parse_ms(FROM), dataset.parse_ms(TO)
    conversations = list(data.select(first, last))
    entities = list(dataset.bucket_entities(data, first, last, 900000))
    equal(sum(e["metrics"]["conversationCount"] for e in entities), len(conversations), "conversations in buckets")
    equal(sum(e["metrics"]["abandonedCount"] for e in entities), sum(c.disposition == "abandoned" for c in conversations), "abandoned")
    voice = [c for c in conversations if c.channel == "voice"]
    paths = [tuple(leaf["dimension_path"]) for e in dataset.tree_entities(data, first, last, "voice") for leaf in truth.leaves(e)]
    equal(len(paths), len(set(paths)), "paths of the tree")
    equal(sum(leaf["metrics"]["wrapupDurationSum"]["value"] for e in dataset.tree_entities(data, first, last, "voice") for leaf in truth.leaves(e)),
          sum(c.wrapup for c in voice), "wrap-up in the leaves")
    check({1, 2, 3} == {len(path) for path in paths}, "depths %s", {len(path) for path in paths})
