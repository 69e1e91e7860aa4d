"""Every example of the README, the tutorial, the how-tos and the examples' own READMEs runs as its page tells it.

What a fenced block is follows from its first words:

    ```sh              commands, run one after another in one shell
    ```lua NAME.lua    a file, written where the shell stands
    ```lua             fields of a query (or a whole script): put into a query and planned
    ```text            what was printed: each line, with `...` for anything, is on a line of the page's output so far or later
    ```python          compiled
    anything else      not looked at; commands that cannot run here are ```console

Ports that a page names (80?0, but for 8080, which quern init writes) are replaced by free ones. A command that ends other than 0 fails the page, unless it says `# exit N`.
"""
import ast
import os
import re
import shutil
import socket
import subprocess

from harness import CASES, ROOT, Wrong, check, shorten

FENCE = re.compile(r"^```(\w+)[ \t]*([^\n]*)\n(.*?)^```$", re.M | re.S)
PAGES = (["README.md", "docs/tutorial.md"] + sorted("docs/how-to/" + name for name in os.listdir(os.path.join(ROOT, "docs/how-to")))
         + sorted("examples/%s/README.md" % name for name in os.listdir(os.path.join(ROOT, "examples"))))
# What a fragment is put into; its own fields come later, and so win.
AROUND = """local quern = require "quern"
return quern.query {
  name = "fragment",
  params = { from = quern.param.time { default = "2024-01-01" }, to = quern.param.time { default = "2024-01-03" } },
  client = { base_url = "http://127.0.0.1:9" },
  request = function() return { path = "/v1/items" } end,
  records = "$.items[*]",
%s
%s
}
"""
COLUMNS = '  columns = { { "id", "$.id" } },'


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def commands(text):
    """The lines of a shell block; `# exit N` after a command turns that status into success."""
    lines = []
    for line in text.split("\n"):
        told = re.match(r"^(\S.*?)\s+# exit (\d+)$", line)
        if told:
            line = "{ %s; } && false || [ $? = %s ]" % (told.group(1), told.group(2))
        lines.append(line)
    return "\n".join(lines)


def shell_script(path, text):
    """A page as one script. LINE tells where it is when something fails."""
    script = ["set -eE", "fail() { echo \"%s, line $LINE: exit $1\" >&2; exit 1; }" % path, "trap 'fail $?' ERR",
              "trap 'trap - ERR; set +e; kill $(jobs -p) 2>/dev/null; wait 2>/dev/null' EXIT"]
    for number, match in enumerate(FENCE.finditer(text)):
        kind, name, block = match.group(1), match.group(2).strip(), match.group(3)
        script.append("LINE=%d" % (text[:match.start()].count("\n") + 1))
        if kind == "sh":
            script.append(commands(block))
        elif kind == "lua" and name:
            script.append("cat >'%s' <<'END_OF_FILE'\n%sEND_OF_FILE" % (name, block))
        elif kind == "lua":
            whole = re.search(r"^return ", block, re.M)
            script.append("cat >\"$FRAGMENTS/%d.lua\" <<'END_OF_FILE'\n%sEND_OF_FILE" % (number, block if whole else fragment(block)))
            script.append("env $DUMMIES quern plan \"$FRAGMENTS/%d.lua\" >/dev/null" % number)
        elif kind == "python":
            ast.parse(block)
    return "\n".join(script) + "\n"


def fragment(block):
    """A query around fields; what a row is comes from them, if they say it."""
    return AROUND % ("" if re.search(r"^(columns|fields|raw) =", block, re.M) else COLUMNS, block)


def dummies(text):
    """A value for every variable that fragments declare."""
    names = set(re.findall(r"quern\.(?:secret\.)?env[ (]*\"(\w+)\"", text))
    return " ".join(sorted("%s=%s" % (name, "http://127.0.0.1:9" if name.endswith("URL") else "x") for name in names))


def with_free_ports(text, bench=None):
    """The page with other ports; and the files of the case's folder with the same."""
    for port in set(re.findall(r"\b(80[0-9]0)\b" if bench else r"\b(80[0-79]0)\b", text)):
        other = str(free_port())
        text = re.sub(r"\b%s\b" % port, other, text)
        for name in bench.files() if bench else []:
            if os.path.isfile(bench.path(name)):
                bench.write(name, bench.read(name).decode().replace(port, other))
    return text


def run_page(bench, path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        text = file.read()
    check(FENCE.search(text), "%s has no example", path)
    os.symlink(os.path.join(ROOT, "tests"), bench.path("tests"))
    if path.startswith("examples/"):  # a page of an example stands in its folder
        shutil.copytree(os.path.dirname(os.path.join(ROOT, path)), bench.folder, dirs_exist_ok=True)
        text = with_free_ports(text, bench)
    else:
        text = with_free_ports(text)
    os.mkdir(bench.path(".fragments"))
    bench.write("page.sh", shell_script(path, text))
    env = bench.environment({"FRAGMENTS": bench.path(".fragments"), "DUMMIES": dummies(text), "PYTHONDONTWRITEBYTECODE": "1",
                             "PATH": os.path.dirname(bench.program) + os.pathsep + os.environ["PATH"]})
    with open(bench.path(".out"), "wb") as out:  # not a pipe: what runs in the background holds it open
        process = subprocess.Popen([shutil.which("bash"), bench.path("page.sh")], cwd=bench.folder, env=env, stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=subprocess.STDOUT)
        try:
            status = process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Wrong("%s: no end after 120 s: %s" % (path, shorten(bench.read(".out")[-800:]))) from None
    told = bench.read(".out").decode("utf-8", "replace").replace("\r\n", "\n")
    check(status == 0, "%s", "\n".join(told.split("\n")[-15:]))
    for line in [line for match in FENCE.finditer(text) if match.group(1) == "text" for line in match.group(3).split("\n") if line.strip()]:
        pattern = re.compile("^" + ".*".join(re.escape(part) for part in line.rstrip().split("...")) + "$", re.M)
        check(pattern.search(told), "%s says that this is printed: %r; it is not: %s", path, line, told[-3000:])
    check("Sanitizer" not in told and "left open" not in told, "%s", told[-1500:])
    return told


def register(path):
    def page(bench):
        run_page(bench, path)
    name = "page_" + re.sub(r"\W+", "_", os.path.splitext(path)[0].replace("docs/", "")).lower()
    CASES.append((name, page, False, False))


for PAGE in PAGES:
    register(PAGE)


def page_that_fails(bench):
    """The check itself: a command that fails, a fragment that does not load and a missing status are noticed."""
    for text, word in (("```sh\nfalse\n```\n", "line 1: exit 1"), ("a\n```lua\npagez = 1,\n```\n", "line 2"), ("```sh\ntrue # exit 3\n```\n", "line 1"),
                       ("```lua\nreturn 3 3\n```\n", "line 1")):
        result = subprocess.run(["bash", "-c", shell_script("x.md", text)], check=False, capture_output=True, text=True, cwd=bench.folder,
                                env=bench.environment({"FRAGMENTS": bench.folder, "DUMMIES": "A=1",
                                                       "PATH": os.path.dirname(bench.program) + os.pathsep + os.environ["PATH"]}))
        check(result.returncode == 1 and word in result.stderr, "%r: %s %s", text, result.returncode, result.stderr)
    done = subprocess.run(["bash", "-c", shell_script("x.md", "```sh\n(exit 3) # exit 3\n```\n")], check=False, cwd=bench.folder)
    check(done.returncode == 0, "a status that was told: %s", done.returncode)


CASES.append(("page_that_fails", page_that_fails, False, False))
