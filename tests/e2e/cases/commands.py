"""plan, path, help, version, the log, the progress display, an installed tree and the embedding API."""
import json
import os
import pty
import re
import select
import shutil
import subprocess

import dataset
import truth
from harness import CLIENT_ID, HERE, ROOT, Server, case, check, equal, same_rows

RANGE = ["-p", "from=2024-01-01", "-p", "to=2024-01-31"]


@case()
def plan_sends_nothing(bench):
    with Server() as server:
        result = bench.quern("plan", "details_sliced", "-p", "from=2024-01-01", "-p", "to=2024-03-31", env=server.env).expect(0)
        for word in ("3 chunks", "POST", "dateFrom", "2024-01-31T00:00:00Z", server.url):
            check(word in result.out.decode(), "the plan does not say %r: %s", word, result.out)
        equal(server.stats()["requests"], 1, "requests, this question included")


@case()
def plan_without_an_account(bench):
    """A plan needs no credentials; it tells which variables are not set."""
    result = bench.quern("plan", "details_sliced", *RANGE, env={"GENESYS_BASE_URL": "http://127.0.0.1:9"}).expect(0)
    for word in ("1 chunk,", "http://127.0.0.1:9", "GENESYS_CLIENT_SECRET (not set)"):
        check(word in result.out.decode(), "the plan does not say %r: %s", word, result.out)


@case(few=True)
def path(bench):
    bench.write("page.json", '{"a": [{"n": 1, "t": "x"}, {"n": 12345678901234567890.50, "t": "\\u00e9"}, {"t": null}], "b": {"n": [3]}}')
    for words, expected in [(["$.a[*].n"], [1, 12345678901234567890.5]), (["$..n"], None), (["$.none"], []),
                            (["$.a[?@.n == 1].t"], ["x"]), (["$.a[-1:]"], [{"t": None}])]:
        result = bench.quern("path", *words, "page.json").expect(0)
        got = json.loads(result.out)
        check(expected is None or got == expected, "%s: %s", words, result.out)
    check(b"12345678901234567890.50" in bench.quern("path", "$.a[1].n", "page.json").out, "the number's text")
    equal(json.loads(bench.quern("path", "--paths", "$..n", "page.json").out), ["$['a'][0]['n']", "$['a'][1]['n']", "$['b']['n']"], "paths")
    bench.quern("path", "$.a[", "page.json").expect(2, "column")
    bench.quern("path", "$.a[?size(@.t) > 1]", "page.json").expect(2, "column 6", "no function 'size'")
    bench.quern("path", "$", "none.json").expect(1, "none.json")
    bench.write("bad.json", '{"a": }')
    bench.quern("path", "$", "bad.json").expect(1, "bad.json")


@case()
def help_and_version(bench):
    bench.quern().expect(2, "commands")
    for words in (["help"], ["--help"], ["help", "run"], ["run", "--help"], ["help", "exit-status"], ["help", "times"],
                  ["help", "environment"], ["help", "emulate"]):
        result = bench.quern(*words).expect(0)
        check(len(result.out.splitlines()) >= 3 and not result.err, "%s: %s", words, result.out)
    check(re.fullmatch(rb"quern \d+\.\d+\.\d+\n", bench.quern("version").expect(0).out), "version")
    result = bench.quern("run").expect(0)
    for name in ("details_sliced", "details_paged"):
        check(name in result.out.decode(), "the list of scripts: %s", result.out)


@case(few=True)
def log_json(bench):
    with Server("--days", 31, "--rate", 40, "--max-records", 300, "--first", "502,429") as server:
        result = bench.quern("run", "details_sliced", *RANGE, "-o", "out.json", "--log", "json", env=server.env).expect(0)
    events = [json.loads(line) for line in result.err.splitlines()]
    kinds = [event["type"] for event in events]
    for kind in ("run_started", "leaf_started", "page", "split", "leaf_whole", "leaf_committed", "retry", "run_finished"):
        check(kind in kinds, "no event of type %s in %s", kind, sorted(set(kinds)))
    equal(kinds[0], "run_started", "first event")
    check(all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]) for event in events), "times of events")


@case()
def progress_on_a_terminal(bench):
    leader, follower = pty.openpty()
    with Server("--days", 31, "--rate", 40, "--first", "429,429,429,429,slow") as server:
        process = bench.start("run", "details_sliced", *RANGE, "-o", "out.json", env={**server.env, "TERM": "xterm"}, stderr=follower)
        os.close(follower)
        text = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                piece = os.read(leader, 4096)
            except OSError:
                break
            if not piece:
                break
            text += piece
        equal(process.wait(60), 0, "exit status; terminal: %r" % text)
        process.stdout.close()
    os.close(leader)
    check(b"details_sliced" in text and b"leaves" in text and b"rows" in text, "the display: %r", text)
    check(b"resuming in" in text, "why it waits: %r", text)
    last = text.split(b"\r\x1b[K")[-1]
    check(last.startswith(b"quern: details_sliced complete"), "the display does not clear itself: %r", last)


