"""The five reports under a hundred mixtures of faults and of pages that are odd but right: exactly the records, whatever happens on the way."""
import random

import dataset
import truth
from harness import Server, case, check, equal, same_rows

FROM, TO, DAYS, RATE = "2024-01-01", "2024-01-03", 3, 40
FAULTS = ("429=0.1,502=0.05,500=0.03,408=0.02,425=0.02,401=0.05,cut=0.04,gzipcut=0.02,html=0.04,badjson=0.04,empty=0.02,reset=0.04,hang-up=0.03,"
          "bom=0.05,close=0.05,huge=0.05,moved=0.04,gzip=0.3")
REPORTS = {  # name: extension, truth, words of the command line
    "details_sliced": ("json", truth.details_sliced, ["-p", "chunk=PT12H"]),
    "details_paged": ("csv", truth.details_paged, ["-p", "pace=0ms", "-p", "page_size=20"]),
    "interval_report": ("json", truth.interval_report, []),
    "aggregate_tree": ("json", truth.aggregate_tree, []),
    "interaction_search": ("ndjson", truth.interaction_search, ["-p", "poll=100ms"]),
}


def server_of(name, seed):
    """Options of the server: the same for the same seed."""
    draw = random.Random(seed)

    def perhaps(*words):
        return list(words) if draw.random() < 0.5 else []

    options = ["--days", DAYS, "--rate", RATE, "--faults", FAULTS, "--fault-seed", seed, "--job-fast", "--seed", draw.randrange(1000),
               "--links", draw.choice(["relative", "absolute"]), "--prefix", draw.choice(["", "/p", "/a/b"]),
               "--token-life", draw.choice([2, 3600]), "--job-seconds", draw.choice([0, 0.2]),
               "--result-page", draw.choice([15, 40]), "--bucket-page", draw.choice([20, 60]), "--cursor-expires-after", draw.choice([1, 2])]
    options += perhaps("--overlap") + perhaps("--pretty") + perhaps("--ragged") + perhaps("--duplicates") + perhaps("--delay-ms", 30)
    options += perhaps("--token-first", draw.choice(["429", "502", "reset", "html", "bom", "gzipcut", "moved"]))
    options += perhaps("--max-records", 30) if name == "details_sliced" else perhaps("--max-records-paged", 60)
    options += perhaps("--max-buckets", 40) + perhaps("--max-hours", 30)
    if name == "interaction_search":
        options += perhaps("--odd-ids") + perhaps("--call-webhooks") + perhaps("--cursor-expires", 1)
    else:
        options += perhaps("--circles", 1)
    return options


def mixture(name):
    def run(bench, seed):
        extension, rows, words = REPORTS[name]
        options = server_of(name, seed)
        with Server(*options) as server:
            listen = ["--listen", "127.0.0.1"] if "--call-webhooks" in options else []
            result = bench.quern("run", name, "-p", "from=" + FROM, "-p", "to=" + TO, *words, "-o", "out." + extension, *listen,
                                 env=server.env, timeout=240)
            check(result.status == 0, "exit %s: %s; server: %s", result.status, result.err, options)
            data = dataset.DataSet(options[options.index("--seed") + 1], DAYS, RATE)
            same_rows(bench.read("out." + extension), rows(data, dataset.parse_ms(FROM), dataset.parse_ms(TO)).encode())
            equal(bench.files(), ["out." + extension], "files left")
            equal(server.stats()["foreign"], 0, "requests to the foreign origin")
    return run


def mixtures(bench, name, seeds):
    bench.each(seeds, mixture(name))


# A hundred; each has its own seed.

@case()
def mixtures_of_sliced(bench):
    mixtures(bench, "details_sliced", range(1, 21))


@case()
def mixtures_of_paged(bench):
    mixtures(bench, "details_paged", range(21, 41))


@case()
def mixtures_of_interval(bench):
    mixtures(bench, "interval_report", range(41, 61))


@case()
def mixtures_of_tree(bench):
    mixtures(bench, "aggregate_tree", range(61, 81))


@case()
def mixtures_of_search(bench):
    mixtures(bench, "interaction_search", range(81, 101))


@case(few=True)
def one_mixture_each(bench):
    bench.each(REPORTS, lambda bench, name: mixture(name)(bench, 101))
