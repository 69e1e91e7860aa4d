"""The interval, tree and search reports against the outside server: exactly the records it holds, and the job's ways to end."""
import os

import dataset
import truth
from harness import Server, case, check, equal, same_rows

SMALL = ["--days", 10, "--rate", 40, "--job-fast"]
FROM, TO = "2024-01-01", "2024-01-08"

REPORTS = {  # name: extension, truth, words of the command line
    "interval_report": ("json", truth.interval_report, []),
    "aggregate_tree": ("json", truth.aggregate_tree, []),
    "interaction_search": ("ndjson", truth.interaction_search, ["-p", "poll=100ms"]),
}


def expected(name, first=FROM, last=TO, days=10, rate=40, seed=1, **more):
    return REPORTS[name][1](dataset.DataSet(seed, days, rate), dataset.parse_ms(first), dataset.parse_ms(last), **more).encode()


def pull(bench, server, name, *more, first=FROM, last=TO, output=None, **how):
    """Runs the report; its result, and the name of the output."""
    extension, _, words = REPORTS[name]
    output = output or name + "." + extension
    return bench.quern("run", name, "-p", "from=" + first, "-p", "to=" + last, *words, "-o", output, "--summary", "summary.json", *more,
                       env=server.env, **how), output


def exact(bench, server, name, *more, **how):
    result, output = pull(bench, server, name, *more, **how)
    result.expect(0, "complete")
    same_rows(bench.read(output), expected(name))
    equal([file for file in bench.files() if file not in (output, "summary.json")], [], "files left")


@case(few=True)
def three_reports_plain(bench):
    with Server(*SMALL, "--prefix", "/prefix", "--result-page", 50) as server:
        for name in REPORTS:
            exact(bench, server, name)
            bench_clear(bench)
        stats = server.stats()
        equal(stats["submits"], 1, "jobs")
        equal(stats["tokens"], 3, "tokens")
        equal(stats["foreign"], 0, "requests to the foreign origin")


def bench_clear(bench):
    for name in bench.files():
        os.unlink(bench.path(name))


@case()
def three_reports_with_odd_pages(bench):
    """Short pages, records that come again on the next page, absolute links, ids that a path must encode."""
    with Server(*SMALL, "--ragged", "--duplicates", "--links", "absolute", "--prefix", "/a/b", "--result-page", 30, "--odd-ids",
                "--bucket-page", 20) as server:
        for name in REPORTS:
            exact(bench, server, name)
            check(bench.summary()["duplicates"] > 0, "duplicates: %s", bench.summary()["duplicates"])
            bench_clear(bench)


@case()
def buckets(bench):
    with Server(*SMALL) as server:
        for interval in ("PT15M", "PT1H", "P1D"):
            result, output = pull(bench, server, "interval_report", "-p", "interval=" + interval, output=interval + ".json")
            result.expect(0)
            same_rows(bench.read(output), expected("interval_report", interval=interval))
        requests = server.stats()["requests"]
        for words, status, said in [(["-p", "interval=PT20M"], 2, "is not one of PT15M, PT30M, PT1H, P1D"),
                                    (["-p", "interval=PT1H", "-p", "from=2024-01-01T00:30:00Z"], 2, "not on the grain PT1H"),
                                    (["-p", "to=2023-01-01"], 2, "empty")]:
            result, _ = pull(bench, server, "interval_report", *words, output="none.json")
            result.expect(status, said)
        equal(server.stats()["requests"], requests + 1, "requests")


@case(one=True)
def splits_lie_on_the_bucket(bench):
    with Server(*SMALL, "--max-buckets", 50, "--max-hours", 30) as server:
        exact(bench, server, "interval_report")
        check(bench.summary()["splits"] >= 3, "splits: %s", bench.summary()["splits"])
        bench_clear(bench)
        exact(bench, server, "aggregate_tree")
        check(bench.summary()["splits"] >= 3, "splits: %s", bench.summary()["splits"])


@case()
def an_expired_cursor_restarts_the_job_once(bench):
    for words in ("the cursor has expired", "bad request"):
        with Server(*SMALL, "--result-page", 50, "--cursor-expires", 1, "--cursor-words", words) as server:
            exact(bench, server, "interaction_search")
            equal(server.stats()["submits"], 2, "jobs")
        equal(bench.summary()["restarts"], 1, "restarts")
        bench_clear(bench)
    with Server(*SMALL, "--result-page", 50, "--cursor-expires", 99) as server:
        result, _ = pull(bench, server, "interaction_search")
        result.expect(1, "the cursor has expired")
        equal(server.stats()["submits"], 2, "jobs")


