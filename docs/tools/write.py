#!/usr/bin/env python3
"""Writes the generated documentation: docs/reference/lua.md, docs/man/quern.1, and the blocks of pages that repeat `quern help`.

    write.py            writes what has changed, and says what lacks documentation
    write.py --check    writes nothing; fails if something is stale or not described
"""
import os
import re
import sys

import cli_pages
import lua_page
import lua_reference
from cli_source import CommandLine

ROOT = lua_reference.ROOT


def guides():
    """Every page that may hold a block."""
    yield "README.md"
    for folder, _, files in sorted(os.walk(os.path.join(ROOT, "docs"))):
        for name in sorted(files):
            path = os.path.relpath(os.path.join(folder, name), ROOT)
            if name.endswith(".md") and path != lua_reference.PAGE:
                yield path


def pages(library=None, line=None):
    """Path and content of everything generated."""
    library, line = library or lua_reference.Library(), line or CommandLine(ROOT)
    version = re.search(r"project\(quern VERSION ([\d.]+)", lua_reference.read_file("CMakeLists.txt")).group(1)
    made = {lua_reference.PAGE: lua_page.render(library), cli_pages.MAN: cli_pages.man_page(line, version)}
    for path in guides():
        text = lua_reference.read_file(path)
        if cli_pages.BLOCK.search(text):
            made[path] = cli_pages.filled(line, text, path)
    return made


def current(path):
    return lua_reference.read_file(path) if os.path.isfile(os.path.join(ROOT, path)) else None


def main():
    library = lua_reference.Library()
    problems = library.problems()
    for path, text in pages(library).items():
        if current(path) == text:
            continue
        if "--check" in sys.argv[1:]:
            problems.append(path + " is stale: type ./dev docs")
            continue
        os.makedirs(os.path.dirname(os.path.join(ROOT, path)) or ".", exist_ok=True)
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
            file.write(text)
        print("wrote " + path)
    for problem in problems:
        print("docs: " + problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (lua_reference.Unclear, ValueError) as problem:
        sys.exit("docs: %s" % problem)
