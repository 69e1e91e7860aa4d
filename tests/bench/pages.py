"""Pages of conversations for the bench: 4 KB a record, 1,000 records a page, laid out for a static file server: DAY/NUMBER.json.

N pages are N / PER_DAY days. Only the first DISTINCT pages are files of their own; later days are links to them, so that
gigabytes cost the disk a quarter of one.
"""
import datetime
import json
import os
import random

PER_PAGE, DISTINCT = 1000, 64
FIRST_DAY = datetime.date(2024, 1, 1)
FORM = "2"  # another name for other contents: pages of an older form are left alone


def day_name(number):
    return (FIRST_DAY + datetime.timedelta(days=number)).isoformat()


def identifier(rng):
    digits = "%032x" % rng.getrandbits(128)
    return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])


def moment(number):
    return "2024-01-%02dT%02d:%02d:%02d.%03dZ" % (1 + number // 86400000 % 28, number // 3600000 % 24, number // 60000 % 60,
                                                   number // 1000 % 60, number % 1000)


def segment(rng, start, kind):
    end = start + rng.randrange(1000, 300000)
    return end, {"conference": False, "queueId": identifier(rng), "segmentEnd": moment(end), "segmentStart": moment(start),
                 "segmentType": kind, "disconnectType": rng.choice(["peer", "client", "transfer"])}


def session(rng, start, metrics, kinds):
    segments, at = [], start
    for kind in kinds:
        at, one = segment(rng, at, kind)
        segments.append(one)
    return {"ani": "tel:+1555%07d" % rng.randrange(10000000), "direction": "inbound", "dnis": "tel:+18005550100",
            "mediaType": "voice",
            "metrics": [{"emitDate": moment(start), "name": name, "value": rng.randrange(600000)} for name in metrics],
            "provider": "Edge", "remote": 'Caller "%d" O\'Neil' % rng.randrange(1000), "segments": segments,
            "sessionId": identifier(rng)}


PEOPLE = [("customer", ["nConnected"], ["interact"]), ("ivr", ["tIvr", "nFlow", "tFlow"], ["ivr"]),
          ("acd", ["tAcd", "nOffered", "tAcdWait"], ["interact"]),
          ("agent", ["tAlert", "tAnswered", "tTalk", "tHeld", "tAcw", "tHandle", "tTalkComplete", "nTransferred"],
           ["alert", "interact", "wrapup"])]


def record(rng, number):
    start = number * 400
    return {
        "conversationEnd": moment(start + rng.randrange(900000)), "conversationId": identifier(rng),
        "conversationStart": moment(start),
        "divisionIds": [identifier(rng)],
        "mediaStatsMinConversationMos": (rng.randrange(1000, 5000) // 2 * 2 + 1) / 1000,  # never a whole number
        "originatingDirection": "inbound",
        "participants": [{"participantId": identifier(rng), "participantName": "%s, J\u00fcrgen \u5c71" % purpose,
                          "purpose": purpose, "sessions": [session(rng, start, metrics, kinds)], "userId": identifier(rng)}
                         for purpose, metrics, kinds in PEOPLE],
    }


class Layout:
    """The pages of a folder. `per_day`: pages of a day, the length of one walk."""

    def __init__(self, folder, per_day):
        self.folder, self.per_day = os.path.join(folder, "%s-%d" % (FORM, per_day)), per_day
        os.makedirs(self.folder, exist_ok=True)

    def path(self, number):
        return os.path.join(self.folder, day_name(number // self.per_day), "%d.json" % (number % self.per_day + 1))

    def write(self, number):
        rng = random.Random(number)
        text = json.dumps({"conversations": [record(rng, number * PER_PAGE + i) for i in range(PER_PAGE)],
                           "pageCount": self.per_day, "pageNumber": number % self.per_day + 1,
                           "totalHits": self.per_day * PER_PAGE}, ensure_ascii=False, separators=(",", ":"))
        path = self.path(number)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(path + ".new", path)

    def days(self, pages):
        """Makes the pages that are not there yet; the names of the days that hold them, and their bytes."""
        size, names = 0, []
        for number in range(pages):
            path = self.path(number)
            if number % self.per_day == 0:
                names.append(day_name(number // self.per_day))
                os.makedirs(os.path.dirname(path), exist_ok=True)
            if not os.path.exists(path):
                if number < DISTINCT:
                    self.write(number)
                else:
                    os.symlink(os.path.relpath(self.path(number % DISTINCT), os.path.dirname(path)), path)
            size += os.path.getsize(path)
        return names, size
