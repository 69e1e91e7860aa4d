"""The peer as such reports are written: requests, response.json(), one list of everything, csv.DictWriter (of peer_rows.py).

    peer_requests.py URL columns|transform|raw DAY...
"""
import sys

import requests

import peer_rows


def main():
    url, mode, days = sys.argv[1], sys.argv[2], sys.argv[3:]
    everything = []
    with requests.Session() as session:
        for day in days:
            page, count = 1, 1
            while page <= count:
                response = session.get(url + "/page", params={"day": day, "pageNumber": page, "pageSize": 1000}, timeout=60)
                response.raise_for_status()
                data = response.json()
                everything.extend(data["conversations"])
                count = data["pageCount"]
                page += 1
    writer = peer_rows.writer(mode, sys.stdout)
    writer.writeheader()
    for record in everything:
        writer.writerow(peer_rows.ROWS[mode](record))


sys.stdout.reconfigure(encoding="utf-8", newline="")
main()
