"""What the documentation tells of the command line: the blocks of pages that repeat `quern help`, and the man page.

A block stands between <!-- quern help NAME --> and <!-- end -->. NAME is a command (its options) or a topic."""
import re

BLOCK = re.compile(r"(<!-- quern help ([\w-]+) -->\n).*?(<!-- end -->)", re.S)
MAN = "docs/man/quern.1"


def cell(text):
    return text.replace("|", "\\|")


def option_table(command):
    rows = ["| option | meaning |", "| --- | --- |"]
    for option in command.options:
        if option.name == "help":
            continue
        name = "`--%s%s`" % (option.name, " " + option.value if option.value else "")
        letter = "`-%s`, " % option.letter if option.letter else ""
        rows.append("| %s%s | %s |" % (letter, cell(name), cell(option.text)))
    return "\n".join(rows)


def topic_table(topic):
    head = {"exit-status": ("status", "meaning"), "environment": ("variable", "meaning")}.get(topic.name, ("written", "meaning"))
    rows = ["| %s | %s |" % head, "| --- | --- |"]
    quote = "%s" if topic.name == "exit-status" else "`%s`"
    for name, meaning in topic.rows():
        rows.append("| %s | %s |" % (", ".join(quote % word for word in name.split(", ")), cell(meaning)))
    rest = topic.rest()
    return "\n".join(rows + ([""] + rest if rest else []))


def command_list(line):
    width = max(len(usage(command)) for command in line.commands)
    return "\n".join("    %s  %s" % (usage(command).ljust(width), command.summary) for command in line.commands)


def usage(command):
    return "quern " + command.name + (" [OPTION]..." if len(command.options) > 1 else "") + (" " + command.words if command.words else "")


def filled(line, text, where):
    """A page with its blocks written anew."""
    def block(match):
        name = match.group(2)
        if name == "commands":
            content = command_list(line)
        elif line.command(name):
            content = option_table(line.command(name))
        elif line.topic(name):
            content = topic_table(line.topic(name))
        else:
            raise ValueError("%s: 'quern help %s' is nothing" % (where, name))
        return match.group(1) + content + "\n" + match.group(3)
    return BLOCK.sub(block, text)


# ---- the man page

def roff(text):
    """Text as roff takes it: backslashes, hyphens that are typed, and a dot or quote at a line's start."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^\.", r"\\&.", text, flags=re.M)


def paragraphs(text):
    """Prose, and lines that begin with two spaces as they stand."""
    lines, example = [], False
    for line in text.strip("\n").split("\n"):
        typed = line.startswith("  ")
        if typed and not example:
            lines += [".PP", ".RS 4", ".nf"]
        elif example and not typed:
            lines += [".fi", ".RE"] + ([".PP"] if line else [])
        elif not line:
            lines.append(".PP")
        example = typed
        if line:
            lines.append(roff(line.strip() if typed else line))
    if example:
        lines += [".fi", ".RE"]
    return lines


def option_lines(command):
    lines = []
    for option in command.options:
        if option.name == "help":
            continue
        words = ("\\fB\\-%s\\fR, " % option.letter if option.letter else "") + "\\fB\\-\\-%s\\fR" % roff(option.name)
        if option.value:
            words += " \\fI%s\\fR" % roff(option.value)
        lines += [".TP", words, roff(option.text)]
    return lines


def command_lines(command):
    words = " \\fI%s\\fR" % roff(command.words) if command.words else ""
    lines = [".SS quern %s" % roff(command.name), "\\fBquern %s\\fR%s%s" % (
        roff(command.name), " [\\fIOPTION\\fR]..." if len(command.options) > 1 else "", words), ".PP"]
    lines += [roff(command.summary[:1].upper() + command.summary[1:]) + "."]
    lines += option_lines(command)
    if command.more:
        lines += [".PP"] + paragraphs(command.more)
    return lines


def topic_lines(line, name):
    topic = line.topic(name)
    lines = []
    for word, meaning in topic.rows():
        lines += [".TP", "\\fB%s\\fR" % roff(word), roff(meaning)]
    for text in topic.rest():
        lines += [".PP", roff(text)]
    return lines


def man_page(line, version):
    lines = ['.\\" Written by ./dev docs from core/cli; do not edit.', '.TH QUERN 1 "" "quern %s" "User Commands"' % version,
             ".SH NAME", "quern \\- pulls a query that is too big for an API, each row exactly once",
             ".SH SYNOPSIS"]
    for number, command in enumerate(line.commands):
        lines += ([".br"] if number else []) + ["\\fBquern %s\\fR%s%s" % (
            roff(command.name), " [\\fIOPTION\\fR]..." if len(command.options) > 1 else "", " \\fI%s\\fR" % roff(command.words) if command.words else "")]
    lines += [".SH DESCRIPTION",
              "quern turns a query that is too big for an API into rows that can be trusted. It slices the query, runs the slices side by side",
              "inside the API\\(aqs limits, follows every page, retries what can be retried, splits what is too large, passes each record through",
              "your columns and your Lua, and delivers each row exactly once. A file appears under its name only when it is whole.", ".PP",
              "A query is a script of a few lines; \\fBquern run\\fR alone lists those that ship. Options may be written",
              "\\fB\\-\\-name\\fR \\fIVALUE\\fR or \\fB\\-\\-name\\fR=\\fIVALUE\\fR; \\fB\\-\\-\\fR ends them.",
              ".SH COMMANDS"]
    for command in line.commands:
        lines += command_lines(command)
    lines += [".SH EXIT STATUS"] + topic_lines(line, "exit-status")
    lines += [".SH TIMES"] + topic_lines(line, "times")
    lines += [".SH ENVIRONMENT"] + topic_lines(line, "environment")
    lines += [".SH FILES", ".TP", ".I .NAME.RUN.partial", "Beside the output while it is written; it gets its name when the run is whole.", ".TP",
              ".I PREFIX/share/quern", "The Lua library, the scripts that ship, and examples.",
              ".SH SEE ALSO", "The documentation in \\fIPREFIX/share/doc/quern\\fR: a tutorial, guides, and the reference of scripts."]
    return "\n".join(lines) + "\n"
