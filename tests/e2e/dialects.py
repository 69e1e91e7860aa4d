"""The interval, tree and search dialects of tutorial_server.py: what a request must be, and what is answered."""
import base64
import itertools
import json
import random
import re
import threading
import time
import urllib.parse
import urllib.request

import dataset

AGGREGATES_PATH = "/api/v2/analytics/conversations/aggregates/query"
TREE_PATH = "/api/v2/analytics/conversations/aggregate/query"
DETAILS_PATH = "/api/v2/analytics/conversations/details/query"
SECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
MILLISECONDS = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")


class Refused(Exception):
    """An answer that is not 200, with the words that go into the violations (or None for no violation)."""

    def __init__(self, status, code, message, violation=None):
        super().__init__(message)
        self.status, self.code, self.message, self.violation = status, code, message, violation


def require(condition, message, violation=True):
    if not condition:
        raise Refused(400, "bad.request", message, message if violation else None)


def range_of(first, last, form=SECONDS):
    for text in (first, last):
        require(isinstance(text, str) and form.match(text), "not an instant of the right form: %r" % (text,))
    span = dataset.parse_ms(first), dataset.parse_ms(last)
    require(span[0] < span[1], "an empty range: %s to %s" % (first, last))
    return span


def refuse_too_large(state, span, count, most, what="records"):
    if not most or count <= most:
        return
    with state.lock:
        again = (what, span) in state.too_large
        state.too_large.add((what, span))
    text = "%s/%s" % tuple(map(dataset.format_ms, span))
    raise Refused(413, "request.entity.too.large", "the result is too large: %d %s" % (count, what),
                  "asked again after 413: " + text if again else None)


def page_bounds(options, count, size):
    """Where pages begin and end. --ragged: pages that are shorter than asked, though they are not the last."""
    bounds, at, draw = [], 0, random.Random(options.seed)
    while at < count or not bounds:
        end = min(at + (draw.randrange(1, size + 1) if options.ragged else size), count)
        bounds.append((at, end))
        at = end
    return bounds


def page_of_list(options, items, number, size):
    """The items of a page, from 1, and whether there is another. --duplicates: a page begins with the last item of the one before."""
    bounds = page_bounds(options, len(items), size)
    require(1 <= number <= len(bounds), "there is no page %d" % number)
    first, last = bounds[number - 1]
    again = items[first - 1: first] if options.duplicates and first > 0 else []
    return again + items[first: last], number < len(bounds)


