"""Compressed outputs, read by readers that are not quern's: gzip, Python's gzip, zstd."""
import gzip
import json
import os
import pty
import random
import signal
import subprocess
import time
import zlib

from harness import case, check, equal
from records import BY_TIME, QUERY, api

COLUMNS = 'columns = { { "id", "$.id" }, { "text", "$.text" } }'
EXTENSION = {"gzip": "gz", "zstd": "zst"}
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}


def items(count, size=2500, seed=1):
    """Texts that can be compressed to about a half."""
    chance = random.Random(seed)
    return [{"id": n, "text": "%0*x" % (size, chance.getrandbits(size * 4))} for n in range(count)]


def command(*words, stdin=b""):
    ended = subprocess.run(words, input=stdin, capture_output=True, check=False)
    check(ended.returncode == 0, "%s: %s", " ".join(words), ended.stderr.decode())
    return ended.stdout


def unpacked(bench, name, compression):
    """The content of a file, on which all readers agree."""
    path = bench.path(name)
    if compression == "gzip":
        command("gzip", "-t", path)
        with gzip.open(path) as file:
            text = file.read()
        check(text == command("gzip", "-dc", path), "gzip and Python do not agree on %s", name)
        packed = bench.read(name)
        equal((packed[3], packed[4:8]), (0, b"\0\0\0\0"), "flags and time")
        first = zlib.decompressobj(31)
        check(first.decompress(packed) == text and first.eof and not first.unused_data, "%s is not one member", name)
        return text
    command("zstd", "-q", "-t", path)
    equal(command("zstd", "-q", "-l", path).split(b"\n")[1].split()[0], b"1", "frames of " + name)
    return command("zstd", "-q", "-dc", path)


@case(few=True)
def compressed_files(bench):
    """The same rows as without compression; the same bytes for any number of workers and leaves in flight."""
    query = bench.write("minutes.lua", BY_TIME.replace("size = 10", "size = 60") % COLUMNS)
    with api(items(1440), size=60) as server:
        for form in "csv", "ndjson", "json":
            plain = "rows." + form
            bench.quern("run", query, "-o", plain, "--summary", "plain.json", env=server.env).expect(0)
            rows = bench.read(plain)
            size = len(rows)
            facts = bench.summary("plain.json")
            equal((facts["row_bytes"], facts["output_bytes"], facts.get("compression")), (size, size, None), "bytes of the plain run")
            for compression, extension in EXTENSION.items():
                name, again = "%s.%s" % (plain, extension), "again.%s.%s" % (form, extension)
                bench.quern("run", query, "-o", name, "--workers", 1, "--concurrency", 1, "--summary", "s.json", env=server.env).expect(0, name)
                bench.quern("run", query, "-o", again, "--workers", 4, "--concurrency", 8, env=server.env).expect(0)
                check(unpacked(bench, name, compression) == rows, "%s does not hold the rows of %s", name, plain)
                check(bench.read(name) == bench.read(again), "the bytes of %s depend on the workers", name)
                facts, packed = bench.summary("s.json"), os.path.getsize(bench.path(name))
                equal((facts["row_bytes"], facts["output_bytes"], facts["compression"], facts["format"]), (size, packed, compression, form),
                      "what the summary says")
                check(packed < 0.7 * size, "%s has %d bytes of %d", name, packed, size)
    check(not [name for name in bench.files() if "partial" in name or "spool" in name], "files left: %s", bench.files())


@case(few=True)
def compressed_streams_and_names(bench):
    query, raw = bench.write("items.lua", QUERY % COLUMNS), bench.write("raw.lua", QUERY % "raw = true")
    with api(items(120)) as server:
        def out(*words, script=query):
            return bench.quern("run", script, *words, env=server.env).expect(0).out
        rows, lines = out("--format", "csv"), out()
        for compression, extension in EXTENSION.items():
            tool = (compression, "-dc") if compression == "gzip" else ("zstd", "-q", "-dc")
            piped = out("--compress", compression, "--format", "csv")
            check(command(*tool, stdin=piped) == rows, "rows of a pipe, %s", compression)
            out("-o", "rows.csv." + extension)
            check(bench.read("rows.csv." + extension) == piped, "a pipe and a file, %s", compression)
            check(command(*tool, stdin=out("--compress", compression, "-o", "-", script=raw)) == out(script=raw), "raw rows, %s", compression)
            out("-o", "rows." + extension)  # no format in the name: the script's
            check(unpacked(bench, "rows." + extension, compression) == lines, "rows.%s", extension)
            out("-o", "rows.CSV." + extension.upper())
            check(unpacked(bench, "rows.CSV." + extension.upper(), compression) == rows, "extensions in capitals")
            out("-o", "rows.csv", "--compress", compression)
            check(bench.read("rows.csv") == piped, "--compress for a name that does not say so")
        out("-o", "plain.csv.gz", "--compress", "none")
        check(bench.read("plain.csv.gz") == rows, "--compress none")
        server.items = []
        for form, empty in ("csv", b"id,text\r\n"), ("json", b"[\n]\n"), ("ndjson", b""):
            for compression, extension in EXTENSION.items():
                name = "empty.%s.%s" % (form, extension)
                out("-o", name)
                equal(unpacked(bench, name, compression), empty, name)
                check(bench.read(name).startswith(MAGIC[compression]), "%s is no %s file", name, compression)


