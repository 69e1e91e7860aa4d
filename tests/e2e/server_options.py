"""The command line of tutorial_server.py."""
import argparse

LEAKS = ["absolute", "no-scheme", "user-name"]


def parse(description, arguments=None):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialect", choices=["tutorials", "shop"], default="tutorials")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--prefix", default="", help="path prefix, such as /prefix")
    parser.add_argument("--tls", action="store_true", help="serve https with the certificate of tls_test_only.pem")
    parser.add_argument("--log", help="file for the request log, one JSON object a line")
    for add in (data, credentials, answers, pages, jobs, faults):
        add(parser)
    return parser.parse_args(arguments)


def data(parser):
    group = parser.add_argument_group("data (docs/reference/emulator-data.md)")
    group.add_argument("--seed", type=int, default=1)
    group.add_argument("--days", type=int, default=90)
    group.add_argument("--rate", type=int, default=240, help="conversations a day")
    group.add_argument("--start", default="2024-01-01")
    group.add_argument("--customers", type=int, default=47, help="of the shop")


def credentials(parser):
    group = parser.add_argument_group("credentials")
    group.add_argument("--client-id", default="client-1")
    group.add_argument("--client-secret", default="s3cret+/=&%")
    group.add_argument("--organization", default="org-1", help="what the header x-genesys-org-id must say")
    group.add_argument("--bearer", default="static-token-1", help="the token of the shop")
    group.add_argument("--token-life", type=float, default=3600, help="seconds")


def answers(parser):
    group = parser.add_argument_group("answers")
    group.add_argument("--max-records", type=int, default=0, help="413 above this many (sliced, search); 0: no bound, here and below")
    group.add_argument("--max-records-paged", type=int, default=0)
    group.add_argument("--max-buckets", type=int, default=0)
    group.add_argument("--max-hours", type=int, default=0)
    group.add_argument("--overlap", action="store_true", help="records that touch an edge come in both neighbours (sliced, paged)")
    group.add_argument("--pretty", action="store_true", help="records hold line breaks between members (sliced, paged)")
    group.add_argument("--delay-ms", type=int, default=0, help="answers wait up to this long, seeded by the request")


def pages(parser):
    group = parser.add_argument_group("pages")
    group.add_argument("--bucket-page", type=int, default=100, help="entities a page (interval)")
    group.add_argument("--result-page", type=int, default=10000, help="most records a page (search)")
    group.add_argument("--links", choices=["relative", "absolute"], default="relative")
    group.add_argument("--leak-link", nargs="?", const="absolute", choices=LEAKS, help="the first next link leads to another origin")
    group.add_argument("--ragged", action="store_true", help="pages may be shorter than asked (interval, tree, search)")
    group.add_argument("--duplicates", action="store_true", help="a page begins with the last record of the page before (the same)")
    group.add_argument("--circles", type=int, default=0, help="so many next links, or cursors, name a page that was there before")
    group.add_argument("--repeat-page", type=int, help="answer the page before this one, once (paged)")
    group.add_argument("--no-page-count", action="store_true", help="no pageCount and no total (paged)")
    group.add_argument("--page-count-off", type=int, default=0, help="pageCount is off by this (paged)")
    group.add_argument("--total-off", type=int, default=0, help="totals are off by this (paged, tree)")
    group.add_argument("--late", type=int, default=0, help="the last records of a range are not there in its first walk (paged, search)")


def jobs(parser):
    group = parser.add_argument_group("search jobs")
    group.add_argument("--job-seconds", type=float, default=0.3)
    group.add_argument("--job-fail", default="", help="jobs fail with these words")
    group.add_argument("--job-stuck", action="store_true", help="jobs never end")
    group.add_argument("--job-fast", action="store_true", help="polls may come at any pace; else 1.5 s apart, unless a webhook was called")
    group.add_argument("--same-jobs", type=int, default=1, help="so many submissions of one body need no reason")
    group.add_argument("--cursor-expires", type=int, default=0, help="so many cursors are refused with 400")
    group.add_argument("--cursor-expires-after", type=int, default=1, help="... of a walk that had this many pages")
    group.add_argument("--cursor-words", default="the cursor has expired")
    group.add_argument("--odd-ids", action="store_true", help="job ids hold characters that a path must encode")
    group.add_argument("--call-webhooks", action="store_true", help="POST to the webhookUrl when the job is done")


def faults(parser):
    group = parser.add_argument_group(
        "faults", "A number is a status. Others: reset hang-up cut gzipcut html empty missing badjson slow bom close huge gzip "
        "moved (307 on this origin) foreign (307 to another).")
    group.add_argument("--faults", default="", help="shares, seeded by the request: 429=0.1,502=0.1,401=0.05,cut=0.05,gzip=0.3")
    group.add_argument("--first", default="", help="faults of the first requests, in order: ok,502,reset")
    group.add_argument("--always", default="", help="one fault for every request")
    group.add_argument("--token-first", default="", help="the same for requests for a token")
    group.add_argument("--token-always", default="")
    group.add_argument("--fault-seed", type=int, default=1)
