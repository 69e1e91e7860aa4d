"""Pages of conversations for the bench: 4 KB a record, 1,000 records a page, 16 pages a day, laid out for a static file server.

A size of N pages is N / 16 days. Only the first DISTINCT pages are files of their own; later days are links to them.
"""
import json
import os
import random

PER_PAGE, PER_DAY, DISTINCT = 1000, 16, 64
EPOCH_DAY = 19723  # 2024-01-01


def day_name(number):
    import datetime
    return (datetime.date(1970, 1, 1) + datetime.timedelta(days=EPOCH_DAY + number)).isoformat()


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


def session(rng, start, media, metrics):
    segments, at = [], start
    for kind in ("alert", "interact", "wrapup"):
        at, one = segment(rng, at, kind)
        segments.append(one)
    return {"ani": "tel:+1555%07d" % rng.randrange(10000000), "direction": "inbound", "dnis": "tel:+18005550100", "mediaType": media,
            "metrics": [{"emitDate": moment(start), "name": name, "value": rng.randrange(600000)} for name in metrics],
            "provider": "Edge", "remote": 'Caller "%d" O\'Neil' % rng.randrange(1000), "segments": segments, "sessionId": identifier(rng)}


def record(rng, number):
    start = number * 400
    people = [("customer", ["nConnected"]), ("ivr", ["tIvr", "nFlow", "tFlow"]), ("acd", ["tAcd", "nOffered", "tAcdWait"]),
              ("agent", ["tAlert", "tAnswered", "tTalk", "tHeld", "tAcw", "tHandle", "tTalkComplete", "nTransferred"])]
    return {
        "conversationEnd": moment(start + rng.randrange(900000)), "conversationId": identifier(rng), "conversationStart": moment(start),
        "divisionIds": [identifier(rng)], "mediaStatsMinConversationMos": (rng.randrange(1000, 5000) // 2 * 2 + 1) / 1000,  # never a whole number
        "originatingDirection": "inbound",
        "participants": [{"participantId": identifier(rng), "participantName": "%s, J\u00fcrgen \u5c71" % purpose, "purpose": purpose,
                          "sessions": [session(rng, start, "voice", metrics)], "userId": identifier(rng)} for purpose, metrics in people],
    }


def write_page(path, rng, number, page):
    records = [record(rng, number * PER_PAGE + i) for i in range(PER_PAGE)]
    text = json.dumps({"conversations": records, "pageCount": PER_DAY, "pageNumber": page, "totalHits": PER_DAY * PER_PAGE},
                      ensure_ascii=False, separators=(",", ":"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def lay_out(folder, pages):
    """Makes the pages that are not there yet; returns the names of the days and the number of bytes."""
    size, days = 0, []
    for number in range(pages):
        day, page = day_name(number // PER_DAY), number % PER_DAY + 1
        if page == 1:
            os.makedirs(os.path.join(folder, day), exist_ok=True)
            days.append(day)
        path = os.path.join(folder, day, "%d.json" % page)
        if not os.path.exists(path):
            if number < DISTINCT:
                write_page(path + ".new", random.Random(number), number, page)
                os.rename(path + ".new", path)
            else:
                original = number % DISTINCT
                os.symlink(os.path.join("..", day_name(original // PER_DAY), "%d.json" % page), path)
        size += os.path.getsize(path)
    return days, size
