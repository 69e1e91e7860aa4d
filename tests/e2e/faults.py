"""Faults a test server puts between a right answer and the client: which request gets which, and how it is done."""
import email.utils
import gzip
import hashlib
import socket
import struct
import threading
import time

JSON_TYPE = "application/json"
HTML = b"<!DOCTYPE html><html><head><title>502</title></head><body>Bad gateway</body></html>"
WRONG = {"html": (200, HTML, "text/html"), "empty": (200, b"", JSON_TYPE), "204": (204, b"", JSON_TYPE), "missing": (200, b"{}", JSON_TYPE)}
RETRY_AFTER = ["0", "1", "date", "0"]
# How often one and the same request may get a fault, so that a client's six attempts always suffice.
MOST = {"401": 1, "429": 3}
MOST_OTHERS = 2


class Plan:
    """Chooses faults. The same seed and the same requests give the same faults, whatever the order of arrival."""

    def __init__(self, text="", first="", always="", seed=1):
        self.weights = [(name, float(weight)) for name, _, weight in (item.partition("=") for item in split(text))]
        self.first = split(first)
        self.always = always
        self.seed = seed
        self.attempts = {}
        self.given = {}
        self.counts = {}
        self.lock = threading.Lock()

    def choose(self, key, may_refuse_token):
        """The fault for this request or None, and whether the body is sent with gzip."""
        with self.lock:
            attempt = self.attempts[key] = self.attempts.get(key, 0) + 1
            zipped = self.draw(key, attempt, "gzip") < dict(self.weights).get("gzip", 0)
            fault = self.pick(key, attempt, may_refuse_token)
            for name in filter(None, [fault, "gzip" if zipped else None]):
                self.counts[name] = self.counts.get(name, 0) + 1
            return fault, zipped

    def pick(self, key, attempt, may_refuse_token):
        if self.always:
            return self.always
        if self.first:
            fault = self.first.pop(0)
            return None if fault == "ok" else fault
        point = self.draw(key, attempt, "fault")
        for name, weight in self.weights:
            if name == "gzip":
                continue
            point -= weight
            if point < 0:
                return self.allow(key, name, may_refuse_token)
        return None

    def allow(self, key, name, may_refuse_token):
        kind = name if name in MOST else "other"
        if name == "401" and not may_refuse_token:
            return None
        given = self.given.get((key, kind), 0)
        if given >= MOST.get(kind, MOST_OTHERS):
            return None
        self.given[(key, kind)] = given + 1
        return name

    def draw(self, key, attempt, what):
        digest = hashlib.sha256(("%d|%s|%d|%s" % (self.seed, key, attempt, what)).encode()).digest()
        return int.from_bytes(digest[:7], "big") / 2 ** 56


def split(text):
    return [item for item in (text or "").split(",") if item]


def reset(handler):
    """A true RST: close with a linger time of zero."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True
    handler.connection.close()


def retry_after(number):
    form = RETRY_AFTER[number % len(RETRY_AFTER)]
    return email.utils.formatdate(time.time() + 1, usegmt=True) if form == "date" else form


def spoiled(fault, body):
    """How the right answer is sent all the same, whole or not; None for a fault that is a status."""
    packed = gzip.compress(body) if fault == "gzipcut" else b""
    return {
        "badjson": {"body": body[: max(len(body) * 2 // 3, 1)]},
        "bom": {"body": b"\xef\xbb\xbf" + body},
        "close": {"body": body, "headers": [("Connection", "close")]},
        "huge": {"body": body, "headers": [("X-Padding-%d" % number, "x" * 1000) for number in range(60)]},
        "cut": {"body": body, "cut": len(body) // 2},
        "gzipcut": {"body": packed[: len(packed) // 2], "headers": [("Content-Encoding", "gzip")]},
        "slow": {"body": body, "slow": True},
    }.get(fault)


def apply(handler, fault, body, right=200):
    """Sends the faulty answer. `body` is the right one, or None if there is none yet; `right` is its status. Returns the status for the log."""
    if fault == "reset":
        reset(handler)
        return 0
    if fault == "hang-up":
        handler.close_connection = True
        return 0
    if right == 204:
        handler.answer(right, b"")
        return right
    if fault in WRONG:
        status, text, content_type = WRONG[fault]
        handler.answer(status, text, content_type=content_type)
        return status
    how = spoiled(fault, body) if body is not None else None
    if how:
        handler.answer(right, **how)
        handler.close_connection = handler.close_connection or fault == "close"
        return right
    status = int(fault)
    headers = []
    if status == 429:
        handler.server.state.refusals += 1
        headers = [("Retry-After", retry_after(handler.server.state.refusals))]
    handler.error(status, "fault.on.demand", "a fault on demand", headers)
    return status
