"""What the documentation tells, compared with the program."""
import os
import re
import shutil
import subprocess

from harness import ROOT, case, check, equal


def page(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


@case()
def help_is_the_page(bench):
    """Every option and every exit status that the program tells is in docs/reference/command-line.md and in the man page, in its words."""
    text, man = page("docs/reference/command-line.md"), page("docs/man/quern.1")
    told = bench.quern("help").expect(0).out.decode()
    commands = re.findall(r"^  (\w+) ", told.split("commands\n")[1].split("\n\n")[0], re.M)
    check(len(commands) >= 6, "commands: %s", told)
    for command in commands:
        lines = bench.quern("help", command).expect(0).out.decode().split("\n")
        check("    quern " + command in text, "%s is not in the list of commands", command)
        for line in lines:
            option = re.match(r"^  (?:-\w,|   ) --([\w-]+)(?: (\S+))?  +(.*)$", line)
            if not option or option.group(1) == "help":
                continue
            row = "--%s%s` | %s |" % (option.group(1), " " + option.group(2) if option.group(2) else "", option.group(3))
            check(row in text.replace("\\|", "|"), "quern help %s says %r, which the page does not", command, line)
            check("\\-\\-" + option.group(1).replace("-", "\\-") in man, "the man page lacks --%s", option.group(1))
    for line in bench.quern("help", "exit-status").expect(0).out.decode().strip().split("\n"):
        status, meaning = line.split(None, 1)
        check("| %s | %s |" % (status, meaning) in text, "the page lacks exit status %s", status)


@case()
def man_page(bench):
    """It is installed, and roff finds nothing wrong with it where groff is there."""
    prefix = bench.path("usr")
    subprocess.run(["cmake", "--install", bench.build, "--prefix", prefix], check=True, capture_output=True)
    path = os.path.join(prefix, "share/man/man1/quern.1")
    equal(open(path, encoding="utf-8").read(), page("docs/man/quern.1"), "the installed man page")
    if shutil.which("groff"):
        result = subprocess.run(["groff", "-man", "-ww", "-Tutf8", path], check=False, capture_output=True, text=True)
        equal((result.returncode, result.stderr), (0, ""), "groff")
        check("details_sliced" in result.stdout, "the text of the man page: %s", result.stdout[:300])