@case()
def jobs_that_do_not_end_well(bench):
    with Server(*SMALL, "--job-fail", "the index is being rebuilt") as server:
        pull(bench, server, "interaction_search")[0].expect(1, "the index is being rebuilt")
    with Server(*SMALL, "--job-stuck") as server:
        pull(bench, server, "interaction_search", "-p", "polls=3")[0].expect(1, "not complete after 3 polls")
        equal(server.stats().get("cancelled"), 1, "jobs cancelled")
    equal(bench.files(), ["summary.json"], "files left")


@case()
def a_webhook_of_the_api(bench):
    with Server(*SMALL, "--job-seconds", 1, "--call-webhooks") as server:
        result = bench.quern("run", "interaction_search", "-p", "from=" + FROM, "-p", "to=" + TO, "-p", "poll=60s", "--listen", "127.0.0.1", "-o",
                             "found.ndjson", env=server.env, timeout=40)
        result.expect(0)
        same_rows(bench.read("found.ndjson"), expected("interaction_search"))
        equal(server.stats()["hooked"], 204, "what the webhook answered")


@case()
def polls_keep_their_pace(bench):
    with Server("--days", 2, "--rate", 40, "--job-seconds", 5) as server:
        result = bench.quern("run", "interaction_search", "-p", "from=2024-01-01", "-p", "to=2024-01-03", "-o", "found.ndjson", env=server.env)
        result.expect(0)
        check(2 <= server.stats()["requests"] - 3 <= 5, "requests: %s", server.stats())


@case()
def a_search_is_checked_before_it_is_sent(bench):
    deep = '[{"and":[{"or":[{"not":[{"and":[]}]}]}]}]'
    wide = "[" + ",".join(['{"type":"field","property":"mediaType","op":"eq","value":"voice"}'] * 21) + "]"
    with Server(*SMALL) as server:
        for words, said in [(["filterBy=" + deep], "nested deeper than 4"), (["filterBy=" + wide], "21 expressions, more than 20"),
                            (['groupBy=[{},{},{},{}]'], "above 3"), (["groupBy=[]"], "below 1"), (["page_size=10001"], "above 10000"),
                            (["from=2023-01-01", "to=2024-01-02"], "longer than P365D")]:
            more = [part for word in words for part in ("-p", word)]
            pull(bench, server, "interaction_search", *more)[0].expect(5, said)
        equal(server.stats()["requests"], 1, "requests, this question included")


@case()
def a_search_with_a_filter(bench):
    filter_by = [{"type": "field", "property": "mediaType", "op": "in", "value": ["chat", "email"]},
                 {"or": [{"type": "field", "property": "wrapupcode.name", "op": "eq", "value": "completed"},
                         {"not": [{"type": "field", "property": "queueId", "op": "contains", "value": "0005"}]}]}]
    with Server(*SMALL) as server:
        pull(bench, server, "interaction_search", "-p", "filterBy=" + dataset.text_of(filter_by))[0].expect(0)
        same_rows(bench.read("interaction_search.ndjson"), expected("interaction_search", filter_by=filter_by))


@case()
def fewer_than_expected(bench):
    rows = expected("interaction_search").count(b"\n")
    with Server(*SMALL, "--same-jobs", 4) as server:
        pull(bench, server, "interaction_search", "-p", "expected=%d" % rows)[0].expect(0)
        pull(bench, server, "interaction_search", "-p", "expected=%d" % (rows * 100 // 95))[0].expect(0)
        pull(bench, server, "interaction_search", "-p", "expected=%d" % (rows * 2), output="few.ndjson")[0].expect(3, "%d of %d" % (rows, rows * 2))
        check("few.ndjson" not in bench.files(), "an incomplete output was published")
        pull(bench, server, "interaction_search", "-p", "expected=%d" % (rows * 2), "-p", "accuracy=0.5", output="half.ndjson")[0].expect(0)


@case()
def an_organization_that_is_not_named(bench):
    with Server(*SMALL) as server:
        del server.env["GENESYS_ORGANIZATION_ID"]
        pull(bench, server, "interaction_search")[0].expect(2, "GENESYS_ORGANIZATION_ID")
