"""What the Python peers share: the rows that columns.lua, transform.lua and raw.lua make, in the style such scripts have."""
import csv
import json

METRICS = ["tAlert", "tAnswered", "tTalk", "tHeld", "tAcw", "tHandle"]
NAMES = {
    "columns": ["conversation", "start", "end", "direction", "mos", "caller", "remote", "agent", "agent_name", "queue",
                "disconnect", "talk_ms"],
    "transform": ["conversation", "start", "end", "direction", "mos", "caller", "agent", "queue"] + METRICS,
}


def columns(record):
    customer, agent = record["participants"][0], record["participants"][3]
    agent_session = agent["sessions"][0]
    return {
        "conversation": record["conversationId"], "start": record["conversationStart"], "end": record["conversationEnd"],
        "direction": record["originatingDirection"], "mos": record["mediaStatsMinConversationMos"],
        "caller": customer["sessions"][0]["ani"], "remote": customer["sessions"][0]["remote"],
        "agent": agent["userId"], "agent_name": agent["participantName"], "queue": agent_session["segments"][1]["queueId"],
        "disconnect": agent_session["segments"][2]["disconnectType"],
        "talk_ms": sum(metric["value"] for metric in agent_session["metrics"] if metric["name"] == "tTalk"),
    }


def transform(record):
    row = {"conversation": record["conversationId"], "start": record["conversationStart"], "end": record["conversationEnd"],
           "direction": record["originatingDirection"], "mos": record["mediaStatsMinConversationMos"]}
    sums = {}
    for participant in record["participants"]:
        session = participant["sessions"][0]
        if participant["purpose"] == "customer":
            row["caller"] = session["ani"]
        elif participant["purpose"] == "agent":
            row["agent"] = participant["userId"]
            row["queue"] = session["segments"][1]["queueId"]
        for metric in session["metrics"]:
            sums[metric["name"]] = sums.get(metric["name"], 0) + metric["value"]
    row.update((name, sums.get(name)) for name in METRICS)
    return row


def raw(record):
    return record


class JsonLines:
    """Looks like a csv.DictWriter, writes a record a line."""

    def __init__(self, file):
        self.file = file

    def writeheader(self):
        pass

    def writerow(self, row):
        self.file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def writer(mode, file):
    return JsonLines(file) if mode == "raw" else csv.DictWriter(file, fieldnames=NAMES[mode])


ROWS = {"columns": columns, "transform": transform, "raw": raw}