class Interval:
    """POST aggregates/query: buckets; the link to the next page is asked with the same body."""
    token = "form"
    scope = "analytics:conversation:view"

    def __init__(self, state):
        self.state = state

    def answer(self, handler, path, url_query, body):
        options = self.state.options
        query = handler.json_body(body)
        require(set(query) == {"dateFrom", "dateTo", "interval", "groupBy", "metrics"}, "members of the body: %s" % sorted(query))
        require(query["groupBy"] == ["date"], "groupBy: %r" % (query["groupBy"],))
        require(query["metrics"] == ["conversationCount", "handledCount", "abandonedCount", "averageHandleTime"],
                "metrics: %r" % (query["metrics"],))
        size_ms = dataset.BUCKETS.get(query["interval"])
        require(size_ms, "interval: %r" % (query["interval"],))
        span = range_of(query["dateFrom"], query["dateTo"])
        require(span[0] % size_ms == 0 and span[1] % size_ms == 0, "the range is not on the interval")
        require(set(url_query) <= {"page"}, "url query: %s" % url_query)
        refuse_too_large(self.state, span, (span[1] - span[0]) // size_ms, options.max_buckets, "buckets")
        entities = list(dataset.bucket_entities(self.state.data, *span, size_ms))
        number = int(url_query.get("page", "1"))
        shown, more = page_of_list(options, entities, number, options.bucket_page)
        following = handler.link(AGGREGATES_PATH, "page=%d" % (number + 1)) if more else None
        return 200, dataset.text_of({"entities": shown, "nextPage": following, "page": number, "pageSize": options.bucket_page})


class Tree:
    """POST aggregate/query: nodes within nodes; the link to the next page is asked without a body."""
    token = "basic"
    scope = None

    def __init__(self, state):
        self.state, self.queries = state, {}

    def answer(self, handler, path, url_query, body):
        options = self.state.options
        if "query" in url_query:
            require(not body, "a later page was asked for with a body")
            require("Content-Type" not in handler.headers, "a content type without a body")
            require(set(url_query) == {"query", "pageNumber", "pageSize"}, "url query: %s" % url_query)
            span, channel, size = self.queries[url_query["query"]]
            name, number = url_query["query"], int(url_query["pageNumber"])
        else:
            require(not url_query, "url query: %s" % url_query)
            span, channel, size = self.read(handler.json_body(body))
            number = 1
            with self.state.lock:
                name = "q%d" % (len(self.queries) + 1)
                self.queries[name] = span, channel, size
        refuse_too_large(self.state, span, (span[1] - span[0]) // dataset.HOUR_MS, options.max_hours, "hours")
        entities = list(dataset.tree_entities(self.state.data, *span, channel))
        shown, more = page_of_list(options, entities, number, size)
        links = {"next": handler.link(TREE_PATH, "pageNumber=%d&pageSize=%d&query=%s" % (number + 1, size, name))} if more else {}
        total = sum(entity["metrics"]["conversationCount"]["value"] for entity in entities)
        return 200, dataset.text_of({"entities": shown, "links": links, "pageNumber": number, "pageSize": size,
                                     "summary": {"totalConversations": total}, "total": 1})

    def read(self, query):
        require(set(query) == {"dateFrom", "dateTo", "groupBy", "interval", "metrics", "filter", "pageSize", "pageNumber"},
                "members of the body: %s" % sorted(query))
        require(query["groupBy"] == ["interval", "routing.queue.id"] and query["interval"] == "PT1H", "groupBy or interval")
        require(query["metrics"] == ["conversationCount", "handleDurationSum", "wrapupDurationSum"], "metrics: %r" % (query["metrics"],))
        require(query["pageNumber"] == 1 and 1 <= query["pageSize"] <= 100, "pageNumber or pageSize")
        span = range_of(query["dateFrom"], query["dateTo"], MILLISECONDS)
        require(span[0] % dataset.HOUR_MS == 0 and span[1] % dataset.HOUR_MS == 0, "the range is not on full hours")
        require(query["filter"]["type"] == "conversation", "filter: %r" % (query["filter"],))
        clauses = query["filter"]["expression"]["clauses"]
        channels = [clause["value"] for clause in clauses if clause["dimension"] == "mediaType" and clause["operator"] == "equals"]
        return span, channels[0] if channels else None, query["pageSize"]


class Job:
    def __init__(self, name, records, webhook, seconds):
        self.name, self.records, self.webhook = name, records, webhook
        self.done_at = time.monotonic() + seconds
        self.polled_at = self.hinted_at = 0.0
        self.cancelled = False


class Search:
    """details/query with x-genesys-async: a job, its state, and its results by cursor."""
    token = "form"
    scope = None

    def __init__(self, state):
        self.state, self.jobs = state, {}
        self.expirations = state.options.cursor_expires

    def answer(self, handler, path, url_query, body):
        require(handler.headers.get("x-genesys-org-id") == self.state.options.organization, "header x-genesys-org-id")
        if path == DETAILS_PATH:
            require(not url_query, "url query: %s" % url_query)
            return self.submit(handler.json_body(body))
        kind, name = path[len(DETAILS_PATH) + 1:].split("/", 1)
        name = urllib.parse.unquote(name)
        job = self.jobs.get(name)
        if job is None:
            raise Refused(404, "not.found", "no such job", "unknown job " + name)
        if handler.command == "DELETE":
            job.cancelled = True
            self.state.stats["cancelled"] = self.state.stats.get("cancelled", 0) + 1
            return 204, ""
        return self.status(job, url_query) if kind == "jobs" else self.results(job, url_query)

    def submit(self, query):
        options = self.state.options
        known = {"dateFrom", "dateTo", "filterBy", "groupBy", "pageSize"}
        require(known <= set(query) <= known | {"webhookUrl"}, "members of the body: %s" % sorted(query))
        require(1 <= query["pageSize"] <= 10000, "pageSize")
        require(isinstance(query["groupBy"], list) and 1 <= len(query["groupBy"]) <= 3, "groupBy")
        span = range_of(query["dateFrom"], query["dateTo"])
        require(span[1] - span[0] <= 365 * dataset.DAY_MS, "the range is longer than 365 days")
        try:
            records = [c.entity for c in self.state.data.select(*span)
                       if all(dataset.satisfies(c, expression) for expression in query["filterBy"])]
        except (ValueError, TypeError, KeyError) as error:
            raise Refused(400, "bad.request", str(error), str(error)) from None
        refuse_too_large(self.state, span, len(records), options.max_records, "records")
        with self.state.lock:
            job = Job("job-%d/+" % (len(self.jobs) + 1) if options.odd_ids else "job-%d" % (len(self.jobs) + 1), records,
                      query.get("webhookUrl"), options.job_seconds)
            self.jobs[job.name] = job
            self.state.stats["submits"] = len(self.jobs)
        if job.webhook and options.call_webhooks:
            threading.Thread(target=self.call, args=[job], daemon=True).start()
        return 202, json.dumps({"jobId": job.name})

    def call(self, job):
        time.sleep(max(job.done_at - time.monotonic(), 0) + 0.05)
        job.hinted_at = time.monotonic()
        body = json.dumps({"jobId": job.name, "status": "complete"}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(job.webhook, data=body), timeout=5) as answer:
                self.state.stats["hooked"] = answer.status
        except OSError as error:
            self.state.violation("the webhook could not be called: %s" % error)

    def status(self, job, url_query):
        options, now = self.state.options, time.monotonic()
        require(not url_query, "url query: %s" % url_query)
        waited, job.polled_at = now - job.polled_at, now
        if waited < options.poll_least and job.hinted_at == 0.0:
            self.state.stats["early_polls"] = self.state.stats.get("early_polls", 0) + 1
        if now < job.done_at or options.job_stuck:
            return 200, json.dumps({"jobId": job.name, "status": "running"})
        if options.job_fail:
            return 200, json.dumps({"jobId": job.name, "status": "failed", "message": options.job_fail})
        return 200, json.dumps({"jobId": job.name, "status": "complete"})

    def results(self, job, url_query):
        options = self.state.options
        require(set(url_query) <= {"pageSize", "nextPageCursor"} and url_query.get("pageSize") == "10000", "url query: %s" % url_query)
        require(time.monotonic() >= job.done_at, "results of a job that was not complete")
        number = self.page_number(job, url_query.get("nextPageCursor"))
        if number > 1 and self.expirations > 0:
            self.expirations -= 1
            raise Refused(400, "bad.request", options.cursor_words)
        shown, more = page_of_list(options, job.records, number, options.result_page)
        answer = {"conversations": shown}
        if more:
            answer["nextPageCursor"] = self.cursor(job, number + 1)
        return 200, dataset.text_of(answer)

    @staticmethod
    def cursor(job, number):
        return base64.b64encode(("%s|%d|\u00fb\u00ff\u00fe" % (job.name, number)).encode("latin-1")).decode() + "+/&= %"

    def page_number(self, job, cursor):
        if cursor is None:
            return 1
        for number in itertools.islice(itertools.count(2), len(page_bounds(self.state.options, len(job.records), self.state.options.result_page))):
            if cursor == self.cursor(job, number):
                return number
        raise Refused(400, "bad.request", "the cursor is not valid", "a cursor that was never given: %r" % (cursor,))
