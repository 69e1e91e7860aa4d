"""quern init, and what it makes."""
import csv
import json
import os
import subprocess

from harness import ROOT, Emulator, case, check, equal

TEMPLATES = sorted(os.listdir(os.path.join(ROOT, "examples/starter")))


def set_address(bench, folder, url):
    """What the README says: .env is .env.sample with the address of one's own API."""
    text = bench.read(folder + "/.env.sample").decode()
    check("http://127.0.0.1:8080" in text, "the sample of .env: %s", text)
    bench.write(folder + "/.env", text.replace("http://127.0.0.1:8080", url))


def rows_of(data):
    lines = list(csv.reader(data.decode().splitlines()))
    return lines[0], lines[1:]


@case(few=True)
def init_makes_a_project(bench):
    """The starter runs against the emulator as it is, also from an installed quern; its editor settings name the library."""
    prefix = bench.path("usr")
    subprocess.run(["cmake", "--install", bench.build, "--prefix", prefix], check=True, capture_output=True)
    for program, library in ((bench.program, os.path.join(ROOT, "lua")), (os.path.join(prefix, "bin/quern"), None)):
        bench.program = program
        folder = "installed" if library is None else "built"
        result = bench.quern("init", folder).expect(0)
        equal(sorted(os.listdir(bench.path(folder))), TEMPLATES, "files")
        check(b"cd " + folder.encode() in result.out and b"quern run query.lua" in result.out, "what to type next: %s", result.out)
        with open(bench.path(folder + "/.luarc.json"), encoding="utf-8") as file:
            settings = json.load(file)
        (told,) = settings["workspace.library"]
        check(library in (None, told) and os.path.isfile(told + "/quern/init.lua") and os.path.isfile(told + "/quern/_meta/core.lua"),
              "the library of the editor: %s", told)
        with Emulator(bench, "--max-records", 150) as server:
            set_address(bench, folder, server.env["GENESYS_BASE_URL"])
            env = folder + "/.env"
            check(b"7 chunks" in bench.quern("plan", folder + "/query.lua", "--env-file", env).expect(0).out, "the plan")
            bench.quern("run", folder + "/query.lua", "--env-file", env, "-o", "out.csv").expect(0, "counted: yes")
        head, rows = rows_of(bench.read("out.csv"))
        equal(head, ["conversation", "start", "queue", "agent", "seconds"], "columns")
        equal(len(rows), 7 * 240, "rows")
        equal(len({row[0] for row in rows}), len(rows), "conversations")
        check(rows == sorted(rows, key=lambda row: row[1]), "the order of rows")


@case()
def init_writes_all_or_nothing(bench):
    bench.quern("init").expect(2, "init where?")
    bench.quern("init", "a", "b").expect(2, "unexpected 'b'")
    os.mkdir(bench.path("mine"))
    bench.write("mine/README.md", "mine")
    bench.write("mine/query.lua", "mine")
    bench.quern("init", "mine").expect(2, "README.md, query.lua", "nothing was written")
    equal(sorted(os.listdir(bench.path("mine"))), ["README.md", "query.lua"], "files of a folder that was refused")
    equal(bench.read("mine/README.md"), b"mine", "a file that was there")
    os.mkdir(bench.path("other"))
    bench.write("other/notes.txt", "mine")
    bench.quern("init", "other").expect(0)
    equal(sorted(os.listdir(bench.path("other"))), sorted(TEMPLATES + ["notes.txt"]), "files beside others")
    bench.quern("init", "none/deep").expect(1, "none/deep")
    bench.write("file", "mine")
    bench.quern("init", "file").expect(2, "not a folder")
    bench.quern("init", "full", file_limit=400).expect(1, "cannot write full/")
    check("full" not in bench.files(), "a folder that could not be filled stays: %s", bench.files())
    os.mkdir(bench.path("kept"))
    bench.quern("init", "kept", file_limit=400).expect(1, "cannot write kept/")
    equal(os.listdir(bench.path("kept")), [], "files of a folder that could not be filled")
    os.symlink("nowhere", bench.path("kept/query.lua"))
    bench.quern("init", "kept").expect(2, "query.lua")
