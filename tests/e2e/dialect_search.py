"""The search dialect of tutorial_server.py: a job, its state, and its results by cursor."""
import base64
import itertools
import json
import threading
import time
import urllib.parse
import urllib.request

import dataset
from dialects import DETAILS_PATH, Refused, page_bounds, page_of_list, range_of, refuse_too_large, require

POLL_LEAST_S = 1.5
# Answers after which a client cannot know its job: it may submit another.
UNCLEAR = {"reset", "hang-up", "cut", "gzipcut", "html", "empty", "204", "missing", "badjson"}


class Job:
    def __init__(self, name, body, records, webhook, seconds):
        self.name, self.body, self.records, self.webhook = name, body, records, webhook
        self.done_at = time.monotonic() + seconds
        self.polled_at = None   # None: the next poll may come at once
        self.cancelled = False


class Search:
    """details/query with x-genesys-async."""
    token = "form"
    scope = None

    def __init__(self, state):
        self.state, self.jobs = state, {}
        self.expirations = state.options.cursor_expires
        self.allowed = {}   # body of a submission: how many are allowed; each needs a reason

    def answer(self, handler, path, url_query, body):
        require(handler.headers.get("x-genesys-org-id") == self.state.options.organization, "header x-genesys-org-id")
        if path == DETAILS_PATH:
            require(handler.command == "POST", "%s of a submission" % handler.command)
            require(not url_query, "url query: %s" % url_query)
            return self.submit(body, handler.json_body(body))
        require(not body, "a body with %s" % path)
        require("x-genesys-async" not in handler.headers, "x-genesys-async belongs to a submission")
        kind, job = self.job_of(path)
        if handler.command == "DELETE" and kind == "jobs":
            return self.cancel(job)
        require(handler.command == "GET", "%s %s" % (handler.command, path))
        return self.status(job, url_query) if kind == "jobs" else self.results(job, url_query)

    def job_of(self, path):
        kind, _, name = path[len(DETAILS_PATH) + 1:].partition("/")
        job = self.jobs.get(urllib.parse.unquote(name))
        if kind not in ("jobs", "results") or job is None or job.cancelled:
            raise Refused(404, "not.found", "no such job", "unknown job: " + path)
        return kind, job

    def submit(self, body, query):
        options = self.state.options
        known = {"dateFrom", "dateTo", "filterBy", "groupBy", "pageSize"}
        require(known <= set(query) <= known | {"webhookUrl"}, "members of the body: %s" % sorted(query))
        require(type(query["pageSize"]) is int and 1 <= query["pageSize"] <= 10000, "pageSize")
        require(isinstance(query["groupBy"], list) and 1 <= len(query["groupBy"]) <= 3, "groupBy")
        require(isinstance(query["filterBy"], list), "filterBy")
        require(query.get("webhookUrl", "http://").startswith(("http://", "https://")), "webhookUrl: %r" % query.get("webhookUrl"))
        span = range_of(query["dateFrom"], query["dateTo"])
        require(span[1] - span[0] <= 365 * dataset.DAY_MS, "the range is longer than 365 days")
        records = [c.entity for c in self.state.data.select(*span) if all(dataset.satisfies(c, part) for part in query["filterBy"])]
        refuse_too_large(self.state, span, len(records), options.max_records, "records")
        records = records[: len(records) - self.state.late(span, True)]
        with self.state.lock:
            number = len(self.jobs) + 1
            left = self.allowed[body] = self.allowed.get(body, options.same_jobs) - 1
            job = Job("job-%d%s" % (number, "/+ %" if options.odd_ids else ""), body, records, query.get("webhookUrl"), options.job_seconds)
            self.jobs[job.name] = job
            self.state.stats["submits"] = number
        if left < 0:
            self.state.violation("a job was submitted again without a reason: %s" % body.decode())
        if job.webhook and options.call_webhooks:
            threading.Thread(target=self.call, args=[job], daemon=True).start()
        return 202, json.dumps({"jobId": job.name})

    def allow(self, body):
        with self.state.lock:
            self.allowed[body] = self.allowed.get(body, self.state.options.same_jobs) + 1

    def was_spoiled(self, path, body, fault):
        """The client did not get this right answer: it may submit again, or ask again at once."""
        if fault not in UNCLEAR:
            return
        if path == DETAILS_PATH:
            self.allow(body)
        elif path.startswith(DETAILS_PATH + "/jobs/"):
            self.job_of(path)[1].polled_at = None

    def call(self, job):
        time.sleep(max(job.done_at - time.monotonic(), 0) + 0.05)
        job.polled_at = None
        body = json.dumps({"jobId": job.name, "status": "failed" if self.state.options.job_fail else "complete"}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(job.webhook, data=body), timeout=5) as answer:
                self.state.stats["hooked"] = answer.status
        except OSError as error:
            self.state.stats["hook_failures"] = self.state.stats.get("hook_failures", 0) + 1
            self.state.write_log(webhook=str(error))

    def status(self, job, url_query):
        options, now = self.state.options, time.monotonic()
        require(not url_query, "url query: %s" % url_query)
        before, job.polled_at = job.polled_at, now
        if before is not None and now - before < POLL_LEAST_S and not options.job_fast:
            self.state.violation("a job was polled %.2f s after the poll before" % (now - before))
        if now < job.done_at or options.job_stuck:
            return 200, json.dumps({"jobId": job.name, "status": "running"})
        if options.job_fail:
            return 200, json.dumps({"jobId": job.name, "status": "failed", "message": options.job_fail})
        return 200, json.dumps({"jobId": job.name, "status": "complete"})

    def cancel(self, job):
        job.cancelled = True
        with self.state.lock:
            self.state.stats["cancelled"] = self.state.stats.get("cancelled", 0) + 1
        return 204, ""

    def results(self, job, url_query):
        options = self.state.options
        require(set(url_query) <= {"pageSize", "nextPageCursor"} and url_query.get("pageSize") == "10000", "url query: %s" % url_query)
        require(time.monotonic() >= job.done_at and not options.job_fail and not options.job_stuck, "results of a job that is not complete")
        number = self.page_number(job, url_query.get("nextPageCursor"))
        if number > options.cursor_expires_after and number > 1 and self.expirations > 0:
            self.expirations -= 1
            self.allow(job.body)
            raise Refused(400, "bad.request", options.cursor_words)
        shown, more = page_of_list(options, job.records, number, options.result_page)
        answer = {"conversations": shown}
        if more:
            answer["nextPageCursor"] = self.cursor(job, self.following(job, number))
        return 200, dataset.text_of(answer)

    def following(self, job, number):
        """The page that the cursor of this one names. A circle is a reason to submit again."""
        named = self.state.following(number)
        if named == number:
            self.allow(job.body)
        return named

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
