#!/usr/bin/env python3
"""Rules of the source tree: floors, who may include what, headers that stand alone, Lua that luacheck accepts."""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "docs", "tools"))
import cli_pages  # noqa: E402  pylint: disable=wrong-import-position
import cli_source  # noqa: E402  pylint: disable=wrong-import-position
import lua_page  # noqa: E402  pylint: disable=wrong-import-position
import lua_reference  # noqa: E402  pylint: disable=wrong-import-position
import write as documents  # noqa: E402  pylint: disable=wrong-import-position

# What a floor may include besides itself.
BELOW = {
    "base": set(),
    "engine": {"base"},
    "net": {"engine", "base"},
    "json": {"engine", "base"},
    "rows": {"json", "base"},
    "store": {"rows", "json", "base"},
    "sink": {"rows", "json", "engine", "base"},
    "run": {"store", "sink", "rows", "json", "net", "engine", "base"},
    "lua": {"run", "store", "sink", "rows", "json", "net", "engine", "base"},
    "cli": {"json", "base"},  # and quern.h: the command line uses the embedding API, and reads its events
}
FOREIGN = [
    (re.compile(r"^(lua|lauxlib|lualib)\.h$"), lambda path: path.startswith("core/lua/")),
    (re.compile(r"^curl/"), lambda path: re.match(r"core/net/(curl|multi|url)(_\w+)?\.[ch]$", path)),
    (re.compile(r"^uv\.h$"), lambda path: re.match(r"core/(engine/(loop|timer|pool|worker)|net/(multi|curl|server|served))(_\w+)?\.[ch]$", path)),
    (re.compile(r"^(zlib|zstd)\.h$"), lambda path: re.match(r"core/base/compress\.c$", path)),
    (re.compile(r"^microhttpd\.h$"), lambda path: re.match(r"core/net/(server|served)(_\w+)?\.[ch]$", path)),
    (re.compile(r"^simdjson"), lambda path: path.startswith("core/json/") and path.endswith(".cc")),
]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.M)

passed, failed = 0, 0


def check(name, problem):
    global passed, failed
    if problem:
        failed += 1
        print("FAILED %s: %s" % (name, problem))
    else:
        passed += 1


def sources(*endings):
    for folder, _, files in os.walk(os.path.join(ROOT, "core")):
        for name in sorted(files):
            if name.endswith(endings):
                yield os.path.relpath(os.path.join(folder, name), ROOT)


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def climbs(path):
    """An include that reaches a higher floor, or a library this file may not know."""
    parts = path.split("/")
    floor = parts[1] if len(parts) > 2 else None
    for quote, target in INCLUDE.findall(read(path)):
        if quote == "<" or "/" not in target:
            for pattern, allowed in FOREIGN:
                if pattern.match(target) and not allowed(path):
                    return "includes " + target
            continue
        other = target.split("/")[0]
        if floor and other in BELOW and other != floor and other not in BELOW[floor]:
            return "includes %s: %s is not below %s" % (target, other, floor)
        if other not in BELOW and quote == '"':
            return "includes %s, which is on no floor" % target
    return None


def stands_alone(paths):
    """Compiles every header by itself, in one go; the compiler names the file that fails."""
    flags = subprocess.run(["pkg-config", "--cflags", "lua5.4", "libuv", "libcurl", "libmicrohttpd"], capture_output=True, text=True,
                           check=False).stdout.split()
    with tempfile.TemporaryDirectory() as folder:
        for path in paths:
            unit = os.path.join(folder, "unit.c")
            with open(unit, "w", encoding="utf-8") as file:
                file.write('#include "%s"\n' % os.path.relpath(os.path.join(ROOT, path), os.path.join(ROOT, "core")))
            result = subprocess.run(["gcc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
                                     "-I", os.path.join(ROOT, "core"), *flags, unit], capture_output=True, text=True, check=False)
            check("header " + path, result.stderr.strip().splitlines()[0] if result.returncode else None)


def style(path):
    text = read(path)
    lines = text.splitlines()
    if len(lines) > 600:
        return "%d lines; files stay below 600" % len(lines)
    for number, line in enumerate(lines, 1):
        if "\t" in line or line != line.rstrip():
            return "line %d: a tab or white space at the end" % number
        if len(line) > 130:
            return "line %d is longer than 130 columns" % number
    if path.endswith(".h") and "#pragma once" not in text:
        return "no #pragma once"
    return None


