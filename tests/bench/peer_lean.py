"""The leanest a plain Python program gets: http.client, json.loads of the bytes, csv.writer, page after page.

    peer_lean.py URL columns|transform|raw DAY...
"""
import csv
import http.client
import json
import sys

import peer_rows


def csv_page(writer, mode):
    """Writes the records of a page as lists; no DictWriter between."""
    names, make = peer_rows.NAMES[mode], peer_rows.ROWS[mode]
    writer.writerow(names)

    def write(records):
        for record in records:
            row = make(record)
            writer.writerow([row[name] for name in names])
    return write


def raw_page(records):
    for record in records:
        sys.stdout.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    url, mode, days = sys.argv[1], sys.argv[2], sys.argv[3:]
    connection = http.client.HTTPConnection(url.split("//")[1])
    write = raw_page if mode == "raw" else csv_page(csv.writer(sys.stdout), mode)
    for day in days:
        page, count = 1, 1
        while page <= count:
            connection.request("GET", "/page?day=%s&pageNumber=%d&pageSize=1000" % (day, page))
            data = json.loads(connection.getresponse().read())
            write(data["conversations"])
            count = data["pageCount"]
            page += 1


sys.stdout.reconfigure(encoding="utf-8", newline="")
main()
