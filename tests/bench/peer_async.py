"""The concurrent peer: httpx and asyncio, four days side by side, rows in order.

    peer_async.py URL columns|transform|raw DAY...
"""
import asyncio
import sys

import httpx

import peer_rows


async def read_day(client, gate, day, make):
    rows, page, count = [], 1, 1
    async with gate:
        while page <= count:
            response = await client.get("/page", params={"day": day, "pageNumber": page, "pageSize": 1000})
            response.raise_for_status()
            data = response.json()
            rows.extend(make(record) for record in data["conversations"])
            count = data["pageCount"]
            page += 1
    return rows


async def main():
    url, mode, days = sys.argv[1], sys.argv[2], sys.argv[3:]
    writer = peer_rows.writer(mode, sys.stdout)
    writer.writeheader()
    gate = asyncio.Semaphore(4)
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        tasks = [asyncio.create_task(read_day(client, gate, day, peer_rows.ROWS[mode])) for day in days]
        for task in tasks:
            for row in await task:
                writer.writerow(row)


sys.stdout.reconfigure(encoding="utf-8", newline="")
asyncio.run(main())
