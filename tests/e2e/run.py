#!/usr/bin/env python3
"""Runs the end-to-end cases of cases/*.py against a build; the last line is "N passed, N failed".

    run.py --build build/release [--few|--one] [--jobs N] [NAME...]      a NAME is part of a case's name
"""
import argparse
import concurrent.futures
import importlib
import os
import sys
import time
import traceback

import harness

sys.path.insert(0, os.path.join(harness.HERE, "cases"))


def load_cases():
    for name in sorted(os.listdir(os.path.join(harness.HERE, "cases"))):
        if name.endswith(".py"):
            importlib.import_module(name[:-3])
    return harness.CASES


def run_one(entry, build):
    name, function = entry[:2]
    bench = harness.Bench(build)
    started = time.monotonic()
    try:
        function(bench)
        problem = None
    except harness.Wrong as wrong:
        problem = str(wrong)
    except Exception:  # pylint: disable=broad-except
        problem = traceback.format_exc()
    finally:
        bench.close()
    return name, problem, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--build", default="build/release")
    parser.add_argument("--few", action="store_true")
    parser.add_argument("--one", action="store_true")
    parser.add_argument("--jobs", type=int, default=3)
    args = parser.parse_args()
    cases = [entry for entry in load_cases()
             if (not args.few or entry[2]) and (not args.one or entry[3])
             and (not args.names or any(word in entry[0] for word in args.names))]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, problem, seconds in pool.map(lambda entry: run_one(entry, args.build), cases):
            print("%s %-40s %5.1f s" % ("FAILED" if problem else "ok    ", name, seconds), flush=True)
            if problem:
                failed += 1
                print("    " + problem.replace("\n", "\n    "), flush=True)
    print("%d passed, %d failed" % (len(cases) - failed, failed))
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
