"""The interval and tree dialects of tutorial_server.py: what a request must be, and what is answered."""
import random
import re

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
        self.linked = set()   # pairs of a body and a page that a link of ours named

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
        require(not url_query or (body, number) in self.linked, "page %d was not linked from an answer to this very body" % number)
        shown, more = page_of_list(options, entities, number, options.bucket_page)
        following = None
        if more:
            after = self.state.following(number)
            self.linked.add((body, after))
            following = handler.link(AGGREGATES_PATH, "page=%d" % after)
        return 200, dataset.text_of({"entities": shown, "nextPage": following, "page": number, "pageSize": options.bucket_page})


class Tree:
    """POST aggregate/query: nodes within nodes; the link to the next page is asked without a body."""
    token = "basic"
    scope = None

    def __init__(self, state):
        self.state, self.queries = state, {}
        self.linked = set()   # pairs of a query and a page that a link of ours named

    def answer(self, handler, path, url_query, body):
        options = self.state.options
        if "query" in url_query:
            require(not body, "a later page was asked for with a body")
            require("Content-Type" not in handler.headers, "a content type without a body")
            require(set(url_query) == {"query", "pageNumber", "pageSize"}, "url query: %s" % url_query)
            span, channel, size = self.queries[url_query["query"]]
            name, number = url_query["query"], int(url_query["pageNumber"])
            require((name, number) in self.linked and url_query["pageSize"] == str(size), "a link that was never given: %s" % url_query)
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
        links = {}
        if more:
            after = self.state.following(number)
            self.linked.add((name, after))
            links["next"] = handler.link(TREE_PATH, "pageNumber=%d&pageSize=%d&query=%s" % (after, size, name))
        total = sum(entity["metrics"]["conversationCount"]["value"] for entity in entities) + options.total_off
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
        require(set(query["filter"]) == {"type", "expression"} and query["filter"]["type"] == "conversation", "filter: %r" % (query["filter"],))
        clauses = query["filter"]["expression"]["clauses"]
        channels = [clause["value"] for clause in clauses if clause["dimension"] == "mediaType" and clause["operator"] == "equals"]
        return span, channels[0] if channels else None, query["pageSize"]