def luacheck():
    folders = [name for name in ("lua", "scripts", "examples", "tests") if os.path.isdir(os.path.join(ROOT, name))]
    result = subprocess.run(["luacheck", "-q", "--no-color", *folders], cwd=ROOT, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in result.stdout.splitlines() if re.match(r"\s+\S+:\d+:\d+:", line)]
    check("luacheck", "; ".join(lines[:8]) or result.stdout.strip()[:300] if result.returncode else None)


# Faults that the documentation's check has to find: a file, what is changed in it, and a part of the complaint.
SEEDED = [
    ("lua/quern/retry.lua", "---@field cap? string  bound of every backoff\n", "", "does not describe its option 'cap'"),
    ("lua/quern/retry.lua", "---@field cap? string  bound of every backoff", "---@field cap? string", "does not describe its option 'cap'"),
    ("lua/quern/retry.lua", 'cap = { type = "string", default = "60s" },', "", "an option 'cap' that it does not take"),
    ("lua/quern/pages.lua", " null, empty or absent ends the walk; `follow`: later requests, the same again by default;", "", "does not describe its option 'follow'"),
    ("lua/quern/json.lua", "---@param text string|quern.Bytes\n---@return any value", "---@return any value", "type of its parameter 'text'"),
    ("lua/quern/chunk.lua", "--- Half-open time ranges that cover [from, to).\n", "", "quern.chunk.by_time has no summary"),
    ("lua/quern/columns.lua", 'separator = "string",', 'separator = "string", prefix = "string",', "the option 'prefix' of COLUMN"),
    ("lua/quern/instant.lua", "---@param duration string  such as \"P1M\" or \"PT15M\"\n", "", "type of its parameter 'duration'"),
    ("lua/quern/body.lua", "local M = {}", 'local M = {}\nlocal x = options.check("x", {}, { a = "string" })', "no public function is seen"),
]


def documentation():
    """The Lua reference is what the annotations say, everything public is described, and the check for that finds what is missing."""
    library = lua_reference.Library()
    page = lua_page.render(library)
    for problem in library.problems():
        check("documentation", problem)
    for path, text in documents.pages(library).items():
        check(path, None if documents.current(path) == text else "is stale: type ./dev docs")
    for field, _, _ in library.classes["quern.Query"][0].fields:
        check("field " + field, None if re.search(r"\| `%s\b" % field, read("docs/reference/query.md")) else "is not in docs/reference/query.md")
    for module in library.modules:
        check("module " + module, None if "`%s" % module in read("docs/reference/library.md") else "is not in docs/reference/library.md")
    for path, old, new, complaint in SEEDED:
        text = read(path)
        if text.count(old) != 1:
            check("seeded fault in " + path, "%r is not there once: give this test another fault" % old)
            continue
        seeded = lua_reference.Library({path: text.replace(old, new)})
        found = any(complaint in problem for problem in seeded.problems())
        check("seeded fault in " + path, None if found else "%r was not found: %s" % (complaint, seeded.problems()))
    other = lua_reference.Library({"lua/quern/retry.lua": read("lua/quern/retry.lua").replace("bound of every backoff", "something else")})
    check("a stale page", None if lua_page.render(other) != page else "a changed annotation changes nothing")
    source = read("core/cli/cmd_run.c").replace("leaves fetched side by side (default 4)", "something else")
    other = documents.pages(library, cli_source.CommandLine(ROOT, {"core/cli/cmd_run.c": source}))
    for path in ("docs/reference/command-line.md", cli_pages.MAN):
        check("a stale " + path, None if other[path] != documents.current(path) else "a changed help text changes nothing")


LINK = re.compile(r"\]\(([^)\s]+)\)")


def heading_anchors(text):
    """The names by which headings can be linked to."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)}


def links(path):
    """A link of a page that leads nowhere in this tree."""
    text = re.sub(r"^```.*?^```", "", read(path), flags=re.M | re.S)
    for target in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        other = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
        if not os.path.exists(os.path.join(ROOT, other)):
            return "links to %s, which is not there" % target
        if anchor and anchor not in heading_anchors(read(other)):
            return "links to %s: no such heading" % target
    return None


def main():
    for path in sources(".c", ".cc", ".h"):
        check("floor of " + path, climbs(path))
        check("form of " + path, style(path))
    stands_alone(list(sources(".h")))
    luacheck()
    documentation()
    for path in [*documents.guides(), lua_reference.PAGE]:
        check("links of " + path, links(path))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
