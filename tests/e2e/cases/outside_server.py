"""The outside server itself, without quern: a client in plain Python that does right gets the records, and one that does wrong is found out."""
import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request

import dataset
from dialects import AGGREGATES_PATH, DETAILS_PATH, TREE_PATH
from harness import CLIENT_ID, CLIENT_SECRET, Server, case, check, equal

VIEW = "analytics:conversation:view"
SMALL = ["--days", 3, "--rate", 40]
SPAN = dataset.parse_ms("2024-01-01"), dataset.parse_ms("2024-01-03")
BUCKETS = {"dateFrom": "2024-01-01T00:00:00Z", "dateTo": "2024-01-03T00:00:00Z", "interval": "PT15M", "groupBy": ["date"],
           "metrics": ["conversationCount", "handledCount", "abandonedCount", "averageHandleTime"]}
TREE = {"dateFrom": "2024-01-01T00:00:00.000Z", "dateTo": "2024-01-03T00:00:00.000Z", "groupBy": ["interval", "routing.queue.id"],
        "interval": "PT1H", "metrics": ["conversationCount", "handleDurationSum", "wrapupDurationSum"], "pageSize": 20, "pageNumber": 1,
        "filter": {"type": "conversation", "expression": {"type": "and", "clauses": [
            {"type": "dimension", "dimension": "mediaType", "operator": "equals", "value": "voice"}]}}}
SEARCH = {"dateFrom": "2024-01-01T00:00:00Z", "dateTo": "2024-01-03T00:00:00Z", "groupBy": [{}], "pageSize": 10000,
          "filterBy": [{"type": "field", "property": "mediaType", "op": "in", "value": ["voice", "chat"]}]}
ORGANIZATION = {"x-genesys-org-id": "org-1"}
ASYNC = {"x-genesys-async": "true", **ORGANIZATION}


class Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are seen, not followed."""
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(Stay)


class Client:
    def __init__(self, server):
        self.server, self.headers = server, {}

    def token(self, way, scope=None):
        form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        request = urllib.request.Request(self.server.url + "/oauth/token", method="POST")
        if way == "basic":
            request.add_header("Authorization", "Basic " + base64.b64encode(
                ":".join(map(urllib.parse.quote_plus, (CLIENT_ID, CLIENT_SECRET))).encode()).decode())
        else:
            form |= {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
        request.data = urllib.parse.urlencode(form).encode()
        with OPENER.open(request) as answer:
            self.headers = {"Authorization": "Bearer " + json.load(answer)["access_token"]}
        return self

    def ask(self, method, path, body=None, **headers):
        """The status, and the answer as a value."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        more = {"Content-Type": "application/json"} if data else {"Content-Length": "0"} if method == "POST" else {}
        request = urllib.request.Request(self.server.url + path, method=method, data=data,
                                         headers={**self.headers, **more, **{name.replace("_", "-"): value for name, value in headers.items()}})
        try:
            with OPENER.open(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def refused(self, status, words, *request, **headers):
        """The request gets the status, and the server notes a violation with these words; no words: none."""
        before = len(self.server.ask("__violations"))
        got, text = self.ask(*request, **headers)
        equal(got, status, "%s: %s" % (request, text))
        noted = self.server.ask("__violations")[before:]
        check(any(words in text for text in noted) if words else not noted, "%s: violations %s, expected %r", request, noted, words)


def under(headers):
    return {name.replace("-", "_"): value for name, value in headers.items()}


@case()
def the_outside_server_serves_its_truth(_):
    """Each dialect is walked by hand; what came is what dataset.py says."""
    with Server(*SMALL, "--result-page", 20, "--job-seconds", 0, "--links", "relative") as server:
        client, link, found = Client(server).token("form", VIEW), AGGREGATES_PATH, []
        while link:
            _, page = client.ask("POST", link, BUCKETS)
            found, link = found + page["entities"], page["nextPage"]
        equal(found, list(dataset.bucket_entities(dataset.DataSet(1, 3, 40), *SPAN, 900000)), "buckets")
        client, found = Client(server).token("basic"), []
        _, page = client.ask("POST", TREE_PATH, TREE)
        while True:
            found += page["entities"]
            if not page["links"]:
                break
            _, page = client.ask("POST", page["links"]["next"])
        equal(found, list(dataset.tree_entities(dataset.DataSet(1, 3, 40), *SPAN, "voice")), "tree")
        client, found, cursor = Client(server).token("form"), [], ""
        job = client.ask("POST", DETAILS_PATH, SEARCH, **under(ASYNC))[1]["jobId"]
        equal(client.ask("GET", DETAILS_PATH + "/jobs/" + job, **under(ORGANIZATION)), (200, {"jobId": job, "status": "complete"}), "status")
        while cursor is not None:
            _, page = client.ask("GET", "%s/results/%s?pageSize=10000%s" % (DETAILS_PATH, job, cursor), **under(ORGANIZATION))
            found += page["conversations"]
            cursor = "&" + urllib.parse.urlencode({"nextPageCursor": page["nextPageCursor"]}) if "nextPageCursor" in page else None
        equal(found, [c.entity for c in dataset.DataSet(1, 3, 40).select(*SPAN) if c.channel in ("voice", "chat")], "search")


@case()
def the_outside_server_is_strict_about_buckets(_):
    with Server(*SMALL, allow_violations=True) as server:
        client = Client(server).token("form", VIEW)
        client.refused(200, None, "POST", AGGREGATES_PATH, BUCKETS)
        client.refused(400, "method GET", "GET", AGGREGATES_PATH)
        for change, words in [({"extra": 1}, "members of the body"), ({"interval": "PT20M"}, "interval"), ({"groupBy": ["queueId"]}, "groupBy"),
                              ({"metrics": []}, "metrics"), ({"dateFrom": "2024-01-01T00:00:00.000Z"}, "right form"),
                              ({"dateFrom": "2024-01-01"}, "right form"), ({"dateFrom": "2024-01-01T00:07:00Z"}, "not on the interval"),
                              ({"dateFrom": "2024-01-03T00:00:00Z"}, "empty range"), ({"dateFrom": None}, "right form")]:
            client.refused(400, words, "POST", AGGREGATES_PATH, BUCKETS | change)
        client.refused(400, "not linked", "POST", AGGREGATES_PATH + "?page=3", BUCKETS)
        client.refused(200, None, "POST", AGGREGATES_PATH + "?page=2", BUCKETS)
        client.refused(400, "not linked", "POST", AGGREGATES_PATH + "?page=2", BUCKETS | {"interval": "PT1H"})
        client.refused(400, "not a JSON object", "POST", AGGREGATES_PATH + "?page=2")
        client.refused(404, "unknown path", "POST", AGGREGATES_PATH + "/more", BUCKETS)
        Client(server).token("basic").refused(400, "came by basic", "POST", AGGREGATES_PATH, BUCKETS)
        Client(server).token("form").refused(400, "with scope None", "POST", AGGREGATES_PATH, BUCKETS)
        Client(server).refused(401, "without a token", "POST", AGGREGATES_PATH, BUCKETS)
        client.refused(200, "a credential in the header", "POST", AGGREGATES_PATH, BUCKETS, x_copy=CLIENT_SECRET)
        client.refused(400, "a credential in the url", "POST", AGGREGATES_PATH + "?" + urllib.parse.urlencode({"s": CLIENT_SECRET}), BUCKETS)


@case()
def the_outside_server_is_strict_about_trees(_):
    with Server(*SMALL, "--max-hours", 100, allow_violations=True) as server:
        client = Client(server).token("basic")
        link = client.ask("POST", TREE_PATH, TREE)[1]["links"]["next"]
        client.refused(400, "with a body", "POST", link, TREE)
        client.refused(400, "content type", "POST", link, Content_Type="application/json")
        client.refused(400, "never given", "POST", link.replace("pageNumber=2", "pageNumber=3"))
        client.refused(400, "never given", "POST", link.replace("pageSize=20", "pageSize=25"))
        client.refused(400, "malformed", "POST", link.replace("query=q1", "query=q9"))
        client.refused(200, None, "POST", link)
        for change, words in [({"dateFrom": "2024-01-01T00:00:00Z"}, "right form"), ({"dateFrom": "2024-01-01T00:30:00.000Z"}, "full hours"),
                              ({"pageNumber": 2}, "pageNumber"), ({"pageSize": 101}, "pageSize"), ({"filter": {}}, "filter"),
                              ({"filter": None}, "malformed"), ({"interval": "P1D"}, "interval"), ({"view": 1}, "members of the body")]:
            client.refused(400, words, "POST", TREE_PATH, TREE | change)
        client.refused(413, None, "POST", TREE_PATH, TREE | {"dateTo": "2025-01-01T00:00:00.000Z"})
        client.refused(413, "asked again after 413", "POST", TREE_PATH, TREE | {"dateTo": "2025-01-01T00:00:00.000Z"})
        Client(server).token("form").refused(400, "came by form", "POST", TREE_PATH, TREE)


@case()
def the_outside_server_is_strict_about_jobs(_):
    with Server(*SMALL, "--result-page", 20, "--job-seconds", 0.5, allow_violations=True) as server:
        client = Client(server).token("form")
        job = client.ask("POST", DETAILS_PATH, SEARCH, **under(ASYNC))[1]["jobId"]
        status, results = DETAILS_PATH + "/jobs/" + job, DETAILS_PATH + "/results/" + job
        client.refused(202, "submitted again without a reason", "POST", DETAILS_PATH, SEARCH, **under(ASYNC))
        client.refused(400, "not complete", "GET", results + "?pageSize=10000", **under(ORGANIZATION))
        client.refused(200, None, "GET", status, **under(ORGANIZATION))
        client.refused(200, "after the poll before", "GET", status, **under(ORGANIZATION))
        client.refused(400, "x-genesys-org-id", "GET", status)
        client.refused(400, "x-genesys-async", "GET", status, **under(ASYNC))
        client.refused(400, "url query", "GET", status + "?a=b", **under(ORGANIZATION))
        client.refused(400, "POST", "POST", status, **under(ORGANIZATION))
        client.refused(404, "unknown job", "GET", DETAILS_PATH + "/jobs/none", **under(ORGANIZATION))
        time.sleep(0.5)
        _, page = client.ask("GET", results + "?pageSize=10000", **under(ORGANIZATION))
        cursor = page["nextPageCursor"]
        for query, words in [("", "url query"), ("?pageSize=20", "url query"), ("?pageSize=10000&nextPageCursor=" + cursor.replace(" ", "+"), "url query"),
                             ("?pageSize=10000&nextPageCursor=none", "never given")]:
            client.refused(400, words, "GET", results + query, **under(ORGANIZATION))
        client.refused(200, None, "GET", results + "?pageSize=10000&nextPageCursor=" + urllib.parse.quote(cursor, safe=""), **under(ORGANIZATION))
        client.refused(204, None, "DELETE", status, **under(ORGANIZATION))
        client.refused(404, "unknown job", "GET", status, **under(ORGANIZATION))
        for change, words in [({"filterBy": [{"type": "field", "property": "x", "op": "eq", "value": 1}]}, "unknown property"),
                              ({"filterBy": {}}, "filterBy"), ({"filterBy": [1]}, "malformed"), ({"groupBy": []}, "groupBy"),
                              ({"pageSize": 10001}, "pageSize"), ({"webhookUrl": "ftp://x"}, "webhookUrl"), ({"order": 1}, "members of the body"),
                              ({"dateTo": "2025-01-02T00:00:00Z"}, "365 days")]:
            client.refused(400, words, "POST", DETAILS_PATH, SEARCH | change, **under(ASYNC))


@case()
def the_outside_server_tells_of_leaks(_):
    """What is sent to the other origin is looked through: a credential is a violation, its absence is not."""
    with Server(*SMALL, "--first", "foreign", allow_violations=True) as server:
        client = Client(server).token("form", VIEW)
        try:
            OPENER.open(urllib.request.Request(server.url + AGGREGATES_PATH, data=json.dumps(BUCKETS).encode(),
                                               headers={**client.headers, "Content-Type": "application/json"}))
        except urllib.error.HTTPError as error:
            equal(error.code, 307, "status")
            target = error.headers["Location"]
        for headers, violations in (({}, 0), (client.headers, 1), ({"x-id": CLIENT_ID}, 2)):
            try:
                OPENER.open(urllib.request.Request(target, data=b"{}", headers=headers))
            except urllib.error.HTTPError as error:
                equal(error.code, 401, "the other origin")
            equal(len(server.ask("__violations")), violations, "violations after %s" % list(headers))
        equal(server.stats()["foreign"], 3, "requests to the foreign origin")
