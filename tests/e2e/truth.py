#!/usr/bin/env python3
"""Prints the rows that a report must deliver, computed from the data set without quern.

    truth.py details_sliced --seed 1 --days 90 --rate 240 --from 2024-01-01 --to 2024-03-31
    truth.py details_paged  --seed 1 --days 90 --rate 240 --from 2024-01-01 --to 2024-01-08 [--queues ID,ID]
    truth.py shop --seed 1 --customers 47
"""
import argparse
import decimal
import sys

import dataset


def csv_cell(value):
    """RFC 4180; missing and null are empty, the empty string is quoted so that it differs from them."""
    if value is None:
        return ""
    text = str(value)
    if text == "" or any(c in text for c in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv(header, rows):
    lines = [header] + rows
    return "".join(",".join(csv_cell(value) for value in line) + "\r\n" for line in lines)


def json_array(texts):
    """One row a line between [ and ]."""
    return "[\n" + ",\n".join(texts) + ("\n" if texts else "") + "]\n"


def details_sliced(data, from_ms, to_ms):
    return json_array([dataset.text_of(c.entity) for c in data.select(from_ms, to_ms, channels=["voice"])])


def details_paged(data, from_ms, to_ms, queues=None):
    columns = dataset.PAGED_COLUMNS
    return csv(columns, [[c.flat.get(name) for name in columns] for c in data.select(from_ms, to_ms, queues=queues)])


def decimal_text(value):
    """A decimal as quern writes it: without zeros behind it."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def interval_report(data, from_ms, to_ms, interval="PT30M"):
    """Handle time in seconds, rounded to two decimals half away from zero."""
    rows = []
    for entity in dataset.bucket_entities(data, from_ms, to_ms, dataset.BUCKETS[interval]):
        metrics, average = entity["metrics"], entity["metrics"]["averageHandleTime"]
        seconds = "null" if average is None else decimal_text(
            (decimal.Decimal(average) / 1000).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP))
        rows.append('{"interval_start":"%s","conversationCount":%d,"handledCount":%d,"abandonedCount":%d,"averageHandleTime":%s}' % (
            entity["date"], metrics["conversationCount"], metrics["handledCount"], metrics["abandonedCount"], seconds))
    return json_array(rows)


def leaves(node, path=()):
    path = path + (node["id"],)
    if not node.get("groups"):
        yield {"dimension_path": list(path), "metrics": node["metrics"]}
    for child in node.get("groups") or []:
        yield from leaves(child, path)


def aggregate_tree(data, from_ms, to_ms, channel="voice"):
    return json_array([dataset.text_of(row) for entity in dataset.tree_entities(data, from_ms, to_ms, channel) for row in leaves(entity)])


def interaction_search(data, from_ms, to_ms, filter_by=()):
    """The records that satisfy every expression of filter_by."""
    return "".join(dataset.text_of(c.entity) + "\n" for c in data.select(from_ms, to_ms)
                   if all(dataset.satisfies(c, expression) for expression in filter_by))


def shop(data):
    """Columns: order, customer, placed, amount, currency, note; one row an order."""
    rows = []
    for customer in data.customers:
        for order in customer["orders"]:
            rows.append([order["id"], customer["name"], order["placed"], order["price"]["amount"],
                         order["price"]["currency"], order["note"]])
    return csv(["order", "customer", "placed", "amount", "currency", "note"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", choices=["details_sliced", "details_paged", "interval_report", "aggregate_tree", "interaction_search", "shop"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--rate", type=int, default=240)
    parser.add_argument("--start", default="2024-01-01")
    parser.add_argument("--from", dest="from_", default="2024-01-01")
    parser.add_argument("--to", default="2024-03-31")
    parser.add_argument("--queues", help="queue ids, separated by commas")
    parser.add_argument("--interval", default="PT30M")
    parser.add_argument("--customers", type=int, default=47)
    args = parser.parse_args()
    if args.report == "shop":
        text = shop(dataset.Shop(args.seed, args.customers))
    else:
        data = dataset.DataSet(args.seed, args.days, args.rate, args.start)
        span = dataset.parse_ms(args.from_), dataset.parse_ms(args.to)
        if args.report == "details_paged":
            text = details_paged(data, *span, queues=args.queues.split(",") if args.queues else None)
        elif args.report == "interval_report":
            text = interval_report(data, *span, args.interval)
        else:
            text = {"details_sliced": details_sliced, "aggregate_tree": aggregate_tree, "interaction_search": interaction_search}[args.report](
                data, *span)
    sys.stdout.buffer.write(text.encode("utf-8"))


if __name__ == "__main__":
    main()
