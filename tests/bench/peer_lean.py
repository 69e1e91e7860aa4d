"""The leanest a plain Python program gets: http.client, json.loads of the bytes, csv.writer, page after page.

    peer_lean.py URL columns|transform DAY...
"""
import csv
import http.client
import json
import sys

import peer_rows


def main():
    url, mode, days = sys.argv[1], sys.argv[2], sys.argv[3:]
    connection = http.client.HTTPConnection(url.split("//")[1])
    names, make = peer_rows.NAMES[mode], peer_rows.ROWS[mode]
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    for day in days:
        page, count = 1, 1
        while page <= count:
            connection.request("GET", "/page?day=%s&pageNumber=%d&pageSize=1000" % (day, page))
            data = json.loads(connection.getresponse().read())
            for record in data["conversations"]:
                row = make(record)
                writer.writerow([row[name] for name in names])
            count = data["pageCount"]
            page += 1


sys.stdout.reconfigure(encoding="utf-8", newline="")
main()
