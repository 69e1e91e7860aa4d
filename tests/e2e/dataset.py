"""The conversations of docs/reference/emulator-data.md, computed from that page alone. Not quern: standard Python."""
import datetime
import json

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
DAY_MS = 86400000
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)

ABSENT = object()
CHANNELS = ["voice"] * 6 + ["chat"] * 2 + ["email"] * 2
QUEUE_NAMES = ["Support", "Sales, Europe", 'Billing "priority"', "R\u00e9clamations", "\u6280\u8853\u30b5\u30dd\u30fc\u30c8"]
AGENT_NAMES = ["Ada Lovelace", "O'Brien, Patrick", 'Grace "Amazing" Hopper', "\u0141ukasz \u017b\u00f3\u0142\u0107",
               "\u5c71\u7530 \u592a\u90ce", "Two\nLines", None, ABSENT]
DISPOSITIONS = ["completed", "abandoned", "transferred", "callback, requested", "", None, ABSENT]
PAGED_COLUMNS = ["conversationId", "channel", "startTime", "endTime", "duration", "queueName", "agentName", "disposition"]
SLICED_METRICS = ["total", "talk", "hold", "work", "wait", "wrapup"]


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def parse_ms(text):
    """Milliseconds since 1970 of an ISO 8601 date or instant in UTC."""
    text = text.strip()
    if len(text) == 10:
        text += "T00:00:00+00:00"
    moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError("an instant needs a zone: " + text)
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def format_ms(ms):
    moment = EPOCH + datetime.timedelta(milliseconds=ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (ms % 1000)


def queue_id(n):
    return "9e3779b9-0000-4000-8000-%012d" % (n + 1)


def agent_id(n):
    return "b5297a4d-0000-4000-8000-%012d" % (n + 1)


def text_of(record):
    """The record as the servers write it."""
    return json.dumps(record, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def without_absent(record):
    return {name: value for name, value in record.items() if value is not ABSENT}


class Conversation:
    """One conversation: start_ms, end_ms, channel, queue and agent (numbers), disposition, times, entity and flat records."""

    def __init__(self, data, i):
        base = mix((data.mixed_seed + (i + 1) * GAMMA) & MASK)

        def word(k):
            return mix((base + k * GAMMA) & MASK)

        def below(k, n):
            return (word(k) >> 33) % n

        jitter = 0 if i % data.rate == 0 else below(1, data.step)
        self.start_ms = data.start_ms + i * data.step + jitter
        wait, talk, wrapup = below(3, 120000), 5000 + below(4, 600000), below(7, 60000)
        hold = below(6, 90000) if below(5, 4) == 0 else 0
        duration = wait + talk + hold
        self.end_ms = self.start_ms + duration
        self.channel = CHANNELS[below(2, 10)]
        self.queue = below(8, 5)
        agent = self.agent = below(9, 8)
        self.work, self.handle, self.wrapup = talk + hold + wrapup, talk + hold, wrapup
        self.disposition = DISPOSITIONS[below(10, 7)]
        digits = "%016x%016x" % (word(11), word(12))
        start, end = format_ms(self.start_ms), format_ms(self.end_ms)
        common = {
            "conversationId": "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]]),
            "channel": self.channel,
            "queueId": queue_id(self.queue), "queueName": QUEUE_NAMES[self.queue],
            "agentId": agent_id(agent), "agentName": AGENT_NAMES[agent],
            "disposition": self.disposition,
            "sequence": 9007199254740993 + i,
        }
        self.flat = without_absent({**common, "startTime": start, "endTime": end, "duration": duration})
        self.entity = without_absent({
            **common, "conversationStart": start, "conversationEnd": end,
            "metrics": {"total": duration + wrapup, "talk": talk, "hold": hold, "work": talk + hold + wrapup,
                        "wait": wait, "wrapup": wrapup},
        })


LONGEST_MS = 120000 + 605000 + 90000  # no conversation lasts longer


class DataSet:
    """All conversations of a seed, in ascending order of their start; each is computed when it is first asked for."""

    def __init__(self, seed=1, days=90, rate=240, start="2024-01-01"):
        self.rate, self.step, self.count = rate, DAY_MS // rate, days * rate
        self.start_ms = parse_ms(start)
        self.mixed_seed = mix((seed + GAMMA) & MASK)
        self.seed = seed
        self.known = {}

    def conversation(self, i):
        found = self.known.get(i)
        if found is None:
            found = self.known[i] = Conversation(self, i)
        return found

    def select(self, from_ms, to_ms, channels=None, queues=None, overlap=False):
        """Conversations of the half-open range; with overlap also those that only touch it."""
        first = max((from_ms - LONGEST_MS - self.start_ms) // self.step - 1, 0)
        last = min((to_ms - self.start_ms) // self.step + 2, self.count)
        for i in range(first, last):
            c = self.conversation(i)
            owned = from_ms <= c.start_ms < to_ms
            touched = overlap and (c.start_ms == to_ms or (c.start_ms < from_ms <= c.end_ms))
            if not (owned or touched):
                continue
            if channels is not None and c.channel not in channels:
                continue
            if queues is not None and queue_id(c.queue) not in queues:
                continue
            yield c


HOUR_MS = 3600000
BUCKETS = {"PT15M": HOUR_MS // 4, "PT30M": HOUR_MS // 2, "PT1H": HOUR_MS, "P1D": DAY_MS}


def bucketed(data, from_ms, to_ms, size_ms, channel=None):
    """Pairs of a bucket's first instant and its conversations, empty buckets included."""
    found = {at: [] for at in range(from_ms, to_ms, size_ms)}
    for c in data.select(from_ms, to_ms, channels=[channel] if channel else None):
        found[from_ms + (c.start_ms - from_ms) // size_ms * size_ms].append(c)
    return sorted(found.items())


def bucket_entities(data, from_ms, to_ms, size_ms):
    """The entities of the interval dialect."""
    for at, conversations in bucketed(data, from_ms, to_ms, size_ms):
        handled = [c for c in conversations if c.disposition != "abandoned"]
        average = sum(c.work for c in handled) // len(handled) if handled else None
        yield {"date": format_ms(at), "metrics": {"abandonedCount": len(conversations) - len(handled), "averageHandleTime": average,
                                                  "conversationCount": len(conversations), "handledCount": len(handled)}}


def node(identifier, conversations, groups=None):
    """A node of the tree dialect; without `groups` it has no such member."""
    made = {"id": identifier, "metrics": {"conversationCount": {"value": len(conversations)},
                                          "handleDurationSum": {"value": sum(c.handle for c in conversations)},
                                          "wrapupDurationSum": {"value": sum(c.wrapup for c in conversations)}}}
    return made if groups is None else {**made, "groups": groups}


def queue_node(queue, conversations):
    groups = None
    if queue == 0:
        groups = [node(agent_id(agent), [c for c in conversations if c.agent == agent])
                  for agent in sorted({c.agent for c in conversations})]
    elif queue == 1:
        groups = []
    return node(queue_id(queue), conversations, groups)


def tree_entities(data, from_ms, to_ms, channel):
    """The entities of the tree dialect."""
    for at, conversations in bucketed(data, from_ms, to_ms, HOUR_MS, channel):
        queues = sorted({c.queue for c in conversations})
        groups = [queue_node(queue, [c for c in conversations if c.queue == queue]) for queue in queues]
        yield node(format_ms(at), conversations, groups if conversations else None)


def satisfies(conversation, expression):
    """Does a conversation satisfy one expression of filterBy? Raises ValueError for one that is none."""
    for branch, every in (("and", True), ("or", None), ("not", False)):
        if branch in expression:
            parts = [satisfies(conversation, part) for part in expression[branch]]
            return any(parts) if every is None else all(parts) if every else not any(parts)
    if set(expression) != {"type", "property", "op", "value"} or expression["type"] != "field":
        raise ValueError("not an expression: %r" % (expression,))
    disposition = conversation.disposition
    values = {"mediaType": conversation.channel, "queueId": queue_id(conversation.queue),
              "wrapupcode.name": None if disposition is ABSENT else disposition}
    value, wanted = values.get(expression["property"], ABSENT), expression["value"]
    if value is ABSENT or expression["op"] not in ("eq", "in", "contains"):
        raise ValueError("unknown property or operator: %r" % (expression,))
    if value is None:
        return False
    return value == wanted if expression["op"] == "eq" else value in wanted if expression["op"] == "in" else wanted in value


class Shop:
    """Another API's data: customers who hold orders. Sizes and amounts come from the same generator."""

    def __init__(self, seed=1, customers=47):
        mixed = mix((seed + GAMMA) & MASK)
        self.customers = []
        for i in range(customers):
            base = mix((mixed + (i + 1) * GAMMA) & MASK)

            def below(k, n, base=base):
                return (mix((base + k * GAMMA) & MASK) >> 33) % n

            orders = [{"id": "o-%d-%d" % (i + 1, j + 1), "placed": format_ms(1704067200000 + i * DAY_MS + j * 3600000),
                       "price": {"amount": below(2 + j, 100000) / 100, "currency": ["EUR", "USD", "JPY"][below(9 + j, 3)]},
                       "note": [None, "", "fragile, glass", 'say "hello"', "caf\u00e9"][below(20 + j, 5)]}
                      for j in range(below(1, 5))]
            self.customers.append({"id": i + 1, "name": "Customer, %d" % (i + 1), "orders": orders})