@case()
def another_api(bench):
    """The script a newcomer writes: GET, static token, next link in the body, records two levels deep."""
    shutil.copy(os.path.join(os.path.dirname(os.path.dirname(HERE)), "examples", "shop", "orders.lua"), bench.path("shop.lua"))
    lines = [line for line in bench.read("shop.lua").splitlines() if line.strip()]
    check(len(lines) <= 25, "the script has %d lines", len(lines))
    with open(os.path.join(os.path.dirname(os.path.dirname(HERE)), "README.md"), "rb") as readme:
        told = [line for line in readme.read().splitlines() if line.strip()]
    first = told.index(lines[0])
    check(told[first:first + len(lines)] == lines, "the README shows another script")
    for more in ([], ["--faults", "429=0.2,502=0.1,cut=0.1,html=0.1,reset=0.1,gzip=0.5"]):
        with Server("--dialect", "shop", "--prefix", "/shop", "--customers", 47, *more) as server:
            env = {"SHOP_URL": server.url + "/shop", "SHOP_TOKEN": "static-token-1"}
            bench.quern("run", "./shop.lua", "-o", "orders.csv", env=env).expect(0)
            same_rows(bench.read("orders.csv"), truth.shop(dataset.Shop(1, 47)).encode())
    with Server("--dialect", "shop", "--prefix", "/shop", "--always", "leak") as server:
        env = {"SHOP_URL": server.url + "/shop", "SHOP_TOKEN": "static-token-1"}
        result = bench.quern("run", "./shop.lua", "-o", "no.csv", env=env)
        check(result.status != 0 and "no.csv" not in bench.files(), "a next link to another origin gave exit %s", result.status)


@case()
def installed_anywhere(bench):
    """cmake --install gives a quern that works from any folder, a library and a .pc file that embed it."""
    prefix = bench.path("usr")
    subprocess.run(["cmake", "--install", bench.build, "--prefix", prefix], check=True, capture_output=True)
    bench.program = os.path.join(prefix, "bin/quern")
    check(b"details_sliced" in bench.quern("run").expect(0).out, "the list of scripts")
    with Server("--days", 2, "--rate", 40) as server:
        result = bench.quern("run", "details_paged", "-p", "from=2024-01-01", "-p", "to=2024-01-03", env=server.env).expect(0)
        same_rows(result.out, truth.details_paged(dataset.DataSet(1, 2, 40), *map(dataset.parse_ms, ("2024-01-01", "2024-01-03"))).encode())
        folder = [where for where, _, files in os.walk(prefix) if "quern.pc" in files]
        equal(len(folder), 1, "quern.pc")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "quern"], check=True, capture_output=True, text=True,
                               env={**os.environ, "PKG_CONFIG_PATH": folder[0]}).stdout.split()
        subprocess.run(["cc", "-o", bench.path("embed"), os.path.join(ROOT, "tests/e2e/embed.c"), *flags,
                        *(["-fsanitize=address,undefined"] if "asan" in bench.build else []),
                        *(["-fsanitize=thread"] if "tsan" in bench.build else [])], check=True, capture_output=True)
        library = os.path.dirname([os.path.join(where, name) for where, _, files in os.walk(prefix) for name in files
                                   if name.startswith("libquern.so")][0])
        done = subprocess.run([bench.path("embed"), bench.path("embed.csv")], check=False, capture_output=True, text=True, timeout=60,
                              env=bench.environment({**server.env, "LD_LIBRARY_PATH": library}))
        equal(done.returncode, 0, "exit status of the embedding program: " + done.stdout + done.stderr)
        same_rows(bench.read("embed.csv"), result.out)
        exported = subprocess.run(["nm", "-D", "--defined-only", os.path.join(library, "libquern.so")], check=True, capture_output=True,
                                  text=True).stdout.split("\n")
        names = {line.split()[-1] for line in exported if " T " in line}
        check(names and all(name.startswith("quern_") for name in names), "exported: %s", sorted(names)[:8])
    equal(CLIENT_ID, server.env["GENESYS_CLIENT_ID"], "client")


@case()
def library_within_the_program(bench):
    """The texts beside an installed program are not read, unless its Lua is not the one that compiled the library."""
    prefix = bench.path("usr")
    subprocess.run(["cmake", "--install", bench.build, "--prefix", prefix], check=True, capture_output=True)
    bench.program = os.path.join(prefix, "bin/quern")
    with open(os.path.join(prefix, "share/quern/lua/quern/main.lua"), "w") as text:
        text.write("error 'this text was read'")
    check(b"details_sliced" in bench.quern("run").expect(0).out, "the list of scripts")
    if "asan" in bench.build or "tsan" in bench.build:
        return  # their runtimes want to come first
    with open(bench.path("other.c"), "w") as source:
        source.write('const char lua_ident[] = "$LuaVersion: Lua 5.4.99 $";')
    subprocess.run(["cc", "-shared", "-fPIC", "-o", bench.path("other.so"), bench.path("other.c")], check=True)
    result = bench.quern("run", env={"LD_PRELOAD": bench.path("other.so")}).expect(1)
    check("main.lua:1: this text was read" in result.err, "with another Lua: %s", result.err)