@case(few=True)
def compressions_that_are_refused(bench):
    query = bench.write("items.lua", QUERY % COLUMNS)
    with api(items(3)) as server:
        for word in "run", "plan":
            bench.quern(word, query, "-o", "out.csv.bz2", env=server.env).expect(2, "out.csv.bz2", "name it out.csv.gz or out.csv.zst")
        bench.quern("run", query, "-o", "out.csv.zstd", env=server.env).expect(2, "out.csv.zst")
        bench.quern("run", query, "--compress", "xz", env=server.env).expect(2, "--compress")
        bench.quern("run", query, "-o", "none/out.csv.gz", env=server.env).expect(1, "create the directory")
        equal(bench.files(), ["items.lua"], "files")
        leader, follower = pty.openpty()
        bench.quern("run", query, "--compress", "gzip", env=server.env, stdout=follower).expect(1, "not for a terminal")
        os.close(follower)
        os.close(leader)


LARGE = QUERY.replace("size = 50", "size = 200") % COLUMNS


@case()
def compressed_and_one_large_leaf(bench):
    """Far more than may be in flight at once: the run waits for the compression, and memory does not grow with the rows."""
    query, sizes, peaks = bench.write("items.lua", LARGE), (2000, 10000), []
    with api(items(10000), size=200) as server:
        everything = server.items
        for count in sizes:
            server.items = everything[:count]
            bench.quern("run", query, "-o", "rows.csv.gz", "--workers", 2, "--memory", "32M", "--summary", "s.json", env=server.env).expect(0)
            peaks.append(bench.summary("s.json")["memory_peak_bytes"])
            rows = unpacked(bench, "rows.csv.gz", "gzip")
            equal(rows.count(b"\n"), count + 1, "lines")
            check(rows.decode() == "id,text\r\n" + "".join("%d,%s\r\n" % (one["id"], one["text"]) for one in map(json.loads, server.items)),
                  "rows of one leaf")
    check(peaks[1] <= peaks[0] + (8 << 20), "peaks: %s", peaks)


@case(few=True)
def compressed_and_broken_off(bench):
    """A full disk, an interrupt, a hole, a reader that goes: nothing stands under the name, and what is kept can be read."""
    query = bench.write("minutes.lua", BY_TIME % COLUMNS)
    with api(items(1440), size=10) as server:
        for compression, extension in EXTENSION.items():
            name = "rows.csv." + extension
            bench.quern("run", query, "-o", name, env=server.env, file_limit=300000).expect(1, "." + name + ".", "File too large")
            process = bench.start("run", query, "-o", name, "--rate", "20/s", env=server.env)
            deadline = time.monotonic() + 30
            while not any(one.endswith(".partial") for one in bench.files()) and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            err = process.communicate(timeout=60)[1].decode()
            equal(process.returncode, 130, "exit status of an interrupted run: " + err)
            check("Sanitizer" not in err and "left open" not in err, "%s", err)
            process = bench.start("run", query, "--format", "csv", "--compress", compression, env=server.env)
            process.stdout.read(100)
            process.stdout.close()
            equal(process.wait(60), 141, "exit status when the reader goes: " + process.stderr.read().decode())
            process.stderr.close()
        equal(bench.files(), ["minutes.lua"], "files after runs that failed")
        coarse = bench.write("coarse.lua", BY_TIME.replace("PT15M", "PT6H") % COLUMNS)
        last = "id,text\r\n" + "".join("%d,%s\r\n" % (one["id"], one["text"]) for one in map(json.loads, server.items[1080:1260]))
        server.most = 200  # the first three leaves are holes; the last one is kept
        for compression, extension in EXTENSION.items():
            name = "rows.csv." + extension
            bench.quern("run", coarse, "-p", "to=2024-01-01T21:00:00Z", "-o", name, "--summary", "s.json", env=server.env) \
                .expect(3, "." + name + ".")
            partial = bench.summary("s.json")["partial"]
            equal(unpacked(bench, partial, compression).decode(), last, "the partial file")
            equal(bench.summary("s.json")["output_bytes"], os.path.getsize(bench.path(partial)), "its size")
            check(name not in bench.files(), "%s stands", name)
